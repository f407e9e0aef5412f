//! The chances of tokens whose text is not said yet.
//!
//! Text is said later than it is chosen: a stop string or a call may still come of it. The chance of a token is told with
//! the text that completes it, and not at all when none of its bytes became text.

use crate::generate::TokenLogprob;
use std::collections::VecDeque;

#[derive(Debug, Default)]
pub(crate) struct Chances(VecDeque<Waiting>);

#[derive(Debug)]
struct Waiting {
    /// Bytes of the token nothing became of yet.
    bytes: usize,
    /// Some of its bytes were said.
    said: bool,
    chance: TokenLogprob,
}

impl Chances {
    pub(crate) fn push(&mut self, bytes: usize, chance: TokenLogprob) {
        self.0.push_back(Waiting { bytes, said: false, chance });
    }

    /// The next bytes are said. Returns the tokens they complete, and those that are no bytes at all.
    pub(crate) fn said(&mut self, bytes: usize) -> Vec<TokenLogprob> {
        self.advance(bytes, true)
    }

    /// The next bytes were the form of a call or its arguments.
    pub(crate) fn skipped(&mut self, bytes: usize) {
        self.advance(bytes, false);
    }

    /// Nothing more is said: a token of which only the beginning was said is told all the same.
    pub(crate) fn begun(&mut self) -> Option<TokenLogprob> {
        self.0.pop_front().filter(|waiting| waiting.said).map(|waiting| waiting.chance)
    }

    fn advance(&mut self, mut bytes: usize, said: bool) -> Vec<TokenLogprob> {
        let mut complete = Vec::new();
        while let Some(first) = self.0.front_mut() {
            let taken = first.bytes.min(bytes);
            first.said |= said && (taken > 0 || first.bytes == 0);
            (first.bytes, bytes) = (first.bytes - taken, bytes - taken);
            if first.bytes > 0 {
                break;
            }
            complete.extend(self.0.pop_front().filter(|waiting| waiting.said).map(|waiting| waiting.chance));
        }
        complete
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::TokenChance;

    fn chance(token: u32) -> TokenLogprob {
        let chosen = TokenChance { token, bytes: Vec::new(), logprob: 0.0 };
        TokenLogprob { chosen, top: Vec::new() }
    }

    #[test]
    fn a_token_is_told_with_the_text_that_completes_it() {
        let mut chances = Chances::default();
        let told = |chances: Vec<TokenLogprob>| chances.iter().map(|c| c.chosen.token).collect::<Vec<_>>();
        for (token, bytes) in [(1, 3), (2, 0), (3, 2), (4, 5), (5, 4)] {
            chances.push(bytes, chance(token));
        }
        assert_eq!(told(chances.said(2)), [0_u32; 0]);
        assert_eq!(told(chances.said(1)), [1, 2]);
        // The third is form alone; the fourth is form at first and text then.
        chances.skipped(4);
        assert_eq!(told(chances.said(3)), [4]);
        assert_eq!(told(chances.said(1)), [0_u32; 0]);
        assert_eq!(chances.begun().map(|c| c.chosen.token), Some(5));
    }
}
