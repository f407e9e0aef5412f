//! The input of a request as it is kept with its response: items as the API lists them (`ResponseItemList`), each with an id.
//!
//! Texts, arguments and numbers stay as they were written. What is kept means the same as what was sent: [`super::to_chat`]
//! makes the same messages of both.

use crate::facts::RequestMistake;
use crate::reading::{self, Fields, Json, Placed, Words};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use std::borrow::Cow;
use std::collections::HashSet;

/// Longest id of an item that is taken over from the caller; OpenAI's are about 55.
const ID_CHARS_MAX: usize = 64;

/// The `input` of a request that [`super::to_chat`] understands, as an array of items. `name`: what ids are made of where an
/// item has none of its own.
///
/// # Errors
/// As [`super::to_chat`], of what is looked at here.
pub fn kept_input(body: &[u8], name: &str) -> Result<Vec<u8>, RequestMistake> {
    let request = reading::request(body, Words::Chat)?;
    let mut asked = request.fields()?;
    let input = asked.take("input").ok_or(RequestMistake::Missing { field: "input" })?;
    let mut ids = Ids { name, given: HashSet::new() };
    let mut items = Vec::new();
    if input.json.is_text() {
        let rest = vec![
            (Cow::Borrowed("role"), Value::Ours("\"user\"")),
            (Cow::Borrowed("content"), Value::Text(Said { assistant: false, text: input.json })),
        ];
        items.push(Item::new(ids.for_item("msg", None, 0), "message", rest));
    } else {
        let placed = input.items().map_err(|_| input.wrong("a string or an array of items"))?;
        for (number, item) in placed.enumerate() {
            items.push(kept_item(&item, number, &mut ids)?);
        }
    }
    // The only errors are values that are not JSON, and all of these were read from JSON.
    Ok(serde_json::to_vec(&items).unwrap_or_default())
}

fn kept_item<'a>(
    item: &Placed<'a, '_>,
    number: usize,
    ids: &mut Ids<'_>,
) -> Result<Item<'a>, RequestMistake> {
    let mut fields = item.fields()?;
    let kind = fields.take("type").map(|kind| kind.word()).transpose()?;
    let (kind, prefix) = match kind.as_deref() {
        None | Some("message") => ("message", "msg"),
        Some("function_call") => ("function_call", "fc"),
        Some("function_call_output") => ("function_call_output", "fco"),
        Some("reasoning") => ("reasoning", "rs"),
        Some(_) => return Err(item.refuse()),
    };
    // What is no text is no id; nobody else looks at it.
    let said = fields.take("id").and_then(|id| id.word().ok());
    let id = ids.for_item(prefix, said, number);
    let mut rest = Vec::new();
    if kind == "message" {
        message(&mut fields, &mut rest)?;
    }
    let others = fields.rest().into_iter().filter(|(_, json)| !json.is_null());
    rest.extend(others.map(|(name, json)| (name, Value::Raw(json))));
    Ok(Item::new(id, kind, rest))
}

/// What items of a list say, and callers need not.
fn unsaid(kind: &str) -> &'static [(&'static str, &'static str)] {
    match kind {
        "reasoning" => &[("status", "\"completed\""), ("summary", "[]")],
        _ => &[("status", "\"completed\"")],
    }
}

/// Takes role and content: one text becomes a list of one part.
fn message<'a>(
    fields: &mut Fields<'a, '_>,
    rest: &mut Vec<(Cow<'a, str>, Value<'a>)>,
) -> Result<(), RequestMistake> {
    let role = fields.need("role", "a string")?;
    let assistant = role.word()? == "assistant";
    rest.push((Cow::Borrowed("role"), Value::Raw(role.json)));
    let content = fields.need("content", "a string or an array of parts")?;
    let content = if content.json.is_text() {
        Value::Text(Said { assistant, text: content.json })
    } else {
        Value::Raw(content.json)
    };
    rest.push((Cow::Borrowed("content"), content));
    Ok(())
}

/// Ids of the items of one request.
struct Ids<'n> {
    name: &'n str,
    given: HashSet<String>,
}

