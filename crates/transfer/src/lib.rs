//! Export and import runs: collect, assemble, sign; verify, copy, seal.
//!
//! What it is for: the supply flow on both sides of the gap. `export` makes a bundle, `import` takes one in; each shows
//! its flow in order on one screen. What it must not know: HTTP, inference, how a release is served.
//!
//! Invariants:
//! - every byte that crosses is read once from the media and hashed while it is copied;
//! - nothing half-imported is visible: blobs get their names when all of them are checked, rows appear in one
//!   transaction, after the ledger leaf;
//! - an import that stops anywhere is finished by running it again.

pub mod export;
pub mod import;
