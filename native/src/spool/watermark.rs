//! The number that all acknowledged records lie before, in a file of two slots.
//!
//! ```text
//! slot = value u64 | count u64 | xxh3 u64 of both
//! ```
//!
//! Writes take turns, so that one that a crash tears leaves the one before. It is not synced: what a loss
//! of power takes of it are records that leave twice.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

/// The bytes of a slot.
pub const SLOT: usize = 24;

pub struct Watermark {
    file: File,
    value: u64,
    count: u64,
}

impl Watermark {
    pub fn open(path: &Path) -> std::io::Result<Self> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let newest = bytes.chunks(SLOT).filter_map(unpack).max_by_key(|&(_, count)| count);
        let (value, count) = newest.unwrap_or_default();
        let mut watermark = Watermark { file, value, count };
        // Both slots take their room now: a full disk is no time to ask for it.
        for _ in bytes.len() / SLOT..2 {
            watermark.write(value)?;
        }
        Ok(watermark)
    }

    pub fn value(&self) -> u64 {
        self.value
    }

    pub fn write(&mut self, value: u64) -> std::io::Result<()> {
        let count = self.count + 1;
        self.file.seek(SeekFrom::Start(count % 2 * SLOT as u64))?;
        self.file.write_all(&pack(value, count))?;
        (self.value, self.count) = (value, count);
        Ok(())
    }
}

/// Two numbers and their sum.
pub fn pack(one: u64, other: u64) -> [u8; SLOT] {
    let mut slot = [0; SLOT];
    slot[..8].copy_from_slice(&one.to_le_bytes());
    slot[8..16].copy_from_slice(&other.to_le_bytes());
    let sum = xxh3_64(&slot[..16]);
    slot[16..].copy_from_slice(&sum.to_le_bytes());
    slot
}

/// The numbers, where they are whole.
pub fn unpack(bytes: &[u8]) -> Option<(u64, u64)> {
    let number = |range: std::ops::Range<usize>| Some(u64::from_le_bytes(bytes.get(range)?.try_into().ok()?));
    let (one, other, sum) = (number(0..8)?, number(8..16)?, number(16..24)?);
    (xxh3_64(&bytes[..16]) == sum).then_some((one, other))
}
