//! A conversation: what was said, which functions were called, and which may be.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

/// What a chat template puts into words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conversation {
    pub messages: Vec<Message>,
    /// The tools the model may call, as they were declared.
    pub tools: Vec<Value>,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    pub role: String,
    pub content: String,
    /// Functions that this message called.
    #[serde(rename = "tool_calls", skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<FunctionCall>,
    /// The call that this message is the result of.
    #[serde(rename = "tool_call_id", skip_serializing_if = "Option::is_none")]
    pub answers: Option<String>,
}

/// A call of a function, as it stands in a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionCall {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) arguments: Value,
}

impl Message {
    /// A message that is text.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self { role: role.into(), content: content.into(), calls: Vec::new(), answers: None }
    }
}

impl From<Vec<Message>> for Conversation {
    fn from(messages: Vec<Message>) -> Self {
        Self { messages, tools: Vec::new() }
    }
}

impl FunctionCall {
    /// `arguments` are JSON in a string. Templates write them as JSON again, so what is an object becomes one. What is
    /// none (an answer that was cut, say) stays the text it is; no text at all is an object without members.
    pub fn new(id: impl Into<String>, name: impl Into<String>, arguments: &str) -> Self {
        let read = || serde_json::from_str(arguments).ok().filter(Value::is_object);
        let arguments = match arguments.trim() {
            "" => Value::Object(Map::new()),
            _ => read().unwrap_or_else(|| Value::String(arguments.to_owned())),
        };
        Self { id: id.into(), name: name.into(), arguments }
    }
}

/// In the form that templates know.
impl Serialize for FunctionCall {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Call<'a> {
            id: &'a str,
            r#type: &'static str,
            function: Function<'a>,
        }
        #[derive(Serialize)]
        struct Function<'a> {
            name: &'a str,
            arguments: &'a Value,
        }
        let function = Function { name: &self.name, arguments: &self.arguments };
        Call { id: &self.id, r#type: "function", function }.serialize(serializer)
    }
}

impl Conversation {
    pub(crate) fn has_calls(&self) -> bool {
        let carries = |message: &Message| !message.calls.is_empty() || message.role == "tool";
        !self.tools.is_empty() || self.messages.iter().any(carries)
    }

    /// The same conversation with every text of it, keys of JSON included, as `change` makes it.
    pub(crate) fn map_texts(&self, change: &mut impl FnMut(&str) -> String) -> Self {
        let message = |message: &Message, change: &mut _| Message {
            role: message.role.clone(),
            content: text(&message.content, change),
            calls: message.calls.iter().map(|call| call.map_texts(change)).collect(),
            answers: message.answers.as_ref().map(|id| text(id, change)),
        };
        Self {
            messages: self.messages.iter().map(|one| message(one, change)).collect(),
            tools: self.tools.iter().map(|tool| json(tool, change)).collect(),
        }
    }
}

impl FunctionCall {
    fn map_texts(&self, change: &mut impl FnMut(&str) -> String) -> Self {
        Self {
            id: text(&self.id, change),
            name: text(&self.name, change),
            arguments: json(&self.arguments, change),
        }
    }
}

fn text(text: &str, change: &mut impl FnMut(&str) -> String) -> String {
    change(text)
}

fn json(value: &Value, change: &mut impl FnMut(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(change(text)),
        Value::Array(items) => Value::Array(items.iter().map(|item| json(item, change)).collect()),
        Value::Object(members) => {
            let member = |(key, value): (&String, &Value)| (change(key), json(value, change));
            Value::Object(members.iter().map(member).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}
