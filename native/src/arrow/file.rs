//! Arrow files that are whole or not there: written under another name, and renamed when they are complete.
//!
//! What must hold:
//! - Under its final name a file is complete and on the disk.
//! - A batch that was written survives the end of the process: the part that a crash leaves is completed at the next
//!   opening, with all batches that were written whole. What is damaged stays beside it, under another name.
//! - A write that fails leaves nothing of its batch behind: it can be tried again.
//! - Only files of the writer's own prefix are ever touched.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::writer::FileWriter as IpcFileWriter;
use arrow_schema::{ArrowError, SchemaRef};
use serde::Deserialize;

use super::batch::Batch;
use super::fault::Fault;
use super::ipc::Compression;
use super::part::Part;

/// What names a file that is not complete.
const PART: &str = "part";
/// And one that cannot be read to its end.
const DAMAGED: &str = "damaged";
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

/// What a crash left.
#[derive(Clone, Debug, Default)]
pub struct Recovered {
    /// Completed with what is whole.
    pub files: Vec<WrittenFile>,
    /// Kept as they were: they cannot be read to their end.
    pub damaged: Vec<PathBuf>,
}

/// The file that is being written.
struct Current {
    part: PathBuf,
    schema: SchemaRef,
    writer: IpcFileWriter<Counted>,
    /// In the batches that are whole.
    rows: usize,
    /// Their last byte.
    end: u64,
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
    /// Could not be written on, or not be completed: it is, up to these bytes, as soon as that can be.
    torn: Option<(PathBuf, u64)>,
    /// Those that nobody was told of yet.
    complete: Vec<WrittenFile>,
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
    pub fn open(options: FileOptions) -> Result<(Self, Recovered), Fault> {
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
        let writer = FileWriter {
            options,
            current: None,
            torn: None,
            complete: Vec::new(),
            last_name: String::new(),
            _lock: lock,
        };
        let recovered = writer.recover()?;
        writer.retain()?;
        Ok((writer, recovered))
    }

    /// Writes a batch; the files that were completed since the last call. Where it fails nothing of the batch is written.
    pub fn write(&mut self, batch: &Batch) -> Result<Vec<WrittenFile>, Fault> {
        self.mend()?;
        if self.current.as_ref().is_some_and(|current| current.schema != *batch.schema()) {
            self.finish()?;
        }
        for part in batch.writable()? {
            if let Err(fault) = self.add(batch.schema(), &part) {
                self.tear();
                return Err(fault);
            }
        }
        if let Some(current) = &mut self.current {
            (current.rows, current.end) = (current.rows + batch.rows(), current.writer.get_ref().bytes);
        }
        if self.is_due() {
            // The batch is written: the next call tries again, and tells.
            let _ = self.finish();
        }
        Ok(std::mem::take(&mut self.complete))
    }

    /// Completes a file that is old enough, or failed before.
    pub fn tick(&mut self) -> Result<Vec<WrittenFile>, Fault> {
        self.mend()?;
        if self.is_due() {
            self.finish()?;
        }
        Ok(std::mem::take(&mut self.complete))
    }

    /// Completes the file that is being written, if there is one.
    pub fn rotate(&mut self) -> Result<Vec<WrittenFile>, Fault> {
        self.mend()?;
        self.finish()?;
        Ok(std::mem::take(&mut self.complete))
    }

    fn add(&mut self, schema: &SchemaRef, part: &RecordBatch) -> Result<(), Fault> {
        for _ in 0..2 {
            if self.current.is_none() {
                self.current = Some(self.begin(schema)?);
            }
            let Some(current) = &mut self.current else { break };
            match current.writer.write(part) {
                Ok(()) => return Ok(()),
                // A file has one dictionary a column: a batch that brings others gets a file of its own.
                Err(ArrowError::InvalidArgumentError(_)) if current.rows > 0 => self.finish()?,
                Err(error) => return Err(unwritable(&current.part, &error)),
            }
        }
        Err(Fault::Internal("a batch fits into no file".into()))
    }

    fn finish(&mut self) -> Result<(), Fault> {
        let Some(current) = &mut self.current else { return Ok(()) };
        let written = current.writer.finish().map_err(|error| unwritable(&current.part, &error));
        let synced = written.and_then(|()| {
            let Counted { file, bytes } = current.writer.get_ref();
            file.sync_all().map_err(|error| failed(&current.part, &error))?;
            Ok((current.part.clone(), current.rows, *bytes))
        });
        let published =
            synced.and_then(|(part, rows, bytes)| Ok(WrittenFile { path: self.publish(&part)?, rows, bytes }));
        match published {
            Ok(file) => {
                self.current = None;
                self.complete.push(file);
                // What does not go is told when the next file is begun.
                let _ = self.retain();
                Ok(())
            }
            Err(fault) => {
                self.tear();
                Err(fault)
            }
        }
    }

