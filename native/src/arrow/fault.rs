//! What can go wrong with a batch as a whole, and with a single row.

use std::fmt;
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
    /// With the column that cannot be converted.
    pub fn in_column(self, name: &str) -> Self {
        match self {
            Fault::Conversion(problem) => Fault::Conversion(format!("column '{name}': {problem}")),
            other => other,
        }
    }

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
    /// The row is larger than a record may be.
    Size,
}

impl Reason {
    /// All, in the order of their numbers.
    pub const ALL: [Reason; 8] = [
        Reason::Kind,
        Reason::Overflow,
        Reason::Fraction,
        Reason::Null,
        Reason::UnknownColumn,
        Reason::Form,
        Reason::Length,
        Reason::Size,
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
            Reason::Size => "size",
        }
    }

    /// For people, behind the value.
    pub fn words(self) -> &'static str {
        match self {
            Reason::Kind => "is of a kind that the column does not take",
            Reason::Overflow => "is beyond what the column can hold",
            Reason::Fraction => "is finer than the column can hold",
            Reason::Null => "is missing, and the column takes no null",
            Reason::UnknownColumn => "is in no column of the schema",
            Reason::Form => "is no text of the form that the column needs",
            Reason::Length => "has another length than the column",
            Reason::Size => "is more than the 10000000 bytes that a record may have",
        }
    }

    /// Of the error that it makes.
    pub fn code(self) -> ErrorCode {
        match self {
            Reason::Kind
            | Reason::Overflow
            | Reason::Fraction
            | Reason::Null
            | Reason::UnknownColumn
            | Reason::Form
            | Reason::Length => ErrorCode::Conversion,
            Reason::Size => ErrorCode::TooLarge,
        }
    }
}

/// A row that did not become part of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowError {
    /// Its place among the rows that were given.
    pub row: usize,
    /// The column, with the path within it: `items[3].x`; empty where it is the row itself.
    pub column: String,
    /// What stands there, shortened; empty where whoever gave the rows has it.
    pub value: String,
    /// Why.
    pub reason: Reason,
}

impl fmt::Display for RowError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "row {}, ", self.row)?;
        if !self.column.is_empty() {
            write!(out, "column {}: ", self.column)?;
        }
        write!(out, "{} {}", self.value, self.reason.words())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_fault_has_the_code_of_its_kind() {
        let folder = PathBuf::from("there");
        for (fault, code) in [
            (Fault::schema("column 'a'", "no such type"), ErrorCode::InvalidOption),
            (Fault::ipc(&"cut off"), ErrorCode::InvalidInput),
            (Fault::TooLarge { what: "a row", size: 2, limit: 1 }, ErrorCode::TooLarge),
            (Fault::Conversion("no".into()), ErrorCode::Conversion),
            (Fault::OtherSchema { found: "a: int8".into(), wanted: "b: int8".into() }, ErrorCode::Conversion),
            (Fault::File { path: folder.clone(), reason: "no".into() }, ErrorCode::StoreFailed),
            (Fault::Locked(folder.clone(), "a".into()), ErrorCode::StoreLocked),
            (Fault::DiskFull(folder), ErrorCode::DiskFull),
            (Fault::Internal("no".into()), ErrorCode::Internal),
        ] {
            assert_eq!(fault.code(), code, "{fault}");
        }
    }

    #[test]
    fn a_reason_has_a_name_of_its_own() {
        let names = HashSet::from(Reason::ALL.map(Reason::name));
        let words = HashSet::from(Reason::ALL.map(Reason::words));
        assert_eq!((names.len(), words.len()), (Reason::ALL.len(), Reason::ALL.len()));
        let large = Reason::ALL.map(|reason| reason.code() == ErrorCode::TooLarge);
        assert_eq!(large, Reason::ALL.map(|reason| reason == Reason::Size));
        assert!(Reason::Size.words().contains(&crate::arrow::MAX_RECORD.to_string()));
    }
}
