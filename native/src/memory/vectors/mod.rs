//! Vectors by id, and the nearest of them.
//!
//! Small sets are compared one by one; beyond, a graph finds the nearest, which a thread of its own builds
//! behind the writer: a search meanwhile looks at what is linked through the graph, and at the rest one by one.
//! The index is a cache of what a store keeps. It knows the number of the last change that it saw, so that
//! the store can bring it what it lacks; a saved one that is damaged, or of other options, is none.

mod beam;
mod cache;
mod codes;
mod graph;
mod index;
mod kernels;
mod options;
mod rows;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::JoinHandle;

use serde::Serialize;

use crate::error::{ErrorCode, HasCode};
use index::Index;

pub use kernels::Kernels;
pub use options::{Metric, Options};
pub use rows::Storage;

/// So many vectors are taken while searches wait.
const BATCH: usize = 256;
/// Who removes a vector mends so many rows if it is time to. A pass for an eighth takes about eight for each, so that it
/// ends before the next has to begin, though there was no time for the thread.
const MENDS: usize = 16;

/// Why the index refuses.
#[derive(Debug, thiserror::Error)]
pub enum VectorError {
    /// An option cannot work.
    #[error("{option}: {problem}")]
    Option {
        /// Its name.
        option: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// Of another model, or cut.
    #[error(
        "the vector has {given} components and the index {wanted}; use the model that the index was made with, or make a new index"
    )]
    Dimensions {
        /// The vector's.
        given: usize,
        /// The index's.
        wanted: usize,
    },
    /// Components and ids do not fit together.
    #[error("{ids} ids with {components} components, where each has {dimensions}; give as many vectors as ids")]
    Count {
        /// So many ids.
        ids: usize,
        /// So many components in all.
        components: usize,
        /// The index's.
        dimensions: usize,
    },
    /// Not a number, or infinite.
    #[error("component {place} of the vector is {value}; only finite numbers can be compared")]
    NotFinite {
        /// Its place.
        place: usize,
        /// What stands there.
        value: f32,
    },
    /// It has no direction.
    #[error("the vector is all zeros, which {metric:?} cannot compare; the text or image was probably not embedded")]
    Zero {
        /// The index's.
        metric: Metric,
    },
    /// Out of the range that can be reckoned with.
    #[error("the vector's length is {length:e}, and must be between 1e-15 and {longest:e}; scale the vectors")]
    Length {
        /// The vector's.
        length: f64,
        /// The index's.
        longest: f64,
    },
    /// The id that stands for none.
    #[error("{0} is no id; the largest is 4294967294")]
    Id(u32),
    /// No more memory is allowed.
    #[error(
        "{vectors} vectors are there and {more} more would take over {max_bytes} bytes; remove some, or raise maxBytes"
    )]
    Full {
        /// So many are there.
        vectors: usize,
        /// So many should come.
        more: usize,
        /// The limit.
        max_bytes: u64,
    },
    /// It cannot be saved.
    #[error(
        "the vector index cannot be saved to '{path}': {reason}; see whether there is room and the folder can be written"
    )]
    Save {
        /// The file.
        path: PathBuf,
        /// In the words of the operating system.
        reason: String,
        /// There is no room.
        full: bool,
    },
}

impl HasCode for VectorError {
    fn code(&self) -> ErrorCode {
        match self {
            VectorError::Option { .. } => ErrorCode::InvalidOption,
            VectorError::Dimensions { .. }
            | VectorError::Count { .. }
            | VectorError::NotFinite { .. }
            | VectorError::Zero { .. }
            | VectorError::Length { .. }
            | VectorError::Id(_) => ErrorCode::InvalidInput,
            VectorError::Full { .. } => ErrorCode::BufferFull,
            VectorError::Save { full: true, .. } => ErrorCode::DiskFull,
            VectorError::Save { .. } => ErrorCode::StoreFailed,
        }
    }
}

/// Which vectors may be found.
#[derive(Default)]
pub enum Filter<'a> {
    /// All.
    #[default]
    All,
    /// These ids, in any order; what is not there does not count.
    Ids(&'a [u32]),
    /// Those that pass.
    Test(&'a dyn Fn(u32) -> bool),
}

/// A search.
#[derive(Default)]
pub struct Search<'a> {
    /// So many, or all there are.
    pub k: usize,
    /// Only scores at least so good.
    pub threshold: Option<f32>,
    /// Only some.
    pub filter: Filter<'a>,
}

