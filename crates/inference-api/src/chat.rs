//! Chat completions, as every translation between surfaces reads and writes them: whoever is to reach whom, a request
//! and its answer pass through these words.
//!
//! Invariant: what is read here of a request is all of it; a field that nobody knows is handed on or refused, never left
//! out.

pub(crate) mod answer;
pub(crate) mod asked;
pub(crate) mod chunks;
pub(crate) mod completion;
pub(crate) mod request;
