//! What a credential may be used for, whatever policy would permit its owner.

use hermetic_ids::{ModelName, NameError};
use hermetic_inference_api::Surface;
use std::fmt;
use std::str::FromStr;

/// Limits of a credential. Empty: none beyond policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scopes {
    /// Surfaces it is limited to; none: any.
    pub surfaces: Vec<Surface>,
    /// Models it is limited to; none: any.
    pub models: Vec<ModelPattern>,
}

impl Scopes {
    pub fn permits(&self, surface: Surface, model: &ModelName) -> bool {
        let surface_fits = self.surfaces.is_empty() || self.surfaces.contains(&surface);
        surface_fits && (self.models.is_empty() || self.models.iter().any(|pattern| pattern.covers(model)))
    }
}

/// A model's name, or the beginning of one and `*`: `llama-*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelPattern {
    text: String,
    prefix: bool,
}

impl ModelPattern {
    pub fn covers(&self, model: &ModelName) -> bool {
        if self.prefix { model.as_str().starts_with(&self.text) } else { model.as_str() == self.text }
    }
}

impl FromStr for ModelPattern {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text.strip_suffix('*') {
            // What stands before the star must be able to begin a name; `x` completes it.
            Some(prefix) => {
                format!("{prefix}x").parse::<ModelName>()?;
                Ok(Self { text: prefix.to_owned(), prefix: true })
            }
            None => text.parse::<ModelName>().map(|name| Self { text: name.to_string(), prefix: false }),
        }
    }
}

impl fmt::Display for ModelPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.text, if self.prefix { "*" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_the_surface_and_the_model_and_nothing_wider() {
        let scopes = Scopes {
            surfaces: vec![Surface::Embeddings],
            models: vec!["llama-*".parse().unwrap(), "org/e5".parse().unwrap()],
        };
        let permits = |surface, model: &str| scopes.permits(surface, &model.parse().unwrap());
        assert!(permits(Surface::Embeddings, "llama-3") && permits(Surface::Embeddings, "org/e5"));
        assert!(!permits(Surface::Embeddings, "org/e5-large") && !permits(Surface::Embeddings, "my-llama-3"));
        assert!(!permits(Surface::ChatCompletions, "llama-3"));
        assert!(Scopes::default().permits(Surface::Completions, &"anything".parse().unwrap()));
    }

    #[test]
    fn a_pattern_prints_as_it_was_written_and_stars_stand_at_the_end_only() {
        for text in ["llama-*", "org/*", "e5", "*"] {
            assert_eq!(text.parse::<ModelPattern>().unwrap().to_string(), text);
        }
        for bad in ["", "*a", "a*b", "a b", "../*", "a**"] {
            assert!(bad.parse::<ModelPattern>().is_err(), "{bad}");
        }
    }
}
