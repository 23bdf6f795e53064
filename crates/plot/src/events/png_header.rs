//! What the first bytes of a PNG file say.

/// The signature, then the length and the name of the chunk that comes first in every PNG.
const START: &[u8] = b"\x89PNG\r\n\x1A\n\0\0\0\x0DIHDR";

/// Size and channels of a picture.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PngHeader {
    /// Width, height.
    pub(super) size: (u32, u32),
    /// Channels of the decoded picture: 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA.
    pub(super) channels: u64,
}

impl PngHeader {
    /// `None` where `png` is not a PNG file.
    pub(super) fn of(png: &[u8]) -> Option<Self> {
        let header = png.strip_prefix(START)?;
        let (width, rest) = header.split_first_chunk()?;
        let (height, rest) = rest.split_first_chunk()?;
        let [_depth, colour_type, ..] = rest else { return None };
        let channels = match colour_type {
            0 => 1,
            // A palette holds RGB.
            2 | 3 => 3,
            4 => 2,
            6 => 4,
            _ => return None,
        };
        Some(Self { size: (u32::from_be_bytes(*width), u32::from_be_bytes(*height)), channels })
    }
}

#[cfg(test)]
mod tests {
    use super::PngHeader;

    fn encoded(colour: png::ColorType, bytes: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, 3, 2);
        encoder.set_color(colour);
        if colour == png::ColorType::Indexed {
            encoder.set_palette(vec![0; 3]);
        }
        encoder.write_header().unwrap().write_image_data(bytes).unwrap();
        file
    }

    #[test]
    fn sizes_and_channels_of_every_kind() {
        for (colour, channels) in [
            (png::ColorType::Grayscale, 1),
            (png::ColorType::GrayscaleAlpha, 2),
            (png::ColorType::Rgb, 3),
            (png::ColorType::Rgba, 4),
        ] {
            let file = encoded(colour, &vec![0; 6 * channels as usize]);
            assert_eq!(PngHeader::of(&file), Some(PngHeader { size: (3, 2), channels }));
        }
        let file = encoded(png::ColorType::Indexed, &[0; 6]);
        assert_eq!(PngHeader::of(&file), Some(PngHeader { size: (3, 2), channels: 3 }));
    }

    #[test]
    fn anything_else_is_no_png() {
        let file = encoded(png::ColorType::Rgb, &[0; 18]);
        for length in 0..26 {
            assert_eq!(PngHeader::of(&file[..length]), None, "{length} bytes");
        }
        let mut strange = file;
        strange[25] = 7;
        assert_eq!(PngHeader::of(&strange), None);
        assert_eq!(PngHeader::of(b"GIF89a"), None);
    }
}
