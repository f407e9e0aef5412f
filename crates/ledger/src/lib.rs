//! Records, leaves, the Merkle tree, checkpoints, proofs and their verification.
//!
//! What it is for: everything about the ledger that can be said without a disk. A record becomes a leaf ([`record`]),
//! leaves a tree ([`hash`], [`frontier`], [`tile`]), the tree a signed [`checkpoint`], and a leaf with its path to a
//! checkpoint a [`proof_file`] that a stranger verifies offline with one public key.
//!
//! What it must not know: disk, time source, private keys (a checkpoint is signed by a function the caller hands in).
//!
//! Invariants:
//! - hashing is RFC 6962 §2.1: `SHA-256(0x00 ‖ leaf)`, `SHA-256(0x01 ‖ left ‖ right)`;
//! - tiles, checkpoints, notes and proofs are C2SP tlog-tiles, tlog-checkpoint, signed-note and tlog-proof; where we
//!   are stricter or wider than the text, the code says `Off-spec:`;
//! - every function that reads bytes from outside returns an error on anything it would not itself have written: there
//!   is one text form per value, so no byte of a proof can change unnoticed;
//! - [`VerifiedCheckpoint`] and [`ProvedRecord`] exist only when a signature, and a path, did verify.

pub mod checkpoint;
pub mod frontier;
pub mod hash;
pub mod note;
pub mod path;
pub mod proof_file;
pub mod record;
pub mod tile;
mod view;

pub use checkpoint::{Checkpoint, CheckpointError, VerifiedCheckpoint};
pub use frontier::Frontier;
pub use hash::TreeHash;
pub use note::VerifierKey;
pub use proof_file::{ProofError, ProofFile, ProvedRecord};
pub use record::{Commitment, Event, RECORD_BYTES_MAX, Record, RecordError};
pub use view::RecordView;
