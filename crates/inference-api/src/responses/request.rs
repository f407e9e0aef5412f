//! A request of the Responses API as one of chat completions.

use super::conversation::messages;
use super::tools::tools;
use crate::chat::request::{NamedSchema, Request, ResponseFormat, Value};
use crate::facts::RequestMistake;
use crate::reading::{self, Fields, Json, Place, Placed, Words};
use crate::writing::Text;

/// Fields of chat completions for what a Responses request says in other words. Under these names they would be said
/// twice, or ask for several answers where a response is one.
const CHAT_WORDS: [&str; 13] = [
    "messages",
    "max_tokens",
    "max_completion_tokens",
    "response_format",
    "reasoning_effort",
    "verbosity",
    "logprobs",
    "n",
    "best_of",
    "functions",
    "function_call",
    "modalities",
    "audio",
];

/// What `include` may name. All but the log probabilities are parts of items that no response here has, or has anyway:
/// reasoning, which is given in full, needs no encrypted copy to be sent back.
pub(super) const LOGPROBS: &str = "message.output_text.logprobs";
const INCLUDES: [&str; 8] = [
    LOGPROBS,
    "reasoning.encrypted_content",
    "message.input_image.image_url",
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
];

/// A request that goes on from others, with what was said before: their items, as arrays of JSON in the order in which they
/// were said. All else is as with [`to_chat`], but for `previous_response_id`, which the caller has looked up.
pub fn to_chat_after(body: &[u8], before: &[&str]) -> Result<Vec<u8>, RequestMistake> {
    let mut said = Vec::with_capacity(before.len());
    for items in before {
        // Texts of arrays alone: checked as an object would be, by the same reader.
        serde_json::from_str::<Vec<serde::de::IgnoredAny>>(items).map_err(|_| RequestMistake::TypeAt {
            path: "previous_response_id".to_owned(),
            expected: "a response whose items can be read",
            found: "something else",
        })?;
        said.push(Json::checked(items));
    }
    let request = reading::request(body, Words::Chat)?;
    let mut asked = request.fields()?;
    asked.drop_all(&["previous_response_id"]);
    translated(asked, &said)
}

/// A request of the Responses API (`CreateResponse`) as a request of chat completions (`CreateChatCompletionRequest`).
///
/// Fields the Responses API does not have are handed on unchanged, for engines that know more (`seed`, `stop`, `top_k`).
/// A stream is asked to end with its usage, as every response does. `store` says
/// what becomes of the answer, which is nothing to an engine: [`super::StateWish`] reads it.
///
/// # Errors
/// - [`RequestMistake::Json`], [`RequestMistake::DuplicateKey`]: not one object without surprises. Objects that are
///   taken apart are checked for keys that stand twice; schemas are copied as they are;
/// - [`RequestMistake::Missing`], [`RequestMistake::TypeAt`]: not a request of the Responses API;
/// - [`RequestMistake::Untranslatable`]: a request chat completions have no words for: state kept by the server
///   (`previous_response_id`, `conversation`, `background`, `prompt`, references to items), tools that are not
///   functions, files, `truncation: "auto"`, reasoning that is encrypted or summarised.
pub fn to_chat(body: &[u8]) -> Result<Vec<u8>, RequestMistake> {
    let request = reading::request(body, Words::Chat)?;
    translated(request.fields()?, &[])
}

fn translated<'a>(mut asked: Fields<'a, '_>, before: &[Json<'a>]) -> Result<Vec<u8>, RequestMistake> {
    let mut chat = Request::new(Words::Chat);
    refuse_state(&mut asked)?;
    let model = asked.take("model").ok_or(RequestMistake::Missing { field: "model" })?;
    chat.put("model", Value::Raw(model.text()?))?;
    chat.put("messages", Value::Messages(messages(&mut asked, before)?))?;
    sampling(&mut asked, &mut chat)?;
    text(&mut asked, &mut chat)?;
    reasoning(&mut asked, &mut chat)?;
    let tools = tools(&mut asked)?;
    if !tools.tools.is_empty() {
        chat.put("tools", Value::Tools(tools.tools))?;
    }
    if let Some(choice) = tools.choice {
        chat.put("tool_choice", Value::ToolChoice(choice))?;
    }
    if let Some(parallel) = tools.parallel {
        chat.put("parallel_tool_calls", Value::Flag(parallel))?;
    }
    streaming(&mut asked, &mut chat)?;
    extras(asked, &mut chat)?;
    Ok(chat.to_json())
}

