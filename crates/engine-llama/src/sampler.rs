//! Choosing the next token of one sequence.

use crate::error::{StepError, SubmitError};
use crate::generate::{Sampling, TokenChance, TokenLogprob};
use crate::grammar::{Grammar, GrammarError};
use crate::model::Loaded;
use llama_cpp_2::sampling::LlamaSampler;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token::data::LlamaTokenData;
use llama_cpp_2::token::data_array::LlamaTokenDataArray;
use llama_cpp_2::token::logit_bias::LlamaLogitBias;

/// The samplers of one sequence, with what they remember of it.
#[derive(Debug)]
pub(crate) struct Sampler {
    /// Penalties, bias, temperature, filters and the draw. `None`: the likeliest token, straight from the logits.
    chain: Option<LlamaSampler>,
    grammar: Option<LlamaSampler>,
}

impl Sampler {
    pub(crate) fn new(
        loaded: &Loaded,
        sampling: &Sampling,
        grammar: Option<&Grammar>,
        choice: u32,
    ) -> Result<Self, SubmitError> {
        let grammar = match grammar {
            None => None,
            Some(grammar) => {
                let built = LlamaSampler::grammar(&loaded.model, grammar.as_str(), "root");
                Some(built.map_err(GrammarError::Rejected)?)
            }
        };
        Ok(Self { chain: chain(loaded, sampling, choice)?, grammar })
    }

    /// Chooses from the logits and takes note of the choice.
    pub(crate) fn pick(&mut self, logits: &[f32]) -> Result<LlamaToken, StepError> {
        let mut token = self.choose(logits, false)?;
        // The grammar looks at one candidate first and at the whole vocabulary only when that one is refused: it is
        // the slowest part of a step by far, and most first choices are allowed.
        if let Some(grammar) = &mut self.grammar {
            let mut alone = LlamaTokenDataArray::new(vec![LlamaTokenData::new(token, 1.0, 0.0)], false);
            grammar.apply(&mut alone);
            if alone.data.first().is_none_or(|candidate| !candidate.logit().is_finite()) {
                token = self.choose(logits, true)?;
            }
        }
        for sampler in [&mut self.chain, &mut self.grammar].into_iter().flatten() {
            sampler.try_accept(token).map_err(|_| StepError::Rejected)?;
        }
        Ok(token)
    }

    fn choose(&mut self, logits: &[f32], constrained: bool) -> Result<LlamaToken, StepError> {
        match (&self.chain, &mut self.grammar) {
            (None, _) if !constrained => {
                return likeliest(logits.iter().copied()).ok_or(StepError::NoCandidate);
            }
            (None, Some(grammar)) => return likeliest_allowed(grammar, logits).ok_or(StepError::NoCandidate),
            _ => {}
        }
        let candidates =
            (0..).zip(logits).map(|(id, logit)| LlamaTokenData::new(LlamaToken(id), *logit, 0.0));
        let mut candidates = LlamaTokenDataArray::from_iter(candidates, false);
        if let (true, Some(grammar)) = (constrained, &mut self.grammar) {
            grammar.apply(&mut candidates);
        }
        let chosen = match &mut self.chain {
            None => likeliest(candidates.data.iter().map(LlamaTokenData::logit)),
            Some(chain) => {
                if candidates.data.iter().all(|candidate| candidate.logit() == f32::NEG_INFINITY) {
                    return Err(StepError::NoCandidate);
                }
                chain.apply(&mut candidates);
                // `selected_token` is the binding's; an unsorted array without a draw has none.
                candidates.selected_token()
            }
        };
        chosen.ok_or(StepError::NoCandidate)
    }
}

/// How many of the likeliest a grammar is shown at a time. What it allows is nearly always among the first few; a
/// vocabulary of fifty thousand takes it as long as ten steps of a small model.
const SHOWN: [usize; 3] = [32, 1_024, usize::MAX];

/// The likeliest token that the grammar allows: the same as of all that it allows, without asking about all.
fn likeliest_allowed(grammar: &mut LlamaSampler, logits: &[f32]) -> Option<LlamaToken> {
    let mut order: Vec<usize> = (0..logits.len()).collect();
    let logit = |id: usize| logits.get(id).copied().unwrap_or(f32::NEG_INFINITY);
    // The first of the largest: a total order, so that the first so many are the same however they are found.
    let by_chance = |a: &usize, b: &usize| logit(*b).total_cmp(&logit(*a)).then(a.cmp(b));
    let mut shown = 0;
    for most in SHOWN {
        let most = most.min(order.len());
        if most < order.len() && most > 0 {
            order.select_nth_unstable_by(most - 1, by_chance);
        }
        let mut now: Vec<usize> = order.get(..most)?.to_vec();
        now.sort_unstable_by(by_chance);
        let candidates = now.iter().skip(shown).filter_map(|id| {
            Some(LlamaTokenData::new(LlamaToken(i32::try_from(*id).ok()?), logit(*id), 0.0))
        });
        let mut candidates = LlamaTokenDataArray::from_iter(candidates, false);
        grammar.apply(&mut candidates);
        if let Some(allowed) = candidates.data.iter().find(|candidate| candidate.logit().is_finite()) {
            return Some(allowed.id());
        }
        shown = most;
    }
    None
}

