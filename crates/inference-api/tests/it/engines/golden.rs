//! Fixtures in `tests/fixtures/engines` and, for callers of one surface who reach an engine of the other, in
//! `tests/fixtures/between`: what comes out, beside what goes in or under its name. With `UPDATE_GOLDEN=1` it is written
//! instead, to be read by a person.

use super::answers::{messages_to_chat, responses_to_chat};
use super::chunks::data;
use hermetic_inference_api::responses::Echo;
use hermetic_inference_api::{RequestMistake, messages, responses};
use std::path::{Path, PathBuf};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// Compares what `translate` makes of every file in `from.0` that ends in `from.1` with the one of that name in `to`.
fn each(from: (&str, &str), to: (&str, &str), translate: impl Fn(&str, &[u8]) -> Vec<u8>) {
    let mut names: Vec<PathBuf> =
        std::fs::read_dir(folder(from.0)).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.to_str().unwrap().ends_with(from.1));
    names.sort();
    assert!(names.len() > 2, "{}", from.0);
    for path in names {
        let name = path.file_name().unwrap().to_str().unwrap().strip_suffix(from.1).unwrap().to_owned();
        let found = translate(&name, &std::fs::read(&path).unwrap());
        let expected_at = folder(to.0).join(format!("{name}{}", to.1));
        if std::env::var("UPDATE_GOLDEN").is_ok_and(|wanted| wanted == "1") {
            std::fs::write(&expected_at, &found).unwrap();
        }
        let expected =
            std::fs::read(&expected_at).unwrap_or_else(|error| panic!("{}: {error}", expected_at.display()));
        assert_eq!(String::from_utf8_lossy(&found), String::from_utf8_lossy(&expected), "{name}");
    }
}

/// A request on one line, or why there is none.
fn line(said: Result<Vec<u8>, RequestMistake>) -> Vec<u8> {
    let mut line = said.unwrap_or_else(|mistake| format!("refused: {mistake}").into_bytes());
    line.push(b'\n');
    line
}

fn echo() -> Echo {
    Echo::of(br#"{"model":"house-model","input":"x"}"#)
}

#[test]
fn requests_are_said_as_written_beside_them() {
    let requests = "engines/messages/requests";
    each((requests, ".chat.json"), (requests, ".messages.json"), |_, chat| {
        line(messages::of_chat(chat, 1024))
    });
    let requests = "engines/responses/requests";
    each((requests, ".chat.json"), (requests, ".responses.json"), |_, chat| line(responses::of_chat(chat)));
}

#[test]
fn answers_are_heard_as_written_beside_them() {
    let answers = "engines/messages/answers";
    each((answers, ".messages.json"), (answers, ".chat.json"), |_, answer| {
        messages::answer_to_chat(answer, 1_730_000_000).unwrap()
    });
    let answers = "engines/responses/answers";
    each((answers, ".responses.json"), (answers, ".chat.json"), |_, answer| {
        responses::answer_to_chat(answer).unwrap()
    });
}

#[test]
fn streams_are_heard_as_written_beside_them() {
    let streams = "engines/messages/streams";
    each((streams, ".messages.sse"), (streams, ".chat.sse"), |_, stream| messages_to_chat(stream, &[]));
    let streams = "engines/responses/streams";
    each((streams, ".responses.sse"), (streams, ".chat.sse"), |_, stream| responses_to_chat(stream, &[]));
}

#[test]
fn requests_of_one_surface_are_said_in_the_other() {
    each(("messages/requests", ".messages.json"), ("between/requests", ".responses.json"), |name, body| {
        let counts = name.starts_with("count-");
        let to_chat = if counts { messages::count_tokens_to_chat } else { messages::to_chat };
        line(to_chat(body).and_then(|chat| responses::of_chat(&chat)))
    });
    each(("responses/request", ".responses.json"), ("between/requests", ".messages.json"), |_, body| {
        line(responses::to_chat(body).and_then(|chat| messages::of_chat(&chat, 1024)))
    });
}

#[test]
fn answers_of_one_surface_are_told_in_the_other() {
    let answers = "between/answers";
    each(("engines/messages/answers", ".messages.json"), (answers, ".responses.json"), |_, answer| {
        let chat = messages::answer_to_chat(answer, 1_730_000_000).unwrap();
        responses::answer_of_chat(&chat, &echo()).unwrap()
    });
    each(("engines/responses/answers", ".responses.json"), (answers, ".messages.json"), |_, answer| {
        messages::answer_of_chat(&responses::answer_to_chat(answer).unwrap(), "house-model").unwrap()
    });
}

#[test]
fn streams_of_one_surface_are_told_in_the_other() {
    let streams = "between/streams";
    each(("engines/messages/streams", ".messages.sse"), (streams, ".responses.sse"), |_, stream| {
        let mut told = responses::StreamOfChat::new(echo());
        let mut out = Vec::new();
        for event in data(&messages_to_chat(stream, &[]), &[]) {
            out.extend(if event == b"[DONE]" { told.end() } else { told.event(&event) });
        }
        out
    });
    each(("engines/responses/streams", ".responses.sse"), (streams, ".messages.sse"), |_, stream| {
        let mut told = messages::StreamOfChat::new("house-model");
        let mut out = Vec::new();
        for event in data(&responses_to_chat(stream, &[]), &[]) {
            out.extend(if event == b"[DONE]" { told.end() } else { told.event(&event) });
        }
        out
    });
}
