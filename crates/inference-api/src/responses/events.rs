//! The events of a streamed response (`ResponseStreamEvent`), numbered from zero without a gap.

use super::items::{Call, Item, LogProb, Part};
use serde::Serialize;

/// Events that were not handed over yet.
#[derive(Debug)]
pub(super) struct Events {
    number: u64,
    /// `None`: nobody listens.
    text: Option<Vec<u8>>,
}

#[derive(Serialize)]
struct Numbered<'a, T> {
    #[serde(rename = "type")]
    kind: &'static str,
    sequence_number: u64,
    #[serde(flatten)]
    fields: &'a T,
}

/// The place an event is about.
#[derive(Clone, Copy, Serialize)]
pub(super) struct At<'a> {
    pub(super) item_id: &'a str,
    pub(super) output_index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content_index: Option<usize>,
}

#[derive(Serialize)]
struct OfItem<'a> {
    output_index: usize,
    item: &'a Item,
}

#[derive(Serialize)]
struct OfPart<'a> {
    #[serde(flatten)]
    place: At<'a>,
    part: &'a Part,
}

#[derive(Serialize)]
struct Delta<'a> {
    #[serde(flatten)]
    place: At<'a>,
    delta: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<&'a [LogProb]>,
}

#[derive(Serialize)]
struct Done<'a> {
    #[serde(flatten)]
    place: At<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<&'a [LogProb]>,
}

impl<'a> Done<'a> {
    fn at(place: At<'a>) -> Self {
        Self { place, text: None, refusal: None, name: None, arguments: None, logprobs: None }
    }
}

impl Events {
    pub(super) fn new(listened_to: bool) -> Self {
        Self { number: 0, text: listened_to.then(Vec::new) }
    }

    pub(super) fn say(&mut self, kind: &'static str, fields: &impl Serialize) {
        let Some(out) = &mut self.text else { return };
        let event = Numbered { kind, sequence_number: self.number, fields };
        let data = serde_json::to_vec(&event).unwrap_or_default();
        for piece in [b"event: ", kind.as_bytes(), b"\ndata: ", &data, b"\n\n"] {
            out.extend_from_slice(piece);
        }
        self.number += 1;
    }

    pub(super) fn hand_over(&mut self) -> Vec<u8> {
        self.text.as_mut().map(std::mem::take).unwrap_or_default()
    }

    pub(super) fn item_added(&mut self, output_index: usize, item: &Item) {
        self.say("response.output_item.added", &OfItem { output_index, item });
    }

    pub(super) fn item_done(&mut self, output_index: usize, item: &Item) {
        self.say("response.output_item.done", &OfItem { output_index, item });
    }

    pub(super) fn part_added(&mut self, place: At<'_>, part: &Part) {
        self.say("response.content_part.added", &OfPart { place, part });
    }

    /// What `said` adds to the part it belongs to.
    pub(super) fn part_delta(&mut self, place: At<'_>, said: &Part) {
        let (kind, delta, logprobs) = match said {
            Part::ReasoningText { text } => ("response.reasoning_text.delta", text, None),
            Part::OutputText { text, logprobs, .. } => {
                ("response.output_text.delta", text, Some(logprobs.as_slice()))
            }
            Part::Refusal { refusal } => ("response.refusal.delta", refusal, None),
        };
        self.say(kind, &Delta { place, delta, logprobs });
    }

    pub(super) fn part_done(&mut self, place: At<'_>, part: &Part) {
        let done = Done::at(place);
        match part {
            Part::ReasoningText { text } => {
                self.say("response.reasoning_text.done", &Done { text: Some(text), ..done });
            }
            Part::OutputText { text, logprobs, .. } => {
                let done = Done { text: Some(text), logprobs: Some(logprobs), ..done };
                self.say("response.output_text.done", &done);
            }
            Part::Refusal { refusal } => {
                self.say("response.refusal.done", &Done { refusal: Some(refusal), ..done });
            }
        }
        self.say("response.content_part.done", &OfPart { place, part });
    }

    pub(super) fn arguments_delta(&mut self, place: At<'_>, delta: &str) {
        self.say("response.function_call_arguments.delta", &Delta { place, delta, logprobs: None });
    }

    pub(super) fn arguments_done(&mut self, place: At<'_>, call: &Call) {
        let (name, arguments) = (Some(call.name.as_str()), Some(call.arguments.as_str()));
        self.say("response.function_call_arguments.done", &Done { name, arguments, ..Done::at(place) });
    }
}
