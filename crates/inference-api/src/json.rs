//! A strict single-pass reader of JSON bytes that remembers where things stand instead of building a tree.
//!
//! It checks the whole text against RFC 8259 (UTF-8 included) without allocating and without recursion, so that the
//! depth of a hostile text costs nothing, and hands the caller the spans of the members of the top-level object.

use std::borrow::Cow;
use std::ops::Range;

/// Deepest nesting of arrays and objects. Real requests stay below ten (a tool's JSON Schema is the deepest part);
/// 64 leaves room and stays below what every parser behind us accepts.
pub const DEPTH_MAX: usize = 64;

/// Most members of the top-level object. The largest surface of the OpenAI API has about forty.
pub const TOP_LEVEL_KEYS_MAX: usize = 128;

/// Why bytes are not the JSON that is expected. Offsets count bytes from zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonMistake {
    #[error("expected {expected} at byte {at}, found {}", shown(.found))]
    Unexpected { at: usize, expected: &'static str, found: Option<u8> },
    #[error("expected UTF-8, found an invalid sequence at byte {at}")]
    NotUtf8 { at: usize },
    #[error("expected at most {DEPTH_MAX} levels of nesting, found more at byte {at}")]
    TooDeep { at: usize },
    #[error("expected at most {TOP_LEVEL_KEYS_MAX} members, found more at byte {at}")]
    TooManyKeys { at: usize },
}

fn shown(found: &Option<u8>) -> String {
    match found {
        None => "the end".to_owned(),
        Some(byte) if byte.is_ascii_graphic() => format!("`{}`", char::from(*byte)),
        Some(byte) => format!("byte 0x{byte:02x}"),
    }
}

/// One member of an object: the raw key with its quotes, and the raw value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) key: Range<usize>,
    pub(crate) value: Range<usize>,
}

/// The members of the object that `bytes` is, in order. `Ok` means the whole text is valid JSON.
pub(crate) fn members(bytes: &[u8]) -> Result<Vec<Member>, JsonMistake> {
    if let Err(error) = std::str::from_utf8(bytes) {
        return Err(JsonMistake::NotUtf8 { at: error.valid_up_to() });
    }
    let mut reader = Reader { bytes, at: 0 };
    reader.skip_space();
    let members = reader.top_level_object()?;
    reader.skip_space();
    if reader.at < bytes.len() { Err(reader.unexpected("the end")) } else { Ok(members) }
}

/// A member of an object or an element of an array, where it stands in the whole text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Child {
    /// With its quotes; an element has none.
    pub(crate) key: Option<Range<usize>>,
    pub(crate) value: Range<usize>,
}

/// What the object or array at `place` holds, in order. Of a text that [`members`] has accepted.
pub(crate) fn children(bytes: &[u8], place: Range<usize>) -> Result<Vec<Child>, JsonMistake> {
    let mut reader = Reader { bytes: bytes.get(..place.end).unwrap_or_default(), at: place.start };
    let close = match reader.peek() {
        Some(b'{') => b'}',
        Some(b'[') => b']',
        _ => return Err(reader.unexpected("an object or an array")),
    };
    reader.at += 1;
    let mut children = Vec::new();
    reader.skip_space();
    if reader.peek() == Some(close) {
        return Ok(children);
    }
    loop {
        reader.skip_space();
        let key = if close == b'}' { Some(reader.key()?) } else { None };
        let start = reader.at;
        reader.value()?;
        children.push(Child { key, value: start..reader.at });
        reader.skip_space();
        match reader.peek() {
            Some(b',') => reader.at += 1,
            Some(found) if found == close => return Ok(children),
            _ => return Err(reader.unexpected("`,` or the end of the list")),
        }
    }
}

/// The text of a raw JSON string, `None` when `raw` is not one or holds half a surrogate pair.
pub(crate) fn decode_string(raw: &[u8]) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if !inner.contains(&b'\\') {
        return std::str::from_utf8(inner).ok().map(Cow::Borrowed);
    }
    serde_json::from_slice::<String>(raw).ok().map(Cow::Owned)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// What the reader is inside of. A stack of these, one bit each, replaces recursion.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Container {
    Array,
    Object,
}

/// Open containers, innermost last: bit set = object.
#[derive(Default)]
struct Nesting {
    kinds: u64,
    depth: usize,
}

