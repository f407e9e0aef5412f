//! A request, field by field.

use crate::chat::request::{Message, Request, Value};
use crate::facts::RequestMistake;
use crate::messages::output;
use crate::messages::tools;
use crate::messages::turns::conversation;
use crate::reading::{self, Fields, Placed, Words};
use crate::writing::Pairs;

/// Fields of Messages that ask for something no engine here can do, and of chat completions whose answer Messages has
/// no place for. Empty lists and objects, and `false`, ask for nothing.
const REFUSED: [&str; 20] = [
    "billing_policy",
    "compaction",
    "container",
    "context_management",
    "diagnostics",
    "fallback_credit_token",
    "fallbacks",
    "inference_geo",
    "mcp_servers",
    "thread",
    "user_profile_id",
    "workspace_id",
    "audio",
    "function_call",
    "functions",
    "logprobs",
    // The cap is `max_tokens`.
    "max_completion_tokens",
    "modalities",
    "prompt_logprobs",
    "top_logprobs",
];

/// A Messages request as a chat completions request.
///
/// `body` is any bytes. The answer is one JSON object that [`crate::RequestFacts::read`] goes on to read: names, counts
/// and truth values that stay what they are (`model`, `max_tokens`, `stream`, `temperature`, `top_p`, `top_k` and fields
/// that Messages does not have) are passed on as they were written and judged there or by the engine.
///
/// # Errors
///
/// [`RequestMistake::Json`] and [`RequestMistake::DuplicateKey`] where two parsers could differ;
/// [`RequestMistake::Missing`] for `model`, `messages` and `max_tokens`; [`RequestMistake::TypeAt`] for what is not of
/// its type; [`RequestMistake::Untranslatable`] for what chat completions cannot say.
pub fn to_chat(body: &[u8]) -> Result<Vec<u8>, RequestMistake> {
    translate(body, Purpose::Answer)
}

/// A request to count the tokens of a prompt (`POST /v1/messages/count_tokens`) as the chat request with that prompt.
/// As [`to_chat`], but `max_tokens` need not be there.
///
/// # Errors
///
/// As [`to_chat`].
pub fn count_tokens_to_chat(body: &[u8]) -> Result<Vec<u8>, RequestMistake> {
    translate(body, Purpose::Count)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Answer,
    Count,
}

fn translate(body: &[u8], purpose: Purpose) -> Result<Vec<u8>, RequestMistake> {
    let request = reading::request(body, Words::Chat)?;
    let mut asked = request.fields()?;
    let mut chat = Request::new(Words::Chat);
    let model = asked.take("model").ok_or(RequestMistake::Missing { field: "model" })?;
    let messages = asked.take("messages").ok_or(RequestMistake::Missing { field: "messages" })?;
    chat.put("model", Value::Raw(model.json))?;
    let turns = conversation(asked.take("system"), &messages)?;
    let begun = turns.last().is_some_and(Message::is_begun_answer);
    chat.put("messages", Value::Messages(turns))?;
    match (asked.take("max_tokens"), purpose) {
        (Some(cap), _) => chat.put("max_tokens", Value::Raw(cap.json))?,
        (None, Purpose::Answer) => return Err(RequestMistake::Missing { field: "max_tokens" }),
        (None, Purpose::Count) => {}
    }
    if begun {
        // Messages goes on from a last message of the assistant; chat completions would open a new one.
        chat.put("continue_final_message", Value::Flag(true))?;
        chat.put("add_generation_prompt", Value::Flag(false))?;
    }
    renamed(&mut asked, &mut chat)?;
    without_effect(&mut asked)?;
    // All else is the same in both, or an extra for the engine.
    asked.rest().into_iter().try_for_each(|(name, json)| chat.put(name, Value::Raw(json)))?;
    Ok(chat.to_json())
}

/// Fields that have another name or form.
fn renamed<'a>(asked: &mut Fields<'a, '_>, chat: &mut Request<'a>) -> Result<(), RequestMistake> {
    if let Some(stops) = asked.take("stop_sequences") {
        for stop in stops.items()? {
            stop.text()?;
        }
        if !stops.json.is_empty() {
            chat.put("stop", Value::Raw(stops.json))?;
        }
    }
    if let Some(pairs) = asked.take("metadata") {
        metadata(&pairs, chat)?;
    }
    if let Some(tools) = asked.take("tools") {
        let tools = tools::tools(&tools)?;
        if !tools.is_empty() {
            chat.put("tools", Value::Tools(tools))?;
        }
    }
    if let Some(choice) = asked.take("tool_choice") {
        tools::choose(&choice, chat)?;
    }
    if let Some(config) = asked.take("output_config") {
        output::configure(&config, chat)?;
    }
    if let Some(format) = asked.take("output_format") {
        output::form(&format, chat)?;
    }
    Ok(())
}

/// `user_id` is whom chat completions call `user`; other pairs are what the caller says of the request.
fn metadata<'a>(pairs: &Placed<'a, '_>, chat: &mut Request<'a>) -> Result<(), RequestMistake> {
    let mut pairs = pairs.fields()?;
    if let Some(user) = pairs.text("user_id")? {
        chat.put("user", Value::Raw(user))?;
    }
    let others = pairs.rest();
    if !others.is_empty() {
        chat.put("metadata", Value::Pairs(Pairs(others)))?;
    }
    Ok(())
}

/// Fields that leave the answer as it is, in the values that do.
fn without_effect(asked: &mut Fields<'_, '_>) -> Result<(), RequestMistake> {
    asked.drop_all(&["cache_control"]);
    if let Some(thinking) = asked.take("thinking") {
        output::thinking(&thinking)?;
    }
    for (name, words) in [("service_tier", ["auto", "standard_only"]), ("speed", ["standard", "standard"])] {
        if let Some(word) = asked.take(name)
            && !words.contains(&word.word()?.as_ref())
        {
            return Err(word.refuse());
        }
    }
    // A request has one answer here.
    for name in ["n", "best_of"] {
        if let Some(answers) = asked.take(name)
            && answers.json.get() != "1"
        {
            return Err(answers.at.refuse("more than one answer"));
        }
    }
    REFUSED.into_iter().try_for_each(|name| asked.must_be_empty(name))
}
