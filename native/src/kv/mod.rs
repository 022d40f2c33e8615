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
use std::ops::{Bound, RangeBounds};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable};

use crate::error::{ErrorCode, HasCode};

mod log;
mod manifest;
mod rows;
mod table;

pub use rows::Rows;

use log::Log;
use rows::Source;
use table::{Cursor, Live, Range, Table};

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
    /// Memory for what was written last and waits to go to the tables on the disk; while it goes, up to twice as much
    /// again.
    pub write_buffer_bytes: u64,
    /// Cut a damaged journal where the damage begins. What stands behind it is lost; a copy stays.
    pub repair: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            sync: Sync::Within(Duration::from_millis(200)),
            cache_bytes: 16 << 20,
            write_buffer_bytes: 24 << 20,
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
    /// A key that the store cannot hold. Nothing of its batch was done.
    #[error("the store cannot hold a key of {0} bytes; give one of 1 to 65,535")]
    KeyLength(usize),
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
            KvError::KeyLength(_) => ErrorCode::InvalidInput,
            KvError::Full(_) => ErrorCode::DiskFull,
            KvError::Failed { .. } => ErrorCode::StoreFailed,
        }
    }
}

type Result<T> = std::result::Result<T, KvError>;

/// What the log may have before its commits go to the tables: a start after a crash reads it.
const MAX_LOG: u64 = 64 << 20;
/// Of one batch; the length of what is logged has four bytes.
const MAX_BATCH: usize = 2 << 30;
/// Full tables that wait to go to the disk. With more, commits wait.
const MAX_FULL: usize = 2;
/// Tables on the disk that were not merged yet. With more, the next one waits.
const MAX_UNMERGED: usize = 24;
/// So long it waits at most: reading becomes slower then, not writing impossible.
const MAX_MERGE: Duration = Duration::from_secs(60);
/// With less in memory, a store that is closed leaves it to the log.
const WORTH_FLUSHING: usize = 2 << 20;

/// An open store.
pub struct Kv {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    db: Database,
    path: PathBuf,
    options: Options,
    /// By number.
    parts: RwLock<Vec<Arc<Part>>>,
    log: Mutex<Log>,
    /// Held by who syncs.
    syncing: Mutex<()>,
    tables: RwLock<Tables>,
    views: Mutex<Views>,
    /// Something was committed that is not on the disk yet.
    dirty: AtomicBool,
    closing: Mutex<bool>,
    /// The thread that syncs has something to do.
    wake: Condvar,
    /// A table is full, or has gone to the disk.
    moved: Condvar,
    /// The first failure: every commit from then on fails with it.
    failure: Mutex<Option<KvError>>,
    /// Held as long as the store is open.
    _lock: File,
}

/// A space's name, and where it is on the disk once something of it is there.
struct Part {
    name: String,
    keyspace: OnceLock<Keyspace>,
}

/// What is in memory.
#[derive(Clone, Default)]
struct Tables {
    active: Arc<Table>,
    /// They take no more. The newest first.
    full: Vec<Full>,
}

/// A table that goes to the disk.
#[derive(Clone)]
struct Full {
    table: Arc<Table>,
    /// Where it ends in the log.
    end: u64,
    /// Files of the log that are synced before anything of it is on the disk: what a loss of power leaves is
    /// a beginning of all commits.
    unsynced: Vec<Arc<File>>,
}

impl Tables {
    fn all(&self) -> impl Iterator<Item = &Arc<Table>> {
        std::iter::once(&self.active).chain(self.full.iter().map(|full| &full.table))
    }
}

/// Who looks at what was.
#[derive(Default)]
struct Views {
    /// The number of the last commit.
    last: u64,
    live: Live,
}

/// The commits up to one; as long as it lasts, what it sees is kept.
struct View {
    number: u64,
    shared: Arc<Shared>,
}

/// A named, ordered part of a store.
#[derive(Clone)]
pub struct Space {
    number: u8,
    part: Arc<Part>,
    shared: Arc<Shared>,
}

/// Operations that happen together or not at all.
pub struct Batch {
    items: Vec<Item>,
    shared: Arc<Shared>,
}