impl Nesting {
    fn push(&mut self, container: Container, at: usize) -> Result<(), JsonMistake> {
        // One level is taken by the top-level object, which is not in the stack.
        if self.depth + 1 >= DEPTH_MAX {
            return Err(JsonMistake::TooDeep { at });
        }
        self.kinds = (self.kinds << 1) | u64::from(container == Container::Object);
        self.depth += 1;
        Ok(())
    }

    fn pop(&mut self) {
        self.kinds >>= 1;
        self.depth = self.depth.saturating_sub(1);
    }

    fn innermost(&self) -> Option<Container> {
        match (self.depth, self.kinds & 1) {
            (0, _) => None,
            (_, 1) => Some(Container::Object),
            _ => Some(Container::Array),
        }
    }
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn unexpected(&self, expected: &'static str) -> JsonMistake {
        JsonMistake::Unexpected { at: self.at, expected, found: self.peek() }
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8, expected: &'static str) -> Result<(), JsonMistake> {
        if self.peek() != Some(byte) {
            return Err(self.unexpected(expected));
        }
        self.at += 1;
        Ok(())
    }

    fn top_level_object(&mut self) -> Result<Vec<Member>, JsonMistake> {
        self.take(b'{', "an object")?;
        let mut members = Vec::with_capacity(8);
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(members);
        }
        loop {
            if members.len() >= TOP_LEVEL_KEYS_MAX {
                return Err(JsonMistake::TooManyKeys { at: self.at });
            }
            let key = self.key()?;
            let start = self.at;
            self.value()?;
            members.push(Member { key, value: start..self.at });
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(members);
                }
                _ => return Err(self.unexpected("`,` or `}`")),
            }
            self.skip_space();
        }
    }

    /// A key, the colon after it, and the space up to its value.
    fn key(&mut self) -> Result<Range<usize>, JsonMistake> {
        let start = self.at;
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("a key in double quotes"));
        }
        self.string()?;
        let key = start..self.at;
        self.skip_space();
        self.take(b':', "`:`")?;
        self.skip_space();
        Ok(key)
    }

    /// One whole value, however deep.
    fn value(&mut self) -> Result<(), JsonMistake> {
        let mut nesting = Nesting::default();
        loop {
            // Here a value is due.
            self.skip_space();
            let opened = match self.peek() {
                Some(b'{') => Some((Container::Object, b'}')),
                Some(b'[') => Some((Container::Array, b']')),
                _ => None,
            };
            if let Some((container, close)) = opened {
                nesting.push(container, self.at)?;
                self.at += 1;
                self.skip_space();
                if self.peek() != Some(close) {
                    if container == Container::Object {
                        self.key()?;
                    }
                    continue;
                }
            } else {
                self.scalar()?;
            }
            if self.close_finished(&mut nesting)? {
                return Ok(());
            }
        }
    }

    /// After a value, or before the bracket of an empty container: closes what ends here. `true` when the outermost
    /// value is complete, `false` when the next value is due.
    fn close_finished(&mut self, nesting: &mut Nesting) -> Result<bool, JsonMistake> {
        loop {
            let Some(container) = nesting.innermost() else { return Ok(true) };
            self.skip_space();
            match (self.peek(), container) {
                (Some(b']'), Container::Array) | (Some(b'}'), Container::Object) => {
                    self.at += 1;
                    nesting.pop();
                }
                (Some(b','), Container::Array) => {
                    self.at += 1;
                    return Ok(false);
                }
                (Some(b','), Container::Object) => {
                    self.at += 1;
                    self.skip_space();
                    self.key()?;
                    return Ok(false);
                }
                (_, Container::Array) => return Err(self.unexpected("`,` or `]`")),
                (_, Container::Object) => return Err(self.unexpected("`,` or `}`")),
            }
        }
    }

    fn scalar(&mut self) -> Result<(), JsonMistake> {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal(b"true"),
            Some(b'f') => self.literal(b"false"),
            Some(b'n') => self.literal(b"null"),
            _ => Err(self.unexpected("a value")),
        }
    }

    fn literal(&mut self, word: &'static [u8]) -> Result<(), JsonMistake> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word) {
            return Err(self.unexpected("`true`, `false` or `null`"));
        }
        self.at += word.len();
        Ok(())
    }

    fn string(&mut self) -> Result<(), JsonMistake> {
        self.at += 1;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            // The two bytes that end a run are found in steps of a vector register; control characters inside the run
            // are then looked for in one pass the compiler vectorises, which it would not if the pass could end early.
            let Some(run) = memchr::memchr2(b'"', b'\\', rest) else {
                self.at = self.bytes.len();
                return Err(self.unexpected("the closing quote of a string"));
            };
            let plain = rest.get(..run).unwrap_or_default();
            if plain.iter().fold(false, |found, &b| found | (b < 0x20)) {
                self.at += plain.iter().position(|&b| b < 0x20).unwrap_or_default();
                return Err(self.unexpected("an escaped control character"));
            }
            self.at += run;
            if self.peek() == Some(b'"') {
                self.at += 1;
                return Ok(());
            }
            self.escape()?;
        }
    }

    fn escape(&mut self) -> Result<(), JsonMistake> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek().is_some_and(|b| b.is_ascii_hexdigit()) {
                        return Err(self.unexpected("four hexadecimal digits"));
                    }
                    self.at += 1;
                }
            }
            _ => return Err(self.unexpected("an escape")),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), JsonMistake> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return Err(self.unexpected("a digit")),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), JsonMistake> {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { Err(self.unexpected("a digit")) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_object(text: &[u8]) -> bool {
        serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(text).is_ok()
    }

    #[test]
    fn texts_of_every_broken_kind_are_refused() {
        for bad in [
            "",
            " ",
            "{",
            "}",
            "[]",
            "1",
            "null",
            "\"x\"",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{,}",
            "{a:1}",
            "{'a':1}",
            "{\"a\":01}",
            "{\"a\":1.}",
            "{\"a\":.5}",
            "{\"a\":-}",
            "{\"a\":1e}",
            "{\"a\":+1}",
            "{\"a\":NaN}",
            "{\"a\":tru}",
            "{\"a\":\"\\x\"}",
            "{\"a\":\"\\u12g4\"}",
            "{\"a\":\"\n\"}",
            "{\"a\":\"x}",
            "{\"a\":[1,]}",
            "{\"a\":[1}}",
            "{\"a\":{]}",
            "{} {}",
            "{}x",
            "{\"a\":1 \"b\":2}",
            "\u{feff}{}",
            "{\"a\":[1 2]}",
            "{\"a\":{\"b\":1,}}",
            "{\"a\":{1:2}}",
        ] {
            assert!(members(bad.as_bytes()).is_err(), "{bad}");
            assert!(!is_object(bad.as_bytes()), "{bad}");
        }
        assert_eq!(members(b"{\"a\":\"\xff\"}"), Err(JsonMistake::NotUtf8 { at: 6 }));
    }

    #[test]
    fn depth_is_bounded_and_a_million_brackets_cost_no_stack() {
        let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(members(nested(DEPTH_MAX - 1).as_bytes()).is_ok());
        assert!(matches!(members(nested(DEPTH_MAX).as_bytes()), Err(JsonMistake::TooDeep { .. })));
        assert!(matches!(members(nested(1_000_000).as_bytes()), Err(JsonMistake::TooDeep { .. })));
    }

    #[test]
    fn spans_are_the_bytes_as_written() {
        let text = b" { \"a\" : [1, {\"b\":{}}] ,\"c\":-0.5e+3 } ";
        let found: Vec<_> = members(text)
            .unwrap()
            .into_iter()
            .map(|m| (text[m.key].to_vec(), text[m.value].to_vec()))
            .collect();
        assert_eq!(
            found,
            [(b"\"a\"".to_vec(), b"[1, {\"b\":{}}]".to_vec()), (b"\"c\"".to_vec(), b"-0.5e+3".to_vec())]
        );
    }

    proptest! {
        /// What we accept is what a well-known parser accepts, over texts dense in brackets, quotes and numbers.
        #[test]
        fn agrees_with_a_well_known_parser(text in "\\{(\"a\":)?[\\[\\]{}\",:a0-2.e\\-\\\\u tn]{0,24}\\}?") {
            // serde_json keeps `1e999` and half surrogates out of its own values; both are RFC 8259.
            let theirs = serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok() && text.trim_start().starts_with('{');
            prop_assert_eq!(members(text.as_bytes()).is_ok(), theirs, "{}", text);
        }

        #[test]
        fn any_bytes_are_judged_without_panicking(bytes: Vec<u8>) {
            let _ = members(&bytes);
        }
    }
}
