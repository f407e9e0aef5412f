//! Texts with places: `{preferred_username}`, `svc-{client_id}`, `{team|unassigned}`. How what an issuer or a
//! certificate says becomes the names records and policies go by.

use std::str::FromStr;

/// Longest template, and longest text one fills to: as long as the longest name.
const BYTES_MAX: usize = 1024;

/// A text with places to fill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Place { name: String, otherwise: Option<String> },
}

/// Why a text is not a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    #[error("expected a text of 1 to {BYTES_MAX} bytes, found {found}")]
    Length { found: usize },
    #[error("expected every `{{` to be closed by a `}}` with a name between them")]
    Braces,
}

/// A place without a value and without a default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfilled {
    pub place: String,
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        if text.is_empty() || text.len() > BYTES_MAX {
            return Err(TemplateError::Length { found: text.len() });
        }
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (inside, behind) = after.split_once('}').ok_or(TemplateError::Braces)?;
            let (name, otherwise) = match inside.split_once('|') {
                Some((name, otherwise)) => (name, Some(otherwise.to_owned())),
                None => (inside, None),
            };
            if name.is_empty() || inside.contains('{') || before.contains('}') {
                return Err(TemplateError::Braces);
            }
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(Piece::Place { name: name.to_owned(), otherwise });
            rest = behind;
        }
        if rest.contains('}') {
            return Err(TemplateError::Braces);
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self(pieces))
    }
}

impl Template {
    /// The text with every place filled.
    pub fn fill(&self, value: &dyn Fn(&str) -> Option<String>) -> Result<String, Unfilled> {
        let mut filled = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Place { name, otherwise } => {
                    let value = value(name).or_else(|| otherwise.clone());
                    filled.push_str(&value.ok_or_else(|| Unfilled { place: name.clone() })?);
                }
            }
        }
        Ok(filled)
    }

    /// The names of the places, in order.
    pub fn places(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Place { name, .. } => Some(name.as_str()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filled(template: &str) -> Result<String, Unfilled> {
        let value = |name: &str| (name == "sub").then(|| "alice".to_owned());
        template.parse::<Template>().unwrap().fill(&value)
    }

    #[test]
    fn places_are_filled_defaults_stand_in_and_nothing_else_does() {
        assert_eq!(filled("svc-{sub}@corp").unwrap(), "svc-alice@corp");
        assert_eq!(filled("{team|unassigned}").unwrap(), "unassigned");
        assert_eq!(filled("fixed").unwrap(), "fixed");
        assert_eq!(filled("{sub}{team}"), Err(Unfilled { place: "team".to_owned() }));
    }

    #[test]
    fn unbalanced_braces_are_refused() {
        for bad in ["", "{", "}", "{}", "{a", "a}", "{a{b}}", "{|x}", "{a}}"] {
            assert!(bad.parse::<Template>().is_err(), "{bad}");
        }
    }

    proptest! {
        /// What a place is filled with is never read as a template again.
        #[test]
        fn a_value_is_text(value in "[a-z{}|]{0,12}") {
            let template: Template = "<{x}>".parse().unwrap();
            prop_assert_eq!(template.fill(&|_| Some(value.clone())).unwrap(), format!("<{value}>"));
        }
    }
}
