//! `POST /tokenize` and `POST /detokenize`, in the shape of vLLM.

use super::{Body, Face, Refusal, json};
use crate::wire::{DetokenizeRequest, Detokenized, ToTokenize, TokenizeRequest, Tokenized};
use http::Response;
use std::sync::Arc;

pub(super) async fn tokenize(face: Arc<Face>, request: TokenizeRequest) -> Result<Response<Body>, Refusal> {
    let vocabulary = face.engine.vocabulary();
    let names = request.return_token_strs.unwrap_or(false);
    let tokens = match request.into_prompt()? {
        ToTokenize::Text { text, edges } => vocabulary.tokens(&text, edges),
        ToTokenize::Chat(messages) => vocabulary.chat_tokens(&messages)?,
    };
    let token_strs = if names { Some(vocabulary.pieces(&tokens)?) } else { None };
    let max_model_len = face.engine.describe().context;
    json(&Tokenized { count: tokens.len(), max_model_len, tokens, token_strs })
}

pub(super) async fn detokenize(
    face: Arc<Face>,
    request: DetokenizeRequest,
) -> Result<Response<Body>, Refusal> {
    json(&Detokenized { prompt: face.engine.vocabulary().text(&request.tokens)? })
}
