//! What the weights say about themselves: for the model's config document, and so that a file the enclave could not
//! serve is refused here, where it can still be replaced.

use super::ExportError;
use super::release_file::ModelOrder;
use hermetic_bundle::ModelKind;
use hermetic_bundle::model_pack::{ModelFile, ModelTechnical};
use hermetic_gguf::{Header, Limits};
use hermetic_store::Store;
use std::collections::BTreeMap;
use std::io::BufReader;

#[derive(Debug, Clone, Default)]
pub(super) struct GgufFacts {
    pub(super) technical: ModelTechnical,
}

impl GgufFacts {
    pub(super) fn read(model: &ModelOrder, weights: &ModelFile, store: &Store) -> Result<Self, ExportError> {
        let (file, bytes) = store.open_blob(&weights.digest).map_err(ExportError::Store)?;
        let header = Header::read(&mut BufReader::new(file), &Limits::default())
            .map_err(|source| ExportError::NotGguf { model: model.name.clone(), source })?;
        let refuse = |expected: &'static str, found: String| ExportError::Weights {
            model: model.name.clone(),
            expected,
            found,
        };
        if let Some(least) = header.file_bytes_min().filter(|least| *least > bytes) {
            return Err(refuse("hold every tensor of their table", format!("{bytes} of {least} bytes")));
        }
        if model.kind == ModelKind::Chat && header.text("tokenizer.chat_template").is_none() {
            return Err(refuse("carry a chat template, because `kind` is chat", "none".to_owned()));
        }
        if model.kind == ModelKind::Embedding && header.architecture_number("pooling_type").is_none() {
            return Err(refuse("name their pooling, because `kind` is embedding", "none".to_owned()));
        }
        Ok(Self { technical: technical(&header) })
    }
}

fn technical(header: &Header) -> ModelTechnical {
    let mut elements_by_type: BTreeMap<String, u64> = BTreeMap::new();
    for tensor in &header.tensors {
        let sum = elements_by_type.entry(tensor.kind.name()).or_default();
        *sum = sum.saturating_add(tensor.elements());
    }
    let parameters = elements_by_type.values().fold(0u64, |sum, elements| sum.saturating_add(*elements));
    // The type most weights are in: a quantised file keeps a few tensors in others.
    let main =
        elements_by_type.iter().max_by_key(|(_, elements)| **elements).map(|(name, _)| name.to_lowercase());
    ModelTechnical {
        architecture: header.architecture().map(str::to_owned),
        format: Some("gguf".to_owned()),
        param_size: Some(parameter_size(parameters)),
        quantization: main,
    }
}

/// ModelPack's `paramSize`: a decimal with at most one digit after the point, and a letter.
fn parameter_size(parameters: u64) -> String {
    let scales = [(1_000_000_000_000u64, "T"), (1_000_000_000, "B"), (1_000_000, "M"), (1_000, "K")];
    let (scale, letter) = scales.into_iter().find(|(scale, _)| parameters >= *scale).unwrap_or((1_000, "K"));
    let tenths = parameters / (scale / 10);
    format!("{}.{}{letter}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_as_modelpack_writes_them() {
        for (parameters, expected) in
            [(134_515_008, "134.5M"), (22_713_216, "22.7M"), (7_000_000_000, "7.0B"), (900, "0.9K")]
        {
            assert_eq!(parameter_size(parameters), expected);
        }
    }
}
