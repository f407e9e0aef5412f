//! Tools and which of them may be called.

use super::place::{Fields, ObjectText, Path, Place, array_text};
use crate::facts::RequestMistake;
use std::borrow::Cow;

/// What chat completions are told of tools. All `None` where there is none to call.
#[derive(Default)]
pub(super) struct Tools {
    pub(super) tools: Option<Vec<u8>>,
    pub(super) choice: Option<Vec<u8>>,
    pub(super) parallel: Option<&'static [u8]>,
}

struct Function<'a> {
    name: Cow<'a, str>,
    text: Vec<u8>,
}

/// How the model may choose.
struct Choice<'a> {
    text: Vec<u8>,
    /// The tools it may choose from, where they are not all.
    of: Option<Vec<Cow<'a, str>>>,
    /// The model may also call none, so without tools there is nothing to say.
    free: bool,
}

/// Takes `tools`, `tool_choice` and `parallel_tool_calls`. Only functions are translated: every other kind of tool is
/// run by OpenAI's servers, or is one local engines do not know (`custom`).
pub(super) fn tools<'a>(asked: &mut Fields<'a, '_>) -> Result<Tools, RequestMistake> {
    let mut functions: Vec<Function<'a>> = match asked.take("tools") {
        None => Vec::new(),
        Some(place) => {
            let function = |(at, raw)| function(&Place { raw, path: Path::Item(&place.path, at) });
            place.list()?.into_iter().enumerate().map(function).collect::<Result<_, _>>()?
        }
    };
    let choice = asked.take("tool_choice").map(|place| choice(&place, &functions)).transpose()?;
    if let Some(of) = choice.as_ref().and_then(|choice| choice.of.as_ref()) {
        functions.retain(|function| of.contains(&function.name));
    }
    let parallel = asked.take("parallel_tool_calls").map(|place| place.boolean()).transpose()?;
    if functions.is_empty() {
        // Engines refuse these fields where no tools are given; software that talks to OpenAI gives them always.
        let choice = choice.filter(|choice| !choice.free).map(|choice| choice.text);
        return Ok(Tools { choice, ..Tools::default() });
    }
    let texts: Vec<Vec<u8>> = functions.into_iter().map(|function| function.text).collect();
    Ok(Tools {
        tools: Some(array_text(&texts)),
        choice: choice.map(|choice| choice.text),
        parallel: parallel.map(|parallel| if parallel { &b"true"[..] } else { b"false" }),
    })
}

/// `{type, name, description, parameters, strict}` as `{type, function: {…}}`.
///
/// Off-spec: OpenAI takes `strict` as true in responses and as false in chat completions where nothing is said. Nothing
/// said stays nothing said: few engines can be strict.
fn function<'a>(place: &Place<'a, '_>) -> Result<Function<'a>, RequestMistake> {
    let mut tool = place.fields()?;
    let kind = tool.need("type", "a string")?;
    if kind.word()? != "function" {
        return Err(kind.refuse());
    }
    let name = tool.need("name", "a string")?;
    let mut text = ObjectText::new().member("name", name.string()?);
    if let Some(description) = tool.take("description") {
        text = text.member("description", description.string()?);
    }
    if let Some(parameters) = tool.take("parameters") {
        if !parameters.raw.starts_with(b"{") {
            return Err(parameters.wrong("an object"));
        }
        text = text.member("parameters", parameters.raw);
    }
    if let Some(strict) = tool.take("strict") {
        strict.boolean()?;
        text = text.member("strict", strict.raw);
    }
    if let Some(deferred) = tool.take("defer_loading")
        && deferred.boolean()?
    {
        return Err(deferred.refuse());
    }
    tool.end()?;
    let text = ObjectText::new().member("type", b"\"function\"").member("function", &text.end()).end();
    Ok(Function { name: name.word()?, text })
}

fn choice<'a>(place: &Place<'a, '_>, functions: &[Function<'a>]) -> Result<Choice<'a>, RequestMistake> {
    if !place.raw.starts_with(b"{") {
        return match &*place.word()? {
            "auto" | "none" => Ok(Choice { text: place.raw.to_vec(), of: None, free: true }),
            "required" => Ok(Choice { text: place.raw.to_vec(), of: None, free: false }),
            _ => Err(place.refuse()),
        };
    }
    let mut choice = place.fields()?;
    let kind = choice.need("type", "a string")?;
    let chosen = match &*kind.word()? {
        "function" => {
            let name = choice.need("name", "a string")?.string()?;
            let named = ObjectText::new().member("name", name).end();
            let text = ObjectText::new().member("type", b"\"function\"").member("function", &named).end();
            Choice { text, of: None, free: false }
        }
        "allowed_tools" => allowed(&mut choice, functions)?,
        _ => return Err(kind.refuse()),
    };
    choice.end()?;
    Ok(chosen)
}

/// Tools that may not be called are not told of at all: engines know no `allowed_tools`, and to the model it is the
/// same.
fn allowed<'a>(
    choice: &mut Fields<'a, '_>,
    functions: &[Function<'a>],
) -> Result<Choice<'a>, RequestMistake> {
    let mode = choice.need("mode", "a string")?;
    let free = match &*mode.word()? {
        "auto" => true,
        "required" => false,
        _ => return Err(mode.refuse()),
    };
    let place = choice.need("tools", "an array")?;
    let mut of = Vec::new();
    for (at, raw) in place.list()?.into_iter().enumerate() {
        let tool = Place { raw, path: Path::Item(&place.path, at) };
        let mut tool = tool.fields()?;
        let kind = tool.need("type", "a string")?;
        if kind.word()? != "function" {
            return Err(kind.refuse());
        }
        let name = tool.need("name", "a string")?;
        let known = name.word()?;
        if !functions.iter().any(|function| function.name == known) {
            return Err(name.wrong("the name of a function in `tools`"));
        }
        tool.end()?;
        of.push(known);
    }
    if of.is_empty() {
        return Err(place.wrong("an array of at least one tool"));
    }
    Ok(Choice { text: mode.raw.to_vec(), of: Some(of), free })
}
