//! What an answer used, as far as it can be seen from here.
//!
//! Engines say what they counted at the end, and some say nothing or something else. What was handed on is counted
//! besides: without the model's tokenizer each piece of a stream counts as one token at least, and so many bytes as no
//! known vocabulary puts into one token count as another. That is never more than what was generated, so an honest
//! engine is not cut short by it.

use hermetic_inference_api::{each_output, transcript_bytes};

/// No vocabulary in use has a longer token; Llama 3's longest is 128 blanks.
const TOKEN_BYTES_MAX: u64 = 128;

/// Generated text, counted.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Meter {
    pieces: u64,
    bytes: u64,
}

impl Meter {
    /// What one event of a stream, or a whole answer, adds. What is no answer in a known shape adds nothing.
    pub(crate) fn read(&mut self, data: &[u8]) {
        each_output(data, |text| {
            self.pieces += 1;
            self.bytes += text.len() as u64;
        });
    }

    /// What was heard in a recording.
    pub(crate) fn read_transcript(&mut self, answer: &[u8]) {
        self.bytes += transcript_bytes(answer) as u64;
    }

    /// Tokens there are at least.
    pub(crate) fn tokens_at_least(&self) -> u64 {
        self.pieces.max(self.bytes.div_ceil(TOKEN_BYTES_MAX))
    }

    /// Tokens there are at most: a token that is text has a byte, and each answer may end in one that is none.
    pub(crate) fn tokens_at_most(&self, answers: u64) -> u64 {
        self.bytes.saturating_add(answers)
    }
}
