//! Minimal edits of a request's bytes: everything that is not the point of the edit stays as it was written.

use crate::facts::{RequestFacts, UsageWish};
use std::ops::Range;

const ASK: &[u8] = b"\"include_usage\":true";

/// Makes a streaming request ask for the usage report that settles it. `None` when nothing needs to change: the
/// request does not stream, or asks already.
pub fn ask_for_usage(body: &[u8], facts: &RequestFacts) -> Option<Vec<u8>> {
    if !facts.stream {
        return None;
    }
    match &facts.usage {
        UsageWish::Words => None,
        UsageWish::NoOptions => {
            let at = facts.first_member_at;
            Some(splice(body, at..at, &[b"\"stream_options\":{", ASK, b"},"]))
        }
        UsageWish::NullOptions(span) => Some(splice(body, span.clone(), &[b"{", ASK, b"}"])),
        UsageWish::OptionsWithout { behind_brace, empty } => {
            let comma: &[u8] = if *empty { b"" } else { b"," };
            Some(splice(body, *behind_brace..*behind_brace, &[ASK, comma]))
        }
        UsageWish::Declined(span) => Some(splice(body, span.clone(), &[b"true"])),
    }
}

/// Asks for `name` instead of the model the client named: for an engine that knows the model by another name. To be
/// used on the bytes the facts were read from, before any other edit.
pub fn replace_model(body: &[u8], facts: &RequestFacts, name: &str) -> Vec<u8> {
    let written =
        if facts.form.is_some() { name.to_owned() } else { serde_json::Value::from(name).to_string() };
    splice(body, facts.model_span.clone(), &[written.as_bytes()])
}

/// Makes the request ask for at most `cap` tokens for each answer. `None` when it does already. To be used on the bytes
/// the facts were read from.
pub fn cap_output(body: &[u8], facts: &RequestFacts, cap: u64) -> Option<Vec<u8>> {
    let mut spans: Vec<&Range<usize>> = facts.cap_spans.iter().flatten().collect();
    if spans.is_empty() {
        let at = facts.first_member_at;
        return Some(splice(body, at..at, &[format!("\"max_tokens\":{cap},").as_bytes()]));
    }
    // An engine reads one of the two, so both must say it.
    let says_more = |span: &&Range<usize>| {
        let said = body.get((*span).clone()).and_then(|raw| serde_json::from_slice::<u64>(raw).ok());
        said.is_none_or(|said| said > cap)
    };
    spans.retain(says_more);
    // From the back, so that places do not move.
    spans.sort_by_key(|span| std::cmp::Reverse(span.start));
    spans.into_iter().fold(None, |edited: Option<Vec<u8>>, span| {
        let so_far = edited.as_deref().unwrap_or(body);
        Some(splice(so_far, span.clone(), &[cap.to_string().as_bytes()]))
    })
}

fn splice(body: &[u8], span: Range<usize>, with: &[&[u8]]) -> Vec<u8> {
    let added: usize = with.iter().map(|part| part.len()).sum();
    let mut out = Vec::with_capacity(body.len() + added);
    out.extend_from_slice(body.get(..span.start).unwrap_or_default());
    with.iter().for_each(|part| out.extend_from_slice(part));
    out.extend_from_slice(body.get(span.end..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::surface::Call;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn edited(body: &str) -> Option<String> {
        let facts = RequestFacts::read(Call::Chat, body.as_bytes()).unwrap();
        ask_for_usage(body.as_bytes(), &facts).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn only_the_bytes_that_ask_are_added() {
        assert_eq!(
            edited(" { \"model\":\"m\",\"messages\":[],\"stream\":true,\"seed\":1.0e0 }").unwrap(),
            " {\"stream_options\":{\"include_usage\":true}, \"model\":\"m\",\"messages\":[],\"stream\":true,\"seed\":1.0e0 }"
        );
        assert_eq!(edited("{\"model\":\"m\",\"messages\":[],\"stream\":false}"), None);
        assert_eq!(
            edited(
                "{\"model\":\"m\",\"messages\":[],\"stream\":true,\"stream_options\":{\"include_usage\":true}}"
            ),
            None
        );
    }

    proptest! {
        /// Whatever the options were, afterwards they ask for usage and nothing else differs.
        #[test]
        fn afterwards_it_asks_and_all_else_is_as_before(options in prop_oneof![
            Just(None), Just(Some(json!(null))), Just(Some(json!({}))), Just(Some(json!({"include_usage": false}))),
            Just(Some(json!({"other": [1, {"include_usage": 0}], "include_usage": null}))), Just(Some(json!({"other": 1}))),
        ], pretty: bool, text in ".{0,20}") {
            let mut request = json!({"model": "m", "messages": [{"role": "user", "content": text}], "stream": true});
            if let Some(options) = &options {
                request["stream_options"] = options.clone();
            }
            let body = if pretty { serde_json::to_string_pretty(&request) } else { serde_json::to_string(&request) }.unwrap();
            let after: Value = serde_json::from_str(&edited(&body).unwrap()).unwrap();
            let mut expected = request;
            if !expected["stream_options"].is_object() {
                expected["stream_options"] = json!({});
            }
            expected["stream_options"]["include_usage"] = json!(true);
            prop_assert_eq!(after, expected);
        }

        /// Whatever was said of the length of the answer, afterwards no more than the cap is, and nothing else differs.
        #[test]
        fn afterwards_no_more_is_asked_for_and_all_else_is_as_before(
            tokens in prop::option::of(prop_oneof![Just(json!(null)), (0u64..200).prop_map(|n| json!(n))]),
            completion in prop::option::of(prop_oneof![Just(json!(null)), (0u64..200).prop_map(|n| json!(n))]),
            cap in 1u64..200, pretty: bool,
        ) {
            let mut request = json!({"model": "m", "messages": [], "z": {"max_tokens": 9_999}});
            let keys = [("max_tokens", tokens), ("max_completion_tokens", completion)];
            for (key, value) in &keys {
                if let Some(value) = value {
                    request[*key] = value.clone();
                }
            }
            let body = if pretty { serde_json::to_string_pretty(&request) } else { serde_json::to_string(&request) }.unwrap();
            let facts = RequestFacts::read(Call::Chat, body.as_bytes()).unwrap();
            let edited = cap_output(body.as_bytes(), &facts, cap);
            let after: Value = serde_json::from_slice(edited.as_deref().unwrap_or(body.as_bytes())).unwrap();
            let mut expected = request;
            if keys.iter().all(|(_, value)| value.is_none()) {
                expected["max_tokens"] = json!(cap);
            }
            for (key, value) in &keys {
                if let Some(value) = value {
                    expected[*key] = json!(value.as_u64().map_or(cap, |said| said.min(cap)));
                }
            }
            prop_assert_eq!(&after, &expected);
            prop_assert_eq!(edited.is_none(), after == serde_json::from_str::<Value>(&body).unwrap());
        }

        #[test]
        fn another_model_is_named_and_all_else_is_as_before(text in ".{0,20}") {
            let body = json!({"a": text, "model": "m", "messages": [], "z": 1}).to_string();
            let facts = RequestFacts::read(Call::Chat, body.as_bytes()).unwrap();
            let after: Value = serde_json::from_slice(&replace_model(body.as_bytes(), &facts, "org/\"x\"")).unwrap();
            prop_assert_eq!(after, json!({"a": text, "model": "org/\"x\"", "messages": [], "z": 1}));
        }
    }
}
