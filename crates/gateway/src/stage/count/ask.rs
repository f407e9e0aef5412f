//! Asking the engine to count, at the `/tokenize` that vLLM and llama.cpp's server have.
//!
//! The two differ: vLLM takes messages and answers with `count`, llama.cpp's server takes text and answers with the
//! tokens, and has `/apply-template` for messages. One body serves both; what the answer lacks says which it was.

use super::Measure;
use crate::context::Thread;
use crate::counting::EngineCount;
use crate::stage::aside::ask_aside;
use crate::stage::route::Routed;
use hermetic_inference_api::{ChatInput, PromptInput, TextInput};
use hermetic_ledger::record::CountedBy;
use http::StatusCode;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Value, json};

/// Texts of one request that are asked about, one question each. A request with more is counted by its bytes.
const QUESTIONS_MAX: usize = 16;

#[derive(Deserialize)]
struct Tokenized {
    /// vLLM.
    count: Option<u64>,
    /// vLLM: the context it runs the model with.
    max_model_len: Option<u64>,
    /// Both; llama.cpp's server has nothing else.
    #[serde(default)]
    tokens: Vec<IgnoredAny>,
}

impl Tokenized {
    fn tokens(&self) -> u64 {
        self.count.unwrap_or_else(|| u64::try_from(self.tokens.len()).unwrap_or(u64::MAX))
    }
}

#[derive(Deserialize)]
struct Templated {
    prompt: String,
}

/// What the engine counted, and its context where it says. `None`: it did not count, within the time it has.
pub(crate) async fn ask(
    thread: &Thread,
    routed: &Routed,
    engine: &EngineCount,
) -> Option<(Measure, Option<u64>)> {
    let asked = &routed.asked;
    let input = PromptInput::read(asked.accepted.surface.call(), &asked.body, &asked.facts)?;
    if matches!(input, PromptInput::Pairs { .. }) {
        // As many questions as documents: their bytes are near enough, and an engine tells what it read.
        return None;
    }
    let questions = async {
        match &input {
            PromptInput::Chat(chat) => about_chat(thread, routed, chat).await.map(|answer| vec![answer]),
            PromptInput::Texts(texts) => about_texts(thread, routed, texts).await,
            PromptInput::Pairs { .. } => None,
        }
    };
    let answers =
        tokio::time::timeout(thread.shared.options().tokenize_timeout, questions).await.ok().flatten();
    let model = &routed.route.model;
    match (engine.went(answers.is_some()), &answers) {
        (true, None) => {
            tracing::warn!(code = "E0713", %model, "the engine does not count tokens; prompts are counted by their bytes");
        }
        (true, Some(_)) => tracing::info!(%model, "the engine counts tokens"),
        (false, _) => {}
    }
    let answers = answers?;
    let window = answers.iter().find_map(|answer| answer.max_model_len);
    let counts: Vec<u64> = answers.iter().map(Tokenized::tokens).collect();
    Some((Measure::of(&counts, CountedBy::Engine)?, window))
}

async fn about_chat(thread: &Thread, routed: &Routed, chat: &ChatInput<'_>) -> Option<Tokenized> {
    let mut question = json!({
        "model": routed.model_name(), "messages": chat.messages()?, "add_generation_prompt": true, "content": "",
    });
    if let (Some(tools), Some(question)) = (chat.tools(), question.as_object_mut()) {
        question.insert("tools".to_owned(), tools);
    }
    let answer: Tokenized = post(thread, routed, "/tokenize", &question).await?;
    if answer.count.is_some() {
        return Some(answer);
    }
    let templated: Templated = post(thread, routed, "/apply-template", &question).await?;
    about_text(thread, routed, &templated.prompt).await
}

async fn about_texts(thread: &Thread, routed: &Routed, texts: &[TextInput<'_>]) -> Option<Vec<Tokenized>> {
    if texts.len() > QUESTIONS_MAX {
        return None;
    }
    let mut answers = Vec::with_capacity(texts.len());
    for text in texts {
        answers.push(match text {
            TextInput::Text(text) => about_text(thread, routed, text).await?,
            TextInput::Tokens(tokens) => {
                Tokenized { count: Some(*tokens), max_model_len: None, tokens: Vec::new() }
            }
        });
    }
    Some(answers)
}

async fn about_text(thread: &Thread, routed: &Routed, text: &str) -> Option<Tokenized> {
    let question = json!({
        "model": routed.model_name(), "prompt": text, "add_special_tokens": true,
        "content": text, "add_special": true, "parse_special": true,
    });
    let answer: Tokenized = post(thread, routed, "/tokenize", &question).await?;
    // An answer with neither is not an answer: every prompt of some length is some tokens.
    let empty = answer.count.is_none() && answer.tokens.is_empty() && !text.is_empty();
    (!empty).then_some(answer)
}

async fn post<T: DeserializeOwned>(
    thread: &Thread,
    routed: &Routed,
    path: &str,
    question: &Value,
) -> Option<T> {
    let target = &routed.first().1?.target;
    let (status, answer) = ask_aside(thread, target, path, serde_json::to_vec(question).ok()?).await.ok()?;
    if status != StatusCode::OK {
        return None;
    }
    serde_json::from_slice(&answer).ok()
}
