//! The JSON Schema made from the wire types, and walking it by key.

use crate::wire;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};
use std::sync::LazyLock;

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<wire::File>().to_value();
    if let Value::Object(root) = &mut schema {
        root.insert("title".to_owned(), Value::from("Hermetic configuration"));
    }
    schema
});

/// The JSON Schema (draft 2020-12) of the configuration file, for editors and pipelines.
pub fn json_schema() -> &'static Value {
    &SCHEMA
}

/// A view of one schema node. Optional values are seen through: `Option<T>` looks like `T`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'schema>(&'schema Map<String, Value>);

/// What a schema node asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shape<'schema> {
    Group,
    List,
    /// One of these words.
    Choice(Vec<&'schema str>),
    Text {
        format: Option<&'schema str>,
    },
    Integer {
        min: Option<i64>,
        max: Option<i64>,
    },
    Boolean,
}

pub(crate) fn root() -> View<'static> {
    static EMPTY: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
    View(SCHEMA.as_object().unwrap_or(&EMPTY))
}

impl<'schema> View<'schema> {
    /// The keys of a group, with their schemas, in the order of the wire type.
    pub(crate) fn properties(self) -> impl Iterator<Item = (&'schema str, Self)> {
        let properties = self.body().get("properties").and_then(Value::as_object);
        properties
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| Some((key.as_str(), Self(value.as_object()?))))
    }

    /// The schema of a key: its own, or that of a group whose keys are free.
    pub(crate) fn property(self, key: &str) -> Option<Self> {
        let named = self.body().get("properties").and_then(|properties| properties.get(key));
        // A group whose keys are the user's own says what each holds, or `false`.
        let any = || self.body().get("additionalProperties");
        named.or_else(any)?.as_object().map(Self)
    }

    pub(crate) fn items(self) -> Option<Self> {
        self.body().get("items")?.as_object().map(Self)
    }

    pub(crate) fn required(self) -> impl Iterator<Item = &'schema str> {
        self.body().get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }

    pub(crate) fn description(self) -> &'schema str {
        let own = self.0.get("description").or_else(|| self.body().get("description"));
        own.and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn default(self) -> Option<&'schema Value> {
        self.0.get("default").filter(|value| !value.is_null())
    }

    pub(crate) fn example(self) -> Option<&'schema Value> {
        self.0.get("examples").or_else(|| self.body().get("examples"))?.get(0)
    }

    /// The words of a choice with what each means.
    pub(crate) fn choices(self) -> Vec<(&'schema str, &'schema str)> {
        let body = self.body();
        let described = body.get("oneOf").and_then(Value::as_array).into_iter().flatten().flat_map(|one| {
            let description = one.get("description").and_then(Value::as_str).unwrap_or_default();
            let listed = one.get("enum").and_then(Value::as_array).into_iter().flatten();
            one.get("const")
                .into_iter()
                .chain(listed)
                .filter_map(move |word| Some((word.as_str()?, description)))
        });
        let plain = body.get("enum").and_then(Value::as_array).into_iter().flatten();
        described.chain(plain.filter_map(|word| Some((word.as_str()?, "")))).collect()
    }

    pub(crate) fn shape(self) -> Shape<'schema> {
        let choices = self.choices();
        if !choices.is_empty() {
            return Shape::Choice(choices.into_iter().map(|(word, _)| word).collect());
        }
        let body = self.body();
        match self.type_name() {
            "object" => Shape::Group,
            "array" => Shape::List,
            "integer" => Shape::Integer {
                min: body.get("minimum").and_then(Value::as_i64),
                max: body.get("maximum").and_then(Value::as_i64),
            },
            "boolean" => Shape::Boolean,
            _ => Shape::Text { format: body.get("format").and_then(Value::as_str) },
        }
    }

    fn type_name(self) -> &'schema str {
        match self.body().get("type") {
            Some(Value::String(name)) => name,
            Some(Value::Array(names)) => {
                names.iter().filter_map(Value::as_str).find(|n| *n != "null").unwrap_or("")
            }
            _ => "",
        }
    }

    /// The schema proper, below an `anyOf` with null.
    fn body(self) -> &'schema Map<String, Value> {
        let alternatives = self.0.get("anyOf").and_then(Value::as_array).into_iter().flatten();
        alternatives
            .filter_map(Value::as_object)
            .find(|one| one.get("type").and_then(Value::as_str) != Some("null"))
            .unwrap_or(self.0)
    }
}
