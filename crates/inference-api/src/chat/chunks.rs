//! The chunks of a streamed chat completion (`CreateChatCompletionStreamResponse`), as they are written.

use super::completion::{LogProbs, Usage};
use serde::Serialize;
use serde_json::Number;

/// A stream being written. Chunks that were not handed over yet wait here.
#[derive(Debug)]
pub(crate) struct Chunks {
    id: String,
    created: Number,
    model: String,
    service_tier: Option<String>,
    progress: Progress,
    /// Calls so far.
    calls: u64,
    out: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    NotBegun,
    Begun,
    Ended,
}

/// What a chunk adds.
#[derive(Debug, Default, Serialize)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[CallDelta<'a>; 1]>,
}

#[derive(Debug, Serialize)]
struct CallDelta<'a> {
    index: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    function: FunctionDelta<'a>,
}

#[derive(Debug, Serialize)]
struct FunctionDelta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    arguments: &'a str,
}

#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: &'a Number,
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'a str>,
    choices: &'a [Choice<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u64,
    delta: Delta<'a>,
    logprobs: Option<LogProbs<'a>>,
    finish_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_reason: Option<&'a str>,
}

#[derive(Serialize)]
struct Failure<'a> {
    error: Detail<'a>,
}

#[derive(Serialize)]
struct Detail<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    param: Option<&'a str>,
    code: Option<&'a str>,
}

impl Chunks {
    pub(crate) fn new(created: u64) -> Self {
        Self {
            id: "chatcmpl-unnamed".to_owned(),
            created: created.into(),
            model: String::new(),
            service_tier: None,
            progress: Progress::NotBegun,
            calls: 0,
            out: Vec::new(),
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.progress == Progress::Ended
    }

    /// The number of calls so far.
    pub(crate) fn calls(&self) -> u64 {
        self.calls
    }

    /// Names the stream, if it has not begun.
    pub(crate) fn name(&mut self, id: String, model: &str, created: Option<Number>, tier: Option<&str>) {
        if self.progress == Progress::NotBegun {
            model.clone_into(&mut self.model);
            self.id = id;
            self.created = created.unwrap_or_else(|| self.created.clone());
            self.service_tier = tier.map(str::to_owned);
        }
    }

    /// The first chunk, which says who speaks.
    pub(crate) fn begin(&mut self) {
        if self.progress == Progress::NotBegun {
            self.progress = Progress::Begun;
            self.choice(
                Delta { role: Some("assistant"), content: Some(""), ..Delta::default() },
                None,
                None,
                None,
            );
        }
    }

    pub(crate) fn reasoning(&mut self, text: &str) {
        self.say(Delta { reasoning_content: Some(text), ..Delta::default() }, None, text);
    }

    pub(crate) fn content(&mut self, text: &str, logprobs: Option<LogProbs<'_>>) {
        self.say(Delta { content: Some(text), ..Delta::default() }, logprobs, text);
    }

    pub(crate) fn refusal(&mut self, text: &str) {
        self.say(Delta { refusal: Some(text), ..Delta::default() }, None, text);
    }

    /// An empty text is nothing said, unless it has log probabilities.
    fn say(&mut self, delta: Delta<'_>, logprobs: Option<LogProbs<'_>>, text: &str) {
        if !text.is_empty() || logprobs.is_some() {
            self.begin();
            self.choice(delta, logprobs, None, None);
        }
    }

    /// Begins a call and gives its number.
    pub(crate) fn call(&mut self, id: &str, name: &str) -> u64 {
        let index = self.calls;
        self.calls += 1;
        let function = FunctionDelta { name: Some(name), arguments: "" };
        let call = CallDelta { index, id: Some(id), kind: Some("function"), function };
        self.add(call);
        index
    }

    pub(crate) fn arguments(&mut self, index: u64, arguments: &str) {
        let call =
            CallDelta { index, id: None, kind: None, function: FunctionDelta { name: None, arguments } };
        self.add(call);
    }

    fn add(&mut self, call: CallDelta<'_>) {
        self.begin();
        self.choice(Delta { tool_calls: Some([call]), ..Delta::default() }, None, None, None);
    }

    /// How the answer ended, the counts, and `[DONE]`.
    pub(crate) fn end(&mut self, finish_reason: &'static str, met: Option<&str>, usage: Option<Usage>) {
        self.begin();
        self.choice(Delta::default(), None, Some(finish_reason), met);
        if usage.is_some() {
            self.chunk(&[], usage);
        }
        self.out.extend_from_slice(b"data: [DONE]\n\n");
        self.progress = Progress::Ended;
    }

    /// An error inside a stream, after which there is nothing more, not even a `[DONE]`.
    pub(crate) fn error(&mut self, message: &str) {
        if self.is_over() {
            return;
        }
        self.progress = Progress::Ended;
        let message = if message.is_empty() { "the engine failed" } else { message };
        self.event(&Failure { error: Detail { message, kind: "server_error", param: None, code: None } });
    }

    pub(crate) fn hand_over(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    fn choice(
        &mut self,
        delta: Delta<'_>,
        logprobs: Option<LogProbs<'_>>,
        finish_reason: Option<&'static str>,
        stop_reason: Option<&str>,
    ) {
        self.chunk(&[Choice { index: 0, delta, logprobs, finish_reason, stop_reason }], None);
    }

    fn chunk(&mut self, choices: &[Choice<'_>], usage: Option<Usage>) {
        let chunk = Chunk {
            id: &self.id,
            object: "chat.completion.chunk",
            created: &self.created,
            model: &self.model,
            service_tier: self.service_tier.as_deref(),
            choices,
            usage,
        };
        let data = serde_json::to_vec(&chunk).unwrap_or_default();
        push(&mut self.out, &data);
    }

    fn event(&mut self, event: &impl Serialize) {
        let data = serde_json::to_vec(event).unwrap_or_default();
        push(&mut self.out, &data);
    }
}

/// An event is one line. Inside JSON a line break stands only between tokens of what an engine wrote, and means nothing.
fn push(out: &mut Vec<u8>, data: &[u8]) {
    out.extend_from_slice(b"data: ");
    out.extend(data.iter().filter(|byte| !matches!(byte, b'\n' | b'\r')));
    out.extend_from_slice(b"\n\n");
}
