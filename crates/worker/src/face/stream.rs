//! An answer as server-sent events, and the same answer collected whole.

use super::{Body, Refusal, Stamp, respond};
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
    fn finish<'a>(&mut self, stamp: &'a Stamp, choice: u32, reason: FinishReason) -> Self::Chunk<'a>;
    fn usage<'a>(&mut self, stamp: &'a Stamp, usage: UsageObject) -> Self::Chunk<'a>;
}

/// A piece of one choice.
pub(crate) struct TextStep {
    pub(crate) choice: u32,
    pub(crate) text: String,
    pub(crate) logprobs: Vec<TokenLogprob>,
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
    pub(crate) reason: Option<FinishReason>,
}

/// Waits for every choice.
pub(crate) async fn whole(
    mut generation: Generation,
    choices: u32,
) -> Result<(Vec<Whole>, UsageObject), Refusal> {
    let mut wholes: Vec<Whole> = (0..choices).map(|_| Whole::default()).collect();
    let mut usages = Vec::new();
    let at = |choice: u32| usize::try_from(choice).unwrap_or(usize::MAX);
    while let Some(event) = generation.next().await {
        match event {
            Event::Text { choice, text, logprobs } => {
                if let Some(whole) = wholes.get_mut(at(choice)) {
                    whole.text.push_str(&text);
                    whole.logprobs.extend(logprobs);
                }
            }
            Event::Finished { choice, reason, usage } => {
                usages.push(usage);
                if let Some(whole) = wholes.get_mut(at(choice)) {
                    whole.reason = Some(reason);
                }
            }
            Event::Failed { error, .. } => return Err(error.into()),
        }
    }
    Ok((wholes, UsageObject::of(&usages)))
}
