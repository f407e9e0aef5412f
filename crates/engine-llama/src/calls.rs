//! From the bytes of an answer to text and calls.
//!
//! A call is what stands in the form that the grammar holds the model to (`hermetic_tokenizer::CALL_OPENING` and its
//! neighbours). Whatever only looks like one, an opening without a call behind it say, is text.
//!
//! Invariant: what is read does not depend on how the bytes were cut into tokens, and every byte is text, a part of a
//! call, or space around one.

use crate::stop::{find, unfinished};
use hermetic_tokenizer::{CALL_ARGUMENTS, CALL_CLOSING, CALL_NAME, CALL_OPENING};

/// A part of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Text(Vec<u8>),
    /// Bytes that say nothing by themselves: the form of a call, space around it.
    Form(usize),
    /// A call of this function begins.
    Name(String),
    /// The next piece of the arguments of the call that began last.
    Arguments(String),
}

/// Reads an answer piece by piece.
#[derive(Debug, Default)]
pub(crate) struct CallReader {
    held: Vec<u8>,
    state: State,
    calls: u32,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Text,
    Arguments(Object),
    Closing,
}

/// Where one is in a JSON object.
#[derive(Debug, Default)]
struct Object {
    depth: u32,
    in_string: bool,
    escaped: bool,
}

/// What the held bytes, which begin with the opening, are.
enum Head {
    /// A call, whose arguments begin behind so many bytes.
    Call {
        name: String,
        bytes: usize,
    },
    NotYet,
    Text,
}

impl CallReader {
    /// Calls begun so far.
    pub(crate) fn calls(&self) -> u32 {
        self.calls
    }

    /// Whether the last call has been left open.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state, State::Arguments(_))
    }

    /// Whether a token that is a mark to the model, and no text, is read as it is spelled: the form of a call is.
    pub(crate) fn spells(&self, token: &[u8]) -> bool {
        let in_call = !matches!(self.state, State::Text) || !self.held.is_empty();
        in_call || (!token.is_empty() && CALL_OPENING.as_bytes().starts_with(token))
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<Part> {
        self.held.extend_from_slice(bytes);
        let mut parts = Vec::new();
        while self.step(&mut parts) {}
        parts
    }

    /// The end of the answer: what began to look like a call has become none.
    pub(crate) fn finish(&mut self) -> Vec<Part> {
        let rest = std::mem::take(&mut self.held);
        if rest.is_empty() {
            return Vec::new();
        }
        let part = match self.state {
            // Space behind a call leads to another one that did not come.
            State::Text if self.calls > 0 && rest.iter().all(u8::is_ascii_whitespace) => {
                Part::Form(rest.len())
            }
            State::Text => Part::Text(rest),
            State::Arguments(_) => Part::Arguments(String::from_utf8_lossy(&rest).into_owned()),
            State::Closing => Part::Form(rest.len()),
        };
        vec![part]
    }

    /// One step; false when more bytes are needed for the next.
    fn step(&mut self, parts: &mut Vec<Part>) -> bool {
        match &mut self.state {
            State::Text => self.text(parts),
            State::Arguments(object) => {
                let end = object.end(&self.held);
                let cut = end.unwrap_or(self.held.len() - unfinished(&self.held));
                let text = String::from_utf8_lossy(self.held.get(..cut).unwrap_or_default()).into_owned();
                if cut > 0 {
                    parts.push(Part::Arguments(text));
                }
                match end {
                    // The scan goes on where it stopped, so what is held is what it has seen of a character.
                    None => drop(self.held.drain(..cut)),
                    Some(_) => {
                        self.held.drain(..cut);
                        self.state = State::Closing;
                    }
                }
                end.is_some()
            }
            State::Closing => {
                let closing = CALL_CLOSING.as_bytes();
                let Some(at) = find(&self.held, closing) else { return false };
                let end = at + closing.len();
                self.held.drain(..end);
                parts.push(Part::Form(end));
                self.state = State::Text;
                true
            }
        }
    }

    fn text(&mut self, parts: &mut Vec<Part>) -> bool {
        let opening = CALL_OPENING.as_bytes();
        let found = find(&self.held, opening);
        let text = found.unwrap_or_else(|| self.held.len() - partial(&self.held, opening));
        // Space before a call is not said. Until it is known to be a call, the space waits.
        let words = self.held.get(..text).unwrap_or_default().trim_ascii_end().len();
        let Some(at) = found else {
            self.say(words, parts);
            return false;
        };
        match head(self.held.get(at..).unwrap_or_default()) {
            Head::NotYet => {
                self.say(words, parts);
                false
            }
            Head::Text => {
                self.say(at + opening.len(), parts);
                true
            }
            Head::Call { name, bytes } => {
                self.say(words, parts);
                let form = at - words + bytes;
                self.held.drain(..form);
                parts.extend([Part::Form(form), Part::Name(name)]);
                self.calls += 1;
                self.state = State::Arguments(Object::default());
                true
            }
        }
    }

    fn say(&mut self, bytes: usize, parts: &mut Vec<Part>) {
        if bytes > 0 {
            parts.push(Part::Text(self.held.drain(..bytes).collect()));
        }
    }
}

impl Object {
    /// The end of the object, if `bytes` hold it. They are the bytes behind those of the last call that were taken.
    fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        for (at, byte) in bytes.iter().enumerate() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                b'{' | b'[' if !self.in_string => self.depth += 1,
                b'}' | b']' if !self.in_string => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
        }
        None
    }
}

