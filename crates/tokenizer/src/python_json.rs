//! JSON as Python's `json.dumps` writes it, which is how the library that models are published for fills templates: a
//! space behind each comma and colon, and no character replaced.

use minijinja::value::Kwargs;
use minijinja::{Error, ErrorKind, Value};
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};
use std::io::{self, Write};

/// The filter `tojson` of templates.
pub(crate) fn filter(value: &Value, indent: Option<usize>, options: Kwargs) -> Result<String, Error> {
    let indent = match indent {
        None => options.get::<Option<usize>>("indent")?,
        given => given,
    };
    // A template of a model we were given may ask for what is the case anyway.
    options.get::<Option<bool>>("ensure_ascii")?;
    options.assert_all_used()?;
    let written = match indent {
        None => write(value, Spaced),
        Some(indent) => write(value, PrettyFormatter::with_indent(" ".repeat(indent.min(64)).as_bytes())),
    };
    written.map_err(|error| {
        Error::new(ErrorKind::InvalidOperation, "expected what JSON can say").with_source(error)
    })
}

pub(crate) fn to_json(value: &serde_json::Value) -> String {
    // Of a value of JSON, into memory: it cannot fail.
    write(value, Spaced).unwrap_or_default()
}

fn write(value: &impl Serialize, formatter: impl Formatter) -> Result<String, serde_json::Error> {
    let mut bytes = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut bytes, formatter))?;
    String::from_utf8(bytes).map_err(|error| serde::ser::Error::custom(error.utf8_error()))
}

struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Python 3.12 writes of the same: `json.dumps(x, ensure_ascii=False)` and with `indent=2`.
    #[test]
    fn json_is_written_as_python_writes_it() {
        let value =
            serde_json::json!({"b": [1, 2.5, null, true], "a": {"<é'&>": "\n\u{7f}"}, "c": [], "d": {}});
        let plain = "{\"b\": [1, 2.5, null, true], \"a\": {\"<é'&>\": \"\\n\u{7f}\"}, \"c\": [], \"d\": {}}";
        assert_eq!(to_json(&value), plain);
        let mut environment = minijinja::Environment::new();
        environment.add_filter("tojson", filter);
        let rendered = |source: &str| {
            environment
                .render_str(source, minijinja::context! { x => minijinja::value::Serde(&value) })
                .unwrap()
        };
        assert_eq!(rendered("{{ x | tojson }}"), plain);
        assert_eq!(rendered("{{ x | tojson(ensure_ascii=false) }}"), plain);
        let indented = "{\n  \"b\": [\n    1,\n    2.5,\n    null,\n    true\n  ],\n  \"a\": {\n    \"<é'&>\": \"\\n\u{7f}\"\n  },\n  \"c\": [],\n  \"d\": {}\n}";
        assert_eq!(
            (rendered("{{ x | tojson(indent=2) }}"), rendered("{{ x | tojson(2) }}")),
            (indented.to_owned(), indented.to_owned())
        );
    }
}
