//! Tools and which of them may be called.

use crate::chat::request::{Function, Tool, ToolChoice};
use crate::facts::RequestMistake;
use crate::reading::{Fields, Placed};
use std::borrow::Cow;

/// What chat completions are told of tools. All empty where there is none to call.
#[derive(Default)]
pub(super) struct Tools<'a> {
    pub(super) tools: Vec<Tool<'a>>,
    pub(super) choice: Option<ToolChoice<'a>>,
    pub(super) parallel: Option<bool>,
}

/// A function, by its name as it reads.
type Named<'a> = (Cow<'a, str>, Tool<'a>);

/// How the model may choose.
struct Choice<'a> {
    said: ToolChoice<'a>,
    /// The tools it may choose from, where they are not all.
    of: Option<Vec<Cow<'a, str>>>,
    /// The model may also call none, so without tools there is nothing to say.
    free: bool,
}

/// Takes `tools`, `tool_choice` and `parallel_tool_calls`. Only functions are translated: every other kind of tool is
/// run by OpenAI's servers, or is one local engines do not know (`custom`).
pub(super) fn tools<'a>(asked: &mut Fields<'a, '_>) -> Result<Tools<'a>, RequestMistake> {
    let mut functions: Vec<Named<'a>> = match asked.take("tools") {
        None => Vec::new(),
        Some(tools) => tools.items()?.map(|item| function(&item)).collect::<Result<_, _>>()?,
    };
    let choice = asked.take("tool_choice").map(|place| choice(&place, &functions)).transpose()?;
    if let Some(of) = choice.as_ref().and_then(|choice| choice.of.as_ref()) {
        functions.retain(|(name, _)| of.contains(name));
    }
    let parallel = asked.flag("parallel_tool_calls")?;
    if functions.is_empty() {
        // Engines refuse these fields where no tools are given; software that talks to OpenAI gives them always.
        let choice = choice.filter(|choice| !choice.free).map(|choice| choice.said);
        return Ok(Tools { choice, ..Tools::default() });
    }
    let tools = functions.into_iter().map(|(_, tool)| tool).collect();
    Ok(Tools { tools, choice: choice.map(|choice| choice.said), parallel })
}

/// `{type, name, description, parameters, strict}` as `{type, function: {…}}`.
///
/// Off-spec: OpenAI takes `strict` as true in responses and as false in chat completions where nothing is said. Nothing
/// said stays nothing said: few engines can be strict.
fn function<'a>(item: &Placed<'a, '_>) -> Result<Named<'a>, RequestMistake> {
    let mut tool = item.fields()?;
    let kind = tool.need("type", "a string")?;
    if kind.word()? != "function" {
        return Err(kind.refuse());
    }
    let name = tool.need("name", "a string")?;
    let function = Function {
        name: name.text()?,
        description: tool.text("description")?,
        parameters: tool.take("parameters").map(|schema| schema.object("an object")).transpose()?,
        strict: tool.flag("strict")?,
    };
    if let Some(deferred) = tool.take("defer_loading")
        && deferred.flag()?
    {
        return Err(deferred.refuse());
    }
    tool.end()?;
    Ok((name.word()?, Tool::new(function)))
}

fn choice<'a>(place: &Placed<'a, '_>, functions: &[Named<'a>]) -> Result<Choice<'a>, RequestMistake> {
    if !place.json.is_object() {
        let (word, free) = match &*place.word()? {
            "auto" => ("auto", true),
            "none" => ("none", true),
            "required" => ("required", false),
            _ => return Err(place.refuse()),
        };
        return Ok(Choice { said: ToolChoice::Word(word), of: None, free });
    }
    let mut choice = place.fields()?;
    let kind = choice.need("type", "a string")?;
    let chosen = match &*kind.word()? {
        "function" => {
            let said = ToolChoice::named(choice.need_text("name")?);
            Choice { said, of: None, free: false }
        }
        "allowed_tools" => allowed(&mut choice, functions)?,
        _ => return Err(kind.refuse()),
    };
    choice.end()?;
    Ok(chosen)
}

/// Tools that may not be called are not told of at all: engines know no `allowed_tools`, and to the model it is the
/// same.
fn allowed<'a>(choice: &mut Fields<'a, '_>, functions: &[Named<'a>]) -> Result<Choice<'a>, RequestMistake> {
    let mode = choice.need("mode", "a string")?;
    let (word, free) = match &*mode.word()? {
        "auto" => ("auto", true),
        "required" => ("required", false),
        _ => return Err(mode.refuse()),
    };
    let tools = choice.need("tools", "an array")?;
    let mut of = Vec::new();
    for tool in tools.items()? {
        let mut tool = tool.fields()?;
        let kind = tool.need("type", "a string")?;
        if kind.word()? != "function" {
            return Err(kind.refuse());
        }
        let name = tool.need("name", "a string")?;
        let known = name.word()?;
        if !functions.iter().any(|(function, _)| *function == known) {
            return Err(name.wrong("the name of a function in `tools`"));
        }
        tool.end()?;
        of.push(known);
    }
    if of.is_empty() {
        return Err(tools.wrong("an array of at least one tool"));
    }
    Ok(Choice { said: ToolChoice::Word(word), of: Some(of), free })
}
