//! Models as CNCF ModelPack artifacts: an OCI manifest whose layers are the model's files, raw.
//!
//! Files are never wrapped in an archive: the layer's digest is the file's digest, so a store serves the same bytes to
//! an engine, to a registry client and to `sha256sum`.

use crate::document::{self, DocumentError};
use crate::limits::DOCUMENT_BYTES_MAX;
use crate::oci::{Descriptor, ImageManifest, MediaType};
use crate::utc::UtcTime;
use hermetic_bounded_io::RelativePath;
use hermetic_digest::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

pub const ARTIFACT_TYPE: &str = "application/vnd.cncf.model.manifest.v1+json";
pub const CONFIG: &str = "application/vnd.cncf.model.config.v1+json";
pub const WEIGHTS: &str = "application/vnd.cncf.model.weight.v1.raw";
pub const WEIGHTS_CONFIG: &str = "application/vnd.cncf.model.weight.config.v1.raw";
pub const DOCUMENTATION: &str = "application/vnd.cncf.model.doc.v1.raw";
/// The annotation of a layer that says which file it is.
pub const FILE_PATH: &str = "org.cncf.model.filepath";

const WHAT: &str = "the model manifest";

/// What a file of a model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileRole {
    Weights,
    Config,
    Doc,
}

impl FileRole {
    fn media_type(self) -> MediaType {
        MediaType::known(match self {
            Self::Weights => WEIGHTS,
            Self::Config => WEIGHTS_CONFIG,
            Self::Doc => DOCUMENTATION,
        })
    }

    fn of(media_type: &MediaType) -> Option<Self> {
        match media_type.as_str() {
            WEIGHTS => Some(Self::Weights),
            WEIGHTS_CONFIG => Some(Self::Config),
            DOCUMENTATION => Some(Self::Doc),
            _ => None,
        }
    }
}

/// One file of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFile {
    pub path: RelativePath,
    pub role: FileRole,
    pub digest: Digest,
    pub size: u64,
}

/// A ModelPack manifest, reduced to what it says: a config and files, at least one of them weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelManifest {
    config: Descriptor,
    files: Vec<ModelFile>,
}

impl ModelManifest {
    /// Makes a manifest from a stored config and files; their order is kept by path.
    pub fn new(config: Descriptor, mut files: Vec<ModelFile>) -> Result<Self, DocumentError> {
        files.sort_by(|a, b| (a.role, &a.path).cmp(&(b.role, &b.path)));
        let manifest = Self { config, files };
        manifest.check().map(|()| manifest)
    }

    pub fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        Self::from_image(&ImageManifest::parse(bytes)?)
    }

    pub fn from_image(image: &ImageManifest) -> Result<Self, DocumentError> {
        let found = image.artifact_type().map_or("none", MediaType::as_str);
        if found != ARTIFACT_TYPE {
            return Err(DocumentError::value(WHAT, format!("`artifactType` {ARTIFACT_TYPE}"), found));
        }
        let files = image.layers().iter().map(file_of).collect::<Result<Vec<_>, _>>()?;
        let manifest = Self { config: image.config().clone(), files };
        manifest.check().map(|()| manifest)
    }

    pub fn to_bytes(&self) -> Result<Vec<u8>, DocumentError> {
        let layer = |file: &ModelFile| {
            Descriptor::new(file.role.media_type(), file.digest, file.size)
                .with_annotation(FILE_PATH, file.path.as_str())
        };
        let layers = self.files.iter().map(layer).collect();
        ImageManifest::artifact(MediaType::known(ARTIFACT_TYPE), self.config.clone(), layers)?.to_bytes()
    }

    pub fn config(&self) -> &Descriptor {
        &self.config
    }
    pub fn files(&self) -> &[ModelFile] {
        &self.files
    }
    /// The first weights file: for GGUF, the model.
    pub fn weights(&self) -> Option<&ModelFile> {
        self.files.iter().find(|file| file.role == FileRole::Weights)
    }

    /// Describes a manifest that was written as `bytes`.
    pub fn descriptor(bytes: &[u8]) -> Descriptor {
        Descriptor::of(MediaType::manifest(), bytes).with_artifact_type(MediaType::known(ARTIFACT_TYPE))
    }

    fn check(&self) -> Result<(), DocumentError> {
        if self.config.media_type.as_str() != CONFIG {
            return Err(DocumentError::value(
                WHAT,
                format!("a config of type {CONFIG}"),
                &self.config.media_type,
            ));
        }
        if self.weights().is_none() {
            return Err(DocumentError::value(WHAT, "at least one weights layer", "none"));
        }
        // Lower-cased: two names that differ in case are one file on the media many bundles travel on.
        let mut paths = BTreeSet::new();
        match self.files.iter().find(|file| !paths.insert(file.path.as_str().to_ascii_lowercase())) {
            Some(twice) => {
                Err(DocumentError::value(WHAT, "each file once", format!("`{}` twice", twice.path)))
            }
            None => Ok(()),
        }
    }
}

