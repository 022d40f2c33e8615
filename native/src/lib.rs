//! Millrace's native engines.
//!
//! | module | job |
//! |---|---|
//! | [`action`] | runs users' Python scripts in processes of their own |
//! | [`arrow`] | rows to Arrow batches, and these to files |
//! | [`error`] | the product's one list of error codes |
//! | [`heap`] | counts what the engines hold in memory |
//! | [`memory`] | a versioned memory: documents with their whole history |
//! | [`options`] | reads options that cross as JSON |
//! | `ros2` | ROS 2 topics and services over an embedded DDS; behind feature `ros2` |
//! | [`kv`] | the one embedded store |
//! | [`spool`] | a durable queue of records on disk |
//! | [`sync`] | aligns timestamped streams into groups |
//! | [`tasks`] | queues work: retries, delays, workflows |
//! | `bindings` | the Node.js face of the engines, behind feature `node`; one thin file an engine |
//!
//! Engines know nothing of Node.js and nothing of each other: `bindings/x` calls `x`, and `x` calls
//! only the shared modules. `cargo test --no-default-features` proves the first by not linking it.

pub mod action;
pub mod arrow;
#[cfg(feature = "node")]
#[allow(missing_docs, reason = "what has no comment says it by its name; comments go to index.d.ts")]
pub mod bindings;
mod disk;
pub mod error;
pub mod heap;
pub mod kv;
pub mod memory;
pub mod options;
#[cfg(feature = "ros2")]
pub mod ros2;
pub mod spool;
pub mod sync;
pub mod tasks;
