//! Chat requests and answers nobody thought of, in the one form that comes back when they are said in other words.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// In whose words they must be sayable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Messages,
    Responses,
    Both,
}

/// Who says what in a message; its texts are given when it is written.
#[derive(Debug, Clone)]
pub(crate) enum Turn {
    System {
        parts: usize,
    },
    User {
        parts: Vec<Part>,
    },
    Assistant {
        reasons: bool,
        says: Says,
        calls: Vec<usize>,
    },
    /// `None`: the content is a string.
    Tool {
        parts: Option<usize>,
        failed: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Says {
    Nothing,
    Text,
    Parts,
    Refusal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Text,
    Address,
    Data,
}

/// Which settings there are, each by a number that chooses among its values.
#[derive(Debug, Clone)]
pub(crate) struct Settings(pub(crate) Vec<(u8, usize)>);

pub(crate) fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let part = prop_oneof![2 => Just(Part::Text), 1 => Just(Part::Address), 1 => Just(Part::Data)];
    let says = prop_oneof![
        1 => Just(Says::Nothing),
        3 => Just(Says::Text),
        1 => Just(Says::Parts),
        1 => Just(Says::Refusal),
    ];
    let turn = prop_oneof![
        1 => (0usize..3).prop_map(|parts| Turn::System { parts }),
        4 => proptest::collection::vec(part, 0..4).prop_map(|parts| Turn::User { parts }),
        4 => (any::<bool>(), says, proptest::collection::vec(0usize..3, 0..3))
            .prop_map(|(reasons, says, calls)| Turn::Assistant { reasons, says, calls }),
        3 => (proptest::option::of(2usize..4), any::<bool>()).prop_map(|(parts, failed)| Turn::Tool { parts, failed }),
    ];
    proptest::collection::vec(turn, 0..8)
}

pub(crate) fn settings() -> impl Strategy<Value = Settings> {
    proptest::collection::vec((0u8..14, 0usize..4), 0..9).prop_map(Settings)
}

/// Writes requests and keeps every text that went in. Each is told from all others by its number.
pub(crate) struct Writer {
    dialect: Dialect,
    bodies: Vec<String>,
    pub(crate) texts: Vec<String>,
}

impl Writer {
    pub(crate) fn new(dialect: Dialect, bodies: Vec<String>) -> Self {
        Self { dialect, bodies, texts: Vec::new() }
    }

    fn text(&mut self) -> String {
        let number = self.texts.len();
        let text = format!("‹{number}:{}›", self.bodies[number % self.bodies.len()]);
        self.texts.push(text.clone());
        text
    }

    fn parts(&mut self, count: usize) -> Value {
        (0..count).map(|_| json!({"type": "text", "text": self.text()})).collect()
    }

    fn part(&mut self, part: Part) -> Value {
        let url = match part {
            Part::Text => return json!({"type": "text", "text": self.text()}),
            Part::Address => format!("https://inside.example/{}", self.text()),
            Part::Data => format!("data:image/png;base64,{}", self.text()),
        };
        let mut image = json!({ "url": url });
        if self.dialect == Dialect::Responses {
            image["detail"] = json!("auto");
        }
        json!({"type": "image_url", "image_url": image})
    }

    fn object(&mut self, members: usize) -> Value {
        (0..members)
            .map(|number| (format!("k{number}"), json!([{"deep": self.text()}, null, 1.5])))
            .collect::<Map<_, _>>()
            .into()
    }

    fn message(&mut self, turn: &Turn) -> Value {
        match turn {
            Turn::System { parts: 0 | 1 } => json!({"role": "system", "content": self.text()}),
            Turn::System { parts } => json!({"role": "system", "content": self.parts(*parts)}),
            Turn::User { parts } => {
                let content: Value = match parts.as_slice() {
                    [] | [Part::Text] => json!(self.text()),
                    parts => parts.iter().map(|part| self.part(*part)).collect(),
                };
                json!({"role": "user", "content": content})
            }
            Turn::Assistant { reasons, says, calls } => self.assistant(*reasons, *says, calls),
            Turn::Tool { parts, failed } => {
                let content = match parts {
                    None if *failed && self.dialect != Dialect::Responses => {
                        let told = json!({"type": "text", "text": "The tool reported an error:\n"});
                        json!([told, {"type": "text", "text": self.text()}])
                    }
                    None => json!(self.text()),
                    Some(count) => self.parts(*count),
                };
                json!({"role": "tool", "tool_call_id": self.text(), "content": content})
            }
        }
    }

