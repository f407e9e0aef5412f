//! From collected files to documents: configs, manifests, custody referrers, the index and the part table.

use super::blob::put_document;
use super::collect::{Bench, Collected};
use super::{ExportError, ExportedModel};
use hermetic_bundle::model_pack::{FileRole, ModelConfig, ModelDescriptor, ModelManifest};
use hermetic_bundle::oci::EMPTY_CONTENT;
use hermetic_bundle::statement::ReleaseArtifact;
use hermetic_bundle::{BlobParts, Custody, Descriptor, PartTable};
use hermetic_ids::ModelName;

/// What the statement will name, and the table of every blob.
pub(super) struct Assembled {
    pub(super) artifacts: Vec<ReleaseArtifact>,
    pub(super) models: Vec<ExportedModel>,
    pub(super) parts: PartTable,
}

pub(super) fn assemble(bench: &Bench<'_>, collected: Vec<Collected<'_>>) -> Result<Assembled, ExportError> {
    let mut assembly = Assembly { bench, blobs: Vec::new() };
    assembly.document(EMPTY_CONTENT)?;
    let mut artifacts = Vec::with_capacity(collected.len());
    let mut models = Vec::with_capacity(collected.len());
    for mut model in collected {
        assembly.blobs.append(&mut model.blobs);
        let (artifact, summary) = assembly.model(&model)?;
        artifacts.push(artifact);
        models.push(summary);
    }
    // By name, so that the order of the release file is no part of the release.
    artifacts.sort_by(|a, b| a.name.cmp(&b.name));
    let parts = PartTable::new(bench.part_bytes, assembly.blobs).map_err(ExportError::Document)?;
    Ok(Assembled { artifacts, models, parts })
}

struct Assembly<'a> {
    bench: &'a Bench<'a>,
    blobs: Vec<BlobParts>,
}

impl Assembly<'_> {
    fn document(&mut self, bytes: &[u8]) -> Result<(), ExportError> {
        self.blobs.push(put_document(self.bench.store, self.bench.part_bytes, bytes)?);
        Ok(())
    }

    fn model(&mut self, collected: &Collected<'_>) -> Result<(ReleaseArtifact, ExportedModel), ExportError> {
        let manifest = self.manifest(collected)?;
        self.bench.store.tag(&manifest, &tag_of(&collected.model.name)).map_err(ExportError::Store)?;
        let custody = self.custody(&collected.custody, &manifest)?;
        let artifact = ReleaseArtifact {
            name: collected.model.name.clone(),
            kind: collected.model.kind,
            manifest: (&manifest).into(),
            custody: (&custody).into(),
        };
        let weights = collected.files.iter().find(|file| file.role == FileRole::Weights);
        let summary = ExportedModel {
            name: collected.model.name.clone(),
            kind: collected.model.kind,
            manifest: manifest.digest,
            weights: weights.map_or(manifest.digest, |file| file.digest),
            weights_bytes: weights.map_or(0, |file| file.size),
            derived_by: collected.custody.derivation.as_ref().map(|d| format!("{} {}", d.tool, d.version)),
        };
        Ok((artifact, summary))
    }

    fn manifest(&mut self, collected: &Collected<'_>) -> Result<Descriptor, ExportError> {
        let about = ModelDescriptor {
            created_at: self.bench.terms.created,
            name: collected.model.name.to_string(),
            version: Some(collected.custody.source.version.clone()),
            family: collected.model.family.clone(),
            licenses: vec![collected.model.licence.clone()],
        };
        let config = ModelConfig::new(about, collected.facts.technical.clone(), &collected.files);
        let config = config.to_bytes().map_err(ExportError::Document)?;
        self.document(&config)?;
        let manifest = ModelManifest::new(ModelConfig::descriptor_of(&config), collected.files.clone())
            .and_then(|manifest| manifest.to_bytes())
            .map_err(ExportError::Document)?;
        self.document(&manifest)?;
        Ok(ModelManifest::descriptor(&manifest))
    }

    fn custody(&mut self, custody: &Custody, model: &Descriptor) -> Result<Descriptor, ExportError> {
        let document = custody.to_bytes().map_err(ExportError::Document)?;
        self.document(&document)?;
        let referrer = Custody::referrer(&document, model)
            .and_then(|referrer| referrer.to_bytes())
            .map_err(ExportError::Document)?;
        self.document(&referrer)?;
        let descriptor = Custody::referrer_descriptor(&referrer);
        self.bench.store.list_untagged(&descriptor).map_err(ExportError::Store)?;
        Ok(descriptor)
    }
}

/// The name stock tools find the model by inside the bundle. A separator at the end or doubled, which a model name may
/// hold and an OCI name may not, becomes a single one.
fn tag_of(name: &ModelName) -> String {
    let mut tag = String::with_capacity(name.as_str().len());
    for c in name.as_str().chars() {
        let c = if c == '_' { '-' } else { c };
        if c.is_ascii_alphanumeric()
            || tag.chars().last().is_some_and(|before| before.is_ascii_alphanumeric())
        {
            tag.push(c);
        }
    }
    tag.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn model_names_become_names_stock_tools_accept() {
        for (name, tag) in
            [("smollm2-135m", "smollm2-135m"), ("org/m:8b", "org/m:8b"), ("a_b", "a-b"), ("a-_b.", "a-b")]
        {
            assert_eq!(tag_of(&name.parse().unwrap()), tag);
        }
    }
}
