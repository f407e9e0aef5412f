//! One record, its path and a checkpoint in one text file (C2SP tlog-proof), for strangers.
//!
//! The record's bytes travel on the `extra` line. The format says extra data is not authenticated by itself; here it is
//! the leaf that the path starts from, so a changed byte leads to another root.

use crate::checkpoint::{Checkpoint, CheckpointError, VerifiedCheckpoint, decimal};
use crate::hash::TreeHash;
use crate::note::{NOTE_BYTES_MAX, NoteError, VerifierKey};
use crate::path::{PATH_HASHES_MAX, root_from_inclusion};
use crate::record::RECORD_BYTES_MAX;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hermetic_diagnostics::{Code, Diagnose};

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";
/// Longest proof file: the longest record in base64, a full path, the longest note.
pub const PROOF_BYTES_MAX: usize =
    RECORD_BYTES_MAX.div_ceil(3) * 4 + PATH_HASHES_MAX * 45 + NOTE_BYTES_MAX + 128;

/// A proof as it is written and read; nothing is checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofFile {
    pub record: Vec<u8>,
    pub index: u64,
    pub path: Vec<TreeHash>,
    /// The signed checkpoint, verbatim.
    pub checkpoint: String,
}

/// A record that is in the log its key signs for. Minted by [`ProofFile::verify`] alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvedRecord {
    record: Vec<u8>,
    index: u64,
    checkpoint: Checkpoint,
}

/// Which part of a proof does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    #[error("expected {expected} in line {line} of the proof, found something else")]
    Form { line: usize, expected: &'static str },
    #[error("expected a proof of at most {PROOF_BYTES_MAX} bytes, found {found}")]
    TooLarge { found: usize },
    #[error("the proof's checkpoint does not verify")]
    Checkpoint(#[source] CheckpointError),
    #[error("the proof's checkpoint is by another log or key")]
    WrongKey(#[source] CheckpointError),
    #[error(
        "the record and its path do not lead to the signed root of {size} leaves from index {index}: record, index or \
         path was changed"
    )]
    Inclusion { index: u64, size: u64 },
}

impl Diagnose for ProofError {
    fn code(&self) -> Code {
        match self {
            Self::Form { .. } | Self::TooLarge { .. } => Code::new("E0607"),
            Self::Checkpoint(_) => Code::new("E0608"),
            Self::WrongKey(_) => Code::new("E0609"),
            Self::Inclusion { .. } => Code::new("E0610"),
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::WrongKey(_) => {
                "ask the log's owner, over another channel, for `hermetic audit key`".to_owned()
            }
            Self::Form { .. } | Self::TooLarge { .. } | Self::Checkpoint(_) | Self::Inclusion { .. } => {
                "do not rely on this file; ask for it again with `hermetic audit prove`".to_owned()
            }
        })
    }
}

impl ProvedRecord {
    pub fn record(&self) -> &[u8] {
        &self.record
    }
    pub fn index(&self) -> u64 {
        self.index
    }
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }
}

impl ProofFile {
    pub fn to_text(&self) -> String {
        let mut text =
            format!("{FIRST_LINE}\nextra {}\nindex {}\n", STANDARD.encode(&self.record), self.index);
        for hash in &self.path {
            text.push_str(&hash.to_string());
            text.push('\n');
        }
        text.push('\n');
        text.push_str(&self.checkpoint);
        text
    }

    /// Reads a proof file. It need not be UTF-8, short or sane to be read safely.
    ///
    /// Off-spec: the `extra` line, optional in tlog-proof, is required: without the record there is nothing to show.
    pub fn read(bytes: &[u8]) -> Result<Self, ProofError> {
        if bytes.len() > PROOF_BYTES_MAX {
            return Err(ProofError::TooLarge { found: bytes.len() });
        }
        let form = |line, expected| ProofError::Form { line, expected };
        let text = std::str::from_utf8(bytes).map_err(|_| form(1, "UTF-8 text"))?;
        let (head, checkpoint) =
            text.split_once("\n\n").ok_or_else(|| form(1, "an empty line before the checkpoint"))?;
        let mut lines = head.split('\n');
        if lines.next() != Some(FIRST_LINE) {
            return Err(form(1, "`c2sp.org/tlog-proof@v1`"));
        }
        let record = lines.next().and_then(|line| STANDARD.decode(line.strip_prefix("extra ")?).ok());
        let record = record.ok_or_else(|| form(2, "`extra` and the record in base64"))?;
        let index = lines.next().and_then(|line| decimal(line.strip_prefix("index ")?));
        let index = index.ok_or_else(|| form(3, "`index` and a plain decimal"))?;
        let mut path = Vec::new();
        for (i, line) in lines.enumerate() {
            if i >= PATH_HASHES_MAX {
                return Err(form(4 + i, "at most 64 hashes"));
            }
            path.push(TreeHash::from_base64(line).ok_or_else(|| form(4 + i, "a hash in base64"))?);
        }
        Ok(Self { record, index, path, checkpoint: checkpoint.to_owned() })
    }

    /// Checks the signature, then the path from the record to the signed root.
    pub fn verify(self, key: &VerifierKey) -> Result<ProvedRecord, ProofError> {
        let checkpoint = VerifiedCheckpoint::open(&self.checkpoint, key).map_err(|error| match error {
            CheckpointError::Origin { .. } | CheckpointError::Note(NoteError::Unsigned { .. }) => {
                ProofError::WrongKey(error)
            }
            CheckpointError::Form { .. } | CheckpointError::Note(_) => ProofError::Checkpoint(error),
        })?;
        let Checkpoint { size, root, .. } = *checkpoint.get();
        let leaf = TreeHash::leaf(&self.record);
        if root_from_inclusion(leaf, self.index, size, &self.path) != Some(root) {
            return Err(ProofError::Inclusion { index: self.index, size });
        }
        Ok(ProvedRecord { record: self.record, index: self.index, checkpoint: checkpoint.get().clone() })
    }
}