/// One of them; without a value it removes.
struct Item {
    space: u8,
    key: Bytes,
    value: Option<Bytes>,
    is_new: bool,
}

/// The store as it was at one moment.
pub struct Snapshot {
    view: Arc<View>,
    tables: Tables,
    disk: fjall::Snapshot,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Kv {
    /// Opens the store in a folder, which is made where it is missing.
    pub fn open(path: &Path, options: &Options) -> Result<Kv> {
        use std::io::ErrorKind::{AlreadyExists, InvalidInput, NotFound};
        let io = |error: std::io::Error| failed_io(path, &error);
        std::fs::create_dir_all(path).map_err(io)?;
        let owner =
            File::options().create(true).truncate(false).write(true).open(path.join("owner.lock")).map_err(io)?;
        own(&owner, path)?;
        let corrupt = |problem: String| KvError::Corrupt { path: path.into(), problem };
        if let Some(problem) = manifest::problem(path, options.repair).map_err(io)? {
            return Err(corrupt(problem));
        }
        let builder = Database::builder(path)
            .cache_size(options.cache_bytes)
            .manual_journal_persist(true)
            // Merging: one thread, as this is no server.
            .worker_threads(1);
        // fjall panics where a folder is not as it left it.
        let opened = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| builder.open()));
        let db = match opened {
            Ok(opened) => opened.map_err(|error| match &error {
                // A file of it is gone, or empty.
                fjall::Error::Io(found) | fjall::Error::Storage(fjall::LsmError::Io(found))
                    if matches!(found.kind(), NotFound | AlreadyExists | InvalidInput) =>
                {
                    corrupt(error.to_string())
                }
                _ => failed(path, error),
            })?,
            Err(_) => return Err(corrupt("a file of it is not its own".into())),
        };
        let mut names: Vec<String> = Vec::new();
        let mut items = Vec::new();
        let log = Log::open(&path.join("log"), path, options.repair, &mut |(name, key, value)| {
            let space = names.iter().position(|it| it == name).unwrap_or_else(|| {
                names.push(name.into());
                names.len() - 1
            });
            // Whether a row is new is not known: the table that it was in may be on the disk.
            let (key, value) = (Bytes::from(key), value.map(Bytes::from));
            items.push(Item { space: space as u8, key, value, is_new: false });
        })?;
        manifest::note(path).map_err(io)?;
        let tables = Tables::default();
        tables.active.apply(items, 0, &Live::new());
        let shared = Arc::new(Shared {
            db,
            path: path.into(),
            options: options.clone(),
            parts: RwLock::default(),
            log: Mutex::new(log),
            syncing: Mutex::default(),
            tables: RwLock::new(tables),
            views: Mutex::default(),
            dirty: AtomicBool::new(false),
            closing: Mutex::new(false),
            wake: Condvar::new(),
            moved: Condvar::new(),
            failure: Mutex::new(None),
            _lock: owner,
        });
        for name in &names {
            shared.part(name)?;
        }
        let mut kv = Kv { shared, threads: Vec::new() };
        let thread = |name: &str| std::thread::Builder::new().name(name.into());
        let shared = kv.shared.clone();
        kv.threads.push(thread("millrace-store").spawn(move || shared.flush_full()).map_err(io)?);
        if let Sync::Within(time) = options.sync {
            let shared = kv.shared.clone();
            kv.threads.push(thread("millrace-sync").spawn(move || shared.sync_every(time)).map_err(io)?);
        }
        Ok(kv)
    }

    /// A space by its name: letters, digits, `_`, `-`. It is made where it is missing.
    pub fn space(&self, name: &str) -> Result<Space> {
        let (number, part) = self.shared.part(name)?;
        Ok(Space { number, part, shared: self.shared.clone() })
    }

    /// An empty batch.
    pub fn batch(&self) -> Batch {
        Batch { items: Vec::new(), shared: self.shared.clone() }
    }

    /// The store as it is now.
    pub fn snapshot(&self) -> Snapshot {
        let (view, tables, disk) = self.shared.look(|db| db.snapshot());
        Snapshot { view, tables, disk }
    }

    /// Brings all that was committed to the disk.
    pub fn sync(&self) -> Result<()> {
        self.shared.sync()
    }

    /// Bytes on the disk.
    pub fn disk_size(&self) -> Result<u64> {
        self.shared.disk_size()
    }

    /// Ends it: all is on the disk, and the next start has little to read.
    pub fn close(mut self) -> Result<()> {
        let mut synced = self.shared.sync();
        if synced.is_ok() {
            let time = Some(Duration::from_secs(3));
            let is_worth = self.shared.read_tables().active.bytes() > WORTH_FLUSHING;
            let flushed = if is_worth { self.shared.flush_all(time) } else { self.shared.wait_for_tables(0, time) };
            synced = synced.and(flushed);
        }
        if !self.shared.read_tables().full.is_empty() {
            // A thread that the disk holds up ends when the disk lets it.
            self.threads.clear();
        }
        synced
    }
}

