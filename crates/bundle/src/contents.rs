//! What a bundle holds, walked from its index and cross-checked: which models, their files and custody, and every blob
//! that must be there.
//!
//! The walk asks its caller for small documents by descriptor; the caller decides where they come from and hashes them.
//! Nothing here is verified trust: it says what the index claims, consistently. `inspect` shows it as such; an import
//! runs it on a statement that trust has verified.

use crate::custody::{CUSTODY, Custody};
use crate::document::DocumentError;
use crate::limits::DOCUMENT_BYTES_MAX;
use crate::model_pack::{ModelConfig, ModelManifest};
use crate::oci::{Descriptor, ImageIndex, ImageManifest};
use crate::part_table::PartTable;
use crate::statement::{Release, ReleaseArtifact};
use hermetic_diagnostics::{Code, Diagnose};
use hermetic_digest::Digest;
use hermetic_ids::ModelName;
use std::collections::BTreeMap;

/// Everything a bundle holds.
#[derive(Debug, Clone)]
pub struct Contents {
    models: Vec<ModelContents>,
    blobs: BTreeMap<Digest, u64>,
}

/// One model with the documents that describe it.
#[derive(Debug, Clone)]
pub struct ModelContents {
    pub artifact: ReleaseArtifact,
    pub manifest: ModelManifest,
    pub config: ModelConfig,
    pub custody: Custody,
}

