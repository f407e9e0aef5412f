//! Texts as tokens and tokens as texts, by the model that is served.

use crate::chat::chat_tokens;
use crate::error::SubmitError;
use crate::model::{Loaded, Token, plain};
use hermetic_tokenizer::{ChatTemplate, Conversation};
use llama_cpp_2::token::LlamaToken;

/// What a model calls its tokens.
#[derive(Debug, Clone, Copy)]
pub struct Vocabulary<'a> {
    pub(crate) loaded: &'a Loaded,
    pub(crate) template: Option<&'a ChatTemplate>,
}

impl Vocabulary<'_> {
    /// A text; it cannot spell control tokens. `edges`: with the marks the model puts around it.
    pub fn tokens(&self, text: &str, edges: bool) -> Vec<Token> {
        plain(&self.loaded.tokenize(text, edges, false))
    }

    /// A conversation, up to where the answer begins.
    pub fn chat_tokens(&self, conversation: &Conversation) -> Result<Vec<Token>, SubmitError> {
        let template = self.template.ok_or(SubmitError::NoTemplate)?;
        chat_tokens(template, self.loaded, conversation)
            .map(|tokens| plain(&tokens))
            .map_err(SubmitError::Template)
    }

    /// The text that tokens are, control tokens spelled out. Where they end inside a character, it is marked as lost.
    pub fn text(&self, tokens: &[Token]) -> Result<String, SubmitError> {
        let tokens = self.known(tokens)?;
        if tokens.is_empty() {
            return Ok(String::new());
        }
        Ok(String::from_utf8_lossy(&self.loaded.model.vocab().detokenize(&tokens, false, true)).into_owned())
    }

    /// The text of each token alone.
    pub fn pieces(&self, tokens: &[Token]) -> Result<Vec<String>, SubmitError> {
        let vocabulary = self.loaded.model.vocab();
        let piece =
            |token| String::from_utf8_lossy(&vocabulary.token_to_piece(token, true, None)).into_owned();
        Ok(self.known(tokens)?.into_iter().map(piece).collect())
    }

    fn known(&self, tokens: &[Token]) -> Result<Vec<LlamaToken>, SubmitError> {
        let vocabulary = self.loaded.vocabulary;
        self.loaded.check_tokens(tokens).map_err(|found| SubmitError::Token { found, vocabulary })
    }
}
