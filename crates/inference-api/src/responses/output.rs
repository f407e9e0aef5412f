//! The output of a response while it comes into being.
//!
//! Invariants:
//! - an item keeps the index it was added with;
//! - of reasoning and messages at most one is open: the next one closes it, as in OpenAI's own streams. Calls stay open to
//!   the end: engines may go back and forth between them.

use super::events::{At, Events};
use super::items::{Call, Item, Kind, Part, Status};
use crate::chat::answer::ToolCall;

/// Items so far.
#[derive(Debug)]
pub(super) struct Output {
    /// What ids of items are made of.
    pub(super) name: String,
    pub(super) items: Vec<Item>,
    pub(super) events: Events,
}

impl Output {
    pub(super) fn new(listened_to: bool) -> Self {
        Self { name: String::new(), items: Vec::new(), events: Events::new(listened_to) }
    }

    /// Goes on with reasoning or a message by what `said` says.
    pub(super) fn say(&mut self, said: &Part) {
        let at = self.open_talk(matches!(said, Part::ReasoningText { .. }));
        let Self { items, events, .. } = self;
        let Some(item) = items.get_mut(at) else { return };
        let (Kind::Reasoning(parts) | Kind::Message(parts)) = &mut item.kind else { return };
        let place = |parts: usize| At {
            item_id: &item.id,
            output_index: at,
            content_index: Some(parts.saturating_sub(1)),
        };
        if !parts.last_mut().is_some_and(|part| part.grow(said)) {
            if let Some(part) = parts.last() {
                events.part_done(place(parts.len()), part);
            }
            let mut part = said.emptied();
            events.part_added(place(parts.len() + 1), &part);
            part.grow(said);
            parts.push(part);
        }
        events.part_delta(place(parts.len()), said);
    }

    /// Whether a text is open, to which log probabilities without a text of their own belong.
    pub(super) fn in_text(&self) -> bool {
        self.talk().is_some_and(|(_, item)| match &item.kind {
            Kind::Message(parts) => matches!(parts.last(), Some(Part::OutputText { .. })),
            Kind::Reasoning(_) | Kind::Call(_) => false,
        })
    }

    /// Goes on with a call. `position` is its place in the list it came in, for engines that do not number their calls.
    pub(super) fn call(&mut self, position: u64, piece: &ToolCall<'_>) {
        let index = piece.index.0.unwrap_or(position);
        let at = match self.open_call(index, piece.id()) {
            Some(at) => {
                self.add_to_name(at, piece.name());
                at
            }
            None => {
                self.close_talk();
                let call_id = match piece.id() {
                    "" => format!("call_{}_{}", self.name, self.items.len()),
                    id => id.to_owned(),
                };
                let name = piece.name().to_owned();
                self.open("fc", Kind::Call(Call { index, call_id, name, arguments: String::new() }))
            }
        };
        self.add_to_arguments(at, &piece.arguments());
    }

    /// The open call an engine means by `index`. Some number all their calls zero: a new id is a new call.
    fn open_call(&self, index: u64, id: &str) -> Option<usize> {
        self.items.iter().rposition(|item| match &item.kind {
            Kind::Call(call) => {
                item.status == Status::InProgress
                    && call.index == index
                    && (id.is_empty() || id == call.call_id)
            }
            Kind::Reasoning(_) | Kind::Message(_) => false,
        })
    }

    /// Some engines repeat the whole name in every piece.
    fn add_to_name(&mut self, at: usize, more: &str) {
        if let Some(Item { kind: Kind::Call(call), .. }) = self.items.get_mut(at)
            && call.name != more
        {
            call.name.push_str(more);
        }
    }

    fn add_to_arguments(&mut self, at: usize, delta: &str) {
        let Some(Item { id, kind: Kind::Call(call), .. }) = self.items.get_mut(at) else { return };
        if delta.is_empty() {
            return;
        }
        call.arguments.push_str(delta);
        let place = At { item_id: id, output_index: at, content_index: None };
        self.events.arguments_delta(place, delta);
    }

    /// The reasoning or the message that is open.
    fn talk(&self) -> Option<(usize, &Item)> {
        let is_talk = |item: &&Item| match item.kind {
            Kind::Reasoning(_) | Kind::Message(_) => item.status == Status::InProgress,
            Kind::Call(_) => false,
        };
        self.items.iter().enumerate().rfind(|(_, item)| is_talk(item))
    }

    /// Where what is said next belongs: an item is opened when there is none for it.
    fn open_talk(&mut self, reasons: bool) -> usize {
        if let Some((at, item)) = self.talk()
            && reasons == matches!(item.kind, Kind::Reasoning(_))
        {
            return at;
        }
        self.close_talk();
        let (prefix, kind) =
            if reasons { ("rs", Kind::Reasoning(Vec::new())) } else { ("msg", Kind::Message(Vec::new())) };
        self.open(prefix, kind)
    }

    fn close_talk(&mut self) {
        if let Some((at, _)) = self.talk() {
            self.close_item(at, Status::Completed);
        }
    }

    fn open(&mut self, prefix: &str, kind: Kind) -> usize {
        let output_index = self.items.len();
        let id = format!("{prefix}_{}_{output_index}", self.name);
        let item = Item { id, status: Status::InProgress, kind };
        self.events.item_added(output_index, &item);
        self.items.push(item);
        output_index
    }

    fn close_item(&mut self, at: usize, status: Status) {
        let Some(item) = self.items.get_mut(at) else { return };
        if item.status != Status::InProgress {
            return;
        }
        item.status = status;
        let place = |content_index| At { item_id: &item.id, output_index: at, content_index };
        match &item.kind {
            Kind::Reasoning(parts) | Kind::Message(parts) => {
                if let Some(part) = parts.last() {
                    self.events.part_done(place(Some(parts.len().saturating_sub(1))), part);
                }
            }
            Kind::Call(call) => self.events.arguments_done(place(None), call),
        }
        self.events.item_done(at, item);
    }

    /// Closes all that is open. What the end of the answer cut off is the last item.
    pub(super) fn close(&mut self, last: Status) {
        let count = self.items.len();
        for at in 0..count {
            self.close_item(at, if at + 1 == count { last } else { Status::Completed });
        }
    }

    /// Says of what is open that nobody will end it.
    pub(super) fn abandon(&mut self) {
        let open = self.items.iter_mut().filter(|item| item.status == Status::InProgress);
        open.for_each(|item| item.status = Status::Incomplete);
    }
}
