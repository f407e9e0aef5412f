//! What a request gives the model to read, as far as counting it goes.

use crate::facts::RequestFacts;
use crate::json::decode_string;
use crate::surface::Call;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// What the model is asked. `None` of [`PromptInput::read`]: a shape that no engine here understands.
#[derive(Debug)]
pub enum PromptInput<'a> {
    Chat(ChatInput<'a>),
    /// Prompts of a completion or of pictures, or inputs to embed.
    Texts(Vec<TextInput<'a>>),
    /// Documents, each to be read together with the query.
    Pairs {
        query: Cow<'a, str>,
        documents: Vec<Cow<'a, str>>,
    },
}

/// One prompt of a completion, or one input to embed.
#[derive(Debug, PartialEq, Eq)]
pub enum TextInput<'a> {
    Text(Cow<'a, str>),
    /// Tokens as the caller counted them out.
    Tokens(u64),
}

/// A conversation.
#[derive(Debug)]
pub struct ChatInput<'a> {
    /// The messages, when each is a role, a text and calls of functions; `None` when one carries anything else.
    pub turns: Option<Vec<Turn<'a>>>,
    /// Parts that are not text: pictures, sound, files.
    pub media: u64,
    messages: &'a [u8],
    tools: Option<&'a [u8]>,
    bars_tools: bool,
}

/// One message that is text and calls.
#[derive(Debug, PartialEq, Eq)]
pub struct Turn<'a> {
    pub role: Cow<'a, str>,
    pub content: Cow<'a, str>,
    /// The functions it called.
    pub calls: Vec<CalledFunction<'a>>,
    /// The call it is the result of.
    pub answers: Option<Cow<'a, str>>,
}

/// A call of a function in an earlier message.
#[derive(Debug, PartialEq, Eq)]
pub struct CalledFunction<'a> {
    pub id: Cow<'a, str>,
    pub name: Cow<'a, str>,
    /// JSON.
    pub arguments: Cow<'a, str>,
}

#[derive(Deserialize)]
struct WireMessage<'a> {
    #[serde(borrow)]
    role: &'a RawValue,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_call_id: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireCall<'a> {
    #[serde(borrow)]
    id: &'a RawValue,
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    function: WireFunction<'a>,
}

#[derive(Deserialize)]
struct WireFunction<'a> {
    #[serde(borrow)]
    name: &'a RawValue,
    #[serde(borrow)]
    arguments: &'a RawValue,
}

#[derive(Deserialize)]
struct WirePart<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
}

/// Fields beside the text are not read: an engine that would read them is counted by its bytes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireDocument<'a> {
    #[serde(borrow)]
    text: &'a RawValue,
}

impl<'a> PromptInput<'a> {
    /// Reads the input of a request whose facts were read from the same bytes.
    pub fn read(call: Call, body: &'a [u8], facts: &RequestFacts) -> Option<Self> {
        let input = body.get(facts.input_span.clone())?;
        match call {
            Call::Chat => {
                let tools = facts.tools_span.clone().and_then(|span| body.get(span));
                chat(input, tools).map(|chat| Self::Chat(ChatInput { bars_tools: facts.bars_tools, ..chat }))
            }
            Call::Completion | Call::Embedding | Call::ImageGeneration => texts(input).map(Self::Texts),
            Call::Rerank => {
                let query = decode_string(body.get(facts.query_span.clone()?)?)?;
                documents(input).map(|documents| Self::Pairs { query, documents })
            }
            Call::Transcription | Call::Translation | Call::ImageEdit => None,
        }
    }
}

impl ChatInput<'_> {
    /// Messages with everything they carry.
    pub fn messages(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(self.messages).ok()
    }

    pub fn tools(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(self.tools?).ok()
    }

    /// The tools that the embedded engine shows its model: none where none may be called. `None`: it refuses them.
    pub fn shown_tools(&self) -> Option<Vec<serde_json::Value>> {
        match self.tools.filter(|_| !self.bars_tools) {
            Some(tools) => serde_json::from_slice(tools).ok(),
            None => Some(Vec::new()),
        }
    }
}

fn chat<'a>(input: &'a [u8], tools: Option<&'a [u8]>) -> Option<ChatInput<'a>> {
    let wire: Vec<WireMessage<'a>> = serde_json::from_slice(input).ok()?;
    let (mut turns, mut media) = (Some(Vec::with_capacity(wire.len())), 0);
    for message in wire {
        let role = text(message.role)?;
        let (content, others) = match message.content {
            None => (Cow::Borrowed(""), 0),
            Some(content) => content_of(content)?,
        };
        media += others;
        let calls = calls(message.tool_calls);
        let answers = message.tool_call_id.and_then(text);
        match (&mut turns, calls) {
            (Some(turns), Some(calls)) if others == 0 => turns.push(Turn { role, content, calls, answers }),
            _ => turns = None,
        }
    }
    Some(ChatInput { turns, media, messages: input, tools, bars_tools: false })
}

