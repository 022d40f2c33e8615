//! A segment: one file of records, named by the number of the first.
//!
//! ```text
//! record = length u32 | number u64 | time i64 (ms since the epoch) | xxh3 u64 of all that | data
//! ```
//!
//! Numbers are little-endian, and rise by one. There is no header: an empty file is an empty segment.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

/// Bytes before a record's data.
pub const HEAD: usize = 28;
const SUMMED: usize = 20;
const ENDING: &str = "spool";

/// A record on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number.
    pub seq: u64,
    /// When it came, ms since the epoch.
    pub at_ms: i64,
    /// What was appended.
    pub data: Vec<u8>,
}

/// What is known of a segment without reading it.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    pub path: Arc<Path>,
    /// The first record's number.
    pub first: u64,
    /// Behind the last record's.
    pub next: u64,
    pub bytes: u64,
}

pub fn encode(out: &mut Vec<u8>, seq: u64, at_ms: i64, data: &[u8]) {
    let start = out.len();
    out.extend_from_slice(&(data.len() as u32).to_le_bytes());
    out.extend_from_slice(&seq.to_le_bytes());
    out.extend_from_slice(&at_ms.to_le_bytes());
    let sum = sum(&out[start..], data);
    out.extend_from_slice(&sum.to_le_bytes());
    out.extend_from_slice(data);
}

/// A record's beginning.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    pub len: usize,
    pub seq: u64,
    pub at_ms: i64,
    sum: u64,
    summed: [u8; SUMMED],
}

impl Head {
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let head = bytes.get(..HEAD)?;
        Some(Head {
            len: u32::from_le_bytes(head[..4].try_into().ok()?) as usize,
            seq: u64::from_le_bytes(head[4..12].try_into().ok()?),
            at_ms: i64::from_le_bytes(head[12..20].try_into().ok()?),
            sum: u64::from_le_bytes(head[20..].try_into().ok()?),
            summed: head[..SUMMED].try_into().ok()?,
        })
    }

    pub fn fits(&self, data: &[u8]) -> bool {
        self.len == data.len() && sum(&self.summed, data) == self.sum
    }
}

/// Whether somebody deleted it while it is open.
pub fn is_removed(file: &File) -> bool {
    #[cfg(unix)]
    return file.metadata().is_ok_and(|told| std::os::unix::fs::MetadataExt::nlink(&told) == 0);
    // Elsewhere an open file cannot be.
    #[cfg(not(unix))]
    return false;
}

/// The valid record at the beginning of some bytes.
pub fn record(bytes: &[u8]) -> Option<Head> {
    let head = Head::of(bytes)?;
    let data = bytes.get(HEAD..HEAD.checked_add(head.len)?)?;
    head.fits(data).then_some(head)
}

fn sum(head: &[u8], data: &[u8]) -> u64 {
    let mut sum = Xxh3::new();
    sum.update(head);
    sum.update(data);
    sum.digest()
}

pub fn create(folder: &Path, first: u64) -> std::io::Result<(Segment, File)> {
    let path = folder.join(format!("{first:020}.{ENDING}"));
    let file = OpenOptions::new().create(true).append(true).open(&path)?;
    // One that an earlier failure left behind holds nothing that anyone was told of.
    file.set_len(0)?;
    crate::disk::sync_folder(folder)?;
    Ok((Segment { path: path.into(), first, next: first, bytes: 0 }, file))
}

/// The segments of a folder, by the numbers in their names.
pub fn list(folder: &Path) -> std::io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let stem = path.file_stem().filter(|_| path.extension().is_some_and(|it| it == ENDING));
        if let Some(first) = stem.and_then(|stem| stem.to_str()?.parse().ok()) {
            found.push((first, path));
        }
    }
    found.sort_unstable();
    Ok(found)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_known_by_its_sum() {
        let mut bytes = Vec::new();
        encode(&mut bytes, 7, -1, b"hello");
        encode(&mut bytes, 8, 2, b"");
        let head = record(&bytes).unwrap();
        assert_eq!((head.len, head.seq, head.at_ms), (5, 7, -1));
        assert_eq!(record(&bytes[HEAD + 5..]).unwrap().seq, 8);
        for place in 0..HEAD + 5 {
            let mut broken = bytes.clone();
            broken[place] ^= 1;
            assert!(record(&broken).is_none(), "byte {place}");
        }
        assert!(record(&bytes[..HEAD + 4]).is_none());
        assert!(record(&[]).is_none());
    }
}
