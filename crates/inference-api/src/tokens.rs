//! Questions about tokens, in the shape of vLLM (`POST /tokenize`, `POST /detokenize`), which llama.cpp's server answers
//! in words of its own.
//!
//! One question serves both: it carries the field names of the one and of the other, and each skips what it does not
//! know.

use crate::facts::{RequestFacts, RequestMistake};
use crate::surface::Call;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What is wanted of a vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenTask {
    /// A text, or a conversation, as tokens.
    Tokenize,
    /// Tokens as text.
    Detokenize,
}

/// A request about tokens, taken apart.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenQuestion {
    fields: Map<String, Value>,
}

/// Tokens, as either server answers.
#[derive(Debug, Deserialize)]
struct WireTokens {
    tokens: Vec<WireToken>,
    #[serde(default)]
    max_model_len: Option<u64>,
    #[serde(default)]
    token_strs: Option<Vec<String>>,
}

/// llama.cpp's server gives objects when pieces were asked for.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum WireToken {
    Id(u64),
    Named { id: u64, piece: Value },
}

#[derive(Debug, Deserialize)]
struct WireText {
    #[serde(alias = "content")]
    prompt: String,
}

#[derive(Serialize)]
struct Tokens {
    count: usize,
    max_model_len: Option<u64>,
    tokens: Vec<u64>,
    token_strs: Option<Vec<String>>,
}

#[derive(Serialize)]
struct Text {
    prompt: String,
}

impl TokenTask {
    pub const ALL: [Self; 2] = [Self::Tokenize, Self::Detokenize];

    pub fn path(self) -> &'static str {
        match self {
            Self::Tokenize => "/tokenize",
            Self::Detokenize => "/detokenize",
        }
    }

    pub fn of_path(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|task| task.path() == path)
    }

    /// The facts of the question, and the call whose input it is about.
    pub fn facts(self, body: &[u8]) -> Result<(Call, RequestFacts), RequestMistake> {
        let of = |call, field| RequestFacts::read_asking(call, field, body).map(|facts| (call, facts));
        match self {
            Self::Detokenize => of(Call::Completion, "tokens"),
            Self::Tokenize => match of(Call::Chat, "messages") {
                Err(RequestMistake::Missing { field: "messages" }) => of(Call::Completion, "prompt"),
                read => read,
            },
        }
    }
}

impl TokenQuestion {
    /// Of a body whose facts were read.
    pub fn read(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok().map(|fields| Self { fields })
    }

    fn flag(&self, name: &str) -> Option<bool> {
        self.fields.get(name).and_then(Value::as_bool)
    }

    /// For the server that knows the model as `model`.
    #[must_use]
    pub fn put_to(mut self, model: &str) -> Self {
        let (edges, names) = (self.flag("add_special_tokens"), self.flag("return_token_strs"));
        self.fields.insert("model".to_owned(), model.into());
        if let Some(prompt) = self.fields.get("prompt").cloned() {
            self.fields.insert("content".to_owned(), prompt);
            // What vLLM takes for said; llama.cpp's server takes the opposite.
            self.fields.insert("add_special".to_owned(), edges.unwrap_or(true).into());
            self.fields.insert("with_pieces".to_owned(), names.unwrap_or(false).into());
        }
        self
    }

    /// About a conversation: a server that has no such question templates it first.
    pub fn is_about_chat(&self) -> bool {
        self.fields.contains_key("messages")
    }

    /// Whether this answers the question. A server that skips conversations finds no tokens in nothing.
    pub fn is_answered_by(&self, answer: &[u8]) -> bool {
        let found = serde_json::from_slice::<WireTokens>(answer);
        found.is_ok_and(|found| !self.is_about_chat() || !found.tokens.is_empty())
    }

    /// The same question about the text that a conversation is. Its template has put the marks there already.
    #[must_use]
    pub fn about_text(mut self, text: &str) -> Self {
        for field in ["messages", "tools", "add_generation_prompt"] {
            self.fields.remove(field);
        }
        let names = self.flag("return_token_strs").unwrap_or(false);
        self.fields.insert("content".to_owned(), text.into());
        self.fields.insert("add_special".to_owned(), false.into());
        self.fields.insert("parse_special".to_owned(), true.into());
        self.fields.insert("with_pieces".to_owned(), names.into());
        self
    }

    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(&self.fields).unwrap_or_default()
    }
}

