//! A made-up encoder of two tokens' worth, and every way it can be wrong.

use super::*;
use crate::read::{Header, Limits};
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::io::Cursor;

const WIDTH: u64 = 4;

struct Files {
    config: Json,
    pooling: Json,
    vocabulary: String,
    tensors: Vec<(String, Vec<u64>)>,
}

fn files() -> Files {
    let mut tensors = vec![
        ("embeddings.word_embeddings.weight".to_owned(), vec![6, WIDTH]),
        ("embeddings.position_embeddings.weight".to_owned(), vec![8, WIDTH]),
        ("embeddings.token_type_embeddings.weight".to_owned(), vec![2, WIDTH]),
        ("embeddings.LayerNorm.weight".to_owned(), vec![WIDTH]),
        ("embeddings.LayerNorm.bias".to_owned(), vec![WIDTH]),
        ("pooler.dense.bias".to_owned(), vec![WIDTH]),
    ];
    for (name, rows, columns) in [
        ("attention.self.query", WIDTH, Some(WIDTH)),
        ("attention.self.key", WIDTH, Some(WIDTH)),
        ("attention.self.value", WIDTH, Some(WIDTH)),
        ("attention.output.dense", WIDTH, Some(WIDTH)),
        ("attention.output.LayerNorm", WIDTH, None),
        ("intermediate.dense", 8, Some(WIDTH)),
        ("output.dense", WIDTH, Some(8)),
        ("output.LayerNorm", WIDTH, None),
    ] {
        let shape = [Some(rows), columns].into_iter().flatten().collect();
        tensors.push((format!("encoder.layer.0.{name}.weight"), shape));
        tensors.push((format!("encoder.layer.0.{name}.bias"), vec![rows]));
    }
    Files {
        config: json!({
            "model_type": "bert", "hidden_act": "gelu", "hidden_size": WIDTH, "intermediate_size": 8,
            "layer_norm_eps": 1e-12, "max_position_embeddings": 8, "num_attention_heads": 2,
            "num_hidden_layers": 1, "type_vocab_size": 2, "vocab_size": 6
        }),
        pooling: json!({"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": false}),
        vocabulary: "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nword\n".to_owned(),
        tensors,
    }
}

/// Safetensors whose every float is its own index, so that a misplaced tensor shows.
fn safetensors(tensors: &[(String, Vec<u64>)]) -> Vec<u8> {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, shape) in tensors {
        let from = data.len();
        for _ in 0..shape.iter().product::<u64>() {
            let value = (data.len() / 4) as f32;
            data.extend_from_slice(&value.to_le_bytes());
        }
        header.insert(
            name.clone(),
            json!({"dtype": "F32", "shape": shape, "data_offsets": [from, data.len()]}),
        );
    }
    let header = Json::Object(header).to_string();
    [(header.len() as u64).to_le_bytes().as_slice(), header.as_bytes(), &data].concat()
}

