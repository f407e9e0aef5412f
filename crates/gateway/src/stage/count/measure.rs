//! Measuring the input of a request: by a tokenizer, or by its bytes.

use crate::counting::CountSource;
use crate::stage::route::Routed;
use bytes::Bytes;
use hermetic_inference_api::{Call, ChatInput, Form, PromptInput, RequestFacts, TextInput, Turn, each_text};
use hermetic_ledger::record::CountedBy;
use hermetic_tokenizer::{Cap, Conversation, FunctionCall, Message, Tokenizer, bytes_bound};
use std::borrow::Cow;
use std::sync::Arc;

/// Tokens a chat template may add in words of its own, when it is not known: a standing system prompt is the longest.
const TEMPLATE_TOKENS: u64 = 1_024;
/// Tokens of one part that is not text, when nothing is known of it: engines make a few thousand of a large picture.
pub(crate) const MEDIA_TOKENS: u64 = 16_384;
/// Bytes of speech for one token at least: engines make at most 50 tokens of a second, and the thriftiest voice codecs
/// spend 400 bytes on it.
const SPEECH_BYTES_PER_TOKEN: usize = 8;
/// Tokens that an engine puts around a query and a document.
const PAIR_TOKENS: u64 = 8;

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Measure {
    pub(crate) tokens: u64,
    /// Of one prompt or input.
    pub(crate) longest: u64,
    pub(crate) by: CountedBy,
}

/// A measurement that can be made on any thread.
pub(crate) struct Measuring {
    call: Call,
    body: Bytes,
    facts: RequestFacts,
    tokenizer: Arc<Tokenizer>,
    open: bool,
    cap: Cap,
    /// Longer inputs are cut to this.
    window: Option<u64>,
}

impl Measuring {
    pub(crate) fn of(routed: &Routed, cap: Cap) -> Option<Self> {
        let CountSource::Own { tokenizer, open } = &routed.route.counting.source else { return None };
        let asked = &routed.asked;
        let cuts = asked.facts.truncates && asked.accepted.surface.call() == Call::Embedding;
        Some(Self {
            call: asked.accepted.surface.call(),
            body: asked.body.clone(),
            facts: asked.facts.clone(),
            tokenizer: Arc::clone(tokenizer),
            open: *open,
            cap,
            window: routed.route.counting.context.filter(|_| cuts),
        })
    }

    /// `None` when the input is of a shape the tokenizer says nothing of: pictures, or what no engine understands.
    pub(crate) fn run(&self) -> Option<Measure> {
        let input = PromptInput::read(self.call, &self.body, &self.facts)?;
        let counts: Vec<u64> = match input {
            PromptInput::Chat(chat) => vec![self.chat(chat)?],
            PromptInput::Texts(texts) => texts.iter().map(|text| self.text(text)).collect(),
            PromptInput::Pairs { query, documents } => {
                // Each with marks of its own around it, which are as many as a pair has.
                let query = self.text(&TextInput::Text(query));
                let pair = |document| query.saturating_add(self.text(&TextInput::Text(document)));
                documents.into_iter().map(pair).collect()
            }
        };
        Measure::of(&counts, CountedBy::Tokenizer)
    }

    fn chat(&self, chat: ChatInput<'_>) -> Option<u64> {
        if self.open {
            let messages = (chat.media == 0).then(|| chat.messages())??;
            return self.tokenizer.count_chat_open(&messages, chat.tools().as_ref(), self.cap).ok();
        }
        let tools = chat.shown_tools()?;
        let messages = chat.turns?.into_iter().map(message).collect();
        self.tokenizer.count_chat(&Conversation { messages, tools }, self.cap).ok()
    }

    fn text(&self, text: &TextInput<'_>) -> u64 {
        let tokens = match text {
            TextInput::Text(text) if self.open => self.tokenizer.count_text_open(text, self.cap),
            TextInput::Text(text) => self.tokenizer.count_text(text, self.cap),
            TextInput::Tokens(tokens) => *tokens,
        };
        self.window.map_or(tokens, |window| tokens.min(window))
    }
}

/// As the embedded engine reads it.
fn message(turn: Turn<'_>) -> Message {
    Message {
        // The newer name of the same thing.
        role: if turn.role == "developer" { "system".to_owned() } else { turn.role.into_owned() },
        content: turn.content.into_owned(),
        calls: turn
            .calls
            .iter()
            .map(|call| FunctionCall::new(&*call.id, &*call.name, &call.arguments))
            .collect(),
        answers: turn.answers.map(Cow::into_owned),
    }
}

impl Measure {
    /// `None` of no counts.
    pub(crate) fn of(counts: &[u64], by: CountedBy) -> Option<Self> {
        Some(Self {
            tokens: counts.iter().fold(0, |sum, count| sum.saturating_add(*count)),
            longest: *counts.iter().max()?,
            by,
        })
    }

