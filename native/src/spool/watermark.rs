//! What is acknowledged: the number that all acknowledged records lie before, in two slots, and behind them the runs of
//! those that were acknowledged while an older one was open.
//!
//! ```text
//! slot  = value u64 | count u64 | xxh3 u64 of both
//! ahead = xxh3 u64 of the rest | number of runs u64 | (first u64, behind the last u64)…
//! ```
//!
//! Slots take turns, so that a write that a crash tears leaves the one before. Nothing of it is synced: what a loss of
//! power takes of it are records that leave twice.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use super::runs::Runs;

const SLOT: usize = 24;
/// Where the runs begin.
const AHEAD: usize = 2 * SLOT;
const WORD: usize = 8;
/// So many runs are written down; the records of others leave twice.
const MOST_RUNS: usize = 500;

pub struct Watermark {
    file: File,
    value: u64,
    count: u64,
}

impl Watermark {
    /// With the numbers behind it that are acknowledged, too.
    pub fn open(path: &Path) -> std::io::Result<(Self, Runs)> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let newest = bytes.chunks(SLOT).take(2).filter_map(slot).max_by_key(|&(_, count)| count);
        let (value, count) = newest.unwrap_or_default();
        let mut watermark = Watermark { file, value, count };
        // Both slots take their room now: a full disk is no time to ask for it.
        for _ in bytes.len() / SLOT..2 {
            watermark.write(value)?;
        }
        let mut ahead = bytes.get(AHEAD..).and_then(runs).unwrap_or_default();
        ahead.drop_before(value);
        Ok((watermark, ahead))
    }

    pub fn value(&self) -> u64 {
        self.value
    }

    pub fn write(&mut self, value: u64) -> std::io::Result<()> {
        let count = self.count + 1;
        let mut slot = [0; SLOT];
        slot[..8].copy_from_slice(&value.to_le_bytes());
        slot[8..16].copy_from_slice(&count.to_le_bytes());
        let sum = xxh3_64(&slot[..16]);
        slot[16..].copy_from_slice(&sum.to_le_bytes());
        self.file.seek(SeekFrom::Start(count % 2 * SLOT as u64))?;
        self.file.write_all(&slot)?;
        (self.value, self.count) = (value, count);
        Ok(())
    }

    /// Those that are acknowledged behind the value.
    pub fn write_ahead(&mut self, ahead: &Runs) -> std::io::Result<()> {
        let words = ahead.iter().take(MOST_RUNS).flat_map(|run| [run.start, run.end]);
        let mut bytes = vec![0; 2 * WORD];
        bytes.extend(words.flat_map(u64::to_le_bytes));
        let count = (bytes.len() / WORD - 2) as u64 / 2;
        bytes[WORD..2 * WORD].copy_from_slice(&count.to_le_bytes());
        let sum = xxh3_64(&bytes[WORD..]);
        bytes[..WORD].copy_from_slice(&sum.to_le_bytes());
        self.file.seek(SeekFrom::Start(AHEAD as u64))?;
        self.file.write_all(&bytes)
    }
}

fn slot(bytes: &[u8]) -> Option<(u64, u64)> {
    let number = |range: std::ops::Range<usize>| Some(u64::from_le_bytes(bytes.get(range)?.try_into().ok()?));
    let (value, count, sum) = (number(0..8)?, number(8..16)?, number(16..24)?);
    (xxh3_64(&bytes[..16]) == sum).then_some((value, count))
}

fn runs(bytes: &[u8]) -> Option<Runs> {
    let word = |place: usize| {
        let bytes = bytes.get(place * WORD..(place + 1) * WORD)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    };
    let count = word(1).filter(|&count| count <= MOST_RUNS as u64)? as usize;
    let whole = bytes.get(WORD..(2 + 2 * count) * WORD)?;
    let mut runs = Runs::default();
    for run in 0..count {
        runs.insert(word(2 + 2 * run)?..word(3 + 2 * run)?);
    }
    (xxh3_64(whole) == word(0)?).then_some(runs)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_torn_is_not_there() {
        let path = std::env::temp_dir().join(format!("millrace-acked-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let (mut watermark, mut ahead) = Watermark::open(&path).unwrap();
        watermark.write(3).unwrap();
        for run in 1..=MOST_RUNS as u64 + 1 {
            ahead.insert(10 * run..10 * run + 2);
        }
        watermark.write_ahead(&ahead).unwrap();
        ahead.drop_from(10 * MOST_RUNS as u64 + 2);
        let open = || Watermark::open(&path).map(|(watermark, ahead)| (watermark.value(), ahead)).unwrap();
        assert_eq!(open(), (3, ahead.clone()));
        let few = Runs::default();
        // What is behind fewer of them is nothing.
        let mut one = few.clone();
        one.insert(5..9);
        watermark.write_ahead(&one).unwrap();
        assert_eq!(open(), (3, one.clone()));
        let bytes = std::fs::read(&path).unwrap();
        for place in AHEAD..AHEAD + 4 * WORD {
            let mut broken = bytes.clone();
            broken[place] ^= 1;
            std::fs::write(&path, &broken).unwrap();
            assert_eq!(open(), (3, few.clone()), "byte {place}");
            std::fs::write(&path, &bytes[..place]).unwrap();
            assert_eq!(open(), (3, few.clone()), "up to byte {place}");
        }
        std::fs::write(&path, &bytes).unwrap();
        let (mut watermark, _) = Watermark::open(&path).unwrap();
        watermark.write(7).unwrap();
        one.drop_before(7);
        assert_eq!(open(), (7, one));
        std::fs::remove_file(&path).unwrap();
    }
}
