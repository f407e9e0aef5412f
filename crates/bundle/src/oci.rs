//! The OCI documents a bundle is made of: descriptor, image index, image manifest (image-spec 1.1).
//!
//! Unknown fields are ignored, not refused: image-spec, "Considerations, Extensibility" demands it, and a document is
//! always kept and checked as the bytes its digest names. Digests other than SHA-256 are refused: the store knows one.

use crate::document::{self, DocumentError};
use crate::limits::{BLOB_BYTES_MAX, DOCUMENT_BYTES_MAX, INDEX_BYTES_MAX, INDEX_ENTRIES_MAX, LAYERS_MAX};
use hermetic_digest::Digest;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// image-spec, "Guidance for an Empty Descriptor".
pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// The content of the empty descriptor.
pub const EMPTY_CONTENT: &[u8] = b"{}";
/// The annotation under which tools such as skopeo look for a name in an image layout.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// A media type: `type/subtype`, RFC 6838 §4.2.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct MediaType(String);

/// Why a text is not a media type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a media type such as `application/json` of at most 127 bytes, found `{found}`")]
pub struct MediaTypeError {
    pub found: String,
}

impl MediaType {
    pub fn as_str(&self) -> &str {
        &self.0
    }
    pub fn manifest() -> Self {
        Self(MANIFEST.to_owned())
    }
    pub fn index() -> Self {
        Self(INDEX.to_owned())
    }
    pub fn empty() -> Self {
        Self(EMPTY.to_owned())
    }
    pub(crate) fn known(text: &'static str) -> Self {
        Self(text.to_owned())
    }
}

impl FromStr for MediaType {
    type Err = MediaTypeError;
    fn from_str(text: &str) -> Result<Self, MediaTypeError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "!#$&-^_.+".contains(c);
        let well_formed = text.split_once('/').is_some_and(|(a, b)| {
            !a.is_empty() && !b.is_empty() && a.chars().all(plain) && b.chars().all(plain)
        });
        if !well_formed || text.len() > 127 {
            return Err(MediaTypeError { found: text.chars().take(127).collect() });
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MediaType({})", self.0)
    }
}

impl<'de> Deserialize<'de> for MediaType {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What and how long a blob is (image-spec, "OCI Content Descriptors").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    pub media_type: MediaType,
    pub digest: Digest,
    pub size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<MediaType>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Descriptor {
    pub fn new(media_type: MediaType, digest: Digest, size: u64) -> Self {
        Self { media_type, digest, size, artifact_type: None, annotations: BTreeMap::new() }
    }

    /// Describes bytes that are in memory.
    pub fn of(media_type: MediaType, bytes: &[u8]) -> Self {
        Self::new(media_type, Digest::of(bytes), bytes.len() as u64)
    }

    #[must_use]
    pub fn with_annotation(mut self, name: &str, value: impl Into<String>) -> Self {
        self.annotations.insert(name.to_owned(), value.into());
        self
    }

    #[must_use]
    pub fn with_artifact_type(mut self, artifact_type: MediaType) -> Self {
        self.artifact_type = Some(artifact_type);
        self
    }

    /// The name tools know this descriptor by, when it has one.
    pub fn ref_name(&self) -> Option<&str> {
        self.annotations.get(REF_NAME).map(String::as_str)
    }

    /// The same blob: media type, digest and size agree; annotations may differ from place to place.
    pub fn same_blob(&self, other: &Self) -> bool {
        self.media_type == other.media_type && self.digest == other.digest && self.size == other.size
    }

    fn check(&self, what: &'static str) -> Result<(), DocumentError> {
        if self.size > BLOB_BYTES_MAX {
            return Err(DocumentError::value(
                what,
                format!("a `size` of at most {BLOB_BYTES_MAX}"),
                self.size,
            ));
        }
        Ok(())
    }
}

/// A list of manifests: `index.json` of an image layout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageIndex {
    schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    media_type: Option<MediaType>,
    manifests: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

const WHAT_INDEX: &str = "the image index";

impl ImageIndex {
    /// Makes an index, sorted by name and digest so that the same entries give the same bytes.
    pub fn new(mut manifests: Vec<Descriptor>) -> Result<Self, DocumentError> {
        manifests.sort_by(|a, b| (a.ref_name(), a.digest).cmp(&(b.ref_name(), b.digest)));
        let index = Self {
            schema_version: 2,
            media_type: Some(MediaType::index()),
            manifests,
            annotations: BTreeMap::new(),
        };
        index.check().map(|()| index)
    }

    pub fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        let index: Self = document::parse(WHAT_INDEX, bytes, INDEX_BYTES_MAX)?;
        index.check().map(|()| index)
    }

    pub fn to_bytes(&self) -> Result<Vec<u8>, DocumentError> {
        document::write(WHAT_INDEX, self)
    }

    pub fn manifests(&self) -> &[Descriptor] {
        &self.manifests
    }

    /// The entry tagged `name`.
    pub fn tagged(&self, name: &str) -> Option<&Descriptor> {
        self.manifests.iter().find(|d| d.ref_name() == Some(name))
    }