/// An engine's answer in the shape of vLLM. `context`: where the engine does not tell its own. `None`: it is no answer.
pub fn token_answer(task: TokenTask, answer: &[u8], context: Option<u64>) -> Option<Vec<u8>> {
    match task {
        TokenTask::Detokenize => {
            let WireText { prompt } = serde_json::from_slice(answer).ok()?;
            serde_json::to_vec(&Text { prompt }).ok()
        }
        TokenTask::Tokenize => {
            let WireTokens { tokens, max_model_len, mut token_strs } = serde_json::from_slice(answer).ok()?;
            let mut ids = Vec::with_capacity(tokens.len());
            for token in tokens {
                match token {
                    WireToken::Id(id) => ids.push(id),
                    WireToken::Named { id, piece } => {
                        ids.push(id);
                        token_strs.get_or_insert_default().push(piece_text(&piece));
                    }
                }
            }
            let max_model_len = max_model_len.or(context);
            serde_json::to_vec(&Tokens { count: ids.len(), max_model_len, tokens: ids, token_strs }).ok()
        }
    }
}

/// A piece is a text, or its bytes where they are none.
fn piece_text(piece: &Value) -> String {
    match piece {
        Value::String(text) => text.clone(),
        Value::Array(bytes) => {
            let byte = |byte: &Value| byte.as_u64().and_then(|byte| u8::try_from(byte).ok());
            String::from_utf8_lossy(&bytes.iter().filter_map(byte).collect::<Vec<u8>>()).into_owned()
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn put(body: Value) -> Value {
        let question = TokenQuestion::read(body.to_string().as_bytes()).unwrap().put_to("org/m");
        serde_json::from_slice(&question.to_json()).unwrap()
    }

    #[test]
    fn a_question_says_the_same_to_both_servers() {
        assert_eq!(
            put(json!({"model": "m", "prompt": "hi", "return_token_strs": true})),
            json!({"model": "org/m", "prompt": "hi", "return_token_strs": true, "content": "hi", "add_special": true, "with_pieces": true})
        );
        assert_eq!(put(json!({"model": "m", "tokens": [1]})), json!({"model": "org/m", "tokens": [1]}));
        let chat = json!({"model": "m", "messages": [], "tools": [], "add_generation_prompt": true});
        assert_eq!(
            put(chat.clone()),
            json!({"model": "org/m", "messages": [], "tools": [], "add_generation_prompt": true})
        );
        let text = TokenQuestion::read(chat.to_string().as_bytes()).unwrap().about_text("<s>hi");
        assert_eq!(
            serde_json::from_slice::<Value>(&text.to_json()).unwrap(),
            json!({"model": "m", "content": "<s>hi", "add_special": false, "parse_special": true, "with_pieces": false})
        );
    }

    #[test]
    fn both_servers_answers_become_one_shape() {
        let told = |task, answer: &str| {
            let told = token_answer(task, answer.as_bytes(), Some(99))?;
            Some(serde_json::from_slice::<Value>(&told).unwrap())
        };
        let tokenize = |answer| told(TokenTask::Tokenize, answer);
        assert_eq!(
            tokenize(r#"{"count":2,"max_model_len":8,"tokens":[1,2],"token_strs":["a","b"]}"#),
            Some(json!({"count": 2, "max_model_len": 8, "tokens": [1, 2], "token_strs": ["a", "b"]}))
        );
        assert_eq!(
            tokenize(r#"{"tokens":[{"id":1,"piece":"a"},{"id":2,"piece":[195]}]}"#),
            Some(json!({"count": 2, "max_model_len": 99, "tokens": [1, 2], "token_strs": ["a", "\u{fffd}"]}))
        );
        let detokenize = |answer| told(TokenTask::Detokenize, answer);
        assert_eq!(detokenize(r#"{"prompt":"x"}"#), Some(json!({"prompt": "x"})));
        assert_eq!(detokenize(r#"{"content":"x"}"#), Some(json!({"prompt": "x"})));
        assert_eq!((tokenize("{}"), detokenize("[]")), (None, None));
    }

    #[test]
    fn a_question_names_its_model_and_what_it_is_about() {
        let facts = |task: TokenTask, body: &str| {
            task.facts(body.as_bytes()).map(|(call, facts)| (call, facts.model.to_string()))
        };
        let of = |call| Ok((call, "m".to_owned()));
        assert_eq!(facts(TokenTask::Tokenize, r#"{"model":"m","messages":[]}"#), of(Call::Chat));
        assert_eq!(facts(TokenTask::Tokenize, r#"{"model":"m","prompt":"x"}"#), of(Call::Completion));
        assert_eq!(
            facts(TokenTask::Tokenize, r#"{"model":"m"}"#),
            Err(RequestMistake::Missing { field: "prompt" })
        );
        assert_eq!(facts(TokenTask::Detokenize, r#"{"model":"m","tokens":[1]}"#), of(Call::Completion));
    }
}
