//! `spool` for Node.js. Records cross as Buffers; everything that may wait for the disk is async.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use napi::bindgen_prelude::{Buffer, spawn_blocking};
use napi_derive::napi;
use serde::Deserialize;

use super::coded::Coded;
use super::work::opened;
use crate::error::{EngineError, ErrorCode};
use crate::options::from_json;
use crate::spool::{Durability, Options, Record, Spool, Stats, WhenFull};

/// A record that waits.
#[napi(object)]
pub struct SpoolRecord {
    pub seq: i64,
    /// When it came, ms since the epoch.
    pub at_ms: i64,
    pub data: Buffer,
}

impl From<Record> for SpoolRecord {
    fn from(record: Record) -> Self {
        SpoolRecord { seq: record.seq as i64, at_ms: record.at_ms, data: record.data.into() }
    }
}

/// How a spool stands.
#[napi(object)]
pub struct SpoolStats {
    /// Records that wait.
    pub records: i64,
    /// Bytes on disk.
    pub bytes: i64,
    /// When the oldest came, ms since the epoch, to a second; null when none waits.
    pub oldest_ms: Option<i64>,
    /// Records that gave way since the opening.
    pub dropped: i64,
    /// Records that were damaged on the disk, and are lost.
    pub damaged: i64,
}

impl From<Stats> for SpoolStats {
    fn from(stats: Stats) -> Self {
        SpoolStats {
            records: stats.records as i64,
            bytes: stats.bytes as i64,
            oldest_ms: stats.oldest_ms,
            dropped: stats.dropped as i64,
            damaged: stats.damaged as i64,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct SpoolOptions {
    /// 0: each append waits for the disk.
    sync_ms: u64,
    max_bytes: u64,
    when_full: WhenFull,
}

impl Default for SpoolOptions {
    fn default() -> Self {
        let Options { max_bytes, when_full, .. } = Options::default();
        SpoolOptions { sync_ms: 0, max_bytes, when_full }
    }
}

impl From<SpoolOptions> for Options {
    fn from(options: SpoolOptions) -> Self {
        let durability = match options.sync_ms {
            0 => Durability::Each,
            ms => Durability::Within(Duration::from_millis(ms)),
        };
        Options { durability, max_bytes: options.max_bytes, when_full: options.when_full }
    }
}

/// A durable queue of records on disk.
#[napi(js_name = "Spool")]
pub struct SpoolHandle {
    spool: Mutex<Option<Arc<Spool>>>,
}

impl SpoolHandle {
    fn get(&self) -> Result<Arc<Spool>, EngineError> {
        let slot = self.spool.lock().unwrap_or_else(PoisonError::into_inner);
        slot.clone().ok_or_else(|| EngineError {
            code: ErrorCode::Closed,
            message: "the spool is closed; open it again".into(),
        })
    }

    /// Calls it where it may take its time.
    async fn call<T, E>(&self, call: impl FnOnce(&Spool) -> Result<T, E> + Send + 'static) -> Coded<T>
    where
        T: Send + 'static,
        E: Into<EngineError> + Send + 'static,
    {
        let spool = match self.get() {
            Ok(spool) => spool,
            Err(error) => return Coded(Err(error)),
        };
        let called = spawn_blocking(move || call(&spool).map_err(Into::into));
        Coded(called.await.unwrap_or_else(|panic| Err(EngineError::internal(&panic))))
    }
}

#[napi]
impl SpoolHandle {
    /// `options` is JSON: `syncMs` (0: an append waits for the disk), `maxBytes`, `whenFull` (`refuse`, `drop-oldest`).
    #[napi]
    pub async fn open(path: String, options: String) -> Coded<SpoolHandle> {
        let spool = opened(move || {
            let options: SpoolOptions = from_json(&options)?;
            Ok(Spool::open(Path::new(&path), options.into())?)
        });
        Coded(spool.await.map(|spool| SpoolHandle { spool: Mutex::new(Some(Arc::new(spool))) }))
    }

    /// Takes records, all or none; resolves to the first one's number when they are safe. They must not
    /// change meanwhile.
    #[napi]
    pub async fn append(&self, records: Vec<Buffer>) -> Coded<i64> {
        self.call(move |spool| {
            let records: Vec<&[u8]> = records.iter().map(|record| &**record).collect();
            spool.append(&records).map(|numbers| numbers.start as i64)
        })
        .await
    }

    /// Records that are not acknowledged, from a number on: as many as fit into `max_bytes`, at least one.
    #[napi]
    pub async fn read(&self, from: i64, max_bytes: u32) -> Coded<Vec<SpoolRecord>> {
        let from = u64::try_from(from).unwrap_or(0);
        self.call(move |spool| {
            spool.read(from, max_bytes as usize).map(|records| records.into_iter().map(SpoolRecord::from).collect())
        })
        .await
    }

    /// These arrived where they should.
    #[napi]
    pub async fn ack(&self, numbers: Vec<i64>) -> Coded<()> {
        self.call(move |spool| spool.ack(numbers.into_iter().filter_map(|number| u64::try_from(number).ok()))).await
    }

    #[napi(catch_unwind)]
    pub fn stats(&self) -> Coded<SpoolStats> {
        Coded(self.get().map(|spool| spool.stats().into()))
    }

    /// Resolves when it is on the disk and another process may open it.
    #[napi]
    pub async fn close(&self) {
        let spool = self.spool.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut spool) = spool else { return };
        let ended = spawn_blocking(move || {
            // Calls that are under way end first.
            while let Err(used) = Arc::try_unwrap(spool) {
                spool = used;
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let _ = ended.await;
    }
}
