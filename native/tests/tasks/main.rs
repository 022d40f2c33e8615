//! Stories about the public face of `millrace::tasks`.
//!
//! | module | what it proves |
//! |---|---|
//! | `life` | sending, results, retries, leases, dead letters, delays, expiry, revoking |
//! | `order` | priorities, rates, limits, pauses, routes, choices of workers |
//! | `flows` | chains, groups, chords, errors in them, calling off |
//! | `look` | lists, counts, events, periodic tasks |
//! | `crash` | what a crash in any phase leaves |
//! | `random` | random schedules with crashes against a simple model |
//! | `driver` | the thread: group commit, sleep, failure |
//!
//! `MILLRACE_LONG=1` runs the random tests at full length; use `--release` with it.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod crash;
mod driver;
mod flows;
mod life;
mod look;
mod order;
mod random;
mod support;
