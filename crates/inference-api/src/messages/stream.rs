//! The chunks of a chat completion as the events of a Messages stream.
//!
//! Messages has one block after the other; chat completions may interleave calls, and text with calls. So what is said
//! stands in a queue of blocks: the first is being streamed, those behind it wait until it is over. A text is over when
//! something else is said; a call is over when its arguments are a whole object. Engines that make one call after the
//! other, all that are known, lose no time by this.

use crate::chat::answer::{ChatAnswer, Choice, ToolCall};
use crate::messages::answer::{Answer, Block, Input};
use crate::messages::ending::{Ending, Usage, message_id, tool_use_id};
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::VecDeque;

/// An event that says nothing, to keep a connection alive while the engine reads the prompt.
pub const PING: &[u8] = b"event: ping\ndata: {\"type\":\"ping\"}\n\n";

/// A stream under way.
///
/// `message_start` has 0 `input_tokens` unless the engine counts from the first chunk on: chat completions tell them
/// last. `message_delta` has all counts; SDKs take them from there.
#[derive(Debug)]
pub struct StreamOfChat {
    model: String,
    id: String,
    progress: Progress,
    queue: VecDeque<Saying>,
    /// Numbers of the blocks and of the calls that come next.
    next_block: u64,
    next_call: usize,
    refused: bool,
    finish_reason: Option<String>,
    stop_sequence: Option<String>,
    usage: Usage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    NotBegun,
    Begun,
    Ended,
}

/// One block, being said.
#[derive(Debug)]
struct Saying {
    kind: Kind,
    /// Its number, once its start was sent.
    block: Option<u64>,
    unsent: String,
}

#[derive(Debug)]
enum Kind {
    Thinking,
    Text,
    /// Shown as text; a block of its own, as in a whole answer.
    Refusal,
    Call(Call),
}

