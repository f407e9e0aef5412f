//! Conversions at collection: what the enclave serves is made here, once, and how it was made is written down.

use super::ExportError;
use super::blob::{BlobWriter, ScratchReader};
use super::collect::Bench;
use super::release_file::ModelOrder;
use hermetic_bundle::BlobParts;
use hermetic_bundle::custody::Derivation;
use hermetic_bundle::model_pack::{FileRole, ModelFile};
use hermetic_digest::Digest;
use hermetic_gguf::{BertSource, ConversionReport, ConvertError, convert_bert};
use hermetic_store::Incoming;
use std::collections::BTreeMap;
use std::io::{BufReader, BufWriter, Write};

/// Largest of the small files (vocabulary, settings) that are read whole: the largest vocabularies stay under 10 MiB.
const SMALL_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Bytes gathered before they are hashed and written.
const BUFFER_BYTES: usize = 1024 * 1024;

/// A collected file that does not itself go into the bundle.
pub(super) struct Ingredient {
    pub(super) path: String,
    pub(super) incoming: Incoming,
    pub(super) digest: Digest,
    pub(super) bytes: u64,
}

/// What a conversion made.
pub(super) struct Converted {
    pub(super) file: ModelFile,
    pub(super) parts: BlobParts,
    pub(super) derivation: Derivation,
}

impl Bench<'_> {
    pub(super) fn convert_bert(
        &self,
        model: &ModelOrder,
        ingredients: &[Ingredient],
    ) -> Result<Converted, ExportError> {
        let pantry = Pantry { model, ingredients };
        let weights = pantry.required("model.safetensors")?;
        let config = pantry.small(Some(pantry.required("config.json")?))?.unwrap_or_default();
        let vocabulary = pantry.small(Some(pantry.required("vocab.txt")?))?.unwrap_or_default();
        let tokenizer = pantry.small(pantry.find("tokenizer_config.json"))?;
        let pooling = pantry.small(pantry.find("1_Pooling/config.json"))?;
        let sentence = pantry.small(pantry.find("sentence_bert_config.json"))?;
        let source = BertSource {
            name: model.name.as_str(),
            license: Some(&model.licence),
            weights: BufReader::new(ScratchReader::new(&weights.incoming, weights.bytes)),
            config: &config,
            vocabulary: &vocabulary,
            tokenizer_config: tokenizer.as_deref(),
            pooling: pooling.as_deref(),
            sentence_config: sentence.as_deref(),
        };
        let (report, parts) = self.run_conversion(model, source)?;
        let path = file_name(model).parse().map_err(|_| ExportError::ConversionInput {
            model: model.name.clone(),
            expected: "a plain model name",
        })?;
        let file = ModelFile { path, role: FileRole::Weights, digest: parts.digest(), size: parts.size() };
        let inputs = ingredients.iter().map(|ingredient| ingredient.digest).collect();
        let derivation = derivation(&report, inputs, parts.digest());
        Ok(Converted { file, parts, derivation })
    }

    fn run_conversion<R: std::io::Read + std::io::Seek>(
        &self,
        model: &ModelOrder,
        source: BertSource<'_, R>,
    ) -> Result<(ConversionReport, BlobParts), ExportError> {
        let mut out = BufWriter::with_capacity(
            BUFFER_BYTES,
            BlobWriter::new(self.store, self.part_bytes, self.progress)?,
        );
        let converted = convert_bert(source, &mut out, |_, _| {});
        let flushed = converted.and_then(|report| {
            out.flush().map_err(|source| ConvertError::Write(source.into())).map(|()| report)
        });
        match flushed {
            Ok(report) => {
                let (writer, _) = out.into_parts();
                Ok((report, writer.seal()?))
            }
            // A full disk or a stop has its own name; the converter only saw that a write failed.
            Err(source) => {
                let failure = out.get_mut().take_failure();
                // What is still buffered must not be written once more when the buffer is dropped.
                let _ = out.into_parts();
                Err(failure.unwrap_or(ExportError::Convert { model: model.name.clone(), source }))
            }
        }
    }
}

/// The ingredients of one conversion, found by file name.
struct Pantry<'a> {
    model: &'a ModelOrder,
    ingredients: &'a [Ingredient],
}

impl<'a> Pantry<'a> {
    /// The ingredient of that name nearest to the root: `1_Pooling/config.json` is not `config.json`.
    fn find(&self, name: &str) -> Option<&'a Ingredient> {
        let named = |path: &str| {
            path.strip_suffix(name).is_some_and(|front| front.is_empty() || front.ends_with('/'))
        };
        self.ingredients.iter().filter(|i| named(&i.path)).min_by_key(|i| i.path.len())
    }

    fn required(&self, name: &'static str) -> Result<&'a Ingredient, ExportError> {
        self.find(name)
            .ok_or_else(|| ExportError::ConversionInput { model: self.model.name.clone(), expected: name })
    }

    fn small(&self, ingredient: Option<&Ingredient>) -> Result<Option<Vec<u8>>, ExportError> {
        let Some(Ingredient { path, incoming, bytes, .. }) = ingredient else { return Ok(None) };
        let too_large =
            ExportError::MemberSize { member: path.clone(), expected: SMALL_BYTES_MAX, found: *bytes };
        let length = usize::try_from(*bytes).ok().filter(|_| *bytes <= SMALL_BYTES_MAX).ok_or(too_large)?;
        let mut content = vec![0u8; length];
        incoming.read_at(&mut content, 0).map_err(ExportError::Store)?;
        Ok(Some(content))
    }
}

/// `all-minilm-l6-v2.gguf`: the last component of the model's name.
fn file_name(model: &ModelOrder) -> String {
    let name = model.name.as_str();
    let last = name.rsplit('/').next().unwrap_or(name);
    format!("{}.gguf", last.replace(':', "-"))
}

fn derivation(report: &ConversionReport, mut inputs: Vec<Digest>, output: Digest) -> Derivation {
    let (tool, version) = report.converter.rsplit_once(' ').unwrap_or((&report.converter, "unknown"));
    inputs.sort();
    let parameters: BTreeMap<String, String> = [
        ("architecture", report.architecture.to_owned()),
        ("element-type", "F32".to_owned()),
        ("embedding-length", report.embedding_length.to_string()),
        ("pooling", format!("{:?}", report.pooling).to_lowercase()),
        ("window-tokens", report.window.to_string()),
        (
            "left-out",
            if report.left_out.is_empty() { "nothing".to_owned() } else { report.left_out.join(", ") },
        ),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    Derivation { tool: tool.to_owned(), version: version.to_owned(), inputs, output, parameters }
}
