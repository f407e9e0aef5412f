//! The classification levels of a site, lowest first: what data is marked with, and what people and models may see.
//!
//! A name that is missing or unknown never opens a door: a request then counts as high as it can be, a person or a
//! model as low.

use hermetic_diagnostics::{Code, Diagnose};
use hermetic_ids::LevelName;

/// Most levels of a site. Real schemes have four to six.
pub const LEVELS_MAX: usize = 16;

/// The levels in force. There is at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Levels {
    names: Vec<LevelName>,
    default: usize,
}

/// Why a list of names is no scheme of classification.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LevelsError {
    #[error("expected 1 to {LEVELS_MAX} classification levels, found {found}")]
    Count { found: usize },
    #[error("expected each classification level once, found `{name}` twice")]
    Twice { name: LevelName },
    #[error("expected the default classification to be one of {known}, found `{name}`")]
    Default { name: LevelName, known: String },
}

impl Diagnose for LevelsError {
    fn code(&self) -> Code {
        Code::new("E0914")
    }
}

impl Default for Levels {
    fn default() -> Self {
        let names = ["public", "internal", "confidential", "secret"];
        Self { names: names.iter().filter_map(|name| name.parse().ok()).collect(), default: 0 }
    }
}

impl Levels {
    /// Levels from lowest to highest, and the one that counts where nothing is said.
    pub fn new(names: Vec<LevelName>, default: &LevelName) -> Result<Self, LevelsError> {
        if names.is_empty() || names.len() > LEVELS_MAX {
            return Err(LevelsError::Count { found: names.len() });
        }
        if let Some((_, name)) =
            names.iter().enumerate().find(|(i, name)| names.iter().take(*i).any(|n| n == *name))
        {
            return Err(LevelsError::Twice { name: name.clone() });
        }
        match names.iter().position(|name| name == default) {
            Some(default) => Ok(Self { names, default }),
            None => Err(LevelsError::Default { name: default.clone(), known: listed(&names) }),
        }
    }

    /// From lowest to highest.
    pub fn names(&self) -> &[LevelName] {
        &self.names
    }

    /// The level of data, people and models of which nothing is said.
    pub fn default_name(&self) -> &str {
        self.name(self.default)
    }

    pub fn contains(&self, name: &str) -> bool {
        self.rank(name).is_some()
    }

    /// All names in words, for messages.
    pub fn listed(&self) -> String {
        listed(&self.names)
    }

    /// The higher of two levels of data, each as it was stated or not.
    pub fn higher<'n>(&self, one: Option<&'n str>, other: Option<&'n str>) -> Option<&'n str> {
        if self.of_request(other) > self.of_request(one) { other } else { one }
    }

    fn rank(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known.as_str() == name)
    }

    pub(crate) fn name(&self, rank: usize) -> &str {
        self.names.get(rank).map_or("", LevelName::as_str)
    }

    /// How high the data of a request is classified.
    pub(crate) fn of_request(&self, stated: Option<&str>) -> usize {
        stated.map_or(self.default, |name| self.rank(name).unwrap_or(self.names.len().saturating_sub(1)))
    }

    /// Up to where a person is cleared, or a model may see.
    pub(crate) fn of_reader(&self, stated: Option<&str>) -> usize {
        stated.map_or(self.default, |name| self.rank(name).unwrap_or(0))
    }
}

fn listed(names: &[LevelName]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(texts: &[&str]) -> Vec<LevelName> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn what_is_unknown_counts_against_whoever_says_it() {
        let levels = Levels::new(names(&["low", "mid", "high"]), &"mid".parse().unwrap()).unwrap();
        assert_eq!((levels.of_request(None), levels.of_reader(None)), (1, 1));
        assert_eq!((levels.of_request(Some("high")), levels.of_reader(Some("high"))), (2, 2));
        assert_eq!((levels.of_request(Some("?")), levels.of_reader(Some("?"))), (2, 0));
    }

    #[test]
    fn the_higher_of_two_levels_is_never_below_either() {
        let levels = Levels::new(names(&["low", "mid", "high"]), &"mid".parse().unwrap()).unwrap();
        let stated = [None, Some("low"), Some("mid"), Some("high"), Some("?")];
        for (one, other) in stated.iter().flat_map(|one| stated.iter().map(move |other| (*one, *other))) {
            let higher = levels.of_request(levels.higher(one, other));
            assert_eq!(higher, levels.of_request(one).max(levels.of_request(other)), "{one:?} {other:?}");
        }
    }

    #[test]
    fn a_scheme_has_distinct_levels_and_a_default_among_them() {
        let default = "a".parse().unwrap();
        assert!(matches!(Levels::new(Vec::new(), &default), Err(LevelsError::Count { found: 0 })));
        assert!(matches!(Levels::new(names(&["a", "b", "a"]), &default), Err(LevelsError::Twice { .. })));
        assert!(matches!(Levels::new(names(&["b"]), &default), Err(LevelsError::Default { .. })));
        assert_eq!(Levels::default().names().len(), 4);
    }
}
