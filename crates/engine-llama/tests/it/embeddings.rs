use super::fixture::{minilm_file, models};
use hermetic_engine_llama::{EmbedError, EmbeddingModel, LlamaOptions};
use hermetic_gguf::{BertSource, convert_bert};
use std::io::Cursor;

#[derive(serde::Deserialize)]
struct Reference {
    rows: Vec<Row>,
}

#[derive(serde::Deserialize)]
struct Row {
    text: String,
    vector: Vec<f32>,
}

fn reference() -> Vec<Row> {
    let reference: Reference = serde_json::from_str(include_str!("../reference/minilm.json")).unwrap();
    reference.rows
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

fn load() -> EmbeddingModel {
    EmbeddingModel::load(&LlamaOptions { threads: 1, ..LlamaOptions::new(models().embedding.clone()) })
        .unwrap()
}

fn cosine_distance(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    1.0 - dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn embeddings_equal_the_reference() {
    let (model, rows) = (load(), reference());
    let inputs: Vec<_> = rows.iter().map(|row| model.vocabulary().tokens(&row.text, true)).collect();
    let together = runtime().block_on(model.embed(&inputs, true)).unwrap();
    assert_eq!(together.vectors.len(), rows.len());
    let mut worst = 0.0_f64;
    for ((row, input), vector) in rows.iter().zip(&inputs).zip(&together.vectors) {
        let distance = cosine_distance(vector, &row.vector);
        assert!(distance < 1e-3, "{distance} for {:?}", row.text);
        let alone = runtime().block_on(model.embed(std::slice::from_ref(input), true)).unwrap();
        assert!(cosine_distance(vector, &alone.vectors[0]) < 1e-5, "batching changed {:?}", row.text);
        worst = worst.max(distance);
    }
    println!("largest cosine distance to the reference over {} texts: {worst:e}", rows.len());
}

#[test]
fn an_input_longer_than_the_window_is_refused_with_both_numbers() {
    let model = load();
    let long = model.vocabulary().tokens(&"repeat ".repeat(300), true);
    let error = runtime()
        .block_on(model.embed(&[model.vocabulary().tokens("short", true), long], false))
        .unwrap_err();
    assert_eq!(error, EmbedError::TooLong { index: 1, found: 302, window: 256 });
}

#[test]
fn a_token_outside_the_vocabulary_never_reaches_native_code() {
    let error = runtime().block_on(load().embed(&[vec![101, 4_000_000_000, 102]], false)).unwrap_err();
    assert_eq!(error, EmbedError::Token { found: 4_000_000_000, vocabulary: 30_522 });
}

#[test]
fn a_text_that_spells_a_control_token_stays_text() {
    let tokens = load().vocabulary().tokens("before [SEP] behind", true);
    // 101 and 102 are [CLS] and [SEP]: once each, at the edges.
    assert_eq!(tokens.iter().filter(|token| **token == 102).count(), 1, "{tokens:?}");
    assert_eq!((tokens.first(), tokens.last()), (Some(&101), Some(&102)));
}

#[test]
fn a_full_queue_refuses_and_everything_accepted_is_answered() {
    let model =
        EmbeddingModel::load(&LlamaOptions { queue: 1, ..LlamaOptions::new(models().embedding.clone()) })
            .unwrap();
    let input = vec![model.vocabulary().tokens(&"many words ".repeat(100), true); 8];
    let outcomes = runtime().block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..6 {
            let (model, input) = (model.clone(), input.clone());
            tasks.spawn(async move { model.embed(&input, true).await });
        }
        tasks.join_all().await
    });
    let refused =
        outcomes.iter().filter(|o| matches!(o, Err(EmbedError::QueueFull { capacity: 1, .. }))).count();
    let answered = outcomes.iter().filter(|o| o.as_ref().is_ok_and(|e| e.vectors.len() == 8)).count();
    assert_eq!((answered, refused), (2, 4), "{outcomes:?}");
}

#[test]
fn conversion_is_deterministic_and_says_what_it_left_out() {
    let convert = || {
        let file = minilm_file;
        let source = BertSource {
            name: "m",
            license: None,
            weights: Cursor::new(file("model.safetensors")),
            config: &file("config.json"),
            vocabulary: &file("vocab.txt"),
            tokenizer_config: None,
            pooling: None,
            sentence_config: None,
        };
        let mut out = Vec::new();
        let report = convert_bert(source, &mut out, |_, _| {}).unwrap();
        (out, report)
    };
    let ((first, report), (second, _)) = (convert(), convert());
    assert!(first == second);
    assert_eq!(report.bytes, first.len() as u64);
    assert_eq!(report.left_out, ["embeddings.position_ids", "pooler.dense.bias", "pooler.dense.weight"]);
}
