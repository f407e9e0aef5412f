//! The few facts of a request that the pipeline decides by.

use crate::form::{self, FormMistake, Part};
use crate::json::{self, JsonMistake, Member};
use crate::surface::Call;
use hermetic_ids::{ModelName, NameError};
use std::borrow::Cow;
use std::ops::Range;

/// What a request asks for, read without changing a byte of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestFacts {
    pub model: ModelName,
    pub stream: bool,
    /// The caller's cap on generated tokens, when given.
    pub max_tokens: Option<u64>,
    /// Answers the engine is to make for each prompt: `n`, or `best_of` where that is more. At least one.
    pub choices: u64,
    /// Prompts in one request (completions take a list), at least one.
    pub prompts: u64,
    /// `max_completion_tokens` and `max_tokens`, where they stand.
    pub(crate) cap_spans: [Option<Range<usize>>; 2],
    /// The request asks for inputs to be cut to fit (`truncate_prompt_tokens`).
    pub truncates: bool,
    /// What the model is asked: `messages`, `prompt`, `input`.
    pub(crate) input_span: Range<usize>,
    pub(crate) tools_span: Option<Range<usize>>,
    /// It has tools and says that none may be called.
    pub(crate) bars_tools: bool,
    /// What the documents are held against (`query` of rerank).
    pub(crate) query_span: Option<Range<usize>>,
    /// The body is a form: what parts it, and where its files stand. Boxed: facts are moved from stage to stage, and few
    /// requests are forms.
    pub(crate) form: Option<Box<FormFacts>>,
    /// What the caller says of the request, in `metadata` and by [`RequestFacts::say`]: names and texts, sorted by name.
    pub metadata: Vec<(String, String)>,
    pub(crate) model_span: Range<usize>,
    pub(crate) usage: UsageWish,
    /// Just behind the `{` the text opens with.
    pub(crate) first_member_at: usize,
}

/// What is known of a body that is a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FormFacts {
    pub(crate) boundary: String,
    pub(crate) files: Vec<Range<usize>>,
}

/// The bounds OpenAI documents for `metadata`; what policies read and records keep stays within them.
const METADATA_PAIRS_MAX: usize = 16;
const METADATA_NAME_MAX: usize = 64;
const METADATA_VALUE_MAX: usize = 512;

/// Where, if anywhere, the request says whether the stream should end with a usage report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum UsageWish {
    Words,
    NoOptions,
    NullOptions(Range<usize>),
    OptionsWithout { behind_brace: usize, empty: bool },
    Declined(Range<usize>),
}

/// Why a body is not a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestMistake {
    #[error("the body is not valid JSON: {0}")]
    Json(JsonMistake),
    #[error("the body is not a valid form: {0}")]
    Form(FormMistake),
    #[error("expected every key once, found `{key}` twice")]
    DuplicateKey { key: String },
    #[error("expected the field `{field}`, found nothing")]
    Missing { field: &'static str },
    #[error("expected `{field}` to be {expected}, found {found}")]
    Type { field: &'static str, expected: &'static str, found: &'static str },
    #[error("{0}")]
    ModelName(NameError),
    #[error("this surface does not stream")]
    NoStreaming,
    /// The engine is spoken to in the words of chat completions, and those have none for it. Refused rather than dropped.
    #[error("expected nothing in `{path}` that an engine cannot be asked in chat completions, found {found}")]
    Untranslatable { path: String, found: String },
    /// The same on the way to an engine that speaks another surface.
    #[error("expected nothing in `{path}` that an engine cannot be asked in {words}, found {found}")]
    Unsayable { words: &'static str, path: String, found: String },
    /// As [`RequestMistake::Type`], for what stands deeper than the top and is named by a path: `messages[2].role`.
    #[error("expected `{path}` to be {expected}, found {found}")]
    TypeAt { path: String, expected: &'static str, found: &'static str },
}

impl RequestMistake {
    /// The field at fault, as the OpenAI error body names it.
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Json(_) | Self::Form(_) => None,
            Self::DuplicateKey { key } => Some(key),
            Self::Missing { field } | Self::Type { field, .. } => Some(field),
            Self::ModelName(_) => Some("model"),
            Self::NoStreaming => Some("stream"),
            Self::Untranslatable { path, .. } | Self::Unsayable { path, .. } | Self::TypeAt { path, .. } => {
                Some(path)
            }
        }
    }
}

