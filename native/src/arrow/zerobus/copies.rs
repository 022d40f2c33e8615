//! Copies of what is sent, for looking at: Arrow files, and Protobuf records with their descriptor.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::SendError;
use super::config::ZerobusConfig;
use crate::arrow::file::failed;
use crate::arrow::proto::varint;
use crate::arrow::{Batch, Compression, Descriptor, FileOptions, FileWriter, RowError};

const MAX_FILE_BYTES: u64 = 64 << 20;
const KEEP: usize = 10;
const FLUSH: Duration = Duration::from_secs(5);

pub(super) struct Copies {
    arrow: Option<Files>,
    protobuf: Option<Records>,
}

impl Copies {
    /// None where none are wanted.
    pub(super) fn open(config: &ZerobusConfig) -> Result<Option<Self>, SendError> {
        let debug = &config.debug;
        let Some(folder) = debug.folder.as_ref().filter(|_| debug.arrow || debug.protobuf) else { return Ok(None) };
        let prefix = config.table.replace('.', "_");
        let max_bytes = debug.max_file_bytes.unwrap_or(MAX_FILE_BYTES);
        let age = age_of(config);
        let keep = debug.keep.unwrap_or(KEEP);
        let arrow = if debug.arrow {
            let options = FileOptions {
                folder: folder.join("arrow"),
                prefix: prefix.clone(),
                max_bytes,
                max_age_ms: Some(age.as_millis() as u64),
                keep: Some(keep),
                compression: Compression::None,
            };
            Some(Files { options, open: None })
        } else {
            None
        };
        let folder = folder.join("protobuf");
        let protobuf = debug.protobuf.then_some(Records { folder, prefix, max_bytes, age, keep, open: None });
        Ok(Some(Copies { arrow, protobuf }))
    }

    /// Tells of rows that have no form in which they could be copied.
    pub(super) fn write(&mut self, batch: &Batch) -> Result<Vec<RowError>, SendError> {
        if let Some(arrow) = &mut self.arrow {
            let files = arrow.open()?;
            files.write(batch)?;
            files.tick()?;
        }
        match &mut self.protobuf {
            Some(protobuf) => protobuf.write(batch),
            None => Ok(Vec::new()),
        }
    }

    /// Completes the files that are old enough.
    pub(super) fn tick(&mut self) {
        // One that cannot be completed now is told of by the next write.
        if let Some(files) = self.arrow.as_mut().and_then(|arrow| arrow.open.as_mut()) {
            let _ = files.tick();
        }
        if let Some(protobuf) = &mut self.protobuf
            && protobuf.open.as_ref().is_some_and(|open| open.since.elapsed() >= protobuf.age)
        {
            protobuf.complete();
        }
    }

    /// Ticks while somebody has them, also when nothing is written. To be called within a Tokio runtime.
    pub(super) fn keep_time(copies: &Arc<Mutex<Self>>, config: &ZerobusConfig) {
        let copies = Arc::downgrade(copies);
        let every = age_of(config);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(every).await;
                let Some(copies) = copies.upgrade() else { return };
                let tick = move || copies.lock().unwrap_or_else(PoisonError::into_inner).tick();
                let _ = tokio::task::spawn_blocking(tick).await;
            }
        });
    }

    /// Completes the files, and leaves the folder to who opens it next.
    pub(super) fn close(&mut self) {
        // Copies are for looking at: nobody waits for them at the end.
        if let Some(mut files) = self.arrow.take().and_then(|arrow| arrow.open) {
            let _ = files.rotate();
        }
        if let Some(protobuf) = &mut self.protobuf {
            protobuf.complete();
        }
    }
}

/// A file is complete at this age.
fn age_of(config: &ZerobusConfig) -> Duration {
    config.debug.flush_ms.map_or(FLUSH, Duration::from_millis)
}

/// Arrow files, from the first batch on: what is wrong with the folder is told, and keeps no row from its way.
struct Files {
    options: FileOptions,
    open: Option<FileWriter>,
}

impl Files {
    fn open(&mut self) -> Result<&mut FileWriter, SendError> {
        match &mut self.open {
            Some(files) => Ok(files),
            none => Ok(none.insert(FileWriter::open(self.options.clone())?.0)),
        }
    }
}

/// Records in files, each with its length before it as Protobuf's own tools write them.
struct Records {
    folder: PathBuf,
    prefix: String,
    max_bytes: u64,
    age: Duration,
    keep: usize,
    open: Option<OpenFile>,
}

struct OpenFile {
    file: BufWriter<File>,
    bytes: u64,
    since: Instant,
    descriptor: Vec<u8>,
}

