//! Rows that Zerobus does not take, in files beside the spool: `<batch>-<first row>.arrow`, and why in a `.json`. A
//! batch that cannot be read any more lies there as it was in the spool: `<batch>.bin`.
//!
//! A file is whole, or not there, and never changes. There are so many of them at most, and so many bytes: the oldest go.

use std::fs::{read, read_dir, remove_file};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::SendError;
use super::report::FailedRows;
use crate::arrow::{Batch, Compression, Form, encode};
use crate::disk::{make_folder, sync_folder, write_whole};
use crate::error::HasCode;
use crate::spool::failed;

/// So many files stay.
const MAX_FILES: usize = 1000;
/// Of the spool's own bytes, this part may lie beside it.
const PART: u64 = 4;
/// Rows.
const ROWS: &str = "arrow";
/// What should be rows.
const RAW: &str = "bin";

pub(super) struct Aside {
    folder: PathBuf,
    max_bytes: u64,
    rows: AtomicU64,
    unreadable: AtomicU64,
}

impl Aside {
    pub(super) fn new(spool: &Path, spool_bytes: u64) -> Self {
        let (rows, unreadable) = (AtomicU64::new(0), AtomicU64::new(0));
        Aside { folder: spool.join("rejected"), max_bytes: spool_bytes / PART, rows, unreadable }
    }

    /// Rows that were put here.
    pub(super) fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Batches that were put here because they cannot be read.
    pub(super) fn unreadable(&self) -> u64 {
        self.unreadable.load(Ordering::Relaxed)
    }

