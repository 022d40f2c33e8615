//! The engines' Node.js face. Each function unwraps its handle, calls the engine and converts;
//! decisions are made on either side of it, never here.

mod coded;
mod engine;
mod stamp;
mod sync;