    /// The file cannot be written on: back to the last batch that is whole.
    fn tear(&mut self) {
        let Some(current) = self.current.take() else { return };
        if current.rows == 0 {
            // What is left of it has no rows, and goes at the next opening.
            let _ = fs::remove_file(&current.part);
        } else {
            self.torn = Some((current.part, current.end));
        }
    }

    /// Completes what was torn.
    fn mend(&mut self) -> Result<(), Fault> {
        let Some((part, end)) = &self.torn else { return Ok(()) };
        let (file, _) = self.recover_part(part, Some(*end))?;
        self.torn = None;
        self.complete.extend(file);
        Ok(())
    }

    fn is_due(&self) -> bool {
        let Some(current) = &self.current else { return false };
        let age = self.options.max_age_ms.map(Duration::from_millis);
        current.writer.get_ref().bytes >= self.options.max_bytes
            || age.is_some_and(|age| current.begun.elapsed() >= age)
    }

    fn begin(&mut self, schema: &SchemaRef) -> Result<Current, Fault> {
        self.retain()?;
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
        Ok(Current { part, schema: schema.clone(), writer, rows: 0, end: 0, begun: Instant::now() })
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
        let path = self.options.folder.join(name.trim_start_matches('.')).with_extension(ENDING);
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

    fn recover(&self) -> Result<Recovered, Fault> {
        // Half a copy of a part, from a crash in the lines below.
        for stale in self.names(&format!(".{}-", self.options.prefix), ".again")? {
            fs::remove_file(&stale).map_err(|error| failed(&stale, &error))?;
        }
        let mut recovered = Recovered::default();
        for part in self.names(&format!(".{}-", self.options.prefix), &format!(".{PART}"))? {
            let (file, damaged) = self.recover_part(&part, None)?;
            recovered.files.extend(file);
            recovered.damaged.extend(damaged);
        }
        Ok(recovered)
    }

    /// Completes a part with all of it, or of its first bytes, that is whole; none where there are no rows. A damaged one
    /// stays beside it: what is in it may yet be worth something to somebody.
    fn recover_part(&self, part: &Path, end: Option<u64>) -> Result<(Option<WrittenFile>, Option<PathBuf>), Fault> {
        let unusable = |error: io::Error| failed(part, &error);
        let mut bytes = fs::read(part).map_err(unusable)?;
        bytes.truncate(end.map_or(usize::MAX, |end| end as usize));
        let bytes = Buffer::from(bytes);
        let found = Part::of(&bytes);
        if !found.is_damaged {
            if found.rows == 0 {
                fs::remove_file(part).map_err(unusable)?;
                return Ok((None, None));
            }
            let mut file = OpenOptions::new().write(true).open(part).map_err(unusable)?;
            let size = found.complete(&mut file).map_err(unusable)?;
            let path = self.publish(part)?;
            return Ok((Some(WrittenFile { path, rows: found.rows, bytes: size }), None));
        }
        let file = if found.rows == 0 { None } else { Some(self.copy_whole(part, &bytes, &found)?) };
        let name = part.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let damaged = self.options.folder.join(name.trim_start_matches('.')).with_extension(DAMAGED);
        fs::rename(part, &damaged).map_err(unusable)?;
        Ok((file, Some(damaged)))
    }

    /// What is whole of a damaged part, as a file of its own.
    fn copy_whole(&self, part: &Path, bytes: &[u8], found: &Part) -> Result<WrittenFile, Fault> {
        let again = part.with_extension("again");
        let write = || {
            let mut file = File::create(&again)?;
            file.write_all(&bytes[..found.end])?;
            found.complete(&mut file)
        };
        let size = write().map_err(|error| {
            // A full disk needs its room.
            let _ = fs::remove_file(&again);
            failed(&again, &error)
        })?;
        Ok(WrittenFile { path: self.publish(&again)?, rows: found.rows, bytes: size })
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

    /// What each packed buffer begins with.
    const LZ4: [u8; 4] = 0x184d_2204_u32.to_le_bytes();

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
        assert_eq!(writer.rotate().unwrap(), []);
        drop(writer);

        (options.max_bytes, options.max_age_ms, options.keep) = (1 << 20, Some(0), None);
        let (mut writer, _) = FileWriter::open(options.clone()).unwrap();
        assert_eq!(writer.write(&batch(3)).unwrap().len(), 1);
        assert_eq!(writer.tick().unwrap(), []);
        drop(writer);

        options.max_age_ms = None;
        let (mut writer, _) = FileWriter::open(options).unwrap();
        assert!(writer.write(&batch(3)).unwrap().is_empty());
        let other = from_declared(r#"[{"name":"off","type":"null"}]"#).unwrap();
        let (part, _) = convert(&other, 1, &mut Reader::new(&[0, 0], b"").unwrap(), Unknown::Refuse).unwrap();
        let done = writer.write(&Batch::new(other, vec![part])).unwrap();
        assert_eq!(done.iter().map(|file| file.rows).collect::<Vec<_>>(), [3]);
        assert_eq!(writer.rotate().unwrap()[0].rows, 1);
    }

    #[test]
    fn what_a_crash_leaves_is_completed_up_to_the_last_whole_batch() {
        let folder = Folder::new("crash");
        let (mut writer, recovered) = FileWriter::open(options(&folder.0)).unwrap();
        assert!(recovered.files.is_empty());
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
            let count = recovered.files.first().map_or(0, |file| file.rows);
            let files = recovered.files.len();
            assert!([0, 5, 12].contains(&count) && files == usize::from(count > 0), "{end}: {count}");
            assert!(recovered.damaged.is_empty(), "{end}");
            for file in recovered.files {
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
    fn a_damaged_part_gives_what_is_before_the_damage_and_stays() {
        let folder = Folder::new("damaged");
        let packed = FileOptions { compression: Compression::Lz4, ..options(&folder.0) };
        for options in [options(&folder.0), packed] {
            let (mut writer, _) = FileWriter::open(options.clone()).unwrap();
            let mut ends = Vec::new();
            for count in [5000, 7000, 9000] {
                writer.write(&batch(count)).unwrap();
                ends.push(writer.current.as_ref().unwrap().end as usize);
            }
            let [part] = &folder.files()[..] else { panic!("one part") };
            let (part, bytes) = (folder.0.join(part), fs::read(folder.0.join(part)).unwrap());
            drop(writer);
            // Its lengths hold, and what is in it does not; what begins no message.
            let message = |at: usize| at + 16..at + 24;
            let mut cases = vec![(message(ends[0]), 5000), (message(ends[1]), 12000), (ends[1]..ends[1] + 4, 12000)];
            // A body that does not unpack.
            let frame =
                |from: usize| bytes[from..].windows(4).position(|it| it == LZ4).map(|at| from + at..from + at + 4);
            for (from, rows_left) in [(0, 0), (ends[0], 5000), (ends[1], 12000)] {
                cases.extend(frame(from).map(|damage| (damage, rows_left)));
            }
            assert_eq!(cases.len(), if options.compression == Compression::Lz4 { 6 } else { 3 });
            for (damage, rows_left) in cases {
                let mut bytes = bytes.clone();
                bytes[damage].fill(0xa5);
                fs::write(&part, &bytes).unwrap();
                let (writer, Recovered { files, damaged }) = FileWriter::open(options.clone()).unwrap();
                let told: Vec<usize> = files.iter().map(|file| file.rows).collect();
                let there: Vec<usize> = files.iter().map(|file| rows(&file.path)).collect();
                let whole: Vec<usize> = Some(rows_left).filter(|&rows| rows > 0).into_iter().collect();
                assert_eq!((told, there, fs::read(&damaged[0]).unwrap()), (whole.clone(), whole, bytes));
                drop(writer);
                fs::remove_file(&damaged[0]).unwrap();
                files.iter().for_each(|file| fs::remove_file(&file.path).unwrap());
                assert!(folder.files().is_empty());
            }
            // What was never written to.
            let mut nothing = bytes.clone();
            nothing[ends[0]..].fill(0);
            fs::write(&part, &nothing).unwrap();
            let (writer, Recovered { files, damaged }) = FileWriter::open(options.clone()).unwrap();
            assert_eq!((files[0].rows, damaged), (5000, Vec::<PathBuf>::new()));
            drop(writer);
            fs::remove_file(&files[0].path).unwrap();
            // With the schema all is gone, and not thrown away.
            let mut bytes = bytes;
            bytes[16..32].fill(0xa5);
            fs::write(&part, &bytes).unwrap();
            let (_, Recovered { files, damaged }) = FileWriter::open(options).unwrap();
            assert_eq!((files, fs::read(&damaged[0]).unwrap()), (Vec::new(), bytes));
            fs::remove_file(&damaged[0]).unwrap();
        }
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
