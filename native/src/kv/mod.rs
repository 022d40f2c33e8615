//! The one embedded store: ordered keys in named spaces, atomic batches, scans and snapshots.
//!
//! What must hold:
//! - One owner. A lock of the operating system, which ends with the process, keeps a second one out.
//! - A commit is acknowledged when [`Sync`] says so: after it is on the disk, or after the system has it
//!   and a thread brings it to the disk in time. Who has many operations puts them into one batch: that is
//!   the group commit.
//! - Calls may wait for the disk. None belongs on a thread that must not.
//! - A failed write ends the store, since nobody can know what the disk holds. Open it again.

use std::fs::File;
use std::ops::RangeBounds;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode, Readable};

use crate::error::{ErrorCode, HasCode};

mod journal;

/// A key or a value: cheap to clone, derefs to bytes.
pub type Bytes = fjall::Slice;

/// When a commit is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// When it is on the disk.
    Each,
    /// When the operating system has it: safe from the end of this process. It is on the disk after so
    /// long: what a loss of power can take.
    Within(Duration),
}

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// When a commit is acknowledged.
    pub sync: Sync,
    /// Memory for blocks that were read.
    pub cache_bytes: u64,
    /// Memory of each space for what was written last.
    pub write_buffer_bytes: u64,
    /// Cut a damaged journal where the damage begins. What stands behind it is lost; a copy stays.
    pub repair: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            sync: Sync::Within(Duration::from_millis(200)),
            cache_bytes: 16 << 20,
            write_buffer_bytes: 16 << 20,
            repair: false,
        }
    }
}

/// Why the store cannot do it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum KvError {
    /// Another process has it, or this one has it twice.
    #[error(
        "the store in {0} is open in another process, or elsewhere in this one; close it there, or use another folder"
    )]
    Locked(PathBuf),
    /// What was written is not what is there.
    #[error(
        "the store in {path} is damaged: {problem}; restore a copy, or open it with repair to go on without what is behind the damage"
    )]
    Corrupt {
        /// The store's folder.
        path: PathBuf,
        /// What does not fit.
        problem: String,
    },
    /// No room. What was acknowledged is there.
    #[error("no room on the disk for the store in {0}; make room and open it again, nothing that was accepted is lost")]
    Full(PathBuf),
    /// The folder cannot be read or written.
    #[error(
        "the store in {path} fails: {problem}; see that the folder is there, is writable, and that the disk is sound"
    )]
    Failed {
        /// The store's folder.
        path: PathBuf,
        /// What the system says.
        problem: String,
    },
}

impl HasCode for KvError {
    fn code(&self) -> ErrorCode {
        match self {
            KvError::Locked(_) => ErrorCode::StoreLocked,
            KvError::Corrupt { .. } => ErrorCode::StoreCorrupt,
            KvError::Full(_) => ErrorCode::DiskFull,
            KvError::Failed { .. } => ErrorCode::StoreFailed,
        }
    }
}

type Result<T> = std::result::Result<T, KvError>;

/// An open store.
pub struct Kv {
    shared: Arc<Shared>,
    syncer: Option<JoinHandle<()>>,
    spaces: Mutex<Vec<Keyspace>>,
    write_buffer_bytes: u64,
}

struct Shared {
    db: Database,
    path: PathBuf,
    sync: Sync,
    /// Something was committed that is not on the disk yet.
    dirty: AtomicBool,
    closing: Mutex<bool>,
    wake: Condvar,
    /// The first failure of the thread that syncs: every commit from then on fails with it.
    failure: Mutex<Option<KvError>>,
    /// Held as long as the store is open.
    _lock: File,
}

/// A named, ordered part of a store.
#[derive(Clone)]
pub struct Space {
    keyspace: Keyspace,
    shared: Arc<Shared>,
}

/// Operations that happen together or not at all.
pub struct Batch {
    batch: OwnedWriteBatch,
    shared: Arc<Shared>,
}

/// The store as it was at one moment.
pub struct Snapshot {
    snapshot: fjall::Snapshot,
    shared: Arc<Shared>,
}

/// Rows of a scan, in the order of their keys; it can be read from both ends.
pub struct Rows {
    iter: fjall::Iter,
    shared: Arc<Shared>,
}