impl Drop for Kv {
    fn drop(&mut self) {
        *lock(&self.shared.closing) = true;
        self.shared.wake.notify_all();
        self.shared.moved.notify_all();
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
        let closed = KvError::Failed { path: self.shared.path.clone(), problem: "it is closed".into() };
        self.shared.end(closed);
    }
}

impl Drop for View {
    fn drop(&mut self) {
        let live = &mut lock(&self.shared.views).live;
        if let std::collections::btree_map::Entry::Occupied(mut count) = live.entry(self.number) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

impl Shared {
    fn read_tables(&self) -> std::sync::RwLockReadGuard<'_, Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn part(&self, name: &str) -> Result<(u8, Arc<Part>)> {
        let mut parts = self.parts.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = parts.iter().position(|part| part.name == name) {
            return Ok((number as u8, parts[number].clone()));
        }
        if parts.len() > usize::from(u8::MAX) {
            return Err(KvError::Failed { path: self.path.clone(), problem: "it has 256 spaces, the most".into() });
        }
        let part = Arc::new(Part { name: name.into(), keyspace: OnceLock::new() });
        if self.db.keyspace_exists(name) {
            self.keyspace(&part)?;
        }
        parts.push(part.clone());
        Ok(((parts.len() - 1) as u8, part))
    }

    /// Where a part is on the disk, from now on.
    fn keyspace<'a>(&self, part: &'a Part) -> Result<&'a Keyspace> {
        if let Some(keyspace) = part.keyspace.get() {
            return Ok(keyspace);
        }
        let keyspace = self.db.keyspace(&part.name, KeyspaceCreateOptions::default);
        let keyspace = keyspace.map_err(|error| self.failed(error))?;
        Ok(part.keyspace.get_or_init(|| keyspace))
    }

    /// What is there now, of one moment: no table goes to the disk while it is taken.
    fn look<T>(self: &Arc<Self>, disk: impl FnOnce(&Database) -> T) -> (Arc<View>, Tables, T) {
        let tables = self.read_tables();
        let number = {
            let mut views = lock(&self.views);
            let number = views.last;
            *views.live.entry(number).or_default() += 1;
            number
        };
        let view = Arc::new(View { number, shared: self.clone() });
        (view, tables.clone(), disk(&self.db))
    }

    /// Why nothing can be committed any more.
    fn check(&self) -> Result<()> {
        lock(&self.failure).clone().map_or(Ok(()), Err)
    }

    /// The first failure ends the store, and is told by all that come later.
    fn end(&self, error: KvError) -> KvError {
        let first = lock(&self.failure).get_or_insert(error).clone();
        self.moved.notify_all();
        first
    }

    fn commit(&self, items: Vec<Item>) -> Result<()> {
        let io = |error: std::io::Error| self.end(failed_io(&self.path, &error));
        let mut log = self.log_with_room()?;
        {
            let parts = self.parts.read().unwrap_or_else(PoisonError::into_inner);
            log.append(&items, |space| &parts[usize::from(space)].name).map_err(io)?;
        }
        if self.options.sync == Sync::Each {
            let (files, at) = log.unsynced();
            files.iter().try_for_each(|file| file.sync_data()).map_err(io)?;
            log.set_synced(&files, at);
        }
        let table = self.read_tables().active.clone();
        // Nobody begins to look while it is done.
        let mut views = lock(&self.views);
        views.last += 1;
        table.apply(items, views.last, &views.live);
        Ok(())
    }

    /// The log, and room in memory: a full table is followed by the next one. Who waits for that holds nobody else up.
    fn log_with_room(&self) -> Result<MutexGuard<'_, Log>> {
        loop {
            let mut log = lock(&self.log);
            self.check()?;
            let (bytes, full) = {
                let tables = self.read_tables();
                (tables.active.bytes() as u64, tables.full.len())
            };
            if bytes < self.options.write_buffer_bytes && log.len() < MAX_LOG {
                return Ok(log);
            }
            if full < MAX_FULL {
                self.turn(&mut log)?;
                return Ok(log);
            }
            drop(log);
            self.wait_for_tables(MAX_FULL - 1, None)?;
        }
    }

    fn turn(&self, log: &mut Log) -> Result<()> {
        let (end, unsynced) = log.turn().map_err(|error| self.end(failed_io(&self.path, &error)))?;
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        let table = std::mem::take(&mut tables.active);
        tables.full.insert(0, Full { table, end, unsynced });
        drop(tables);
        // Under the lock, or the thread could look before and sleep after.
        let _closing = lock(&self.closing);
        self.moved.notify_all();
        Ok(())
    }

    /// Until at most so many full tables are left.
    fn wait_for_tables(&self, left: usize, time: Option<Duration>) -> Result<()> {
        let begin = std::time::Instant::now();
        let mut closing = lock(&self.closing);
        while self.read_tables().full.len() > left {
            self.check()?;
            let step = Duration::from_millis(100);
            if time.is_some_and(|time| begin.elapsed() > time) {
                break;
            }
            closing = self.moved.wait_timeout(closing, step).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }

    fn flush_all(&self, time: Option<Duration>) -> Result<()> {
        {
            let mut log = lock(&self.log);
            if !self.read_tables().active.is_empty() {
                self.turn(&mut log)?;
            }
        }
        self.wait_for_tables(0, time)
    }

    /// The thread that brings full tables to the disk, the oldest first.
    fn flush_full(&self) {
        let mut closing = lock(&self.closing);
        loop {
            let oldest = self.read_tables().full.last().cloned();
            let Some(Full { table, end, unsynced }) = oldest else {
                if *closing {
                    return;
                }
                closing = self.moved.wait(closing).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            if *closing {
                return;
            }
            drop(closing);
            let flushed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.flush(&table, &unsynced)));
            let flushed = flushed.unwrap_or_else(|_| {
                Err(KvError::Failed { path: self.path.clone(), problem: "a table cannot be written".into() })
            });
            if let Err(error) = flushed {
                // All of it is in the log: the next start reads it.
                self.end(error);
                return;
            }
            // Readers find it on the disk from here on.
            self.tables.write().unwrap_or_else(PoisonError::into_inner).full.pop();
            Log::forget(&self.path.join("log"), end);
            drop(table);
            closing = lock(&self.closing);
            self.moved.notify_all();
        }
    }

    fn flush(&self, table: &Table, unsynced: &[Arc<File>]) -> Result<()> {
        let failed = |error| self.failed(error);
        // Merging runs elsewhere; it fails for good, and says so here alone.
        let merges = || self.db.persist(PersistMode::Buffer).map_err(failed);
        merges()?;
        unsynced.iter().try_for_each(|file| file.sync_data()).map_err(|error| failed_io(&self.path, &error))?;
        let mut is_new = false;
        for (number, map) in table.read().maps.iter().enumerate() {
            let part = self.parts.read().unwrap_or_else(PoisonError::into_inner)[number].clone();
            // A removal has nothing to hide where there is nothing.
            let is_known = part.keyspace.get().is_some();
            let mut rows = map.iter().filter(|(_, entry)| is_known || entry.value.is_some()).peekable();
            if rows.peek().is_none() {
                continue;
            }
            is_new |= !is_known;
            let keyspace = self.keyspace(&part)?;
            let begin = std::time::Instant::now();
            while keyspace.l0_table_count() > MAX_UNMERGED && begin.elapsed() < MAX_MERGE && !*lock(&self.closing) {
                merges()?;
                std::thread::sleep(Duration::from_millis(5));
            }
            let mut tables = keyspace.start_ingestion().map_err(failed)?;
            for (key, entry) in rows {
                match &entry.value {
                    Some(value) => tables.write(key.clone(), value.clone()),
                    None => tables.write_tombstone(key.clone()),
                }
                .map_err(failed)?;
            }
            tables.finish().map_err(failed)?;
        }
        if is_new {
            manifest::note(&self.path).map_err(|error| failed_io(&self.path, &error))?;
        }
        Ok(())
    }

    fn sync_every(&self, time: Duration) {
        let mut closing = lock(&self.closing);
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
                // The failure is there for all who come.
                let _ = self.sync();
                closing = lock(&self.closing);
            }
        }
        drop(closing);
        if self.dirty.swap(false, Ordering::AcqRel) {
            let _ = self.sync();
        }
    }

    /// Brings what was committed to the disk while others commit.
    fn sync(&self) -> Result<()> {
        // The system tells a failure once: who comes after it must not believe that all is well.
        let _one = lock(&self.syncing);
        self.check()?;
        let (files, at) = lock(&self.log).unsynced();
        let synced = files.iter().try_for_each(|file| file.sync_data());
        synced.map_err(|error| self.end(failed_io(&self.path, &error)))?;
        lock(&self.log).set_synced(&files, at);
        Ok(())
    }

    fn disk_size(&self) -> Result<u64> {
        let tables: u64 = {
            let parts = self.parts.read().unwrap_or_else(PoisonError::into_inner);
            parts.iter().filter_map(|part| part.keyspace.get()).map(Keyspace::disk_space).sum()
        };
        let log = log::disk_size(&self.path.join("log")).map_err(|error| failed_io(&self.path, &error))?;
        Ok(tables + log)
    }

    fn failed(&self, error: fjall::Error) -> KvError {
        failed(&self.path, error)
    }
}