impl Search<'_> {
    /// The nearest `k` of all.
    pub fn nearest(k: usize) -> Self {
        Search { k, ..Search::default() }
    }
}

/// A vector that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// Whose.
    pub id: u32,
    /// By the index's metric: for `cosine` and `dot` more is nearer, for `l2` less.
    pub score: f32,
}

/// How a search is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// One by one.
    Exact,
    /// Through the graph, which may miss some.
    Graph,
}

/// What a search found, best first.
#[derive(Debug, PartialEq)]
pub struct Found {
    /// The nearest.
    pub hits: Vec<Hit>,
    /// How it was done.
    pub way: Way,
}

/// How an index stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Vectors in it.
    pub vectors: usize,
    /// Memory that it takes.
    pub bytes: u64,
    /// Vectors that the graph has got.
    pub linked: usize,
    /// Vectors that the graph will get.
    pub to_link: usize,
    /// How a search without a filter is done now.
    pub way: Way,
    /// The number of the last change.
    pub seq: u64,
}

/// What was found where an index was saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// The index as it was saved.
    Loaded,
    /// Nothing.
    New,
    /// Nothing that can be used, and why: bring all vectors again.
    Rebuild(String),
}

struct Shared {
    index: RwLock<Index>,
    /// Held by who changes the index, from plan to apply.
    writer: Mutex<()>,
    /// So many wait for it; the linking lets them go first.
    waiting: AtomicUsize,
    linking: AtomicBool,
    closed: AtomicBool,
}

/// An index for many threads, one of which writes at a time.
pub struct Vectors {
    shared: Arc<Shared>,
    linker: Mutex<Option<JoinHandle<()>>>,
}

impl Vectors {
    /// An empty one.
    pub fn new(options: Options) -> Result<Self, VectorError> {
        options.check()?;
        Ok(Vectors::over(Index::new(options)))
    }

    /// The index that was saved in a file, or an empty one that has to be filled.
    pub fn open(path: &Path, options: Options) -> Result<(Self, Opened), VectorError> {
        options.check()?;
        let (index, opened) = match cache::load(path, &options) {
            Ok(index) => (index, Opened::Loaded),
            Err(cache::Unusable::Missing) => (Index::new(options), Opened::New),
            Err(cache::Unusable::Because(why)) => (Index::new(options), Opened::Rebuild(why)),
        };
        let vectors = Vectors::over(index);
        vectors.link();
        Ok((vectors, opened))
    }

    fn over(index: Index) -> Self {
        let shared = Shared {
            index: RwLock::new(index),
            writer: Mutex::new(()),
            waiting: AtomicUsize::new(0),
            linking: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        };
        Vectors { shared: Arc::new(shared), linker: Mutex::new(None) }
    }

    /// Takes vectors, lying one after the other, all or none; one whose id is there is replaced.
    /// `seq` is the number of this change. [`Vectors::link`] belongs behind it.
    pub fn put(&self, ids: &[u32], vectors: &[f32], seq: u64) -> Result<(), VectorError> {
        let dimensions = self.shared.read().options.dimensions;
        if vectors.len() != ids.len() * dimensions {
            return Err(match ids {
                [_] => VectorError::Dimensions { given: vectors.len(), wanted: dimensions },
                _ => VectorError::Count { ids: ids.len(), components: vectors.len(), dimensions },
            });
        }
        if ids.contains(&index::NO_ID) {
            return Err(VectorError::Id(index::NO_ID));
        }
        let _writer = self.shared.writer();
        let (new, factors): (usize, Vec<f32>) = {
            let index = self.shared.read();
            let new = ids.iter().filter(|&&id| !index.contains(id)).count();
            index.room(new)?;
            (new, vectors.chunks(dimensions).map(|vector| index.check(vector)).collect::<Result<_, _>>()?)
        };
        self.shared.reserve(new);
        for (batch, ids) in ids.chunks(BATCH).enumerate() {
            self.shared.reserve(ids.len());
            let mut index = self.shared.write();
            for (place, &id) in ids.iter().enumerate() {
                let place = batch * BATCH + place;
                index.set(id, &vectors[place * dimensions..][..dimensions], factors[place]);
            }
            drop(index);
            self.shared.mend(ids.len());
        }
        self.shared.write().seq = seq;
        Ok(())
    }

