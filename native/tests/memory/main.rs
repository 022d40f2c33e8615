//! Stories about the versioned memory. Long counts with `MILLRACE_LONG=1`.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod ask;
mod crash;
mod documents;
mod fuzz;
mod near;
mod rag;
mod random;
mod support;
