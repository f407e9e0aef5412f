//! Answers of chat completions as responses: whole, and as a stream of events.

use super::echo::Echo;
use super::items::{LogProb, LogProbs, Part};
use super::output::Output;
use super::response::{Ending, Head, Response, ResponseUsage, Written};
use crate::chat::answer::{ChatAnswer, Choice, Message};
use serde::Serialize;
use serde_json::value::RawValue;

/// Longest name taken from the id of an answer; those of engines are below fifty.
const NAME_CHARS_MAX: usize = 64;

/// A whole answer of chat completions (`CreateChatCompletionResponse`) as a response (`Response`), as JSON. `None` where
/// `body` is not an answer with a first choice: then nobody can say what was generated.
///
/// The response has the id of the answer with `resp_` for `chatcmpl-`, or the one it is to be stored under; its items
/// are numbered behind it (`rs_…_0`, `msg_…_1`, `fc_…_2`), as in a stream.
pub fn answer_of_chat(body: &[u8], echo: &Echo) -> Option<Vec<u8>> {
    told_of_chat(body, echo).map(|told| told.response)
}

/// A whole response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// As JSON.
    pub response: Vec<u8>,
    /// It says that it is stored, so it has to be before it is handed out.
    pub stored: bool,
}

/// As [`answer_of_chat`], and whether the response is to be stored.
pub fn told_of_chat(body: &[u8], echo: &Echo) -> Option<Told> {
    let chat = ChatAnswer::read(body)?;
    if chat.error().is_some() {
        return None;
    }
    chat.answer()?;
    let mut answer = Answer::new(false);
    answer.take(&chat, echo);
    let ending = answer.end_output();
    let Answer { output, head, usage, .. } = &answer;
    let response = Response::new(&output.name, head, echo, &output.items);
    let Written { json, stored } = response.ended(&ending, usage.as_ref()).written()?;
    Some(Told { response: String::from(Box::<str>::from(json)).into_bytes(), stored })
}

/// Turns the chunks of a streamed chat completion (`CreateChatCompletionStreamResponse`) into the events of a streamed
/// response (`ResponseStreamEvent`): whole server-sent events, numbered without a gap.
///
/// The first chunk opens the stream (`response.created`, `response.in_progress`), [`StreamOfChat::end`] or
/// [`StreamOfChat::error`] ends it; afterwards there are no more events. A chunk that reports an error, or is none, ends
/// it like [`StreamOfChat::error`].
///
/// The events that end parts, items and the response repeat what was said, so all of it is held until then: bound the size
/// of the answer before it comes here.
#[derive(Debug)]
pub struct StreamOfChat {
    echo: Echo,
    answer: Answer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Waiting,
    Open,
    Ended,
}

#[derive(Serialize)]
struct OfResponse<'a> {
    response: &'a RawValue,
}

#[derive(Serialize)]
struct ErrorEvent<'a> {
    code: &'a str,
    message: &'a str,
    param: Option<&'a str>,
}

impl StreamOfChat {
    pub fn new(echo: Echo) -> Self {
        Self { echo, answer: Answer::new(true) }
    }

    /// Takes the data of one event of the chat stream, `[DONE]` excepted.
    pub fn event(&mut self, data: &[u8]) -> Vec<u8> {
        if self.answer.stage == Stage::Ended {
            return Vec::new();
        }
        let Some(chat) = ChatAnswer::read(data) else {
            return self.error("server_error", "expected a chunk of a chat completion, found something else");
        };
        self.answer.take(&chat, &self.echo);
        match chat.error().as_deref() {
            Some("") => self.error("server_error", "the engine reported an error without saying which"),
            Some(error) => self.error("server_error", error),
            None => self.answer.output.events.hand_over(),
        }
    }

    /// The response as its last event told it, if it says there that it is stored: so it has to be before that event is
    /// handed out. Once.
    pub fn take_stored(&mut self) -> Option<Vec<u8>> {
        self.answer.stored.take()
    }

    /// The stream has ended as it should, with `[DONE]`: closes what is open and gives the whole response. A stream
    /// without a single chunk has failed.
    pub fn end(&mut self) -> Vec<u8> {
        match self.answer.stage {
            Stage::Waiting => self.error("server_error", "expected an answer of the engine, found none"),
            Stage::Open => {
                let ending = self.answer.end_output();
                self.answer.tell_end(&self.echo, &ending);
                self.answer.output.events.hand_over()
            }
            Stage::Ended => Vec::new(),
        }
    }

    /// The stream cannot go on: an `error` event, and the response so far as one that failed. `code` is a word for software;
    /// in the response it becomes one of those the API defines, `server_error` where it is none of them.
    pub fn error(&mut self, code: &str, message: &str) -> Vec<u8> {
        if self.answer.stage == Stage::Ended {
            return Vec::new();
        }
        self.answer.begin(&self.echo);
        self.answer.output.abandon();
        self.answer.output.events.say("error", &ErrorEvent { code, message, param: None });
        self.answer.tell_end(&self.echo, &Ending::failed(code, message.to_owned()));
        self.answer.output.events.hand_over()
    }
}

