//! What a response repeats of the request it answers.

use super::state::State;
use crate::json;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::ops::Range;

/// The settings of a request as every response to it repeats them (`Response` of the OpenAPI description): what was said
/// as it was said, and otherwise what the API takes for said, or null.
///
/// Off-spec: `temperature` and `top_p` are null where nothing was said. OpenAI answers with its own defaults; those of an
/// engine are not known here.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
pub struct Echo {
    /// For an answer that does not say who gave it.
    #[serde(default, skip_serializing)]
    model: Option<String>,
    #[serde(skip)]
    state: State,
    instructions: Option<Box<RawValue>>,
    max_output_tokens: Option<Box<RawValue>>,
    max_tool_calls: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_cache_key: Option<Box<RawValue>>,
    reasoning: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    safety_identifier: Option<Box<RawValue>>,
    temperature: Option<Box<RawValue>>,
    text: Option<Box<RawValue>>,
    tool_choice: Option<Box<RawValue>>,
    tools: Option<Box<RawValue>>,
    top_logprobs: Option<Box<RawValue>>,
    top_p: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<Box<RawValue>>,
    metadata: Option<Box<RawValue>>,
}

impl Echo {
    /// Reads what a response will repeat of `body`, a request [`super::to_chat`] understands. Of anything else nothing is
    /// repeated.
    pub fn of(body: &[u8]) -> Self {
        let mut echo: Self = serde_json::from_slice(body).unwrap_or_default();
        echo.tools = echo.tools.take().and_then(|tools| complete_tools(tools.get()));
        for (field, unsaid) in [
            (&mut echo.parallel_tool_calls, "true"),
            (&mut echo.reasoning, r#"{"effort":null,"summary":null}"#),
            (&mut echo.text, r#"{"format":{"type":"text"}}"#),
            (&mut echo.tool_choice, r#""auto""#),
            (&mut echo.tools, "[]"),
            (&mut echo.top_logprobs, "0"),
            (&mut echo.metadata, "{}"),
        ] {
            if field.is_none() {
                *field = raw(unsaid.to_owned());
            }
        }
        for field in echo.multi_line() {
            *field = field.take().and_then(|value| one_line(&value));
        }
        echo
    }

    /// Besides, what the response is told of the state it is part of.
    pub fn with_state(self, state: State) -> Self {
        Self { state, ..self }
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }

    pub(super) fn model(&self) -> &str {
        self.model.as_deref().unwrap_or_default()
    }

    /// The fields that may be more than one token.
    fn multi_line(&mut self) -> [&mut Option<Box<RawValue>>; 5] {
        [&mut self.reasoning, &mut self.text, &mut self.tool_choice, &mut self.tools, &mut self.metadata]
    }
}

fn raw(text: String) -> Option<Box<RawValue>> {
    RawValue::from_string(text).ok()
}

/// An event is one line. Inside JSON a line break stands only between tokens, where it means nothing.
fn one_line(value: &RawValue) -> Option<Box<RawValue>> {
    raw(value.get().replace(['\n', '\r'], ""))
}

/// A response tells of every function its `parameters` and `strict`, of which a request may say nothing.
fn complete_tools(tools: &str) -> Option<Box<RawValue>> {
    let tools: Vec<&RawValue> = serde_json::from_str(tools).ok()?;
    let complete: Option<Vec<String>> = tools.iter().map(|tool| complete_tool(tool.get())).collect();
    raw(format!("[{}]", complete?.join(",")))
}

fn complete_tool(tool: &str) -> Option<String> {
    let members = json::members(tool.as_bytes()).ok()?;
    let key = |span: &Range<usize>| json::decode_string(tool.as_bytes().get(span.clone())?);
    let unsaid = ["parameters", "strict"]
        .into_iter()
        .filter(|wanted| !members.iter().any(|member| key(&member.key).as_deref() == Some(*wanted)));
    let inside = tool.trim_end().strip_suffix('}')?;
    Some(
        unsaid.map(|name| format!(",\"{name}\":null")).fold(inside.to_owned(), |text, more| text + &more)
            + "}",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repeated(body: &str) -> String {
        serde_json::to_string(&Echo::of(body.as_bytes())).unwrap()
    }

    #[test]
    fn what_was_said_is_repeated_as_it_was_said_on_one_line() {
        let said = repeated(
            "{\"tools\":[\n {\"type\":\"function\",\r\n\"parameters\":{\"b\":1.50,\n\"a\":1e2},\"name\":\"f\"}],\"instructions\":\"a\\nb\",\"temperature\":0.10}",
        );
        assert!(
            said.contains(
                r#""tools":[{"type":"function","parameters":{"b":1.50,"a":1e2},"name":"f","strict":null}]"#
            ),
            "{said}"
        );
        assert!(said.contains(r#""instructions":"a\nb""#) && said.contains("\"temperature\":0.10"), "{said}");
        assert!(!said.contains(['\n', '\r']));
    }

    #[test]
    fn what_was_not_said_is_what_the_api_takes_for_said() {
        let unsaid = repeated("{}");
        assert_eq!(unsaid, repeated("no request"));
        for part in [
            r#""tool_choice":"auto""#,
            r#""parallel_tool_calls":true"#,
            r#""metadata":{}"#,
            r#""top_p":null"#,
        ] {
            assert!(unsaid.contains(part), "{part} in {unsaid}");
        }
        assert!(!unsaid.contains("user") && !unsaid.contains("model"));
    }
}