/// Why the documents of a bundle do not fit together.
#[derive(Debug, thiserror::Error)]
pub enum ContentsError {
    #[error("cannot read the {what} of `{model}` ({digest})")]
    Document { what: &'static str, model: ModelName, digest: Digest, source: Box<DocumentError> },
    #[error("cannot fetch the {what} of `{model}` ({digest})")]
    Fetch {
        what: &'static str,
        model: ModelName,
        digest: Digest,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("expected the {what} of `{model}` to be {expected}, found {found}")]
    Mismatch { what: &'static str, model: ModelName, expected: String, found: String },
    #[error("expected {expected} in the index for `{model}`, found none")]
    NotIndexed { expected: Digest, model: ModelName },
    #[error("expected every entry of the index to belong to the release, found {digest}")]
    Stray { digest: Digest },
    #[error("expected {digest} to have one size, found {first} and {second} bytes")]
    TwoSizes { digest: Digest, first: u64, second: u64 },
    #[error("expected the part table to cover {digest} of {size} bytes, found {found}")]
    NotInPartTable { digest: Digest, size: u64, found: String },
    #[error("expected the part table to cover blobs of the release only, found {digest}")]
    StrayPart { digest: Digest },
}

impl Diagnose for ContentsError {
    fn code(&self) -> Code {
        Code::new("E0420")
    }
    fn hint(&self) -> Option<String> {
        Some("the bundle was put together wrongly or altered: ask for it again, or rebuild it".to_owned())
    }
}

/// Hands out the bytes a descriptor names.
type Fetch<'a> = dyn FnMut(&Descriptor) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> + 'a;

impl Contents {
    /// Walks a release from its index. `fetch` returns the bytes a descriptor names, at most
    /// [`DOCUMENT_BYTES_MAX`] of them; their digest and length are checked here.
    pub fn read(
        index: &ImageIndex,
        release: &Release,
        mut fetch: impl FnMut(&Descriptor) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>>,
    ) -> Result<Self, ContentsError> {
        let mut contents = Self { models: Vec::new(), blobs: BTreeMap::new() };
        for artifact in &release.artifacts {
            contents.read_model(index, artifact, &mut fetch)?;
        }
        for entry in index.manifests() {
            let named =
                |a: &ReleaseArtifact| a.manifest.digest == entry.digest || a.custody.digest == entry.digest;
            if !release.artifacts.iter().any(named) {
                return Err(ContentsError::Stray { digest: entry.digest });
            }
        }
        Ok(contents)
    }

    /// Checks that the part table covers exactly the blobs of this release, at the sizes their descriptors state.
    pub fn check_part_table(&self, table: &PartTable) -> Result<(), ContentsError> {
        for (&digest, &size) in &self.blobs {
            let found = table.blob(&digest).map(crate::part_table::BlobParts::size);
            if found != Some(size) {
                let found = found.map_or_else(|| "nothing".to_owned(), |bytes| format!("{bytes} bytes"));
                return Err(ContentsError::NotInPartTable { digest, size, found });
            }
        }
        match table.blobs().find(|blob| !self.blobs.contains_key(&blob.digest())) {
            Some(stray) => Err(ContentsError::StrayPart { digest: stray.digest() }),
            None => Ok(()),
        }
    }

    pub fn models(&self) -> &[ModelContents] {
        &self.models
    }

    /// Every blob of the release with its size, sorted by digest.
    pub fn blobs(&self) -> &BTreeMap<Digest, u64> {
        &self.blobs
    }

    pub fn total_bytes(&self) -> u64 {
        self.blobs.values().fold(0, |sum, size| sum.saturating_add(*size))
    }

    fn read_model(
        &mut self,
        index: &ImageIndex,
        artifact: &ReleaseArtifact,
        fetch: &mut Fetch<'_>,
    ) -> Result<(), ContentsError> {
        let name = &artifact.name;
        let manifest_at = Descriptor::from(&artifact.manifest);
        let custody_at = Descriptor::from(&artifact.custody);
        for expected in [&manifest_at, &custody_at] {
            if !index.manifests().iter().any(|entry| entry.same_blob(expected)) {
                return Err(ContentsError::NotIndexed { expected: expected.digest, model: name.clone() });
            }
        }
        let manifest_bytes = self.document("manifest", name, &manifest_at, fetch)?;
        let image =
            ImageManifest::parse(&manifest_bytes).map_err(unreadable("manifest", name, &manifest_at))?;
        let manifest =
            ModelManifest::from_image(&image).map_err(unreadable("manifest", name, &manifest_at))?;
        let config_bytes = self.document("config", name, manifest.config(), fetch)?;
        let config =
            ModelConfig::parse(&config_bytes).map_err(unreadable("config", name, manifest.config()))?;
        for file in manifest.files() {
            self.need(file.digest, file.size)?;
        }
        let custody = self.read_custody(name, &custody_at, &manifest_at, fetch)?;
        self.models.push(ModelContents { artifact: artifact.clone(), manifest, config, custody });
        Ok(())
    }

    fn read_custody(
        &mut self,
        name: &ModelName,
        at: &Descriptor,
        model: &Descriptor,
        fetch: &mut Fetch<'_>,
    ) -> Result<Custody, ContentsError> {
        let bytes = self.document("custody referrer", name, at, fetch)?;
        let referrer = ImageManifest::parse(&bytes).map_err(unreadable("custody referrer", name, at))?;
        let mismatch = |what, expected: String, found: String| ContentsError::Mismatch {
            what,
            model: name.clone(),
            expected,
            found,
        };
        if !referrer.subject().is_some_and(|subject| subject.same_blob(model)) {
            let found = referrer.subject().map_or_else(|| "none".to_owned(), |s| s.digest.to_string());
            return Err(mismatch("custody subject", model.digest.to_string(), found));
        }
        let [layer] = referrer.layers() else {
            return Err(mismatch(
                "custody referrer",
                "one layer".to_owned(),
                referrer.layers().len().to_string(),
            ));
        };
        if layer.media_type.as_str() != CUSTODY {
            return Err(mismatch("custody layer", CUSTODY.to_owned(), layer.media_type.to_string()));
        }
        self.document("custody config", name, referrer.config(), fetch)?;
        let document = self.document("custody document", name, layer, fetch)?;
        Custody::parse(&document).map_err(unreadable("custody document", name, layer))
    }

    /// Fetches a small document and checks it against its descriptor.
    fn document(
        &mut self,
        what: &'static str,
        model: &ModelName,
        at: &Descriptor,
        fetch: &mut Fetch<'_>,
    ) -> Result<Vec<u8>, ContentsError> {
        let mismatch = |expected: String, found: String| ContentsError::Mismatch {
            what,
            model: model.clone(),
            expected,
            found,
        };
        if at.size > DOCUMENT_BYTES_MAX {
            return Err(mismatch(
                format!("at most {DOCUMENT_BYTES_MAX} bytes"),
                format!("{} bytes", at.size),
            ));
        }
        let bytes = fetch(at).map_err(|source| ContentsError::Fetch {
            what,
            model: model.clone(),
            digest: at.digest,
            source,
        })?;
        if bytes.len() as u64 != at.size {
            return Err(mismatch(format!("{} bytes", at.size), format!("{} bytes", bytes.len())));
        }
        let found = Digest::of(&bytes);
        if found != at.digest {
            return Err(mismatch(at.digest.to_string(), found.to_string()));
        }
        self.need(at.digest, at.size)?;
        Ok(bytes)
    }

    fn need(&mut self, digest: Digest, size: u64) -> Result<(), ContentsError> {
        match self.blobs.insert(digest, size) {
            Some(first) if first != size => Err(ContentsError::TwoSizes { digest, first, second: size }),
            _ => Ok(()),
        }
    }
}

fn unreadable(
    what: &'static str,
    model: &ModelName,
    at: &Descriptor,
) -> impl FnOnce(DocumentError) -> ContentsError {
    let (model, digest) = (model.clone(), at.digest);
    move |source| ContentsError::Document { what, model, digest, source: Box::new(source) }
}
