//! `memory` for Node.js. Many writes and many reads cross in one call, as JSON text; all of it runs where it
//! may wait for the disk.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use napi::Env;
use napi::bindgen_prelude::{AsyncTask, Buffer, Float32Array, PromiseRaw, spawn_blocking};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;

use super::coded::Coded;
use super::work::{Work, opened, work};
use crate::error::{EngineError, ErrorCode, HasCode};
use crate::memory::ask::{Ask, Moment, Watch, told_events};
use crate::memory::changes::Watcher;
use crate::memory::{Database, MemoryError, Place};
use crate::options::from_json;

/// A write that is under way.
type Writing<'env> = PromiseRaw<'env, Coded<MemoryWritten>>;
/// Called without arguments, on the JavaScript thread.
type Wake = ThreadsafeFunction<(), (), (), napi::Status, false>;

/// What came of writes.
#[napi(object)]
pub struct MemoryWritten {
    /// JSON: for each request an array of `[version, previous]`; null for one that failed.
    pub outcomes: String,
    pub failures: Vec<MemoryFailure>,
}

/// A request that failed.
#[napi(object)]
pub struct MemoryFailure {
    pub request: u32,
    pub code: ErrorCode,
    pub message: String,
}

impl From<(String, Vec<(usize, MemoryError)>)> for MemoryWritten {
    fn from((outcomes, failures): (String, Vec<(usize, MemoryError)>)) -> Self {
        let failures = failures.into_iter().map(|(request, error)| MemoryFailure {
            request: request as u32,
            code: error.code(),
            message: error.to_string(),
        });
        MemoryWritten { outcomes, failures: failures.collect() }
    }
}

/// What a watcher took, and whether more waits.
#[napi(object)]
pub struct MemoryEvents {
    /// JSON: changes, the oldest first.
    pub events: String,
    pub more: bool,
}

/// An open memory.
#[napi]
pub struct MemoryDatabase {
    database: Mutex<Option<Arc<Database>>>,
}

/// A place in the log of changes.
#[napi]
pub struct MemoryWatcher {
    watcher: Mutex<Option<Arc<Watcher>>>,
    database: Weak<Database>,
}

/// Runs a call where it may wait.
async fn waiting<T: Send + 'static>(call: impl FnOnce() -> Result<T, EngineError> + Send + 'static) -> Coded<T> {
    Coded(spawn_blocking(call).await.unwrap_or_else(|panic| Err(EngineError::internal(&panic))))
}

impl MemoryDatabase {
    async fn with<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Arc<Database>) -> Result<T, EngineError> + Send + 'static,
    ) -> Coded<T> {
        match self.opened() {
            Some(database) => waiting(move || call(&database)).await,
            None => Coded(Err(MemoryError::Closed.into())),
        }
    }

    /// Its place among the writes is that of the call.
    fn in_place<'env>(
        &self,
        env: &'env Env,
        write: impl FnOnce(&Database, Place) -> Result<MemoryWritten, EngineError> + Send + 'static,
    ) -> napi::Result<Writing<'env>> {
        let opened = self.opened().map(|database| (database.place(), database));
        env.spawn_future(async move {
            Ok(match opened {
                Some((place, database)) => waiting(move || write(&database, place)).await,
                None => Coded(Err(MemoryError::Closed.into())),
            })
        })
    }

    fn opened(&self) -> Option<Arc<Database>> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[napi]
impl MemoryDatabase {
    /// `options` is JSON.
    #[napi]
    pub async fn open(path: String, options: String) -> Coded<MemoryDatabase> {
        let database = opened(move || Ok(Database::open(Path::new(&path), from_json(&options)?)?));
        Coded(database.await.map(|database| MemoryDatabase { database: Mutex::new(Some(database)) }))
    }

