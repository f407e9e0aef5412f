//! Functions that the model may call, and how it may choose among them.

use super::must_be_function;
use crate::facts::RequestMistake;
use crate::reading::{Fields, Json, Placed};
use std::borrow::Cow;

/// A function that the model may call.
#[derive(Debug)]
pub(crate) struct Function<'a> {
    pub(crate) name: Json<'a>,
    /// The name as it reads.
    known_as: Cow<'a, str>,
    pub(crate) description: Option<Json<'a>>,
    pub(crate) parameters: Option<Json<'a>>,
    pub(crate) strict: Option<bool>,
}

/// Takes `tools`: functions alone.
pub(crate) fn functions<'a>(asked: &mut Fields<'a, '_>) -> Result<Vec<Function<'a>>, RequestMistake> {
    let Some(tools) = asked.take("tools") else { return Ok(Vec::new()) };
    tools.items()?.map(|item| function(&item)).collect()
}

fn function<'a>(item: &Placed<'a, '_>) -> Result<Function<'a>, RequestMistake> {
    let mut tool = item.fields()?;
    must_be_function(&mut tool)?;
    let function = tool.need("function", "an object")?;
    let mut function = function.fields()?;
    let name = function.need("name", "a string")?;
    let read = Function {
        name: name.text()?,
        known_as: name.word()?,
        description: function.text("description")?,
        parameters: function.take("parameters").map(|schema| schema.object("a JSON schema")).transpose()?,
        strict: function.flag("strict")?,
    };
    function.end()?;
    tool.drop_all(&["cache_control"]);
    tool.end()?;
    Ok(read)
}

/// How the model may choose among functions.
#[derive(Debug)]
pub(crate) enum Choice<'a> {
    Auto,
    None,
    Required,
    Named(Json<'a>),
    /// Among these alone, by name.
    Allowed {
        required: bool,
        names: Vec<Json<'a>>,
    },
}

impl Choice<'_> {
    /// The model may also call none, so without functions there is nothing to say.
    pub(crate) fn is_free(&self) -> bool {
        match self {
            Self::Auto | Self::None | Self::Allowed { required: false, .. } => true,
            Self::Required | Self::Named(_) | Self::Allowed { required: true, .. } => false,
        }
    }
}

pub(crate) fn choice<'a>(
    place: &Placed<'a, '_>,
    functions: &[Function<'a>],
) -> Result<Choice<'a>, RequestMistake> {
    if !place.json.is_object() {
        return match &*place.word()? {
            "auto" => Ok(Choice::Auto),
            "none" => Ok(Choice::None),
            "required" => Ok(Choice::Required),
            _ => Err(place.refuse()),
        };
    }
    let mut fields = place.fields()?;
    let kind = fields.need("type", "a string")?;
    let chosen = match &*kind.word()? {
        "function" => Choice::Named(named(&mut fields, None)?),
        "allowed_tools" => {
            let allowed = fields.need("allowed_tools", "an object")?;
            allowed_tools(&allowed, functions)?
        }
        _ => return Err(kind.refuse()),
    };
    fields.end()?;
    Ok(chosen)
}

/// `among`: the functions that may be named, where they are known.
fn named<'a>(
    fields: &mut Fields<'a, '_>,
    among: Option<&[Function<'a>]>,
) -> Result<Json<'a>, RequestMistake> {
    let function = fields.need("function", "an object")?;
    let mut function = function.fields()?;
    let name = function.need("name", "a string")?;
    if let Some(among) = among {
        let known_as = name.word()?;
        if !among.iter().any(|function| function.known_as == known_as) {
            return Err(name.wrong("the name of a function in `tools`"));
        }
    }
    function.end()?;
    name.text()
}

/// As strictly as a request of Responses is read, which knows such choices too.
fn allowed_tools<'a>(
    allowed: &Placed<'a, '_>,
    functions: &[Function<'a>],
) -> Result<Choice<'a>, RequestMistake> {
    let mut allowed = allowed.fields()?;
    let mode = allowed.need("mode", "a string")?;
    let required = match &*mode.word()? {
        "auto" => false,
        "required" => true,
        _ => return Err(mode.refuse()),
    };
    let tools = allowed.need("tools", "an array")?;
    let mut names = Vec::new();
    for tool in tools.items()? {
        let mut tool = tool.fields()?;
        must_be_function(&mut tool)?;
        names.push(named(&mut tool, Some(functions))?);
        tool.end()?;
    }
    if names.is_empty() {
        return Err(tools.wrong("an array of at least one tool"));
    }
    allowed.end()?;
    Ok(Choice::Allowed { required, names })
}
