//! Runs a user's Python script in processes of its own, and keeps them running.
//!
//! ```text
//! Python -> Worker (one thread) -> process: python, harness.py, the user's script
//!                               -> keeper: ends the process and its children when this one dies
//!        <- Events <- answers, in the order of the calls; what was printed; starts, ends, reloads
//! ```
//!
//! Values are not known here: JSON text and binary parts go through as they are. A process does one call
//! at a time, in their order, so that only the first call that waits can be running: a call that takes too
//! long, or ends the process, costs itself alone. The others go to the next process.

mod events;
mod frame;
mod lines;
mod options;
mod process;
mod supervisor;
mod worker;

pub use events::{Event, Events};
pub use frame::Answer;
pub use options::{Mode, Options};
pub use process::interpreter;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::{ErrorCode, HasCode};
use worker::Worker;

/// What can go wrong.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PythonError {
    /// An option cannot be.
    #[error("{0}")]
    Option(String),
    /// No interpreter.
    #[error("there is no Python at '{0}'; install Python 3.8 or later, or name an interpreter")]
    NoPython(String),
    /// The interpreter does not start.
    #[error("'{0}' does not start: {1}; name another interpreter, or mend its environment")]
    NotStarted(String, String),
    /// Not 3.8.
    #[error("'{0}' is older than Python 3.8; name a newer interpreter")]
    TooOld(String),
    /// The call, or the start, took longer than it may.
    #[error("{0} took longer than {1} ms and was ended; make the script quicker, or the timeout longer")]
    Timeout(&'static str, u64),
    /// The process is gone, and the call with it.
    #[error("the Python process ended during {0}: {1}; the log has what it printed")]
    Ended(&'static str, String),
    /// The script cannot be loaded, or its `initialize` failed.
    #[error("the script does not start")]
    Script(Arc<str>),
    /// Too much waits.
    #[error("{0} calls wait for Python already; send slower, or take more workers")]
    Full(usize),
    /// Closed.
    #[error("Python was closed before this call; open it again")]
    Closed,
}

impl HasCode for PythonError {
    fn code(&self) -> ErrorCode {
        match self {
            PythonError::Option(_) => ErrorCode::InvalidOption,
            PythonError::NoPython(_) | PythonError::NotStarted(..) | PythonError::TooOld(_) => ErrorCode::Unavailable,
            PythonError::Timeout(..) => ErrorCode::Timeout,
            PythonError::Ended(..) => ErrorCode::ScriptEnded,
            PythonError::Script(_) => ErrorCode::ScriptFailed,
            PythonError::Full(_) => ErrorCode::BufferFull,
            PythonError::Closed => ErrorCode::Closed,
        }
    }
}

/// A script and the processes that run it.
pub struct Python {
    workers: Vec<Worker>,
    turn: AtomicUsize,
}

impl Python {
    /// Starts the processes. That they run is told as an event.
    pub fn open(
        options: Options,
        inherited: impl Fn(&str) -> Option<String>,
        events: &Arc<Events>,
    ) -> Result<Python, PythonError> {
        options.check()?;
        let program = interpreter(&options, inherited)?;
        let options = Arc::new(options);
        let count = if options.mode == Mode::Pool { options.workers } else { 1 };
        let start = |number| Worker::start(number, program.clone(), options.clone(), events.clone());
        let workers = (0..count).map(start).collect::<Result<_, _>>()?;
        Ok(Python { workers, turn: AtomicUsize::new(0) })
    }

    /// Puts a call into the line. Calls of one source are done in their order; those without one go around.
    pub fn call(&self, id: u64, source: Option<&str>, json: &str, parts: &[&[u8]]) -> Result<(), PythonError> {
        let count = self.workers.len();
        let place = match source {
            Some(source) => {
                let mut hasher = DefaultHasher::new();
                source.hash(&mut hasher);
                (hasher.finish() % count as u64) as usize
            }
            None => self.turn.fetch_add(1, Ordering::Relaxed) % count,
        };
        // There is always one.
        let worker = self.workers.get(place).ok_or(PythonError::Closed)?;
        worker.call(id, frame::encode(frame::CALL, json, parts))
    }

    /// The socket of the process that answers for a worker, and its turn, for who reads it from now on, and
    /// tells `hear` what comes: one change of threads less than reading here. None where it answers nobody yet,
    /// where somebody reads already, and where each call has a process of its own.
    pub fn listen(&self, worker: usize) -> Option<(OwnedFd, u32)> {
        self.workers.get(worker)?.listen()
    }

    /// What came from the process of that turn; nothing: its end.
    pub fn hear(&self, worker: usize, turn: u32, bytes: &[u8]) {
        if let Some(worker) = self.workers.get(worker) {
            worker.hear(turn, bytes);
        }
    }

    /// The process id of each worker, while it has one.
    pub fn processes(&self) -> Vec<Option<u32>> {
        self.workers.iter().map(Worker::process).collect()
    }

    /// Lets the waiting calls finish and the scripts shut down, all within a few seconds, and ends the
    /// processes. Blocks.
    pub fn close(&self) {
        for worker in &self.workers {
            worker.close();
        }
        for worker in &self.workers {
            worker.join();
        }
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        self.close();
    }
}