#[derive(Debug)]
struct Call {
    /// In the engine's numbering.
    index: u64,
    id: String,
    name: String,
    /// Arguments so far.
    whole: String,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event<'a> {
    MessageStart { message: Answer<'a> },
    ContentBlockStart { index: u64, content_block: Block<'a> },
    ContentBlockDelta { index: u64, delta: Delta<'a> },
    ContentBlockStop { index: u64 },
    MessageDelta { delta: Ending, usage: Usage },
    MessageStop,
    Error { error: Detail<'a> },
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum Delta<'a> {
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: &'a str },
    #[serde(rename = "text_delta")]
    Text { text: &'a str },
    #[serde(rename = "input_json_delta")]
    InputJson { partial_json: &'a str },
}

#[derive(Serialize)]
struct Detail<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    message: &'a str,
}

impl StreamOfChat {
    /// A stream of the model `as_model` that has not begun.
    pub fn new(as_model: &str) -> Self {
        Self {
            model: as_model.to_owned(),
            id: message_id(None),
            progress: Progress::NotBegun,
            queue: VecDeque::new(),
            next_block: 0,
            next_call: 0,
            refused: false,
            finish_reason: None,
            stop_sequence: None,
            usage: Usage::default(),
        }
    }

    /// Takes the data of one event of the engine and gives the whole events it becomes, none or several.
    ///
    /// Data that is no chunk says nothing and gives nothing. An error of the engine gives an `error` event, and the
    /// stream is over.
    pub fn event(&mut self, data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        if self.progress == Progress::Ended {
            return out;
        }
        let Some(chunk) = ChatAnswer::read(data) else { return out };
        if let Some(usage) = chunk.usage.get() {
            self.usage = Usage::of_chat(usage);
        }
        if let Some(error) = chunk.error()
            && chunk.choices.is_empty()
        {
            return self.error("api_error", if error.is_empty() { "the engine failed" } else { &error });
        }
        if !chunk.choices.is_given() {
            return out;
        }
        self.begin(chunk.id.said(), &mut out);
        // A request has one answer here.
        chunk.first().for_each(|choice| self.hear(choice));
        self.advance(End::NotYet, &mut out);
        out
    }

    /// The end of the engine's stream (`[DONE]`): stops the open block, says what waited, how it ended and the counts.
    /// Gives nothing a second time, or after an error.
    pub fn end(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        if self.progress == Progress::Ended {
            return out;
        }
        self.begin(None, &mut out);
        self.advance(End::Reached, &mut out);
        let finish_reason = self.finish_reason.as_deref();
        let delta = Ending::new(finish_reason, self.stop_sequence.take(), self.next_call > 0, self.refused);
        write(&mut out, &Event::MessageDelta { delta, usage: self.usage });
        write(&mut out, &Event::MessageStop);
        self.progress = Progress::Ended;
        out
    }

    /// An `error` event, after which the stream is over. `kind` is a word of [`crate::messages::error_kind`].
    pub fn error(&mut self, kind: &str, message: &str) -> Vec<u8> {
        self.progress = Progress::Ended;
        let mut out = Vec::new();
        write(&mut out, &Event::Error { error: Detail { kind, message } });
        out
    }

    fn begin(&mut self, id: Option<&str>, out: &mut Vec<u8>) {
        if self.progress != Progress::NotBegun {
            return;
        }
        self.progress = Progress::Begun;
        self.id = message_id(id);
        let message = Answer {
            id: &self.id,
            kind: "message",
            role: "assistant",
            model: &self.model,
            content: Vec::new(),
            stop_reason: None,
            stop_sequence: None,
            usage: self.usage,
        };
        write(out, &Event::MessageStart { message });
    }

    fn hear(&mut self, choice: &Choice<'_>) {
        if let Some(said) = choice.delta.get() {
            self.say(Kind::Thinking, said.reasoning());
            self.say(Kind::Text, said.content());
            self.say(Kind::Refusal, said.refusal());
            self.refused |= !said.refusal().is_empty();
            said.tool_calls.iter().for_each(|call| self.call(call));
        }
        if let Some(reason) = choice.finish_reason.said() {
            self.finish_reason = Some(reason.chars().take(64).collect());
            self.stop_sequence = choice.stop_sequence();
        }
    }

    /// Adds to the last block, if it is of this kind, or puts a new one behind it.
    fn say(&mut self, kind: Kind, text: &str) {
        if text.is_empty() {
            return;
        }
        match self.queue.back_mut() {
            Some(last) if std::mem::discriminant(&last.kind) == std::mem::discriminant(&kind) => {
                last.unsent.push_str(text);
            }
            _ => self.queue.push_back(Saying { kind, block: None, unsent: text.to_owned() }),
        }
    }

    fn call(&mut self, called: &ToolCall<'_>) {
        let index = called.index.or_zero();
        let arguments = called.arguments();
        let known = self.queue.iter_mut().rev().find_map(|saying| saying.as_call(index));
        if let Some((call, unsent)) = known
            && !call.is_another(called)
        {
            if call.name.is_empty() {
                called.name().clone_into(&mut call.name);
            }
            call.whole.push_str(&arguments);
            unsent.push_str(&arguments);
            return;
        }
        if called.name().is_empty() && called.id().is_empty() {
            // More of a call whose arguments were whole: white space, from an engine in its right mind.
            return;
        }
        let id = tool_use_id(called.id(), &self.id, self.next_call);
        self.next_call += 1;
        let call = Call { index, id, name: called.name().to_owned(), whole: arguments.clone().into_owned() };
        self.queue.push_back(Saying { kind: Kind::Call(call), block: None, unsent: arguments.into_owned() });
    }

    /// Sends what can be sent of the queue.
    fn advance(&mut self, end: End, out: &mut Vec<u8>) {
        loop {
            let last = self.queue.len() <= 1;
            let Some(first) = self.queue.front_mut() else { return };
            if !first.send(&mut self.next_block, end, out) {
                return;
            }
            let over = match end {
                End::Reached => true,
                End::NotYet => !last && first.is_over(),
            };
            if !over {
                return;
            }
            if let Some(index) = first.block {
                write(out, &Event::ContentBlockStop { index });
            }
            self.queue.pop_front();
        }
    }
}

/// Whether the engine has said all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    NotYet,
    Reached,
}

impl Saying {
    fn as_call(&mut self, index: u64) -> Option<(&mut Call, &mut String)> {
        match &mut self.kind {
            Kind::Call(call) if call.index == index => Some((call, &mut self.unsent)),
            Kind::Call(_) | Kind::Thinking | Kind::Text | Kind::Refusal => None,
        }
    }

    /// Starts the block if it has not been started, and sends what has come of it. False when it cannot be started yet:
    /// a call is named in its start.
    fn send(&mut self, next_block: &mut u64, end: End, out: &mut Vec<u8>) -> bool {
        let index = match self.block {
            Some(index) => index,
            None if self.is_nameless() && end == End::NotYet => return false,
            None => {
                let index = *next_block;
                *next_block += 1;
                self.block = Some(index);
                write(out, &Event::ContentBlockStart { index, content_block: self.opening() });
                index
            }
        };
        if !self.unsent.is_empty() {
            let delta = match self.kind {
                Kind::Thinking => Delta::Thinking { thinking: &self.unsent },
                Kind::Text | Kind::Refusal => Delta::Text { text: &self.unsent },
                Kind::Call(_) => Delta::InputJson { partial_json: &self.unsent },
            };
            write(out, &Event::ContentBlockDelta { index, delta });
            self.unsent.clear();
        }
        true
    }

    fn is_nameless(&self) -> bool {
        matches!(&self.kind, Kind::Call(call) if call.name.is_empty())
    }

    fn opening(&self) -> Block<'_> {
        match &self.kind {
            Kind::Thinking => Block::Thinking { thinking: "", signature: "" },
            Kind::Text | Kind::Refusal => Block::Text { text: "" },
            Kind::Call(call) => {
                Block::ToolUse { id: call.id.clone(), name: &call.name, input: Input::None {} }
            }
        }
    }

    /// Whether nothing more of this block can come, given that something else has begun.
    fn is_over(&self) -> bool {
        match &self.kind {
            Kind::Thinking | Kind::Text | Kind::Refusal => true,
            Kind::Call(call) => {
                call.whole.trim_end().ends_with('}') && serde_json::from_str::<&RawValue>(&call.whole).is_ok()
            }
        }
    }
}

impl Call {
    /// Some engines number all their calls 0; then another id and another name make another call. An id alone does
    /// not: others invent one for every chunk.
    fn is_another(&self, called: &ToolCall<'_>) -> bool {
        !called.id().is_empty() && !called.name().is_empty() && called.id() != self.id
    }
}

fn write(out: &mut Vec<u8>, event: &Event<'_>) {
    let name = match event {
        Event::MessageStart { .. } => "message_start",
        Event::ContentBlockStart { .. } => "content_block_start",
        Event::ContentBlockDelta { .. } => "content_block_delta",
        Event::ContentBlockStop { .. } => "content_block_stop",
        Event::MessageDelta { .. } => "message_delta",
        Event::MessageStop => "message_stop",
        Event::Error { .. } => "error",
    };
    let data = serde_json::to_vec(event).unwrap_or_default();
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    out.extend_from_slice(&data);
    out.extend_from_slice(b"\n\n");
}
