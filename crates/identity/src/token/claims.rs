//! Reading claims by name, as templates and checks ask for them.

use serde_json::{Map, Value};

/// The claims of a token, each name once.
#[derive(Debug, Clone)]
pub(crate) struct Claims(Map<String, Value>);

impl Claims {
    pub(crate) fn new(claims: Map<String, Value>) -> Self {
        Self(claims)
    }

    /// A claim by its whole name, else by the way to it: `realm_access.roles`. Names are often URLs, with dots of
    /// their own, so the whole name comes first.
    fn find(&self, name: &str) -> Option<&Value> {
        if let Some(value) = self.0.get(name) {
            return Some(value);
        }
        let mut parts = name.split('.');
        let first = self.0.get(parts.next()?)?;
        parts.try_fold(first, |value, part| value.get(part))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.find(name).is_some_and(|value| !value.is_null())
    }

    /// A text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.find(name)?.as_str()
    }

    /// A text, or a number or truth value as one: for templates.
    pub(crate) fn shown(&self, name: &str) -> Option<String> {
        match self.find(name)? {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(value) => Some(value.to_string()),
            _ => None,
        }
    }

    /// The texts of a list, or one text as a list of one. `None` when it is something else.
    pub(crate) fn texts(&self, name: &str) -> Option<Vec<&str>> {
        match self.find(name)? {
            Value::String(text) => Some(vec![text]),
            Value::Array(items) => items.iter().map(Value::as_str).collect(),
            _ => None,
        }
    }

    /// A NumericDate (RFC 7519 §2) in milliseconds. `Some(None)`: there is one and it is none.
    pub(crate) fn millis(&self, name: &str) -> Option<Option<u64>> {
        let seconds = self.find(name)?.as_f64();
        // Ten thousand years: far beyond any date meant, far below where a float loses milliseconds.
        let fits = seconds.filter(|seconds| (0.0..3.2e11).contains(seconds));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the range was checked on the line above"
        )]
        Some(fits.map(|seconds| (seconds * 1000.0) as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::json;

    fn claims(text: &str) -> Claims {
        Claims::new(json::object(text.as_bytes()).unwrap())
    }

    #[test]
    fn a_name_with_dots_is_a_name_before_it_is_a_way() {
        let claims =
            claims(r#"{"a.b":"whole","a":{"b":"way","c":["x","y"]},"https://corp.example/t":"url"}"#);
        assert_eq!(claims.text("a.b"), Some("whole"));
        assert_eq!(claims.texts("a.c"), Some(vec!["x", "y"]));
        assert_eq!(claims.text("https://corp.example/t"), Some("url"));
        assert!(claims.text("a.d").is_none() && claims.texts("a").is_none());
    }

    #[test]
    fn dates_are_numbers_in_a_range() {
        let claims = claims(r#"{"a":1.5,"b":-1,"c":"1","d":1e300}"#);
        assert_eq!(claims.millis("a"), Some(Some(1500)));
        for bad in ["b", "c", "d"] {
            assert_eq!(claims.millis(bad), Some(None), "{bad}");
        }
        assert_eq!(claims.millis("e"), None);
    }
}