    fn check(&self) -> Result<(), DocumentError> {
        if self.schema_version != 2 {
            return Err(DocumentError::value(WHAT_INDEX, "`schemaVersion` 2", self.schema_version));
        }
        if let Some(found) = self.media_type.as_ref().filter(|m| m.as_str() != INDEX) {
            return Err(DocumentError::value(WHAT_INDEX, format!("`mediaType` {INDEX}"), found));
        }
        if self.manifests.len() > INDEX_ENTRIES_MAX {
            let expected = format!("at most {INDEX_ENTRIES_MAX} entries");
            return Err(DocumentError::value(WHAT_INDEX, expected, self.manifests.len()));
        }
        let mut names = BTreeSet::new();
        for descriptor in &self.manifests {
            descriptor.check(WHAT_INDEX)?;
            if let Some(name) = descriptor.ref_name().filter(|name| !names.insert((*name).to_owned())) {
                return Err(DocumentError::value(WHAT_INDEX, "each name once", format!("`{name}` twice")));
            }
        }
        Ok(())
    }
}

/// A config, its layers and, for a referrer, its subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageManifest {
    schema_version: u32,
    media_type: MediaType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    artifact_type: Option<MediaType>,
    config: Descriptor,
    layers: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<Descriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

const WHAT_MANIFEST: &str = "the image manifest";

impl ImageManifest {
    pub fn artifact(
        artifact_type: MediaType,
        config: Descriptor,
        layers: Vec<Descriptor>,
    ) -> Result<Self, DocumentError> {
        let manifest = Self {
            schema_version: 2,
            media_type: MediaType::manifest(),
            artifact_type: Some(artifact_type),
            config,
            layers,
            subject: None,
            annotations: BTreeMap::new(),
        };
        manifest.check().map(|()| manifest)
    }

    /// Makes this manifest a referrer of `subject`.
    #[must_use]
    pub fn referring_to(mut self, subject: Descriptor) -> Self {
        // image-spec, "subject": media type, digest and size; what the entry is called elsewhere has no place here.
        self.subject = Some(Descriptor::new(subject.media_type, subject.digest, subject.size));
        self
    }

    pub fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        let manifest: Self = document::parse(WHAT_MANIFEST, bytes, DOCUMENT_BYTES_MAX)?;
        manifest.check().map(|()| manifest)
    }

    pub fn to_bytes(&self) -> Result<Vec<u8>, DocumentError> {
        document::write(WHAT_MANIFEST, self)
    }

    pub fn artifact_type(&self) -> Option<&MediaType> {
        self.artifact_type.as_ref()
    }
    pub fn config(&self) -> &Descriptor {
        &self.config
    }
    pub fn layers(&self) -> &[Descriptor] {
        &self.layers
    }
    pub fn subject(&self) -> Option<&Descriptor> {
        self.subject.as_ref()
    }
    /// Config and layers: every blob this manifest needs beside itself.
    pub fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        std::iter::once(&self.config).chain(&self.layers)
    }

    fn check(&self) -> Result<(), DocumentError> {
        if self.schema_version != 2 {
            return Err(DocumentError::value(WHAT_MANIFEST, "`schemaVersion` 2", self.schema_version));
        }
        if self.media_type.as_str() != MANIFEST {
            return Err(DocumentError::value(
                WHAT_MANIFEST,
                format!("`mediaType` {MANIFEST}"),
                &self.media_type,
            ));
        }
        if self.layers.len() > LAYERS_MAX {
            let expected = format!("at most {LAYERS_MAX} layers");
            return Err(DocumentError::value(WHAT_MANIFEST, expected, self.layers.len()));
        }
        self.blobs().chain(&self.subject).try_for_each(|d| d.check(WHAT_MANIFEST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor(name: &str) -> Descriptor {
        Descriptor::of(MediaType::manifest(), name.as_bytes()).with_annotation(REF_NAME, name)
    }

    #[test]
    fn the_order_in_which_entries_are_given_does_not_change_the_bytes() {
        let one = ImageIndex::new(vec![descriptor("a"), descriptor("b")]).unwrap();
        let two = ImageIndex::new(vec![descriptor("b"), descriptor("a")]).unwrap();
        assert_eq!(one.to_bytes().unwrap(), two.to_bytes().unwrap());
        assert_eq!(ImageIndex::parse(&one.to_bytes().unwrap()).unwrap(), one);
    }

    #[test]
    fn an_index_with_one_name_twice_is_refused() {
        let error = ImageIndex::new(vec![descriptor("a"), descriptor("a")]).unwrap_err();
        assert!(error.to_string().contains("`a` twice"), "{error}");
    }

    #[test]
    fn unknown_fields_of_other_tools_are_ignored_and_foreign_digests_refused() {
        let sha512 = format!("sha512:{}", "0".repeat(128));
        let known =
            format!(r#"{{"mediaType":"{MANIFEST}","digest":"{}","size":1,"urls":[]}}"#, Digest::of(b""));
        let index = |entry: &str| format!(r#"{{"schemaVersion":2,"manifests":[{entry}],"future":{{}}}}"#);
        assert!(ImageIndex::parse(index(&known).as_bytes()).is_ok());
        let foreign = known.replace(&Digest::of(b"").to_string(), &sha512);
        assert!(ImageIndex::parse(index(&foreign).as_bytes()).is_err());
        let negative = known.replace("\"size\":1", "\"size\":-1");
        assert!(ImageIndex::parse(index(&negative).as_bytes()).is_err());
        let huge = known.replace("\"size\":1", "\"size\":18446744073709551615");
        assert!(ImageIndex::parse(index(&huge).as_bytes()).is_err());
    }

    #[test]
    fn media_types_are_checked() {
        assert!("application/vnd.cncf.model.manifest.v1+json".parse::<MediaType>().is_ok());
        for bad in ["", "application", "a/", "/b", "a/b/c", "a/b; q=1", "a/b\n"] {
            assert!(bad.parse::<MediaType>().is_err(), "{bad:?}");
        }
    }
}
