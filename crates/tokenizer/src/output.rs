//! Following an answer while it streams.

use crate::tokenizer::Tokenizer;
use std::sync::Arc;

/// Tokens of an answer so far, from its pieces alone.
///
/// With a tokenizer: each piece that is not empty counts as the tokens of its text, and as one at least. Engines send a
/// piece per token or per few, never half of one, so this is what a model's usual way of writing costs. Without one: the
/// bytes, which no way of writing exceeds, except for tokens that are no text at all. What an engine reports at the end
/// is what is settled; this is for cutting a stream at its cap before that.
#[derive(Debug)]
pub struct OutputCounter {
    tokenizer: Option<Arc<Tokenizer>>,
    tokens: u64,
}

impl OutputCounter {
    pub fn new(tokenizer: Option<Arc<Tokenizer>>) -> Self {
        Self { tokenizer, tokens: 0 }
    }

    /// Adds one piece and returns the tokens so far.
    pub fn push(&mut self, piece: &str) -> u64 {
        if !piece.is_empty() {
            let tokens = match &self.tokenizer {
                Some(tokenizer) => tokenizer.count_inside(piece).max(1),
                None => crate::bound::bytes_bound(piece),
            };
            self.tokens = self.tokens.saturating_add(tokens);
        }
        self.tokens
    }

    pub fn tokens(&self) -> u64 {
        self.tokens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_tokenizer_a_byte_is_a_token() {
        let mut counter = OutputCounter::new(None);
        assert_eq!((counter.push("añ"), counter.push(""), counter.push("b")), (3, 3, 4));
    }
}
