//! Which records behind the oldest open one are acknowledged, in a file of entries.
//!
//! ```text
//! entry = first number u64 | how many u64 | xxh3 u64 of both
//! ```
//!
//! What an entry says is true until its numbers are given again, so old ones harm nobody, and are written over. It is
//! not synced: what a loss of power takes of it are records that leave twice.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;

use super::watermark::{SLOT, pack, unpack};

/// So many entries more than there are numbers, and a new beginning is worth its while.
const SPARE: usize = 1000;

pub struct Ahead {
    file: File,
    /// So many count; what lies behind them is old.
    entries: usize,
}

impl Ahead {
    /// The file, and which of the `open` numbers it has.
    pub fn open(path: &Path, open: Range<u64>) -> std::io::Result<(Self, BTreeSet<u64>)> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let within = |(first, count): (u64, u64)| first.max(open.start)..first.saturating_add(count).min(open.end);
        let found: BTreeSet<u64> = bytes.chunks(SLOT).filter_map(unpack).flat_map(within).collect();
        let mut ahead = Ahead { file, entries: 0 };
        if !bytes.is_empty() {
            // What a loss of power took behind the last record has numbers that are given again.
            ahead.file.set_len(0)?;
            ahead.write(&Vec::from_iter(found.iter().copied()))?;
            ahead.file.sync_all()?;
        }
        Ok((ahead, found))
    }

    /// These are acknowledged now, in order; with them all of `acked` are.
    pub fn add(&mut self, numbers: &[u64], acked: &BTreeSet<u64>) -> std::io::Result<()> {
        if self.entries <= acked.len() + SPARE && !acked.is_empty() {
            return self.write(numbers);
        }
        self.entries = 0;
        self.write(&Vec::from_iter(acked.iter().copied()))
    }

    fn write(&mut self, numbers: &[u64]) -> std::io::Result<()> {
        let runs = numbers.chunk_by(|before, after| before + 1 == *after);
        let bytes: Vec<u8> = runs.flat_map(|run| pack(run[0], run.len() as u64)).collect();
        if bytes.is_empty() {
            return Ok(());
        }
        self.file.seek(SeekFrom::Start((self.entries * SLOT) as u64))?;
        self.file.write_all(&bytes)?;
        self.entries += bytes.len() / SLOT;
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn it_knows_what_was_added_and_does_not_grow_for_ever() {
        let path = std::env::temp_dir().join(format!("millrace-ahead-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let (mut ahead, found) = Ahead::open(&path, 0..1_000_000).unwrap();
        assert!(found.is_empty());
        // One is open all the time; each other one, then those between, then the window moves on.
        let mut acked = BTreeSet::new();
        for first in (1..100_000).step_by(100) {
            for number in (first..first + 100).step_by(2).chain((first + 1..first + 100).step_by(2)) {
                acked.insert(number);
                ahead.add(&[number], &acked).unwrap();
            }
            acked = acked.split_off(&first);
        }
        assert!(std::fs::metadata(&path).unwrap().len() < (3 * SPARE * SLOT) as u64);
        let last = *acked.last().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let (_, found) = Ahead::open(&path, last - 99..last + 1).unwrap();
        assert_eq!(found, acked);
        // A torn one is none, and no number out of the range is told, or found later.
        for end in (0..bytes.len()).step_by(997) {
            std::fs::write(&path, &bytes[..end]).unwrap();
            let (_, found) = Ahead::open(&path, last - 9..last - 4).unwrap();
            assert!(found.is_subset(&acked) && found.iter().all(|number| (last - 9..last - 4).contains(number)));
            assert_eq!(Ahead::open(&path, 0..u64::MAX).unwrap().1, found);
        }
        // With nothing ahead it begins anew.
        ahead.add(&[], &BTreeSet::new()).unwrap();
        assert_eq!(ahead.entries, 0);
        std::fs::remove_file(&path).unwrap();
    }
}
