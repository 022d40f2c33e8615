//! The engines' Node.js face. Each function unwraps its handle, calls the engine and converts;
//! decisions are made on either side of it, never here. All is public, as JavaScript is its only caller.

#[cfg(unix)]
pub mod action;
pub mod arrow;
pub mod coded;
pub mod embedder;
pub mod engine;
pub mod memory;
#[cfg(feature = "ros2")]
pub mod ros2;
pub mod spool;
pub mod stamp;
pub mod sync;
pub mod tasks;
pub mod vectors;
pub mod work;
#[cfg(feature = "zerobus")]
pub mod zerobus;
