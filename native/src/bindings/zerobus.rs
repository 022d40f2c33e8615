//! `arrow`'s sender to Zerobus for Node.js. Batches cross as handles; all else is JSON or counts.

use std::sync::Arc;
use std::time::Duration;

use napi::Env;
use napi::bindgen_prelude::PromiseRaw;
use napi_derive::napi;

use super::arrow::{ArrowBatch, ArrowSchema};
use super::coded::Coded;
use crate::arrow::zerobus::{Client, FailedRows, SendError, TransmissionResult, ZerobusConfig, try_to_open};
use crate::error::{EngineError, ErrorCode, HasCode};
use crate::options::to_json;

/// Rows in a row that did not arrive, for one reason.
#[napi(object, object_from_js = false)]
pub struct ZerobusFailedRows {
    pub first: u32,
    pub count: u32,
    pub code: ErrorCode,
    pub message: String,
}

impl From<FailedRows> for ZerobusFailedRows {
    fn from(FailedRows { first, count, code, message }: FailedRows) -> Self {
        ZerobusFailedRows { first: first as u32, count: count as u32, code, message }
    }
}

/// Why not all arrived.
#[napi(object, object_from_js = false)]
pub struct ZerobusFailure {
    pub code: ErrorCode,
    pub kind: String,
    pub message: String,
}

impl From<SendError> for ZerobusFailure {
    fn from(error: SendError) -> Self {
        ZerobusFailure { code: error.code(), kind: error.kind().into(), message: error.to_string() }
    }
}

/// What became of a batch.
#[napi(object, object_from_js = false)]
pub struct ZerobusResult {
    pub success: bool,
    pub spooled: bool,
    pub attempts: u32,
    pub latency_ms: f64,
    pub batch_size_bytes: i64,
    pub total_rows: u32,
    pub successful_count: u32,
    pub failed_count: u32,
    pub failed: Vec<ZerobusFailedRows>,
    pub error: Option<ZerobusFailure>,
}

impl From<TransmissionResult> for ZerobusResult {
    fn from(result: TransmissionResult) -> Self {
        ZerobusResult {
            success: result.success,
            spooled: result.spooled,
            attempts: result.attempts,
            latency_ms: result.latency_ms,
            batch_size_bytes: result.batch_size_bytes as i64,
            total_rows: result.total_rows as u32,
            successful_count: result.successful_count() as u32,
            failed_count: result.failed_count() as u32,
            failed: result.failed.into_iter().map(ZerobusFailedRows::from).collect(),
            error: result.error.map(ZerobusFailure::from),
        }
    }
}

/// Sends batches to one table.
#[napi(js_name = "ZerobusClient")]
pub struct ZerobusClientHandle {
    client: Arc<Client>,
}

#[napi]
impl ZerobusClientHandle {
    /// `config` is JSON.
    #[napi]
    pub async fn open(config: String) -> Coded<ZerobusClientHandle> {
        let open = async {
            let config = ZerobusConfig::from_json(&config)?;
            let client = Arc::new(Client::open(config).await?);
            Ok::<_, EngineError>(ZerobusClientHandle { client })
        };
        Coded(open.await)
    }

    /// Resolves when the batch arrived, was given up, or is in the spool. Batches go in the order of the calls. `rejected`
    /// rows became no part of it.
    #[napi(ts_return_type = "Promise<Coded<ZerobusResult>>")]
    pub fn send<'env>(
        &self,
        env: &'env Env,
        batch: &ArrowBatch,
        rejected: u32,
    ) -> napi::Result<PromiseRaw<'env, Coded<ZerobusResult>>> {
        let sending = self.client.send_rest(batch.batch.clone(), rejected.into());
        env.spawn_future(async move {
            // In a task of its own, so that a panic is an error of this call.
            let sent = match napi::tokio::spawn(sending).await {
                Ok(sent) => sent.map(ZerobusResult::from).map_err(EngineError::from),
                Err(panic) => Err(EngineError::internal(&panic)),
            };
            Ok(Coded(sent))
        })
    }

    /// Resolves when nothing is on its way, and the spool is empty.
    #[napi]
    pub async fn flush(&self) -> Coded<()> {
        Coded(self.client.flush().await.map_err(EngineError::from))
    }

    /// What is on its way has so long to arrive.
    #[napi]
    pub async fn close(&self, patience_ms: u32) {
        self.client.close(Duration::from_millis(patience_ms.into())).await;
    }

    /// How it stands, as JSON.
    #[napi(catch_unwind)]
    pub fn stats(&self) -> Coded<String> {
        Coded::of(|| to_json(&self.client.stats()))
    }
}

/// Opens a stream for the schema and ends it; null, or why that fails. `config` is JSON.
#[napi]
pub async fn zerobus_try(config: String, schema: &ArrowSchema) -> Coded<Option<ZerobusFailure>> {
    let schema = Arc::clone(&schema.schema);
    let tried = async { try_to_open(ZerobusConfig::from_json(&config)?, &schema).await };
    Coded(Ok(tried.await.err().map(ZerobusFailure::from)))
}
