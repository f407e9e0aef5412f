//! What is asked and answered about tokens, in the shape of vLLM (`TokenizeRequest`, `DetokenizeRequest`).

use super::request::{WireMessage, absent, messages};
use super::tools::{declared, functions};
use crate::face::Refusal;
use hermetic_engine_llama::{Conversation, Token};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `POST /tokenize`: a text, or a conversation.
#[derive(Debug, Deserialize)]
pub(crate) struct TokenizeRequest {
    prompt: Option<String>,
    messages: Option<Vec<WireMessage>>,
    /// Of a text: whether with the marks the model puts around one. Default true. A template has its own.
    add_special_tokens: Option<bool>,
    /// Of a conversation: whether up to where an answer begins. Default true, and nothing else here.
    add_generation_prompt: Option<bool>,
    continue_final_message: Option<Value>,
    tools: Option<Value>,
    pub(crate) return_token_strs: Option<bool>,
}

pub(crate) enum ToTokenize {
    Text { text: String, edges: bool },
    Chat(Conversation),
}

#[derive(Debug, Serialize)]
pub(crate) struct Tokenized {
    pub(crate) count: usize,
    pub(crate) max_model_len: u32,
    pub(crate) tokens: Vec<Token>,
    pub(crate) token_strs: Option<Vec<String>>,
}

/// `POST /detokenize`.
#[derive(Debug, Deserialize)]
pub(crate) struct DetokenizeRequest {
    pub(crate) tokens: Vec<Token>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Detokenized {
    pub(crate) prompt: String,
}

impl TokenizeRequest {
    pub(crate) fn into_prompt(self) -> Result<ToTokenize, Refusal> {
        match (self.prompt, self.messages) {
            (Some(text), None) => {
                Ok(ToTokenize::Text { text, edges: self.add_special_tokens.unwrap_or(true) })
            }
            (None, Some(wire)) => {
                absent(self.continue_final_message.as_ref(), "continue_final_message")?;
                if self.add_generation_prompt == Some(false) {
                    return Err(Refusal::unsupported("add_generation_prompt"));
                }
                let tools = declared(self.tools)?;
                functions(&tools)?;
                Ok(ToTokenize::Chat(Conversation { messages: messages(wire)?, tools }))
            }
            _ => Err(Refusal::invalid("prompt", "expected either `prompt` or `messages`")),
        }
    }
}
