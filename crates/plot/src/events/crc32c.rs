//! The Castagnoli CRC, with the mask that TensorFlow's record files put on it.

/// The polynomial with its bits reversed.
const POLYNOMIAL: u32 = 0x82F6_3B78;

/// The checksum of each single byte.
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

/// CRC-32C.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| (crc >> 8) ^ TABLE[((crc as u8) ^ byte) as usize])
}

/// The checksum as record files hold it: the mask keeps a checksum of data that contain checksums from degenerating.
pub(super) fn masked(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xA282_EAD8)
}

#[cfg(test)]
mod tests {
    use super::{crc32c, masked};

    #[test]
    fn published_vectors() {
        assert_eq!(crc32c(b""), 0);
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
        // RFC 3720, section B.4.
        assert_eq!(crc32c(&[0x00; 32]), 0x8A91_36AA);
        assert_eq!(crc32c(&[0xFF; 32]), 0x62A8_AB43);
        assert_eq!(crc32c(&std::array::from_fn::<u8, 32, _>(|i| i as u8)), 0x46DD_794E);
        assert_eq!(crc32c(&std::array::from_fn::<u8, 32, _>(|i| 31 - i as u8)), 0x113F_DB5C);
    }

    #[test]
    fn the_mask_rotates_by_15_and_adds_its_constant() {
        assert_eq!(masked(b""), 0xA282_EAD8);
        // 0xE3069283 turned by 15 bits is 0x2507C60D.
        assert_eq!(masked(b"123456789"), 0x2507_C60D + 0xA282_EAD8);
    }
}
