use hermetic_inference_api::messages::{TOOL_ERROR, count_tokens_to_chat, to_chat};
use hermetic_inference_api::{Call, RequestFacts, RequestMistake};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// A block of a made-up request; its texts are given when it is written.
#[derive(Debug, Clone)]
enum Block {
    Text,
    Picture { address: bool },
    Document { title: bool, context: bool },
    Result { texts: Option<usize>, is_error: bool },
    Thinking,
    Call { texts: usize },
}

#[derive(Debug, Clone)]
struct Turn {
    role: &'static str,
    /// `None`: the content is a string.
    blocks: Option<Vec<Block>>,
}

/// Which of the optional fields are there.
#[derive(Debug, Clone, Copy)]
struct Fields {
    system: Option<usize>,
    tools: usize,
    choice: Option<&'static str>,
    stops: usize,
    user: bool,
    form: bool,
    hints: bool,
    extra: bool,
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let asked = prop_oneof![
        3 => Just(Block::Text),
        1 => any::<bool>().prop_map(|address| Block::Picture { address }),
        1 => any::<(bool, bool)>().prop_map(|(title, context)| Block::Document { title, context }),
        2 => (proptest::option::of(0usize..3), any::<bool>()).prop_map(|(texts, is_error)| Block::Result { texts, is_error }),
    ];
    let said = prop_oneof![
        Just(Block::Text),
        Just(Block::Thinking),
        (0usize..3).prop_map(|texts| Block::Call { texts }),
    ];
    let turn = |role, block: BoxedStrategy<Block>| {
        proptest::option::of(proptest::collection::vec(block, 0..5))
            .prop_map(move |blocks| Turn { role, blocks })
    };
    let system = turn("system", Just(Block::Text).boxed());
    proptest::collection::vec(
        prop_oneof![3 => turn("user", asked.boxed()), 3 => turn("assistant", said.boxed()), 1 => system],
        0..6,
    )
}

fn fields() -> impl Strategy<Value = Fields> {
    let choice = prop_oneof![Just("auto"), Just("any"), Just("none"), Just("tool")];
    (
        proptest::option::of(0usize..3),
        0usize..3,
        proptest::option::of(choice),
        0usize..3,
        any::<(bool, bool, bool, bool)>(),
    )
        .prop_map(|(system, tools, choice, stops, (user, form, hints, extra))| Fields {
            system,
            tools,
            choice,
            stops,
            user,
            form,
            hints,
            extra,
        })
}

/// Writes a request and keeps every text that went into it. Each is told from all others by its number.
struct Writer {
    bodies: Vec<String>,
    texts: Vec<String>,
}

impl Writer {
    fn text(&mut self) -> Value {
        let number = self.texts.len();
        let body = &self.bodies[number % self.bodies.len()];
        let text = format!("‹{number}:{body}›");
        self.texts.push(text.clone());
        Value::from(text)
    }

    fn parts(&mut self, count: usize) -> Value {
        (0..count)
            .map(|_| json!({"type": "text", "text": self.text(), "cache_control": {"type": "ephemeral"}}))
            .collect()
    }

    fn object(&mut self, count: usize) -> Value {
        let members = (0..count).map(|number| (format!("k{number}"), json!([{"deep": self.text()}])));
        Value::Object(members.collect::<Map<String, Value>>())
    }

    fn block(&mut self, block: &Block) -> Value {
        match block {
            Block::Text => json!({"type": "text", "text": self.text(), "citations": null}),
            Block::Picture { address: true } => {
                json!({"type": "image", "source": {"type": "url", "url": self.text()}})
            }
            Block::Picture { address: false } => {
                json!({"type": "image", "source": {"type": "base64", "media_type": self.text(), "data": self.text()}})
            }
            Block::Document { title, context } => {
                let title = title.then(|| self.text());
                let context = context.then(|| self.text());
                let source = json!({"type": "text", "media_type": "text/plain", "data": self.text()});
                json!({"type": "document", "source": source, "title": title, "context": context})
            }
            Block::Result { texts: None, is_error } => {
                json!({"type": "tool_result", "tool_use_id": self.text(), "content": self.text(), "is_error": is_error})
            }
            Block::Result { texts: Some(count), is_error } => {
                json!({"type": "tool_result", "tool_use_id": self.text(), "content": self.parts(*count), "is_error": is_error})
            }
            Block::Thinking => json!({"type": "thinking", "thinking": self.text(), "signature": "s"}),
            Block::Call { texts } => {
                json!({"type": "tool_use", "id": self.text(), "name": self.text(), "input": self.object(*texts)})
            }
        }
    }

    fn turn(&mut self, turn: &Turn) -> Value {
        let content = match &turn.blocks {
            None => self.text(),
            Some(blocks) => blocks.iter().map(|block| self.block(block)).collect(),
        };
        json!({"role": turn.role, "content": content})
    }

