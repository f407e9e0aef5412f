//! What each key means, for `hermetic config explain` and the generated page of the manual.

use crate::mistake::without_indices;
use crate::schema::{self, Shape, View};
use crate::walk;
use hermetic_diagnostics::{Code, Diagnose};

/// Everything there is to say about one key.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct KeyReference {
    /// The key with dots: `gateway.limits.connections`.
    pub key: String,
    /// What it takes, in words.
    pub takes: String,
    pub description: String,
    pub required: bool,
    /// The default as YAML, when there is one.
    pub default: Option<String>,
    /// An example as YAML.
    pub example: Option<String>,
    /// The words it may take, each with its meaning.
    pub choices: Vec<(String, String)>,
    /// The keys below, for groups and lists of groups.
    pub below: Vec<String>,
}

/// A key that is not in the schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a key of the configuration, found `{key}`")]
pub struct UnknownKey {
    key: String,
    nearest: Option<String>,
}

impl Diagnose for UnknownKey {
    fn code(&self) -> Code {
        Code::new("E0108")
    }

    fn hint(&self) -> Option<String> {
        Some(match &self.nearest {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => "`hermetic config explain` lists every key".to_owned(),
        })
    }
}

/// Every key, parents before children, in the order of the file.
pub fn keys() -> Vec<KeyReference> {
    let mut found = Vec::new();
    collect(schema::root(), "", &mut found);
    found
}

/// One key. Indices are taken as read: `models[0].name` is `models.name`.
pub fn explain(key: &str) -> Result<KeyReference, UnknownKey> {
    let wanted = without_indices(key.trim());
    let all = keys();
    if let Some(found) = all.iter().find(|reference| reference.key == wanted) {
        return Ok(found.clone());
    }
    let by_last_part = all.iter().find(|reference| reference.key.rsplit('.').next() == Some(wanted.as_str()));
    let nearest = by_last_part.map(|reference| reference.key.as_str());
    let nearest =
        nearest.or_else(|| walk::nearest(&wanted, all.iter().map(|reference| reference.key.as_str())));
    Err(UnknownKey { key: wanted.chars().take(100).collect(), nearest: nearest.map(str::to_owned) })
}

fn collect(group: View<'_>, path: &str, found: &mut Vec<KeyReference>) {
    let required: Vec<&str> = group.required().collect();
    for (name, schema) in group.properties() {
        let key = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        let group_below = match schema.shape() {
            Shape::Group => Some(schema),
            Shape::List => schema.items().filter(|items| items.shape() == Shape::Group),
            Shape::Choice(_) | Shape::Text { .. } | Shape::Integer { .. } | Shape::Boolean => None,
        };
        let below =
            group_below.map(|below| below.properties().map(|(name, _)| format!("{key}.{name}")).collect());
        found.push(KeyReference {
            takes: takes(schema),
            description: unwrapped(schema.description()),
            required: required.contains(&name),
            default: if group_below.is_some() { None } else { schema.default().map(yaml) },
            example: schema.example().map(yaml),
            choices: schema
                .choices()
                .into_iter()
                .map(|(word, text)| (word.to_owned(), unwrapped(text)))
                .collect(),
            below: below.unwrap_or_default(),
            key: key.clone(),
        });
        if let Some(below) = group_below {
            collect(below, &key, found);
        }
    }
}

fn takes(schema: View<'_>) -> String {
    match (schema.shape(), schema.items().map(View::shape)) {
        (Shape::List, Some(Shape::Group)) => "a list of groups of keys".to_owned(),
        (Shape::List, Some(_)) => "a list of text".to_owned(),
        (shape, _) => walk::expected(&shape),
    }
}

/// Doc comments are wrapped in the source; paragraphs are kept.
fn unwrapped(text: &str) -> String {
    text.split("\n\n").map(|paragraph| paragraph.replace('\n', " ")).collect::<Vec<_>>().join("\n\n")
}

/// JSON is YAML; a bare word reads better without its quotes.
fn yaml(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// `docs/configuration.md`, whole.
pub fn reference_markdown() -> String {
    let mut page = String::from(
        "# Configuration\n\n\
        <!-- Generated from the schema by `cargo xtask docs`. Edit the doc comments in crates/config/src/wire.rs. -->\n\n\
        One YAML file configures an enclave, in every tier the same way. It is looked for at the path given with\n\
        `--config`, else in `HERMETIC_CONFIG`, else at `/etc/hermetic/hermetic.yaml`.\n\n\
        `hermetic config check` reports every mistake of a file at once, each with line and column.\n\
        `hermetic config explain KEY` prints the section below for one key. `hermetic config schema` prints a JSON\n\
        Schema for editors. Unknown keys are refused; anchors, aliases and tags are not part of the format.\n\n\
        The smallest file there is:\n\n\
        ```yaml\nledger:\n  origin: llm.corp.example/ledger\n```\n\n## Keys\n",
    );
    for reference in keys() {
        page.push_str(&section(&reference));
    }
    page
}

fn section(reference: &KeyReference) -> String {
    let mut lines = vec![format!("\n### `{}`\n", reference.key), format!("{}\n", reference.description)];
    lines.push(format!("- takes: {}", reference.takes));
    if reference.required {
        lines.push("- required".to_owned());
    }
    if let Some(default) = &reference.default {
        lines.push(format!("- default: `{default}`"));
    }
    if let Some(example) = &reference.example {
        lines.push(format!("- example: `{example}`"));
    }
    for (word, text) in reference.choices.iter().filter(|(_, text)| !text.is_empty()) {
        lines.push(format!("- `{word}`: {text}"));
    }
    lines.join("\n") + "\n"
}
