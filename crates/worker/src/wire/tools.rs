//! The tools of a request and how the model may choose among them, as rules for its answer.

use crate::face::Refusal;
use hermetic_engine_llama::{CallRules, Function, Grammar, Otherwise};
use serde::Deserialize;
use serde_json::Value;

/// What a request says of tools.
#[derive(Debug, Deserialize)]
pub(super) struct ToolRequest {
    tools: Option<Value>,
    tool_choice: Option<Value>,
    parallel_tool_calls: Option<bool>,
}

/// Tools a model is shown and may call.
#[derive(Debug)]
pub(super) struct Offer {
    /// As they were declared, for the prompt.
    pub(super) tools: Vec<Value>,
    functions: Vec<Function>,
    must: bool,
    parallel: bool,
}

/// How the model may choose.
#[derive(Debug)]
enum Choice {
    Auto,
    None,
    Required,
    /// Among these alone.
    Among {
        names: Vec<String>,
        must: bool,
    },
}

/// As many as OpenAI allows.
const TOOLS_MAX: usize = 128;
/// OpenAI's names have at most 64 characters, Anthropic's 128.
const NAME_MAX: usize = 128;

impl ToolRequest {
    /// `None`: no tool is shown and none may be called.
    pub(super) fn into_offer(self) -> Result<Option<Offer>, Refusal> {
        let tools = declared(self.tools)?;
        let mut functions = functions(&tools)?;
        let choice = self.tool_choice.map_or(Ok(Choice::Auto), |choice| read_choice(&choice))?;
        let must = match choice {
            Choice::None => return Ok(None),
            Choice::Auto => false,
            Choice::Required => true,
            Choice::Among { names, must } => {
                if let Some(unknown) =
                    names.iter().find(|name| !functions.iter().any(|one| one.name == **name))
                {
                    let known = unknown.chars().take(NAME_MAX).collect::<String>();
                    return Err(wrong("tool_choice", "to name functions in `tools`", &format!("`{known}`")));
                }
                functions.retain(|function| names.contains(&function.name));
                must
            }
        };
        match (functions.is_empty(), must) {
            (true, true) => Err(wrong("tool_choice", "tools to choose among", "none")),
            (true, false) => Ok(None),
            (false, _) => {
                let parallel = self.parallel_tool_calls.unwrap_or(true);
                Ok(Some(Offer { tools, functions, must, parallel }))
            }
        }
    }
}

impl Offer {
    /// What answers must keep to. `format`: what the request asks of an answer that is no call.
    pub(super) fn grammar(self, format: Option<Grammar>) -> Result<Grammar, Refusal> {
        let otherwise = match format {
            _ if self.must => Otherwise::Nothing,
            Some(format) => Otherwise::Format(format),
            None => Otherwise::Text,
        };
        let rules = CallRules { functions: self.functions, parallel: self.parallel, otherwise };
        rules.grammar().map_err(|error| hermetic_engine_llama::SubmitError::from(error).into())
    }
}

/// The tools of a request, as they stand there.
pub(super) fn declared(tools: Option<Value>) -> Result<Vec<Value>, Refusal> {
    match tools {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(tools)) if tools.len() <= TOOLS_MAX => Ok(tools),
        Some(Value::Array(tools)) => Err(wrong("tools", "at most 128 tools", &tools.len().to_string())),
        Some(_) => Err(wrong("tools", "an array", "something else")),
    }
}

/// Each a function with a name of its own.
pub(super) fn functions(tools: &[Value]) -> Result<Vec<Function>, Refusal> {
    let mut functions: Vec<Function> = Vec::with_capacity(tools.len());
    for (index, tool) in tools.iter().enumerate() {
        let function = function(index, tool)?;
        if functions.iter().any(|other| other.name == function.name) {
            let place = format!("tools[{index}].function.name");
            return Err(wrong_at(
                "tools",
                &place,
                "a name no other function has",
                &format!("`{}`", function.name),
            ));
        }
        functions.push(function);
    }
    Ok(functions)
}

fn function(index: usize, tool: &Value) -> Result<Function, Refusal> {
    let at = |field: &str| format!("tools[{index}].{field}");
    let wrong = |field: &str, expected| wrong_at("tools", &at(field), expected, "something else");
    match tool.get("type").and_then(Value::as_str) {
        Some("function") => {}
        Some(_) => return Err(Refusal::unsupported_at("tools", &at("type"))),
        None => return Err(wrong("type", "the kind of a tool")),
    }
    let function = tool.get("function").filter(|function| function.is_object());
    let function = function.ok_or_else(|| wrong("function", "an object"))?;
    let is_name = |name: &&str| {
        let is_part = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        (1..=NAME_MAX).contains(&name.len()) && name.chars().all(is_part)
    };
    let name = function.get("name").and_then(Value::as_str).filter(is_name);
    let name = name.ok_or_else(|| {
        wrong("function.name", "1 to 128 letters, digits, underscores, hyphens and full stops")
    })?;
    let strict = match function.get("strict") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(strict)) => *strict,
        Some(_) => return Err(wrong("function.strict", "true or false")),
    };
    let parameters = function.get("parameters").filter(|parameters| !parameters.is_null());
    if parameters.is_some_and(|parameters| !parameters.is_object()) {
        return Err(wrong("function.parameters", "a JSON schema"));
    }
    Ok(Function { tool: index, name: name.to_owned(), parameters: parameters.cloned(), strict })
}

