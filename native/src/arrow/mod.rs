//! Rows to Arrow batches and back, and to files.
//!
//! ```text
//! packed rows -> rows -> batch -> ipc | text | file
//!                           \--> delta -> proto
//! ```
//!
//! | module | job |
//! |---|---|
//! | `types`, `schema`, `infer` | what a column is: by name, declared, from rows |
//! | `value` | values as they cross from JavaScript |
//! | `column`, `moment`, `dictionary`, `rows` | rows to a batch; what does not fit is told of, row by row |
//! | `batch` | rows of one schema, in parts that are shared |
//! | `ipc` | Arrow's own form, in and out; the bytes may come from anywhere |
//! | `text` | a batch as JSON |
//! | `delta` | a batch as a Delta table takes it |
//! | `proto` | such a batch as Protobuf records, with their descriptor |
//! | `file`, `part` | files that are whole or not there; what a crash left of one |
//! | `zerobus` | batches to a Databricks table; behind feature `zerobus` |

mod batch;
mod column;
mod delta;
mod dictionary;
mod fault;
mod file;
mod infer;
mod ipc;
mod moment;
mod part;
mod proto;
mod rows;
mod schema;
mod text;
mod types;
mod value;
#[cfg(feature = "zerobus")]
pub mod zerobus;

pub use batch::Batch;
pub use column::Unknown;
pub use delta::{cast_to_delta, delta_schema};
pub use fault::{Fault, Reason, RowError};
pub use file::{FileOptions, FileWriter, Recovered, WrittenFile};
pub use infer::infer;
pub use ipc::{Compression, Form, decode, encode, schema_of};
pub use proto::{Descriptor, MAX_RECORD};
pub use rows::{RowKind, convert};
pub use schema::{describe, from_declared, to_declared, to_ipc};
pub use text::{Layout, Style, write as write_text};
pub use value::{Reader, Tag};
