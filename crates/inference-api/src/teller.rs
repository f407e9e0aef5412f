//! How an engine's answer is told on a surface: as it came where caller and engine speak alike, else translated.

use crate::error_body::ErrorBody;
use crate::facts::RequestMistake;
use crate::output::each_output;
use crate::sse::EventScanner;
use crate::surface::{Surface, Words};
use crate::{messages, responses};
use bytes::Bytes;
use serde::Deserialize;
use std::borrow::Cow;

/// A comment, which every reader of server-sent events skips.
const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

/// Most that is told of what an engine says about a request it refuses.
const REASON_CHARS_MAX: usize = 1000;

impl Surface {
    /// Whether caller and engine speak differently.
    pub fn is_translated(self) -> bool {
        self.words() != Words::Engines
    }

    /// The request as an engine is asked it.
    pub fn translate(self, body: &Bytes) -> Result<Bytes, RequestMistake> {
        match self.words() {
            Words::Engines => Ok(body.clone()),
            Words::Messages => messages::to_chat(body).map(Bytes::from),
            Words::Responses => responses::to_chat(body).map(Bytes::from),
        }
    }

    /// Whether its requests can go on from responses that were kept.
    pub fn has_state(self) -> bool {
        self.words() == Words::Responses
    }
}

impl ErrorBody<'_> {
    /// In the shape of the surface. `status`: of the answer it is the body of.
    pub fn told(&self, surface: Surface, status: u16, request: &str) -> Vec<u8> {
        match surface.words() {
            Words::Engines | Words::Responses => self.to_json(),
            Words::Messages => messages::error_body(status, &self.with_hint(), self.code, request),
        }
    }

    /// For surfaces whose errors have one text.
    fn with_hint(&self) -> Cow<'_, str> {
        match &self.hint {
            Some(hint) => Cow::Owned(format!("{} ({hint})", self.message)),
            None => Cow::Borrowed(&self.message),
        }
    }
}

/// Tells the answer to one request.
#[derive(Debug)]
pub struct Teller {
    told: Told,
    /// Bytes of text that were said so far, where they may have to be said again.
    held: usize,
    /// The response that was told whole, if it is to be stored.
    stored: Option<Bytes>,
}

#[derive(Debug)]
enum Told {
    AsItCame,
    /// Streams are made when their first event comes: most of what is kept for one is not needed for a plain answer.
    Messages {
        model: String,
        stream: Option<Box<messages::StreamOfChat>>,
    },
    Responses {
        echo: Box<responses::Echo>,
        stream: Option<Box<responses::StreamOfChat>>,
    },
}

impl Teller {
    /// For a request with this body, as the caller sent it, for this model, as the caller named it.
    pub fn of(surface: Surface, body: &[u8], model: &str) -> Self {
        let told = match surface.words() {
            Words::Engines => Told::AsItCame,
            Words::Messages => Told::Messages { model: model.to_owned(), stream: None },
            Words::Responses => Told::Responses { echo: Box::new(responses::Echo::of(body)), stream: None },
        };
        Self { told, held: 0, stored: None }
    }

    /// Besides, what a response is told of the state it is part of.
    pub fn with_state(mut self, state: responses::State) -> Self {
        if let Told::Responses { echo, .. } = &mut self.told {
            **echo = std::mem::take(&mut **echo).with_state(state);
        }
        self
    }

    /// The response as it was told at its end, if it says there that it is stored: so it has to be before the end is handed
    /// out. Once.
    pub fn take_stored(&mut self) -> Option<Bytes> {
        match &mut self.told {
            Told::Responses { stream: Some(stream), .. } => stream.take_stored().map(Bytes::from),
            _ => self.stored.take(),
        }
    }

    /// Whether the engine's bytes are the caller's.
    pub fn is_verbatim(&self) -> bool {
        matches!(self.told, Told::AsItCame)
    }

    /// A whole answer. `None`: it has to be translated and is not what an engine answers.
    pub fn whole(&mut self, answer: Bytes) -> Option<Bytes> {
        match &self.told {
            Told::AsItCame => Some(answer),
            Told::Messages { model, .. } => messages::answer_of_chat(&answer, model).map(Bytes::from),
            Told::Responses { echo, .. } => {
                let responses::Told { response, stored } = responses::told_of_chat(&answer, echo)?;
                let response = Bytes::from(response);
                self.stored = stored.then(|| response.clone());
                Some(response)
            }
        }
    }

    /// What an engine says of a request that it refuses.
    pub fn rejection(&self, answer: Bytes, status: u16, request: &str) -> Bytes {
        match &self.told {
            Told::AsItCame | Told::Responses { .. } => answer,
            Told::Messages { .. } => {
                Bytes::from(messages::error_body(status, &reason(&answer), "engine", request))
            }
        }
    }

    /// Bytes of the answer that are kept for the events that end a stream, at most.
    pub fn held(&self) -> usize {
        self.held
    }

    /// The last events of an answer that is complete, whether or not its engine said `[DONE]`.
    pub fn last_events(&mut self, events: Bytes) -> Bytes {
        if self.is_verbatim() {
            return events;
        }
        let mut out = self.events(events).to_vec();
        out.extend(self.event(b"[DONE]"));
        Bytes::from(out)
    }

