//! Answers, in the shapes OpenAI's SDKs take apart.

use base64::Engine as _;
use hermetic_engine_llama::{FinishReason, TokenChance, TokenLogprob, Usage};
use serde::{Serialize, Serializer};
use serde_json::Value;

#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct UsageObject {
    prompt_tokens: u32,
    completion_tokens: u32,
    total_tokens: u32,
}

impl UsageObject {
    /// One prompt, all its answers: the prompt is read once on the bill, whatever `n` was.
    pub(crate) fn of(choices: &[Usage]) -> Self {
        let prompt_tokens = choices.iter().map(|usage| usage.prompt).max().unwrap_or(0);
        let completion_tokens = choices.iter().fold(0_u32, |sum, usage| sum.saturating_add(usage.answer));
        Self {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens.saturating_add(completion_tokens),
        }
    }
}

pub(crate) fn finish_word(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::Calls => "tool_calls",
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct ChatCompletion<'a> {
    pub(crate) id: &'a str,
    pub(crate) object: &'static str,
    pub(crate) created: u64,
    pub(crate) model: &'a str,
    pub(crate) system_fingerprint: &'a str,
    pub(crate) choices: Vec<ChatChoice>,
    pub(crate) usage: UsageObject,
}

#[derive(Debug, Serialize)]
pub(crate) struct ChatChoice {
    pub(crate) index: u32,
    pub(crate) message: ChatMessage,
    pub(crate) logprobs: Option<ChatLogprobs>,
    pub(crate) finish_reason: &'static str,
}

#[derive(Debug, Serialize)]
pub(crate) struct ChatMessage {
    pub(crate) role: &'static str,
    /// Null beside calls, when nothing was said.
    pub(crate) content: Option<String>,
    pub(crate) refusal: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) tool_calls: Vec<ChatCall>,
}

/// A call, whole.
#[derive(Debug, Serialize)]
pub(crate) struct ChatCall {
    pub(crate) id: String,
    pub(crate) r#type: &'static str,
    pub(crate) function: CalledFunction,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct CalledFunction {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    pub(crate) arguments: String,
}

/// A piece of a call: who it is at first, its arguments then.
#[derive(Debug, Serialize)]
pub(crate) struct CallDelta {
    pub(crate) index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) r#type: Option<&'static str>,
    pub(crate) function: CalledFunction,
}

#[derive(Debug, Serialize)]
pub(crate) struct ChatChunk<'a> {
    pub(crate) id: &'a str,
    pub(crate) object: &'static str,
    pub(crate) created: u64,
    pub(crate) model: &'a str,
    pub(crate) system_fingerprint: &'a str,
    pub(crate) choices: Vec<ChatChunkChoice>,
    /// Absent unless asked for; then null on every chunk but the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) usage: Option<Option<UsageObject>>,
}

#[derive(Debug, Serialize)]
pub(crate) struct ChatChunkChoice {
    pub(crate) index: u32,
    pub(crate) delta: Delta,
    pub(crate) logprobs: Option<ChatLogprobs>,
    pub(crate) finish_reason: Option<&'static str>,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct Delta {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) tool_calls: Vec<CallDelta>,
}

#[derive(Debug, Serialize)]
pub(crate) struct ChatLogprobs {
    content: Vec<ChatLogprob>,
    refusal: Option<Value>,
}

#[derive(Debug, Serialize)]
struct ChatLogprob {
    #[serde(flatten)]
    chosen: Chance,
    top_logprobs: Vec<Chance>,
}

#[derive(Debug, Serialize)]
struct Chance {
    token: String,
    logprob: f32,
    /// A token may be part of a character: the bytes are exact where the text cannot be.
    bytes: Vec<u8>,
}

impl From<TokenChance> for Chance {
    fn from(chance: TokenChance) -> Self {
        let token = String::from_utf8_lossy(&chance.bytes).into_owned();
        // JSON has no infinity; this is as unlikely as OpenAI's own API says anything is.
        Self { token, logprob: chance.logprob.max(-9999.0), bytes: chance.bytes }
    }
}

pub(crate) fn chat_logprobs(logprobs: Vec<TokenLogprob>) -> ChatLogprobs {
    let row = |step: TokenLogprob| ChatLogprob {
        chosen: step.chosen.into(),
        top_logprobs: step.top.into_iter().map(Chance::from).collect(),
    };
    ChatLogprobs { content: logprobs.into_iter().map(row).collect(), refusal: None }
}

/// `/v1/completions`, whole and in chunks: the same object.
#[derive(Debug, Serialize)]
pub(crate) struct Completion<'a> {
    pub(crate) id: &'a str,
    pub(crate) object: &'static str,
    pub(crate) created: u64,
    pub(crate) model: &'a str,
    pub(crate) system_fingerprint: &'a str,
    pub(crate) choices: Vec<CompletionChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) usage: Option<Option<UsageObject>>,
}

#[derive(Debug, Serialize)]
pub(crate) struct CompletionChoice {
    pub(crate) index: u32,
    pub(crate) text: String,
    pub(crate) logprobs: Option<LegacyLogprobs>,
    pub(crate) finish_reason: Option<&'static str>,
}

/// The four parallel lists of the older API.
#[derive(Debug, Default, Serialize)]
pub(crate) struct LegacyLogprobs {
    tokens: Vec<String>,
    token_logprobs: Vec<f32>,
    top_logprobs: Vec<serde_json::Map<String, Value>>,
    text_offset: Vec<usize>,
}

impl LegacyLogprobs {
    /// `offset` counts characters of the answer before these tokens, and is moved on.
    pub(crate) fn of(logprobs: Vec<TokenLogprob>, offset: &mut usize) -> Self {
        let mut lists = Self::default();
        for step in logprobs {
            let chosen = Chance::from(step.chosen);
            lists.text_offset.push(*offset);
            *offset += chosen.token.chars().count();
            lists.tokens.push(chosen.token);
            lists.token_logprobs.push(chosen.logprob);
            let top = step.top.into_iter().map(Chance::from);
            lists.top_logprobs.push(top.map(|chance| (chance.token, chance.logprob.into())).collect());
        }
        lists
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct EmbeddingList<'a> {
    pub(crate) object: &'static str,
    pub(crate) data: Vec<EmbeddingRow>,
    pub(crate) model: &'a str,
    pub(crate) usage: EmbeddingUsage,
}

#[derive(Debug, Serialize)]
pub(crate) struct EmbeddingRow {
    pub(crate) object: &'static str,
    pub(crate) index: usize,
    pub(crate) embedding: Encoded,
}

#[derive(Debug, Serialize)]
pub(crate) struct EmbeddingUsage {
    pub(crate) prompt_tokens: u32,
    pub(crate) total_tokens: u32,
}

/// A vector as numbers, or as the base64 of little-endian 32-bit floats, which SDKs ask for by default.
#[derive(Debug)]
pub(crate) enum Encoded {
    Float(Vec<f32>),
    Base64(Vec<f32>),
}

impl Serialize for Encoded {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Float(vector) => vector.serialize(serializer),
            Self::Base64(vector) => {
                let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
                serializer.serialize_str(&base64::engine::general_purpose::STANDARD.encode(bytes))
            }
        }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct ModelList<'a> {
    pub(crate) object: &'static str,
    pub(crate) data: [ModelRow<'a>; 1],
}

#[derive(Debug, Serialize)]
pub(crate) struct ModelRow<'a> {
    pub(crate) id: &'a str,
    pub(crate) object: &'static str,
    pub(crate) created: u64,
    pub(crate) owned_by: &'static str,
}
