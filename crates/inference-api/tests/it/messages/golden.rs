use bytes::Bytes;
use hermetic_inference_api::{EventScanner, messages};
use std::path::{Path, PathBuf};

/// Compares what `translate` makes of every example with what is written beside it, byte for byte. With `UPDATE_GOLDEN=1`
/// it is written instead, to be read by a person.
fn each(folder: &str, from: &str, to: &str, translate: impl Fn(&str, &[u8]) -> Vec<u8>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/messages").join(folder);
    let mut names: Vec<PathBuf> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.to_str().unwrap().ends_with(from));
    names.sort();
    assert!(!names.is_empty(), "{}", folder.display());
    for path in names {
        let name = path.file_name().unwrap().to_str().unwrap().strip_suffix(from).unwrap().to_owned();
        let found = translate(&name, &std::fs::read(&path).unwrap());
        let beside = folder.join(format!("{name}{to}"));
        if std::env::var("UPDATE_GOLDEN").is_ok_and(|wanted| wanted == "1") {
            std::fs::write(&beside, &found).unwrap();
        }
        let expected = std::fs::read(&beside).unwrap_or_else(|error| panic!("{}: {error}", beside.display()));
        assert_eq!(String::from_utf8_lossy(&found), String::from_utf8_lossy(&expected), "{name}");
    }
}

#[test]
fn requests_become_what_is_written_beside_them() {
    each("requests", ".messages.json", ".chat.json", |name, body| {
        let counts = name.starts_with("count-");
        let translate = if counts { messages::count_tokens_to_chat } else { messages::to_chat };
        translate(body).unwrap_or_else(|mistake| panic!("{name}: {mistake}"))
    });
}

#[test]
fn answers_become_what_is_written_beside_them() {
    each("answers", ".chat.json", ".messages.json", |name, body| {
        messages::answer_of_chat(body, "house-model").unwrap_or_else(|| panic!("{name} is no answer"))
    });
}

#[test]
fn streams_become_what_is_written_beside_them() {
    each("streams", ".chat.sse", ".messages.sse", |_, body| {
        let (mut scanner, mut stream) =
            (EventScanner::new(1 << 16), messages::StreamOfChat::new("house-model"));
        scanner.push(Bytes::copy_from_slice(body));
        let mut said = Vec::new();
        while let Some(event) = scanner.next_event().unwrap() {
            let events = if event.is_done() { stream.end() } else { stream.event(&event.data().unwrap()) };
            said.extend(events);
        }
        said
    });
}

#[test]
fn errors_say_what_kind_they_are_and_where_to_read_about_them() {
    let body = messages::error_body(400, "expected `model`", "E0809", "req_7");
    assert_eq!(
        String::from_utf8(body).unwrap(),
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"expected `model`","code":"E0809"},"request_id":"req_7"}"#
    );
    let kinds = [401, 403, 404, 413, 422, 429, 500, 502, 503, 504, 529].map(messages::error_kind);
    assert_eq!(
        kinds,
        [
            "authentication_error",
            "permission_error",
            "not_found_error",
            "request_too_large",
            "invalid_request_error",
            "rate_limit_error",
            "api_error",
            "api_error",
            "overloaded_error",
            "timeout_error",
            "overloaded_error"
        ]
    );
    assert_eq!(messages::count_tokens_answer(7), b"{\"input_tokens\":7}");
}
