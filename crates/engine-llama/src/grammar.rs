//! What the sampler can enforce: JSON schemas, and calls (`call_rules.rs`).

use serde_json::Value;

/// What an answer must keep to, in llama.cpp's grammar language.
#[derive(Debug, Clone)]
pub struct Grammar {
    text: String,
    calls: bool,
}

/// Longest schema in bytes. A grammar is walked for every token; the largest schemas in use are a few kilobytes.
const SCHEMA_BYTES_MAX: usize = 64 << 10;
/// Deepest nesting. The converter recurses in native code, where a deep schema would overflow the stack.
const SCHEMA_DEPTH_MAX: usize = 32;

/// Why a schema cannot be enforced.
#[derive(Debug, thiserror::Error)]
pub enum GrammarError {
    #[error("expected a schema of at most {SCHEMA_BYTES_MAX} bytes, found {found}")]
    Size { found: usize },
    #[error("expected a schema nested at most {SCHEMA_DEPTH_MAX} deep")]
    Depth,
    #[error("expected references inside the schema (`#/…`), found `{found}`")]
    Reference { found: String },
    #[error("the schema uses something that cannot be turned into a grammar")]
    Schema(#[source] llama_cpp_2::LlamaCppError),
    #[error("the grammar made from the schema is not accepted")]
    Rejected(#[source] llama_cpp_2::GrammarError),
}

impl Grammar {
    /// Any JSON object.
    pub fn json_object() -> Result<Self, GrammarError> {
        Self::json_schema(&serde_json::json!({"type": "object"}))
    }

    pub fn json_schema(schema: &Value) -> Result<Self, GrammarError> {
        check(schema, 0)?;
        let text = schema.to_string();
        if text.len() > SCHEMA_BYTES_MAX {
            return Err(GrammarError::Size { found: text.len() });
        }
        let text = llama_cpp_2::json_schema_to_grammar(&text).map_err(GrammarError::Schema)?;
        Ok(Self { text, calls: false })
    }

    /// Of answers in which calls are to be read.
    pub(crate) fn of_calls(text: String) -> Self {
        Self { text, calls: true }
    }

    /// Whether answers may hold calls.
    pub(crate) fn calls(&self) -> bool {
        self.calls
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

fn check(schema: &Value, depth: usize) -> Result<(), GrammarError> {
    if depth > SCHEMA_DEPTH_MAX {
        return Err(GrammarError::Depth);
    }
    match schema {
        Value::Object(fields) => fields.iter().try_for_each(|(key, value)| {
            // A reference elsewhere would be an invitation to fetch.
            match (key.as_str(), value.as_str()) {
                ("$ref", Some(target)) if !target.starts_with('#') => {
                    Err(GrammarError::Reference { found: target.chars().take(200).collect() })
                }
                _ => check(value, depth + 1),
            }
        }),
        Value::Array(items) => items.iter().try_for_each(|item| check(item, depth + 1)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_to_elsewhere_is_refused_before_anything_could_fetch_it() {
        let schema = serde_json::json!({"properties": {"a": {"$ref": "https://example.com/a.json"}}});
        assert!(matches!(Grammar::json_schema(&schema), Err(GrammarError::Reference { .. })));
    }

    #[test]
    fn a_deep_schema_is_refused_before_native_code_sees_it() {
        let mut schema = serde_json::json!({"type": "string"});
        for _ in 0..60 {
            schema = serde_json::json!({"items": schema});
        }
        assert!(matches!(Grammar::json_schema(&schema), Err(GrammarError::Depth)));
    }

    #[test]
    fn an_unknown_type_is_refused_not_ignored() {
        assert!(Grammar::json_schema(&serde_json::json!({"type": "no such type"})).is_err());
        assert!(Grammar::json_schema(&serde_json::json!({"type": "object"})).is_ok());
    }
}
