//! Arrow files that are whole or not there: written under another name, and renamed when they are complete.
//!
//! What must hold:
//! - Under its final name a file is complete and on the disk.
//! - A batch that was written survives the end of the process: the part that a crash leaves is completed at the next
//!   opening, with all batches that were written whole.
//! - Only files of the writer's own prefix are ever touched.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arrow_buffer::Buffer;
use arrow_ipc::writer::FileWriter as IpcFileWriter;
use arrow_schema::{ArrowError, SchemaRef};
use serde::Deserialize;

use super::batch::Batch;
use super::fault::Fault;
use super::ipc::{Compression, decode_whole_messages};

/// What names a file that is not complete.
const PART: &str = "part";
const ENDING: &str = "arrow";

/// How files are written.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileOptions {
    /// All files lie in it; it is made where it is not there.
    pub folder: PathBuf,
    /// Each name begins with it.
    pub prefix: String,
    /// A file of so many bytes is complete.
    pub max_bytes: u64,
    /// A file of this age is complete.
    pub max_age_ms: Option<u64>,
    /// So many complete files stay; older ones go.
    pub keep: Option<usize>,
    /// How bodies are packed.
    #[serde(default)]
    pub compression: Compression,
}

/// A file that is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenFile {
    /// Its name in the folder.
    pub path: PathBuf,
    /// Rows in it.
    pub rows: usize,
    /// Its bytes.
    pub bytes: u64,
}

/// The file that is being written.
struct Current {
    part: PathBuf,
    schema: SchemaRef,
    writer: IpcFileWriter<Counted>,
    rows: usize,
    begun: Instant,
}