    /// `requests` is JSON: arrays of operations, each array atomic. Calls that overlap are done in their order.
    #[napi(ts_return_type = "Promise<Coded<MemoryWritten>>")]
    pub fn write<'env>(&self, env: &'env Env, requests: String) -> napi::Result<Writing<'env>> {
        self.in_place(env, move |database, place| Ok(database.write_text(place, &requests)?.into()))
    }

    /// The same, of long texts: the bytes, which are UTF-8, must not change meanwhile.
    #[napi(ts_return_type = "Promise<Coded<MemoryWritten>>")]
    pub fn write_bytes<'env>(&self, env: &'env Env, requests: Buffer) -> napi::Result<Writing<'env>> {
        self.in_place(env, move |database, place| {
            let text = std::str::from_utf8(&requests).map_err(|error| EngineError::internal(&error))?;
            Ok(database.write_text(place, text)?.into())
        })
    }

    /// `asked` is JSON: what is kept of each vector. The arrays are only looked at, and must not change meanwhile.
    #[napi]
    pub async fn embed(&self, asked: String, vectors: Vec<Float32Array>) -> Coded<MemoryWritten> {
        self.with(move |database| Ok(database.embed_text(&asked, &vectors)?.into())).await
    }

    /// `names` are namespaces and keys by turns, with a zero character between all of them; `at` is JSON. The
    /// answer is JSON: for each `[value]`, or 0 where there is none.
    #[napi(ts_return_type = "Promise<Coded<string>>")]
    pub fn get(&self, names: String, at: Option<String>) -> AsyncTask<Work<String>> {
        let mut opened = self.opened();
        work(move || {
            let database = opened.take().ok_or(MemoryError::Closed)?;
            let at = at.as_deref().map(|at| from_json::<Moment>(at)?.at().map_err(EngineError::from)).transpose()?;
            let mut names = names.split('\0');
            let pairs = std::iter::from_fn(|| Some((names.next()?, names.next()?)));
            Ok(database.get_many(pairs, at)?)
        })
    }

    /// Question and answer are JSON.
    #[napi]
    pub async fn ask(&self, question: String) -> Coded<String> {
        self.with(move |database| Ok(database.ask(from_json::<Ask>(&question)?, None)?)).await
    }

    /// The same with a vector, which belongs to some of the questions; it is only looked at, and must not change meanwhile.
    #[napi(ts_return_type = "Promise<Coded<string>>")]
    pub fn ask_near(&self, question: String, vector: Float32Array) -> AsyncTask<Work<String>> {
        let mut opened = self.opened();
        work(move || {
            let database = opened.take().ok_or(MemoryError::Closed)?;
            Ok(database.ask(from_json::<Ask>(&question)?, Some(&vector))?)
        })
    }

    /// `wanted` is JSON. `on_change` is called when something may have happened.
    #[napi]
    pub async fn watch(&self, wanted: String, on_change: Wake) -> Coded<MemoryWatcher> {
        self.with(move |database| {
            let wake = move || {
                on_change.call((), ThreadsafeFunctionCallMode::NonBlocking);
            };
            let watcher = database.watch_asked(&from_json::<Watch>(&wanted)?, wake)?;
            Ok(MemoryWatcher { watcher: Mutex::new(Some(watcher)), database: Arc::downgrade(database) })
        })
        .await
    }

    /// Running calls end first.
    #[napi]
    pub async fn close(&self) -> Coded<()> {
        let database = self.database.lock().unwrap_or_else(PoisonError::into_inner).take();
        match database {
            Some(database) => waiting(move || Ok(database.close()?)).await,
            None => Coded(Ok(())),
        }
    }
}

#[napi]
impl MemoryWatcher {
    /// At most `limit` changes, the oldest first; all of one write come together.
    #[napi]
    pub async fn take(&self, limit: u32) -> Coded<MemoryEvents> {
        let watcher = self.watcher.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match watcher.zip(self.database.upgrade()) {
            Some((watcher, database)) => {
                waiting(move || {
                    let (events, more) = database.take(&watcher, limit as usize)?;
                    Ok(MemoryEvents { events: told_events(&events)?, more })
                })
                .await
            }
            None => Coded(Err(MemoryError::Closed.into())),
        }
    }

    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.watcher.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// Makes a store of a backup; the answer is JSON.
#[napi]
pub async fn memory_restore_backup(backup: String, target: String) -> Coded<String> {
    waiting(move || {
        let copied = Database::restore_backup(Path::new(&backup), Path::new(&target))?;
        serde_json::to_string(&copied).map_err(|error| EngineError::internal(&error))
    })
    .await
}
