//! Counts of each namespace: in memory, and in the store within the commit that changes them.

use std::collections::BTreeMap;

/// What a namespace has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Documents that are there.
    pub keys: u64,
    /// Versions, deletions among them.
    pub versions: u64,
    /// Of their values.
    pub bytes: u64,
}

/// By namespace.
pub(super) type Spaces = BTreeMap<String, Counts>;

/// What a commit adds to the counts.
#[derive(Clone, Copy, Default)]
pub(super) struct Change {
    pub keys: i64,
    pub versions: i64,
    pub bytes: i64,
}

impl Counts {
    pub(super) fn add(&mut self, change: Change) {
        self.keys = self.keys.saturating_add_signed(change.keys);
        self.versions = self.versions.saturating_add_signed(change.versions);
        self.bytes = self.bytes.saturating_add_signed(change.bytes);
    }

    pub fn to_bytes(self) -> Vec<u8> {
        [self.keys, self.versions, self.bytes].iter().flat_map(|number| number.to_le_bytes()).collect()
    }

    pub fn from_bytes(bytes: &[u8]) -> Option<Counts> {
        let number = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        Some(Counts { keys: number(0)?, versions: number(8)?, bytes: number(16)? })
    }
}
