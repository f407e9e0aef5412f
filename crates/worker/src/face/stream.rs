//! An answer as server-sent events, and the same answer collected whole.

use super::{Body, Refusal, Stamp, random, respond};
use bytes::Bytes;
use futures_util::stream;
use hermetic_engine_llama::{Event, FinishReason, Generation, TokenLogprob, Usage};
use http::{Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use serde::Serialize;
use std::collections::VecDeque;
use std::convert::Infallible;

use crate::wire::UsageObject;

/// How one surface words the steps of an answer.
pub(crate) trait Wording: Send + 'static {
    type Chunk<'a>: Serialize;

    /// What every choice begins with; `None` when nothing.
    fn opening<'a>(&mut self, stamp: &'a Stamp, choice: u32) -> Option<Self::Chunk<'a>>;
    fn text<'a>(&mut self, stamp: &'a Stamp, step: TextStep) -> Self::Chunk<'a>;
    /// `None` where a surface knows no calls; its requests allow none.
    fn call<'a>(&mut self, stamp: &'a Stamp, step: CallStep) -> Option<Self::Chunk<'a>>;
    fn finish<'a>(&mut self, stamp: &'a Stamp, choice: u32, reason: FinishReason) -> Self::Chunk<'a>;
    fn usage<'a>(&mut self, stamp: &'a Stamp, usage: UsageObject) -> Self::Chunk<'a>;
}

/// A piece of one choice.
pub(crate) struct TextStep {
    pub(crate) choice: u32,
    pub(crate) text: String,
    pub(crate) logprobs: Vec<TokenLogprob>,
}

/// A piece of one call.
pub(crate) struct CallStep {
    pub(crate) choice: u32,
    pub(crate) call: u32,
    pub(crate) piece: CallPiece,
}

pub(crate) enum CallPiece {
    Began { id: String, name: String },
    Arguments(String),
}

struct Streaming<W> {
    generation: Generation,
    wording: W,
    stamp: Stamp,
    reports_usage: bool,
    usages: Vec<Usage>,
    ready: VecDeque<Bytes>,
    done: bool,
}

/// Streams `generation` in the words of a surface.
pub(crate) fn events<W: Wording>(
    generation: Generation,
    wording: W,
    stamp: Stamp,
    options: StreamShape,
) -> Result<Response<Body>, Refusal> {
    let mut streaming = Streaming {
        generation,
        wording,
        stamp,
        reports_usage: options.reports_usage,
        usages: Vec::new(),
        ready: VecDeque::new(),
        done: false,
    };
    for choice in 0..options.choices {
        if let Some(chunk) = streaming.wording.opening(&streaming.stamp, choice) {
            let event = event(&chunk);
            streaming.ready.push_back(event);
        }
    }
    let frames = stream::unfold(streaming, |mut streaming| async move {
        let bytes = streaming.next().await?;
        Some((Ok::<_, Infallible>(Frame::data(bytes)), streaming))
    });
    respond(StatusCode::OK, "text/event-stream", StreamBody::new(frames).boxed_unsync())
}

pub(crate) struct StreamShape {
    pub(crate) choices: u32,
    pub(crate) reports_usage: bool,
}

impl<W: Wording> Streaming<W> {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Some(bytes);
            }
            if self.done {
                return None;
            }
            let event = self.generation.next().await;
            self.take(event);
        }
    }

    fn take(&mut self, step: Option<Event>) {
        let chunk = match step {
            Some(Event::Text { choice, text, logprobs }) => {
                event(&self.wording.text(&self.stamp, TextStep { choice, text, logprobs }))
            }
            Some(Event::Called { choice, call, name }) => match call_id() {
                Ok(id) => return self.call(choice, call, CallPiece::Began { id, name }),
                Err(refusal) => {
                    self.done = true;
                    refusal.to_event()
                }
            },
            Some(Event::Arguments { choice, call, text }) => {
                return self.call(choice, call, CallPiece::Arguments(text));
            }
            Some(Event::Finished { choice, reason, usage }) => {
                self.usages.push(usage);
                event(&self.wording.finish(&self.stamp, choice, reason))
            }
            Some(Event::Failed { error, .. }) => {
                // No `[DONE]` after it: what came before is not an answer.
                self.done = true;
                Refusal::from(error).to_event()
            }
            None => {
                self.done = true;
                if self.reports_usage {
                    let usage = self.wording.usage(&self.stamp, UsageObject::of(&self.usages));
                    self.ready.push_back(event(&usage));
                }
                Bytes::from_static(b"data: [DONE]\n\n")
            }
        };
        self.ready.push_back(chunk);
    }

    fn call(&mut self, choice: u32, call: u32, piece: CallPiece) {
        let chunk = self.wording.call(&self.stamp, CallStep { choice, call, piece });
        self.ready.extend(chunk.as_ref().map(event));
    }
}

/// Nobody can guess it, and no two calls of a conversation share it.
fn call_id() -> Result<String, Refusal> {
    Ok(format!("call_{:016x}{:08x}", random()?, random()? >> 32))
}

fn event(chunk: &impl Serialize) -> Bytes {
    let mut bytes = b"data: ".to_vec();
    // Writing to memory, from types without maps of odd keys: it cannot fail, and an empty event would say nothing.
    if serde_json::to_writer(&mut bytes, chunk).is_err() {
        return Refusal::internal("a part of the answer could not be written as JSON").to_event();
    }
    bytes.extend_from_slice(b"\n\n");
    bytes.into()
}

/// One choice, whole.
#[derive(Debug, Default)]
pub(crate) struct Whole {
    pub(crate) text: String,
    pub(crate) logprobs: Vec<TokenLogprob>,
    pub(crate) calls: Vec<WholeCall>,
    pub(crate) reason: Option<FinishReason>,
}

/// One call, whole.
#[derive(Debug)]
pub(crate) struct WholeCall {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) arguments: String,
}

/// Waits for every choice.
pub(crate) async fn whole(
    mut generation: Generation,
    choices: u32,
) -> Result<(Vec<Whole>, UsageObject), Refusal> {
    let mut wholes: Vec<Whole> = (0..choices).map(|_| Whole::default()).collect();
    let mut usages = Vec::new();
    while let Some(event) = generation.next().await {
        let (Event::Text { choice, .. }
        | Event::Called { choice, .. }
        | Event::Arguments { choice, .. }
        | Event::Finished { choice, .. }
        | Event::Failed { choice, .. }) = event;
        if let Event::Finished { usage, .. } = &event {
            usages.push(*usage);
        }
        match usize::try_from(choice).ok().and_then(|choice| wholes.get_mut(choice)) {
            Some(whole) => whole.take(event)?,
            None => return Err(Refusal::internal("an answer to another request came")),
        }
    }
    Ok((wholes, UsageObject::of(&usages)))
}

impl Whole {
    fn take(&mut self, event: Event) -> Result<(), Refusal> {
        match event {
            Event::Text { text, logprobs, .. } => {
                self.text.push_str(&text);
                self.logprobs.extend(logprobs);
            }
            Event::Called { name, .. } => {
                self.calls.push(WholeCall { id: call_id()?, name, arguments: String::new() });
            }
            Event::Arguments { text, .. } => {
                if let Some(call) = self.calls.last_mut() {
                    call.arguments.push_str(&text);
                }
            }
            Event::Finished { reason, .. } => self.reason = Some(reason),
            Event::Failed { error, .. } => return Err(error.into()),
        }
        Ok(())
    }
}