impl RequestFacts {
    /// Checks that `body` is one JSON object without surprises and reads its facts.
    pub fn read(call: Call, body: &[u8]) -> Result<Self, RequestMistake> {
        Self::read_asking(call, call.input_field(), body)
    }

    /// Of a request that asks in another field than the call does.
    pub(crate) fn read_asking(
        call: Call,
        input_field: &'static str,
        body: &[u8],
    ) -> Result<Self, RequestMistake> {
        let members = json::members(body).map_err(RequestMistake::Json)?;
        let object = Object::new(body, &members)?;
        let stream = object.boolean("stream")?.unwrap_or(false);
        if stream && !call.streams() {
            return Err(RequestMistake::NoStreaming);
        }
        let input_span = object.get(input_field).ok_or(RequestMistake::Missing { field: input_field })?;
        let query_span = object.get("query").filter(|_| call == Call::Rerank);
        if call == Call::Rerank && query_span.is_none() {
            return Err(RequestMistake::Missing { field: "query" });
        }
        let model_span = object.get("model").ok_or(RequestMistake::Missing { field: "model" })?;
        let max_tokens = match object.count("max_completion_tokens")? {
            Some(count) => Some(count),
            None => object.count("max_tokens")?,
        };
        Ok(Self {
            model: model_name(object.raw(&model_span))?,
            stream,
            max_tokens,
            choices: object.count("n")?.max(object.count("best_of")?).unwrap_or(1).max(1),
            prompts: object
                .get("prompt")
                .filter(|_| call == Call::Completion)
                .map_or(1, |span| prompts(object.raw(&span))),
            cap_spans: ["max_completion_tokens", "max_tokens"].map(|key| object.get(key)),
            truncates: object.get("truncate_prompt_tokens").is_some_and(|span| object.raw(&span) != b"null"),
            input_span,
            query_span,
            form: None,
            tools_span: object.get("tools").filter(|span| object.raw(span) != b"null"),
            bars_tools: object.get("tool_choice").is_some_and(|span| object.raw(&span) == b"\"none\""),
            metadata: object.metadata()?,
            model_span,
            usage: object.usage_wish()?,
            first_member_at: body.iter().position(|&b| b == b'{').map_or(0, |at| at + 1),
        })
    }

    /// As [`RequestFacts::read`], of a form (`multipart/form-data`) whose content type this is.
    pub fn read_form(call: Call, body: &[u8], content_type: &str) -> Result<Self, RequestMistake> {
        let boundary = form::boundary_of(content_type).map_err(RequestMistake::Form)?;
        Self::of_form(call, body, boundary)
    }

    /// The facts of the same request behind an edit of its bytes.
    pub fn again(&self, call: Call, body: &[u8]) -> Result<Self, RequestMistake> {
        match &self.form {
            Some(form) => Self::of_form(call, body, &form.boundary),
            None => Self::read(call, body),
        }
    }

