//! What a request says of state, and what a response is told of it.

use crate::facts::RequestMistake;
use crate::json;
use crate::reading::{self, Words};

/// What a request says of responses that are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StateWish {
    /// Whether the response is to be kept; `None`: the request leaves that to the server.
    pub store: Option<bool>,
    /// The response that it goes on from, as the caller wrote it.
    pub previous: Option<String>,
}

impl StateWish {
    /// Reads the wish of a request, as strictly as [`super::to_chat`] reads all of it.
    pub fn read(body: &[u8]) -> Result<Self, RequestMistake> {
        let request = reading::request(body, Words::Chat)?;
        let mut asked = request.fields()?;
        let store = asked.flag("store")?;
        let previous = asked.take("previous_response_id").map(|id| id.word()).transpose()?;
        Ok(Self { store, previous: previous.map(std::borrow::Cow::into_owned) })
    }
}

/// What a response is told of the state it is part of. Without any it is not stored and goes on from nothing.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// The response it goes on from.
    pub previous: Option<String>,
    /// As what it is to be kept.
    pub stored: Option<Stored>,
}

/// As what a response is to be kept.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Its id without `resp_`; the ids of its items are made of it too.
    pub name: String,
    /// Bytes that it may have. One that has more is not kept, and says so.
    pub bytes_max: usize,
}

/// The items of a response's output, as the array they stand in. `None`: not a response.
pub fn output_items(response: &[u8]) -> Option<&str> {
    let members = json::members(response).ok()?;
    let mut named = members.iter().filter(|member| {
        response.get(member.key.clone()).and_then(json::decode_string).as_deref() == Some("output")
    });
    let output = named.next().filter(|_| named.next().is_none())?;
    let text = std::str::from_utf8(response.get(output.value.clone())?).ok()?;
    text.starts_with('[').then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_read_wherever_it_stands_and_null_is_none() {
        let read = |body: &str| StateWish::read(body.as_bytes());
        let wish = |store, previous: Option<&str>| StateWish { store, previous: previous.map(str::to_owned) };
        assert_eq!(read(r#"{"input":"store"}"#), Ok(wish(None, None)));
        assert_eq!(
            read(r#"{"store":null,"pr\u0065vious_response_id":"resp_1"}"#),
            Ok(wish(None, Some("resp_1")))
        );
        assert_eq!(read(r#"{"store":false,"previous_response_id":null}"#), Ok(wish(Some(false), None)));
        assert!(matches!(read(r#"{"store":"yes"}"#), Err(RequestMistake::TypeAt { .. })));
        assert!(matches!(read(r#"{"previous_response_id":7}"#), Err(RequestMistake::TypeAt { .. })));
        assert!(matches!(read(r#"{"store":true,"store":false}"#), Err(RequestMistake::DuplicateKey { .. })));
    }

    #[test]
    fn the_output_of_a_response_is_found_as_it_was_written() {
        assert_eq!(
            output_items(br#"{"id":"output","output": [ {"a":1.0} ],"x":{"output":[]}}"#),
            Some("[ {\"a\":1.0} ]")
        );
        for none in ["{}", "[]", r#"{"output":"x"}"#, r#"{"output":[],"output":[]}"#, "{\"output\":[]"] {
            assert_eq!(output_items(none.as_bytes()), None, "{none}");
        }
    }
}
