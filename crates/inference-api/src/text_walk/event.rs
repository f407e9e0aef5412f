//! The text of one event of a stream, and which text each piece continues.

use super::answer::{ABOUT, kind_of};
use super::{Span, SpanKind, Walk, Written};
use crate::json::{self, JsonMistake};
use crate::output::CutChunk;
use crate::surface::Call;
use std::ops::Range;

/// A text that comes in pieces: of which choice, and where in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lane {
    pub choice: u64,
    path: Vec<Step>,
    pub kind: SpanKind,
    pub written: Written,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Step {
    Member(String),
    /// By its `index`, or by its place where it has none.
    Element(u64),
}

/// A piece of a lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneSpan {
    pub lane: Lane,
    pub place: Range<usize>,
}

/// Everything said in one event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventText {
    pub pieces: Vec<LaneSpan>,
    /// What is said at once: names, ids, and whatever stands beside the choices.
    pub whole: Vec<Span>,
    /// Choices of which this is the end.
    pub finished: Vec<u64>,
}

/// Members of a piece that come whole.
const WHOLE: [&[u8]; 6] = [b"role", b"id", b"type", b"name", b"object", b"index"];

impl EventText {
    /// Of the data of an event.
    pub fn of(data: &[u8]) -> Result<Self, JsonMistake> {
        let mut reading = Reading { walk: Walk::new(data, false), text: Self::default() };
        for child in json::members(data)? {
            let key = reading.walk.raw(&child.key);
            let key = key.strip_prefix(b"\"").and_then(|key| key.strip_suffix(b"\"")).unwrap_or_default();
            reading.walk.name_of(&child.key);
            if key == b"choices" && reading.walk.raw(&child.value).starts_with(b"[") {
                let choices = reading.walk.children(&child.value)?;
                for (nth, choice) in (0..).zip(choices) {
                    reading.choice(nth, &choice.value)?;
                }
            } else if !ABOUT.contains(&key) {
                reading.walk.everything(&child.value, SpanKind::Other)?;
            }
        }
        reading.text.whole = reading.walk.spans;
        Ok(reading.text)
    }
}

struct Reading<'a> {
    walk: Walk<'a>,
    text: EventText,
}

impl Reading<'_> {
    fn choice(&mut self, nth: u64, place: &Range<usize>) -> Result<(), JsonMistake> {
        if !self.walk.raw(place).starts_with(b"{") {
            return self.walk.everything(place, SpanKind::Other);
        }
        let fields = self.walk.children(place)?;
        let choice = self.index(&fields).unwrap_or(nth);
        let mut path = Vec::with_capacity(4);
        for field in &fields {
            let key = self.walk.key(field);
            match key {
                b"index" => {}
                b"finish_reason" | b"stop_reason" => {
                    if self.walk.raw(&field.value) != b"null" && key == b"finish_reason" {
                        self.text.finished.push(choice);
                    }
                    self.walk.everything(&field.value, SpanKind::Other)?;
                }
                _ => {
                    self.walk.name(field);
                    path.push(Step::Member(String::from_utf8_lossy(key).into_owned()));
                    let kind = if key == b"delta" { SpanKind::Answer } else { kind_of(key) };
                    self.pieces(choice, &mut path, kind, &field.value)?;
                    path.pop();
                }
            }
        }
        Ok(())
    }

    fn index(&self, fields: &[json::Child]) -> Option<u64> {
        let field = fields.iter().find(|field| self.walk.key(field) == b"index")?;
        serde_json::from_slice(self.walk.raw(&field.value)).ok()
    }

    fn pieces(
        &mut self,
        choice: u64,
        path: &mut Vec<Step>,
        kind: SpanKind,
        place: &Range<usize>,
    ) -> Result<(), JsonMistake> {
        match self.walk.raw(place).first() {
            Some(b'"') => {
                let arguments = matches!(path.last(), Some(Step::Member(key)) if key == "arguments");
                let written = if arguments { Written::Json } else { Written::Text };
                let lane = Lane { choice, path: path.clone(), kind, written };
                self.text.pieces.push(LaneSpan { lane, place: place.start + 1..place.end - 1 });
            }
            Some(b'{') => {
                for field in self.walk.children(place)? {
                    let key = self.walk.key(&field);
                    if WHOLE.contains(&key) {
                        self.walk.everything(&field.value, SpanKind::Other)?;
                        continue;
                    }
                    self.walk.name(&field);
                    let under_delta = path.len() == 1;
                    let kind = if under_delta { kind_of(key) } else { kind };
                    path.push(Step::Member(String::from_utf8_lossy(key).into_owned()));
                    self.pieces(choice, path, kind, &field.value)?;
                    path.pop();
                }
            }
            Some(b'[') => {
                for (nth, element) in (0..).zip(self.walk.children(place)?) {
                    let index = match self.walk.raw(&element.value).first() {
                        Some(b'{') => self.index(&self.walk.children(&element.value)?),
                        _ => None,
                    };
                    path.push(Step::Element(index.unwrap_or(nth)));
                    self.pieces(choice, path, kind, &element.value)?;
                    path.pop();
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// An event that says a text, written as inside a JSON string, on a lane: for what was held back until the lane ended.
pub fn lane_event(like: &CutChunk, call: Call, lane: &Lane, text: &[u8]) -> Vec<u8> {
    let mut value = [b"\"", text, b"\""].concat();
    for (depth, step) in lane.path.iter().enumerate().rev() {
        value = match step {
            Step::Member(key) => {
                let key = serde_json::Value::from(key.as_str()).to_string();
                // An element says which it is before what it holds.
                let index = match depth.checked_sub(1).and_then(|above| lane.path.get(above)) {
                    Some(Step::Element(index)) => format!("\"index\":{index},"),
                    _ => String::new(),
                };
                [b"{", index.as_bytes(), key.as_bytes(), b":", &value, b"}"].concat()
            }
            Step::Element(_) => [b"[", value.as_slice(), b"]"].concat(),
        };
    }
    like.with_choice(call, lane.choice, &value)
}
