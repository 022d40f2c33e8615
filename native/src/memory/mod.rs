//! A versioned memory for agents.
//!
//! | module | job |
//! |---|---|
//! | [`embedder`] | vectors of texts, without a model server |
//! | [`vectors`] | vectors by id, and the nearest of them |
//! | [`words`] | texts by their words, and how findings of both kinds are brought together |

pub mod vectors;
