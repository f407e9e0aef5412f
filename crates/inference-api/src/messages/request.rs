//! A request, field by field.

use crate::facts::RequestMistake;
use crate::json;
use crate::messages::chat::{Message, Request, Value};
use crate::messages::output;
use crate::messages::skim::Json;
use crate::messages::tools;
use crate::messages::turns::conversation;
use crate::messages::wire::{Fields, Place, items, says_nothing};

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
    json::members(body).map_err(RequestMistake::Json)?;
    // Checked just now, as far as being text goes too.
    let text = std::str::from_utf8(body).unwrap_or_default();
    let mut asked = Fields::read(Json::checked(text), &Place::Body)?;
    let mut chat = Request::default();
    let model = asked.take("model").ok_or(RequestMistake::Missing { field: "model" })?;
    let messages = asked.take("messages").ok_or(RequestMistake::Missing { field: "messages" })?;
    chat.put("model", Value::Raw(model))?;
    let turns = conversation(asked.take("system"), messages)?;
    let begun = turns.last().is_some_and(Message::is_begun_answer);
    chat.put("messages", Value::Messages(turns))?;
    match (asked.take("max_tokens"), purpose) {
        (Some(cap), _) => chat.put("max_tokens", Value::Raw(cap))?,
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
    unchanged(asked, &mut chat)?;
    Ok(chat.to_json())
}

/// Fields that have another name or form.
fn renamed<'a>(asked: &mut Fields<'a, '_>, chat: &mut Request<'a>) -> Result<(), RequestMistake> {
    if let Some(raw) = asked.take("stop_sequences") {
        let at = Place::Body.field("stop_sequences");
        for (index, raw) in items(raw, &at)? {
            if !raw.is_text() {
                return Err(at.item(index).wrong("a string", Some(raw)));
            }
        }
        if !says_nothing(raw) {
            chat.put("stop", Value::Raw(raw))?;
        }
    }
    if let Some(raw) = asked.take("metadata") {
        metadata(raw, chat)?;
    }
    if let Some(raw) = asked.take("tools") {
        let tools = tools::tools(raw)?;
        if !tools.is_empty() {
            chat.put("tools", Value::Tools(tools))?;
        }
    }
    if let Some(raw) = asked.take("tool_choice") {
        tools::choose(raw, chat)?;
    }
    if let Some(raw) = asked.take("output_config") {
        output::configure(raw, chat)?;
    }
    if let Some(raw) = asked.take("output_format") {
        output::form(raw, &Place::Body.field("output_format"), chat)?;
    }
    Ok(())
}

/// `user_id` is whom chat completions call `user`; other pairs are what the caller says of the request.
fn metadata<'a>(raw: Json<'a>, chat: &mut Request<'a>) -> Result<(), RequestMistake> {
    let at = Place::Body.field("metadata");
    let mut pairs = Fields::read(raw, &at)?;
    if let Some(user) = pairs.text("user_id")? {
        chat.put("user", Value::Raw(user))?;
    }
    let others = pairs.rest();
    if !others.is_empty() {
        chat.put("metadata", Value::Pairs(others))?;
    }
    Ok(())
}

/// Fields that leave the answer as it is, in the values that do.
fn without_effect(asked: &mut Fields<'_, '_>) -> Result<(), RequestMistake> {
    asked.drop_hint("cache_control");
    if let Some(raw) = asked.take("thinking") {
        output::thinking(raw)?;
    }
    for (name, words) in [("service_tier", ["auto", "standard_only"]), ("speed", ["standard", "standard"])] {
        match asked.word(name)?.as_deref() {
            Some(other) if !words.contains(&other) => {
                return Err(Place::Body.field(name).unknown_word(other));
            }
            _ => {}
        }
    }
    // A request has one answer here.
    for name in ["n", "best_of"] {
        match asked.take(name) {
            Some(raw) if raw.get() != "1" => {
                return Err(Place::Body.field(name).untranslatable("more than one answer"));
            }
            _ => {}
        }
    }
    REFUSED.into_iter().try_for_each(|name| asked.must_be_empty(name))
}

/// All else is the same in both, or an extra for the engine.
fn unchanged<'a>(asked: Fields<'a, '_>, chat: &mut Request<'a>) -> Result<(), RequestMistake> {
    asked.rest().into_iter().try_for_each(|(name, raw)| chat.put(name, Value::Raw(raw)))
}
