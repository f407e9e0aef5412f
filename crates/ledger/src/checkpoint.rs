//! Checkpoints: the tree's size and root under the log's signature (C2SP tlog-checkpoint).

use crate::hash::TreeHash;
use crate::note::{self, NoteError, VerifierKey};

/// What a checkpoint says.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Checkpoint {
    /// The log's name; also the name its key signs under.
    pub origin: String,
    pub size: u64,
    pub root: TreeHash,
}

/// A checkpoint whose signature did verify. Minted by [`VerifiedCheckpoint::open`] alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedCheckpoint(Checkpoint);

/// Why a checkpoint is not to be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    #[error("expected a checkpoint (origin, size, root, one per line), found {found}")]
    Form { found: &'static str },
    #[error("expected the checkpoint of the log `{expected}`, found that of `{found}`")]
    Origin { expected: String, found: String },
    #[error("the checkpoint is not signed by the expected key")]
    Note(#[source] NoteError),
}

impl Checkpoint {
    /// The text that is signed.
    pub fn to_text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, self.root)
    }

    /// The signed note. `signature` is by the secret half of `key` over [`Checkpoint::to_text`].
    pub fn to_note(&self, key: &VerifierKey, signature: &[u8]) -> String {
        note::assemble(&self.to_text(), key, signature)
    }

    fn from_text(text: &str) -> Result<Self, CheckpointError> {
        let form = |found| CheckpointError::Form { found };
        let mut lines = text.strip_suffix('\n').ok_or_else(|| form("no final newline"))?.split('\n');
        let mut next = || lines.next().filter(|line| !line.is_empty());
        let origin = next().ok_or_else(|| form("no origin"))?.to_owned();
        let size = next().and_then(decimal).ok_or_else(|| form("a size that is not a plain decimal"))?;
        let root = next()
            .and_then(TreeHash::from_base64)
            .ok_or_else(|| form("a root that is not 32 bytes in base64"))?;
        // Extension lines are allowed, covered by the signature, and mean nothing to us.
        if lines.any(str::is_empty) {
            return Err(form("an empty line"));
        }
        Ok(Self { origin, size, root })
    }

    /// Reads a checkpoint without checking its signature: for readers who only follow their own log.
    pub fn read_unverified(note: &str) -> Result<Self, CheckpointError> {
        Self::from_text(note::text_unverified(note).map_err(CheckpointError::Note)?)
    }
}

/// A number as this format writes it: ASCII digits, no sign, no leading zero.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

impl VerifiedCheckpoint {
    /// Checks signature and origin.
    ///
    /// Off-spec: tlog-checkpoint lets origin and key name differ; ours are always the same, and a verifier holds the
    /// log to it, so that one vkey pins both.
    pub fn open(note: &str, key: &VerifierKey) -> Result<Self, CheckpointError> {
        let text = note::open(note, key).map_err(CheckpointError::Note)?;
        let checkpoint = Checkpoint::from_text(text)?;
        if checkpoint.origin != key.name() {
            let expected = key.name().to_owned();
            return Err(CheckpointError::Origin { expected, found: checkpoint.origin });
        }
        Ok(Self(checkpoint))
    }

    pub fn get(&self) -> &Checkpoint {
        &self.0
    }
}
