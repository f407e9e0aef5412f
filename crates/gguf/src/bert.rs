//! A BERT sentence encoder, as the hub publishes it, to the GGUF file llama.cpp loads as architecture `bert`.
//!
//! The weights stay F32 bit for bit: an embedding computed here must equal one computed by the reference. Only names,
//! the order of tensors and the container change. What the engine has no use for (the position ids, the pooler of the
//! pre-training head) is left out and said so in the report.

use crate::safetensors::{self, SafetensorsError};
use crate::value::{TensorType, Value};
use crate::write::{TensorData, WriteError, write_gguf};
use hermetic_diagnostics::{Code, Diagnose};
use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom, Write};

mod settings;
mod tensors;
mod vocabulary;

pub use settings::Pooling;
use settings::Settings;

/// The files of a sentence encoder. Small files as bytes, weights as a reader.
#[derive(Debug)]
pub struct BertSource<'a, R> {
    /// For `general.name`.
    pub name: &'a str,
    /// SPDX id for `general.license`, when known.
    pub license: Option<&'a str>,
    /// `model.safetensors`.
    pub weights: R,
    /// `config.json`.
    pub config: &'a [u8],
    /// `vocab.txt`.
    pub vocabulary: &'a [u8],
    /// `tokenizer_config.json`: lower-casing and accents. Absent: as `bert-base-uncased`.
    pub tokenizer_config: Option<&'a [u8]>,
    /// `1_Pooling/config.json`. Absent: mean, the usual.
    pub pooling: Option<&'a [u8]>,
    /// `sentence_bert_config.json`: the window the encoder was tuned for, often shorter than what it can address.
    pub sentence_config: Option<&'a [u8]>,
}

/// What a conversion did, for the custody record of what came out of it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ConversionReport {
    /// `hermetic-gguf convert_bert <version>`.
    pub converter: String,
    pub architecture: &'static str,
    pub tensors: u64,
    pub parameters: u64,
    /// Length of the file written.
    pub bytes: u64,
    /// Longest input in tokens, `[CLS]` and `[SEP]` counted.
    pub window: u32,
    pub embedding_length: u32,
    pub pooling: Pooling,
    pub vocabulary: u64,
    /// Tensors of the source that the engine has no use for, by name.
    pub left_out: Vec<String>,
}

/// Why an encoder cannot be converted.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    #[error("cannot read the weights of the sentence encoder")]
    Weights(#[from] SafetensorsError),
    #[error("expected `{file}` to hold the JSON of a sentence encoder")]
    Json { file: &'static str, source: serde_json::Error },
    #[error("expected `{key}` in `{file}` to be {expected}, found `{found}`")]
    Setting { file: &'static str, key: &'static str, expected: &'static str, found: String },
    #[error("expected the vocabulary to {expected}, found {found}")]
    Vocabulary { expected: &'static str, found: String },
    #[error("expected the weights to hold the tensor `{name}`")]
    TensorMissing { name: String },
    #[error("expected the tensor `{name}` to be {expected}, found {found}")]
    Tensor { name: String, expected: String, found: String },
    #[error("cannot write the converted model")]
    Write(#[from] WriteError),
}

impl Diagnose for ConvertError {
    fn code(&self) -> Code {
        Code::new("E0702")
    }
}

/// Converts; `progress` is called with bytes of weights done and in all.
pub fn convert_bert<R: Read + Seek, W: Write>(
    mut source: BertSource<'_, R>,
    out: &mut W,
    mut progress: impl FnMut(u64, u64),
) -> Result<ConversionReport, ConvertError> {
    let settings = Settings::parse(&source)?;
    let vocabulary = vocabulary::parse(source.vocabulary)?;
    settings.expect_vocabulary(vocabulary.len())?;
    let mut weights = safetensors::read_header(&mut source.weights)?;
    let plan = tensors::plan(&settings, &mut weights)?;
    let left_out = tensors::left_out(weights)?;

    let mut metadata = settings.metadata(source.name, source.license);
    vocabulary.append_metadata(&mut metadata);
    let table: Vec<TensorData> = plan.iter().map(|step| step.target.clone()).collect();
    let total = table.iter().map(|tensor| tensor.bytes).sum();
    let mut done = 0;
    let bytes = write_gguf(out, &metadata, &table, |index, out| {
        let Some(step) = plan.get(index) else { return Ok(()) };
        source.weights.seek(SeekFrom::Start(step.offset))?;
        let copied = io::copy(&mut (&mut source.weights).take(step.target.bytes), out)?;
        done += copied;
        progress(done, total);
        Ok(())
    })?;
    Ok(ConversionReport {
        converter: concat!("hermetic-gguf convert_bert ", env!("CARGO_PKG_VERSION")).to_owned(),
        architecture: "bert",
        tensors: table.len() as u64,
        parameters: total / 4,
        bytes,
        window: settings.window,
        embedding_length: settings.hidden_size,
        pooling: settings.pooling,
        vocabulary: vocabulary.len() as u64,
        left_out,
    })
}

type Metadata = Vec<(String, Value)>;
type Weights = BTreeMap<String, safetensors::Tensor>;

const F32: TensorType = TensorType::F32;

#[cfg(test)]
mod tests;
