//! Rows that Zerobus does not take, in files beside the spool: `<batch>-<first row>.arrow`, and why in a `.json`.
//!
//! A file is whole, or not there. There are so many of them at most, and so many bytes: the oldest go.

use std::fs::{File, read_dir, remove_file, rename};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::SendError;
use super::report::FailedRows;
use crate::arrow::{Batch, Compression, Form, encode};
use crate::spool::failed;

/// So many files stay.
const MAX_FILES: usize = 1000;
/// Of the spool's own bytes, this part may lie beside it.
const PART: u64 = 4;

pub(super) struct Aside {
    folder: PathBuf,
    max_bytes: u64,
    rows: AtomicU64,
}

impl Aside {
    pub(super) fn new(spool: &Path, spool_bytes: u64) -> Self {
        Aside { folder: spool.join("rejected"), max_bytes: spool_bytes / PART, rows: AtomicU64::new(0) }
    }

    /// Rows that were put here.
    pub(super) fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Puts rows of the batch with this number here; `first` is the number of the first of them in it. Done when they are
    /// on the disk.
    pub(super) fn put(&self, seq: u64, first: usize, rows: &Batch, why: &[FailedRows]) -> Result<(), SendError> {
        let bytes = encode(rows, Form::File, Compression::Lz4)?;
        let reasons = serde_json::to_vec(why).map_err(|error| SendError::Internal(error.to_string()))?;
        let path = |kind: &str| self.folder.join(format!("{seq}-{first}.{kind}"));
        let written = std::fs::create_dir_all(&self.folder)
            .and_then(|()| write(&path("json"), &reasons))
            .and_then(|()| write(&path("arrow"), &bytes));
        written.map_err(|error| failed(&self.folder, &error))?;
        self.rows.fetch_add(rows.rows() as u64, Ordering::Relaxed);
        // What is safe is not made unsafe by an old file that does not go.
        let _ = self.retain();
        Ok(())
    }

    /// The newest stay, and the very last in any case.
    fn retain(&self) -> std::io::Result<()> {
        let mut files: Vec<((u64, u64), PathBuf, u64)> = Vec::new();
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

/// By the number of the batch, and of its first row.
fn place_of(path: &Path) -> Option<(u64, u64)> {
    let (seq, first) = path.file_name()?.to_str()?.strip_suffix(".arrow")?.split_once('-')?;
    Some((seq.parse().ok()?, first.parse().ok()?))
}

fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let part = path.with_extension("part");
    let written = File::create(&part).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    // A full disk needs its room.
    written.inspect_err(|_| drop(remove_file(&part)))?;
    rename(part, path)
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
        std::fs::remove_dir_all(&spool).unwrap();
        // A file where the folder should be.
        std::fs::create_dir(&spool).unwrap();
        std::fs::write(spool.join("rejected"), "").unwrap();
        assert_eq!(many.put(0, 0, &rows(1), &why(1)).unwrap_err().code(), ErrorCode::StoreFailed);
        std::fs::remove_dir_all(&spool).unwrap();
    }
}
