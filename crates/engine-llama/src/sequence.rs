//! One choice of one request: what it has read, what it has said, when it ends.

use crate::error::StepError;
use crate::generate::{Event, FinishReason, TokenLogprob, Usage};
use crate::model::Loaded;
use crate::sampler::{Sampler, logprob};
use crate::stop::StopFilter;
use llama_cpp_2::token::LlamaToken;
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedSender;

/// A sequence waiting for a slot or holding one.
#[derive(Debug)]
pub(crate) struct Sequence {
    pub(crate) choice: u32,
    pub(crate) prompt: Arc<Vec<LlamaToken>>,
    /// Prompt tokens already decoded.
    pub(crate) read: usize,
    /// Tokens in key-value memory, which is the position of the next one.
    pub(crate) position: i32,
    /// Chosen, not decoded yet. `None` while the prompt is being read.
    pub(crate) next: Option<LlamaToken>,
    pub(crate) answer_max: u32,
    pub(crate) sampler: Sampler,
    pub(crate) filter: StopFilter,
    pub(crate) top_logprobs: Option<u8>,
    pub(crate) events: UnboundedSender<Event>,
    pub(crate) answered: u32,
    /// Chances of tokens whose text is still held back, with the bytes each stands for.
    pub(crate) held: Vec<(usize, TokenLogprob)>,
    /// Bytes released of the first token in `held`.
    pub(crate) released: usize,
}

/// Whether a sequence keeps its slot.
#[derive(Debug, PartialEq)]
pub(crate) enum Turn {
    Goes,
    /// With the last event, to be sent when the slot is free: whoever hears of an end may count on the place.
    Ended(Event),
}

impl Sequence {
    /// Nobody listens any more.
    pub(crate) fn abandoned(&self) -> bool {
        self.events.is_closed()
    }

    pub(crate) fn failure(&self, error: StepError) -> Event {
        Event::Failed { choice: self.choice, error }
    }

    /// Chooses the next token from `logits` and says what became of it.
    pub(crate) fn advance(&mut self, loaded: &Loaded, logits: &[f32]) -> Turn {
        let token = match self.sampler.pick(logits) {
            Ok(token) => token,
            Err(error) => return Turn::Ended(self.failure(error)),
        };
        self.answered += 1;
        let vocabulary = loaded.model.vocab();
        if vocabulary.is_eog(token) {
            return self.end(FinishReason::Stop);
        }
        let bytes = vocabulary.token_to_piece(token, false, None);
        if let Some(top) = self.top_logprobs {
            self.held.push((bytes.len(), logprob(loaded, logits, token, top)));
        }
        let released = self.filter.push(&bytes);
        let stopped = released.stopped;
        self.say(released.text, released.bytes, stopped);
        if stopped {
            return self.finish(FinishReason::Stop);
        }
        if self.answered >= self.answer_max {
            return self.end(FinishReason::Length);
        }
        self.next = Some(token);
        Turn::Goes
    }

    /// Releases what was held back, then finishes.
    fn end(&mut self, reason: FinishReason) -> Turn {
        let released = self.filter.finish();
        self.say(released.text, released.bytes, true);
        self.finish(reason)
    }

    fn finish(&self, reason: FinishReason) -> Turn {
        let prompt = u32::try_from(self.prompt.len()).unwrap_or(u32::MAX);
        let usage = Usage { prompt, answer: self.answered };
        Turn::Ended(Event::Finished { choice: self.choice, reason, usage })
    }

    /// Sends text with the chances of the tokens it completes. At the end, also of one it only began.
    fn say(&mut self, text: String, bytes: usize, last: bool) {
        self.released += bytes;
        let mut logprobs = Vec::new();
        while let Some((length, _)) = self.held.first() {
            let complete = self.released >= *length;
            let begun = last && self.released > 0;
            if !(complete || begun) {
                break;
            }
            self.released = self.released.saturating_sub(*length);
            logprobs.push(self.held.remove(0).1);
            if !complete {
                break;
            }
        }
        if self.held.is_empty() && self.top_logprobs.is_none() {
            self.released = 0;
        }
        if !text.is_empty() || !logprobs.is_empty() {
            let _ = self.events.send(Event::Text { choice: self.choice, text, logprobs });
        }
    }
}
