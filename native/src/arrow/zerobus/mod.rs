//! Sends batches to a Databricks table through Zerobus.
//!
//! ```text
//! send -> cast to the table's types -> lane -> stream of the official client -> Zerobus
//!                                  \-> spool -> drain -/
//! ```
//!
//! | module | job |
//! |---|---|
//! | `config` | what it is told, and what is wrong with that |
//! | `error` | what can go wrong, and what of it may go away |
//! | `backoff` | pauses between attempts |
//! | `payload` | rows in the form in which they travel |
//! | `wire`, `tls`, `token` | one stream of the official client, and whom it trusts |
//! | `lane` | one stream after the other: order, acknowledgements, who is at fault |
//! | `outbox`, `partly`, `aside` | what waits on disk, what of it has arrived, and what is not taken of it |
//! | `copies` | copies of what is sent |
//! | `client`, `report` | the whole, and what it tells |

mod aside;
mod backoff;
mod client;
mod config;
mod copies;
mod error;
mod lane;
mod outbox;
mod partly;
mod payload;
mod report;
mod tls;
mod token;
mod wire;

pub use client::{Client, try_to_open};
pub use config::{Debug, Delivery, Observability, Problem, Retry, Secret, SpoolConfig, WhenSpoolFull, ZerobusConfig};
pub use error::{Fate, RowFault, SendError};
pub use report::{FailedRows, Stats, TransmissionResult};
