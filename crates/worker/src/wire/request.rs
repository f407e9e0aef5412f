//! Requests, from JSON to what the engine is asked.

use super::tools::ToolRequest;
use crate::face::Refusal;
use hermetic_engine_llama::{
    Conversation, FunctionCall, GenerateRequest, Grammar, Message, Prompt, Sampling, SubmitError, Token,
};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// What both ways of asking for text share.
#[derive(Debug, Deserialize)]
pub(crate) struct TextRequest {
    #[serde(default)]
    pub(crate) stream: Option<bool>,
    #[serde(default)]
    stream_options: Option<StreamOptions>,
    n: Option<u32>,
    stop: Option<OneOrMany<String>>,
    max_tokens: Option<u32>,
    max_completion_tokens: Option<u32>,
    temperature: Option<f32>,
    top_p: Option<f32>,
    /// Off-spec: OpenAI has neither `top_k` nor `min_p`; vLLM and llama.cpp's server do.
    top_k: Option<i32>,
    min_p: Option<f32>,
    frequency_penalty: Option<f32>,
    presence_penalty: Option<f32>,
    seed: Option<i64>,
    logit_bias: Option<BTreeMap<String, f32>>,
}

#[derive(Debug, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    fn into_vec(self) -> Vec<T> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

/// `POST /v1/chat/completions`.
#[derive(Debug, Deserialize)]
pub(crate) struct ChatRequest {
    messages: Vec<WireMessage>,
    #[serde(default)]
    logprobs: Option<bool>,
    top_logprobs: Option<u8>,
    response_format: Option<ResponseFormat>,
    #[serde(flatten)]
    pub(crate) text: TextRequest,
    #[serde(flatten)]
    tools: ToolRequest,
    functions: Option<Value>,
    audio: Option<Value>,
    continue_final_message: Option<Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct WireMessage {
    role: String,
    content: Option<Content>,
    tool_calls: Option<Vec<WireCall>>,
    tool_call_id: Option<String>,
}

#[derive(Debug, Deserialize)]
struct WireCall {
    id: String,
    #[serde(rename = "type")]
    kind: Option<String>,
    function: Option<WireFunction>,
}

#[derive(Debug, Deserialize)]
struct WireFunction {
    name: String,
    arguments: String,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Debug, Deserialize)]
