//! Records for people.

use hermetic_ledger::RecordView;
use serde_json::Value;

/// What a person looks for first, in this order; a record has some of these.
const TELLING: [&str; 22] = [
    "request",
    "model",
    "outcome",
    "status",
    "code",
    "release",
    "action",
    "to",
    "importer",
    "key",
    "successor",
    "source",
    "attempts",
    "by",
    "engine",
    "tier",
    "version",
    "reason",
    "detail",
    "blobs",
    "bytes",
    "size",
];

/// Text from a record as it may be printed: no control character, so that no record can move the cursor or recolour a
/// terminal.
pub(in crate::cli) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() })
        .collect()
}

/// One line.
pub(super) fn short(view: &RecordView) -> String {
    let mut line = format!(
        "{:>8}  {}  {:<18}",
        view.index,
        view.at.as_deref().unwrap_or("(no time)"),
        printable(&view.kind)
    );
    for name in TELLING {
        if let Some(value) = view.field(name) {
            line.push_str(&format!("  {name}={}", printable(&value)));
        }
    }
    if let Some(credential) = view.record.pointer("/event/credential") {
        line.push_str(&format!("  {}", printable(&shown(credential))));
    }
    if let Some(Value::Object(usage)) = view.record.pointer("/event/usage") {
        for (name, count) in usage {
            line.push_str(&format!("  {name}={count}"));
        }
    }
    line
}

/// What a caller showed: the one thing that names it.
fn shown(credential: &Value) -> String {
    let name = ["key", "subject", "fingerprint"]
        .into_iter()
        .find_map(|name| credential.get(name).and_then(Value::as_str).map(|value| (name, value)));
    let kind = credential.get("kind").and_then(Value::as_str).unwrap_or("credential");
    match name {
        Some(("key", value)) => format!("key={value}"),
        Some((_, value)) => format!("{kind}={value}"),
        None => format!("credential={credential}"),
    }
}

/// All of it, one field a line.
pub(super) fn long(view: &RecordView) -> Vec<String> {
    let mut lines = vec![format!(
        "record {}  {}  {}",
        view.index,
        view.at.as_deref().unwrap_or("(no time)"),
        printable(&view.kind)
    )];
    match view.record.get("event") {
        Some(Value::Object(event)) => {
            for (name, value) in event.iter().filter(|(name, _)| *name != "kind") {
                walk(&printable(name), value, &mut lines);
            }
        }
        _ => lines.push(format!("  {}", printable(&view.record.to_string()))),
    }
    lines
}

fn walk(name: &str, value: &Value, lines: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            fields
                .iter()
                .for_each(|(field, value)| walk(&format!("{name}.{}", printable(field)), value, lines));
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            items.iter().enumerate().for_each(|(i, value)| walk(&format!("{name}[{i}]"), value, lines));
        }
        Value::String(text) => lines.push(format!("  {name:<24} {}", printable(text))),
        Value::Null => lines.push(format!("  {name:<24} -")),
        other => lines.push(format!("  {name:<24} {}", printable(&other.to_string()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_cannot_steer_the_terminal() {
        let leaf = br#"{"v":1,"at_unix_ms":0,"event":{"kind":"x\u001b[31m","reason":"a\u001b]0;b\u0007\nc","n\u001b":{"m":[{"o":"\r"}]}}}"#;
        let view = RecordView::of(7, leaf);
        let printed: String = long(&view).into_iter().chain([short(&view)]).collect();
        assert!(printed.chars().all(|c| !c.is_control()), "{printed:?}");
        assert!(printed.contains("\\u{1b}[31m"));
    }

    #[test]
    fn a_record_of_an_unknown_kind_is_shown_whole() {
        let leaf = br#"{"v":9,"at_unix_ms":0,"event":{"kind":"moon.landed","crew":3,"by":"apollo"}}"#;
        let lines = long(&RecordView::of(1, leaf)).join("\n");
        assert!(
            lines.contains("moon.landed") && lines.contains("crew") && lines.contains("apollo"),
            "{lines}"
        );
        assert!(long(&RecordView::of(1, b"\xff\xfe")).join("\n").contains("2 bytes that are not JSON"));
    }
}
