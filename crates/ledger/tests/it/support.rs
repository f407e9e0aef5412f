//! A log in memory: leaves, nodes by definition, a signing key.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use hermetic_ledger::path::Nodes;
use hermetic_ledger::{Checkpoint, Frontier, ProofFile, TreeHash, VerifierKey, path};
use std::convert::Infallible;

pub(crate) const ORIGIN: &str = "enclave.test/ledger";

pub(crate) struct Log {
    pub(crate) records: Vec<Vec<u8>>,
    pub(crate) pair: Ed25519KeyPair,
    pub(crate) key: VerifierKey,
}

pub(crate) fn leaf_record(i: u64) -> Vec<u8> {
    format!("{{\"v\":1,\"at_unix_ms\":{i},\"event\":{{\"kind\":\"service.stopped\",\"reason\":\"r{i}\"}}}}")
        .into_bytes()
}

impl Log {
    pub(crate) fn of(size: u64) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let key = VerifierKey::new(ORIGIN, pair.public_key().as_ref().try_into().unwrap()).unwrap();
        Self { records: (0..size).map(leaf_record).collect(), pair, key }
    }

    pub(crate) fn leaves(&self) -> Vec<TreeHash> {
        self.records.iter().map(|record| TreeHash::leaf(record)).collect()
    }

    pub(crate) fn frontier(&self, size: u64) -> Frontier {
        let mut frontier = Frontier::new();
        self.leaves().into_iter().take(size as usize).for_each(|leaf| frontier.push(leaf));
        frontier
    }

    pub(crate) fn note(&self, size: u64) -> String {
        let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size, root: self.frontier(size).root() };
        checkpoint.to_note(&self.key, self.pair.sign(checkpoint.to_text().as_bytes()).as_ref())
    }

    pub(crate) fn prove(&self, index: u64) -> ProofFile {
        let size = self.records.len() as u64;
        let Ok(path) = path::inclusion(&mut Memory(self.leaves()), index, size);
        ProofFile { record: self.records[index as usize].clone(), index, path, checkpoint: self.note(size) }
    }
}

/// Nodes straight from the leaves.
pub(crate) struct Memory(pub(crate) Vec<TreeHash>);

impl Nodes for Memory {
    type Error = Infallible;
    fn node(&mut self, level: u8, index: u64) -> Result<TreeHash, Infallible> {
        let from = (index as usize) << level;
        Ok(hermetic_ledger::tile::perfect_root(&self.0[from..from + (1 << level)]).unwrap())
    }
}
