//! An open memory: what it holds, how it is opened and closed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock, RwLockReadGuard, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::cache::Cache;
use super::changes::{self, Watchers};
use super::index::Indexes;
use super::line::Line;
use super::retention::Retention;
use super::spaces::{Counts, Spaces};
use super::suggest::Suggest;
use super::views::Views;
use super::write::{Publisher, Queue, Writer};
use super::{MemoryError, Result};
use crate::kv::{self, Kv, Space, Sync};

/// When a write is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Durability {
    /// When it is on the disk. Writes that come together share one sync.
    Sync,
    /// When the operating system has it; a loss of power takes at most the last `batchMs`.
    #[default]
    Batch,
}

/// How a memory is opened.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Options {
    /// When a write is answered.
    pub durability: Durability,
    /// The longest time until a write is on the disk with `batch`.
    pub batch_ms: u64,
    /// For what was read and written lately.
    pub memory_bytes: u64,
    /// The most that the store may have on the disk; puts beyond it fail.
    pub disk_bytes: Option<u64>,
    /// The most that one value may have.
    pub value_bytes: usize,
    /// How many writes a watcher may be behind before it misses some.
    pub changes_kept: u64,
    /// Cut a damaged journal where the damage begins.
    pub repair: bool,
    /// What is kept of the history of namespaces that have no retention of their own.
    pub retention: Retention,
    /// How the indexes of vectors are kept.
    pub vectors: super::near::VectorOptions,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            durability: Durability::Batch,
            batch_ms: 50,
            memory_bytes: 64 << 20,
            disk_bytes: None,
            value_bytes: 16 << 20,
            changes_kept: 1_000_000,
            repair: false,
            retention: Retention::default(),
            vectors: super::near::VectorOptions::default(),
        }
    }
}

/// The store's parts.
pub(super) struct Store {
    pub kv: Kv,
    /// The newest version of each key.
    pub documents: Space,
    /// All older ones.
    pub history: Space,
    /// By stamp, the keys that a write changed.
    pub changes: Space,
    /// By time, what expires then.
    pub expiry: Space,
    /// By cause, what came of it.
    pub effects: Space,
    /// By path and value, keys.
    pub indexes: Space,
    /// Counts and definitions.
    pub meta: Space,
}

impl Store {
    pub fn open(path: &Path, options: &Options) -> Result<Store> {
        let sync = match options.durability {
            Durability::Sync => Sync::Each,
            Durability::Batch => Sync::Within(Duration::from_millis(options.batch_ms)),
        };
        let kv = Kv::open(
            path,
            &kv::Options {
                sync,
                // A small buffer is flushed often, and writes wait for that.
                cache_bytes: options.memory_bytes / 8,
                write_buffer_bytes: (options.memory_bytes / 4).max(1 << 20),
                repair: options.repair,
            },
        )?;
        Ok(Store {
            documents: kv.space("documents")?,
            history: kv.space("history")?,
            changes: kv.space("changes")?,
            expiry: kv.space("expiry")?,
            effects: kv.space("effects")?,
            indexes: kv.space("indexes")?,
            meta: kv.space("meta")?,
            kv,
        })
    }

    /// Ends it; nothing of it is open then.
    pub fn close(self) -> Result<()> {
        let Store { kv, documents, history, changes, expiry, effects, indexes, meta } = self;
        drop((documents, history, changes, expiry, effects, indexes, meta));
        Ok(kv.close()?)
    }

