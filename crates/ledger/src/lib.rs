//! Records, leaves, the Merkle tree, checkpoints, proofs and their verification.

pub mod record;
