use super::chat::{Dialect, Settings, Turn, Writer, settings, turns};
use hermetic_inference_api::{Call, RequestFacts, RequestMistake, messages, responses};
use proptest::prelude::*;
use serde_json::{Value, json};

type Said = Result<Vec<u8>, RequestMistake>;

fn of_chat(dialect: Dialect, chat: &[u8]) -> Said {
    match dialect {
        Dialect::Responses => responses::of_chat(chat),
        Dialect::Messages | Dialect::Both => messages::of_chat(chat, 1024),
    }
}

fn to_chat(dialect: Dialect, body: &[u8]) -> Said {
    match dialect {
        Dialect::Responses => responses::to_chat(body),
        Dialect::Messages | Dialect::Both => messages::to_chat(body),
    }
}

fn value(json: &[u8]) -> Value {
    serde_json::from_slice(json).unwrap()
}

/// Every text of a request, the texts in the JSON of arguments instead of that JSON.
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

/// A request in the one form comes back as it was, with each of its texts said once in between.
fn comes_back(
    dialect: Dialect,
    turns: &[Turn],
    settings: &Settings,
    bodies: Vec<String>,
    pretty: bool,
) -> Result<(), TestCaseError> {
    let mut writer = Writer::new(dialect, bodies);
    let request = writer.request(turns, settings);
    let body =
        if pretty { serde_json::to_vec_pretty(&request) } else { serde_json::to_vec(&request) }.unwrap();
    let said = of_chat(dialect, &body);
    prop_assert!(said.is_ok(), "{:?}: {}", said, request);
    let said = said.unwrap();
    let mut found = String::new();
    texts_of(&value(&said), &mut found);
    for text in &writer.texts {
        prop_assert_eq!(found.matches(text.as_str()).count(), 1, "{} in {}", text, found);
    }
    let back = to_chat(dialect, &said);
    prop_assert!(back.is_ok(), "{:?}: {}", back, String::from_utf8_lossy(&said));
    prop_assert_eq!(value(&back.unwrap()), request, "{}", String::from_utf8_lossy(&said));
    Ok(())
}

fn bodies() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec("[a-z\"\\\\\n\t é🦀/]{0,10}", 1..5)
}

