//! A model's tokenizer, as far as counting goes.

use crate::bpe::{Bpe, Scratch};
use crate::conversation::Conversation;
use crate::error::CountError;
use crate::normal::composed;
use crate::special::{Part, Specials};
use crate::split::Split;
use crate::template::{ChatTemplate, Rendered};
use crate::word_piece::WordPiece;
use std::borrow::Cow;

/// Counts the tokens of texts and conversations. Made by [`Tokenizer::from_gguf`] or [`Tokenizer::from_hugging_face`].
#[derive(Debug)]
pub struct Tokenizer {
    pub(crate) model: Model,
    /// Found in a text as it is.
    pub(crate) specials: Specials,
    /// Found in what is left, once it is composed.
    pub(crate) composed_specials: Specials,
    /// Tokens the model puts around a text: beginning, end.
    pub(crate) edges: u64,
    /// Whether they also stand around a conversation that does not begin with the first of them. llama.cpp puts them
    /// there, vLLM leaves it to the template.
    pub(crate) chat_edges: bool,
    /// Texts are brought into Unicode's composed form first.
    pub(crate) composes: bool,
    pub(crate) template: Option<ChatTemplate>,
}

#[derive(Debug)]
pub(crate) enum Model {
    Bpe { bpe: Box<Bpe>, split: Split },
    WordPiece(WordPiece),
}

/// Where counting may stop: a prompt that is longer than the model's context need not be counted to its end.
#[derive(Debug, Clone, Copy)]
pub struct Cap(u64);

impl Cap {
    /// A count beyond `tokens` may come out as any number beyond it.
    pub fn beyond(tokens: u64) -> Self {
        Self(tokens)
    }

    pub fn none() -> Self {
        Self(u64::MAX)
    }
}

/// A count that grows.
#[derive(Debug)]
pub(crate) struct Tally {
    tokens: u64,
    cap: u64,
}

impl Tally {
    pub(crate) fn new(cap: Cap) -> Self {
        Self { tokens: 0, cap: cap.0 }
    }

    pub(crate) fn add(&mut self, tokens: u64) {
        self.tokens = self.tokens.saturating_add(tokens);
    }

    pub(crate) fn is_full(&self) -> bool {
        self.tokens > self.cap
    }

    pub(crate) fn tokens(&self) -> u64 {
        self.tokens
    }
}

impl Tokenizer {
    /// Tokens of a text as a prompt, with the marks the model puts around it. The text cannot spell control tokens.
    pub fn count_text(&self, text: &str, cap: Cap) -> u64 {
        self.count_whole(text, false, cap)
    }

    /// [`Tokenizer::count_text`] for engines that let a text spell control tokens.
    pub fn count_text_open(&self, text: &str, cap: Cap) -> u64 {
        self.count_whole(text, true, cap)
    }

    fn count_whole(&self, text: &str, control: bool, cap: Cap) -> u64 {
        let mut tally = Tally::new(cap);
        tally.add(self.edges);
        self.add(text, control, &mut tally);
        tally.tokens()
    }

    /// Tokens of a conversation, put into words by the model's template.
    pub fn count_chat(&self, conversation: &Conversation, cap: Cap) -> Result<u64, CountError> {
        let template = self.template.as_ref().ok_or(CountError::NoTemplate)?;
        let rendered = template.render(conversation).map_err(CountError::Template)?;
        Ok(self.count_rendered(&rendered, cap))
    }

    /// [`Tokenizer::count_chat`] for engines that let messages spell control tokens: messages with whatever they carry,
    /// and the tools they may call.
    pub fn count_chat_open(
        &self,
        messages: &serde_json::Value,
        tools: Option<&serde_json::Value>,
        cap: Cap,
    ) -> Result<u64, CountError> {
        let template = self.template.as_ref().ok_or(CountError::NoTemplate)?;
        let rendered = template.render_open(messages, tools).map_err(CountError::Template)?;
        Ok(self.count_rendered(&rendered, cap))
    }

    fn count_rendered(&self, rendered: &Rendered, cap: Cap) -> u64 {
        let mut tally = Tally::new(cap);
        for piece in rendered.pieces() {
            tally.add(if piece.edges && self.chat_edges { self.edges } else { 0 });
            self.add(piece.text, piece.control, &mut tally);
        }
        tally.tokens()
    }

    fn add(&self, text: &str, control: bool, tally: &mut Tally) {
        let mut scratch = Scratch::default();
        self.specials.parts(text, control, |part| {
            match part {
                Part::Special => tally.add(1),
                Part::Text(text) => self.add_composed(text, control, &mut scratch, tally),
            }
            !tally.is_full()
        });
    }

    fn add_composed(&self, text: &str, control: bool, scratch: &mut Scratch, tally: &mut Tally) {
        let text = if self.composes { composed(text) } else { Cow::Borrowed(text) };
        self.composed_specials.parts(&text, control, |part| {
            match part {
                Part::Special => tally.add(1),
                Part::Text(text) => self.add_plain(text, scratch, tally),
            }
            !tally.is_full()
        });
    }

    fn add_plain(&self, text: &str, scratch: &mut Scratch, tally: &mut Tally) {
        match &self.model {
            Model::Bpe { bpe, split } => split.words(text, |word| {
                tally.add(bpe.count(word.as_bytes(), scratch));
                !tally.is_full()
            }),
            Model::WordPiece(pieces) => pieces.count(text, tally),
        }
    }
}