impl Kv {
    /// Opens the store in a folder, which is made where it is missing.
    pub fn open(path: &Path, options: &Options) -> Result<Kv> {
        let io = |error: std::io::Error| failed_io(path, &error);
        std::fs::create_dir_all(path).map_err(io)?;
        let lock =
            File::options().create(true).truncate(false).write(true).open(path.join("owner.lock")).map_err(io)?;
        own(&lock, path)?;
        if let Some(journal) = journal::active(path).map_err(io)? {
            match journal::look(&journal).map_err(io)? {
                journal::Found::Whole => {}
                journal::Found::TornTail(at) => journal::cut(&journal, at).map_err(io)?,
                journal::Found::Damaged(at) if options.repair => journal::cut(&journal, at).map_err(io)?,
                journal::Found::Damaged(at) => {
                    let problem = format!("{} cannot be read from byte {at} on", journal.display());
                    return Err(KvError::Corrupt { path: path.into(), problem });
                }
            }
        }
        let builder = Database::builder(path)
            .cache_size(options.cache_bytes)
            .manual_journal_persist(true)
            // What a start after a crash has to replay.
            .max_journaling_size(64 << 20)
            // Flushing and compacting: one thread, as this is no server.
            .worker_threads(1);
        // fjall panics where a folder is not as it left it.
        let opened = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| builder.open()));
        let db = match opened {
            Ok(opened) => opened.map_err(|error| failed(path, error))?,
            Err(_) => {
                return Err(KvError::Corrupt { path: path.into(), problem: "a file of it is not its own".into() });
            }
        };
        let shared = Arc::new(Shared {
            db,
            path: path.into(),
            sync: options.sync,
            dirty: AtomicBool::new(false),
            closing: Mutex::new(false),
            wake: Condvar::new(),
            failure: Mutex::new(None),
            _lock: lock,
        });
        let syncer = match options.sync {
            Sync::Each => None,
            Sync::Within(time) => {
                let shared = shared.clone();
                let thread = std::thread::Builder::new().name("millrace-sync".into());
                Some(thread.spawn(move || shared.sync_every(time)).map_err(io)?)
            }
        };
        Ok(Kv { shared, syncer, spaces: Mutex::default(), write_buffer_bytes: options.write_buffer_bytes })
    }

    /// A space by its name: letters, digits, `_`, `-`. It is made where it is missing.
    pub fn space(&self, name: &str) -> Result<Space> {
        let options = || KeyspaceCreateOptions::default().max_memtable_size(self.write_buffer_bytes);
        let keyspace = self.shared.db.keyspace(name, options).map_err(|error| self.shared.failed(error))?;
        self.spaces.lock().unwrap_or_else(PoisonError::into_inner).push(keyspace.clone());
        Ok(Space { keyspace, shared: self.shared.clone() })
    }

    /// An empty batch.
    pub fn batch(&self) -> Batch {
        let mode = if self.shared.sync == Sync::Each { PersistMode::SyncData } else { PersistMode::Buffer };
        Batch { batch: self.shared.db.batch().durability(Some(mode)), shared: self.shared.clone() }
    }

    /// The store as it is now.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { snapshot: self.shared.db.snapshot(), shared: self.shared.clone() }
    }

    /// Brings all that was committed to the disk.
    pub fn sync(&self) -> Result<()> {
        self.shared.persist()
    }

    /// Bytes on the disk.
    pub fn disk_size(&self) -> Result<u64> {
        self.shared.db.disk_space().map_err(|error| self.shared.failed(error))
    }

    /// Ends it: all is on the disk, and the next start has little to replay.
    pub fn close(mut self) -> Result<()> {
        self.end_syncer();
        let synced = self.shared.persist();
        // A flush that fails is waited for without an end: it runs elsewhere, and has so long.
        if synced.is_ok() {
            let spaces = std::mem::take(&mut *self.spaces.lock().unwrap_or_else(PoisonError::into_inner));
            let (done, wait) = std::sync::mpsc::channel();
            std::thread::spawn(move || {
                for space in spaces {
                    let _ = space.rotate_memtable_and_wait();
                }
                let _ = done.send(());
            });
            let _ = wait.recv_timeout(Duration::from_secs(3));
        }
        synced
    }

    fn end_syncer(&mut self) {
        *self.shared.closing.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.shared.wake.notify_all();
        if let Some(syncer) = self.syncer.take() {
            let _ = syncer.join();
        }
    }
}

impl Drop for Kv {
    fn drop(&mut self) {
        self.end_syncer();
    }
}

