//! What a client makes of a stream: the message its events add up to, as the SDKs add them up.

use serde_json::{Value, json};

/// Adds up events and holds them to the form of the stream.
pub(crate) fn accumulate(stream: &[u8]) -> Value {
    let text = std::str::from_utf8(stream).unwrap();
    assert!(text.ends_with("\n\n"), "{text}");
    let mut client = Client::default();
    for event in text.split_terminator("\n\n") {
        let (name, data) = event.split_once('\n').unwrap();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(name.strip_prefix("event: ").unwrap(), data["type"].as_str().unwrap());
        client.take(&data);
    }
    assert!(client.stopped, "{text}");
    client.message
}

#[derive(Default)]
struct Client {
    message: Value,
    open: Option<usize>,
    arguments: String,
    stopped: bool,
}

impl Client {
    fn take(&mut self, event: &Value) {
        assert!(!self.stopped);
        match event["type"].as_str().unwrap() {
            "message_start" => {
                assert!(self.message.is_null());
                self.message = event["message"].clone();
            }
            "content_block_start" => {
                let content = self.message["content"].as_array_mut().unwrap();
                assert_eq!((self.open, &event["index"]), (None, &json!(content.len())));
                self.open = Some(content.len());
                content.push(event["content_block"].clone());
            }
            "content_block_delta" => self.delta(event),
            "content_block_stop" => {
                let open = self.open.take().unwrap();
                assert_eq!(event["index"], json!(open));
                if !self.arguments.is_empty() {
                    let input = serde_json::from_str(&std::mem::take(&mut self.arguments)).unwrap();
                    self.message["content"][open]["input"] = input;
                }
            }
            "message_delta" => {
                assert_eq!(self.open, None);
                self.message["stop_reason"] = event["delta"]["stop_reason"].clone();
                self.message["stop_sequence"] = event["delta"]["stop_sequence"].clone();
                self.message["usage"] = event["usage"].clone();
            }
            "message_stop" => self.stopped = true,
            other => panic!("{other}"),
        }
    }

    fn delta(&mut self, event: &Value) {
        assert_eq!(event["index"], json!(self.open.unwrap()));
        let (block, delta) = (&mut self.message["content"][self.open.unwrap()], &event["delta"]);
        let field = match (delta["type"].as_str().unwrap(), block["type"].as_str().unwrap()) {
            ("text_delta", "text") => "text",
            ("thinking_delta", "thinking") => "thinking",
            ("input_json_delta", "tool_use") => {
                self.arguments.push_str(delta["partial_json"].as_str().unwrap());
                return;
            }
            other => panic!("{other:?}"),
        };
        let more = format!("{}{}", block[field].as_str().unwrap(), delta[field].as_str().unwrap());
        block[field] = Value::from(more);
    }
}
