//! What a soak asks: every way a request can go, in fixed shares, the same in every run.

use crate::load::request::{Ask, Template};

/// What is asked, and what should come of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Plain,
    Stream,
    Embedding,
    /// A key whose project policy does not let in.
    Forbidden,
    /// A key whose project has used up its limit, but for the first few.
    OverLimit,
    /// A key nobody issued.
    Stranger,
    /// The engine answers 500.
    EngineFails,
    /// The engine breaks the stream off.
    EngineResets,
    /// The client leaves in the middle of a stream.
    LeavesStream,
    /// The client leaves before the engine has answered.
    LeavesEarly,
}

/// Of a hundred requests.
const SHARES: [(Kind, u32); 10] = [
    (Kind::Plain, 60),
    (Kind::Stream, 14),
    (Kind::Embedding, 10),
    (Kind::Forbidden, 4),
    (Kind::OverLimit, 2),
    (Kind::Stranger, 4),
    (Kind::EngineFails, 2),
    (Kind::EngineResets, 1),
    (Kind::LeavesStream, 2),
    (Kind::LeavesEarly, 1),
];

/// Sizes of prompts and answers that are drawn from.
const PROMPTS: [usize; 4] = [200, 900, 2_400, 6_000];
const ANSWERS: [u32; 4] = [1, 7, 24, 57];

pub(super) const CHAT_MODEL: &str = "bench";
pub(super) const EMBEDDING_MODEL: &str = "bench-embed";
pub(super) const FAILING_MODEL: &str = "bench:500";
pub(super) const RESETTING_MODEL: &str = "bench:reset";
/// Slow enough that who leaves after two tokens leaves in the middle.
pub(super) const SLOW_MODEL: &str = "bench:tps-20:out-40";
pub(super) const LATE_MODEL: &str = "bench:wait-150";

/// One kind of request at one size.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) kind: Kind,
    pub(super) template: Template,
}

impl Kind {
    pub(super) fn streams(self) -> bool {
        matches!(self, Self::Stream | Self::EngineResets | Self::LeavesStream)
    }

    fn model(self) -> &'static str {
        match self {
            Self::Plain | Self::Stream | Self::Forbidden | Self::OverLimit | Self::Stranger => CHAT_MODEL,
            Self::Embedding => EMBEDDING_MODEL,
            Self::EngineFails => FAILING_MODEL,
            Self::EngineResets => RESETTING_MODEL,
            Self::LeavesStream => SLOW_MODEL,
            Self::LeavesEarly => LATE_MODEL,
        }
    }

    fn shape(self, prompt_bytes: usize, answer: u32) -> Shape {
        let embedding = self == Self::Embedding;
        let template = Template::new(&Ask {
            path: if embedding { "/v1/embeddings" } else { "/v1/chat/completions" },
            headers: &[],
            model: self.model(),
            prompt_bytes,
            max_tokens: (!embedding && self != Self::LeavesStream).then_some(answer),
            stream: self.streams(),
            // The gateway asks the engine for usage whether the client did or not; half the clients do.
            usage: true,
        });
        Shape { kind: self, template }
    }
}

/// A hundred shapes by share, times the sizes, in an order that looks random.
pub(super) fn mix() -> Vec<Shape> {
    let mut shapes = Vec::new();
    for (number, size) in (0..SIZES).enumerate() {
        let prompt = PROMPTS.get(size % PROMPTS.len()).copied().unwrap_or(200);
        let answer = ANSWERS.get((size / PROMPTS.len()) % ANSWERS.len()).copied().unwrap_or(1);
        for (kind, share) in SHARES {
            shapes.extend((0..share).map(|_| kind.shape(prompt, answer)));
        }
        debug_assert_eq!(shapes.len(), (number + 1) * 100);
    }
    // A linear congruence (Numerical Recipes' constants) shuffles, the same way in every run.
    let mut state = 1u32;
    for at in (1..shapes.len()).rev() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let other = usize::try_from(state >> 8).unwrap_or(0) % (at + 1);
        shapes.swap(at, other);
    }
    shapes
}

/// Every prompt with every answer.
const SIZES: usize = PROMPTS.len() * ANSWERS.len();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_are_of_a_hundred_and_survive_the_shuffle() {
        assert_eq!(SHARES.iter().map(|(_, share)| share).sum::<u32>(), 100);
        let shapes = mix();
        for (kind, share) in SHARES {
            let found = shapes.iter().filter(|shape| shape.kind == kind).count();
            assert_eq!(found, SIZES * share as usize, "{kind:?}");
        }
    }
}