    fn of_form(call: Call, body: &[u8], boundary: &str) -> Result<Self, RequestMistake> {
        let parts = form::parts(body, boundary).map_err(RequestMistake::Form)?;
        let input = call.input_field();
        // Edits take one picture or several, and clients write that as one field or as a list of fields.
        let is_input =
            |part: &&Part<'_>| part.is_file && part.name.strip_suffix("[]").unwrap_or(part.name) == input;
        let input_span =
            parts.iter().find(is_input).ok_or(RequestMistake::Missing { field: input })?.value.clone();
        let model = field(&parts, "model")?.ok_or(RequestMistake::Missing { field: "model" })?;
        let text = |part: &Part<'_>| {
            std::str::from_utf8(body.get(part.value.clone()).unwrap_or_default()).unwrap_or_default()
        };
        match field(&parts, "stream")?.map(text) {
            None | Some("" | "false" | "False" | "0") => {}
            Some(_) => return Err(RequestMistake::NoStreaming),
        }
        let count = |text: &str| {
            text.parse::<u64>().map_err(|_| RequestMistake::Type {
                field: "n",
                expected: "a whole number",
                found: "a text",
            })
        };
        Ok(Self {
            model: text(model).parse().map_err(RequestMistake::ModelName)?,
            stream: false,
            max_tokens: None,
            choices: field(&parts, "n")?.map(text).map_or(Ok(1), count)?.max(1),
            prompts: 1,
            cap_spans: [None, None],
            truncates: false,
            input_span,
            tools_span: None,
            bars_tools: false,
            query_span: None,
            metadata: Vec::new(),
            model_span: model.value.clone(),
            usage: UsageWish::NoOptions,
            first_member_at: 0,
            form: Some(Box::new(FormFacts {
                boundary: boundary.to_owned(),
                files: parts.iter().filter(|part| part.is_file).map(|part| part.value.clone()).collect(),
            })),
        })
    }

    /// The files of a form, in bytes each. Of other bodies there are none.
    pub fn files(&self) -> impl Iterator<Item = usize> {
        self.form.iter().flat_map(|form| &form.files).map(ExactSizeIterator::len)
    }

    /// What stands between the files of a form: its fields, and its headers.
    pub fn around_files<'b>(&self, body: &'b [u8]) -> Vec<&'b [u8]> {
        let files = self.form.iter().flat_map(|form| &form.files);
        let begins = std::iter::once(0).chain(files.clone().map(|file| file.end));
        let ends = files.map(|file| file.start).chain([body.len()]);
        begins.zip(ends).filter_map(|(begin, end)| body.get(begin..end)).collect()
    }

    /// Whether a message may be made of parts: false when certainly none is. A look, much cheaper than reading them.
    pub fn has_parts(&self, body: &[u8]) -> bool {
        let messages = body.get(self.input_span.clone()).and_then(|input| input.get(1..)).unwrap_or_default();
        memchr::memchr(b'[', messages).is_some()
    }

    /// Adds what a header says of the request. What the body says under the same name stands. The bounds are the body's.
    pub fn say(&mut self, name: &str, value: &str) -> Result<(), RequestMistake> {
        let Err(place) = self.metadata.binary_search_by(|(known, _)| known.as_str().cmp(name)) else {
            return Ok(());
        };
        if self.metadata.len() >= METADATA_PAIRS_MAX {
            return Err(RequestMistake::metadata("at most 16 strings, with those of headers", "more"));
        }
        check_pair(name, value)?;
        self.metadata.insert(place, (name.to_owned(), value.to_owned()));
        Ok(())
    }
}

fn check_pair(name: &str, value: &str) -> Result<(), RequestMistake> {
    if name.chars().count() > METADATA_NAME_MAX || value.chars().count() > METADATA_VALUE_MAX {
        return Err(RequestMistake::metadata(
            "names of at most 64 and strings of at most 512 characters",
            "longer ones",
        ));
    }
    Ok(())
}

impl RequestMistake {
    fn metadata(expected: &'static str, found: &'static str) -> Self {
        Self::Type { field: "metadata", expected, found }
    }
}

/// How many prompts a `prompt` is: a list of texts or of lists of tokens is one each, anything else is one.
fn prompts(raw: &[u8]) -> u64 {
    let one_each = raw.strip_prefix(b"[").map(<[u8]>::trim_ascii_start).and_then(<[u8]>::first);
    if !matches!(one_each, Some(b'"' | b'[')) {
        return 1;
    }
    let items = serde_json::from_slice::<Vec<serde::de::IgnoredAny>>(raw);
    items.map_or(1, |items| (items.len() as u64).max(1))
}

fn model_name(raw: &[u8]) -> Result<ModelName, RequestMistake> {
    let wrong = || RequestMistake::Type { field: "model", expected: "a string", found: kind_of(raw) };
    json::decode_string(raw).ok_or_else(wrong)?.parse().map_err(RequestMistake::ModelName)
}

