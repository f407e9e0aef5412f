//! What is said beside the conversation.

use super::Request;
use super::written::{Format, Named, Reasoning, TextConfig, Tool, ToolChoice, Value};
use crate::chat::asked::{self, Choice, Form};
use crate::facts::RequestMistake;
use crate::reading::Fields;
use crate::responses::request::LOGPROBS;

/// The cap, log probabilities, and what is called the same in both and has to be of its type.
pub(super) fn sampling<'a>(chat: &mut Fields<'a, '_>, asked: &mut Request<'a>) -> Result<(), RequestMistake> {
    if let Some(cap) = asked::cap(chat)? {
        asked.put("max_output_tokens", Value::Raw(cap))?;
    }
    for name in ["temperature", "top_p"] {
        if let Some(value) = chat.take(name) {
            asked.put(name, Value::Raw(value.number()?))?;
        }
    }
    if let Some(stream) = chat.flag("stream")? {
        asked.put("stream", Value::Flag(stream))?;
    }
    let wanted = chat.flag("logprobs")?.unwrap_or(false);
    let top = chat.take("top_logprobs");
    if wanted {
        asked.put("include", Value::Include([LOGPROBS]))?;
    }
    if let Some(top) = top {
        if top.count()? > 0 && !wanted {
            return Err(top.at.refuse("a number without `logprobs`"));
        }
        asked.put("top_logprobs", Value::Raw(top.json))?;
    }
    Ok(())
}

/// `response_format` and `verbosity`.
pub(super) fn text<'a>(chat: &mut Fields<'a, '_>, asked: &mut Request<'a>) -> Result<(), RequestMistake> {
    let format = chat.take("response_format").map(|format| asked::form(&format)).transpose()?;
    let format = match format {
        None | Some(Form::Text) => None,
        Some(Form::JsonObject) => Some(Format::JsonObject),
        Some(Form::Schema { name, description, schema, strict }) => {
            Some(Format::JsonSchema { name, description, schema, strict })
        }
    };
    let verbosity = chat.text("verbosity")?;
    if format.is_none() && verbosity.is_none() {
        return Ok(());
    }
    asked.put("text", Value::Text(TextConfig { format, verbosity }))
}

pub(super) fn reasoning<'a>(
    chat: &mut Fields<'a, '_>,
    asked: &mut Request<'a>,
) -> Result<(), RequestMistake> {
    match chat.text("reasoning_effort")? {
        Some(effort) => asked.put("reasoning", Value::Reasoning(Reasoning { effort })),
        None => Ok(()),
    }
}

/// `tools`, `tool_choice`, `parallel_tool_calls`.
pub(super) fn tools<'a>(chat: &mut Fields<'a, '_>, asked: &mut Request<'a>) -> Result<(), RequestMistake> {
    let functions = asked::functions(chat)?;
    let choice = chat.take("tool_choice").map(|place| asked::choice(&place, &functions)).transpose()?;
    let parallel = chat.flag("parallel_tool_calls")?;
    let any = !functions.is_empty();
    if any {
        let tools = functions.into_iter().map(|function| Tool {
            kind: "function",
            name: function.name,
            description: function.description,
            parameters: function.parameters,
            strict: function.strict.unwrap_or(false),
        });
        asked.put("tools", Value::Tools(tools.collect()))?;
    }
    // Without tools a free choice asks for nothing, and engines refuse it.
    if let Some(choice) = choice.filter(|choice| any || !choice.is_free()) {
        asked.put("tool_choice", Value::ToolChoice(tool_choice(choice)))?;
    }
    match parallel {
        Some(parallel) if any => asked.put("parallel_tool_calls", Value::Flag(parallel)),
        _ => Ok(()),
    }
}

fn tool_choice(choice: Choice<'_>) -> ToolChoice<'_> {
    match choice {
        Choice::Auto => ToolChoice::Word("auto"),
        Choice::None => ToolChoice::Word("none"),
        Choice::Required => ToolChoice::Word("required"),
        Choice::Named(name) => ToolChoice::Named(Named::new(name)),
        Choice::Allowed { required, names } => ToolChoice::Allowed {
            kind: "allowed_tools",
            mode: if required { "required" } else { "auto" },
            tools: names.into_iter().map(Named::new).collect(),
        },
    }
}

/// Takes what the Responses API has no words for, where it asks for nothing; else refuses it.
pub(super) fn refuse_wordless(chat: &mut Fields<'_, '_>) -> Result<(), RequestMistake> {
    asked::stream_options(chat)?;
    asked::refuse_wordless(chat)?;
    chat.must_be_empty("stop")?;
    if asked::goes_on(chat)? {
        return Err(chat.place("continue_final_message").refuse("`true`"));
    }
    Ok(())
}

/// Fields of the same name. The Responses API keeps what it is not told not to; here nothing is kept that nobody asked to
/// keep.
pub(super) fn unchanged<'a>(mut chat: Fields<'a, '_>, asked: &mut Request<'a>) -> Result<(), RequestMistake> {
    let store = chat.flag("store")?.unwrap_or(false);
    asked.put("store", Value::Flag(store))?;
    asked::extras(chat).try_for_each(|(name, json)| asked.put(name, Value::Raw(json)))
}