    /// All parts, for copies.
    pub fn parts(&self) -> [(&'static str, &Space); 7] {
        [
            ("documents", &self.documents),
            ("history", &self.history),
            ("changes", &self.changes),
            ("expiry", &self.expiry),
            ("effects", &self.effects),
            ("indexes", &self.indexes),
            ("meta", &self.meta),
        ]
    }
}

/// An open memory. All calls may wait for the disk.
pub struct Database {
    pub(super) options: Options,
    store: RwLock<Option<Store>>,
    pub(super) cache: Cache,
    pub(super) line: Line,
    pub(super) queue: Queue,
    pub(super) writer: Mutex<Writer>,
    pub(super) publisher: Mutex<Publisher>,
    /// The last stamp that readers see.
    pub(super) published: AtomicU64,
    pub(super) spaces: RwLock<Spaces>,
    pub(super) retentions: RwLock<BTreeMap<String, Retention>>,
    pub(super) indexes: RwLock<Indexes>,
    pub(super) watchers: Watchers,
    pub(super) views: Mutex<Views>,
    pub(super) suggest: Suggest,
    pub(super) near: super::near::Indexes,
    pub(super) passages: super::rag::passages::Passages,
    keeper: Mutex<Option<JoinHandle<()>>>,
    closing: Arc<(Mutex<bool>, Condvar)>,
}

impl Database {
    /// Opens the memory in a folder, which is made where it is missing.
    pub fn open(path: &Path, options: Options) -> Result<Arc<Database>> {
        options.retention.check()?;
        let store = Store::open(path, &options)?;
        let mut spaces = Spaces::new();
        let mut last = 0;
        for row in store.meta.prefix(b"n") {
            let (key, value) = row?;
            let name = std::str::from_utf8(&key[1..]).map_err(|_| damaged("a count"))?;
            spaces.insert(name.into(), Counts::from_bytes(&value).ok_or_else(|| damaged(name))?);
        }
        if let Some(row) = store.changes.range(..).next_back() {
            last = changes::stamp_of(&row?.0);
        }
        let log_len = store.meta.get(changes::LENGTH)?.map_or(0, |bytes| changes::stamp_of(&bytes));
        let database = Arc::new(Database {
            cache: Cache::new(options.memory_bytes / 4),
            line: Line::default(),
            queue: Queue::default(),
            writer: Mutex::new(Writer::new(last)),
            publisher: Mutex::new(Publisher { log_len }),
            published: AtomicU64::new(last),
            spaces: RwLock::new(spaces),
            retentions: RwLock::new(super::retention::read_all(&store)?),
            indexes: RwLock::new(Indexes::read_all(&store)?),
            watchers: Watchers::default(),
            views: Mutex::new(Views::read_all(&store)?),
            suggest: Suggest::default(),
            near: super::near::Indexes::default(),
            passages: super::rag::passages::Passages::default(),
            store: RwLock::new(Some(store)),
            options,
            keeper: Mutex::default(),
            closing: Arc::default(),
        });
        let keeper = keep(Arc::downgrade(&database), database.closing.clone());
        let thread = std::thread::Builder::new().name("millrace-memory".into()).spawn(keeper);
        let thread = thread
            .map_err(|error| MemoryError::File { path: path.display().to_string(), problem: error.to_string() })?;
        *database.keeper.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(database)
    }

    /// Ends it: running calls end first, later ones fail, and all is on the disk.
    pub fn close(&self) -> Result<()> {
        let (closing, wake) = &*self.closing;
        *closing.lock().unwrap_or_else(PoisonError::into_inner) = true;
        wake.notify_all();
        if let Some(keeper) = self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take()
            && keeper.thread().id() != std::thread::current().id()
        {
            let _ = keeper.join();
        }
        let store = self.store.write().unwrap_or_else(PoisonError::into_inner).take();
        self.watchers.wake();
        match store {
            Some(store) => store.close(),
            None => Ok(()),
        }
    }

    /// The store while it is open. A call takes it once: a second time could wait for a close that waits
    /// for the first.
    pub(super) fn store(&self) -> Result<Opened<'_>> {
        let guard = self.store.read().unwrap_or_else(PoisonError::into_inner);
        if guard.is_none() { Err(MemoryError::Closed) } else { Ok(Opened(guard)) }
    }

    /// All that was answered is on the disk, whatever the durability.
    pub fn sync(&self) -> Result<()> {
        Ok(self.store()?.kv.sync()?)
    }

    pub(super) fn published(&self) -> u64 {
        self.published.load(Ordering::Acquire)
    }

    /// Expires and gives up what is due.
    fn tend(&self) {
        // What fails here fails again where somebody hears of it.
        let _ = self.expire();
        let _ = self.trim_changes();
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let _ = self.close();
    }
}

/// The store, open as long as this lives.
pub(super) struct Opened<'a>(RwLockReadGuard<'a, Option<Store>>);

impl std::ops::Deref for Opened<'_> {
    type Target = Store;

    #[expect(clippy::expect_used, reason = "it is made only around a store")]
    fn deref(&self) -> &Store {
        self.0.as_ref().expect("it is open")
    }
}

/// Twice a second: what expired becomes a deletion that watchers hear of. Readers do not wait for it.
fn keep(database: Weak<Database>, closing: Arc<(Mutex<bool>, Condvar)>) -> impl FnOnce() {
    move || {
        let (closing, wake) = &*closing;
        loop {
            let guard = closing.lock().unwrap_or_else(PoisonError::into_inner);
            let waited = wake.wait_timeout_while(guard, Duration::from_millis(500), |closing| !*closing);
            if *waited.unwrap_or_else(PoisonError::into_inner).0 {
                return;
            }
            match database.upgrade() {
                Some(database) => database.tend(),
                None => return,
            }
        }
    }
}

pub(super) fn damaged(name: &str) -> MemoryError {
    MemoryError::Damaged { name: name.into(), problem: "it cannot be read".into() }
}

/// Microseconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_micros() as u64)
}