/// The field of a form that has this name, which may stand once and may not be a file: engines read the first or the
/// last of two.
fn field<'p, 'a>(parts: &'p [Part<'a>], name: &'static str) -> Result<Option<&'p Part<'a>>, RequestMistake> {
    let mut named = parts.iter().filter(|part| part.name.eq_ignore_ascii_case(name));
    let found = named.next();
    if named.next().is_some() {
        return Err(RequestMistake::DuplicateKey { key: name.to_owned() });
    }
    match found {
        Some(part) if part.is_file => {
            Err(RequestMistake::Type { field: name, expected: "a text", found: "a file" })
        }
        found => Ok(found),
    }
}

/// An object whose keys are known to be distinct.
pub(crate) struct Object<'a> {
    bytes: &'a [u8],
    pub(crate) members: Vec<(Cow<'a, str>, Range<usize>)>,
}

impl<'a> Object<'a> {
    /// Keys are compared as a parser reads them: `"mod\u0065l"` is `model`.
    pub(crate) fn new(bytes: &'a [u8], members: &[Member]) -> Result<Self, RequestMistake> {
        let mut named: Vec<(Cow<'a, str>, Range<usize>)> = Vec::with_capacity(members.len());
        for member in members {
            let raw = bytes.get(member.key.clone()).unwrap_or_default();
            // A key with half a surrogate pair names nothing we read and nothing an engine reads.
            let key = json::decode_string(raw).unwrap_or_else(|| String::from_utf8_lossy(raw));
            if named.iter().any(|(known, _)| *known == key) {
                return Err(RequestMistake::DuplicateKey { key: key.chars().take(64).collect() });
            }
            named.push((key, member.value.clone()));
        }
        Ok(Self { bytes, members: named })
    }

    fn get(&self, key: &str) -> Option<Range<usize>> {
        self.members.iter().find(|(known, _)| known == key).map(|(_, value)| value.clone())
    }

    pub(crate) fn raw(&self, span: &Range<usize>) -> &'a [u8] {
        self.bytes.get(span.clone()).unwrap_or_default()
    }

    fn boolean(&self, field: &'static str) -> Result<Option<bool>, RequestMistake> {
        let Some(span) = self.get(field) else { return Ok(None) };
        match self.raw(&span) {
            b"true" => Ok(Some(true)),
            b"false" => Ok(Some(false)),
            b"null" => Ok(None),
            raw => Err(RequestMistake::Type { field, expected: "true or false", found: kind_of(raw) }),
        }
    }

    fn count(&self, field: &'static str) -> Result<Option<u64>, RequestMistake> {
        let Some(span) = self.get(field) else { return Ok(None) };
        match self.raw(&span) {
            b"null" => Ok(None),
            raw => serde_json::from_slice(raw).map(Some).map_err(|_| RequestMistake::Type {
                field,
                expected: "a whole number of tokens",
                found: kind_of(raw),
            }),
        }
    }

    fn metadata(&self) -> Result<Vec<(String, String)>, RequestMistake> {
        let Some(raw) = self.get("metadata").map(|span| self.raw(&span)).filter(|raw| *raw != b"null") else {
            return Ok(Vec::new());
        };
        let no_strings = |raw| RequestMistake::metadata("an object of strings", kind_of(raw));
        let members = json::members(raw).map_err(|_| no_strings(raw))?;
        if members.len() > METADATA_PAIRS_MAX {
            return Err(RequestMistake::metadata("an object of at most 16 strings", "more"));
        }
        let mut pairs = Vec::with_capacity(members.len());
        for (name, span) in Object::new(raw, &members)?.members {
            let raw = raw.get(span).unwrap_or_default();
            let value = json::decode_string(raw).ok_or_else(|| no_strings(raw))?;
            check_pair(&name, &value)?;
            pairs.push((name.into_owned(), value.into_owned()));
        }
        pairs.sort_unstable();
        Ok(pairs)
    }

