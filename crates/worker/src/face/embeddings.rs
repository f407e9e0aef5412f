//! `POST /v1/embeddings`.

use super::{Body, Face, Refusal, json};
use crate::wire::{
    EmbeddingInput, EmbeddingList, EmbeddingRequest, EmbeddingRow, EmbeddingUsage, Encoded, Encoding,
};
use hermetic_engine_llama::Token;
use http::Response;
use std::sync::Arc;

/// Inputs in one request, as OpenAI allows.
const INPUTS_MAX: usize = 2048;

pub(super) async fn answer(face: Arc<Face>, request: EmbeddingRequest) -> Result<Response<Body>, Refusal> {
    let length = face.engine.describe().embedding_length;
    if request.dimensions.is_some_and(|wanted| wanted != length) {
        // Cutting a vector is only sound for models trained for it.
        return Err(Refusal::invalid(
            "dimensions",
            format!("expected {length}, the only length of this model"),
        ));
    }
    let inputs = inputs(&face, request.input)?;
    let truncate = truncates(&face, request.truncate_prompt_tokens)?;
    let embeddings = face.engine.embed(&inputs, truncate).await?;
    let rows = embeddings.vectors.into_iter().enumerate().map(|(index, vector)| EmbeddingRow {
        object: "embedding",
        index,
        embedding: match request.encoding_format {
            Encoding::Float => Encoded::Float(vector),
            Encoding::Base64 => Encoded::Base64(vector),
        },
    });
    let usage = EmbeddingUsage { prompt_tokens: embeddings.tokens, total_tokens: embeddings.tokens };
    json(&EmbeddingList { object: "list", data: rows.collect(), model: &face.model, usage })
}

fn truncates(face: &Face, wanted: Option<i64>) -> Result<bool, Refusal> {
    let window = i64::from(face.engine.describe().context);
    match wanted {
        None => Ok(false),
        Some(-1) => Ok(true),
        Some(tokens) if tokens == window => Ok(true),
        Some(_) => {
            let message = format!("expected -1 or {window}, the model's window");
            Err(Refusal::invalid("truncate_prompt_tokens", message))
        }
    }
}

fn inputs(face: &Face, input: EmbeddingInput) -> Result<Vec<Vec<Token>>, Refusal> {
    let text = |text: &String| {
        if text.is_empty() {
            return Err(Refusal::invalid("input", "expected text to embed, found an empty string"));
        }
        Ok(face.engine.vocabulary().tokens(text, true))
    };
    let inputs = match input {
        EmbeddingInput::Text(one) => vec![text(&one)?],
        EmbeddingInput::Texts(texts) => {
            count(texts.len())?;
            texts.iter().map(text).collect::<Result<_, _>>()?
        }
        EmbeddingInput::Tokens(tokens) => vec![tokens],
        EmbeddingInput::TokenLists(lists) => lists,
    };
    count(inputs.len())?;
    if inputs.iter().any(Vec::is_empty) {
        return Err(Refusal::invalid("input", "expected tokens to embed, found none"));
    }
    Ok(inputs)
}

fn count(found: usize) -> Result<(), Refusal> {
    if (1..=INPUTS_MAX).contains(&found) {
        return Ok(());
    }
    Err(Refusal::invalid("input", format!("expected 1 to {INPUTS_MAX} inputs, found {found}")))
}
