//! A chat completions request as a Messages request, for engines that speak Messages.

mod settings;
mod turns;
mod written;

use crate::chat::asked;
use crate::facts::RequestMistake;
use crate::reading::{self, Words};
use crate::writing;
use written::Value;

/// Fields of Messages under which a chat request could ask the engine for what nobody here decided about.
const MESSAGES_WORDS: [&str; 19] = [
    "billing_policy",
    "cache_control",
    "compaction",
    "container",
    "context_management",
    "diagnostics",
    "fallback_credit_token",
    "fallbacks",
    "inference_geo",
    "mcp_servers",
    "output_config",
    "output_format",
    "speed",
    "stop_sequences",
    "system",
    "thinking",
    "thread",
    "user_profile_id",
    "workspace_id",
];

type Request<'a> = writing::Request<'a, Value<'a>>;

/// A chat completions request (`CreateChatCompletionRequest`) as a Messages request.
///
/// `max_tokens` is the cap where the request says none: Messages asks for one. Numbers that are the same in both
/// (`temperature`, `top_p`, `top_k`) and fields that chat completions do not have are passed on as they were written.
/// What comes out is accepted by [`super::to_chat`] and says the same there.
///
/// # Errors
///
/// [`RequestMistake::Json`] and [`RequestMistake::DuplicateKey`] where two parsers could differ;
/// [`RequestMistake::Missing`] for `model` and `messages`; [`RequestMistake::TypeAt`] for what is not of its type;
/// [`RequestMistake::Unsayable`] for what Messages cannot say.
pub fn of_chat(body: &[u8], max_tokens: u64) -> Result<Vec<u8>, RequestMistake> {
    let request = reading::request(body, Words::Messages)?;
    let mut chat = request.fields()?;
    let mut asked = Request::new(Words::Messages);
    let model = chat.take("model").ok_or(RequestMistake::Missing { field: "model" })?;
    asked.put("model", Value::Raw(model.json))?;
    let goes_on = asked::goes_on(&mut chat)?;
    let messages = chat.take("messages").ok_or(RequestMistake::Missing { field: "messages" })?;
    let conversation = turns::conversation(&messages, goes_on)?;
    if let Some(system) = conversation.system() {
        asked.put("system", Value::Content(system))?;
    }
    asked.put("messages", Value::Turns(conversation.turns))?;
    asked.put("max_tokens", asked::cap(&mut chat)?.map_or(Value::Count(max_tokens), Value::Raw))?;
    settings::stops(&mut chat, &mut asked)?;
    settings::metadata(&mut chat, &mut asked)?;
    settings::tools(&mut chat, &mut asked)?;
    settings::output(&mut chat, &mut asked)?;
    settings::without_effect(&mut chat)?;
    asked::refuse_all(&mut chat, &MESSAGES_WORDS)?;
    asked::extras(chat).try_for_each(|(name, json)| asked.put(name, Value::Raw(json)))?;
    Ok(asked.to_json())
}