fn read_choice(choice: &Value) -> Result<Choice, Refusal> {
    const EXPECTED: &str = "`auto`, `none`, `required`, a function or `allowed_tools`";
    match choice {
        Value::Null => return Ok(Choice::Auto),
        Value::String(word) => match word.as_str() {
            "auto" => return Ok(Choice::Auto),
            "none" => return Ok(Choice::None),
            "required" => return Ok(Choice::Required),
            _ => {}
        },
        Value::Object(fields) => match fields.get("type").and_then(Value::as_str) {
            Some("function") => return Ok(Choice::Among { names: vec![named(choice)?], must: true }),
            Some("allowed_tools") => return allowed(fields.get("allowed_tools").unwrap_or(&Value::Null)),
            Some(_) => return Err(Refusal::unsupported_at("tool_choice", "tool_choice.type")),
            None => {}
        },
        Value::Bool(_) | Value::Number(_) | Value::Array(_) => {}
    }
    Err(wrong("tool_choice", EXPECTED, "something else"))
}

fn named(tool: &Value) -> Result<String, Refusal> {
    let name = tool.get("function").and_then(|function| function.get("name")).and_then(Value::as_str);
    name.map(str::to_owned).ok_or_else(|| wrong("tool_choice", "the name of a function", "none"))
}

fn allowed(allowed: &Value) -> Result<Choice, Refusal> {
    let must = match allowed.get("mode").and_then(Value::as_str) {
        Some("auto") => false,
        Some("required") => true,
        _ => {
            return Err(wrong_at(
                "tool_choice",
                "tool_choice.allowed_tools.mode",
                "`auto` or `required`",
                "neither",
            ));
        }
    };
    let place = "tool_choice.allowed_tools.tools";
    let tools = allowed.get("tools").and_then(Value::as_array).filter(|tools| !tools.is_empty());
    let tools = tools.ok_or_else(|| wrong_at("tool_choice", place, "at least one function", "none"))?;
    if tools.iter().any(|tool| tool.get("type").and_then(Value::as_str) != Some("function")) {
        return Err(Refusal::unsupported_at("tool_choice", place));
    }
    Ok(Choice::Among { names: tools.iter().map(named).collect::<Result<_, _>>()?, must })
}

fn wrong(param: &'static str, expected: &str, found: &str) -> Refusal {
    wrong_at(param, param, expected, found)
}

fn wrong_at(param: &'static str, place: &str, expected: &str, found: &str) -> Refusal {
    Refusal::invalid(param, format!("expected `{place}` to be {expected}, found {found}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn offer(request: Value) -> Result<Option<Offer>, Refusal> {
        serde_json::from_value::<ToolRequest>(request).unwrap().into_offer()
    }

    fn tool(name: &str) -> Value {
        json!({"type": "function", "function": {"name": name, "parameters": {"type": "object"}}})
    }

    #[test]
    fn a_choice_says_which_functions_may_be_called_and_whether_one_must() {
        let chosen = |choice: Value| {
            let offer = offer(json!({"tools": [tool("a"), tool("b")], "tool_choice": choice})).unwrap()?;
            let names = offer.functions.iter().map(|function| function.name.clone()).collect::<String>();
            assert_eq!(offer.tools.len(), 2);
            Some((names, offer.must))
        };
        let among = |mode: &str| json!({"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": [tool("b")]}});
        assert_eq!(chosen(json!("auto")), Some(("ab".into(), false)));
        assert_eq!(chosen(Value::Null), Some(("ab".into(), false)));
        assert_eq!(chosen(json!("none")), None);
        assert_eq!(chosen(json!("required")), Some(("ab".into(), true)));
        assert_eq!(chosen(tool("a")), Some(("a".into(), true)));
        assert_eq!(chosen(among("auto")), Some(("b".into(), false)));
        assert_eq!(chosen(among("required")), Some(("b".into(), true)));
    }

    #[test]
    fn what_cannot_be_done_is_refused_with_its_place() {
        let message = |request: Value| offer(request).unwrap_err().message().to_owned();
        for (request, place) in [
            (json!({"tools": {}}), "`tools`"),
            (json!({"tools": [tool("a"), {"type": "custom", "custom": {"name": "x"}}]}), "`tools[1].type`"),
            (json!({"tools": [tool("a b")]}), "`tools[0].function.name`"),
            (json!({"tools": [tool("a"), tool("a")]}), "`tools[1].function.name`"),
            (
                json!({"tools": [{"type": "function", "function": {"name": "a", "parameters": []}}]}),
                "`tools[0].function.parameters`",
            ),
            (json!({"tools": [{"type": "function"}]}), "`tools[0].function`"),
            (json!({"tools": [tool("a")], "tool_choice": tool("b")}), "`tool_choice`"),
            (json!({"tools": [tool("a")], "tool_choice": {"type": "custom"}}), "`tool_choice.type`"),
            (json!({"tools": [tool("a")], "tool_choice": "any"}), "`tool_choice`"),
            (json!({"tools": [], "tool_choice": "required"}), "`tool_choice`"),
            (
                json!({"tools": [tool("a")], "tool_choice": {"type": "allowed_tools"}}),
                "`tool_choice.allowed_tools.mode`",
            ),
        ] {
            let found = message(request);
            assert!(found.contains(place), "{place}: {found}");
        }
        assert!(offer(json!({"tool_choice": "auto"})).unwrap().is_none());
    }
}
