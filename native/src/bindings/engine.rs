//! The binary as a whole: its version, its runtime, and how it fails.

use napi::bindgen_prelude::create_custom_tokio_runtime;
use napi_derive::{module_init, napi};

use super::coded::Coded;
use crate::error::{EngineError, ErrorCode};

/// Async bindings of all engines share one runtime. Two workers: engines wait more than they compute,
/// and a small device has few cores to give.
#[module_init]
fn start_runtime() {
    let runtime = napi::tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("millrace")
        .enable_all()
        .build();
    // Without it napi-rs starts its own, larger one.
    if let Ok(runtime) = runtime {
        create_custom_tokio_runtime(runtime);
    }
}

/// The version of the engines.
#[napi]
pub fn engine_version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// Bytes that the engines hold in memory, without what the C libraries among their parts hold.
#[napi]
pub fn engine_memory() -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "no machine has 2^53 bytes")]
    let bytes = crate::heap::held() as f64;
    bytes
}

/// Fails on purpose with `code`, or with a panic where there is none: the proof that every failure
/// reaches JavaScript as an error and ends nothing.
#[napi(catch_unwind)]
pub fn fail(code: Option<ErrorCode>) -> Coded<()> {
    Coded(Err(failure(code)))
}

/// Like `fail`, on the shared runtime.
#[napi]
pub async fn fail_later(code: Option<ErrorCode>) -> Coded<()> {
    Coded(Err(failure(code)))
}

#[expect(clippy::panic, reason = "it is asked for")]
fn failure(code: Option<ErrorCode>) -> EngineError {
    match code {
        Some(code) => EngineError { code, message: "failed on purpose; nothing to mend".into() },
        None => panic!("panicked on purpose"),
    }
}
