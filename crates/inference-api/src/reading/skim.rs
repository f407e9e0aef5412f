//! JSON that has been checked before, taken apart without checking it again: the ends of its parts are looked for, and
//! what lies between is stepped over. A conversation is taken apart level by level, and a picture in it is ten million
//! characters on each of them.

use serde::ser::{Error as _, Serialize, Serializer};
use serde_json::value::RawValue;

/// A value as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Json<'a>(&'a str);

impl<'a> Json<'a> {
    /// `text` is one value of JSON that [`crate::json`] has checked; white space around it is not part of it. Of other
    /// texts the parts are any, and writing them fails.
    pub(crate) fn checked(text: &'a str) -> Self {
        Self(text.trim_ascii())
    }

    pub(crate) fn get(self) -> &'a str {
        self.0
    }

    pub(crate) fn is_null(self) -> bool {
        self.0 == "null"
    }

    pub(crate) fn is_text(self) -> bool {
        self.0.starts_with('"')
    }

    pub(crate) fn is_object(self) -> bool {
        self.0.starts_with('{')
    }

    /// An empty list or object, however it is spaced.
    pub(crate) fn is_empty(self) -> bool {
        let bare = self.0.bytes().filter(|byte| !byte.is_ascii_whitespace());
        matches!(bare.take(3).collect::<Vec<u8>>().as_slice(), b"[]" | b"{}")
    }

    /// A string without its quotes, still escaped.
    pub(crate) fn unquoted(self) -> &'a str {
        self.0.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(self.0)
    }

    /// The keys, in their quotes, and values of an object. Not gathered, as the items of an array are not: a list of
    /// them would outgrow a hostile text ten times.
    pub(crate) fn members(self) -> Option<impl Iterator<Item = (Self, Self)>> {
        let mut parts = Parts::inside(self.0, '{')?;
        Some(std::iter::from_fn(move || Some((parts.next_value()?, parts.next_value()?))))
    }

    pub(crate) fn items(self) -> Option<impl Iterator<Item = Self>> {
        let mut parts = Parts::inside(self.0, '[')?;
        Some(std::iter::from_fn(move || parts.next_value()))
    }
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::from_str::<&RawValue>(self.0).map_err(S::Error::custom)?.serialize(serializer)
    }
}

/// What is left of the inside of a container.
struct Parts<'a> {
    text: &'a str,
}

impl<'a> Parts<'a> {
    fn inside(text: &'a str, open: char) -> Option<Self> {
        text.strip_prefix(open).map(|text| Self { text })
    }

    /// The next key or value: commas and colons lie between them, a closing bracket after the last.
    fn next_value(&mut self) -> Option<Json<'a>> {
        let between = |c: char| c.is_ascii_whitespace() || c == ',' || c == ':';
        let text = self.text.trim_start_matches(between);
        let (value, rest) = text.split_at_checked(value_end(text.as_bytes()))?;
        self.text = rest;
        (!value.is_empty()).then_some(Json(value))
    }
}

/// Where the value that `bytes` begins with ends; 0 where none begins.
fn value_end(bytes: &[u8]) -> usize {
    match bytes.first() {
        Some(b'"') => string_end(bytes, 0),
        Some(b'{' | b'[') => container_end(bytes),
        _ => {
            let ends = |byte: &u8| matches!(byte, b',' | b':' | b']' | b'}') || byte.is_ascii_whitespace();
            bytes.iter().position(ends).unwrap_or(bytes.len())
        }
    }
}

fn container_end(bytes: &[u8]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = string_end(bytes, at);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return at;
        }
    }
    bytes.len()
}

/// Behind the string that opens at `open`.
fn string_end(bytes: &[u8], open: usize) -> usize {
    let mut at = open + 1;
    while let Some(run) = bytes.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += run;
        if bytes.get(at) == Some(&b'"') {
            return at + 1;
        }
        at += 2;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn rebuilt(json: Json<'_>) -> Value {
        if let Some(members) = json.members() {
            let member = |(key, value): (Json<'_>, Json<'_>)| {
                (serde_json::from_str(key.get()).unwrap(), rebuilt(value))
            };
            return Value::Object(members.map(member).collect());
        }
        match json.items() {
            Some(items) => items.map(rebuilt).collect(),
            None => serde_json::from_str(json.get()).unwrap(),
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a\"\\\\\\[\\]{},: é\n]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 40, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[a\"\\\\{,:]{0,3}", inner, 0..4)
                    .prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_parts_are_those_a_parser_finds(value in any_value(), pretty: bool) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            prop_assert_eq!(rebuilt(Json::checked(&format!(" {text}\n"))), value);
        }

        #[test]
        fn texts_that_are_no_json_are_taken_apart_without_panicking(text in "[\\[{]?[\\[\\]{}\",:a\\\\é ]{0,20}") {
            let json = Json::checked(&text);
            let members = json.members().map_or(0, Iterator::count);
            let items = json.items().map_or(0, Iterator::count);
            prop_assert!(members + items <= text.len() && text.contains(json.unquoted()));
        }
    }
}
