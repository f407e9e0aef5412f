//! The events of a Messages stream as the chunks of a chat completion.

use crate::chat::chunks::Chunks;
use crate::chat::completion::completion_id;
use crate::lenient::{Count, Field, Text};
use crate::messages::answer_to_chat::{
    Answer, Block, Failure, Kind, MessagesUsage, arguments, finish_reason,
};
use serde::Deserialize;

/// A stream under way.
///
/// The first event opens it, `message_stop` ends it with how the answer ended, the counts and `[DONE]`. Signatures,
/// citations, pings and events that are not known say nothing.
#[derive(Debug)]
pub struct StreamToChat {
    chunks: Chunks,
    usage: Option<MessagesUsage>,
    /// Calls that are open.
    open: Vec<Call>,
    stop_reason: Option<String>,
    stop_sequence: Option<String>,
}

/// A call whose block has not been stopped.
#[derive(Debug)]
struct Call {
    block: u64,
    /// Its number among the calls.
    index: u64,
    /// What its start held for arguments, for engines that say them there and nowhere else.
    given: String,
    said_more: bool,
}

/// An event of any kind.
#[derive(Debug, Deserialize)]
struct Event<'a> {
    #[serde(default, borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(default)]
    index: Count,
    #[serde(default, borrow)]
    message: Field<Answer<'a>>,
    #[serde(default, borrow)]
    content_block: Field<Block<'a>>,
    #[serde(default, borrow)]
    delta: Field<EventDelta<'a>>,
    #[serde(default)]
    usage: Field<MessagesUsage>,
    #[serde(default, borrow)]
    error: Field<Failure<'a>>,
}

#[derive(Debug, Deserialize)]
struct EventDelta<'a> {
    #[serde(default, borrow)]
    text: Text<'a>,
    #[serde(default, borrow)]
    thinking: Text<'a>,
    #[serde(default, borrow)]
    partial_json: Text<'a>,
    #[serde(default, borrow)]
    stop_reason: Text<'a>,
    #[serde(default, borrow)]
    stop_sequence: Text<'a>,
}

impl StreamToChat {
    /// A stream that has not begun, of an answer made at `created` (seconds since 1970).
    pub fn new(created: u64) -> Self {
        let (usage, open) = (None, Vec::new());
        Self { chunks: Chunks::new(created), usage, open, stop_reason: None, stop_sequence: None }
    }

    /// Takes the data of one event of the engine and gives the whole events it becomes, none or several.
    pub fn event(&mut self, data: &[u8]) -> Vec<u8> {
        if !self.chunks.is_over()
            && let Ok(Field::Object(event)) = serde_json::from_slice::<Field<Event<'_>>>(data)
        {
            self.take(&event);
        }
        self.chunks.hand_over()
    }

    /// The engine's stream has ended. One that had said how its answer ended is taken for complete; else it has failed.
    /// Gives nothing where `message_stop` or an error has ended the stream.
    pub fn end(&mut self) -> Vec<u8> {
        if !self.chunks.is_over() {
            if self.stop_reason.is_some() {
                self.stop();
            } else {
                self.chunks.error("expected the end of the message, found the end of the stream");
            }
        }
        self.chunks.hand_over()
    }

    fn take(&mut self, event: &Event<'_>) {
        if let Some(usage) = event.message.get().and_then(|message| message.usage.get()).or(event.usage.get())
        {
            self.usage = Some(self.usage.unwrap_or_default().amended(usage));
        }
        match event.kind.as_str() {
            "message_start" => {
                if let Some(message) = event.message.get() {
                    let id = completion_id("msg_", message.id.as_str());
                    self.chunks.name(id, message.model.as_str(), None, None);
                }
                self.chunks.begin();
            }
            "content_block_start" => {
                if let Some(block) = event.content_block.get() {
                    self.start(event.index.or_zero(), block);
                }
            }
            "content_block_delta" => {
                if let Some(delta) = event.delta.get() {
                    self.say(event.index.or_zero(), delta);
                }
            }
            "content_block_stop" => self.close(Some(event.index.or_zero())),
            "message_delta" => {
                if let Some(delta) = event.delta.get() {
                    self.stop_reason = delta.stop_reason.said().map(|word| word.chars().take(64).collect());
                    self.stop_sequence = delta.stop_sequence.said().map(str::to_owned);
                }
            }
            "message_stop" => self.stop(),
            "error" => {
                let message = event.error.get().map_or("", |error| error.message.as_str());
                self.chunks.error(message);
            }
            _ => {}
        }
    }

    fn start(&mut self, number: u64, block: &Block<'_>) {
        match Kind::of(block) {
            Ok(Kind::Text) => self.chunks.content(block.text.as_str(), None),
            Ok(Kind::Thinking) => self.chunks.reasoning(block.thinking.as_str()),
            Ok(Kind::Sealed) => {}
            Ok(Kind::Call) => {
                let index = self.chunks.call(block.id.as_str(), block.name.as_str());
                let given = arguments(block.input).into_owned();
                self.open.push(Call { block: number, index, given, said_more: false });
            }
            Err(mistake) => self.chunks.error(&mistake.to_string()),
        }
    }

    fn say(&mut self, block: u64, delta: &EventDelta<'_>) {
        if delta.thinking.is_odd() || delta.text.is_odd() || delta.partial_json.is_odd() {
            return self.chunks.error("expected text in an event of the engine, found something else");
        }
        self.chunks.reasoning(delta.thinking.as_str());
        self.chunks.content(delta.text.as_str(), None);
        let more = delta.partial_json.as_str();
        if !more.is_empty()
            && let Some(call) = self.open.iter_mut().rfind(|call| call.block == block)
        {
            call.said_more = true;
            self.chunks.arguments(call.index, more);
        }
    }

    /// Ends the calls of a block, or all.
    fn close(&mut self, block: Option<u64>) {
        let over = |call: &mut Call| block.is_none_or(|block| call.block == block);
        for call in self.open.extract_if(.., over) {
            if !call.said_more {
                self.chunks.arguments(call.index, &call.given);
            }
        }
    }

    fn stop(&mut self) {
        self.close(None);
        let reason = finish_reason(self.stop_reason.as_deref().unwrap_or_default(), self.chunks.calls() > 0);
        let usage = self.usage.map(MessagesUsage::to_chat);
        self.chunks.end(reason, self.stop_sequence.as_deref(), usage);
    }
}
