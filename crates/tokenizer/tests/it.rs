//! Counts beside those of Hugging Face's `tokenizers` and of llama.cpp, which the scripts in `tests/reference` wrote down.

use hermetic_gguf::{Array, Header, Value};
use hermetic_tokenizer::{Cap, HuggingFaceFiles, Tokenizer};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

#[derive(Deserialize)]
struct Reference {
    texts: Vec<String>,
    counts: HashMap<String, Counts>,
    /// For each vocabulary, where a count of `b{c}b` begins, and the count.
    characters: HashMap<String, Vec<(u32, u64)>>,
}

#[derive(Deserialize)]
struct Counts {
    special_tokens_spelled: Vec<u64>,
    special_tokens_as_text: Vec<u64>,
}

fn reference() -> &'static Reference {
    static REFERENCE: OnceLock<Reference> = OnceLock::new();
    REFERENCE.get_or_init(|| serde_json::from_str(include_str!("reference/counts.json")).unwrap())
}

fn tokenizer(file: &str) -> Tokenizer {
    let files = HuggingFaceFiles { tokenizer: file.as_bytes(), config: None, template: None };
    Tokenizer::from_hugging_face(files).unwrap()
}

fn counts_like_the_reference(name: &str, file: &str) {
    counts_like(&tokenizer(file), &reference().counts[name]);
}