fn file_of(layer: &Descriptor) -> Result<ModelFile, DocumentError> {
    let role = FileRole::of(&layer.media_type)
        .ok_or_else(|| DocumentError::value(WHAT, "a raw ModelPack layer", &layer.media_type))?;
    let path = layer.annotations.get(FILE_PATH).map_or("", String::as_str);
    let path = path.parse().map_err(|error| {
        DocumentError::value(WHAT, format!("a safe `{FILE_PATH}` on {}", layer.digest), error)
    })?;
    Ok(ModelFile { path, role, digest: layer.digest, size: layer.size })
}

/// The ModelPack config document: what the model is, for people and tools that pick one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelConfig {
    pub descriptor: ModelDescriptor,
    pub modelfs: ModelFilesystem,
    pub config: ModelTechnical,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelDescriptor {
    pub created_at: UtcTime,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    pub licenses: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelFilesystem {
    #[serde(rename = "type")]
    pub kind: String,
    pub diff_ids: Vec<Digest>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelTechnical {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub param_size: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantization: Option<String>,
}

impl ModelConfig {
    /// `files` in the order of the manifest's layers; raw layers are their own "diff ids".
    pub fn new(descriptor: ModelDescriptor, config: ModelTechnical, files: &[ModelFile]) -> Self {
        let mut sorted: Vec<_> = files.iter().collect();
        sorted.sort_by(|a, b| (a.role, &a.path).cmp(&(b.role, &b.path)));
        let diff_ids = sorted.iter().map(|file| file.digest).collect();
        Self { descriptor, modelfs: ModelFilesystem { kind: "layers".to_owned(), diff_ids }, config }
    }

    pub fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        document::parse("the model config", bytes, DOCUMENT_BYTES_MAX)
    }

    pub fn to_bytes(&self) -> Result<Vec<u8>, DocumentError> {
        document::write("the model config", self)
    }

    /// Describes a config that was written as `bytes`.
    pub fn descriptor_of(bytes: &[u8]) -> Descriptor {
        Descriptor::of(MediaType::known(CONFIG), bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, role: FileRole) -> ModelFile {
        ModelFile { path: path.parse().unwrap(), role, digest: Digest::of(path.as_bytes()), size: 10 }
    }

    fn config() -> Descriptor {
        ModelConfig::descriptor_of(b"{}")
    }

    #[test]
    fn a_manifest_reads_back_and_does_not_depend_on_the_order_of_its_files() {
        let files = vec![file("LICENSE", FileRole::Doc), file("model.gguf", FileRole::Weights)];
        let one = ModelManifest::new(config(), files.clone()).unwrap();
        let two = ModelManifest::new(config(), files.into_iter().rev().collect()).unwrap();
        assert_eq!(one.to_bytes().unwrap(), two.to_bytes().unwrap());
        assert_eq!(ModelManifest::parse(&one.to_bytes().unwrap()).unwrap(), one);
        assert_eq!(one.weights().unwrap().path.as_str(), "model.gguf");
    }

    #[test]
    fn a_file_path_that_climbs_out_is_refused() {
        let good = ModelManifest::new(config(), vec![file("model.gguf", FileRole::Weights)]).unwrap();
        let text = String::from_utf8(good.to_bytes().unwrap()).unwrap();
        for bad in ["../model.gguf", "/etc/passwd", "a/../../b", ""] {
            assert!(ModelManifest::parse(text.replace("model.gguf", bad).as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn files_that_differ_only_in_case_and_models_without_weights_are_refused() {
        let twice = vec![file("M.gguf", FileRole::Weights), file("m.GGUF", FileRole::Weights)];
        assert!(ModelManifest::new(config(), twice).is_err());
        assert!(ModelManifest::new(config(), vec![file("LICENSE", FileRole::Doc)]).is_err());
    }
}