impl Space {
    /// The value of a key.
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        let found = self.shared.read_tables().all().find_map(|table| table.get(self.number, key));
        match (found, self.part.keyspace.get()) {
            (Some(found), _) => Ok(found),
            (None, Some(keyspace)) => keyspace.get(key).map_err(|error| self.shared.failed(error)),
            (None, None) => Ok(None),
        }
    }

    /// Whether there is such a key.
    pub fn contains(&self, key: &[u8]) -> Result<bool> {
        Ok(self.get(key)?.is_some())
    }

    /// The rows of a range of keys.
    pub fn range<R: RangeBounds<Vec<u8>>>(&self, range: R) -> Rows {
        self.rows(bounds(&range))
    }

    /// The rows whose keys begin so.
    pub fn prefix(&self, prefix: &[u8]) -> Rows {
        self.rows(table::beginning(prefix))
    }

    fn rows(&self, range: Range) -> Rows {
        let (view, tables, disk) =
            self.shared.look(|_| self.part.keyspace.get().map(|keyspace| keyspace.range(range.clone())));
        rows(self, view, &tables, disk, &range)
    }

    /// Drops what was deleted or overwritten. It takes long.
    pub fn compact(&self) -> Result<()> {
        self.shared.flush_all(None)?;
        self.part.keyspace.get().map_or(Ok(()), |it| it.major_compact().map_err(|error| self.shared.failed(error)))
    }
}

