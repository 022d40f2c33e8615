//! The one list of error codes, and the form in which every engine's error leaves the crate.

/// What went wrong, for programs. Codes are public API: shared by all families, never renamed.
#[cfg_attr(feature = "node", napi_derive::napi(string_enum = "UPPER_SNAKE"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ErrorCode {
    /// An option has a value that cannot work.
    InvalidOption,
    /// A message lacks something that the node needs.
    InvalidInput,
    /// A message has no usable timestamp.
    InvalidTimestamp,
    /// A topic that was never declared.
    UnknownTopic,
    /// Older than what already left.
    Late,
    /// Not newer than the one before on the same topic.
    OutOfOrder,
    /// A bounded buffer has no room, and its policy is to refuse.
    BufferFull,
    /// A clock went backwards.
    ClockJump,
    /// The network or the other side fails; it may work later.
    Transport,
    /// The other side did not answer in time.
    Timeout,
    /// The other side does not take it, and would not take it later either.
    Refused,
    /// The other side failed so often that it is left alone for a while.
    CircuitOpen,
    /// The other side does not let us in.
    Unauthorized,
    /// A message type without a definition.
    UnknownType,
    /// This build does not have the part.
    Unavailable,
    /// An optional npm package is not installed.
    PackageMissing,
    /// A user's script does not load, or raised an exception.
    ScriptFailed,
    /// The process of a user's script ended during a call.
    ScriptEnded,
    /// A store that another process has open.
    StoreLocked,
    /// A store whose files are not as they were written.
    StoreCorrupt,
    /// A store whose folder cannot be read or written.
    StoreFailed,
    /// No room on the disk.
    DiskFull,
    /// Larger than the limit.
    TooLarge,
    /// What was asked for is not there, or not any more.
    NotFound,
    /// A document that is not there, or not any more.
    KeyNotFound,
    /// Changed since it was read.
    Conflict,
    /// A workflow that cannot run.
    InvalidWorkflow,
    /// Called off before it was done.
    Revoked,
    /// Not begun before it expired.
    Expired,
    /// Who worked on it is gone.
    WorkerLost,
    /// The work itself failed.
    TaskFailed,
    /// A value or a batch that does not become what it has to be.
    Conversion,
    /// The engine was closed before this call.
    Closed,
    /// The native binary is missing or does not load on this machine.
    NativeMissing,
    /// A bug in this package.
    Internal,
}

/// Each engine's own error names its code by an exhaustive match.
pub trait HasCode: std::error::Error {
    /// The code of this error.
    fn code(&self) -> ErrorCode;
}

/// An engine's error on its way out of the crate: the code for programs, the text for people.
#[derive(Clone, Debug)]
pub struct EngineError {
    /// For programs.
    pub code: ErrorCode,
    /// What failed, with which value, and the way out.
    pub message: String,
}

impl EngineError {
    /// What cannot be, and was.
    pub fn internal(problem: &dyn std::fmt::Display) -> Self {
        EngineError { code: ErrorCode::Internal, message: problem.to_string() }
    }
}

impl<E: HasCode> From<E> for EngineError {
    fn from(error: E) -> Self {
        EngineError { code: error.code(), message: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("queue 'jobs' holds 10 of 10 tasks")]
    struct Full;

    impl HasCode for Full {
        fn code(&self) -> ErrorCode {
            ErrorCode::BufferFull
        }
    }

    #[test]
    fn an_engine_s_error_keeps_its_code_and_its_words() {
        let error = EngineError::from(Full);
        assert_eq!(error.code, ErrorCode::BufferFull);
        assert_eq!(error.message, "queue 'jobs' holds 10 of 10 tasks");
        let bug = EngineError::internal(&Full);
        assert_eq!((bug.code, bug.message), (ErrorCode::Internal, error.message));
    }
}
