//! `POST /v1/chat/completions`.

use super::stream::{CallPiece, CallStep, StreamShape, TextStep, Whole, Wording, events, whole};
use super::{Body, Face, Refusal, Stamp, json};
use crate::wire::{
    CallDelta, CalledFunction, ChatCall, ChatChoice, ChatChunk, ChatChunkChoice, ChatCompletion, ChatMessage,
    ChatRequest, Delta, UsageObject, chat_logprobs, finish_word,
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
    let choices = (0..).zip(wholes).map(|(index, mut whole)| ChatChoice {
        index,
        logprobs: with_logprobs.then(|| chat_logprobs(std::mem::take(&mut whole.logprobs))),
        finish_reason: finish_word(whole.reason.unwrap_or(FinishReason::Stop)),
        message: message(whole),
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

fn message(whole: Whole) -> ChatMessage {
    let is_call_alone = whole.text.is_empty() && !whole.calls.is_empty();
    let calls = whole.calls.into_iter().map(|call| ChatCall {
        id: call.id,
        r#type: "function",
        function: CalledFunction { name: Some(call.name), arguments: call.arguments },
    });
    ChatMessage {
        role: "assistant",
        content: (!is_call_alone).then_some(whole.text),
        refusal: None,
        tool_calls: calls.collect(),
    }
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
        let delta = Delta { role: Some("assistant"), content: Some(String::new()), ..Delta::default() };
        Some(self.delta(stamp, choice, delta))
    }

    fn text<'a>(&mut self, stamp: &'a Stamp, step: TextStep) -> ChatChunk<'a> {
        let choice = ChatChunkChoice {
            index: step.choice,
            delta: Delta { content: Some(step.text), ..Delta::default() },
            logprobs: self.with_logprobs.then(|| chat_logprobs(step.logprobs)),
            finish_reason: None,
        };
        self.chunk(stamp, vec![choice])
    }

    fn call<'a>(&mut self, stamp: &'a Stamp, step: CallStep) -> Option<ChatChunk<'a>> {
        let (id, name, arguments) = match step.piece {
            CallPiece::Began { id, name } => (Some(id), Some(name), String::new()),
            CallPiece::Arguments(text) => (None, None, text),
        };
        let r#type = id.is_some().then_some("function");
        let function = CalledFunction { name, arguments };
        let tool_calls = vec![CallDelta { index: step.call, id, r#type, function }];
        Some(self.delta(stamp, step.choice, Delta { tool_calls, ..Delta::default() }))
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
