//! How an engine is spoken to: in chat completions, as nearly all are, or in the words of another surface.
//!
//! What it is for: the pipeline speaks of chat completions alone. Of an engine that does not, requests are said in its
//! words last, when it is asked, and its answers are chat completions from the moment they are heard.

use crate::chat::completion::AnswerMistake;
use crate::error_body::ErrorBody;
use crate::facts::RequestMistake;
use crate::sse::{Event, EventScanner, EventTooLarge};
use crate::surface::{Call, Surface};
use crate::teller::reason;
use crate::{messages, responses};
use bytes::Bytes;

/// What an engine speaks where chat is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dialect {
    #[default]
    ChatCompletions,
    /// Anthropic's Messages.
    Messages,
    /// OpenAI's Responses.
    Responses,
}

impl Dialect {
    /// Where the engine is asked.
    pub fn path(self, call: Call) -> &'static str {
        match (self, call) {
            (Self::Messages, Call::Chat) => Surface::Messages.path(),
            (Self::Responses, Call::Chat) => Surface::Responses.path(),
            (_, call) => call.path(),
        }
    }

    /// The request, said in chat completions before, as this engine is asked it. `max_tokens`: of an answer, where the
    /// request does not say and the engine wants to know.
    ///
    /// # Errors
    ///
    /// [`RequestMistake::Unsayable`] for what it has no words for: completions of a text among it.
    pub fn ask(self, call: Call, body: &Bytes, max_tokens: u64) -> Result<Bytes, RequestMistake> {
        match (self, call) {
            (Self::ChatCompletions, _) => Ok(body.clone()),
            (Self::Messages, Call::Chat) => messages::of_chat(body, max_tokens).map(Bytes::from),
            (Self::Responses, Call::Chat) => responses::of_chat(body).map(Bytes::from),
            (_, call) => Err(RequestMistake::Unsayable {
                words: self.name(),
                path: call.input_field().to_owned(),
                found: "another call than chat".to_owned(),
            }),
        }
    }

    /// A whole answer as a chat completion, made at `created` (seconds since 1970).
    pub fn hear(self, answer: Bytes, created: u64) -> Result<Bytes, AnswerMistake> {
        match self {
            Self::ChatCompletions => Ok(answer),
            Self::Messages => messages::answer_to_chat(&answer, created).map(Bytes::from),
            Self::Responses => responses::answer_to_chat(&answer).map(Bytes::from),
        }
    }

    /// What the engine says of a request that it refuses, as engines of chat completions say it.
    pub fn hear_rejection(self, answer: Bytes) -> Bytes {
        match self {
            // The errors of Responses are those of chat completions.
            Self::ChatCompletions | Self::Responses => answer,
            Self::Messages => {
                let (kind, code) = ("invalid_request_error", "engine");
                let error = ErrorBody { message: reason(&answer), kind, param: None, code, hint: None };
                Bytes::from(error.to_json())
            }
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::ChatCompletions => "chat completions",
            Self::Messages => "Messages",
            Self::Responses => "Responses",
        }
    }
}

/// The events of an engine's stream, as those of a chat completion.
#[derive(Debug)]
pub struct EngineEvents {
    /// Of chat completions, as they came or as they were translated.
    heard: EventScanner,
    translation: Option<Translation>,
}

#[derive(Debug)]
struct Translation {
    said: EventScanner,
    stream: Box<Stream>,
}

#[derive(Debug)]
enum Stream {
    Messages(messages::StreamToChat),
    Responses(responses::StreamToChat),
}

impl EngineEvents {
    /// `event_bytes_max`: of one event, in either words; `created`: see [`Dialect::hear`].
    pub fn new(dialect: Dialect, event_bytes_max: usize, created: u64) -> Self {
        let stream = match dialect {
            Dialect::ChatCompletions => None,
            Dialect::Messages => Some(Stream::Messages(messages::StreamToChat::new(created))),
            Dialect::Responses => Some(Stream::Responses(responses::StreamToChat::new(created))),
        };
        let scanner = || EventScanner::new(event_bytes_max);
        let translation = stream.map(|stream| Translation { said: scanner(), stream: Box::new(stream) });
        Self { heard: scanner(), translation }
    }

