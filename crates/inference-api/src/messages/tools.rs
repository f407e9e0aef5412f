//! `tools` and `tool_choice`. Only tools that the caller runs: nobody here runs those that Anthropic runs.

use crate::facts::RequestMistake;
use crate::messages::chat::{ChosenFunction, Function, Request, Tool, ToolChoice, Value};
use crate::messages::skim::Json;
use crate::messages::wire::{Fields, Place, items};

pub(super) fn tools<'a>(raw: Json<'a>) -> Result<Vec<Tool<'a>>, RequestMistake> {
    let at = Place::Body.field("tools");
    let tools = items(raw, &at)?;
    tools.map(|(index, raw)| tool(raw, &at.item(index))).collect()
}

fn tool<'a>(raw: Json<'a>, at: &Place<'_>) -> Result<Tool<'a>, RequestMistake> {
    let mut tool = Fields::read(raw, at)?;
    match tool.word("type")?.as_deref() {
        None | Some("custom") => {}
        Some(other) => return Err(at.field("type").unknown_word(other)),
    }
    let (name, description) = (tool.need_text("name")?, tool.text("description")?);
    let parameters = tool.need("input_schema", "a JSON schema")?;
    if !parameters.is_object() {
        return Err(at.field("input_schema").wrong("a JSON schema", Some(parameters)));
    }
    let strict = tool.flag("strict")?.then_some(true);
    if tool.flag("defer_loading")? {
        return Err(at.field("defer_loading").untranslatable("true"));
    }
    callers(&mut tool, &at.field("allowed_callers"))?;
    tool.must_be_empty("input_examples")?;
    // How its input is streamed, and what is cached: the answer is the same.
    tool.drop_hint("eager_input_streaming");
    tool.drop_hint("cache_control");
    tool.refuse_rest()?;
    Ok(Tool { kind: "function", function: Function { name, description, parameters, strict } })
}

/// Who may call the tool: the model itself is the only one there is.
fn callers(tool: &mut Fields<'_, '_>, at: &Place<'_>) -> Result<(), RequestMistake> {
    let Some(raw) = tool.take("allowed_callers") else { return Ok(()) };
    for (index, caller) in items(raw, at)? {
        if caller.get() != "\"direct\"" {
            return Err(at.item(index).untranslatable("a caller other than the model"));
        }
    }
    Ok(())
}

/// `tool_choice`, and with it whether calls may come in parallel.
pub(super) fn choose<'a>(raw: Json<'a>, chat: &mut Request<'a>) -> Result<(), RequestMistake> {
    let at = Place::Body.field("tool_choice");
    let mut choice = Fields::read(raw, &at)?;
    let chosen = match choice.need_word("type")?.as_ref() {
        "auto" => ToolChoice::Word("auto"),
        "any" => ToolChoice::Word("required"),
        "none" => ToolChoice::Word("none"),
        "tool" => {
            let function = ChosenFunction { name: choice.need_text("name")? };
            ToolChoice::Named { kind: "function", function }
        }
        other => return Err(at.field("type").unknown_word(other)),
    };
    let one_at_a_time = choice.flag("disable_parallel_tool_use")?;
    choice.refuse_rest()?;
    chat.put("tool_choice", Value::ToolChoice(chosen))?;
    if one_at_a_time {
        chat.put("parallel_tool_calls", Value::Flag(false))?;
    }
    Ok(())
}