impl Records {
    fn write(&mut self, batch: &Batch) -> Result<Vec<RowError>, SendError> {
        let descriptor = Descriptor::new(batch.schema())?;
        let full = |open: &OpenFile| {
            open.bytes >= self.max_bytes || open.since.elapsed() >= self.age || open.descriptor != descriptor.bytes()
        };
        if self.open.as_ref().is_some_and(full) {
            self.open = None;
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.create(descriptor.bytes()).map_err(|error| self.failed(&error))?,
        };
        let (mut first, mut left_out) = (0, Vec::new());
        for part in batch.parts() {
            let (records, errors) = descriptor.encode(part, first)?;
            first += part.num_rows();
            left_out.extend(errors);
            for record in records {
                let mut head = Vec::with_capacity(5);
                varint(&mut head, record.len() as u64);
                let written = open.file.write_all(&head).and_then(|()| open.file.write_all(&record));
                written.map_err(|error| self.failed(&error))?;
                open.bytes += (head.len() + record.len()) as u64;
            }
        }
        open.file.flush().map_err(|error| self.failed(&error))?;
        self.open = Some(open);
        Ok(left_out)
    }

    fn complete(&mut self) {
        if self.open.take().is_some() {
            // What does not go is told when the next file is begun.
            let _ = self.retain();
        }
    }

    fn create(&self, descriptor: &[u8]) -> std::io::Result<OpenFile> {
        std::fs::create_dir_all(&self.folder)?;
        self.retain()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        // By time, so that names sort.
        let name = |kind: &str| self.folder.join(format!("{}-{now:020}.{kind}", self.prefix));
        std::fs::write(name("pb"), descriptor)?;
        let file = BufWriter::new(File::create(name("binpb"))?);
        Ok(OpenFile { file, bytes: 0, since: Instant::now(), descriptor: descriptor.to_vec() })
    }

    /// The newest stay. To be called while none is being written.
    fn retain(&self) -> std::io::Result<()> {
        for kind in ["pb", "binpb"] {
            let ours = |path: &Path| {
                let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
                path.extension().is_some_and(|it| it == kind) && name.starts_with(&format!("{}-", self.prefix))
            };
            let found = std::fs::read_dir(&self.folder)?.filter_map(|entry| Some(entry.ok()?.path()));
            let mut files: Vec<PathBuf> = found.filter(|path| ours(path)).collect();
            files.sort();
            for old in files.iter().rev().skip(self.keep) {
                std::fs::remove_file(old)?;
            }
        }
        Ok(())
    }

    fn failed(&self, error: &std::io::Error) -> SendError {
        failed(&self.folder, error).into()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use arrow_array::{ArrayRef, Int64Array, RecordBatch};

    use super::super::config::Debug;
    use super::*;

    #[test]
    fn copies_are_framed_turn_over_and_go() {
        let folder = std::env::temp_dir().join(format!("millrace-copies-{}", std::process::id()));
        let debug = Debug {
            arrow: true,
            protobuf: true,
            folder: Some(folder.clone()),
            flush_ms: None,
            max_file_bytes: Some(1),
            keep: Some(2),
        };
        let config = ZerobusConfig { table: "a.b.c".into(), debug, ..ZerobusConfig::default() };
        let mut copies = Copies::open(&config).unwrap().unwrap();
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 300]));
        let batch = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
        let batch = Batch::new(batch.schema(), vec![batch]);
        let files = |kind: &str, ending: &str| {
            let found = std::fs::read_dir(folder.join(kind)).unwrap().map(|entry| entry.unwrap().path());
            let mut files: Vec<_> = found.filter(|path| path.extension().is_some_and(|it| it == ending)).collect();
            files.sort();
            files.into_iter().map(|path| path.with_extension("")).collect::<Vec<_>>()
        };
        for written in 1..=5 {
            copies.write(&batch).unwrap();
            // And the one that is being written.
            assert_eq!(files("protobuf", "binpb").len(), written.min(3));
        }
        let complete = |copies: &Copies| copies.protobuf.as_ref().unwrap().open.is_none();
        copies.tick();
        assert!(!complete(&copies));
        copies.close();
        assert!(complete(&copies));
        let records = files("protobuf", "binpb");
        assert_eq!((records.len(), files("protobuf", "pb")), (2, records.clone()));
        // Field 1, a varint each.
        assert_eq!(std::fs::read(records[1].with_extension("binpb")).unwrap(), [2, 8, 1, 3, 8, 172, 2]);
        assert_eq!(files("arrow", "arrow").len(), 2);
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(Copies::open(&ZerobusConfig::default()).unwrap().is_none());
    }

    #[tokio::test]
    async fn copies_are_complete_in_time_though_nothing_more_is_sent() {
        let folder = std::env::temp_dir().join(format!("millrace-copies-time-{}", std::process::id()));
        let debug =
            Debug { arrow: true, protobuf: true, folder: Some(folder.clone()), flush_ms: Some(20), ..Debug::default() };
        let config = ZerobusConfig { table: "a.b.c".into(), debug, ..ZerobusConfig::default() };
        let copies = Arc::new(Mutex::new(Copies::open(&config).unwrap().unwrap()));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        let batch = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
        copies.lock().unwrap().write(&Batch::new(batch.schema(), vec![batch])).unwrap();
        Copies::keep_time(&copies, &config);
        let complete = || {
            let kind = |path: &Path| path.extension().is_some_and(|it| it == "arrow");
            let arrow = std::fs::read_dir(folder.join("arrow")).unwrap().any(|entry| kind(&entry.unwrap().path()));
            arrow && copies.lock().unwrap().protobuf.as_ref().unwrap().open.is_none()
        };
        while !complete() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