impl Batch {
    /// Sets a value. A key has 1 to 65,535 bytes.
    pub fn put(&mut self, space: &Space, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.add(space, key.into(), Some(value.into()), false);
    }

    /// Sets the value of a key that has none: should it be removed soon, only the log ever had it.
    pub fn put_new(&mut self, space: &Space, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.add(space, key.into(), Some(value.into()), true);
    }

    /// Removes a key, there or not.
    pub fn remove(&mut self, space: &Space, key: impl Into<Bytes>) {
        self.add(space, key.into(), None, false);
    }

    fn add(&mut self, space: &Space, key: Bytes, value: Option<Bytes>, is_new: bool) {
        self.items.push(Item { space: space.number, key, value, is_new });
    }

    /// How many operations it has.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Does it. What returns here is acknowledged, as [`Sync`] says.
    pub fn commit(self) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        let bytes: usize =
            self.items.iter().map(|item| item.key.len() + item.value.as_ref().map_or(0, |it| it.len())).sum();
        if bytes > MAX_BATCH {
            let problem = format!("a batch of {bytes} bytes is larger than {MAX_BATCH}");
            return Err(KvError::Failed { path: self.shared.path.clone(), problem });
        }
        if let Some(item) = self.items.iter().find(|item| !(1..=usize::from(u16::MAX)).contains(&item.key.len())) {
            return Err(KvError::KeyLength(item.key.len()));
        }
        self.shared.commit(self.items)?;
        if self.shared.options.sync != Sync::Each && !self.shared.dirty.swap(true, Ordering::AcqRel) {
            // Under the lock, or the thread could look before and sleep after.
            let _closing = lock(&self.shared.closing);
            self.shared.wake.notify_all();
        }
        Ok(())
    }
}

