//! Why the memory cannot do it.

use std::sync::Arc;

use super::vectors::VectorError;
use crate::error::{ErrorCode, HasCode};
use crate::kv::KvError;

/// Why the memory cannot do it. One failed commit fails all writes that were in it: hence the clone.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MemoryError {
    /// A namespace or a key that cannot be one.
    #[error("the {what} '{name}' cannot be one: {problem}")]
    Name {
        /// Which of both.
        what: &'static str,
        /// As it was given.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A value or a question that cannot be read.
    #[error("{what}: {problem}")]
    Input {
        /// Where it stands.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
    /// No such document.
    #[error("there is no '{key}' in '{namespace}'; see which keys there are, or put it first")]
    KeyNotFound {
        /// Where it was looked for.
        namespace: String,
        /// What was looked for.
        key: String,
    },
    /// No such version, index or view.
    #[error("there is no {what} '{name}'; it never was, or was given up since")]
    NotFound {
        /// What kind of thing.
        what: &'static str,
        /// Which one.
        name: String,
    },
    /// A compare-and-set that did not hold.
    #[error("'{key}' in '{namespace}' is at {found}, not at {expected}; read it again and try with what it is now")]
    Conflict {
        /// Its namespace.
        namespace: String,
        /// Its key.
        key: String,
        /// What the caller knew.
        expected: String,
        /// What is so.
        found: String,
    },
    /// More than the limit.
    #[error("'{key}' in '{namespace}' has {bytes} bytes of at most {limit}; split it, or raise the limit")]
    TooLarge {
        /// Its namespace.
        namespace: String,
        /// Its key.
        key: String,
        /// What it has.
        bytes: usize,
        /// What it may have.
        limit: usize,
    },
    /// More than can cross at once.
    #[error("the answer would have more than {limit} bytes; ask for less at once")]
    Answer {
        /// What it may have.
        limit: usize,
    },
    /// The configured limit of the disk.
    #[error(
        "the store has {bytes} bytes on the disk of at most {limit}; give up history by a retention, or raise the limit"
    )]
    DiskLimit {
        /// What there is.
        bytes: u64,
        /// What may be.
        limit: u64,
    },
    /// What lies in the store is no version that was written.
    #[error("'{name}' is damaged: {problem}; restore a copy")]
    Damaged {
        /// Which document.
        name: String,
        /// What does not fit.
        problem: String,
    },
    /// A file of the caller's, not of the store.
    #[error("{path}: {problem}; see that it can be read and written")]
    File {
        /// Which file.
        path: String,
        /// What the system says.
        problem: String,
    },
    /// The store below.
    #[error("{0}")]
    Store(Arc<KvError>),
    /// Vectors that cannot be compared.
    #[error("{0}")]
    Vector(Arc<VectorError>),
    /// Closed before this call.
    #[error("the database is closed; open it again")]
    Closed,
}

impl HasCode for MemoryError {
    fn code(&self) -> ErrorCode {
        match self {
            MemoryError::Name { .. } | MemoryError::Input { .. } => ErrorCode::InvalidInput,
            MemoryError::KeyNotFound { .. } => ErrorCode::KeyNotFound,
            MemoryError::NotFound { .. } => ErrorCode::NotFound,
            MemoryError::Conflict { .. } => ErrorCode::Conflict,
            MemoryError::TooLarge { .. } | MemoryError::Answer { .. } => ErrorCode::TooLarge,
            MemoryError::DiskLimit { .. } => ErrorCode::DiskFull,
            MemoryError::Damaged { .. } => ErrorCode::StoreCorrupt,
            MemoryError::File { .. } => ErrorCode::StoreFailed,
            MemoryError::Store(error) => error.code(),
            MemoryError::Vector(error) => error.code(),
            MemoryError::Closed => ErrorCode::Closed,
        }
    }
}

impl From<KvError> for MemoryError {
    fn from(error: KvError) -> Self {
        MemoryError::Store(Arc::new(error))
    }
}

impl From<VectorError> for MemoryError {
    fn from(error: VectorError) -> Self {
        MemoryError::Vector(Arc::new(error))
    }
}

impl MemoryError {
    /// A value or a question that cannot be read.
    pub(super) fn input(what: impl Into<String>, problem: impl Into<String>) -> Self {
        MemoryError::Input { what: what.into(), problem: problem.into() }
    }
}