    /// Forgets vectors; tells how many were there. [`Vectors::link`] belongs behind it.
    pub fn remove(&self, ids: &[u32], seq: u64) -> usize {
        let _writer = self.shared.writer();
        let mut removed = 0;
        for ids in ids.chunks(BATCH) {
            let mut index = self.shared.write();
            removed += ids.iter().filter(|&&id| index.forget(id)).count();
            drop(index);
            self.shared.mend(ids.len());
        }
        self.shared.write().seq = seq;
        removed
    }

    /// The nearest ones, best first: as many as asked for, wherever there are so many.
    pub fn search(&self, vector: &[f32], search: &Search) -> Result<Found, VectorError> {
        self.shared.read().search(vector, search)
    }

    /// A vector as it is kept: of length 1 for `cosine`, rounded where not all is stored.
    pub fn get(&self, id: u32) -> Option<Vec<f32>> {
        self.shared.read().get(id)
    }

    /// How it stands.
    pub fn stats(&self) -> Stats {
        self.shared.read().stats()
    }

    /// How it was made.
    pub fn options(&self) -> Options {
        self.shared.read().options.clone()
    }

    /// Returns when the graph has all it should have, and nothing else.
    pub fn settle(&self) {
        while self.shared.work_one(true) {}
    }

    /// Writes it to a file, whole or not at all. Searches go on, changes wait.
    pub fn save(&self, path: &Path) -> Result<(), VectorError> {
        let _writer = self.shared.writer();
        cache::save(path, &self.shared.read()).map_err(|error| VectorError::Save {
            path: path.to_owned(),
            reason: error.to_string(),
            full: error.kind() == std::io::ErrorKind::StorageFull,
        })
    }

    /// Starts the thread that builds the graph, where there is something to do and none. Whoever changes something calls it
    /// when he is done: each change has to wait for what the thread is at.
    pub fn link(&self) {
        let has_work = self.shared.read().has_work();
        if !has_work || self.shared.linking.swap(true, Ordering::AcqRel) {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let linking = std::thread::Builder::new().name("millrace-vectors".into()).spawn(move || {
            loop {
                while shared.work_one(false) {}
                shared.linking.store(false, Ordering::Release);
                // What came between the last look and the flag would wait for the next change.
                let has_work = !shared.closed.load(Ordering::Acquire) && shared.read().has_work();
                if !has_work || shared.linking.swap(true, Ordering::AcqRel) {
                    break;
                }
            }
        });
        let mut linker = self.linker.lock().unwrap_or_else(PoisonError::into_inner);
        match linking {
            Ok(linking) => *linker = Some(linking),
            // Without a thread searches stay exact; the next change tries again.
            Err(_) => self.shared.linking.store(false, Ordering::Release),
        }
    }
}

impl Drop for Vectors {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
        let linker = self.linker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(linker) = linker {
            let _ = linker.join();
        }
    }
}

impl Shared {
    fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn writer(&self) -> MutexGuard<'_, ()> {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        writer
    }

    /// Makes room for so many more, first with the slots that were removed. The caller is the writer.
    fn reserve(&self, more: usize) {
        loop {
            let needs_free = self.read().needs_free(more);
            if !needs_free || !self.mend_one(true) {
                break;
            }
        }
        self.write().reserve(more);
    }

    /// Mends what is due for so many changes. The caller is the writer.
    fn mend(&self, changes: usize) {
        for _ in 0..changes * MENDS {
            let due = self.read().graph.to_mend();
            if !due || !self.mend_one(false) {
                break;
            }
        }
    }

    /// Mends one row, or frees the slots that no row links to any more; tells whether there was something to do.
    /// The caller is the writer.
    fn mend_one(&self, all: bool) -> bool {
        let plan = self.read().plan_mend();
        match plan {
            Some(plan) => {
                self.write().apply(&plan);
                true
            }
            None => self.write().turn(all),
        }
    }

    /// Links one slot or mends one row, `all` if there are ever so few; tells whether there was something to do.
    fn work_one(&self, all: bool) -> bool {
        while self.waiting.load(Ordering::Acquire) > 0 {
            std::thread::yield_now();
        }
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if self.closed.load(Ordering::Acquire) {
            return false;
        }
        let plan = {
            let index = self.read();
            index.to_link().map(|slot| index.plan_link(slot))
        };
        let Some(plan) = plan else { return self.mend_one(all) };
        self.write().apply(&plan);
        true
    }
}
