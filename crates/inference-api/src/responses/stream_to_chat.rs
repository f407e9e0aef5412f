//! The events of a streamed response as the chunks of a chat completion.

use super::answer_to_chat::{Item, Kind, Response, listed, reasoning};
use crate::chat::chunks::Chunks;
use crate::chat::completion::{AnswerMistake, LogProbs, completion_id};
use crate::lenient::{Count, Field, Text};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::HashSet;

/// A stream under way.
///
/// The first event opens it; `response.completed` and `response.incomplete` end it with how the answer ended, the counts
/// and `[DONE]`, `response.failed` and `error` with an error. An event that repeats what was said says nothing; where it
/// says what was not said before, that is told. Events that are not known say nothing.
#[derive(Debug)]
pub struct StreamToChat {
    chunks: Chunks,
    calls: Vec<Call>,
    /// Parts of which something was said.
    said: HashSet<Spot>,
}

/// Where a part stands: which text of the answer it belongs to, item and part.
type Spot = (Talk, u64, u64);

#[derive(Debug)]
struct Call {
    item: u64,
    /// Its number among the calls.
    index: u64,
    said_more: bool,
}

/// An event of any kind.
#[derive(Debug, Deserialize)]
struct Event<'a> {
    #[serde(default, borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(default)]
    output_index: Count,
    #[serde(default)]
    content_index: Count,
    #[serde(default, borrow)]
    delta: Text<'a>,
    #[serde(default, borrow)]
    text: Text<'a>,
    #[serde(default, borrow)]
    refusal: Text<'a>,
    #[serde(default, borrow)]
    arguments: Text<'a>,
    #[serde(default, borrow)]
    logprobs: Option<&'a RawValue>,
    #[serde(default, borrow)]
    item: Field<Item<'a>>,
    #[serde(default, borrow)]
    response: Field<Response<'a>>,
    #[serde(default, borrow)]
    message: Text<'a>,
}

/// Which text of an answer an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Talk {
    Content,
    Refusal,
    Reasoning,
}

