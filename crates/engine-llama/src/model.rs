//! A loaded model file and what it says about itself.

use crate::backend;
use crate::error::LoadError;
use crate::options::LlamaOptions;
use hermetic_gguf::{Header, Limits};
use hermetic_tokenizer::{ChatTemplate, TemplateError};
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::token::LlamaToken;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;

/// A token id in the model's own vocabulary.
pub type Token = u32;

/// What a model is, for people and for routing.
#[derive(Debug, Clone, serde::Serialize)]
pub struct ModelDescription {
    pub name: Option<String>,
    pub architecture: String,
    pub parameters: u64,
    pub bytes: u64,
    pub vocabulary: u32,
    /// Tokens the model was trained for.
    pub trained_context: u32,
    /// Tokens one request may use here.
    pub context: u32,
    pub slots: u32,
    pub embedding_length: u32,
    pub chat_template: bool,
}

/// Weights in memory with their header. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    pub(crate) model: Arc<LlamaModel>,
    pub(crate) header: Arc<Header>,
    pub(crate) vocabulary: u32,
}

/// Architectures whose graph is an encoder: they embed and cannot generate.
const ENCODERS: [&str; 8] = [
    "bert",
    "nomic-bert",
    "nomic-bert-moe",
    "neo-bert",
    "jina-bert-v2",
    "jina-bert-v3",
    "modern-bert",
    "eurobert",
];

impl Loaded {
    /// Checks the header under our own caps first: llama.cpp's reader was not written for files from strangers.
    pub(crate) fn load(path: &Path) -> Result<Self, LoadError> {
        let (file, found) = hermetic_bounded_io::open_regular(path)?;
        let header = Header::read(&mut BufReader::new(file), &Limits::default())
            .map_err(|source| LoadError::Header { path: path.to_owned(), source })?;
        let expected = header.file_bytes_min().unwrap_or(header.data_offset);
        if found < expected {
            return Err(LoadError::Short { path: path.to_owned(), expected, found });
        }
        let backend = backend::started()?;
        let model = LlamaModel::load_from_file(backend, path, &LlamaModelParams::default())
            .map_err(|source| LoadError::Model { path: path.to_owned(), source })?;
        let vocabulary = u32::try_from(model.n_vocab()).unwrap_or(0);
        Ok(Self { model: Arc::new(model), header: Arc::new(header), vocabulary })
    }

    pub(crate) fn is_encoder(&self) -> bool {
        self.header.architecture().is_some_and(|name| ENCODERS.contains(&name))
    }

    pub(crate) fn architecture(&self) -> String {
        self.header.architecture().unwrap_or("unknown").to_owned()
    }

    pub(crate) fn describe(&self, options: &LlamaOptions, context: u32) -> ModelDescription {
        ModelDescription {
            name: self.header.text("general.name").map(str::to_owned),
            architecture: self.architecture(),
            parameters: self.model.n_params(),
            bytes: self.model.size(),
            vocabulary: self.vocabulary,
            trained_context: self.model.n_ctx_train(),
            context,
            slots: options.slots,
            embedding_length: u32::try_from(self.model.n_embd()).unwrap_or(0),
            chat_template: self.header.text("tokenizer.chat_template").is_some(),
        }
    }

    /// The model's own chat template; `None` when it brings none.
    pub(crate) fn template(&self) -> Result<Option<ChatTemplate>, TemplateError> {
        let Some(source) = self.header.text("tokenizer.chat_template") else { return Ok(None) };
        let vocabulary = self.model.vocab();
        let text =
            |token| String::from_utf8(vocabulary.token_to_piece(token, true, None)).unwrap_or_default();
        let named = |token: LlamaToken| if token.0 < 0 { String::new() } else { text(token) };
        let control = vocabulary.tokens().filter(|token| vocabulary.is_control(*token)).map(text);
        ChatTemplate::new(source, named(vocabulary.bos()), named(vocabulary.eos()), control).map(Some)
    }

    /// Text to tokens. `control` lets the text spell control tokens: for templates, never for what a user wrote.
    pub(crate) fn tokenize(&self, text: &str, edges: bool, control: bool) -> Vec<LlamaToken> {
        self.model.vocab().tokenize(text.as_bytes(), edges, control)
    }

    /// Ids from outside, each checked against the vocabulary: llama.cpp would index its table with them.
    pub(crate) fn check_tokens(&self, tokens: &[Token]) -> Result<Vec<LlamaToken>, Token> {
        tokens
            .iter()
            .map(|token| match i32::try_from(*token) {
                Ok(id) if *token < self.vocabulary => Ok(LlamaToken(id)),
                _ => Err(*token),
            })
            .collect()
    }
}

pub(crate) fn plain(tokens: &[LlamaToken]) -> Vec<Token> {
    tokens.iter().map(|token| u32::try_from(token.0).unwrap_or(0)).collect()
}
