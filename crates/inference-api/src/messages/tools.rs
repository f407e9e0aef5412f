//! `tools` and `tool_choice`. Only tools that the caller runs: nobody here runs those that Anthropic runs.

use crate::chat::request::{Function, Request, Tool, ToolChoice, Value};
use crate::facts::RequestMistake;
use crate::reading::{Fields, Placed};

pub(super) fn tools<'a>(tools: &Placed<'a, '_>) -> Result<Vec<Tool<'a>>, RequestMistake> {
    tools.items()?.map(|item| tool(&item)).collect()
}

fn tool<'a>(item: &Placed<'a, '_>) -> Result<Tool<'a>, RequestMistake> {
    let mut tool = item.fields()?;
    if let Some(kind) = tool.take("type")
        && kind.word()? != "custom"
    {
        return Err(kind.refuse());
    }
    let (name, description) = (tool.need_text("name")?, tool.text("description")?);
    let parameters = tool.need("input_schema", "a JSON schema")?.object("a JSON schema")?;
    let strict = tool.flag("strict")?.filter(|strict| *strict);
    if let Some(deferred) = tool.take("defer_loading")
        && deferred.flag()?
    {
        return Err(deferred.at.refuse("true"));
    }
    callers(&mut tool)?;
    tool.must_be_empty("input_examples")?;
    // How its input is streamed, and what is cached: the answer is the same.
    tool.drop_all(&["eager_input_streaming", "cache_control"]);
    tool.end()?;
    Ok(Tool::new(Function { name, description, parameters: Some(parameters), strict }))
}

/// Who may call the tool: the model itself is the only one there is.
fn callers(tool: &mut Fields<'_, '_>) -> Result<(), RequestMistake> {
    let Some(callers) = tool.take("allowed_callers") else { return Ok(()) };
    for caller in callers.items()? {
        if caller.json.get() != "\"direct\"" {
            return Err(caller.at.refuse("a caller other than the model"));
        }
    }
    Ok(())
}

/// `tool_choice`, and with it whether calls may come in parallel.
pub(super) fn choose<'a>(choice: &Placed<'a, '_>, chat: &mut Request<'a>) -> Result<(), RequestMistake> {
    let mut choice = choice.fields()?;
    let kind = choice.need("type", "a string")?;
    let chosen = match kind.word()?.as_ref() {
        "auto" => ToolChoice::Word("auto"),
        "any" => ToolChoice::Word("required"),
        "none" => ToolChoice::Word("none"),
        "tool" => ToolChoice::named(choice.need_text("name")?),
        _ => return Err(kind.refuse()),
    };
    let one_at_a_time = choice.flag("disable_parallel_tool_use")? == Some(true);
    choice.end()?;
    chat.put("tool_choice", Value::ToolChoice(chosen))?;
    if one_at_a_time {
        chat.put("parallel_tool_calls", Value::Flag(false))?;
    }
    Ok(())
}
