//! What is sealed of a response: a head that says whose it is and what it goes on from, its input items, and the response.
//!
//! ```text
//! head (JSON) ‖ input (array of items) ‖ response (JSON, as it was told)
//! ```

use crate::stored::refusal::StateRefusal;
use hermetic_content_store::{ContentError, SealedReader, SealedWriter};
use hermetic_ids::{ProjectName, ResponseId, SubjectName};
use hermetic_metadata::ResponseRow;
use serde::{Deserialize, Serialize};

/// Sealed with the contents: a row that was changed makes them nobody else's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Head {
    pub(crate) v: u8,
    pub(crate) project: ProjectName,
    pub(crate) subject: SubjectName,
    pub(crate) previous: Option<ResponseId>,
    /// How high what was said is classified, by the name of the level at that time.
    pub(crate) classification: String,
}

/// What is kept of a response.
pub(crate) struct Contents {
    pub(crate) head: Head,
    /// The items that were said to the model in this turn.
    pub(crate) input: String,
    /// As it was told.
    pub(crate) response: Vec<u8>,
}

impl std::fmt::Debug for Contents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Contents(hidden)")
    }
}

impl Contents {
    /// Writes all of it and syncs it.
    pub(crate) fn write(&self, mut to: SealedWriter) -> Result<(), ContentError> {
        let head = serde_json::to_vec(&self.head)
            .map_err(|_| ContentError::Crypto { action: "write the head of a response" })?;
        for piece in [&head[..], self.input.as_bytes(), &self.response] {
            to.append(piece)?;
        }
        to.finish()
    }

    /// Reads all of it: what is not whole, or not what its row says, is refused.
    pub(crate) fn read(mut from: SealedReader, row: &ResponseRow) -> Result<Self, StateRefusal> {
        let missing = StateRefusal::Damaged { found: "a part of it" };
        let mut piece = || from.piece();
        let (Some(head), Some(input), Some(response)) = (piece()?, piece()?, piece()?) else {
            return Err(missing);
        };
        if piece()?.is_some() {
            return Err(StateRefusal::Damaged { found: "more than was kept" });
        }
        let head: Head =
            serde_json::from_slice(&head).map_err(|_| StateRefusal::Damaged { found: "another form" })?;
        let owned = head.v == 1
            && head.project == row.project
            && head.subject == row.subject
            && head.previous == row.previous;
        if !owned {
            return Err(StateRefusal::Damaged { found: "that of somebody else" });
        }
        let input = String::from_utf8(input).map_err(|_| StateRefusal::Damaged { found: "no text" })?;
        Ok(Self { head, input, response })
    }

    pub(crate) fn bytes(&self) -> u64 {
        (self.input.len() + self.response.len()) as u64
    }
}