    fn assistant(&mut self, reasons: bool, says: Says, calls: &[usize]) -> Value {
        let mut message = json!({"role": "assistant"});
        if reasons {
            message["reasoning_content"] = json!(self.text());
        }
        message["content"] = match says {
            Says::Nothing if calls.is_empty() => json!(""),
            Says::Nothing => Value::Null,
            Says::Text => json!(self.text()),
            Says::Refusal if self.dialect == Dialect::Responses => {
                json!([{"type": "refusal", "refusal": self.text()}])
            }
            Says::Parts | Says::Refusal => self.parts(2),
        };
        if !calls.is_empty() {
            message["tool_calls"] = calls.iter().map(|members| self.call(*members)).collect();
        }
        message
    }

    fn call(&mut self, members: usize) -> Value {
        let arguments = self.object(members).to_string();
        json!({"id": self.text(), "type": "function", "function": {"name": self.text(), "arguments": arguments}})
    }

    pub(crate) fn request(&mut self, turns: &[Turn], settings: &Settings) -> Value {
        let mut messages: Vec<Value> = Vec::new();
        let mut before: Option<&Turn> = None;
        for turn in turns {
            // What one of two messages of the assistant, or of the system before anybody spoke, said, is one message
            // in other words.
            let again = match (before, turn) {
                (Some(Turn::Assistant { .. }), Turn::Assistant { .. }) => true,
                (Some(Turn::System { .. }), Turn::System { .. }) => {
                    messages.iter().all(|message| message["role"] == "system")
                }
                _ => false,
            };
            if !again {
                messages.push(self.message(turn));
                before = Some(turn);
            }
        }
        let begun = messages.last().is_some_and(|last| {
            last["role"] == "assistant" && last["content"] != "" && last.get("tool_calls").is_none()
        });
        if begun && self.dialect == Dialect::Both {
            messages.push(json!({"role": "user", "content": self.text()}));
        }
        let mut request = json!({"model": "m", "messages": messages, "max_tokens": 77});
        if begun && self.dialect == Dialect::Messages {
            request["continue_final_message"] = json!(true);
            request["add_generation_prompt"] = json!(false);
        }
        for (at, (which, value)) in settings.0.iter().enumerate() {
            if settings.0.iter().take(at).all(|(other, _)| other != which) {
                self.set(&mut request, *which, *value);
            }
        }
        request
    }

    fn set(&mut self, request: &mut Value, which: u8, value: usize) {
        let of = self.dialect;
        match which {
            0 => request["temperature"] = json!(0.25),
            1 if of == Dialect::Messages => request["stop"] = json!([self.text(), self.text()]),
            2 => request["user"] = json!(self.text()),
            3 => request["metadata"] = json!({"team": self.text()}),
            4 => self.tools(request, value),
            5 => request["response_format"] = self.form(value),
            6 => request["reasoning_effort"] = json!(["low", "medium", "high", "xhigh"][value]),
            7 => request["top_k"] = json!(5),
            8 if of == Dialect::Responses => {
                request["logprobs"] = json!(true);
                request["top_logprobs"] = json!(value);
            }
            9 if of == Dialect::Responses => request["verbosity"] = json!("low"),
            10 if of == Dialect::Messages => request["stream"] = json!(true),
            11 if of != Dialect::Messages => request["stream"] = json!(false),
            12 => request["guided_regex"] = json!(self.text()),
            13 => request["top_p"] = json!(0.5),
            _ => {}
        }
    }

    fn tools(&mut self, request: &mut Value, value: usize) {
        // Messages says of a function alone that it is strict, Responses says so or not of each.
        let strict = [true, self.dialect == Dialect::Both];
        let tools: Vec<Value> = strict.into_iter().map(|strict| self.tool(strict)).collect();
        request["tools"] = tools.into();
        request["tool_choice"] = match value {
            0 => json!("auto"),
            1 => json!("required"),
            2 => json!("none"),
            _ => json!({"type": "function", "function": {"name": self.text()}}),
        };
        if value != 2 {
            request["parallel_tool_calls"] = json!(false);
        }
    }

    fn tool(&mut self, strict: bool) -> Value {
        let schema = json!({"type": "object", "properties": {"p": {"description": self.text()}}});
        let mut function = json!({"name": self.text(), "description": self.text(), "parameters": schema});
        if strict || self.dialect == Dialect::Responses {
            function["strict"] = json!(strict);
        }
        json!({"type": "function", "function": function})
    }

    fn form(&mut self, value: usize) -> Value {
        if self.dialect == Dialect::Responses && value == 0 {
            return json!({"type": "json_object"});
        }
        let schema = json!({"type": "object", "title": self.text()});
        let named = match self.dialect {
            Dialect::Responses => {
                json!({"name": self.text(), "description": self.text(), "schema": schema, "strict": value == 1})
            }
            Dialect::Messages | Dialect::Both => json!({"name": "output", "schema": schema, "strict": true}),
        };
        json!({"type": "json_schema", "json_schema": named})
    }
}
