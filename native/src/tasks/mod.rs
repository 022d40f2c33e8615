//! A durable task queue in one process: the pure engine.
//!
//! | module | job |
//! |---|---|
//! | `message`, `id`, `state`, `retry`, `rate` | the words of the queue and their rules |
//! | `engine` | the state in memory, sending, and the one commit |
//! | `ready` | which task goes next, and to whom |
//! | `run` | what a worker reports, leases, and what falls due |
//! | `finish` | results, dead letters |
//! | `expiries` | when results are over |
//! | [`workflow`], `flow` | chains, groups and chords as pure steps, and their place in the store |
//! | `control`, `inspect` | what people ask for |
//! | `periodic`, `cron` | what is sent again and again |
//! | `events` | what happened |
//! | `store` | the form on the disk |
//! | `intake` | what was sent one by one, until the engine takes it |
//! | [`driver`] | the thread that owns an engine |
//!
//! Time comes in as a parameter, in ms since 1970, so that tests decide it. An engine changes its memory at
//! once and the store at [`Engine::commit`]; nothing of what happened may be told to anybody before that.

use crate::error::{ErrorCode, HasCode};
use crate::kv::KvError;

mod alike;
mod control;
mod cron;
pub mod driver;
mod engine;
mod events;
mod expiries;
mod finish;
mod flow;
mod id;
mod inspect;
mod intake;
mod message;
mod options;
mod periodic;
mod rate;
mod ready;
mod retry;
mod run;
mod state;
mod store;
pub mod workflow;

pub use control::check_command;
pub use cron::Schedule;
pub use engine::{Engine, Sent};
pub use id::{Chance, Id};
pub use intake::{Intake, Mark};
pub use message::{Head, Message};
pub use options::{Options, WorkerOptions, glob};
pub use rate::Rate;
pub use retry::{Failure, Jitter, RetryPolicy, Verdict};
pub use run::{Report, report_frame};
pub use state::State;

/// Why the queue cannot do it.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// The store.
    #[error(transparent)]
    Store(#[from] KvError),
    /// A message that is none.
    #[error("the task's message is wrong at {path}: {problem}")]
    Message {
        /// Where in the message.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// Too large.
    #[error("{what} has {bytes} bytes, more than the {max} of maxPayloadBytes; pass a reference to the data instead")]
    TooLarge {
        /// A task or a result.
        what: &'static str,
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// Too many.
    #[error("{0} tasks wait, as many as maxTasks allows; let workers finish some, or purge a queue")]
    Full(usize),
    /// A workflow that cannot run.
    #[error("the workflow cannot run: {0}")]
    Workflow(String),
    /// Not there.
    #[error("there is no {what} '{name}'; it may be finished and past its time, or never have been")]
    NotFound {
        /// Its kind.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A setting that cannot work.
    #[error("{option}: {problem}")]
    Option {
        /// Which.
        option: String,
        /// Why.
        problem: String,
    },
    /// The driver ended.
    #[error("the task queue is closed; open it again")]
    Closed,
}

impl HasCode for TaskError {
    fn code(&self) -> ErrorCode {
        match self {
            TaskError::Store(error) => error.code(),
            TaskError::Message { .. } => ErrorCode::InvalidInput,
            TaskError::TooLarge { .. } => ErrorCode::TooLarge,
            TaskError::Full(_) => ErrorCode::BufferFull,
            TaskError::Workflow(_) => ErrorCode::InvalidWorkflow,
            TaskError::NotFound { .. } => ErrorCode::NotFound,
            TaskError::Option { .. } => ErrorCode::InvalidOption,
            TaskError::Closed => ErrorCode::Closed,
        }
    }
}

type Result<T> = std::result::Result<T, TaskError>;
