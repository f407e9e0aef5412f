//! What differs between two configurations, key by key, and which of it can be put in force without a restart.
//!
//! Compared are the values in force, defaults filled in: a key that is written down with its default changes nothing.

use crate::Config;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Keys, and everything below them, that a service puts in force while it serves. All others name something that is
/// opened or derived once, at the start.
const LIVE: &[&str] = &[
    "classification",
    "gateway.drain_grace",
    "gateway.keep_alive",
    "gateway.limits",
    "gateway.memory",
    "gateway.queue",
    "guardrails",
    "import",
    "limits",
    "log.level",
    "models",
    "policy.dir",
];

/// What is below a live key and needs a restart all the same: what was made as large as it says.
const NOT_LIVE: &[&str] = &["gateway.limits.limit_counters"];

/// What a value is shown as when its key says that it is nobody's business.
const HIDDEN: &str = "(hidden)";

/// One key whose value differs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Change {
    pub key: String,
    /// `None`: not set, and without a default.
    pub from: Option<String>,
    pub to: Option<String>,
    pub effect: Effect,
}

/// When a changed key comes into force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// At the next reload.
    Reload,
    /// At the next start.
    Restart,
}

/// What changes from one configuration to the other, by key.
pub fn changes(from: &Config, to: &Config) -> Vec<Change> {
    let (before, after) = (flattened(&from.values), flattened(&to.values));
    let mut changes: Vec<Change> = before
        .keys()
        .chain(after.keys().filter(|key| !before.contains_key(*key)))
        .filter(|key| before.get(*key) != after.get(*key))
        .map(|key| Change {
            key: key.clone(),
            from: shown(key, before.get(key)),
            to: shown(key, after.get(key)),
            effect: effect(key),
        })
        .collect();
    changes.sort_by(|a, b| a.key.cmp(&b.key));
    changes
}

fn effect(key: &str) -> Effect {
    let below = |live: &&&str| {
        key.strip_prefix(**live).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    let live = LIVE.iter().any(|live| below(&live)) && !NOT_LIVE.contains(&key);
    if live { Effect::Reload } else { Effect::Restart }
}

fn shown(key: &str, value: Option<&String>) -> Option<String> {
    let last = key.rsplit('.').next().unwrap_or(key);
    let secret = ["password", "secret", "token"].iter().any(|word| last.contains(word));
    value.map(|value| if secret { HIDDEN.to_owned() } else { value.clone() })
}

/// Values by their full key: `gateway.limits.connections`, `models[big].endpoint`.
fn flattened(values: &Value) -> BTreeMap<String, String> {
    let mut flat = BTreeMap::new();
    flatten(values, String::new(), &mut flat);
    flat
}

fn flatten(value: &Value, key: String, flat: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(entries) => {
            for (name, value) in entries {
                let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                flatten(value, key, flat);
            }
        }
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                // By its name where it has one: the order of models means nothing.
                let name = ["name", "id", "project"].iter().find_map(|name| item.get(name)?.as_str());
                flatten(item, format!("{key}[{}]", name.map_or(i.to_string(), str::to_owned)), flat);
            }
        }
        Value::Null => {}
        Value::String(text) => drop(flat.insert(key, text.clone())),
        Value::Bool(_) | Value::Number(_) => drop(flat.insert(key, value.to_string())),
    }
}

/// The values in force with paths made whole, as [`Config`] has them.
pub(crate) fn with_whole_paths(mut values: Value, base: &Path) -> Value {
    for pointer in ["/state_dir", "/policy/dir"] {
        if let Some(Value::String(path)) = values.pointer_mut(pointer) {
            *path = base.join(&*path).display().to_string();
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    const FILE: &str = "ledger: {origin: a.example/l}\nmodels:\n  - name: big\n    endpoint: http://127.0.0.1:1/v1\n  - name: small\n";

    fn between(from: &str, to: &str) -> Vec<String> {
        let config = |text: &str| parse(text, Path::new("h.yaml")).unwrap();
        let show = |change: Change| {
            let value = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
            format!("{} {} {} {:?}", change.key, value(change.from), value(change.to), change.effect)
        };
        changes(&config(from), &config(to)).into_iter().map(show).collect()
    }

    #[test]
    fn only_values_count_not_how_they_are_written() {
        let written = format!("{FILE}gateway: {{ limits: {{ connections: 4096 }} }}\n");
        assert!(between(FILE, &written).is_empty());
        assert!(between(FILE, &format!("# comment\n{FILE}")).is_empty());
        let turned = "ledger: {origin: a.example/l}\nmodels:\n  - name: small\n  - name: big\n    endpoint: http://127.0.0.1:1/v1\n";
        assert!(between(FILE, turned).is_empty());
    }

    #[test]
    fn each_changed_key_says_when_it_comes_into_force() {
        let to = FILE
            .replace("a.example/l", "b.example/l")
            .replace("127.0.0.1:1", "127.0.0.1:2")
            .replace("  - name: small\n", "  - name: other\n")
            + "gateway: { listen: \"127.0.0.1:9\", limits: { connections: 7 }, queue: { shares: [{ project: a, weight: 2 }] } }\nlog: { level: debug, format: json }\n";
        assert_eq!(
            between(FILE, &to),
            [
                "gateway.limits.connections 4096 7 Reload",
                "gateway.listen 127.0.0.1:8080 127.0.0.1:9 Restart",
                "gateway.queue.shares[a].project - a Reload",
                "gateway.queue.shares[a].weight - 2 Reload",
                "ledger.origin a.example/l b.example/l Restart",
                "log.format text json Restart",
                "log.level info debug Reload",
                "models[big].endpoint http://127.0.0.1:1/v1 http://127.0.0.1:2/v1 Reload",
                "models[other].name - other Reload",
                "models[small].name small - Reload",
            ]
        );
    }

    #[test]
    fn a_key_not_known_to_be_live_needs_a_restart() {
        assert_eq!(effect("gateway.limits"), Effect::Reload);
        assert_eq!(effect("gateway.limitsmore"), Effect::Restart);
        assert_eq!(effect("gateway.limits.limit_counters"), Effect::Restart);
        assert_eq!(effect("network.enclave[0]"), Effect::Restart);
        assert_eq!(effect("something.new"), Effect::Restart);
    }

    #[test]
    fn values_of_secret_keys_are_not_shown() {
        assert_eq!(shown("a.password", Some(&"x".to_owned())).as_deref(), Some(HIDDEN));
        assert_eq!(shown("a.b", Some(&"x".to_owned())).as_deref(), Some("x"));
    }
}
