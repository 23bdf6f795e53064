//! The few protobuf encodings that event files need.

/// How a field's value is stored: the low three bits of its key.
#[derive(Clone, Copy)]
enum Wire {
    Varint = 0,
    Eight = 1,
    Delimited = 2,
    Four = 5,
}

/// A protobuf message under construction; fields stand in the order in which they are added.
#[derive(Debug, Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn integer(&mut self, field: u32, value: u64) {
        self.key(field, Wire::Varint);
        self.varint(value);
    }

    pub(super) fn double(&mut self, field: u32, value: f64) {
        self.key(field, Wire::Eight);
        self.0.extend(value.to_le_bytes());
    }

    pub(super) fn float(&mut self, field: u32, value: f32) {
        self.key(field, Wire::Four);
        self.0.extend(value.to_le_bytes());
    }

    /// Bytes or a string.
    pub(super) fn bytes(&mut self, field: u32, value: &[u8]) {
        self.key(field, Wire::Delimited);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    pub(super) fn message(&mut self, field: u32, value: &Self) {
        self.bytes(field, &value.0);
    }

    fn key(&mut self, field: u32, wire: Wire) {
        self.varint(u64::from(field) << 3 | wire as u64);
    }

    /// Seven bits a byte, the lowest first; the top bit says that more follow.
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::Message;

    fn encoded(fill: impl FnOnce(&mut Message)) -> Vec<u8> {
        let mut message = Message::default();
        fill(&mut message);
        message.0
    }

    #[test]
    fn fields_are_encoded_as_the_protobuf_guide_shows() {
        assert_eq!(encoded(|m| m.integer(1, 150)), [0x08, 0x96, 0x01]);
        assert_eq!(encoded(|m| m.bytes(2, b"testing")), b"\x12\x07testing");
        let inner = {
            let mut inner = Message::default();
            inner.integer(1, 150);
            inner
        };
        assert_eq!(encoded(|m| m.message(3, &inner)), [0x1A, 0x03, 0x08, 0x96, 0x01]);
        assert_eq!(encoded(|m| m.float(2, 1.0)), [0x15, 0, 0, 0x80, 0x3F]);
        assert_eq!(encoded(|m| m.double(1, 1.0)), [0x09, 0, 0, 0, 0, 0, 0, 0xF0, 0x3F]);
    }

    #[test]
    fn varints_at_their_borders() {
        assert_eq!(encoded(|m| m.integer(1, 0)), [0x08, 0]);
        assert_eq!(encoded(|m| m.integer(1, 127)), [0x08, 0x7F]);
        assert_eq!(encoded(|m| m.integer(1, 128)), [0x08, 0x80, 0x01]);
        let minus_one = [&[0x08][..], &[0xFF; 9], &[0x01]].concat();
        assert_eq!(encoded(|m| m.integer(1, -1_i64 as u64)), minus_one);
    }
}
