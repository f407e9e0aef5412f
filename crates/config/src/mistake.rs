//! One mistake in a configuration file, and all of them together.

use hermetic_diagnostics::{Code, Diagnose};
use std::fmt;
use std::path::{Path, PathBuf};

/// Where in the text, both counted from one, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

/// What is wrong, at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    pub at: Position,
    /// The key it concerns, such as `models[0].endpoint`; empty for the file as a whole.
    pub key: String,
    pub code: Code,
    /// What was expected and what was found.
    pub message: String,
}

pub(crate) const NOT_YAML: Code = Code::new("E0102");
pub(crate) const UNKNOWN_KEY: Code = Code::new("E0103");
pub(crate) const WRONG_VALUE: Code = Code::new("E0104");
pub(crate) const MISSING_KEY: Code = Code::new("E0105");
pub(crate) const OUTSIDE_ENCLAVE: Code = Code::new("E0106");
pub(crate) const BOUNDARY_TOO_WIDE: Code = Code::new("E0107");
pub(crate) const CONTRADICTION: Code = Code::new("E0109");

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} [{}] ", self.at.line, self.at.column, self.code)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// Everything that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    file: PathBuf,
    /// Sorted by position; never empty.
    mistakes: Vec<Mistake>,
}

impl ConfigError {
    pub(crate) fn new(file: &Path, mistakes: Vec<Mistake>) -> Self {
        Self { file: file.to_owned(), mistakes }
    }

    pub fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = self.mistakes.len();
        let plural = if found == 1 { "" } else { "s" };
        write!(
            f,
            "expected a valid configuration, found {found} mistake{plural} in `{}`",
            self.file.display()
        )?;
        for mistake in &self.mistakes {
            write!(f, "\n  {}:{mistake}", self.file.display())?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

impl Diagnose for ConfigError {
    /// The gravest code: leaving the enclave outranks a typing error.
    fn code(&self) -> Code {
        let outranks = |code: Code| self.mistakes.iter().any(|mistake| mistake.code == code);
        if outranks(OUTSIDE_ENCLAVE) {
            return OUTSIDE_ENCLAVE;
        }
        self.mistakes.first().map_or(WRONG_VALUE, |mistake| mistake.code)
    }

    fn hint(&self) -> Option<String> {
        // A key nobody knows cannot be explained; the message already names the nearest one.
        let known = |mistake: &&Mistake| mistake.code != UNKNOWN_KEY && !mistake.key.is_empty();
        let key = &self.mistakes.iter().filter(known).find(|mistake| mistake.code == self.code())?.key;
        Some(format!("`hermetic config explain {}` says what this key takes", without_indices(key)))
    }
}

/// `models[0].name` → `models.name`, the form `config explain` takes.
pub(crate) fn without_indices(key: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in key.chars() {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            _ if !inside => out.push(c),
            _ => {}
        }
    }
    out
}