    pub fn push(&mut self, chunk: Bytes) {
        match &mut self.translation {
            None => self.heard.push(chunk),
            Some(translation) => translation.said.push(chunk),
        }
    }

    /// The next event that is complete.
    pub fn next_event(&mut self) -> Result<Option<Event>, EventTooLarge> {
        loop {
            if let Some(event) = self.heard.next_event()? {
                return Ok(Some(event));
            }
            let Some(translation) = &mut self.translation else { return Ok(None) };
            let Some(event) = translation.said.next_event()? else { return Ok(None) };
            if let Some(told) = translation.stream.event(&event) {
                self.heard.push(told);
            }
        }
    }

    /// The stream has ended. What its end says in other words are the next events.
    pub fn end(&mut self) {
        let Some(Translation { said, mut stream }) = self.translation.take() else { return };
        if let Some(told) = said.finish().and_then(|event| stream.event(&event)) {
            self.heard.push(told);
        }
        self.heard.push(Bytes::from(stream.end()));
    }

    /// What was no whole event when the stream ended.
    pub fn finish(self) -> Bytes {
        self.heard.finish().map(|event| event.raw).unwrap_or_default()
    }
}

impl Stream {
    fn event(&mut self, event: &Event) -> Option<Bytes> {
        let data = event.data()?;
        Some(Bytes::from(match self {
            Self::Messages(stream) => stream.event(&data),
            Self::Responses(stream) => stream.event(&data),
        }))
    }

    fn end(&mut self) -> Vec<u8> {
        match self {
            Self::Messages(stream) => stream.end(),
            Self::Responses(stream) => stream.end(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"m\",\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\n: ping\n\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"hi\"}}\n\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":2}}\n\ndata: {\"type\":\"message_stop\"}";

    fn heard(dialect: Dialect, said: &str, cut: usize) -> String {
        let mut events = EngineEvents::new(dialect, 1 << 20, 7);
        let mut heard = Vec::new();
        let mut take = |events: &mut EngineEvents| {
            while let Some(event) = events.next_event().unwrap() {
                heard.extend_from_slice(&event.raw);
            }
        };
        for piece in said.as_bytes().chunks(cut) {
            events.push(Bytes::copy_from_slice(piece));
            take(&mut events);
        }
        events.end();
        take(&mut events);
        heard.extend_from_slice(&events.finish());
        String::from_utf8(heard).unwrap()
    }

    #[test]
    fn a_stream_of_messages_is_heard_as_chat_however_it_is_cut() {
        let whole = heard(Dialect::Messages, SAID, SAID.len());
        assert!(whole.contains("\"content\":\"hi\"") && whole.contains("\"prompt_tokens\":3"), "{whole}");
        assert!(whole.contains("\"completion_tokens\":2") && whole.trim_end().ends_with("[DONE]"), "{whole}");
        for cut in [1, 2, 7, 64] {
            assert_eq!(heard(Dialect::Messages, SAID, cut), whole, "{cut}");
        }
    }

    #[test]
    fn a_stream_that_breaks_off_says_so_and_does_not_say_done() {
        let (begun, _) = SAID.split_once("data: {\"type\":\"message_delta\"").unwrap();
        let told = heard(Dialect::Messages, begun, 5);
        assert!(told.contains("\"error\"") && !told.contains("[DONE]"), "{told}");
    }

    #[test]
    fn what_engines_of_chat_completions_say_is_handed_on_as_it_came() {
        let odd = ": c\r\n\r\ndata: {\"x\":1.0e0}\n\ndata: [DONE]\n\nno event";
        assert_eq!(heard(Dialect::ChatCompletions, odd, 3), odd);
        let body = Bytes::from_static(b"{\"x\":1.0e0}");
        assert_eq!(Dialect::ChatCompletions.ask(Call::Completion, &body, 9), Ok(body));
    }

    #[test]
    fn completions_of_a_text_have_no_words_in_messages() {
        let asked = Dialect::Messages.ask(Call::Completion, &Bytes::from_static(b"{}"), 9);
        assert!(matches!(asked, Err(RequestMistake::Unsayable { words: "Messages", .. })), "{asked:?}");
    }
}
