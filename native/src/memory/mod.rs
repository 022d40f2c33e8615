//! A versioned memory: JSON documents by namespace and key, with their whole history.
//!
//! | module | job |
//! |---|---|
//! | `names` | namespaces and keys, and how they become the store's keys |
//! | `record` | one version as it lies in the store, and its id |
//! | `write` | puts and deletes: checked, grouped, committed, told |
//! | `line` | the order of calls that are read beside each other |
//! | `read` | the present, the past, lists |
//! | `lineage` | which version caused which |
//! | `cache` | documents that were read lately |
//! | `spaces` | counts of each namespace |
//! | `changes` | the log of what happened, and who watches it |
//! | `diff` | what differs between two values |
//! | `filter`, `query`, `aggregate`, `index` | questions, and what makes them quick |
//! | `views` | questions whose answers are kept |
//! | `suggest` | names near one that is not there |
//! | `retention` | what history is given up, and when |
//! | `transfer`, `verify` | copies, text, checks |
//! | [`embedder`] | vectors of texts, without a model server |
//! | [`vectors`] | vectors by id, and the nearest of them |
//! | `rows` | numbers for keys, as indexes want them |
//! | `embeddings` | vectors as documents, and how many are kept at once |
//! | `near` | vectors of documents: the index that follows the log |
//! | [`rag`] | documents in chunks, found again by meaning and words |
//! | [`words`] | texts by their words, and findings of several kinds brought together |
//! | `ask` | all that is asked rarely, as JSON |
//!
//! What must hold:
//! - A version never changes. The newest one of a key lies in `documents`, the older ones in `history`.
//! - Stamps are microseconds and rise with every atomic write: a stamp is a place in the order and a time.
//! - What a write answers is committed as the durability says, and every reader sees it.
//! - All calls may wait for the disk. None belongs on a thread that must not.

pub mod aggregate;
#[allow(missing_docs, reason = "the library documents each question")]
pub mod ask;
mod cache;
pub mod changes;
pub mod database;
pub mod diff;
pub mod embedder;
mod embeddings;
mod error;
pub mod filter;
mod index;
mod line;
mod lineage;
mod names;
mod near;
mod query;
pub mod rag;
mod read;
mod record;
mod retention;
mod rows;
mod spaces;
mod suggest;
mod transfer;
pub mod vectors;
mod verify;
mod views;
pub mod words;
mod write;

pub use database::{Database, Durability, Options};
pub use error::MemoryError;
pub use line::Place;
pub use near::VectorOptions;
pub use read::{At, HistoryRange};
pub use record::VersionId;
pub use retention::Retention;
pub use write::{Outcome, Write};

pub(crate) type Result<T> = std::result::Result<T, MemoryError>;