/// The first of the largest, so that equal logits are decided the same way every time.
fn likeliest(logits: impl Iterator<Item = f32>) -> Option<LlamaToken> {
    let mut best: Option<(i32, f32)> = None;
    for (id, logit) in (0..).zip(logits) {
        if logit > best.map_or(f32::NEG_INFINITY, |(_, best)| best) {
            best = Some((id, logit));
        }
    }
    best.map(|(id, _)| LlamaToken(id))
}

fn chain(loaded: &Loaded, sampling: &Sampling, choice: u32) -> Result<Option<LlamaSampler>, SubmitError> {
    check(loaded, sampling)?;
    let vocabulary = loaded.model.n_vocab();
    let mut parts = Vec::new();
    if !sampling.logit_bias.is_empty() {
        let bias = |(token, bias): &(u32, f32)| {
            LlamaLogitBias::new(LlamaToken(i32::try_from(*token).unwrap_or(0)), *bias)
        };
        let biases: Vec<_> = sampling.logit_bias.iter().map(bias).collect();
        parts.push(LlamaSampler::logit_bias(vocabulary, &biases));
    }
    if sampling.frequency_penalty != 0.0 || sampling.presence_penalty != 0.0 {
        // Over the whole answer; the prompt does not count, as in the API this serves.
        let window = i32::try_from(loaded.model.n_ctx_train()).unwrap_or(i32::MAX);
        let (frequency, presence) = (sampling.frequency_penalty, sampling.presence_penalty);
        parts.push(LlamaSampler::penalties(vocabulary, window, 1.0, frequency, presence));
    }
    if sampling.temperature > 0.0 {
        parts.push(LlamaSampler::temp(sampling.temperature));
        if sampling.top_k > 0 {
            parts.push(LlamaSampler::top_k(i32::try_from(sampling.top_k).unwrap_or(i32::MAX)));
        }
        if sampling.top_p < 1.0 {
            parts.push(LlamaSampler::top_p(sampling.top_p, 1));
        }
        if sampling.min_p > 0.0 {
            parts.push(LlamaSampler::min_p(sampling.min_p, 1));
        }
        parts.push(LlamaSampler::dist(sampling.seed.wrapping_add(choice)));
    } else if parts.is_empty() {
        return Ok(None);
    } else {
        parts.push(LlamaSampler::greedy());
    }
    Ok(Some(LlamaSampler::chain(parts, true)))
}

fn check(loaded: &Loaded, sampling: &Sampling) -> Result<(), SubmitError> {
    let within = |key, value: f32, low: f32, high: f32, expected| {
        if value.is_finite() && (low..=high).contains(&value) {
            Ok(())
        } else {
            Err(SubmitError::Parameter { key, expected, found: value.to_string() })
        }
    };
    within("temperature", sampling.temperature, 0.0, 2.0, "0 to 2")?;
    within("top_p", sampling.top_p, 0.0, 1.0, "0 to 1")?;
    within("min_p", sampling.min_p, 0.0, 1.0, "0 to 1")?;
    within("frequency_penalty", sampling.frequency_penalty, -2.0, 2.0, "-2 to 2")?;
    within("presence_penalty", sampling.presence_penalty, -2.0, 2.0, "-2 to 2")?;
    for (token, bias) in &sampling.logit_bias {
        within("logit_bias", *bias, -100.0, 100.0, "-100 to 100")?;
        if *token >= loaded.vocabulary {
            return Err(SubmitError::Token { found: *token, vocabulary: loaded.vocabulary });
        }
    }
    Ok(())
}

/// The chance of the chosen token and of the `top` likeliest, from the model's own logits.
pub(crate) fn logprob(loaded: &Loaded, logits: &[f32], chosen: LlamaToken, top: u8) -> TokenLogprob {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    // In double precision: fifty thousand small terms are summed.
    let sum: f64 = logits.iter().map(|logit| f64::from(logit - largest).exp()).sum();
    let chance = |id: usize| {
        let logit = logits.get(id).copied().unwrap_or(f32::NEG_INFINITY);
        #[expect(clippy::cast_possible_truncation, reason = "a logarithm of a chance fits single precision")]
        let logprob = (f64::from(logit - largest) - sum.ln()) as f32;
        let token = LlamaToken(i32::try_from(id).unwrap_or(0));
        let bytes = loaded.model.vocab().token_to_piece(token, true, None);
        TokenChance { token: u32::try_from(id).unwrap_or(0), bytes, logprob }
    };
    let mut order: Vec<usize> = (0..logits.len()).collect();
    let top = usize::from(top).min(order.len());
    let by_logit = |a: &usize, b: &usize| {
        let (a_logit, b_logit) = (logits.get(*a), logits.get(*b));
        b_logit.partial_cmp(&a_logit).unwrap_or(std::cmp::Ordering::Equal).then(a.cmp(b))
    };
    if top > 0 && top < order.len() {
        order.select_nth_unstable_by(top - 1, by_logit);
    }
    order.truncate(top);
    order.sort_unstable_by(by_logit);
    TokenLogprob {
        chosen: chance(usize::try_from(chosen.0).unwrap_or(0)),
        top: order.into_iter().map(chance).collect(),
    }
}