    /// The most it can be: a token is a byte at least, a template adds a little, and no conversation is longer than the
    /// context it is answered in.
    pub(crate) fn of_bytes(body: &Bytes, facts: &RequestFacts, call: Call, context: Option<u64>) -> Self {
        if call.form() == Form::Multipart {
            return Self::of_form(body, facts, call);
        }
        if call == Call::Rerank {
            return Self::of_pairs(body, facts, context);
        }
        let mut tokens = u64::try_from(body.len()).unwrap_or(u64::MAX);
        if !body.is_ascii() || body.contains(&b'\\') {
            // A text that its reader folds may grow beyond its bytes.
            each_text(body, |text| {
                let grown = bytes_bound(text).saturating_sub(text.len() as u64);
                tokens = tokens.saturating_add(grown);
            });
        }
        let (mut prompts, mut media) = (1, 0);
        if call != Call::Chat || facts.has_parts(body) {
            match PromptInput::read(call, body, facts) {
                Some(PromptInput::Texts(texts)) => prompts = texts.len().max(1) as u64,
                Some(PromptInput::Chat(chat)) => media = chat.media,
                Some(PromptInput::Pairs { .. }) | None => {}
            }
        }
        if call == Call::Chat {
            tokens =
                tokens.saturating_add(TEMPLATE_TOKENS).saturating_add(media.saturating_mul(MEDIA_TOKENS));
        }
        if let Some(context) = context {
            tokens = tokens.min(context.saturating_mul(prompts));
        }
        Self { tokens, longest: tokens, by: CountedBy::Bytes }
    }

    /// Speech by its length in bytes, pictures by their number, the texts beside them by theirs.
    fn of_form(body: &Bytes, facts: &RequestFacts, call: Call) -> Self {
        let texts =
            facts.around_files(body).into_iter().map(|text| bytes_bound(&String::from_utf8_lossy(text)));
        let files = facts.files().map(|bytes| match call {
            Call::ImageEdit => MEDIA_TOKENS,
            _ => bytes.div_ceil(SPEECH_BYTES_PER_TOKEN) as u64,
        });
        let tokens = texts.chain(files).fold(0, u64::saturating_add);
        Self { tokens, longest: tokens, by: CountedBy::Bytes }
    }

    /// The query is read once for each document.
    fn of_pairs(body: &Bytes, facts: &RequestFacts, context: Option<u64>) -> Self {
        let within = |tokens: u64| context.map_or(tokens, |context| tokens.min(context));
        let Some(PromptInput::Pairs { query, documents }) = PromptInput::read(Call::Rerank, body, facts)
        else {
            // Of another shape: no document is longer than all of it, and none is shorter than a character.
            let (longest, most) = (within(body.len() as u64), body.len() as u64);
            return Self { tokens: longest.saturating_mul(most), longest, by: CountedBy::Bytes };
        };
        let query = bytes_bound(&query).saturating_add(PAIR_TOKENS);
        let pairs = || documents.iter().map(|document| within(query.saturating_add(bytes_bound(document))));
        Self {
            tokens: pairs().fold(0, u64::saturating_add),
            longest: pairs().max().unwrap_or(0),
            by: CountedBy::Bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_bytes(body: &'static str, call: Call, context: Option<u64>) -> Measure {
        let body = Bytes::from(body);
        Measure::of_bytes(&body, &RequestFacts::read(call, &body).unwrap(), call, context)
    }

    #[test]
    fn bytes_bound_what_a_reader_may_make_of_a_text() {
        let body = r#"{"model":"m","input":["\ufdfa","abc"]}"#;
        assert_eq!(of_bytes(body, Call::Embedding, None).tokens, body.len() as u64 + 30);
        assert_eq!(of_bytes(body, Call::Embedding, Some(8)).tokens, 16);
    }

    #[test]
    fn a_query_is_read_with_every_document() {
        let two = r#"{"model":"m","query":"qqq","documents":["ab",{"text":"c"}]}"#;
        assert_eq!(of_bytes(two, Call::Rerank, None).tokens, 2 * (3 + PAIR_TOKENS) + 3);
        assert_eq!(of_bytes(two, Call::Rerank, Some(4)).tokens, 8);
        let unknown = r#"{"model":"m","query":"qqq","documents":[{"image":"x"}]}"#;
        let bytes = unknown.len() as u64;
        assert_eq!(of_bytes(unknown, Call::Rerank, None).tokens, bytes * bytes);
    }

    #[test]
    fn speech_is_bounded_by_its_bytes_and_pictures_by_their_number() {
        let form = |name: &str| {
            format!(
                "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--b\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"f\"\r\n\r\n{}\r\n--b--\r\n",
                "x".repeat(8_000)
            )
        };
        let tokens = |call: Call| {
            let body = Bytes::from(form(call.input_field()));
            let facts = RequestFacts::read_form(call, &body, "multipart/form-data; boundary=b").unwrap();
            Measure::of_bytes(&body, &facts, call, None).tokens - (body.len() - 8_000) as u64
        };
        assert_eq!(tokens(Call::Transcription), 1_000);
        assert_eq!(tokens(Call::ImageEdit), MEDIA_TOKENS);
    }

    #[test]
    fn pictures_of_unknown_size_are_allowed_for() {
        let picture = r#"{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"u"}}]}]}"#;
        let measure = of_bytes(picture, Call::Chat, None);
        assert_eq!(measure.tokens, picture.len() as u64 + TEMPLATE_TOKENS + MEDIA_TOKENS);
        assert_eq!(Measure::of(&[], CountedBy::Engine), None);
    }
}