/// `None`: something else than functions is called.
fn calls(raw: Option<&RawValue>) -> Option<Vec<CalledFunction<'_>>> {
    let Some(raw) = raw.filter(|raw| raw.get() != "null") else { return Some(Vec::new()) };
    let wire: Vec<WireCall<'_>> = serde_json::from_str(raw.get()).ok()?;
    wire.into_iter().map(called).collect()
}

fn called(call: WireCall<'_>) -> Option<CalledFunction<'_>> {
    call.kind.is_none_or(|kind| kind.get() == "\"function\"").then_some(())?;
    let (id, name, arguments) = (text(call.id)?, text(call.function.name)?, text(call.function.arguments)?);
    Some(CalledFunction { id, name, arguments })
}

fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    decode_string(raw.get().as_bytes())
}

/// The text of a content, and how many of its parts are not text.
fn content_of(raw: &RawValue) -> Option<(Cow<'_, str>, u64)> {
    if raw.get().starts_with('"') {
        return text(raw).map(|text| (text, 0));
    }
    if raw.get() == "null" {
        return Some((Cow::Borrowed(""), 0));
    }
    let parts: Vec<WirePart<'_>> = serde_json::from_str(raw.get()).ok()?;
    let (mut all, mut others) = (String::new(), 0);
    for part in parts {
        match (part.kind.map(RawValue::get), part.text) {
            (Some("\"text\""), Some(raw)) => all.push_str(&text(raw)?),
            _ => others += 1,
        }
    }
    Some((Cow::Owned(all), others))
}

/// A document is a text, or an object with one.
fn documents(input: &[u8]) -> Option<Vec<Cow<'_, str>>> {
    let raws: Vec<&RawValue> = serde_json::from_slice(input).ok()?;
    raws.into_iter().map(document).collect()
}

fn document(raw: &RawValue) -> Option<Cow<'_, str>> {
    if raw.get().starts_with('"') {
        return text(raw);
    }
    text(serde_json::from_str::<WireDocument<'_>>(raw.get()).ok()?.text)
}

fn texts(input: &[u8]) -> Option<Vec<TextInput<'_>>> {
    let first = input.first()?;
    let second = input.get(1..)?.iter().find(|byte| !byte.is_ascii_whitespace());
    let count = |tokens: &[IgnoredAny]| u64::try_from(tokens.len()).ok().map(TextInput::Tokens);
    match (first, second) {
        (b'"', _) => decode_string(input).map(|text| vec![TextInput::Text(text)]),
        (b'[', Some(b'"')) => {
            let raws: Vec<&RawValue> = serde_json::from_slice(input).ok()?;
            raws.into_iter().map(|raw| text(raw).map(TextInput::Text)).collect()
        }
        (b'[', Some(b'[')) => {
            let lists: Vec<Vec<IgnoredAny>> = serde_json::from_slice(input).ok()?;
            lists.iter().map(|tokens| count(tokens)).collect()
        }
        (b'[', Some(b'0'..=b'9')) => {
            let tokens: Vec<IgnoredAny> = serde_json::from_slice(input).ok()?;
            Some(vec![count(&tokens)?])
        }
        (b'[', Some(b']')) => Some(Vec::new()),
        _ => None,
    }
}