impl Snapshot {
    /// The value of a key.
    pub fn get(&self, space: &Space, key: &[u8]) -> Result<Option<Bytes>> {
        let found = self.tables.all().find_map(|table| table.get_at(space.number, key, self.view.number));
        match (found, space.part.keyspace.get()) {
            (Some(found), _) => Ok(found),
            (None, Some(keyspace)) => self.disk.get(keyspace, key).map_err(|error| space.shared.failed(error)),
            (None, None) => Ok(None),
        }
    }

    /// The rows of a range of keys.
    pub fn range<R: RangeBounds<Vec<u8>>>(&self, space: &Space, range: R) -> Rows {
        let range = bounds(&range);
        let disk = space.part.keyspace.get().map(|keyspace| self.disk.range(keyspace, range.clone()));
        rows(space, self.view.clone(), &self.tables, disk, &range)
    }
}

fn bounds(range: &impl RangeBounds<Vec<u8>>) -> Range {
    let bytes = |bound: Bound<&Vec<u8>>| bound.map(Bytes::from);
    (bytes(range.start_bound()), bytes(range.end_bound()))
}

fn rows(space: &Space, view: Arc<View>, tables: &Tables, disk: Option<fjall::Iter>, range: &Range) -> Rows {
    if table::is_empty(range) {
        return Rows::new(Vec::new(), space.shared.clone(), view);
    }
    let memory = |table| Cursor::new(table, space.number, view.number, range.clone()).map(Source::Memory);
    let sources = tables.all().filter_map(memory).chain(disk.map(Source::Disk)).collect();
    Rows::new(sources, space.shared.clone(), view)
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

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_brought_to_the_disk_later_ends_the_store() {
        let folder = std::env::temp_dir().join(format!("millrace-kv-unsyncable-{}", std::process::id()));
        let kv = Kv::open(&folder, &Options { sync: Sync::Within(Duration::from_millis(1)), ..Options::default() });
        let kv = kv.unwrap();
        let space = kv.space("a").unwrap();
        let put = || {
            let mut batch = kv.batch();
            batch.put(&space, b"key", b"value");
            batch.commit()
        };
        // A pipe takes what is written, and cannot be synced.
        let (_reader, writer) = std::io::pipe().unwrap();
        lock(&kv.shared.log).write_to(File::from(std::os::fd::OwnedFd::from(writer)));
        let begin = std::time::Instant::now();
        while put().is_ok() && begin.elapsed() < Duration::from_secs(20) {
            std::thread::yield_now();
        }
        for _ in 0..3 {
            assert_eq!(put().unwrap_err().code(), ErrorCode::StoreFailed);
            assert_eq!(kv.sync().unwrap_err().code(), ErrorCode::StoreFailed);
        }
        drop(space);
        assert_eq!(kv.close().unwrap_err().code(), ErrorCode::StoreFailed);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