/// Values made of the words of chat completions, in places where they may or may not belong.
fn nonsense() -> impl Strategy<Value = Value> {
    let word = "(text|image_url|refusal|function|user|assistant|system|developer|tool|auto|required|none|json_schema|json_object|allowed_tools|low|\\{\\}|\\{\"a\":\\[1\\]\\}|data:a;base64,b|https://h.example|x|)";
    let key = "(type|role|content|text|image_url|url|detail|refusal|reasoning_content|reasoning|tool_calls|id|function|name|arguments|tool_call_id|parameters|strict|description|json_schema|schema|mode|tools|allowed_tools|user_id|x)";
    let leaf = prop_oneof![
        word.prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        (-1i64..9).prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(6, 60, 5, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::hash_map(key, inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Messages with a role each and whatever else.
fn half_right_messages() -> impl Strategy<Value = Value> {
    let content = prop_oneof![
        "[a\"]{0,2}".prop_map(Value::from),
        Just(Value::Null),
        proptest::collection::vec(
            prop_oneof![
                "[a\"]{0,2}".prop_map(|text| json!({"type": "text", "text": text})),
                "(data:a;base64,b|https://h.example|x)"
                    .prop_map(|url| json!({"type": "image_url", "image_url": {"url": url}})),
                "[a\"]{0,2}".prop_map(|text| json!({"type": "refusal", "refusal": text})),
                nonsense(),
            ],
            0..3
        )
        .prop_map(Value::from),
    ];
    let arguments = "(\\{\\}|\\{\"a\": 1\\}| |\\{|7|\\{\"a\":\"\\\\ud800\"\\})";
    let calls = proptest::collection::vec(
        arguments.prop_map(
            |text| json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": text}}),
        ),
        0..3,
    );
    let message = ("(user|assistant|assistant|system|developer|tool)", content, calls, any::<bool>())
        .prop_map(|(role, content, calls, thinks)| {
            let mut message = json!({"role": role, "content": content});
            match role.as_str() {
                "tool" => message["tool_call_id"] = json!("c"),
                "assistant" => {
                    message["tool_calls"] = calls.into();
                    message["reasoning_content"] = if thinks { json!("t") } else { json!("") };
                }
                _ => {}
            }
            message
        });
    proptest::collection::vec(message, 0..5).prop_map(Value::from)
}

proptest! {
    #[test]
    fn a_request_comes_back_from_messages(turns in turns(), settings in settings(), bodies in bodies(), pretty: bool) {
        comes_back(Dialect::Messages, &turns, &settings, bodies, pretty)?;
    }

    #[test]
    fn a_request_comes_back_from_responses(turns in turns(), settings in settings(), bodies in bodies(), pretty: bool) {
        comes_back(Dialect::Responses, &turns, &settings, bodies, pretty)?;
    }

    /// What one surface says of a chat request the other says too, when it goes through chat completions.
    #[test]
    fn a_request_comes_back_from_one_through_the_other(turns in turns(), settings in settings(), bodies in bodies()) {
        let request = Writer::new(Dialect::Both, bodies).request(&turns, &settings);
        let as_messages = messages::of_chat(request.to_string().as_bytes(), 1).unwrap();
        let as_responses = responses::of_chat(&messages::to_chat(&as_messages).unwrap()).unwrap();
        let again = messages::of_chat(&responses::to_chat(&as_responses).unwrap(), 1);
        prop_assert!(again.is_ok(), "{:?}: {}", again, String::from_utf8_lossy(&as_responses));
        prop_assert_eq!(value(&again.unwrap()), value(&as_messages), "{}", String::from_utf8_lossy(&as_responses));
    }

    /// Whatever is accepted is accepted on the way back, and from there on nothing changes any more.
    #[test]
    fn what_is_accepted_says_the_same_for_good(
        chat_messages in prop_oneof![3 => half_right_messages(), 1 => nonsense()],
        other in nonsense(), goes_on: bool,
        name in "tools|tool_choice|response_format|stop|metadata|reasoning_effort|max_tokens|n|logprobs|x",
    ) {
        let mut request = json!({"model": "m", "messages": chat_messages});
        request[&name] = other;
        if goes_on {
            request["continue_final_message"] = json!(true);
        }
        let body = request.to_string();
        for dialect in [Dialect::Messages, Dialect::Responses] {
            let Ok(said) = of_chat(dialect, body.as_bytes()) else { continue };
            let back = to_chat(dialect, &said);
            prop_assert!(back.is_ok(), "{:?}: {}", back, String::from_utf8_lossy(&said));
            let back = back.unwrap();
            let facts = RequestFacts::read(Call::Chat, &back);
            prop_assert!(facts.is_ok() || matches!(&facts, Err(RequestMistake::Type { .. })), "{facts:?}");
            let again = of_chat(dialect, &back);
            prop_assert!(again.is_ok(), "{:?}: {}", again, String::from_utf8_lossy(&back));
            let again = to_chat(dialect, &again.unwrap()).unwrap();
            prop_assert_eq!(value(&again), value(&back), "{}", String::from_utf8_lossy(&said));
        }
    }

    #[test]
    fn any_bytes_are_judged_without_panicking(bytes: Vec<u8>, text in "\\{(\"(model|messages|tools)\":)?[\\[\\]{}\",:a0-2.e\\-\\\\u tn]{0,24}\\}?") {
        for bytes in [bytes.as_slice(), text.as_bytes()] {
            let _ = (messages::of_chat(bytes, 1), responses::of_chat(bytes));
        }
    }
}
