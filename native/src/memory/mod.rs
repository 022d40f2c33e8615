//! A versioned memory for agents.
//!
//! | module | job |
//! |---|---|
//! | [`embedder`] | vectors of texts, without a model server |
//! | [`vectors`] | vectors by id, and the nearest of them |
//! | [`words`] | texts by their words, and findings of several kinds brought together |

pub mod embedder;
pub mod vectors;
pub mod words;