fn convert(files: &Files, weights: Vec<u8>) -> Result<(Vec<u8>, ConversionReport), ConvertError> {
    let (config, pooling) = (files.config.to_string(), files.pooling.to_string());
    let source = BertSource {
        name: "tiny",
        license: Some("Apache-2.0"),
        weights: Cursor::new(weights),
        config: config.as_bytes(),
        vocabulary: files.vocabulary.as_bytes(),
        tokenizer_config: None,
        pooling: Some(pooling.as_bytes()),
        sentence_config: Some(br#"{"max_seq_length": 5}"#),
    };
    let mut out = Vec::new();
    convert_bert(source, &mut out, |_, _| {}).map(|report| (out, report))
}

#[test]
fn every_tensor_lands_under_its_name_with_its_own_bytes() {
    let files = files();
    let weights = safetensors(&files.tensors);
    let (gguf, report) = convert(&files, weights.clone()).unwrap();
    assert_eq!((report.window, report.pooling, report.vocabulary), (5, Pooling::Mean, 6));
    assert_eq!(report.left_out, ["pooler.dense.bias"]);
    let header = Header::read(&mut gguf.as_slice(), &Limits::default()).unwrap();
    assert_eq!(header.tensors.len() as u64, report.tensors);
    assert_eq!(header.number("hermetic.window"), Some(5));
    let source = safetensors::read_header(&mut weights.as_slice()).unwrap();
    let pairs = [
        ("token_embd.weight", "embeddings.word_embeddings.weight"),
        ("blk.0.attn_q.weight", "encoder.layer.0.attention.self.query.weight"),
        ("blk.0.attn_v.bias", "encoder.layer.0.attention.self.value.bias"),
        ("blk.0.ffn_up.weight", "encoder.layer.0.intermediate.dense.weight"),
        ("blk.0.ffn_down.weight", "encoder.layer.0.output.dense.weight"),
        ("blk.0.layer_output_norm.bias", "encoder.layer.0.output.LayerNorm.bias"),
    ];
    for (ours, theirs) in pairs {
        let (target, origin) = (header.tensors.iter().find(|t| t.name == ours).unwrap(), &source[theirs]);
        assert_eq!(target.dimensions.iter().rev().copied().collect::<Vec<_>>(), origin.shape, "{ours}");
        let cut = |bytes: &[u8], at: u64, len: u64| bytes[at as usize..(at + len) as usize].to_vec();
        let written = cut(&gguf, header.data_offset + target.offset, origin.bytes);
        assert_eq!(written, cut(&weights, origin.offset, origin.bytes), "{ours}");
    }
}

#[test]
fn what_the_engine_computes_otherwise_is_refused() {
    let changes: [(&str, Json); 6] = [
        ("hidden_act", json!("relu")),
        ("model_type", json!("roberta")),
        ("position_embedding_type", json!("relative_key")),
        ("num_attention_heads", json!(3)),
        ("num_hidden_layers", json!(100_000)),
        ("vocab_size", json!(7)),
    ];
    for (key, value) in changes {
        let mut files = files();
        files.config[key] = value;
        let weights = safetensors(&files.tensors);
        let error = convert(&files, weights).unwrap_err();
        assert!(
            matches!(error, ConvertError::Setting { .. } | ConvertError::Vocabulary { .. }),
            "{key}: {error}"
        );
    }
    let mut pooled = files();
    pooled.pooling = json!({"pooling_mode_max_tokens": true});
    let weights = safetensors(&pooled.tensors);
    assert!(matches!(convert(&pooled, weights), Err(ConvertError::Setting { key: "pooling_mode_*", .. })));
}

#[test]
fn a_missing_a_misshapen_and_a_surplus_tensor_are_each_named() {
    let mut missing = files();
    missing.tensors.retain(|(name, _)| !name.ends_with("self.key.bias"));
    let error = convert(&missing, safetensors(&missing.tensors)).unwrap_err();
    assert!(
        matches!(&error, ConvertError::TensorMissing { name } if name.ends_with("self.key.bias")),
        "{error}"
    );
    let mut misshapen = files();
    misshapen.tensors[0].1 = vec![5, WIDTH];
    let error = convert(&misshapen, safetensors(&misshapen.tensors)).unwrap_err();
    assert!(
        matches!(&error, ConvertError::Tensor { name, .. } if name.contains("word_embeddings")),
        "{error}"
    );
    let mut surplus = files();
    surplus.tensors.push(("encoder.layer.1.output.dense.bias".to_owned(), vec![WIDTH]));
    let error = convert(&surplus, safetensors(&surplus.tensors)).unwrap_err();
    assert!(matches!(&error, ConvertError::Tensor { name, .. } if name.contains("layer.1")), "{error}");
}

#[test]
fn weights_that_end_early_are_refused_not_padded() {
    let files = files();
    let mut weights = safetensors(&files.tensors);
    weights.truncate(weights.len() - 1);
    let error = convert(&files, weights).unwrap_err();
    assert!(matches!(error, ConvertError::Write(WriteError::TensorBytes { .. })), "{error}");
}

proptest! {
    #[test]
    fn a_changed_byte_of_the_weights_file_ends_in_a_value_or_an_error(at: prop::sample::Index, to: u8) {
        let files = files();
        let mut weights = safetensors(&files.tensors);
        let at = at.index(weights.len());
        weights[at] = to;
        let _ = convert(&files, weights);
    }
}