/// What only a server with a memory can do, and what asks an engine for nothing.
fn refuse_state(asked: &mut Fields<'_, '_>) -> Result<(), RequestMistake> {
    for field in ["previous_response_id", "conversation", "prompt", "context_management"] {
        if let Some(found) = asked.take(field) {
            return Err(found.refuse());
        }
    }
    if let Some(background) = asked.take("background")
        && background.flag()?
    {
        return Err(background.refuse());
    }
    if let Some(truncation) = asked.take("truncation")
        && truncation.word()? != "disabled"
    {
        return Err(truncation.refuse());
    }
    asked.flag("store")?;
    // It bounds calls of the tools OpenAI runs, and none of those are accepted.
    asked.take("max_tool_calls").map(|calls| calls.count()).transpose()?;
    Ok(())
}

fn sampling<'a>(asked: &mut Fields<'a, '_>, chat: &mut Request<'a>) -> Result<(), RequestMistake> {
    if let Some(cap) = asked.take("max_output_tokens") {
        cap.count()?;
        chat.put("max_tokens", Value::Raw(cap.json))?;
    }
    for field in ["temperature", "top_p"] {
        if let Some(value) = asked.take(field) {
            chat.put(field, Value::Raw(value.number()?))?;
        }
    }
    let wanted = includes_logprobs(asked)?;
    let top = asked.take("top_logprobs");
    let count = top.map(|top| top.count()).transpose()?.unwrap_or(0);
    if wanted || count > 0 {
        chat.put("logprobs", Value::Flag(true))?;
        if let Some(top) = top {
            chat.put("top_logprobs", Value::Raw(top.json))?;
        }
    }
    Ok(())
}

/// Whether `include` may name it.
pub fn is_include(name: &str) -> bool {
    INCLUDES.contains(&name)
}

fn includes_logprobs(asked: &mut Fields<'_, '_>) -> Result<bool, RequestMistake> {
    let Some(include) = asked.take("include") else { return Ok(false) };
    let mut wanted = false;
    for item in include.items()? {
        let name = item.word()?;
        if !is_include(&name) {
            return Err(item.refuse());
        }
        wanted |= name == LOGPROBS;
    }
    Ok(wanted)
}

/// `text: {format, verbosity}`.
fn text<'a>(asked: &mut Fields<'a, '_>, chat: &mut Request<'a>) -> Result<(), RequestMistake> {
    let Some(text) = asked.take("text") else { return Ok(()) };
    let mut text = text.fields()?;
    if let Some(format) = text.take("format")
        && let Some(format) = response_format(&format)?
    {
        chat.put("response_format", Value::ResponseFormat(format))?;
    }
    if let Some(verbosity) = text.text("verbosity")? {
        chat.put("verbosity", Value::Raw(verbosity))?;
    }
    text.end()
}

/// `{type, name, description, schema, strict}` as `{type, json_schema: {…}}`; `None` for text, which need not be asked
/// for.
fn response_format<'a>(format: &Placed<'a, '_>) -> Result<Option<ResponseFormat<'a>>, RequestMistake> {
    let mut format = format.fields()?;
    let kind = format.need("type", "a string")?;
    let read = match &*kind.word()? {
        "text" => None,
        "json_object" => Some(ResponseFormat::JsonObject),
        "json_schema" => {
            let json_schema = NamedSchema {
                name: Text::Written(format.need_text("name")?),
                description: format.text("description")?,
                schema: format.need("schema", "an object")?.json,
                strict: format.flag("strict")?,
            };
            Some(ResponseFormat::JsonSchema { json_schema })
        }
        _ => return Err(kind.refuse()),
    };
    format.end()?;
    Ok(read)
}