    fn usage_wish(&self) -> Result<UsageWish, RequestMistake> {
        const FIELD: &str = "stream_options";
        let Some(span) = self.get(FIELD) else { return Ok(UsageWish::NoOptions) };
        let raw = self.raw(&span);
        if raw == b"null" {
            return Ok(UsageWish::NullOptions(span));
        }
        let wrong = |_| RequestMistake::Type { field: FIELD, expected: "an object", found: kind_of(raw) };
        let members = json::members(raw).map_err(wrong)?;
        let options = Object::new(raw, &members)?;
        let Some(asked) = options.get("include_usage") else {
            return Ok(UsageWish::OptionsWithout { behind_brace: span.start + 1, empty: members.is_empty() });
        };
        match options.raw(&asked) {
            b"true" => Ok(UsageWish::Words),
            b"false" | b"null" => Ok(UsageWish::Declined(span.start + asked.start..span.start + asked.end)),
            raw => Err(RequestMistake::Type {
                field: "stream_options.include_usage",
                expected: "true or false",
                found: kind_of(raw),
            }),
        }
    }
}

/// What kind of value the first byte of it says it is.
pub(crate) fn kind_of(raw: &[u8]) -> &'static str {
    match raw.first() {
        Some(b'"') => "a string",
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b't' | b'f') => "a truth value",
        Some(b'n') => "null",
        Some(_) => "a number",
        None => "nothing",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat(body: &str) -> Result<RequestFacts, RequestMistake> {
        RequestFacts::read(Call::Chat, body.as_bytes())
    }

    #[test]
    fn reads_the_facts_whatever_the_spacing_order_and_escapes() {
        let facts = chat(" {\"messages\":[{\"model\":\"decoy\"}],\n\"str\\u0065am\" : true , \"mod\\u0065l\":\"m\\u0061x\",\"max_tokens\":7} ").unwrap();
        assert_eq!((facts.model.as_str(), facts.stream, facts.max_tokens), ("max", true, Some(7)));
        let facts =
            chat("{\"model\":\"m\",\"messages\":[],\"max_tokens\":7,\"max_completion_tokens\":9}").unwrap();
        assert_eq!((facts.stream, facts.max_tokens, facts.choices), (false, Some(9), 1));
        let facts = chat("{\"model\":\"m\",\"messages\":[],\"n\":3,\"best_of\":null}").unwrap();
        assert_eq!((facts.choices, facts.truncates), (3, false));
    }

    #[test]
    fn a_key_that_stands_twice_is_refused_also_in_disguise() {
        for body in [
            "{\"model\":\"cheap\",\"messages\":[],\"model\":\"dear\"}",
            "{\"model\":\"cheap\",\"messages\":[],\"mod\\u0065l\":\"dear\"}",
            "{\"model\":\"m\",\"messages\":[],\"stream\":true,\"stream_options\":{\"include_usage\":true,\"include_usage\":false}}",
        ] {
            assert!(matches!(chat(body), Err(RequestMistake::DuplicateKey { .. })), "{body}");
        }
    }

    #[test]
    fn mistakes_name_the_field_what_was_expected_and_what_was_found() {
        for (body, message) in [
            ("{\"messages\":[]}", "expected the field `model`, found nothing"),
            ("{\"model\":\"m\"}", "expected the field `messages`, found nothing"),
            ("{\"model\":7,\"messages\":[]}", "expected `model` to be a string, found a number"),
            ("{\"model\":\"\\ud800\",\"messages\":[]}", "expected `model` to be a string, found a string"),
            (
                "{\"model\":\"m\",\"messages\":[],\"stream\":\"yes\"}",
                "expected `stream` to be true or false, found a string",
            ),
            (
                "{\"model\":\"m\",\"messages\":[],\"max_tokens\":-1}",
                "expected `max_tokens` to be a whole number of tokens, found a number",
            ),
            (
                "{\"model\":\"m\",\"messages\":[],\"stream_options\":3}",
                "expected `stream_options` to be an object, found a number",
            ),
            (
                "{\"model\":\"../m\",\"messages\":[]}",
                "expected a model name to start with a letter or a digit, found '.'",
            ),
        ] {
            assert_eq!(chat(body).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn metadata_is_a_small_object_of_strings() {
        let with =
            |metadata: &str| chat(&format!("{{\"model\":\"m\",\"messages\":[],\"metadata\":{metadata}}}"));
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let read = with("{\"site\":\"n\\u006frth\",\"case\":\"7\"}").unwrap().metadata;
        assert_eq!(read, [pair("case", "7"), pair("site", "north")]);
        assert!(with("null").unwrap().metadata.is_empty());
        let many: Vec<String> = (0..17).map(|i| format!("\"k{i}\":\"v\"")).collect();
        let long = format!("{{\"k\":\"{}\"}}", "v".repeat(513));
        for bad in ["7", "[]", "{\"k\":7}", &format!("{{{}}}", many.join(",")), &long] {
            assert!(matches!(with(bad), Err(RequestMistake::Type { field: "metadata", .. })), "{bad}");
        }
        let twice = with("{\"k\":\"a\",\"\\u006b\":\"b\"}");
        assert!(matches!(twice, Err(RequestMistake::DuplicateKey { .. })));
    }

    #[test]
    fn headers_add_to_metadata_within_its_bounds_and_the_body_has_the_last_word() {
        let mut facts = chat("{\"model\":\"m\",\"messages\":[],\"metadata\":{\"case\":\"7\"}}").unwrap();
        facts.say("case", "8").unwrap();
        facts.say("area", "north").unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(facts.metadata, [pair("area", "north"), pair("case", "7")]);
        assert!(facts.say("long", &"v".repeat(513)).is_err());
        (0..14).for_each(|number| facts.say(&format!("k{number}"), "v").unwrap());
        assert!(facts.say("one-more", "v").is_err());
    }

    #[test]
    fn a_rerank_request_is_a_query_and_documents() {
        let read = |body: &str| RequestFacts::read(Call::Rerank, body.as_bytes());
        assert!(read(r#"{"model":"m","query":"q","documents":["a"],"top_n":1}"#).is_ok());
        assert_eq!(read(r#"{"model":"m","documents":[]}"#), Err(RequestMistake::Missing { field: "query" }));
        assert_eq!(read(r#"{"model":"m","query":"q"}"#), Err(RequestMistake::Missing { field: "documents" }));
    }

    fn form(fields: &[(&str, &str)]) -> Result<RequestFacts, RequestMistake> {
        let part = |(head, value): &(&str, &str)| {
            format!("--b\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n")
        };
        let body = format!("{}--b--\r\n", fields.iter().map(part).collect::<String>());
        RequestFacts::read_form(Call::Transcription, body.as_bytes(), "multipart/form-data; boundary=b")
    }

    #[test]
    fn a_form_names_its_model_once_and_carries_a_file() {
        const FILE: (&str, &str) = ("name=\"file\"; filename=\"a.wav\"", "RIFF....");
        const MODEL: (&str, &str) = ("name=\"model\"", "whisper");
        let facts = form(&[MODEL, FILE, ("name=\"language\"", "de")]).unwrap();
        assert_eq!((facts.model.as_str(), facts.stream, facts.choices), ("whisper", false, 1));
        assert_eq!(facts.files().collect::<Vec<_>>(), [8]);
        assert_eq!(form(&[FILE]), Err(RequestMistake::Missing { field: "model" }));
        assert_eq!(form(&[MODEL]), Err(RequestMistake::Missing { field: "file" }));
        assert_eq!(
            form(&[MODEL, FILE, MODEL]),
            Err(RequestMistake::DuplicateKey { key: "model".to_owned() })
        );
        let upper = ("name=\"Model\"", "dear");
        assert_eq!(
            form(&[MODEL, FILE, upper]),
            Err(RequestMistake::DuplicateKey { key: "model".to_owned() })
        );
        let as_file = ("name=\"model\"; filename=\"m\"", "whisper");
        assert!(matches!(form(&[as_file, FILE]), Err(RequestMistake::Type { field: "model", .. })));
        assert_eq!(form(&[MODEL, FILE, ("name=\"stream\"", "true")]), Err(RequestMistake::NoStreaming));
    }

    #[test]
    fn embeddings_do_not_stream() {
        let body = b"{\"model\":\"m\",\"input\":\"x\",\"stream\":true}";
        assert_eq!(RequestFacts::read(Call::Embedding, body), Err(RequestMistake::NoStreaming));
    }
}
