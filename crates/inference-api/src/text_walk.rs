//! Where text stands: the one walk over everything a model reads, and everything it says.
//!
//! It goes through the bytes an engine is sent, or has sent, not through what our own types know of them: a field that
//! nobody has heard of is text like any other. What is left out is named here, with the reason; what cannot be read as
//! text at all (a prompt that is given as tokens, say) is told, for whoever has to refuse it.

mod answer;
mod event;
mod request;

pub use answer::{AnswerText, answer_text};
pub use event::{EventText, Lane, LaneSpan, lane_event};
pub use request::{RequestText, request_text};

use crate::json::{self, Child, JsonMistake};
use std::ops::Range;

/// What a text is, for whoever tells one from the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpanKind {
    System,
    User,
    Assistant,
    /// What a tool returned.
    Tool,
    /// What a tool is called with.
    Arguments,
    /// What is said of tools, and schemas of answers.
    Definition,
    Reasoning,
    Refusal,
    /// A text to go on with, or to paint.
    Prompt,
    /// A text to embed.
    Input,
    Query,
    Document,
    /// What a model says.
    Answer,
    /// The name of a field that no API gave it.
    Name,
    /// Whatever stands in a field that has no place above.
    Other,
}

impl SpanKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
            Self::Arguments => "arguments",
            Self::Definition => "definition",
            Self::Reasoning => "reasoning",
            Self::Refusal => "refusal",
            Self::Prompt => "prompt",
            Self::Input => "input",
            Self::Query => "query",
            Self::Document => "document",
            Self::Answer => "answer",
            Self::Name => "name",
            Self::Other => "other",
        }
    }
}

/// How a text is written where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Written {
    /// The inside of a JSON string.
    Text,
    /// The inside of a JSON string that is JSON itself.
    Json,
    /// A JSON number, which a template may write out like a text.
    Number,
    /// A field of a form.
    Plain,
}

/// A piece of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Without the quotes.
    pub place: Range<usize>,
    pub kind: SpanKind,
    pub written: Written,
    /// Spans of the same passage are read in a row: parts of one message.
    pub passage: u32,
}

/// Shortest number that can be something by itself: seven digits, as of a telephone.
const NUMBER_MIN: usize = 7;

/// Collects spans.
struct Walk<'a> {
    bytes: &'a [u8],
    spans: Vec<Span>,
    passage: u32,
    numbers: bool,
}

impl<'a> Walk<'a> {
    fn new(bytes: &'a [u8], numbers: bool) -> Self {
        Self { bytes, spans: Vec::with_capacity(16), passage: 0, numbers }
    }

    fn raw(&self, place: &Range<usize>) -> &'a [u8] {
        self.bytes.get(place.clone()).unwrap_or_default()
    }

    /// The key of a child without its quotes; of an element nothing. A key written with escapes is no key of an API.
    fn key(&self, child: &Child) -> &'a [u8] {
        let raw = child.key.as_ref().map(|place| self.raw(place)).unwrap_or_default();
        raw.strip_prefix(b"\"").and_then(|raw| raw.strip_suffix(b"\"")).unwrap_or_default()
    }

    fn children(&self, place: &Range<usize>) -> Result<Vec<Child>, JsonMistake> {
        json::children(self.bytes, place.clone())
    }

    fn is_string(&self, place: &Range<usize>) -> bool {
        self.raw(place).starts_with(b"\"")
    }

    /// What comes next is read apart from what was before.
    fn next_passage(&mut self) {
        self.passage += 1;
    }

    fn add(&mut self, place: Range<usize>, kind: SpanKind, written: Written) {
        let passage = self.passage;
        self.spans.push(Span { place, kind, written, passage });
    }

    /// The name of a field: what APIs call theirs, small letters and underscores, is no text.
    fn name(&mut self, child: &Child) {
        if let Some(key) = &child.key {
            self.name_of(key);
        }
    }

    fn name_of(&mut self, key: &Range<usize>) {
        let inside = key.start + 1..key.end.saturating_sub(1);
        if !self.raw(&inside).iter().all(|byte| byte.is_ascii_lowercase() || *byte == b'_') {
            self.add(inside, SpanKind::Name, Written::Text);
        }
    }

    /// Everything in a value, whatever it is.
    fn everything(&mut self, place: &Range<usize>, kind: SpanKind) -> Result<(), JsonMistake> {
        self.everything_as(place, kind, Written::Text)
    }

    fn everything_as(
        &mut self,
        place: &Range<usize>,
        kind: SpanKind,
        written: Written,
    ) -> Result<(), JsonMistake> {
        match self.raw(place).first() {
            Some(b'"') => self.add(place.start + 1..place.end - 1, kind, written),
            Some(b'-' | b'0'..=b'9') if self.numbers && place.len() >= NUMBER_MIN => {
                self.add(place.clone(), kind, Written::Number);
            }
            Some(b'{' | b'[') => {
                for child in self.children(place)? {
                    self.name(&child);
                    let arguments = self.key(&child) == b"arguments" && self.is_string(&child.value);
                    let (kind, written) =
                        if arguments { (SpanKind::Arguments, Written::Json) } else { (kind, Written::Text) };
                    self.everything_as(&child.value, kind, written)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// `bytes` with each place replaced by its text. The places are in order and apart.
pub fn replace_places(bytes: &[u8], edits: &[(Range<usize>, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut done = 0;
    for (place, text) in edits {
        out.extend_from_slice(bytes.get(done..place.start).unwrap_or_default());
        out.extend_from_slice(text);
        done = place.end;
    }
    out.extend_from_slice(bytes.get(done..).unwrap_or_default());
    out
}
