//! A chat completions request as one of the Responses API, for engines that speak Responses.

mod items;
mod settings;
mod written;

use crate::chat::asked;
use crate::facts::RequestMistake;
use crate::reading::{self, Words};
use crate::writing;
use written::Value;

/// Fields of Responses under which a chat request could ask the engine for what nobody here decided about.
const RESPONSES_WORDS: [&str; 13] = [
    "background",
    "context_management",
    "conversation",
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "previous_response_id",
    "prompt",
    "reasoning",
    "text",
    "truncation",
];

type Request<'a> = writing::Request<'a, Value<'a>>;

/// A chat completions request (`CreateChatCompletionRequest`) as a request of the Responses API (`CreateResponse`).
///
/// Fields that both have (`metadata`, `user`, `service_tier`, …) and those that chat completions do not have are passed on
/// as they were written. What comes out is accepted by [`super::to_chat`] and says the same there.
///
/// # Errors
///
/// [`RequestMistake::Json`] and [`RequestMistake::DuplicateKey`] where two parsers could differ;
/// [`RequestMistake::Missing`] for `model` and `messages`; [`RequestMistake::TypeAt`] for what is not of its type;
/// [`RequestMistake::Unsayable`] for what the Responses API cannot say.
pub fn of_chat(body: &[u8]) -> Result<Vec<u8>, RequestMistake> {
    let request = reading::request(body, Words::Responses)?;
    let mut chat = request.fields()?;
    let mut asked = Request::new(Words::Responses);
    let model = chat.take("model").ok_or(RequestMistake::Missing { field: "model" })?;
    asked.put("model", Value::Raw(model.text()?))?;
    let messages = chat.take("messages").ok_or(RequestMistake::Missing { field: "messages" })?;
    let input = items::input(&messages)?;
    if let Some(instructions) = input.instructions {
        asked.put("instructions", Value::Raw(instructions))?;
    }
    asked.put("input", Value::Input(input.items))?;
    settings::sampling(&mut chat, &mut asked)?;
    settings::text(&mut chat, &mut asked)?;
    settings::reasoning(&mut chat, &mut asked)?;
    settings::tools(&mut chat, &mut asked)?;
    settings::refuse_wordless(&mut chat)?;
    asked::refuse_all(&mut chat, &RESPONSES_WORDS)?;
    settings::unchanged(chat, &mut asked)?;
    Ok(asked.to_json())
}
