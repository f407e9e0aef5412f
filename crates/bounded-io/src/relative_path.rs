//! A path from a manifest, checked before it is ever joined to a folder.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A path of plain components below some root: no root of its own, no `.` or `..`, no backslash, no control character.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelativePath(String);

/// Longest path in bytes and deepest nesting: what FAT32, tar and a person can all take.
const PATH_BYTES_MAX: usize = 240;
const DEPTH_MAX: usize = 16;

/// Why a text is not a safe relative path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RelativePathError {
    #[error("expected a relative path of 1 to {PATH_BYTES_MAX} bytes, found {found} bytes")]
    Length { found: usize },
    #[error("expected at most {DEPTH_MAX} components, found {found}")]
    Depth { found: usize },
    #[error("expected a path that stays inside its folder, found the component `{component}` in `{path}`")]
    Escapes { component: String, path: String },
    #[error("expected plain characters in a path, found {found:?} in `{path}`")]
    Character { found: char, path: String },
}

impl RelativePath {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path under `root`.
    pub fn under(&self, root: &Path) -> PathBuf {
        root.join(&self.0)
    }
}

impl FromStr for RelativePath {
    type Err = RelativePathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || text.len() > PATH_BYTES_MAX {
            return Err(RelativePathError::Length { found: text.len() });
        }
        let shown = || text.escape_default().to_string();
        if let Some(found) = text.chars().find(|c| c.is_control() || matches!(c, '\\' | ':')) {
            return Err(RelativePathError::Character { found, path: shown() });
        }
        let components: Vec<&str> = text.split('/').collect();
        if components.len() > DEPTH_MAX {
            return Err(RelativePathError::Depth { found: components.len() });
        }
        if let Some(component) = components.iter().find(|c| matches!(**c, "" | "." | "..")) {
            return Err(RelativePathError::Escapes { component: (*component).to_owned(), path: shown() });
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for RelativePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RelativePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RelativePath({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rejects_every_way_out() {
        for bad in
            ["", "/etc/passwd", "..", "a/../b", "a/..", "./a", "a//b", "a\\..\\b", "C:x", "a\0b", "a\nb"]
        {
            assert!(bad.parse::<RelativePath>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_parses_stays_under_its_root(text in "[a-z./\\\\]{0,40}") {
            if let Ok(path) = text.parse::<RelativePath>() {
                let joined = path.under(Path::new("/root"));
                prop_assert!(joined.starts_with("/root"));
                prop_assert!(joined.components().all(|c| c.as_os_str() != ".."));
            }
        }
    }
}
