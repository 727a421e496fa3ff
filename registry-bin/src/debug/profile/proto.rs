//! As much of protocol buffers as a profile needs.

use std::collections::HashMap;

/// A message under construction. The numbers are those of its fields.
#[derive(Debug, Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    pub(super) fn number(&mut self, field: u64, value: u64) {
        self.varint(field << 3);
        self.varint(value);
    }

    pub(super) fn signed(&mut self, field: u64, value: i64) {
        self.number(field, value.cast_unsigned());
    }

    pub(super) fn bytes(&mut self, field: u64, value: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    pub(super) fn message(&mut self, field: u64, message: &Self) {
        self.bytes(field, &message.0);
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// The texts of a profile, which are referred to by number. The first is the empty one.
#[derive(Debug)]
pub(super) struct Strings {
    numbers: HashMap<String, u64>,
    texts: Vec<String>,
}

impl Default for Strings {
    fn default() -> Self {
        Self { numbers: HashMap::from([(String::new(), 0)]), texts: vec![String::new()] }
    }
}

impl Strings {
    pub(super) fn number(&mut self, text: &str) -> u64 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = self.texts.len() as u64;
        self.numbers.insert(text.to_owned(), number);
        self.texts.push(text.to_owned());
        number
    }

    pub(super) fn write(&self, field: u64, message: &mut Message) {
        for text in &self.texts {
            message.bytes(field, text.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification of the format: field 1 has 150, field 2 has the text `testing`.
    #[test]
    fn numbers_and_texts_have_the_form_of_the_specification() {
        let mut message = Message::default();
        message.number(1, 150);
        message.bytes(2, b"testing");
        message.signed(3, -1);
        let mut expected = b"\x08\x96\x01\x12\x07testing\x18".to_vec();
        expected.extend([0xff; 9]);
        expected.push(1);
        assert_eq!(message.into_bytes(), expected);
    }

    #[test]
    fn equal_texts_have_equal_numbers_and_nothing_is_zero() {
        let mut strings = Strings::default();
        assert_eq!(["", "a", "b", "a"].map(|text| strings.number(text)), [0, 1, 2, 1]);
    }
}
