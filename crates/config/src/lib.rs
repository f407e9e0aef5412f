//! The one YAML schema: text in, every mistake at once with its line, a validated configuration out.
