//! Fixtures in `tests/fixtures/responses`: what goes in beside what comes out, token for token. `UPDATE_GOLDEN=1` writes what
//! comes out; the difference is then for a person to read.

use super::said::events;
use hermetic_inference_api::responses::{Echo, StreamOfChat, answer_of_chat, to_chat};
use serde_json::value::RawValue;
use std::path::{Path, PathBuf};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/responses").join(name)
}

#[expect(clippy::disallowed_methods, reason = "fixtures are ours and small")]
fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Names of the fixtures in a folder that end in `suffix`.
fn names(folder: &Path, suffix: &str) -> Vec<String> {
    let entries = folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> =
        entries.filter_map(|name| name.strip_suffix(suffix).map(str::to_owned)).collect();
    names.sort();
    assert!(names.len() > 5, "{}", folder.display());
    names
}

#[expect(clippy::disallowed_methods, reason = "a person asks for it, and the file is under version control")]
fn compare(expected: &Path, found: &str) {
    if std::env::var("UPDATE_GOLDEN").is_ok() {
        std::fs::write(expected, found).unwrap();
    }
    assert_eq!(read(expected), found, "{}", expected.display());
}

/// JSON with line breaks and indents, every token as it was.
fn pretty(json: &str) -> String {
    let (mut out, mut depth, mut in_string, mut escaped) = (String::new(), 0_usize, false, false);
    for c in json.chars() {
        if in_string {
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
            out.push(c);
            continue;
        }
        let break_line = |out: &mut String, depth: usize| {
            out.push('\n');
            out.push_str(&"  ".repeat(depth));
        };
        match c {
            ' ' | '\n' | '\t' | '\r' => {}
            '{' | '[' => {
                out.push(c);
                depth += 1;
                break_line(&mut out, depth);
            }
            '}' | ']' => {
                depth -= 1;
                if out.trim_end().ends_with(['{', '[']) {
                    out.truncate(out.trim_end().len());
                } else {
                    break_line(&mut out, depth);
                }
                out.push(c);
            }
            ',' => {
                out.push(c);
                break_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            _ => {
                in_string = c == '"';
                out.push(c);
            }
        }
    }
    out + "\n"
}

/// The echo of the request of the same name, where there is one.
fn echo(name: &str) -> Echo {
    let request = folder("request").join(format!("{name}.responses.json"));
    if request.exists() { Echo::of(read(&request).as_bytes()) } else { Echo::of(br#"{"model":"m"}"#) }
}

#[test]
fn requests_are_asked_as_written_down() {
    let folder = folder("request");
    for name in names(&folder, ".responses.json") {
        let asked = read(&folder.join(format!("{name}.responses.json")));
        let chat = to_chat(asked.as_bytes()).unwrap_or_else(|mistake| panic!("{name}: {mistake}"));
        compare(&folder.join(format!("{name}.chat.json")), &pretty(&String::from_utf8(chat).unwrap()));
    }
}

#[test]
fn answers_are_given_as_written_down() {
    let folder = folder("answer");
    for name in names(&folder, ".chat.json") {
        let chat = read(&folder.join(format!("{name}.chat.json")));
        let response = answer_of_chat(chat.as_bytes(), &echo(&name)).unwrap();
        let response = pretty(&String::from_utf8(response).unwrap());
        compare(&folder.join(format!("{name}.responses.json")), &response);
    }
}

#[test]
fn streams_are_told_as_written_down() {
    let folder = folder("stream");
    for name in names(&folder, ".chat.json") {
        let chunks = read(&folder.join(format!("{name}.chat.json")));
        let chunks: Vec<&RawValue> = serde_json::from_str(&chunks).unwrap();
        let mut stream = StreamOfChat::new(echo(&name));
        let mut told: Vec<u8> =
            chunks.iter().flat_map(|chunk| stream.event(chunk.get().as_bytes())).collect();
        told.extend(stream.end());
        let lines: Vec<String> = events(&told).into_iter().map(|event| event.data).collect();
        let told = format!("[{}]", lines.join(","));
        compare(&folder.join(format!("{name}.responses.json")), &pretty(&told));
    }
}
