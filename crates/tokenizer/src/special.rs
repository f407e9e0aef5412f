//! Special tokens: texts that are one token wherever they stand, found before anything else is cut.

use crate::error::TokenizerError;
use aho_corasick::{AhoCorasick, MatchKind};

/// How a special token is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Part of the model's protocol: only a template may write it.
    Control,
    /// The token for what has none. Found where control tokens are, without being one.
    Unknown,
    /// A word that was added to the vocabulary: any text may hold it.
    Added,
}

/// The special tokens of a vocabulary.
#[derive(Debug)]
pub(crate) struct Specials {
    /// Control and added: what a template wrote.
    all: Option<AhoCorasick>,
    /// Added only: what a user wrote.
    added: Option<AhoCorasick>,
}

/// A part of a text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part<'t> {
    Special,
    Text(&'t str),
}

impl Specials {
    pub(crate) fn new<'t>(
        tokens: impl Iterator<Item = (&'t str, Kind)> + Clone,
    ) -> Result<Self, TokenizerError> {
        let added = tokens.clone().filter(|(_, kind)| *kind == Kind::Added);
        Ok(Self { all: finder(tokens)?, added: finder(added)? })
    }

    pub(crate) fn none() -> Self {
        Self { all: None, added: None }
    }

    /// Hands each part of `text` to `part`, in order, until `part` says stop.
    pub(crate) fn parts<'t>(&self, text: &'t str, control: bool, mut part: impl FnMut(Part<'t>) -> bool) {
        let finder = if control { &self.all } else { &self.added };
        let mut from = 0;
        for found in finder.iter().flat_map(|finder| finder.find_iter(text)) {
            let before = text.get(from..found.start()).unwrap_or_default();
            if (!before.is_empty() && !part(Part::Text(before))) || !part(Part::Special) {
                return;
            }
            from = found.end();
        }
        let rest = text.get(from..).unwrap_or_default();
        if !rest.is_empty() {
            part(Part::Text(rest));
        }
    }
}

/// The longest of those that begin at the first place where one begins.
fn finder<'t>(tokens: impl Iterator<Item = (&'t str, Kind)>) -> Result<Option<AhoCorasick>, TokenizerError> {
    let texts: Vec<&str> = tokens.map(|(text, _)| text).filter(|text| !text.is_empty()).collect();
    if texts.is_empty() {
        return Ok(None);
    }
    let built = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(texts);
    let too_many =
        |_| TokenizerError::Malformed { key: "special tokens", expected: "few enough to search for" };
    built.map(Some).map_err(too_many)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_template_spells_control_tokens() {
        let tokens = [("<|end|>", Kind::Control), ("<|end|>x", Kind::Control), ("  ", Kind::Added)];
        let specials = Specials::new(tokens.into_iter()).unwrap();
        let parts = |control| {
            let mut parts = Vec::new();
            specials.parts("a<|end|>x  b", control, |part| {
                parts.push(part);
                true
            });
            parts
        };
        assert_eq!(parts(true), [Part::Text("a"), Part::Special, Part::Special, Part::Text("b")]);
        assert_eq!(parts(false), [Part::Text("a<|end|>x"), Part::Special, Part::Text("b")]);
    }
}
