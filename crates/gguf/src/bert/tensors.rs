//! Which tensor of the source becomes which tensor of the GGUF, with the shape each must have.

use super::settings::Settings;
use super::{ConvertError, F32, Weights};
use crate::write::TensorData;

/// One tensor to copy.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) target: TensorData,
    /// Where its bytes lie in the source.
    pub(super) offset: u64,
}

/// Source names inside one layer, GGUF names, and the shape in terms of the settings.
fn layer(settings: &Settings, index: u32) -> Vec<(String, String, Vec<u64>)> {
    let (width, inner) = (u64::from(settings.hidden_size), u64::from(settings.intermediate_size));
    let square = [width, width];
    let rows: [(&str, &str, &[u64]); 8] = [
        ("attention.self.query", "attn_q", &square),
        ("attention.self.key", "attn_k", &square),
        ("attention.self.value", "attn_v", &square),
        ("attention.output.dense", "attn_output", &square),
        ("attention.output.LayerNorm", "attn_output_norm", &[width]),
        ("intermediate.dense", "ffn_up", &[inner, width]),
        ("output.dense", "ffn_down", &[width, inner]),
        ("output.LayerNorm", "layer_output_norm", &[width]),
    ];
    rows.iter()
        .flat_map(|(source, target, shape)| {
            let pair = |part: &str, shape: &[u64]| {
                let source = format!("encoder.layer.{index}.{source}.{part}");
                (source, format!("blk.{index}.{target}.{part}"), shape.to_vec())
            };
            [pair("weight", shape), pair("bias", shape.get(..1).unwrap_or(&[]))]
        })
        .collect()
}

fn embeddings(settings: &Settings) -> Vec<(String, String, Vec<u64>)> {
    let width = u64::from(settings.hidden_size);
    let rows: [(&str, &str, &[u64]); 5] = [
        ("word_embeddings.weight", "token_embd.weight", &[settings.vocabulary.into(), width]),
        ("position_embeddings.weight", "position_embd.weight", &[settings.positions.into(), width]),
        ("token_type_embeddings.weight", "token_types.weight", &[settings.token_types.into(), width]),
        ("LayerNorm.weight", "token_embd_norm.weight", &[width]),
        ("LayerNorm.bias", "token_embd_norm.bias", &[width]),
    ];
    rows.iter()
        .map(|(source, target, shape)| (format!("embeddings.{source}"), (*target).to_owned(), shape.to_vec()))
        .collect()
}

/// The copy plan, in the order of the file. Takes what it uses out of `weights`.
pub(super) fn plan(settings: &Settings, weights: &mut Weights) -> Result<Vec<Step>, ConvertError> {
    let layers = (0..settings.layers).flat_map(|index| layer(settings, index));
    embeddings(settings).into_iter().chain(layers).map(|row| step(row, weights)).collect()
}

fn step(row: (String, String, Vec<u64>), weights: &mut Weights) -> Result<Step, ConvertError> {
    let (source, target, shape) = row;
    // Published with and without the prefix of the class that held the encoder.
    let prefixed = format!("bert.{source}");
    let tensor = weights.remove(&source).or_else(|| weights.remove(&prefixed));
    let Some(tensor) = tensor else { return Err(ConvertError::TensorMissing { name: source }) };
    if tensor.dtype != "F32" || tensor.shape != shape {
        let expected = format!("F32 of shape {shape:?}");
        let found = format!("{} of shape {:?}", tensor.dtype, tensor.shape);
        return Err(ConvertError::Tensor { name: source, expected, found });
    }
    // ggml counts dimensions from the innermost.
    let dimensions = shape.into_iter().rev().collect();
    Ok(Step {
        target: TensorData { name: target, dimensions, kind: F32, bytes: tensor.bytes },
        offset: tensor.offset,
    })
}

/// Names of what the plan left. Only the pre-training pooler and the position ids may be left: anything else would be
/// a part of the model that silently goes missing.
pub(super) fn left_out(weights: Weights) -> Result<Vec<String>, ConvertError> {
    for name in weights.keys() {
        let known = ["embeddings.position_ids", "pooler.dense.weight", "pooler.dense.bias"];
        let bare = name.strip_prefix("bert.").unwrap_or(name);
        if !known.contains(&bare) {
            let expected = "a part of a BERT encoder".to_owned();
            return Err(ConvertError::Tensor {
                name: name.clone(),
                expected,
                found: "a tensor with no place".into(),
            });
        }
    }
    Ok(weights.into_keys().collect())
}