    /// Whole events of a stream: none, one or several. The last may lack its blank line, as the last of a stream does.
    pub fn events(&mut self, events: Bytes) -> Bytes {
        if self.is_verbatim() {
            return events;
        }
        let mut out = Vec::new();
        let mut scanner = EventScanner::new(usize::MAX);
        scanner.push(events);
        while let Ok(Some(event)) = scanner.next_event() {
            out.extend(event.data().map(|data| self.event(&data)).unwrap_or_default());
        }
        if let Some(event) = scanner.finish() {
            out.extend(event.data().map(|data| self.event(&data)).unwrap_or_default());
        }
        Bytes::from(out)
    }

    /// What one event becomes. Both translations say nothing after their end.
    fn event(&mut self, data: &[u8]) -> Vec<u8> {
        each_output(data, |text| self.held = self.held.saturating_add(text.len()));
        match (&mut self.told, data) {
            (Told::AsItCame, _) => Vec::new(),
            (Told::Messages { model, stream }, b"[DONE]") => of_messages(stream, model).end(),
            (Told::Messages { model, stream }, data) => of_messages(stream, model).event(data),
            (Told::Responses { echo, stream }, b"[DONE]") => of_responses(stream, echo).end(),
            (Told::Responses { echo, stream }, data) => of_responses(stream, echo).event(data),
        }
    }

    /// A sign of life while an engine is silent.
    pub fn keep_alive(&self) -> Bytes {
        match &self.told {
            Told::AsItCame | Told::Responses { .. } => Bytes::from_static(KEEP_ALIVE),
            Told::Messages { .. } => Bytes::from_static(messages::PING),
        }
    }

    /// An error inside a stream that has begun.
    pub fn error(&mut self, error: &ErrorBody<'_>, status: u16) -> Bytes {
        Bytes::from(match &mut self.told {
            Told::AsItCame => error.to_event(),
            Told::Messages { model, stream } => {
                of_messages(stream, model).error(messages::error_kind(status), &error.with_hint())
            }
            Told::Responses { echo, stream } => {
                of_responses(stream, echo).error(error.code, &error.with_hint())
            }
        })
    }
}

fn of_messages<'s>(
    stream: &'s mut Option<Box<messages::StreamOfChat>>,
    model: &str,
) -> &'s mut messages::StreamOfChat {
    stream.get_or_insert_with(|| Box::new(messages::StreamOfChat::new(model)))
}

fn of_responses<'s>(
    stream: &'s mut Option<Box<responses::StreamOfChat>>,
    echo: &responses::Echo,
) -> &'s mut responses::StreamOfChat {
    stream.get_or_insert_with(|| Box::new(responses::StreamOfChat::new(echo.clone())))
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(default, borrow)]
    error: Option<WireError<'a>>,
    #[serde(default, borrow)]
    message: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WireError<'a> {
    Text(#[serde(borrow)] Cow<'a, str>),
    Object {
        #[serde(default, borrow)]
        message: Option<Cow<'a, str>>,
    },
}

/// The text of an engine's error, in whichever of the usual shapes.
pub(crate) fn reason(answer: &[u8]) -> String {
    let wire = serde_json::from_slice::<Wire<'_>>(answer).ok();
    let text = wire.and_then(|wire| match wire.error {
        Some(WireError::Text(text)) => Some(text),
        Some(WireError::Object { message }) => message.or(wire.message),
        None => wire.message,
    });
    let text = text.unwrap_or_else(|| String::from_utf8_lossy(answer));
    text.chars().take(REASON_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_of_an_engine_is_found_in_the_usual_shapes() {
        for (answer, expected) in [
            (r#"{"error":{"message":"too long","type":"x"}}"#, "too long"),
            (r#"{"object":"error","message":"too long","code":400}"#, "too long"),
            (r#"{"error":"too long"}"#, "too long"),
            ("too long", "too long"),
        ] {
            assert_eq!(reason(answer.as_bytes()), expected, "{answer}");
        }
    }

    #[test]
    fn what_caller_and_engine_both_speak_is_told_as_it_came() {
        let mut teller = Teller::of(Surface::ChatCompletions, b"{}", "m");
        let odd = Bytes::from_static(b": c\r\n\r\ndata: {\"x\":1.0e0}\n\ndata: [DONE]\n\n");
        assert_eq!(teller.events(odd.clone()), odd);
        assert_eq!(teller.whole(odd.clone()), Some(odd.clone()));
        assert_eq!(teller.rejection(odd.clone(), 400, "req"), odd);
    }

    #[test]
    fn the_events_of_a_stream_may_come_together() {
        let chunks = [
            r#"{"id":"c","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"h"}}]}"#,
            r#"{"id":"c","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"i"},"finish_reason":"stop"}]}"#,
            "[DONE]",
        ];
        let events: Vec<Bytes> = chunks.iter().map(|data| Bytes::from(format!("data: {data}\n\n"))).collect();
        for surface in [Surface::Messages, Surface::Responses] {
            let mut apart = Teller::of(surface, b"{\"model\":\"m\",\"input\":\"x\"}", "m");
            let told: Vec<u8> = events.iter().flat_map(|event| apart.events(event.clone())).collect();
            let mut together = Teller::of(surface, b"{\"model\":\"m\",\"input\":\"x\"}", "m");
            assert_eq!(together.events(Bytes::from(events.concat())), told);
            assert!(told.len() > 200, "{surface:?}");
        }
    }
}
