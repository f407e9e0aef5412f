//! `POST /v1/chat/completions`.

use super::stream::{StreamShape, TextStep, Wording, events, whole};
use super::{Body, Face, Refusal, Stamp, json};
use crate::wire::{
    ChatChoice, ChatChunk, ChatChunkChoice, ChatCompletion, ChatMessage, ChatRequest, Delta, UsageObject,
    chat_logprobs, finish_word,
};
use hermetic_engine_llama::FinishReason;
use http::Response;
use std::sync::Arc;

pub(super) async fn answer(face: Arc<Face>, request: ChatRequest) -> Result<Response<Body>, Refusal> {
    let (streams, reports_usage) = (request.text.streams(), request.text.reports_usage());
    let request = request.into_generate(Face::draw_seed()?)?;
    let (choices, with_logprobs) = (request.choices, request.top_logprobs.is_some());
    let generation = face.engine.generate(&request)?;
    let stamp = face.stamp("chatcmpl")?;
    if streams {
        return events(
            generation,
            Words { with_logprobs, reports_usage },
            stamp,
            StreamShape { choices, reports_usage },
        );
    }
    let (wholes, usage) = whole(generation, choices).await?;
    let choices = (0..).zip(wholes).map(|(index, whole)| ChatChoice {
        index,
        message: ChatMessage { role: "assistant", content: whole.text, refusal: None },
        logprobs: with_logprobs.then(|| chat_logprobs(whole.logprobs)),
        finish_reason: finish_word(whole.reason.unwrap_or(FinishReason::Stop)),
    });
    json(&ChatCompletion {
        id: &stamp.id,
        object: "chat.completion",
        created: stamp.created,
        model: &stamp.model,
        system_fingerprint: &stamp.fingerprint,
        choices: choices.collect(),
        usage,
    })
}

struct Words {
    with_logprobs: bool,
    reports_usage: bool,
}

impl Words {
    fn chunk<'a>(&self, stamp: &'a Stamp, choices: Vec<ChatChunkChoice>) -> ChatChunk<'a> {
        ChatChunk {
            id: &stamp.id,
            object: "chat.completion.chunk",
            created: stamp.created,
            model: &stamp.model,
            system_fingerprint: &stamp.fingerprint,
            choices,
            usage: self.reports_usage.then_some(None),
        }
    }

    fn delta<'a>(&self, stamp: &'a Stamp, index: u32, delta: Delta) -> ChatChunk<'a> {
        self.chunk(stamp, vec![ChatChunkChoice { index, delta, logprobs: None, finish_reason: None }])
    }
}

impl Wording for Words {
    type Chunk<'a> = ChatChunk<'a>;

    fn opening<'a>(&mut self, stamp: &'a Stamp, choice: u32) -> Option<ChatChunk<'a>> {
        let delta = Delta { role: Some("assistant"), content: Some(String::new()) };
        Some(self.delta(stamp, choice, delta))
    }

    fn text<'a>(&mut self, stamp: &'a Stamp, step: TextStep) -> ChatChunk<'a> {
        let choice = ChatChunkChoice {
            index: step.choice,
            delta: Delta { role: None, content: Some(step.text) },
            logprobs: self.with_logprobs.then(|| chat_logprobs(step.logprobs)),
            finish_reason: None,
        };
        self.chunk(stamp, vec![choice])
    }

    fn finish<'a>(&mut self, stamp: &'a Stamp, choice: u32, reason: FinishReason) -> ChatChunk<'a> {
        let finish_reason = Some(finish_word(reason));
        let choice =
            ChatChunkChoice { index: choice, delta: Delta::default(), logprobs: None, finish_reason };
        self.chunk(stamp, vec![choice])
    }

    fn usage<'a>(&mut self, stamp: &'a Stamp, usage: UsageObject) -> ChatChunk<'a> {
        ChatChunk { usage: Some(Some(usage)), ..self.chunk(stamp, Vec::new()) }
    }
}