    /// Puts rows of the batch with this number here; `first` is the number of the first of them in it. Done when they are
    /// on the disk.
    pub(super) fn put(&self, seq: u64, first: usize, rows: &Batch, why: &[FailedRows]) -> Result<(), SendError> {
        let bytes = encode(rows, Form::File, Compression::Lz4)?;
        self.keep(&format!("{seq}-{first}"), ROWS, &bytes, why)?;
        self.rows.fetch_add(rows.rows() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Puts what should be the batch with this number here. Done when it is on the disk.
    pub(super) fn put_raw(&self, seq: u64, bytes: &[u8], error: &SendError) -> Result<(), SendError> {
        let why = FailedRows { first: 0, count: 0, code: error.code(), message: error.to_string() };
        self.keep(&seq.to_string(), RAW, bytes, &[why])?;
        self.unreadable.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn keep(&self, name: &str, ending: &str, bytes: &[u8], why: &[FailedRows]) -> Result<(), SendError> {
        let reasons = serde_json::to_vec(why).map_err(|error| SendError::Internal(error.to_string()))?;
        let write = || {
            make_folder(&self.folder)?;
            if let Some(path) = self.free(name, ending, bytes) {
                for (path, bytes) in [(path.with_extension("json"), &reasons[..]), (path, bytes)] {
                    write_whole(&path, &path.with_extension("part"), bytes)?;
                }
            }
            sync_folder(&self.folder)
        };
        write().map_err(|error| failed(&self.folder, &error))?;
        // What is safe is not made unsafe by an old file that does not go.
        let _ = self.retain();
        Ok(())
    }

    /// A name that nothing has yet: other rows of the batch may have been put here before. None where a file has just
    /// these bytes, as after a crash.
    fn free(&self, name: &str, ending: &str, bytes: &[u8]) -> Option<PathBuf> {
        let again = (2..).map(|number| format!("{name}-{number}.{ending}"));
        let mut paths = std::iter::once(format!("{name}.{ending}")).chain(again).map(|name| self.folder.join(name));
        let taken = paths.find(|path| read(path).is_ok_and(|there| there == bytes) || !path.exists())?;
        (!taken.exists()).then_some(taken)
    }

    /// The newest stay, and the very last in any case.
    fn retain(&self) -> std::io::Result<()> {
        let mut files: Vec<(Vec<u64>, PathBuf, u64)> = Vec::new();
        for entry in read_dir(&self.folder)? {
            let entry = entry?;
            let path = entry.path();
            if let Some(place) = place_of(&path) {
                files.push((place, path, entry.metadata()?.len()));
            }
        }
        files.sort_unstable_by(|(one, ..), (other, ..)| other.cmp(one));
        let mut bytes = 0;
        for (number, (_, path, size)) in files.into_iter().enumerate() {
            bytes += size;
            if number >= MAX_FILES || (number > 0 && bytes > self.max_bytes) {
                // In this order: what is left of a crash goes the next time.
                let _ = remove_file(path.with_extension("json"));
                remove_file(path)?;
            }
        }
        Ok(())
    }
}

/// By the number of the batch, of its first row, and how often it came.
fn place_of(path: &Path) -> Option<Vec<u64>> {
    let ours = path.extension().is_some_and(|it| it == ROWS || it == RAW);
    let name = path.file_stem().filter(|_| ours)?.to_str()?;
    name.split('-').map(|number| number.parse().ok()).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, RecordBatch};

    use super::*;
    use crate::error::{ErrorCode, HasCode};

    fn rows(count: i64) -> Batch {
        let numbers: ArrayRef =
            Arc::new(Int64Array::from_iter_values((0..count).map(|it| it.wrapping_mul(7919) ^ it << 40)));
        let batch = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
        Batch::new(batch.schema(), vec![batch])
    }

    fn why(count: usize) -> Vec<FailedRows> {
        vec![FailedRows { first: 0, count, code: ErrorCode::TooLarge, message: "no".into() }]
    }

    #[test]
    fn the_oldest_go_by_bytes_and_by_number() {
        let spool = std::env::temp_dir().join(format!("millrace-aside-{}", std::process::id()));
        let size = encode(&rows(1000), Form::File, Compression::Lz4).unwrap().len() as u64;
        let aside = Aside::new(&spool, 3 * size * PART);
        let files = || {
            let found =
                read_dir(spool.join("rejected")).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap());
            let mut found: Vec<String> = found.collect();
            found.sort();
            found
        };
        for seq in 8..12 {
            aside.put(seq, 0, &rows(1000), &why(1000)).unwrap();
        }
        assert_eq!(aside.rows(), 4000);
        assert_eq!(files(), ["10-0.arrow", "10-0.json", "11-0.arrow", "11-0.json", "9-0.arrow", "9-0.json"]);
        let reasons = std::fs::read_to_string(spool.join("rejected/9-0.json")).unwrap();
        assert_eq!(reasons, r#"[{"first":0,"count":1000,"code":"TOO_LARGE","message":"no"}]"#);
        // One that is larger than all the room stays alone.
        aside.put(11, 500, &rows(100_000), &why(100_000)).unwrap();
        assert_eq!(files(), ["11-500.arrow", "11-500.json"]);
        let many = Aside::new(&spool, u64::MAX);
        for seq in 0..MAX_FILES as u64 {
            std::fs::write(spool.join(format!("rejected/{}-0.arrow", 20 + seq)), "").unwrap();
        }
        many.put(2000, 0, &rows(1), &why(1)).unwrap();
        let left = files().iter().filter(|name| name.ends_with(".arrow")).count();
        assert_eq!((left, files().contains(&"20-0.arrow".into())), (MAX_FILES, false));
        // What cannot be read counts as well.
        many.put_raw(3000, b"no rows", &SendError::Internal("no".into())).unwrap();
        let left = files().iter().filter(|name| !name.ends_with(".json")).count();
        assert_eq!((left, files().contains(&"21-0.arrow".into()), many.unreadable()), (MAX_FILES, false, 1));
        assert_eq!(std::fs::read(spool.join("rejected/3000.bin")).unwrap(), b"no rows");
        assert!(std::fs::read_to_string(spool.join("rejected/3000.json")).unwrap().contains(r#""code":"INTERNAL""#));
        std::fs::remove_dir_all(&spool).unwrap();
        // A file where the folder should be.
        std::fs::create_dir(&spool).unwrap();
        std::fs::write(spool.join("rejected"), "").unwrap();
        assert_eq!(many.put(0, 0, &rows(1), &why(1)).unwrap_err().code(), ErrorCode::StoreFailed);
        std::fs::remove_dir_all(&spool).unwrap();
    }

    #[test]
    fn nothing_is_written_over() {
        let spool = std::env::temp_dir().join(format!("millrace-aside-again-{}", std::process::id()));
        let aside = Aside::new(&spool, u64::MAX);
        let count = |name: &str| {
            let bytes = std::fs::read(spool.join("rejected").join(name)).unwrap();
            crate::arrow::decode(arrow_buffer::Buffer::from(bytes), 1 << 20).unwrap().rows()
        };
        // The same batch, with more of its rows each time; and what a crash left, once more.
        for rows_of in [1, 2, 3, 2] {
            aside.put(0, 5, &rows(rows_of), &why(1)).unwrap();
        }
        assert_eq!(["0-5.arrow", "0-5-2.arrow", "0-5-3.arrow"].map(count), [1, 2, 3]);
        let files = read_dir(spool.join("rejected")).unwrap().count();
        assert_eq!((files, aside.rows()), (6, 8));
        std::fs::remove_dir_all(&spool).unwrap();
    }
}