/// Hands every text of a request, keys included, to `seen`: for bounds that depend on what characters there are.
pub fn each_text(body: &[u8], mut seen: impl FnMut(&str)) {
    let Ok(root) = serde_json::from_slice::<serde_json::Value>(body) else { return };
    let mut open = vec![&root];
    while let Some(value) = open.pop() {
        match value {
            serde_json::Value::String(text) => seen(text),
            serde_json::Value::Array(items) => open.extend(items),
            serde_json::Value::Object(members) => {
                members.keys().for_each(|key| seen(key));
                open.extend(members.values());
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(call: Call, body: &str) -> Option<PromptInput<'_>> {
        let facts = RequestFacts::read(call, body.as_bytes()).unwrap();
        PromptInput::read(call, body.as_bytes(), &facts)
    }

    fn read_chat(messages: &str) -> Option<ChatInput<'static>> {
        let body = format!("{{\"model\":\"m\",\"tools\":[{{\"a\":1}}],\"messages\":{messages}}}");
        match read(Call::Chat, body.leak())? {
            PromptInput::Chat(chat) => Some(chat),
            PromptInput::Texts(_) | PromptInput::Pairs { .. } => None,
        }
    }

    #[test]
    fn texts_of_messages_are_joined_and_the_rest_is_counted() {
        let chat = read_chat(
            r#"[{"role":"system"},{"role":"user","content":[{"type":"text","text":"a\n"},{"type":"text","text":"b"}]},{"role":"user","content":"\u00e9","name":"x"}]"#,
        )
        .unwrap();
        let turn = |role: &'static str, content: &'static str| Turn {
            role: role.into(),
            content: content.into(),
            calls: Vec::new(),
            answers: None,
        };
        assert_eq!(
            chat.turns.as_deref(),
            Some([turn("system", ""), turn("user", "a\nb"), turn("user", "é")].as_slice())
        );
        assert_eq!(chat.tools(), Some(serde_json::json!([{"a": 1}])));
        let picture =
            read_chat(r#"[{"role":"user","content":[{"type":"image_url","image_url":{"url":"u"}}]}]"#)
                .unwrap();
        assert_eq!((picture.turns, picture.media), (None, 1));
        let call = read_chat(r#"[{"role":"assistant","content":null,"tool_calls":[{"id":"1"}]}]"#).unwrap();
        assert!(
            call.turns.is_none() && call.media == 0 && call.messages().unwrap()[0]["tool_calls"].is_array()
        );
        let custom = r#"[{"role":"assistant","tool_calls":[{"id":"1","type":"custom","custom":{"name":"f","input":"x"}}]}]"#;
        assert!(read_chat(custom).unwrap().turns.is_none());
        assert!(read_chat(r#"[{"role":7,"content":"x"}]"#).is_none() && read_chat("{}").is_none());
    }

    #[test]
    fn calls_of_functions_and_their_results_are_read() {
        let chat = read_chat(
            r#"[{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},{"role":"tool","tool_call_id":"1","content":[{"type":"text","text":"x"}]}]"#,
        )
        .unwrap();
        let [said, result] = chat.turns.unwrap().try_into().unwrap();
        assert_eq!((said.role, said.content, said.answers), ("assistant".into(), "".into(), None));
        let called = CalledFunction { id: "1".into(), name: "f".into(), arguments: "{\"a\":1}".into() };
        assert_eq!(said.calls, [called]);
        assert_eq!((result.content, result.answers), ("x".into(), Some("1".into())));
    }

    #[test]
    fn tools_are_shown_unless_none_may_be_called() {
        let shown = |choice: &str| {
            let body = format!("{{\"model\":\"m\",\"messages\":[],\"tools\":[1]{choice}}}");
            match read(Call::Chat, body.leak())? {
                PromptInput::Chat(chat) => chat.shown_tools(),
                PromptInput::Texts(_) | PromptInput::Pairs { .. } => None,
            }
        };
        assert_eq!(shown(""), Some(vec![1.into()]));
        assert_eq!(shown(",\"tool_choice\":\"auto\""), Some(vec![1.into()]));
        assert_eq!(shown(",\"tool_choice\":\"none\""), Some(Vec::new()));
    }

    #[test]
    fn documents_are_texts_alone_or_in_objects() {
        let pairs = |documents: &str| {
            let body = format!("{{\"model\":\"m\",\"query\":\"q\\u0071\",\"documents\":{documents}}}");
            match read(Call::Rerank, body.leak())? {
                PromptInput::Pairs { query, documents } => Some((query, documents)),
                PromptInput::Chat(_) | PromptInput::Texts(_) => None,
            }
        };
        let expected = Some(("qq".into(), vec!["a".into(), "b".into()]));
        assert_eq!(pairs(r#"["a",{"text":"b"}]"#), expected);
        assert_eq!(
            (pairs(r#"[{"text":"a","title":"t"}]"#), pairs("[7]"), pairs("\"a\"")),
            (None, None, None)
        );
    }

    #[test]
    fn prompts_are_texts_or_tokens_one_or_many() {
        let texts = |input: &str| {
            let body = format!("{{\"model\":\"m\",\"input\":{input}}}");
            match read(Call::Embedding, body.leak())? {
                PromptInput::Texts(texts) => Some(texts),
                PromptInput::Chat(_) | PromptInput::Pairs { .. } => None,
            }
        };
        let text = |text: &'static str| TextInput::Text(text.into());
        assert_eq!(texts("\"a\\u0062\""), Some(vec![text("ab")]));
        assert_eq!(texts("[ \"a\", \"\"]"), Some(vec![text("a"), text("")]));
        assert_eq!(texts("[ 1, 22,3]"), Some(vec![TextInput::Tokens(3)]));
        assert_eq!(texts("[[1],[2,3]]"), Some(vec![TextInput::Tokens(1), TextInput::Tokens(2)]));
        assert_eq!(
            (texts("[]"), texts("7"), texts("[{}]"), texts("[\"a\",1]")),
            (Some(Vec::new()), None, None, None)
        );
    }
}
