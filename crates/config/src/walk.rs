//! The tree against the schema: every unknown key, wrong type, wrong value and missing key, each with its place.

use crate::formats;
use crate::mistake::{MISSING_KEY, Mistake, Position, UNKNOWN_KEY, WRONG_VALUE};
use crate::schema::{self, Shape, View};
use crate::tree::{Node, Scalar, Value, clipped};
use hermetic_diagnostics::Code;

pub(crate) fn walk(root: &Node, mistakes: &mut Vec<Mistake>) {
    Walk { mistakes }.node(root, schema::root(), "");
}

struct Walk<'a> {
    mistakes: &'a mut Vec<Mistake>,
}

/// `models[0]` + `name` → `models[0].name`.
fn joined(path: &str, key: &str) -> String {
    if path.is_empty() { clipped(key) } else { format!("{path}.{}", clipped(key)) }
}

impl Walk<'_> {
    fn add(&mut self, at: Position, key: &str, code: Code, message: String) {
        self.mistakes.push(Mistake { at, key: key.to_owned(), code, message });
    }

    fn node(&mut self, node: &Node, schema: View<'_>, path: &str) {
        let shape = schema.shape();
        match (&node.value, &shape) {
            (Value::Map(_), Shape::Group) => self.group(node, schema, path),
            (Value::List(items), Shape::List) => {
                for (i, item) in items.iter().enumerate() {
                    if let Some(item_schema) = schema.items() {
                        self.node(item, item_schema, &format!("{path}[{i}]"));
                    }
                }
            }
            (Value::Scalar(scalar), _) => self.scalar(scalar, node, (schema, &shape), path),
            (Value::Map(_) | Value::List(_), _) => {
                let message = format!("expected {}, found {}", expected(&shape), node.describe());
                self.add(node.at, path, WRONG_VALUE, message);
            }
        }
    }

    fn group(&mut self, node: &Node, schema: View<'_>, path: &str) {
        let Value::Map(entries) = &node.value else { return };
        for entry in entries {
            let key = joined(path, &entry.key);
            match schema.property(&entry.key) {
                Some(below) => self.node(&entry.node, below, &key),
                None => self.add(entry.key_at, &key, UNKNOWN_KEY, unknown_key(&entry.key, schema)),
            }
        }
        for key in schema.required() {
            if node.get(key).is_none() {
                let message = "expected this key, found nothing".to_owned();
                self.add(node.at, &joined(path, key), MISSING_KEY, message);
            }
        }
    }

    fn scalar(&mut self, scalar: &Scalar, node: &Node, (schema, shape): (View<'_>, &Shape<'_>), path: &str) {
        if scalar.is_null() {
            // A group or list whose content is commented out is absent; a value that was forgotten is a mistake.
            let required = schema.required().next().is_some();
            if required || !matches!(shape, Shape::Group | Shape::List) {
                self.add(node.at, path, WRONG_VALUE, format!("expected {}, found nothing", expected(shape)));
            }
            return;
        }
        if let Err(message) = fits(scalar, shape) {
            self.add(node.at, path, WRONG_VALUE, message);
        }
    }
}

fn fits(scalar: &Scalar, shape: &Shape<'_>) -> Result<(), String> {
    let found = clipped(&scalar.text);
    let wrong = || Err(format!("expected {}, found `{found}`", expected(shape)));
    match shape {
        Shape::Group | Shape::List => wrong(),
        Shape::Boolean => scalar.as_bool().map_or_else(wrong, |_| Ok(())),
        Shape::Integer { min, max } => match scalar.as_integer() {
            Some(n) if min.is_none_or(|min| n >= min) && max.is_none_or(|max| n <= max) => Ok(()),
            _ => wrong(),
        },
        Shape::Choice(words) if words.contains(&scalar.text.as_str()) => Ok(()),
        Shape::Choice(words) => Err(match nearest(&scalar.text, words.iter().copied()) {
            Some(word) => format!("expected {}, found `{found}`; did you mean `{word}`?", expected(shape)),
            None => format!("expected {}, found `{found}`", expected(shape)),
        }),
        Shape::Text { .. } if scalar.as_bool().is_some() => {
            Err(format!("expected text, found `{found}`; quote it if it is meant as text"))
        }
        Shape::Text { format: Some(format) } => formats::check(format, &scalar.text),
        Shape::Text { format: None } => Ok(()),
    }
}

pub(crate) fn expected(shape: &Shape<'_>) -> String {
    match shape {
        Shape::Group => "a group of keys".to_owned(),
        Shape::List => "a list".to_owned(),
        Shape::Choice(words) => {
            let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
            format!("one of {}", quoted.join(", "))
        }
        Shape::Text { format: Some("duration-with-unit") } => "a length of time such as `30s`".to_owned(),
        Shape::Text { format: Some("size-with-unit") } => "a size such as `16 MiB`".to_owned(),
        Shape::Text { .. } => "text".to_owned(),
        Shape::Integer { min: Some(min), max: Some(max) } => format!("a whole number from {min} to {max}"),
        Shape::Integer { .. } => "a whole number".to_owned(),
        Shape::Boolean => "`true` or `false`".to_owned(),
    }
}

fn unknown_key(key: &str, schema: View<'_>) -> String {
    let known: Vec<&str> = schema.properties().map(|(name, _)| name).collect();
    match nearest(key, known.iter().copied()) {
        Some(word) => format!("expected a known key, found `{}`; did you mean `{word}`?", clipped(key)),
        None => format!("expected one of the keys {}, found `{}`", known.join(", "), clipped(key)),
    }
}

/// The known word a mistyped one was probably meant to be: at most a third of it may differ.
pub(crate) fn nearest<'w>(word: &str, known: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let lower = word.to_ascii_lowercase().replace('-', "_");
    let distance = |other: &str| strsim::damerau_levenshtein(&lower, &other.replace('-', "_"));
    known
        .map(|other| (distance(other), other))
        .filter(|(d, other)| *d <= other.len().max(lower.len()).div_ceil(3))
        .min_by_key(|(d, _)| *d)
        .map(|(_, other)| other)
}