/// An answer so far.
#[derive(Debug)]
struct Answer {
    stage: Stage,
    head: Head,
    output: Output,
    finish_reason: Option<String>,
    usage: Option<ResponseUsage>,
    /// Log probabilities whose text is still to come: a character may take several tokens.
    early: Vec<LogProb>,
    /// The response that ended the stream and is to be stored.
    stored: Option<Vec<u8>>,
}

impl Answer {
    fn new(listened_to: bool) -> Self {
        let output = Output::new(listened_to);
        let (head, finish_reason, usage, early) = (Head::default(), None, None, Vec::new());
        Self { stage: Stage::Waiting, head, output, finish_reason, usage, early, stored: None }
    }

    /// Takes a whole answer, or a chunk of one.
    fn take(&mut self, chat: &ChatAnswer<'_>, echo: &Echo) {
        if self.stage == Stage::Waiting {
            self.output.name = name_in(echo, chat.id.as_str());
            self.head.created = chat.created();
            self.head.model = chat.model.said().filter(|model| !model.is_empty()).map(str::to_owned);
            self.head.service_tier = chat.service_tier.said().map(str::to_owned);
            self.begin(echo);
        }
        self.usage = chat.usage.get().map(ResponseUsage::of).or(self.usage.take());
        chat.first().for_each(|choice| self.take_choice(choice));
    }

    fn take_choice(&mut self, choice: &Choice<'_>) {
        if let Some(said) = choice.message.get().or(choice.delta.get()) {
            self.hear(said, choice);
        }
        if self.finish_reason.is_none() {
            self.finish_reason = choice.finish_reason.said().map(str::to_owned);
        }
    }

    /// What one chunk says, in the order a response has: reasoning, text, refusal, calls.
    fn hear(&mut self, said: &Message<'_>, choice: &Choice<'_>) {
        let (reasoning, content) = (said.reasoning(), said.content());
        // Some engines give log probabilities of reasoning and calls too; a response has a place for those of texts alone.
        if !content.is_empty() || (reasoning.is_empty() && said.tool_calls.is_empty()) {
            self.early.extend(logprobs(choice));
        }
        if !reasoning.is_empty() {
            self.output.say(&Part::ReasoningText { text: reasoning.to_owned() });
        }
        if !content.is_empty() || (!self.early.is_empty() && self.output.in_text()) {
            let logprobs = std::mem::take(&mut self.early);
            self.output.say(&Part::text(content.to_owned(), logprobs));
        }
        if !said.refusal().is_empty() {
            self.output.say(&Part::Refusal { refusal: said.refusal().to_owned() });
        }
        for (position, call) in (0..).zip(said.tool_calls.iter()) {
            self.output.call(position, call);
        }
    }

    fn begin(&mut self, echo: &Echo) {
        if self.stage != Stage::Waiting {
            return;
        }
        self.stage = Stage::Open;
        if self.output.name.is_empty() {
            self.output.name = name_in(echo, "");
        }
        for kind in ["response.created", "response.in_progress"] {
            self.tell(kind, echo, None);
        }
    }

    fn end_output(&mut self) -> Ending {
        let ending = Ending::of(self.finish_reason.as_deref());
        self.output.close(ending.of_last_item());
        ending
    }

    fn tell_end(&mut self, echo: &Echo, ending: &Ending) {
        self.tell(ending.event(), echo, Some(ending));
        self.stage = Stage::Ended;
    }

    fn tell(&mut self, kind: &'static str, echo: &Echo, ending: Option<&Ending>) {
        let Output { name, items, events } = &mut self.output;
        let response = Response::new(name, &self.head, echo, items);
        let response = match ending {
            Some(ending) => response.ended(ending, self.usage.as_ref()),
            None => response,
        };
        // The only errors are values that are not JSON, and all of these were read from JSON.
        let Some(Written { json, stored }) = response.written() else { return };
        events.say(kind, &OfResponse { response: &json });
        if ending.is_some() && stored {
            self.stored = Some(String::from(Box::<str>::from(json)).into_bytes());
        }
    }
}

/// Those of the text. Of the refusal a response has no place for them.
fn logprobs(choice: &Choice<'_>) -> Vec<LogProb> {
    let read = choice.logprobs.and_then(|raw| serde_json::from_str::<LogProbs>(raw.get()).ok());
    read.and_then(|read| read.content).unwrap_or_default()
}

/// What a response and its items are called.
fn name_in(echo: &Echo, id: &str) -> String {
    match &echo.state().stored {
        Some(stored) => stored.name.clone(),
        None => name_of(id),
    }
}

/// What an id of an answer has behind its kind (`chatcmpl-`, `cmpl-`), with nothing that would need escapes.
fn name_of(id: &str) -> String {
    let name = id.strip_prefix("chatcmpl-").unwrap_or(id);
    let safe = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name: String = name.chars().filter(safe).take(NAME_CHARS_MAX).collect();
    if name.is_empty() { "0".to_owned() } else { name }
}