fn counts_like(tokenizer: &Tokenizer, counts: &Counts) {
    let texts = &reference().texts;
    assert_eq!(
        (counts.special_tokens_spelled.len(), counts.special_tokens_as_text.len()),
        (texts.len(), texts.len())
    );
    let both = counts.special_tokens_spelled.iter().zip(&counts.special_tokens_as_text);
    let wrong = texts.iter().zip(both).filter_map(|(text, (spelled, plain))| {
        let expected = (*spelled, *plain);
        let found = (tokenizer.count_text_open(text, Cap::none()), tokenizer.count_text(text, Cap::none()));
        (found != expected).then(|| format!("{text:?}: expected {expected:?}, found {found:?}"))
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{} of {}, as {}", wrong.len(), texts.len(), wrong[0]);
}

#[test]
fn counts_like_the_reference_for_gpt2s_cuts() {
    counts_like_the_reference("gpt2", include_str!("reference/gpt2.json"));
}

#[test]
fn counts_like_the_reference_for_smollms_lone_digits() {
    counts_like_the_reference("smollm", include_str!("reference/smollm.json"));
}

#[test]
fn counts_like_the_reference_for_llama_3s_cuts_and_words_without_merges() {
    counts_like_the_reference("llama3", include_str!("reference/llama3.json"));
}

#[test]
fn counts_like_the_reference_for_qwen_2s_cuts_and_composed_texts() {
    counts_like_the_reference("qwen2", include_str!("reference/qwen2.json"));
}

#[test]
fn counts_like_the_reference_for_berts_folding() {
    counts_like_the_reference("bert", include_str!("reference/bert.json"));
}

#[test]
fn counts_like_the_reference_for_berts_folding_that_keeps_case_and_accents() {
    counts_like_the_reference("bert_cased", include_str!("reference/bert_cased.json"));
}

#[test]
fn every_character_between_letters_is_folded_like_the_reference() {
    for (name, file) in [
        ("bert", include_str!("reference/bert.json")),
        ("bert_cased", include_str!("reference/bert_cased.json")),
    ] {
        let tokenizer = tokenizer(file);
        let mut begins = reference().characters[name].iter().copied().peekable();
        let mut expected = 0;
        for c in '\0'..=char::MAX {
            if let Some((_, count)) = begins.next_if(|(begin, _)| *begin == u32::from(c)) {
                expected = count;
            }
            let found = tokenizer.count_text_open(&format!("b{c}b"), Cap::none());
            assert_eq!(found, expected, "{name} {}", c.escape_unicode());
        }
        assert_eq!(begins.next(), None);
    }
}

/// The vocabulary of a `tokenizer.json` as a GGUF header has it.
fn header(file: &str, pre_tokenizer: &str) -> Header {
    const NORMAL: i32 = 1;
    const CONTROL: i32 = 3;
    const USER_DEFINED: i32 = 4;
    let file: serde_json::Value = serde_json::from_str(file).unwrap();
    let mut tokens: BTreeMap<u64, (String, i32)> = BTreeMap::new();
    for (text, id) in file["model"]["vocab"].as_object().unwrap() {
        tokens.insert(id.as_u64().unwrap(), (text.clone(), NORMAL));
    }
    for added in file["added_tokens"].as_array().unwrap() {
        let kind = if added["special"] == true { CONTROL } else { USER_DEFINED };
        tokens.insert(added["id"].as_u64().unwrap(), (added["content"].as_str().unwrap().to_owned(), kind));
    }
    let merge =
        |merge: &serde_json::Value| format!("{} {}", merge[0].as_str().unwrap(), merge[1].as_str().unwrap());
    let merges = file["model"]["merges"].as_array().unwrap().iter().map(merge).collect();
    let (tokens, kinds) = tokens.into_values().unzip();
    let metadata = [
        ("model", Value::String("gpt2".to_owned())),
        ("pre", Value::String(pre_tokenizer.to_owned())),
        ("tokens", Value::Array(Array::String(tokens))),
        ("token_type", Value::Array(Array::I32(kinds))),
        ("merges", Value::Array(Array::String(merges))),
    ];
    let metadata =
        metadata.into_iter().map(|(key, value)| (format!("tokenizer.ggml.{key}"), value)).collect();
    Header { version: 3, metadata, tensors: Vec::new(), data_offset: 0 }
}

#[test]
fn vocabularies_in_gguf_are_counted_like_llama_cpp() {
    let reference: HashMap<String, Counts> =
        serde_json::from_str(include_str!("reference/llama_cpp.json")).unwrap();
    for (name, pre_tokenizer, file) in [
        ("gpt2", "gpt-2", include_str!("reference/gpt2.json")),
        ("smollm", "smollm", include_str!("reference/smollm.json")),
        ("llama3", "llama-bpe", include_str!("reference/llama3.json")),
        ("qwen2", "qwen2", include_str!("reference/qwen2.json")),
    ] {
        let tokenizer = Tokenizer::from_gguf(&header(file, pre_tokenizer)).unwrap();
        counts_like(&tokenizer, &reference[name]);
    }
}

/// A file with one thing in it changed.
fn changed(file: &str, change: impl FnOnce(&mut serde_json::Value)) -> String {
    let mut value = serde_json::from_str(file).unwrap();
    change(&mut value);
    value.to_string()
}

/// What the library refuses, or reads in a way that is not done here, is not counted approximately.
#[test]
fn refuses_files_whose_counts_would_not_be_exact() {
    let bpe = include_str!("reference/qwen2.json");
    let bert = include_str!("reference/bert.json");
    for (what, file) in [
        ("chance", changed(bpe, |file| file["model"]["dropout"] = 0.1.into())),
        (
            "a merge twice",
            changed(bpe, |file| file["model"]["merges"][1] = file["model"]["merges"][0].clone()),
        ),
        (
            "a merge of no tokens",
            changed(bpe, |file| file["model"]["merges"][0] = serde_json::json!(["no", "token of these"])),
        ),
        (
            "a byte without a token",
            changed(bpe, |file| {
                let vocabulary = file["model"]["vocab"].as_object_mut().unwrap();
                let id = vocabulary.remove("ÿ").unwrap();
                vocabulary.insert("no byte".to_owned(), id);
            }),
        ),
        ("another normal form", changed(bpe, |file| file["normalizer"]["type"] = "NFKC".into())),
        ("a token that strips", changed(bpe, |file| file["added_tokens"][0]["lstrip"] = true.into())),
        ("a folded token", changed(bert, |file| file["added_tokens"][0]["normalized"] = true.into())),
        (
            "a text twice",
            changed(bert, |file| {
                let single = file["post_processor"]["single"].as_array_mut().unwrap();
                let text = single[1].clone();
                single.push(text);
            }),
        ),
    ] {
        let files = HuggingFaceFiles { tokenizer: file.as_bytes(), config: None, template: None };
        assert!(Tokenizer::from_hugging_face(files).is_err(), "{what}");
    }
}
