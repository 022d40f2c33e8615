//! Stories about the public face of `millrace::sync`.
//!
//! | module | what it proves |
//! |---|---|
//! | `oldest`, `nearest` | named cases and figures of the two rules |
//! | `random` | both rules, with optional topics, against the slow definition in `oracle` |
//! | `prompt` | no group waits once nothing to come can change it |
//! | `garbage` | no input loses a message, fills the memory or wedges the streams |
//! | `outcomes`, `waiting`, `control` | what a push, the clock and the caller can do |
//!
//! `MILLRACE_LONG=1` runs the random tests at full length; use `--release` with it.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod control;
mod garbage;
mod nearest;
mod oldest;
mod optional;
mod oracle;
mod outcomes;
mod prompt;
mod random;
mod support;
mod waiting;
