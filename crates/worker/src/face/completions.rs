//! `POST /v1/completions`.

use super::stream::{CallStep, StreamShape, TextStep, Wording, events, whole};
use super::{Body, Face, Refusal, Stamp, json};
use crate::wire::{
    Completion, CompletionChoice, CompletionRequest, LegacyLogprobs, UsageObject, finish_word,
};
use hermetic_engine_llama::FinishReason;
use http::Response;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) async fn answer(face: Arc<Face>, request: CompletionRequest) -> Result<Response<Body>, Refusal> {
    let (streams, reports_usage) = (request.text.streams(), request.text.reports_usage());
    let request = request.into_generate(Face::draw_seed()?)?;
    let (choices, with_logprobs) = (request.choices, request.top_logprobs.is_some());
    let generation = face.engine.generate(&request)?;
    let stamp = face.stamp("cmpl")?;
    if streams {
        let words = Words { with_logprobs, reports_usage, offsets: BTreeMap::new() };
        return events(generation, words, stamp, StreamShape { choices, reports_usage });
    }
    let (wholes, usage) = whole(generation, choices).await?;
    let choices = (0..).zip(wholes).map(|(index, whole)| CompletionChoice {
        index,
        text: whole.text,
        logprobs: with_logprobs.then(|| LegacyLogprobs::of(whole.logprobs, &mut 0)),
        finish_reason: whole.reason.map(finish_word),
    });
    json(&completion(&stamp, choices.collect(), Some(Some(usage))))
}

fn completion(
    stamp: &Stamp,
    choices: Vec<CompletionChoice>,
    usage: Option<Option<UsageObject>>,
) -> Completion<'_> {
    Completion {
        id: &stamp.id,
        object: "text_completion",
        created: stamp.created,
        model: &stamp.model,
        system_fingerprint: &stamp.fingerprint,
        choices,
        usage,
    }
}

struct Words {
    with_logprobs: bool,
    reports_usage: bool,
    /// Characters said so far, by choice.
    offsets: BTreeMap<u32, usize>,
}

impl Words {
    fn no_usage(&self) -> Option<Option<UsageObject>> {
        self.reports_usage.then_some(None)
    }
}

impl Wording for Words {
    type Chunk<'a> = Completion<'a>;

    fn opening<'a>(&mut self, _: &'a Stamp, _: u32) -> Option<Completion<'a>> {
        None
    }

    fn text<'a>(&mut self, stamp: &'a Stamp, step: TextStep) -> Completion<'a> {
        let offset = self.offsets.entry(step.choice).or_default();
        let logprobs = self.with_logprobs.then(|| LegacyLogprobs::of(step.logprobs, offset));
        let choice = CompletionChoice { index: step.choice, text: step.text, logprobs, finish_reason: None };
        completion(stamp, vec![choice], self.no_usage())
    }

    fn call<'a>(&mut self, _: &'a Stamp, _: CallStep) -> Option<Completion<'a>> {
        None
    }

    fn finish<'a>(&mut self, stamp: &'a Stamp, choice: u32, reason: FinishReason) -> Completion<'a> {
        let finish_reason = Some(finish_word(reason));
        let choice = CompletionChoice { index: choice, text: String::new(), logprobs: None, finish_reason };
        completion(stamp, vec![choice], self.no_usage())
    }

    fn usage<'a>(&mut self, stamp: &'a Stamp, usage: UsageObject) -> Completion<'a> {
        completion(stamp, Vec::new(), Some(Some(usage)))
    }
}