impl Shared {
    fn sync_every(&self, time: Duration) {
        let mut closing = self.closing.lock().unwrap_or_else(PoisonError::into_inner);
        while !*closing {
            // It sleeps without an end while nothing is written.
            let idle = |closing: &mut bool| !*closing && !self.dirty.load(Ordering::Acquire);
            closing = self.wake.wait_while(closing, idle).unwrap_or_else(PoisonError::into_inner);
            // More comes meanwhile, which is brought to the disk together.
            closing = self
                .wake
                .wait_timeout_while(closing, time, |closing| !*closing)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            if self.dirty.swap(false, Ordering::AcqRel) {
                drop(closing);
                if let Err(error) = self.persist_beside() {
                    self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                }
                closing = self.closing.lock().unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Brings what was committed to the disk while others commit: fjall's own call holds all of them up. Each commit
    /// has handed its bytes to the system, and a journal that is not the newest was synced before the newest was made.
    fn persist_beside(&self) -> Result<()> {
        let io = |error: std::io::Error| failed_io(&self.path, &error);
        let Some(journal) = journal::active(&self.path).map_err(io)? else { return self.persist() };
        File::options().write(true).open(journal).and_then(|journal| journal.sync_data()).map_err(io)
    }

    fn persist(&self) -> Result<()> {
        self.db.persist(PersistMode::SyncData).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: fjall::Error) -> KvError {
        failed(&self.path, error)
    }
}

impl Space {
    /// The value of a key.
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        self.keyspace.get(key).map_err(|error| self.shared.failed(error))
    }

    /// Whether there is such a key.
    pub fn contains(&self, key: &[u8]) -> Result<bool> {
        self.keyspace.contains_key(key).map_err(|error| self.shared.failed(error))
    }

    /// The rows of a range of keys.
    pub fn range<R: RangeBounds<Vec<u8>>>(&self, range: R) -> Rows {
        Rows { iter: self.keyspace.range(range), shared: self.shared.clone() }
    }

    /// The rows whose keys begin so.
    pub fn prefix(&self, prefix: &[u8]) -> Rows {
        Rows { iter: self.keyspace.prefix(prefix), shared: self.shared.clone() }
    }

    /// Drops what was deleted or overwritten. It takes long.
    pub fn compact(&self) -> Result<()> {
        self.keyspace.rotate_memtable_and_wait().map_err(|error| self.shared.failed(error))?;
        self.keyspace.major_compact().map_err(|error| self.shared.failed(error))
    }
}

impl Batch {
    /// Sets a value. A key has 1 to 65,535 bytes.
    pub fn put(&mut self, space: &Space, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.batch.insert(&space.keyspace, key, value);
    }

    /// Removes a key, there or not.
    pub fn remove(&mut self, space: &Space, key: impl Into<Bytes>) {
        self.batch.remove(&space.keyspace, key);
    }

    /// How many operations it has.
    pub fn len(&self) -> usize {
        self.batch.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// Does it. What returns here is acknowledged, as [`Sync`] says.
    pub fn commit(self) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        if let Some(error) = &*self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner) {
            return Err(error.clone());
        }
        self.batch.commit().map_err(|error| self.shared.failed(error))?;
        if self.shared.sync != Sync::Each && !self.shared.dirty.swap(true, Ordering::AcqRel) {
            // Under the lock, or the thread could look before and sleep after.
            let _closing = self.shared.closing.lock().unwrap_or_else(PoisonError::into_inner);
            self.shared.wake.notify_all();
        }
        Ok(())
    }
}

impl Snapshot {
    /// The value of a key.
    pub fn get(&self, space: &Space, key: &[u8]) -> Result<Option<Bytes>> {
        self.snapshot.get(&space.keyspace, key).map_err(|error| self.shared.failed(error))
    }

    /// The rows of a range of keys.
    pub fn range<R: RangeBounds<Vec<u8>>>(&self, space: &Space, range: R) -> Rows {
        Rows { iter: self.snapshot.range(&space.keyspace, range), shared: self.shared.clone() }
    }
}

impl Iterator for Rows {
    type Item = Result<(Bytes, Bytes)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.iter.next().map(|row| row.into_inner().map_err(|error| self.shared.failed(error)))
    }
}

impl DoubleEndedIterator for Rows {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.iter.next_back().map(|row| row.into_inner().map_err(|error| self.shared.failed(error)))
    }
}

/// Takes the lock. It is asked for a little while: a process that this one just started holds what was open here
/// until it becomes another program.
fn own(lock: &File, path: &Path) -> Result<()> {
    for _ in 0..15 {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(std::fs::TryLockError::Error(error)) => return Err(failed_io(path, &error)),
            Err(std::fs::TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
    Err(KvError::Locked(path.into()))
}

/// An error of a file beside the store's own.
pub fn failed_io(path: &Path, error: &std::io::Error) -> KvError {
    use std::io::ErrorKind::{FileTooLarge, InvalidData, QuotaExceeded, StorageFull, UnexpectedEof, WriteZero};
    match error.kind() {
        StorageFull | QuotaExceeded | FileTooLarge | WriteZero => KvError::Full(path.into()),
        InvalidData | UnexpectedEof => KvError::Corrupt { path: path.into(), problem: error.to_string() },
        _ => KvError::Failed { path: path.into(), problem: error.to_string() },
    }
}

fn failed(path: &Path, error: fjall::Error) -> KvError {
    use fjall::{Error, LsmError};
    match error {
        Error::Io(error) | Error::Storage(LsmError::Io(error)) => failed_io(path, &error),
        Error::Locked => KvError::Locked(path.into()),
        // A write failed before, perhaps on a thread of the store's own, and the reason is gone.
        Error::Poisoned | Error::KeyspaceDeleted => match probe(path) {
            Err(error) => failed_io(path, &error),
            Ok(()) => KvError::Failed { path: path.into(), problem: "a write failed before; open it again".into() },
        },
        damage => KvError::Corrupt { path: path.into(), problem: damage.to_string() },
    }
}

/// Whether the folder takes another megabyte.
fn probe(path: &Path) -> std::io::Result<()> {
    let probe = path.join("probe.tmp");
    let written = File::create(&probe).and_then(|mut file| {
        std::io::Write::write_all(&mut file, &[1; 1 << 20])?;
        file.sync_all()
    });
    let _ = std::fs::remove_file(&probe);
    written
}
