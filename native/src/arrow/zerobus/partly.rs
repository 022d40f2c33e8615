//! Which rows are still to arrive of the spool's batches of which some have, in a file beside the spool:
//!
//! ```text
//! xxh3 u64 of the rest | JSON: [[number of the batch, its sum, [[first row, count], …]], …]
//! ```
//!
//! The file is whole, or not there, and what it says of a batch holds for just these bytes. Where it is lost, rows are sent again.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::disk::write_whole;
use crate::spool::Record;

const NAME: &str = "partly";
const SUM: usize = 8;

type Entry = (u64, u64, Vec<(usize, usize)>);

pub(super) struct Partly {
    path: PathBuf,
    /// By the number of the batch: its sum, and its rows.
    open: BTreeMap<u64, (u64, Vec<usize>)>,
}

impl Partly {
    pub(super) fn open(spool: &Path) -> Self {
        let path = spool.join(NAME);
        let entries = std::fs::read(&path).ok().and_then(|bytes| entries_of(&bytes)).unwrap_or_default();
        let open = entries.into_iter().map(|(seq, sum, runs)| (seq, (sum, rows_of(&runs))));
        Partly { path, open: open.collect() }
    }

    /// The rows of a batch that are open, where some have arrived.
    pub(super) fn rows(&self, seq: u64, sum: u64) -> Option<&[usize]> {
        self.open.get(&seq).filter(|(of, _)| *of == sum).map(|(_, rows)| &rows[..])
    }

    /// These are open of a batch, and no others.
    pub(super) fn put(&mut self, seq: u64, sum: u64, rows: Vec<usize>) -> std::io::Result<()> {
        self.open.insert(seq, (sum, rows));
        self.write()
    }

    /// Only these batches are there.
    pub(super) fn retain(&mut self, is_there: impl Fn(u64) -> bool) -> std::io::Result<()> {
        let before = self.open.len();
        self.open.retain(|&seq, _| is_there(seq));
        if self.open.len() < before { self.write() } else { Ok(()) }
    }

    fn write(&self) -> std::io::Result<()> {
        if self.open.is_empty() {
            return match std::fs::remove_file(&self.path) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        let entries = self.open.iter().map(|(&seq, (sum, rows))| (seq, *sum, runs(rows).collect()));
        let text = serde_json::to_vec(&entries.collect::<Vec<Entry>>())?;
        let bytes = [&xxh3_64(&text).to_le_bytes()[..], &text].concat();
        write_whole(&self.path, &self.path.with_extension("part"), &bytes)
    }
}

/// What tells a batch from another that has its number in a spool that was made anew.
pub(super) fn sum_of(record: &Record) -> u64 {
    xxh3_64_with_seed(&record.data, record.at_ms as u64)
}

/// Numbers that follow each other: the first, and how many.
pub(super) fn runs(rows: &[usize]) -> impl Iterator<Item = (usize, usize)> {
    rows.chunk_by(|before, after| before + 1 == *after).map(|run| (run[0], run.len()))
}

fn rows_of(runs: &[(usize, usize)]) -> Vec<usize> {
    runs.iter().flat_map(|&(first, count)| first..first + count).collect()
}

fn entries_of(bytes: &[u8]) -> Option<Vec<Entry>> {
    let (sum, text) = bytes.split_at_checked(SUM)?;
    let whole = xxh3_64(text).to_le_bytes() == sum;
    whole.then(|| serde_json::from_slice(text).ok()).flatten()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_it_says_is_whole_and_of_just_this_batch() {
        let folder = std::env::temp_dir().join(format!("millrace-partly-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut partly = Partly::open(&folder);
        partly.put(7, 70, vec![1, 2, 3, 9]).unwrap();
        partly.put(8, 80, vec![5]).unwrap();
        let again = Partly::open(&folder);
        assert_eq!((again.rows(7, 70), again.rows(8, 80)), (Some(&[1, 2, 3, 9][..]), Some(&[5][..])));
        assert_eq!((again.rows(7, 71), again.rows(9, 70)), (None, None));
        let path = folder.join(NAME);
        let bytes = std::fs::read(&path).unwrap();
        for place in 0..bytes.len() {
            let mut broken = bytes.clone();
            broken[place] ^= 1;
            std::fs::write(&path, &broken).unwrap();
            assert!(Partly::open(&folder).rows(7, 70).is_none(), "byte {place}");
            std::fs::write(&path, &bytes[..place]).unwrap();
            assert!(Partly::open(&folder).rows(7, 70).is_none(), "up to byte {place}");
        }
        partly.retain(|seq| seq == 8).unwrap();
        let again = Partly::open(&folder);
        assert_eq!((again.rows(7, 70), again.rows(8, 80)), (None, Some(&[5][..])));
        for _ in 0..2 {
            partly.retain(|_| false).unwrap();
            assert!(!path.exists());
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
