//! Names of tasks and workflows: UUIDs of version 7, which sort by the time they were made.

use std::fmt;
use std::hash::{BuildHasher, RandomState};

/// A UUID. Stored as its 16 bytes, so that the store's order is the order of sending.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub [u8; 16]);

impl Id {
    /// Reads the usual form with four dashes.
    pub fn parse(text: &str) -> Option<Id> {
        let text = text.as_bytes();
        if text.len() != 36 || [8, 13, 18, 23].iter().any(|&dash| text[dash] != b'-') {
            return None;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let mut digits = text.iter().filter(|&&byte| byte != b'-');
        let mut id = [0; 16];
        for byte in &mut id {
            *byte = (digit(*digits.next()?)? * 16 + digit(*digits.next()?)?) as u8;
        }
        digits.next().is_none().then_some(Id(id))
    }

    /// From the bytes of a key.
    pub fn from_bytes(bytes: &[u8]) -> Option<Id> {
        Some(Id(bytes.try_into().ok()?))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b'-'; 36];
        let mut at = 0;
        for (place, byte) in self.0.iter().enumerate() {
            if matches!(place, 4 | 6 | 8 | 10) {
                at += 1;
            }
            text[at] = HEX[usize::from(byte >> 4)];
            text[at + 1] = HEX[usize::from(byte & 15)];
            at += 2;
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for Id {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A source of ids and of chance for jitter. Not for secrets.
pub struct Chance {
    state: u64,
}

impl Chance {
    /// From the system's randomness.
    pub fn new() -> Self {
        Chance::seeded(RandomState::new().hash_one(std::process::id()))
    }

    /// Repeatable, for tests.
    pub fn seeded(seed: u64) -> Self {
        Chance { state: seed }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to 1, without 1.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A new id.
    pub fn id(&mut self, now_ms: i64) -> Id {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&((now_ms as u64) << 16 | self.next() >> 48).to_be_bytes());
        bytes[8..].copy_from_slice(&self.next().to_be_bytes());
        bytes[6] = bytes[6] & 0x0f | 0x70;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Id(bytes)
    }
}

impl Default for Chance {
    fn default() -> Self {
        Chance::new()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn text_and_bytes_agree() {
        let text = "018f4e2a-7b1c-7def-8123-456789abcdef";
        let id = Id::parse(text).unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(Id::parse(&text.to_uppercase()), Some(id));
        assert_eq!(Id::from_bytes(&id.0), Some(id));
        for wrong in ["", "018f4e2a7b1c7def8123456789abcdef", "018f4e2a-7b1c-7def-8123-456789abcdeg", &text[1..]] {
            assert_eq!(Id::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn new_ids_sort_by_time_and_are_of_version_7() {
        let mut chance = Chance::new();
        let ids: Vec<_> = (1_700_000_000_000..1_700_000_001_000).map(|ms| chance.id(ms)).collect();
        assert!(ids.is_sorted());
        assert!(ids.iter().all(|id| id.to_string().as_bytes()[14] == b'7'));
        assert!((0..1000).map(|_| chance.unit()).all(|it| (0.0..1.0).contains(&it)));
    }
}