/// `reasoning: {effort, summary, …}`. A summary `auto` is whichever there is, and here there is none: the reasoning itself
/// is in the answer. Who asks for a certain summary is refused.
fn reasoning<'a>(asked: &mut Fields<'a, '_>, chat: &mut Request<'a>) -> Result<(), RequestMistake> {
    let Some(reasoning) = asked.take("reasoning") else { return Ok(()) };
    let mut reasoning = reasoning.fields()?;
    if let Some(effort) = reasoning.text("effort")? {
        chat.put("reasoning_effort", Value::Raw(effort))?;
    }
    for (field, usual) in
        [("summary", "auto"), ("generate_summary", "auto"), ("context", "auto"), ("mode", "standard")]
    {
        if let Some(found) = reasoning.take(field)
            && found.word()? != usual
        {
            return Err(found.refuse());
        }
    }
    reasoning.end()
}

fn streaming<'a>(asked: &mut Fields<'a, '_>, chat: &mut Request<'a>) -> Result<(), RequestMistake> {
    if let Some(options) = asked.take("stream_options") {
        let mut options = options.fields()?;
        // Padding against those who guess texts from the sizes of packets: a hint.
        options.flag("include_obfuscation")?;
        options.end()?;
    }
    if let Some(streams) = asked.flag("stream")? {
        chat.put("stream", Value::Flag(streams))?;
        if streams {
            chat.put("stream_options", Value::Raw(Json::checked(r#"{"include_usage":true}"#)))?;
        }
    }
    Ok(())
}

/// What chat completions call the same, and what neither API knows.
fn extras<'a>(asked: Fields<'a, '_>, chat: &mut Request<'a>) -> Result<(), RequestMistake> {
    for (name, json) in asked.rest() {
        if !CHAT_WORDS.contains(&&*name) {
            chat.put(name, Value::Raw(json))?;
        } else if !json.is_null() {
            return Err(Placed { json, at: Place::Body(Words::Chat).field(&name) }.refuse_unshown());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(more: &str) -> String {
        let input = if more.contains("\"input\"") { "" } else { ",\"input\":\"x\"" };
        to_chat(format!("{{\"model\":\"m\"{input},{more}}}").as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn what_chat_completions_have_no_words_for_is_refused_where_it_stands() {
        for (more, path, found) in [
            (r#""previous_response_id":"resp_1""#, "previous_response_id", "`resp_1`"),
            (r#""conversation":{"id":"c"}"#, "conversation", "an object"),
            (r#""background":true"#, "background", "a truth value"),
            (r#""prompt":{"id":"p"}"#, "prompt", "an object"),
            (r#""truncation":"auto""#, "truncation", "`auto`"),
            (r#""messages":[]"#, "messages", "an array"),
            (r#""n":2"#, "n", "a number"),
            (r#""include":["x"]"#, "include[0]", "`x`"),
            (r#""reasoning":{"summary":"detailed"}"#, "reasoning.summary", "`detailed`"),
            (r#""text":{"format":{"type":"grammar"}}"#, "text.format.type", "`grammar`"),
            (r#""stream_options":{"include_usage":true}"#, "stream_options.include_usage", "a truth value"),
            (r#""tools":[{"type":"web_search"}]"#, "tools[0].type", "`web_search`"),
            (r#""tools":[{"type":"custom","name":"c"}]"#, "tools[0].type", "`custom`"),
            (r#""tools":[{"type":"function","name":"f","x":1}]"#, "tools[0].x", "a number"),
            (r#""tool_choice":{"type":"mcp"}"#, "tool_choice.type", "`mcp`"),
            (r#""input":[{"id":"msg_1"}]"#, "input[0].id", "a string"),
            (r#""input":[{"type":"item_reference","id":"i"}]"#, "input[0].type", "`item_reference`"),
            (r#""input":[{"role":"critic","content":""}]"#, "input[0].role", "`critic`"),
            (r#""input":[{"role":"user","content":"","mood":"x"}]"#, "input[0].mood", "a string"),
            (
                r#""input":[{"type":"reasoning","encrypted_content":"s"}]"#,
                "input[0].encrypted_content",
                "a string",
            ),
            (r#""input":[{"type":"reasoning","summary":[{}]}]"#, "input[0].summary", "an array"),
            (
                r#""input":[{"role":"user","content":[{"type":"input_text","text":""},{"type":"input_file"}]}]"#,
                "input[0].content[1].type",
                "`input_file`",
            ),
            (
                r#""input":[{"role":"user","content":[{"type":"input_image","file_id":"f"}]}]"#,
                "input[0].content[0].file_id",
                "a string",
            ),
            (
                r#""input":[{"type":"function_call_output","call_id":"c","output":[{"type":"input_image"}]}]"#,
                "input[0].output[0].type",
                "`input_image`",
            ),
        ] {
            let expected = format!(
                "expected nothing in `{path}` that an engine cannot be asked in chat completions, found {found}"
            );
            assert_eq!(mistake(more), expected, "{more}");
        }
    }

    #[test]
    fn mistakes_name_the_place_what_was_expected_and_what_was_found() {
        for (more, message) in [
            (r#""input":7"#, "expected `input` to be a string or an array of items, found a number"),
            (r#""input":[7]"#, "expected `input[0]` to be an object, found a number"),
            (r#""input":[{}]"#, "expected `input[0].role` to be a string, found nothing"),
            (
                r#""input":[{"type":"function_call","call_id":"c","name":"f","arguments":{}}]"#,
                "expected `input[0].arguments` to be a string, found an object",
            ),
            (r#""instructions":[]"#, "expected `instructions` to be a string, found an array"),
            (
                r#""max_output_tokens":1.5"#,
                "expected `max_output_tokens` to be a whole number, zero or more, found a number",
            ),
            (r#""tools":[{"type":"function"}]"#, "expected `tools[0].name` to be a string, found nothing"),
            (
                r#""tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"g"}]}"#,
                "expected `tool_choice.tools[0].name` to be the name of a function in `tools`, found a string",
            ),
            (r#""store":1"#, "expected `store` to be true or false, found a number"),
            (r#""input":"x","inp\u0075t":"y""#, "expected every key once, found `input` twice"),
            (
                r#""input":[{"role":"system","content":"x","r\u006fle":"user"}]"#,
                "expected every key once, found `role` twice",
            ),
        ] {
            assert_eq!(mistake(more), message);
        }
        let missing = |body: &str| to_chat(body.as_bytes()).unwrap_err().to_string();
        assert_eq!(missing(r#"{"input":"x"}"#), "expected the field `model`, found nothing");
        assert_eq!(missing(r#"{"model":"m"}"#), "expected the field `input`, found nothing");
        assert!(missing("[]").starts_with("the body is not valid JSON"));
    }

    /// Half of a surrogate pair is JSON that not every parser can decode: it is not for us to change it.
    #[test]
    fn texts_schemas_and_numbers_are_copied_as_they_were_written() {
        let body = r#"{"model":"m","input":[{"role":"user","content":"\u00e9\ud800\/"}],"temperature":7e-1,"tools":[{"type":"function","name":"f","parameters":{"z":1.0,"a":[ 1E2 ]}}]}"#;
        let chat = String::from_utf8(to_chat(body.as_bytes()).unwrap()).unwrap();
        for written in [r#""content":"\u00e9\ud800\/""#, "7e-1", r#"{"z":1.0,"a":[ 1E2 ]}"#] {
            assert!(chat.contains(written), "{written} in {chat}");
        }
    }
}