impl Ids<'_> {
    /// The id an item came with, where it can be one and no item before it has it; else one of ours.
    fn for_item(&mut self, prefix: &str, said: Option<Cow<'_, str>>, number: usize) -> String {
        let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let usable = |id: &Cow<'_, str>| {
            !id.is_empty() && id.len() <= ID_CHARS_MAX && id.chars().all(safe) && !self.given.contains(&**id)
        };
        let mut id = match said.filter(usable) {
            Some(said) => said.into_owned(),
            None => format!("{prefix}_{}_in{number}", self.name),
        };
        // Somebody may have called an item what we would call this one.
        while self.given.contains(&id) {
            id.push('x');
        }
        self.given.insert(id.clone());
        id
    }
}

struct Item<'a> {
    id: String,
    kind: &'static str,
    rest: Vec<(Cow<'a, str>, Value<'a>)>,
}

impl<'a> Item<'a> {
    /// With what lists tell of every item, where this one did not say it.
    fn new(id: String, kind: &'static str, mut rest: Vec<(Cow<'a, str>, Value<'a>)>) -> Self {
        for (name, value) in unsaid(kind) {
            if !rest.iter().any(|(known, _)| known == name) {
                rest.push((Cow::Borrowed(*name), Value::Ours(value)));
            }
        }
        Self { id, kind, rest }
    }
}

enum Value<'a> {
    /// As the caller wrote it.
    Raw(Json<'a>),
    /// JSON of ours.
    Ours(&'static str),
    Text(Said<'a>),
}

/// One text as a content.
struct Said<'a> {
    assistant: bool,
    text: Json<'a>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part<'a> {
    InputText { text: Json<'a> },
    OutputText { text: Json<'a>, annotations: [(); 0], logprobs: [(); 0] },
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Raw(json) => json.serialize(to),
            Self::Ours(json) => Json::checked(json).serialize(to),
            Self::Text(Said { assistant, text }) => {
                let part = if *assistant {
                    Part::OutputText { text: *text, annotations: [], logprobs: [] }
                } else {
                    Part::InputText { text: *text }
                };
                [part].serialize(to)
            }
        }
    }
}

impl Serialize for Item<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.rest.len() + 2))?;
        map.serialize_entry("id", &self.id)?;
        map.serialize_entry("type", self.kind)?;
        for (name, value) in &self.rest {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(input: &str) -> String {
        let body = format!("{{\"model\":\"m\",\"input\":{input}}}");
        String::from_utf8(kept_input(body.as_bytes(), "n").unwrap()).unwrap()
    }

    #[test]
    fn a_text_is_a_message_of_the_user() {
        assert_eq!(
            kept(r#""h\u0069""#),
            r#"[{"id":"msg_n_in0","type":"message","role":"user","content":[{"type":"input_text","text":"h\u0069"}],"status":"completed"}]"#
        );
    }

    #[test]
    fn items_keep_what_they_said_and_are_given_what_lists_tell() {
        let list = kept(
            r#"[{"role":"assistant","content":"a"},{"type":"function_call","call_id":"c","name":"f","arguments":"{}","id":"fc_1"},
            {"type":"function_call_output","call_id":"c","output":[{"type":"input_text","text":"1.50"}],"status":"incomplete"},
            {"type":"reasoning","content":[{"type":"reasoning_text","text":"t"}],"encrypted_content":null}]"#,
        );
        assert_eq!(
            list,
            concat!(
                r#"[{"id":"msg_n_in0","type":"message","role":"assistant","content":[{"type":"output_text","text":"a","annotations":[],"logprobs":[]}],"status":"completed"},"#,
                r#"{"id":"fc_1","type":"function_call","call_id":"c","name":"f","arguments":"{}","status":"completed"},"#,
                r#"{"id":"fco_n_in2","type":"function_call_output","call_id":"c","output":[{"type":"input_text","text":"1.50"}],"status":"incomplete"},"#,
                r#"{"id":"rs_n_in3","type":"reasoning","content":[{"type":"reasoning_text","text":"t"}],"status":"completed","summary":[]}]"#,
            )
        );
    }

    #[test]
    fn no_two_items_of_a_request_have_one_id() {
        let list = kept(
            r#"[{"role":"user","content":"1","id":"a"},{"role":"user","content":"2","id":"a"},{"role":"user","content":"3","id":"a b"},
            {"role":"user","content":"4","id":"msg_n_in4"},{"role":"user","content":"5"}]"#,
        );
        let list: Vec<serde_json::Value> = serde_json::from_str(&list).unwrap();
        let ids: Vec<&str> = list.iter().map(|item| item["id"].as_str().unwrap()).collect();
        assert_eq!(ids, ["a", "msg_n_in1", "msg_n_in2", "msg_n_in4", "msg_n_in4x"]);
    }
}