/// Counts what is written.
struct Counted {
    file: File,
    bytes: u64,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Writes batches to files of one folder.
pub struct FileWriter {
    options: FileOptions,
    current: Option<Current>,
    last_name: String,
    /// One process at a time completes the parts of a prefix.
    _lock: File,
}

pub(super) fn failed(path: &Path, error: &io::Error) -> Fault {
    if crate::disk::is_full(error) {
        return Fault::DiskFull(path.into());
    }
    Fault::File { path: path.into(), reason: error.to_string() }
}

/// What the Arrow library says of a disk.
fn unwritable(path: &Path, error: &ArrowError) -> Fault {
    match error {
        ArrowError::IoError(_, error) => failed(path, error),
        other => Fault::File { path: path.into(), reason: other.to_string() },
    }
}

impl FileWriter {
    /// Opens a folder, and completes what a crash left there.
    pub fn open(options: FileOptions) -> Result<(Self, Vec<WrittenFile>), Fault> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if options.prefix.is_empty() || !options.prefix.chars().all(plain) {
            return Err(Fault::schema("prefix", format!("'{}': letters, digits, - and _ only", options.prefix)));
        }
        fs::create_dir_all(&options.folder).map_err(|error| failed(&options.folder, &error))?;
        let lock_path = options.folder.join(format!(".{}.lock", options.prefix));
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path);
        let lock = lock.map_err(|error| failed(&lock_path, &error))?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => Fault::Locked(options.folder.clone(), options.prefix.clone()),
            fs::TryLockError::Error(error) => failed(&lock_path, &error),
        })?;
        let mut writer = FileWriter { options, current: None, last_name: String::new(), _lock: lock };
        let recovered = writer.recover()?;
        writer.retain()?;
        Ok((writer, recovered))
    }

    /// Writes a batch; the files that this completed.
    pub fn write(&mut self, batch: &Batch) -> Result<Vec<WrittenFile>, Fault> {
        let mut complete = Vec::new();
        if self.current.as_ref().is_some_and(|current| current.schema != *batch.schema()) {
            complete.extend(self.rotate()?);
        }
        // A file has one dictionary a column: a batch that brings others gets a file of its own.
        for part in batch.writable()? {
            if self.current.is_none() {
                self.current = Some(self.begin(batch.schema())?);
            }
            let Some(current) = &mut self.current else { continue };
            if current.writer.write(&part).is_err() {
                // Whether a batch was begun is not known; the new file has it whole.
                complete.extend(self.rotate()?);
                let mut fresh = self.begin(batch.schema())?;
                let tried = fresh.writer.write(&part).map_err(|error| unwritable(&fresh.part, &error));
                self.current = Some(fresh);
                tried?;
            }
            let Some(current) = &mut self.current else { continue };
            current.rows += part.num_rows();
            current.writer.flush().map_err(|error| unwritable(&current.part, &error))?;
        }
        if self.is_due() {
            complete.extend(self.rotate()?);
        }
        Ok(complete)
    }

    /// Completes a file that is old enough.
    pub fn tick(&mut self) -> Result<Option<WrittenFile>, Fault> {
        if self.is_due() { self.rotate() } else { Ok(None) }
    }

    /// Completes the file that is being written, if there is one.
    pub fn rotate(&mut self) -> Result<Option<WrittenFile>, Fault> {
        let Some(mut current) = self.current.take() else { return Ok(None) };
        if current.rows == 0 {
            drop(current.writer);
            return fs::remove_file(&current.part).map(|()| None).map_err(|error| failed(&current.part, &error));
        }
        current.writer.finish().map_err(|error| unwritable(&current.part, &error))?;
        let Counted { file, bytes } =
            current.writer.into_inner().map_err(|error| Fault::Internal(error.to_string()))?;
        file.sync_all().map_err(|error| failed(&current.part, &error))?;
        drop(file);
        let path = self.publish(&current.part)?;
        self.retain()?;
        Ok(Some(WrittenFile { path, rows: current.rows, bytes }))
    }

    fn is_due(&self) -> bool {
        let Some(current) = &self.current else { return false };
        let age = self.options.max_age_ms.map(Duration::from_millis);
        current.writer.get_ref().bytes >= self.options.max_bytes
            || age.is_some_and(|age| current.begun.elapsed() >= age)
    }

    fn begin(&mut self, schema: &SchemaRef) -> Result<Current, Fault> {
        let name = self.next_name();
        let part = self.options.folder.join(format!(".{name}.{PART}"));
        let file =
            OpenOptions::new().write(true).create_new(true).open(&part).map_err(|error| failed(&part, &error))?;
        let counted = Counted { file, bytes: 0 };
        let writer = IpcFileWriter::try_new_with_options(counted, schema, self.options.compression.options()?);
        let writer = writer.map_err(|error| {
            // A full disk needs its room.
            let _ = fs::remove_file(&part);
            unwritable(&part, &error)
        })?;
        Ok(Current { part, schema: schema.clone(), writer, rows: 0, begun: Instant::now() })
    }

    /// By time, so that names sort; never twice the same.
    fn next_name(&mut self) -> String {
        let mut ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        loop {
            let name = format!("{}-{ms:015}", self.options.prefix);
            let taken = self.options.folder.join(format!("{name}.{ENDING}")).exists();
            // The clock may have been set back.
            if !taken && name > self.last_name {
                self.last_name.clone_from(&name);
                return name;
            }
            ms += 1;
        }
    }

    fn publish(&self, part: &Path) -> Result<PathBuf, Fault> {
        let name = part.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let name = name.trim_start_matches('.').trim_end_matches(PART);
        let path = self.options.folder.join(format!("{name}{ENDING}"));
        fs::rename(part, &path).map_err(|error| failed(part, &error))?;
        // So that the new name survives a loss of power. Not every system can.
        let _ = crate::disk::sync_folder(&self.options.folder);
        Ok(path)
    }

    fn names(&self, begin: &str, ending: &str) -> Result<Vec<PathBuf>, Fault> {
        let entries = fs::read_dir(&self.options.folder).map_err(|error| failed(&self.options.folder, &error))?;
        let is_own = |name: &str| {
            let stamp = name.strip_prefix(begin).and_then(|rest| rest.strip_suffix(ending));
            stamp.is_some_and(|stamp| stamp.len() == 15 && stamp.bytes().all(|byte| byte.is_ascii_digit()))
        };
        let mut found: Vec<PathBuf> = entries
            .filter_map(Result::ok)
            .filter(|entry| entry.file_name().to_str().is_some_and(is_own))
            .map(|entry| entry.path())
            .collect();
        found.sort();
        Ok(found)
    }

    fn retain(&self) -> Result<(), Fault> {
        let Some(keep) = self.options.keep else { return Ok(()) };
        let complete = self.names(&format!("{}-", self.options.prefix), &format!(".{ENDING}"))?;
        for old in complete.iter().take(complete.len().saturating_sub(keep)) {
            fs::remove_file(old).map_err(|error| failed(old, &error))?;
        }
        Ok(())
    }

    fn recover(&mut self) -> Result<Vec<WrittenFile>, Fault> {
        // Half a new copy of a part, from a crash in the lines below.
        for stale in self.names(&format!(".{}-", self.options.prefix), ".again")? {
            fs::remove_file(&stale).map_err(|error| failed(&stale, &error))?;
        }
        let mut recovered = Vec::new();
        for part in self.names(&format!(".{}-", self.options.prefix), &format!(".{PART}"))? {
            let bytes = fs::read(&part).map_err(|error| failed(&part, &error))?;
            let batch = decode_whole_messages(Buffer::from(bytes));
            let Some(batch) = batch.filter(|batch| batch.rows() > 0) else {
                fs::remove_file(&part).map_err(|error| failed(&part, &error))?;
                continue;
            };
            let again = part.with_extension("again");
            let bytes = super::ipc::encode(&batch, super::ipc::Form::File, self.options.compression)?;
            crate::disk::write_whole(&part, &again, &bytes).map_err(|error| failed(&part, &error))?;
            let path = self.publish(&part)?;
            recovered.push(WrittenFile { path, rows: batch.rows(), bytes: bytes.len() as u64 });
        }
        Ok(recovered)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::arrow::{Reader, Unknown, convert, decode, from_declared};

    fn batch(count: usize) -> Batch {
        let schema = from_declared(r#"[{"name":"on","type":"bool"}]"#).unwrap();
        let packed = [0, 2].repeat(count);
        let (part, errors) = convert(&schema, count, &mut Reader::new(&packed, b"").unwrap(), Unknown::Refuse).unwrap();
        assert!(errors.is_empty());
        Batch::new(schema, vec![part])
    }

    fn options(folder: &Path) -> FileOptions {
        let compression = Compression::None;
        FileOptions {
            folder: folder.into(),
            prefix: "t".into(),
            max_bytes: 1 << 20,
            max_age_ms: None,
            keep: None,
            compression,
        }
    }

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("millrace-arrow-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            Folder(path)
        }

        fn files(&self) -> Vec<String> {
            let names = fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let mut names: Vec<String> = names.filter(|name| !name.ends_with(".lock")).collect();
            names.sort();
            names
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn rows(path: &Path) -> usize {
        decode(Buffer::from(fs::read(path).unwrap()), 1 << 20).unwrap().rows()
    }

    #[test]
    fn files_are_turned_over_by_size_age_and_schema_and_the_oldest_go() {
        let folder = Folder::new("rotate");
        let mut options = options(&folder.0);
        (options.max_bytes, options.keep) = (1, Some(2));
        let (mut writer, _) = FileWriter::open(options.clone()).unwrap();
        for count in 1..=4 {
            let done = writer.write(&batch(count)).unwrap();
            assert_eq!((done.len(), done[0].rows, rows(&done[0].path)), (1, count, count));
        }
        assert_eq!(folder.files().len(), 2);
        assert_eq!(writer.rotate().unwrap(), None);
        drop(writer);

        (options.max_bytes, options.max_age_ms, options.keep) = (1 << 20, Some(0), None);
        let (mut writer, _) = FileWriter::open(options.clone()).unwrap();
        assert_eq!(writer.write(&batch(3)).unwrap().len(), 1);
        assert_eq!(writer.tick().unwrap(), None);
        drop(writer);

        options.max_age_ms = None;
        let (mut writer, _) = FileWriter::open(options).unwrap();
        assert!(writer.write(&batch(3)).unwrap().is_empty());
        let other = from_declared(r#"[{"name":"off","type":"null"}]"#).unwrap();
        let (part, _) = convert(&other, 1, &mut Reader::new(&[0, 0], b"").unwrap(), Unknown::Refuse).unwrap();
        let done = writer.write(&Batch::new(other, vec![part])).unwrap();
        assert_eq!(done.iter().map(|file| file.rows).collect::<Vec<_>>(), [3]);
        assert_eq!(writer.rotate().unwrap().map(|file| file.rows), Some(1));
    }

    #[test]
    fn what_a_crash_leaves_is_completed_up_to_the_last_whole_batch() {
        let folder = Folder::new("crash");
        let (mut writer, recovered) = FileWriter::open(options(&folder.0)).unwrap();
        assert!(recovered.is_empty());
        writer.write(&batch(5)).unwrap();
        writer.write(&batch(7)).unwrap();
        let [part] = &folder.files()[..] else { panic!("one part") };
        let (part, bytes) = (folder.0.join(part), fs::read(folder.0.join(part)).unwrap());
        // The lock ends with it; the part is put back as a crash would have left it.
        drop(writer);
        let mut seen = std::collections::BTreeSet::new();
        for end in 0..=bytes.len() {
            fs::write(&part, &bytes[..end]).unwrap();
            let (writer, recovered) = FileWriter::open(options(&folder.0)).unwrap();
            let count = recovered.first().map_or(0, |file| file.rows);
            assert!([0, 5, 12].contains(&count) && recovered.len() == usize::from(count > 0), "{end}: {count}");
            for file in recovered {
                assert_eq!(rows(&file.path), file.rows);
                fs::remove_file(file.path).unwrap();
            }
            drop(writer);
            assert!(folder.files().is_empty(), "{end}: {:?}", folder.files());
            seen.insert(count);
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [0, 5, 12]);
    }

    #[test]
    fn one_at_a_time_and_only_by_plain_names() {
        let folder = Folder::new("lock");
        let (_writer, _) = FileWriter::open(options(&folder.0)).unwrap();
        assert!(matches!(FileWriter::open(options(&folder.0)), Err(Fault::Locked(..))));
        for prefix in ["", "../x", "a/b", "a.b"] {
            let wrong = FileOptions { prefix: prefix.into(), ..options(&folder.0) };
            assert!(matches!(FileWriter::open(wrong), Err(Fault::Schema { .. })));
        }
        let file = folder.0.join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(FileWriter::open(options(&file)), Err(Fault::File { .. })));
    }
}
