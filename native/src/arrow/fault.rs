//! What can go wrong with a batch as a whole, and with a single row.

use std::path::PathBuf;

use crate::error::{ErrorCode, HasCode};

/// A failure of a call.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A schema that cannot be.
    #[error("{place}: {problem}")]
    Schema {
        /// The column, or the part of the schema.
        place: String,
        /// What is wrong with it, and the way out.
        problem: String,
    },
    /// Bytes that are no Arrow data, or damaged.
    #[error("the Arrow data cannot be read: {0}; see whether all of it arrived, as it was written")]
    Ipc(String),
    /// More than the limit.
    #[error("{what} takes {size} bytes, more than the limit of {limit}; split it, or raise the limit")]
    TooLarge {
        /// What is so large.
        what: &'static str,
        /// Its bytes.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// A batch that cannot become what is asked.
    #[error("{0}")]
    Conversion(String),
    /// Batches of different schemas in one.
    #[error("the schema is {found}, where {wanted} is needed; make both alike")]
    OtherSchema {
        /// As it came.
        found: String,
        /// As it has to be.
        wanted: String,
    },
    /// A file or folder that cannot be used.
    #[error("'{path}' cannot be used: {reason}; see whether it can be read and written")]
    File {
        /// The file.
        path: PathBuf,
        /// In the words of the operating system.
        reason: String,
    },
    /// Another process, or another node, writes there.
    #[error("files '{1}' in '{0}' are being written by another; use another prefix or folder")]
    Locked(PathBuf, String),
    /// The disk is full.
    #[error("the disk of '{0}' is full; files that are complete are safe; make room on the disk")]
    DiskFull(PathBuf),
    /// A bug, here or in the Arrow library.
    #[error("{0}; this is a bug, please report it with the log")]
    Internal(String),
}

impl HasCode for Fault {
    fn code(&self) -> ErrorCode {
        match self {
            Fault::Schema { .. } => ErrorCode::InvalidOption,
            Fault::Ipc(_) => ErrorCode::InvalidInput,
            Fault::TooLarge { .. } => ErrorCode::TooLarge,
            Fault::Conversion(_) | Fault::OtherSchema { .. } => ErrorCode::Conversion,
            Fault::File { .. } => ErrorCode::StoreFailed,
            Fault::Locked(..) => ErrorCode::StoreLocked,
            Fault::DiskFull(_) => ErrorCode::DiskFull,
            Fault::Internal(_) => ErrorCode::Internal,
        }
    }
}

impl Fault {
    /// A part of a schema that cannot be.
    pub fn schema(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Fault::Schema { place: place.into(), problem: problem.into() }
    }

    /// What the Arrow library refused.
    pub fn ipc(error: &dyn std::fmt::Display) -> Self {
        Fault::Ipc(error.to_string())
    }
}

/// Why a value does not go into its column. Names are public API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is of another kind: text for a number, an object for a list.
    Kind,
    /// It is larger, or smaller, than the column can hold.
    Overflow,
    /// It is finer than the column can hold.
    Fraction,
    /// There is none, where there has to be one.
    Null,
    /// The row has a column that the schema does not have.
    UnknownColumn,
    /// A text that is not of the form that the column needs.
    Form,
    /// Bytes or lists of another length than the column has.
    Length,
}

impl Reason {
    /// All, in the order of their numbers.
    pub const ALL: [Reason; 7] = [
        Reason::Kind,
        Reason::Overflow,
        Reason::Fraction,
        Reason::Null,
        Reason::UnknownColumn,
        Reason::Form,
        Reason::Length,
    ];

    /// For programs.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Kind => "kind",
            Reason::Overflow => "overflow",
            Reason::Fraction => "fraction",
            Reason::Null => "null",
            Reason::UnknownColumn => "unknown-column",
            Reason::Form => "form",
            Reason::Length => "length",
        }
    }
}

/// A row that did not become part of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowError {
    /// Its place among the rows that were given.
    pub row: usize,
    /// The column; empty where the row itself is none.
    pub column: String,
    /// Why.
    pub reason: Reason,
}
