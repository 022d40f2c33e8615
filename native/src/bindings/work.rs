//! Work off the JavaScript thread. What takes the processor and does not wait for others: on Node's own pool, which is half
//! the way of an async function there and back.

use std::panic::{AssertUnwindSafe, catch_unwind};

use napi::bindgen_prelude::{AsyncTask, ToNapiValue, spawn_blocking};
use napi::{Env, Task};

use super::coded::Coded;
use crate::error::EngineError;
use crate::heap;

type Call<T> = Box<dyn FnMut() -> Result<T, EngineError> + Send>;

/// A call, and what it looks at: JavaScript's arrays go on its own thread, where they need no message to it.
pub struct Work<T>(Call<T>);

/// Does it, and keeps its promise.
pub fn work<T: Send + ToNapiValue + 'static>(
    call: impl FnMut() -> Result<T, EngineError> + Send + 'static,
) -> AsyncTask<Work<T>> {
    AsyncTask::new(Work(Box::new(call)))
}

impl<T: Send + ToNapiValue + 'static> Task for Work<T> {
    type Output = Result<T, EngineError>;
    type JsValue = Coded<T>;

    fn compute(&mut self) -> napi::Result<Self::Output> {
        // Nobody looks at what a panic left half done: it is called once.
        let done = catch_unwind(AssertUnwindSafe(&mut self.0));
        Ok(done.unwrap_or_else(|_| Err(EngineError::internal(&"the engine panicked"))))
    }

    fn resolve(&mut self, _: Env, output: Self::Output) -> napi::Result<Coded<T>> {
        Ok(Coded(output))
    }
}

/// Opens what is kept in files. To read them takes much memory for a moment, which nobody needs then.
pub async fn opened<T: Send + 'static>(
    open: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
) -> Result<T, EngineError> {
    let opened = spawn_blocking(move || {
        let opened = open();
        heap::trim();
        opened
    });
    opened.await.unwrap_or_else(|panic| Err(EngineError::internal(&panic)))
}
