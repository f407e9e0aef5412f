//! What a request for text is made of, and what comes back.

use crate::error::StepError;
use crate::grammar::Grammar;
use crate::model::Token;
use hermetic_tokenizer::Conversation;
use std::task::{Context, Poll};
use tokio::sync::mpsc::UnboundedReceiver;

/// What the model is given.
#[derive(Debug, Clone)]
pub enum Prompt {
    /// A conversation, put into words by the model's own template.
    Chat(Conversation),
    /// Text as it is.
    Text(String),
    /// Tokens as they are.
    Tokens(Vec<Token>),
}

/// How the next token is chosen. The defaults change nothing about the model's distribution.
#[derive(Debug, Clone)]
pub struct Sampling {
    /// Zero: always the likeliest.
    pub temperature: f32,
    pub top_p: f32,
    /// Zero: no limit.
    pub top_k: u32,
    pub min_p: f32,
    pub frequency_penalty: f32,
    pub presence_penalty: f32,
    pub logit_bias: Vec<(Token, f32)>,
    pub seed: u32,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_p: 1.0,
            top_k: 0,
            min_p: 0.0,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            logit_bias: Vec::new(),
            seed: 0,
        }
    }
}

/// A request for text.
#[derive(Debug, Clone)]
pub struct GenerateRequest {
    pub prompt: Prompt,
    pub sampling: Sampling,
    /// Answers wanted. Each has a slot of its own; choice `i` samples with `seed + i`.
    pub choices: u32,
    /// `None`: as much as the context leaves.
    pub max_tokens: Option<u32>,
    pub stop: Vec<String>,
    /// `Some(n)`: the chance of each chosen token and of the `n` likeliest.
    pub top_logprobs: Option<u8>,
    /// What the answer must keep to; calls of functions are read from it where it allows them.
    pub grammar: Option<Grammar>,
}

impl GenerateRequest {
    /// One answer with the defaults.
    pub fn new(prompt: Prompt) -> Self {
        Self {
            prompt,
            sampling: Sampling::default(),
            choices: 1,
            max_tokens: None,
            stop: Vec::new(),
            top_logprobs: None,
            grammar: None,
        }
    }
}

/// A token with the logarithm of its chance under the model, before temperature, penalties and filters.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenChance {
    pub token: Token,
    pub bytes: Vec<u8>,
    pub logprob: f32,
}

/// The chosen token and the likeliest instead.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenLogprob {
    pub chosen: TokenChance,
    pub top: Vec<TokenChance>,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishReason {
    /// The model ended it, or a stop string did.
    Stop,
    /// `max_tokens` or the context ran out.
    Length,
    /// The model ended it, and waits for the results of the calls it made.
    Calls,
}

/// Tokens used by one choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    pub prompt: u32,
    pub answer: u32,
}

/// One step of one choice.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    Text {
        choice: u32,
        text: String,
        logprobs: Vec<TokenLogprob>,
    },
    /// A call of the function `name` begins, the `call`th of the choice; its arguments follow.
    Called {
        choice: u32,
        call: u32,
        name: String,
    },
    /// A piece of the arguments of that call.
    Arguments {
        choice: u32,
        call: u32,
        text: String,
    },
    Finished {
        choice: u32,
        reason: FinishReason,
        usage: Usage,
    },
    Failed {
        choice: u32,
        error: StepError,
    },
}

/// Slots and queue, as they are now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Load {
    pub active: usize,
    pub waiting: usize,
}

/// An accepted request. Dropping it ends the work at the next step.
#[derive(Debug)]
pub struct Generation {
    pub(crate) prompt_tokens: u32,
    pub(crate) events: UnboundedReceiver<Event>,
    /// Choices that have not ended yet.
    pub(crate) open: Vec<u32>,
}

impl Generation {
    pub fn prompt_tokens(&self) -> u32 {
        self.prompt_tokens
    }

    /// The next event; `None` after every choice has finished or failed.
    pub async fn next(&mut self) -> Option<Event> {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        if self.open.is_empty() {
            return Poll::Ready(None);
        }
        self.events.poll_recv(context).map(|event| Some(self.settle(event)))
    }

    /// Waits on this thread instead of in a runtime.
    pub fn next_blocking(&mut self) -> Option<Event> {
        if self.open.is_empty() {
            return None;
        }
        let event = self.events.blocking_recv();
        Some(self.settle(event))
    }

    /// Keeps the promise that every choice ends: a channel that closes early fails the choices still open.
    fn settle(&mut self, event: Option<Event>) -> Event {
        match event {
            Some(event) => {
                if let Event::Finished { choice, .. } | Event::Failed { choice, .. } = &event {
                    self.open.retain(|open| open != choice);
                }
                event
            }
            None => Event::Failed { choice: self.open.pop().unwrap_or(0), error: StepError::Stopped },
        }
    }
}