    fn request(&mut self, turns: &[Turn], fields: Fields) -> Value {
        let turns: Vec<Value> = turns.iter().map(|turn| self.turn(turn)).collect();
        let mut request = json!({"model": "m", "max_tokens": 5, "stream": true, "messages": turns});
        if let Some(count) = fields.system {
            request["system"] = if count == 0 { self.text() } else { self.parts(count) };
        }
        let tools = |writer: &mut Self| -> Value {
            let schema = |writer: &mut Self| json!({"type": "object", "properties": {"p": {"description": writer.text()}}});
            (0..fields.tools)
                .map(|_| json!({"name": writer.text(), "description": writer.text(), "input_schema": schema(writer)}))
                .collect()
        };
        request["tools"] = tools(self);
        if let Some(choice) = fields.choice {
            request["tool_choice"] = json!({"type": choice, "disable_parallel_tool_use": true});
            if choice == "tool" {
                request["tool_choice"]["name"] = self.text();
            }
        }
        request["stop_sequences"] = (0..fields.stops).map(|_| self.text()).collect();
        if fields.user {
            request["metadata"] = json!({"user_id": self.text(), "team": self.text()});
        }
        if fields.form {
            let schema = json!({"type": "object", "title": self.text()});
            request["output_config"] =
                json!({"effort": "low", "format": {"type": "json_schema", "schema": schema}});
        }
        if fields.hints {
            request["thinking"] = json!({"type": "disabled"});
            request["service_tier"] = json!("auto");
            request["cache_control"] = json!({"type": "ephemeral"});
        }
        if fields.extra {
            request["guided_regex"] = self.text();
            request["min_p"] = json!(0.25);
        }
        request
    }
}

/// Every text of a chat request, the texts in the JSON of arguments instead of that JSON.
fn texts_of(value: &Value, found: &mut String) {
    match value {
        Value::String(text) => found.push_str(text),
        Value::Array(items) => items.iter().for_each(|item| texts_of(item, found)),
        Value::Object(members) => {
            for (key, value) in members {
                match (key.as_str(), value) {
                    ("arguments", Value::String(text)) => {
                        texts_of(&serde_json::from_str(text).unwrap(), found)
                    }
                    _ => texts_of(value, found),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Values made of the words of the API, in places where they may or may not belong.
fn nonsense() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        Just("text"),
        Just("image"),
        Just("tool_use"),
        Just("tool_result"),
        Just("thinking"),
        Just("document"),
        Just("user"),
        Just("assistant"),
        Just("system"),
        Just("base64"),
        Just("url"),
        Just("auto"),
        Just("tool"),
        Just("json_schema"),
        Just("direct"),
        Just("adaptive"),
        Just("é\"\\"),
    ];
    let key = prop_oneof![
        Just("type"),
        Just("role"),
        Just("content"),
        Just("text"),
        Just("source"),
        Just("data"),
        Just("input"),
        Just("name"),
        Just("id"),
        Just("thinking"),
        Just("tool_use_id"),
        Just("is_error"),
        Just("input_schema"),
        Just("format"),
        Just("schema"),
        Just("media_type"),
        Just("url"),
        Just("citations"),
        Just("caller"),
        Just("x"),
    ];
    let leaf = prop_oneof![
        word.prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(6, 60, 5, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(key.clone(), inner, 0..6)
                .prop_map(|map| map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

proptest! {
    /// A request of supported parts is never refused, and each of its texts comes out once, whole.
    #[test]
    fn every_text_comes_out_once(turns in turns(), fields in fields(), bodies in proptest::collection::vec("[a-z\"\\\\\n\t é🦀/]{0,10}", 1..5), pretty: bool) {
        let mut writer = Writer { bodies, texts: Vec::new() };
        let request = writer.request(&turns, fields);
        let body = if pretty { serde_json::to_vec_pretty(&request) } else { serde_json::to_vec(&request) }.unwrap();
        let chat = to_chat(&body).unwrap();
        let facts = RequestFacts::read(Call::Chat, &chat).unwrap();
        prop_assert_eq!((facts.stream, facts.max_tokens), (true, Some(5)));
        let chat: Value = serde_json::from_slice(&chat).unwrap();
        let mut found = String::new();
        texts_of(&chat, &mut found);
        for (number, text) in writer.texts.iter().enumerate() {
            prop_assert_eq!(found.matches(&format!("‹{number}:")).count(), 1, "{} in {}", text, found);
            prop_assert_eq!(found.matches(text.as_str()).count(), 1, "{} in {}", text, found);
        }
        let errors = turns.iter().flat_map(|turn| turn.blocks.iter().flatten()).filter(|block| matches!(block, Block::Result { is_error: true, .. }));
        prop_assert_eq!(found.matches(TOOL_ERROR).count(), errors.count());
        prop_assert!(count_tokens_to_chat(&body).is_ok());
    }

    #[test]
    fn any_bytes_are_judged_without_panicking(bytes: Vec<u8>) {
        let _ = to_chat(&bytes);
    }

    /// Whatever is accepted becomes a request that the pipeline can read.
    #[test]
    fn nonsense_is_judged_without_panicking(messages in nonsense(), system in nonsense(), other in nonsense(), name in "system|tools|tool_choice|thinking|output_config|metadata|stop_sequences|n|x") {
        let mut request = json!({"model": "m", "max_tokens": 1, "messages": messages, "system": system});
        request[&name] = other;
        if let Ok(chat) = to_chat(&serde_json::to_vec(&request).unwrap()) {
            let read = RequestFacts::read(Call::Chat, &chat);
            let of_metadata = matches!(&read, Err(RequestMistake::Type { field: "metadata", .. }));
            prop_assert!(read.is_ok() || of_metadata, "{read:?}");
        }
    }
}
