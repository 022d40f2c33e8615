//! What acts: drivers that live in the engine.

#[cfg(unix)]
pub mod python;
