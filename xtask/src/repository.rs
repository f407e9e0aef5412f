//! The files of the repository, read once, and what a rule says about them.

use anyhow::Context;
use std::fmt;
use std::path::{Path, PathBuf};

/// A file as text, named relative to the root with `/`.
#[derive(Debug, Clone)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    pub(crate) fn stem(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default().rsplit_once('.').map_or("", |(stem, _)| stem)
    }

    /// Lines that ship, numbered from one: everything before the inline test module.
    pub(crate) fn shipped_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let end = if self.is_test() {
            0
        } else {
            self.text.find("#[cfg(test)]\nmod tests {").unwrap_or(self.text.len())
        };
        self.text.get(..end).unwrap_or_default().lines().enumerate().map(|(i, line)| (i + 1, line))
    }

    pub(crate) fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The folder name of the crate this file belongs to.
    pub(crate) fn crate_name(&self) -> Option<&str> {
        self.path.strip_prefix("crates/")?.split('/').next()
    }

    /// Source that ships: `crates/*/src`, `bench` set aside.
    pub(crate) fn is_product_source(&self) -> bool {
        self.is_rust() && self.path.contains("/src/") && self.crate_name().is_some_and(|name| name != "bench")
    }
}

/// A rule that does not hold, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) rule: &'static str,
    pub(crate) path: String,
    pub(crate) line: usize,
    pub(crate) message: String,
}

impl Finding {
    pub(crate) fn new(rule: &'static str, path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { rule, path: path.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {} [{}]", self.path, self.line, self.message, self.rule)
    }
}

#[derive(Debug)]
pub(crate) struct Repository {
    pub(crate) root: PathBuf,
    pub(crate) files: Vec<File>,
}

/// What is looked at. Build output, installed packages and data sets are not ours to police.
const SKIPPED: [&str; 7] = [".git", "target", ".hermetic", "node_modules", ".venv", "__pycache__", "data"];
const SUFFIXES: [&str; 13] = [
    ".rs", ".toml", ".md", ".sh", ".py", ".mjs", ".yaml", ".yml", ".cedar", ".txt", "Makefile", ".ci/run",
    "LICENSE",
];

impl Repository {
    pub(crate) fn open() -> anyhow::Result<Self> {
        let root =
            Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask has a folder above it")?.to_owned();
        let mut files = Vec::new();
        collect(&root, "", &mut files)?;
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Self { root, files })
    }

    pub(crate) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }
}

fn collect(root: &Path, below: &str, files: &mut Vec<File>) -> anyhow::Result<()> {
    let folder = root.join(below);
    for entry in std::fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
        let kind = entry.file_type()?;
        if kind.is_dir() && !SKIPPED.iter().any(|skipped| name == *skipped || name.starts_with("target")) {
            collect(root, &path, files)?;
        } else if kind.is_file() && SUFFIXES.iter().any(|suffix| path.ends_with(suffix)) {
            // A file that goes away while we look, or is not text, has nothing to say.
            if let Ok(text) = std::fs::read_to_string(entry.path()) {
                files.push(File { path, text });
            }
        }
    }
    Ok(())
}
