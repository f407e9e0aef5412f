//! One choice of one request: what it has read, what it has said, when it ends.

use crate::calls::{CallReader, Part};
use crate::chances::Chances;
use crate::error::StepError;
use crate::generate::{Event, FinishReason, Usage};
use crate::model::Loaded;
use crate::sampler::{Sampler, logprob};
use crate::stop::{Released, StopFilter};
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
    /// Of what is text. Calls are not searched for stop strings: half a call is of no use to anyone.
    pub(crate) filter: StopFilter,
    /// Where functions may be called.
    pub(crate) calls: Option<CallReader>,
    pub(crate) top_logprobs: Option<u8>,
    pub(crate) chances: Chances,
    pub(crate) events: UnboundedSender<Event>,
    pub(crate) answered: u32,
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
        if loaded.model.vocab().is_eog(token) {
            return self.end(FinishReason::Stop);
        }
        let bytes = self.bytes(loaded, token);
        if let Some(top) = self.top_logprobs {
            self.chances.push(bytes.len(), logprob(loaded, logits, token, top));
        }
        let stopped = match &mut self.calls {
            None => self.text(&bytes),
            Some(calls) => {
                let parts = calls.push(&bytes);
                self.take(parts)
            }
        };
        if stopped {
            return self.finish(FinishReason::Stop);
        }
        if self.answered >= self.answer_max {
            return self.end(FinishReason::Length);
        }
        self.next = Some(token);
        Turn::Goes
    }

    /// What a token says. A control token says nothing, but as a part of the form of a call it is what it spells.
    fn bytes(&self, loaded: &Loaded, token: LlamaToken) -> Vec<u8> {
        let vocabulary = loaded.model.vocab();
        let bytes = vocabulary.token_to_piece(token, false, None);
        let Some(calls) = self.calls.as_ref().filter(|_| bytes.is_empty()) else { return bytes };
        let spelled = vocabulary.token_to_piece(token, true, None);
        if calls.spells(&spelled) { spelled } else { bytes }
    }

    /// Says the parts of an answer with calls. True: a stop string ended it.
    fn take(&mut self, parts: Vec<Part>) -> bool {
        for part in parts {
            match part {
                Part::Text(bytes) => {
                    if self.text(&bytes) {
                        return true;
                    }
                }
                Part::Form(bytes) => {
                    self.flush();
                    self.chances.skipped(bytes);
                }
                Part::Name(name) => {
                    let _ = self.events.send(Event::Called { choice: self.choice, call: self.call(), name });
                }
                Part::Arguments(text) => {
                    self.chances.skipped(text.len());
                    let (choice, call) = (self.choice, self.call());
                    let _ = self.events.send(Event::Arguments { choice, call, text });
                }
            }
        }
        false
    }

    /// The call that began last.
    fn call(&self) -> u32 {
        self.calls.as_ref().map_or(0, CallReader::calls).saturating_sub(1)
    }

    /// True: a stop string is complete.
    fn text(&mut self, bytes: &[u8]) -> bool {
        let released = self.filter.push(bytes);
        let stopped = released.stopped;
        self.say(released, stopped);
        stopped
    }

    /// No stop string reaches over a call.
    fn flush(&mut self) {
        let released = self.filter.finish();
        self.say(released, false);
    }

    /// Releases what was held back, then finishes.
    fn end(&mut self, reason: FinishReason) -> Turn {
        if let Some(calls) = &mut self.calls {
            let parts = calls.finish();
            if self.take(parts) {
                return self.finish(FinishReason::Stop);
            }
        }
        let released = self.filter.finish();
        self.say(released, true);
        let called = self.calls.as_ref().is_some_and(|calls| calls.calls() > 0 && !calls.is_open());
        self.finish(if called && reason == FinishReason::Stop { FinishReason::Calls } else { reason })
    }

    fn finish(&self, reason: FinishReason) -> Turn {
        let prompt = u32::try_from(self.prompt.len()).unwrap_or(u32::MAX);
        let usage = Usage { prompt, answer: self.answered };
        Turn::Ended(Event::Finished { choice: self.choice, reason, usage })
    }

    /// Sends text with the chances of the tokens it completes. At the end, also of one it only began.
    fn say(&mut self, released: Released, last: bool) {
        let mut logprobs = self.chances.said(released.bytes);
        if last {
            logprobs.extend(self.chances.begun());
        }
        let text = released.text;
        if !text.is_empty() || !logprobs.is_empty() {
            let _ = self.events.send(Event::Text { choice: self.choice, text, logprobs });
        }
    }
}
