//! Whether a text tells a model to forget whom it works for: a first, linear tier.
//!
//! What it is for: a score for instructions that are smuggled in, cheap enough for every request. What it is not: the only
//! control. It knows the wording of the sets it was trained on and words like them; `docs/guardrails-quality.md` says how
//! often it is wrong on others.
//!
//! A logistic regression over hashed words, pairs and triples of words and pieces of words, trained by
//! `scripts/train_injection.py`, its weights in eight bits each. The score of a text is that of the worst stretch of
//! [`STRETCH`] words in it, so that an instruction does not drown in a long document.
//!
//! Invariants: the same text has the same score; characters that nobody sees, case, accents, punctuation and letters that
//! look like Latin ones change nothing; one allocation for the words of a text and one for their sums, whatever it says.

mod fold;
mod grams;

use grams::{PIECE_BITS, Told, WORD_BITS, each};

/// Words that are judged together.
const STRETCH: usize = 40;
/// How far the next stretch begins behind the last.
const STEP: usize = 20;

const WORDS: usize = 1 << WORD_BITS;
const PIECES: usize = 1 << PIECE_BITS;
/// Slope and offset of the logistic function, two numbers of four bytes, before the weights.
const HEADER: usize = 8;

/// Written by `scripts/train_injection.py`; `injection/weights.md` says from what.
static TRAINED: &[u8; HEADER + WORDS + PIECES] = include_bytes!("injection/weights.bin");

/// A place of a text in the tables, as those who train them need it: how many there are.
pub const INJECTION_PLACES: usize = WORDS + PIECES;

/// Through which door an instruction could come that nobody wanted. Each is a rule of its own; whoever looks says which
/// text came through which.
pub const INJECTION_RULES: [&str; 4] =
    ["injection.user", "injection.tool", "injection.document", "injection.system"];

/// A trained scorer.
#[derive(Debug, Clone, Copy)]
pub struct Injection {
    slope: f32,
    offset: f32,
    words: &'static [u8],
    pieces: &'static [u8],
}

impl Default for Injection {
    fn default() -> Self {
        Self::new()
    }
}

/// What all words up to one weigh, and of how many grams.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    weight: i32,
    grams: u32,
}

impl Injection {
    /// The one that comes with the product.
    pub fn new() -> Self {
        let [s0, s1, s2, s3, o0, o1, o2, o3, ..] = *TRAINED;
        let (words, pieces) = TRAINED.split_at(HEADER).1.split_at(WORDS);
        Self {
            slope: f32::from_le_bytes([s0, s1, s2, s3]),
            offset: f32::from_le_bytes([o0, o1, o2, o3]),
            words,
            pieces,
        }
    }

    /// How likely it is that a text holds an injected instruction: 0 to 1.
    pub fn score(&self, text: &str) -> f32 {
        let words = fold::words(text);
        let mut sums = Vec::with_capacity(words.len() / 4 + 1);
        sums.push(Sum::default());
        let mut sum = Sum::default();
        each(&words, |told| {
            let weight = match told {
                Told::Word(place) => self.words.get(place),
                Told::Piece(place) => self.pieces.get(place),
                Told::End => {
                    sums.push(sum);
                    return;
                }
            };
            sum.weight += i32::from(weight.copied().unwrap_or_default().cast_signed());
            sum.grams += 1;
        });
        let most = self.worst(&sums);
        1.0 / (1.0 + (-most).exp())
    }

    /// The greatest of all stretches, on the scale of the logistic function.
    fn worst(&self, sums: &[Sum]) -> f32 {
        let words = sums.len() - 1;
        let mut most = f32::NEG_INFINITY;
        let mut from = 0;
        loop {
            let to = (from + STRETCH).min(words);
            if let (Some(before), Some(behind)) = (sums.get(from), sums.get(to)) {
                let grams = behind.grams - before.grams;
                if grams > 0 {
                    let mean = (behind.weight - before.weight) as f32 / (grams as f32).sqrt();
                    most = most.max(mean.mul_add(self.slope, self.offset));
                }
            }
            if to == words {
                return most;
            }
            from += STEP;
        }
    }
}

/// The places of a text in the tables, word by word; those of pieces are counted behind those of words. For training: what is
/// trained on is then what is scored.
pub fn injection_places(text: &str) -> Vec<Vec<usize>> {
    let (mut all, mut word) = (Vec::new(), Vec::new());
    each(&fold::words(text), |told| match told {
        Told::Word(place) => word.push(place),
        Told::Piece(place) => word.push(WORDS + place),
        Told::End => all.push(std::mem::take(&mut word)),
    });
    all
}