/// Reads what stands between the opening and the arguments.
fn head(held: &[u8]) -> Head {
    let before = [CALL_OPENING, CALL_NAME].concat().into_bytes();
    let Some(rest) = held.strip_prefix(before.as_slice()) else {
        return if before.starts_with(held) { Head::NotYet } else { Head::Text };
    };
    // Names of functions have no quotation mark.
    let end = rest.iter().position(|byte| *byte == b'"').unwrap_or(rest.len());
    let (name, behind) = rest.split_at_checked(end).unwrap_or((rest, &[]));
    let arguments = [CALL_ARGUMENTS, "{"].concat().into_bytes();
    if !name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(byte)) {
        return Head::Text;
    }
    if behind.starts_with(&arguments) {
        let name = String::from_utf8_lossy(name).into_owned();
        let bytes = before.len() + name.len() + CALL_ARGUMENTS.len();
        return Head::Call { name, bytes };
    }
    if arguments.starts_with(behind) { Head::NotYet } else { Head::Text }
}

/// Length of the longest tail that begins `pattern`.
fn partial(bytes: &[u8], pattern: &[u8]) -> usize {
    let most = bytes.len().min(pattern.len().saturating_sub(1));
    (1..=most).rev().find(|n| bytes.ends_with(pattern.get(..*n).unwrap_or(pattern))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Default, Clone, PartialEq, Eq)]
    struct Heard {
        text: String,
        calls: Vec<(String, String)>,
        form: usize,
        bytes: usize,
    }

    fn hear<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Heard {
        let (mut reader, mut heard) = (CallReader::default(), Heard::default());
        let mut text = Vec::new();
        let mut take = |part| match part {
            Part::Text(bytes) => text.extend(bytes),
            Part::Form(bytes) => heard.form += bytes,
            Part::Name(name) => heard.calls.push((name, String::new())),
            Part::Arguments(piece) => heard.calls.last_mut().unwrap().1.push_str(&piece),
        };
        for piece in pieces {
            reader.push(piece).into_iter().for_each(&mut take);
        }
        reader.finish().into_iter().for_each(&mut take);
        heard.text = String::from_utf8(text).unwrap();
        heard.bytes =
            heard.form + heard.text.len() + heard.calls.iter().map(|call| call.1.len()).sum::<usize>();
        heard
    }

    fn call(name: &str, arguments: &str) -> String {
        [CALL_OPENING, CALL_NAME, name, CALL_ARGUMENTS, arguments, CALL_CLOSING].concat()
    }

    #[test]
    fn text_and_calls_are_told_apart_and_space_between_them_is_not_said() {
        let said = format!("Let me look.\n\n{}\n{}\n", call("a", "{\"x\": \"}\\\"☃\"}"), call("b", "{}"));
        let heard = hear([said.as_bytes()]);
        assert_eq!(heard.text, "Let me look.");
        let calls = [("a".to_owned(), "{\"x\": \"}\\\"☃\"}".to_owned()), ("b".to_owned(), "{}".to_owned())];
        assert_eq!(heard.calls, calls);
    }

    #[test]
    fn what_only_looks_like_a_call_is_text() {
        for said in [
            "<tool_call>",
            "<tool_call>\n",
            "<tool_call>\n{\"name\": \"a",
            "<tool_call>\n{\"name\": \"a\", \"arguments\": ",
            "<tool_call>\n{\"name\": \"a\", \"arguments\": 7}\n</tool_call>",
            "<tool_call> {\"name\": \"a\", \"arguments\": {}}\n</tool_call>",
            "<tool_call>\n{\"name\": \"a b\", \"arguments\": {}}\n</tool_call>",
            "the mark <tool_call> opens a call",
            "<<tool_cal> \n",
        ] {
            let heard = hear([said.as_bytes()]);
            assert_eq!((heard.text.as_str(), heard.calls.len()), (said, 0));
        }
    }

    #[test]
    fn a_call_that_was_cut_is_told_as_far_as_it_came() {
        let whole = call("a", "{\"x\": 1}");
        let cut = whole.strip_suffix("1}}\n</tool_call>").unwrap();
        assert_eq!(hear([cut.as_bytes()]).calls, [("a".to_owned(), "{\"x\": ".to_owned())]);
    }

    /// Pieces of answers: calls, halves of calls, text.
    fn piece() -> impl Strategy<Value = String> {
        let json = prop::sample::select(vec![
            "{}",
            "{\"a\": [1, {\"b\": \"}]\\\\\"}]}",
            "{\"é☃\": \"<tool_call>\"}",
        ]);
        let whole = ("[a-z_]{1,6}", json).prop_map(|(name, arguments)| call(&name, arguments));
        let part =
            (whole.clone(), 0_usize..80).prop_map(|(whole, cut)| whole.chars().take(cut).collect::<String>());
        prop_oneof![whole, part, "[ab☃ \n<>]{0,8}", Just("<tool_call>".to_owned())]
    }

    proptest! {
        #[test]
        fn the_cuts_do_not_matter_and_no_byte_is_lost(
            pieces in prop::collection::vec(piece(), 0..5),
            cuts in prop::collection::vec(1_usize..9, 1..40),
        ) {
            let said = pieces.concat();
            let bytes = said.as_bytes();
            let (mut rest, mut parts) = (bytes, Vec::new());
            for cut in cuts.into_iter().cycle() {
                if rest.is_empty() { break; }
                let (part, behind) = rest.split_at(cut.min(rest.len()));
                parts.push(part);
                rest = behind;
            }
            let heard = hear([bytes]);
            prop_assert_eq!(&hear(parts), &heard);
            prop_assert_eq!(&hear(bytes.chunks(1)), &heard);
            prop_assert_eq!(heard.bytes, bytes.len());
        }
    }
}