impl StreamToChat {
    /// A stream that has not begun. `created` (seconds since 1970) is for engines that do not say when they answer.
    pub fn new(created: u64) -> Self {
        Self { chunks: Chunks::new(created), calls: Vec::new(), said: HashSet::new() }
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

    /// The engine's stream has ended: without the response that ends an answer it has failed. Gives nothing where the
    /// stream is over.
    pub fn end(&mut self) -> Vec<u8> {
        self.chunks.error("expected the end of the response, found the end of the stream");
        self.chunks.hand_over()
    }

    fn take(&mut self, event: &Event<'_>) {
        let texts = [&event.delta, &event.text, &event.refusal, &event.arguments];
        if texts.into_iter().any(Text::is_odd) {
            return self.fail(&AnswerMistake::Unreadable);
        }
        match event.kind.as_str() {
            "response.created" | "response.in_progress" | "response.queued" => {
                if let Some(response) = event.response.get() {
                    self.name(response);
                }
                self.chunks.begin();
            }
            "response.output_item.added" => self.open(event),
            "response.output_item.done" => self.done(event),
            "response.output_text.delta" => self.say(Talk::Content, event, event.delta.as_str()),
            "response.output_text.done" => self.repeat(Talk::Content, event, event.text.as_str()),
            "response.refusal.delta" => self.say(Talk::Refusal, event, event.delta.as_str()),
            "response.refusal.done" => self.repeat(Talk::Refusal, event, event.refusal.as_str()),
            "response.reasoning_text.delta" => self.say(Talk::Reasoning, event, event.delta.as_str()),
            "response.reasoning_text.done" => self.repeat(Talk::Reasoning, event, event.text.as_str()),
            "response.function_call_arguments.delta" => self.argue(event, event.delta.as_str(), false),
            "response.function_call_arguments.done" => self.argue(event, event.arguments.as_str(), true),
            "response.completed" | "response.incomplete" | "response.failed" => self.finish(event),
            "error" => self.fail(&AnswerMistake::failed(event.message.as_str())),
            _ => {}
        }
    }

    fn name(&mut self, response: &Response<'_>) {
        let id = completion_id("resp_", response.id.as_str());
        let tier = response.service_tier.said();
        self.chunks.name(id, response.model.as_str(), response.created(), tier);
    }

    fn fail(&mut self, mistake: &AnswerMistake) {
        match mistake {
            AnswerMistake::Failed { message } => self.chunks.error(message),
            AnswerMistake::Unreadable | AnswerMistake::Untranslatable { .. } => {
                self.chunks.error(&mistake.to_string());
            }
        }
    }

    fn open(&mut self, event: &Event<'_>) {
        let Some(item) = event.item.get() else { return };
        match Kind::of(item) {
            Ok(Kind::Reasoning | Kind::Message) => {}
            Ok(Kind::Call) => {
                let index = self.chunks.call(item.call_id.as_str(), item.name.as_str());
                self.calls.push(Call { item: event.output_index.or_zero(), index, said_more: false });
                self.argue(event, item.arguments.as_str(), false);
            }
            Err(mistake) => self.fail(&mistake),
        }
    }

    /// More of a text.
    fn say(&mut self, talk: Talk, event: &Event<'_>, text: &str) {
        let logprobs = listed(event.logprobs);
        let logprobs = (!logprobs.is_empty()).then_some(LogProbs { content: logprobs });
        if text.is_empty() && logprobs.is_none() {
            return;
        }
        self.said.extend([talk.spot(event), talk.anywhere(event)]);
        match talk {
            Talk::Content => self.chunks.content(text, logprobs),
            Talk::Refusal => self.chunks.refusal(text),
            Talk::Reasoning => self.chunks.reasoning(text),
        }
    }

    /// A whole text, which is news where no piece of it came.
    fn repeat(&mut self, talk: Talk, event: &Event<'_>, text: &str) {
        if !self.said.contains(&talk.spot(event)) {
            self.say(talk, event, text);
        }
    }

    /// More of the arguments of a call, or all of them, which is news where no piece came.
    fn argue(&mut self, event: &Event<'_>, arguments: &str, whole: bool) {
        let item = event.output_index.or_zero();
        let Some(call) = self.calls.iter_mut().rfind(|call| call.item == item) else { return };
        if arguments.is_empty() || (whole && call.said_more) {
            return;
        }
        call.said_more = true;
        self.chunks.arguments(call.index, arguments);
    }

    /// An item is whole. Of reasoning that is not shown there is a summary.
    fn done(&mut self, event: &Event<'_>) {
        let Some(item) = event.item.get() else { return };
        match Kind::of(item) {
            Ok(Kind::Call) => self.argue(event, item.arguments.as_str(), true),
            Ok(Kind::Reasoning) => {
                if !self.said.contains(&Talk::Reasoning.anywhere(event)) {
                    match reasoning(item) {
                        Ok(text) => self.say(Talk::Reasoning, event, &text),
                        Err(mistake) => self.fail(&mistake),
                    }
                }
            }
            Ok(Kind::Message) | Err(_) => {}
        }
    }

    fn finish(&mut self, event: &Event<'_>) {
        let Some(response) = event.response.get() else { return self.fail(&AnswerMistake::Unreadable) };
        self.name(response);
        match response.finish_reason(self.chunks.calls() > 0) {
            Ok(reason) => self.chunks.end(reason, None, response.usage()),
            Err(mistake) => self.fail(&mistake),
        }
    }
}

impl Talk {
    fn spot(self, event: &Event<'_>) -> Spot {
        (self, event.output_index.or_zero(), event.content_index.or_zero())
    }

    /// In whichever part of the item.
    fn anywhere(self, event: &Event<'_>) -> Spot {
        (self, event.output_index.or_zero(), u64::MAX)
    }
}
