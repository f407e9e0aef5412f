//! Error codes, the page behind each, hints, and rendering a chain of causes once.
//!
//! What it is for: inside an enclave there is no internet to search, so every error an operator can meet has a stable
//! code and a page that ships in the binary (`hermetic explain E0401`). What it must not know: any concrete error.
//! Errors know their own code ([`Diagnose`]); this crate knows pages and how to print.
//!
//! Invariants: a code in the source has a page and a page has a code in the source (`cargo xtask tidy`); a code is
//! never reused; rendering prints each cause once, then the hint, then where to read more.
//!
//! Number ranges: E01 configuration · E02 network · E03 files and store · E04 bundle, trust and import · E05 releases
//! and registry · E06 ledger · E07 engines and workers · E08 requests · E09 keys, identity and policy · E10 process.

use include_dir::{Dir, include_dir};
use std::error::Error;
use std::fmt;

static PAGES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/pages");

/// A stable error code, `E` and four digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(&'static str);

impl Code {
    /// Names a code at compile time: `const EXPIRED: Code = Code::new("E0407");`. A malformed code does not compile.
    pub const fn new(text: &'static str) -> Self {
        let bytes = text.as_bytes();
        assert!(bytes.len() == 5 && bytes[0] == b'E', "a code is `E` and four digits");
        let mut i = 1;
        while i < 5 {
            assert!(bytes[i].is_ascii_digit(), "a code is `E` and four digits");
            i += 1;
        }
        Self(text)
    }

    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code({})", self.0)
    }
}

/// An error an operator can meet.
pub trait Diagnose: Error {
    fn code(&self) -> Code;

    /// What to do next, in one sentence, when there is something to do.
    fn hint(&self) -> Option<String> {
        None
    }
}

/// An error on its way to a person: the chain, its code and its hint. Converts from anything that is [`Diagnose`].
pub struct Report {
    error: Box<dyn Error + Send + Sync>,
    code: Code,
    hint: Option<String>,
}

impl<E: Diagnose + Send + Sync + 'static> From<E> for Report {
    fn from(error: E) -> Self {
        Self { code: error.code(), hint: error.hint(), error: Box::new(error) }
    }
}

impl Report {
    pub fn code(&self) -> Code {
        self.code
    }

    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The messages from the outermost to the root cause, each once.
    pub fn chain(&self) -> Vec<String> {
        chain(&*self.error)
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut messages = self.chain().into_iter();
        write!(f, "error[{}]: {}", self.code, messages.next().unwrap_or_default())?;
        for cause in messages {
            write!(f, "\n  caused by: {cause}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n\nhint: {hint}")?;
        }
        write!(f, "\nmore: hermetic explain {}", self.code)
    }
}

/// The messages of an error and its sources, outermost first, a repeated message once.
pub fn chain(error: &dyn Error) -> Vec<String> {
    let mut messages: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(current) = next {
        let message = current.to_string();
        if messages.last() != Some(&message) {
            messages.push(message);
        }
        next = current.source();
    }
    messages
}

/// The page behind a code, in Markdown. `code` is matched without regard to case.
pub fn page(code: &str) -> Option<&'static str> {
    PAGES.get_file(format!("{}.md", code.to_ascii_uppercase()))?.contents_utf8()
}

/// Every code that has a page, with the page's title, sorted.
pub fn index() -> Vec<(&'static str, &'static str)> {
    let mut entries: Vec<_> = PAGES
        .files()
        .filter_map(|file| {
            let code = file.path().file_stem()?.to_str()?;
            let title = file.contents_utf8()?.lines().next()?.trim_start_matches('#').trim();
            Some((code, title.trim_start_matches(code).trim_start_matches([':', ' '])))
        })
        .collect();
    entries.sort_unstable();
    entries
}

/// The known code nearest to a mistyped one.
pub fn nearest(code: &str) -> Option<&'static str> {
    let wanted = code.to_ascii_uppercase();
    index()
        .into_iter()
        .map(|(known, _)| known)
        .min_by_key(|known| strsim::damerau_levenshtein(known, &wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::io::Error);
    impl Diagnose for Outer {
        fn code(&self) -> Code {
            Code::new("E0000")
        }
        fn hint(&self) -> Option<String> {
            Some("try again".into())
        }
    }

    #[test]
    fn a_report_prints_each_cause_once_then_the_hint_then_where_to_read() {
        let report = Report::from(Outer(std::io::Error::other("disk on fire")));
        assert_eq!(
            report.to_string(),
            "error[E0000]: outer\n  caused by: disk on fire\n\nhint: try again\nmore: hermetic explain E0000"
        );
    }

    #[test]
    fn every_page_opens_with_its_own_code() {
        for (code, title) in index() {
            let first = page(code).and_then(|p| p.lines().next()).unwrap_or_default();
            assert!(first.starts_with(&format!("# {code}")), "{code}: {first}");
            assert!(!title.is_empty(), "{code} has no title");
        }
    }
}