struct Part {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ResponseFormat {
    Text,
    JsonObject,
    JsonSchema { json_schema: NamedSchema },
}

#[derive(Debug, Deserialize)]
struct NamedSchema {
    schema: Value,
}

/// `POST /v1/completions`.
#[derive(Debug, Deserialize)]
pub(crate) struct CompletionRequest {
    prompt: WirePrompt,
    logprobs: Option<u8>,
    #[serde(flatten)]
    pub(crate) text: TextRequest,
    echo: Option<bool>,
    suffix: Option<String>,
    best_of: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum WirePrompt {
    Text(String),
    Tokens(Vec<Token>),
    Texts(Vec<String>),
    TokenLists(Vec<Vec<Token>>),
}

/// `POST /v1/embeddings`.
#[derive(Debug, Deserialize)]
pub(crate) struct EmbeddingRequest {
    pub(crate) input: EmbeddingInput,
    #[serde(default)]
    pub(crate) encoding_format: Encoding,
    pub(crate) dimensions: Option<u32>,
    /// Off-spec: as vLLM spells it. Positive, or -1 for the model's window: cut longer inputs instead of refusing them.
    pub(crate) truncate_prompt_tokens: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum EmbeddingInput {
    Text(String),
    Texts(Vec<String>),
    Tokens(Vec<Token>),
    TokenLists(Vec<Vec<Token>>),
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Encoding {
    #[default]
    Float,
    Base64,
}

/// Refuses a field that asks for something this engine does not do.
pub(super) fn absent(value: Option<&Value>, param: &'static str) -> Result<(), Refusal> {
    match value {
        None | Some(Value::Null | Value::Bool(false)) => Ok(()),
        Some(Value::Array(items)) if items.is_empty() => Ok(()),
        Some(_) => Err(Refusal::unsupported(param)),
    }
}

impl TextRequest {
    pub(crate) fn streams(&self) -> bool {
        self.stream.unwrap_or(false)
    }

    pub(crate) fn reports_usage(&self) -> bool {
        self.stream_options.as_ref().is_some_and(|options| options.include_usage)
    }

    fn into_generate(self, prompt: Prompt, drawn_seed: u32) -> Result<GenerateRequest, Refusal> {
        let bias = |(token, bias): (String, f32)| match token.parse() {
            Ok(token) => Ok((token, bias)),
            Err(_) => Err(Refusal::invalid("logit_bias", "expected token ids as keys of `logit_bias`")),
        };
        let logit_bias =
            self.logit_bias.unwrap_or_default().into_iter().map(bias).collect::<Result<_, _>>()?;
        // Any 64-bit seed is welcome; the engine's has 32 bits, so both halves count.
        let fold = |seed: i64| {
            let [a, b, c, d, e, f, g, h] = seed.to_le_bytes();
            u32::from_le_bytes([a, b, c, d]) ^ u32::from_le_bytes([e, f, g, h])
        };
        let defaults = Sampling::default();
        let sampling = Sampling {
            temperature: self.temperature.unwrap_or(defaults.temperature),
            top_p: self.top_p.unwrap_or(defaults.top_p),
            top_k: self.top_k.and_then(|k| u32::try_from(k).ok()).unwrap_or(defaults.top_k),
            min_p: self.min_p.unwrap_or(defaults.min_p),
            frequency_penalty: self.frequency_penalty.unwrap_or(0.0),
            presence_penalty: self.presence_penalty.unwrap_or(0.0),
            logit_bias,
            seed: self.seed.map_or(drawn_seed, fold),
        };
        Ok(GenerateRequest {
            sampling,
            choices: self.n.unwrap_or(1),
            max_tokens: self.max_completion_tokens.or(self.max_tokens),
            stop: self.stop.map(OneOrMany::into_vec).unwrap_or_default(),
            ..GenerateRequest::new(prompt)
        })
    }
}

impl ChatRequest {
    /// `drawn_seed` is used when the request names none.
    pub(crate) fn into_generate(self, drawn_seed: u32) -> Result<GenerateRequest, Refusal> {
        absent(self.functions.as_ref(), "functions")?;
        absent(self.audio.as_ref(), "audio")?;
        absent(self.continue_final_message.as_ref(), "continue_final_message")?;
        if self.messages.is_empty() {
            return Err(Refusal::invalid("messages", "expected at least one message, found none"));
        }
        let top_logprobs = match (self.logprobs.unwrap_or(false), self.top_logprobs) {
            (true, top) => Some(top.unwrap_or(0)),
            (false, None | Some(0)) => None,
            (false, Some(_)) => {
                return Err(Refusal::invalid(
                    "top_logprobs",
                    "expected `logprobs` to be true beside `top_logprobs`",
                ));
            }
        };
        let format = match self.response_format {
            None | Some(ResponseFormat::Text) => None,
            Some(ResponseFormat::JsonObject) => Some(Grammar::json_object()),
            Some(ResponseFormat::JsonSchema { json_schema }) => {
                Some(Grammar::json_schema(&json_schema.schema))
            }
        };
        let format = format.transpose().map_err(SubmitError::from)?;
        let messages = messages(self.messages)?;
        let (tools, grammar) = match self.tools.into_offer()? {
            None => (Vec::new(), format),
            Some(mut offer) => (std::mem::take(&mut offer.tools), Some(offer.grammar(format)?)),
        };
        let request = self.text.into_generate(Prompt::Chat(Conversation { messages, tools }), drawn_seed)?;
        Ok(GenerateRequest { top_logprobs, grammar, ..request })
    }
}

pub(super) fn messages(wire: Vec<WireMessage>) -> Result<Vec<Message>, Refusal> {
    wire.into_iter().enumerate().map(|(index, wire)| message(index, wire)).collect()
}

fn message(index: usize, wire: WireMessage) -> Result<Message, Refusal> {
    let call = |call: WireCall| match (call.kind.as_deref(), call.function) {
        (None | Some("function"), Some(function)) => {
            Ok(FunctionCall::new(call.id, function.name, &function.arguments))
        }
        _ => Err(Refusal::unsupported_at("messages", &format!("messages[{index}].tool_calls"))),
    };
    let calls = wire.tool_calls.unwrap_or_default().into_iter().map(call).collect::<Result<_, _>>()?;
    let role = match wire.role.as_str() {
        // The newer name of the same thing; templates know the older one.
        "developer" => "system".to_owned(),
        "system" | "user" | "assistant" | "tool" => wire.role,
        _ => return Err(Refusal::unsupported("messages.role")),
    };
    let content = match wire.content {
        None => String::new(),
        Some(Content::Text(text)) => text,
        Some(Content::Parts(parts)) => {
            let texts = parts.into_iter().map(|part| match part {
                Part { kind, text: Some(text) } if kind == "text" => Ok(text),
                Part { .. } => Err(Refusal::unsupported("messages.content")),
            });
            texts.collect::<Result<Vec<_>, _>>()?.concat()
        }
    };
    Ok(Message { role, content, calls, answers: wire.tool_call_id })
}

impl CompletionRequest {
    /// OpenAI's default, kept: applications that leave it out rely on short answers.
    const MAX_TOKENS_DEFAULT: u32 = 16;

    pub(crate) fn into_generate(self, drawn_seed: u32) -> Result<GenerateRequest, Refusal> {
        if self.echo == Some(true) {
            return Err(Refusal::unsupported("echo"));
        }
        if self.suffix.is_some_and(|suffix| !suffix.is_empty()) {
            return Err(Refusal::unsupported("suffix"));
        }
        if self.best_of.is_some_and(|best| best > self.text.n.unwrap_or(1)) {
            return Err(Refusal::unsupported("best_of"));
        }
        let prompt = match self.prompt {
            WirePrompt::Text(text) => Prompt::Text(text),
            WirePrompt::Tokens(tokens) => Prompt::Tokens(tokens),
            WirePrompt::Texts(texts) => Prompt::Text(single(texts)?),
            WirePrompt::TokenLists(lists) => Prompt::Tokens(single(lists)?),
        };
        let request = self.text.into_generate(prompt, drawn_seed)?;
        let max_tokens = request.max_tokens.or(Some(Self::MAX_TOKENS_DEFAULT));
        Ok(GenerateRequest { top_logprobs: self.logprobs, max_tokens, ..request })
    }
}

fn single<T>(many: Vec<T>) -> Result<T, Refusal> {
    let found = many.len();
    let mut many = many.into_iter();
    match (many.next(), found) {
        (Some(one), 1) => Ok(one),
        _ => Err(Refusal::invalid("prompt", format!("expected one prompt in a request, found {found}"))),
    }
}
