//! How a prompt begins: what tells one conversation from another while it grows.

use crate::surface::Call;
use serde::Deserialize;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(default, borrow)]
    messages: Option<&'a RawValue>,
    #[serde(default, borrow)]
    prompt: Option<&'a RawValue>,
    #[serde(default, borrow)]
    input: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Turn<'a> {
    #[serde(default, borrow)]
    role: Cow<'a, str>,
    #[serde(default, borrow)]
    content: Option<&'a RawValue>,
}

/// The first bytes of what the model is asked, at most `bytes_max`. Of a conversation: everything up to its first message
/// by the user, which is there from the first turn on and stays the same in all that follow.
pub fn prompt_prefix(call: Call, body: &[u8], bytes_max: usize) -> Option<Vec<u8>> {
    let wire: Wire<'_> = serde_json::from_slice(body).ok()?;
    let mut prefix = match call {
        Call::Chat => serde_json::from_str::<Opening>(wire.messages?.get()).ok()?.0,
        // What they are asked has no beginning that another request shares.
        Call::Rerank | Call::Transcription | Call::Translation | Call::ImageGeneration | Call::ImageEdit => {
            return None;
        }
        Call::Completion => wire.prompt?.get().as_bytes().to_vec(),
        Call::Embedding => wire.input?.get().as_bytes().to_vec(),
    };
    prefix.truncate(bytes_max);
    Some(prefix)
}

/// Roles and contents up to the first message by the user.
struct Opening(Vec<u8>);

impl<'de> Deserialize<'de> for Opening {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(OpeningVisitor)
    }
}

struct OpeningVisitor;

impl<'de> Visitor<'de> for OpeningVisitor {
    type Value = Opening;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of messages")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut messages: A) -> Result<Opening, A::Error> {
        let mut opening = Vec::new();
        while let Some(turn) = messages.next_element::<Turn<'de>>()? {
            opening.extend_from_slice(turn.role.as_bytes());
            opening.push(b'\n');
            opening.extend_from_slice(turn.content.map_or("", RawValue::get).as_bytes());
            opening.push(b'\n');
            if turn.role == "user" {
                break;
            }
        }
        while messages.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Opening(opening))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(messages: &str) -> Vec<u8> {
        let body = format!("{{\"model\":\"m\",\"messages\":[{messages}]}}");
        prompt_prefix(Call::Chat, body.as_bytes(), 1 << 20).unwrap()
    }

    #[test]
    fn a_conversation_begins_the_same_however_long_it_gets() {
        let system = r#"{"role":"system","content":"be brief"}"#;
        let first = r#"{"role":"user","content":"hi"}"#;
        let more = r#"{"role":"assistant","content":"yes?"},{"role":"user","content":"why"}"#;
        let begun = of(&format!("{system},{first}"));
        assert_eq!(begun, of(&format!("{system},{first},{more}")));
        assert_ne!(begun, of(&format!("{system},{}", r#"{"role":"user","content":"ho"}"#)));
        assert_eq!(of(first), of(&format!("{first},{more}")));
    }

    #[test]
    fn a_text_is_known_by_its_first_bytes() {
        let prefix = |body: &[u8]| prompt_prefix(Call::Completion, body, 4);
        assert_eq!(prefix(br#"{"prompt":"abcdef"}"#), prefix(br#"{"prompt":"abcxyz","seed":1}"#));
        assert_eq!(prefix(br#"{"messages":[]}"#), None);
    }
}
