//! What is fuzzed: one function for each wire format, given any bytes, that panics where a claim does not hold.
//!
//! `cargo +nightly fuzz run NAME fuzz/corpus/NAME fuzz/seeds/NAME`, from the folder above. The tests of
//! hermetic-inference-api run the same functions over the seeds and what becomes of them, so that they stay true on any
//! compiler.

use bytes::Bytes;
use hermetic_inference_api::responses::{Echo, StateWish};
use hermetic_inference_api::{
    AnswerFacts, AnswerMistake, Call, EventScanner, JsonMistake, PromptInput, RequestFacts, RequestMistake,
    ask_for_usage, cap_output, each_output, each_text, may_continue, messages, prompt_prefix, replace_model,
    responses,
};
use serde_json::value::RawValue;
use std::collections::HashMap;

/// A target by its name.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: [Target; 13] = [
    ("request_facts", request_facts),
    ("messages_request", messages_request),
    ("responses_request", responses_request),
    ("chat_request_to_messages", chat_request_to_messages),
    ("chat_request_to_responses", chat_request_to_responses),
    ("chat_answer", chat_answer),
    ("messages_answer", messages_answer),
    ("responses_answer", responses_answer),
    ("events", events),
    ("chat_stream_to_messages", chat_stream_to_messages),
    ("chat_stream_to_responses", chat_stream_to_responses),
    ("messages_stream_to_chat", messages_stream_to_chat),
    ("responses_stream_to_chat", responses_stream_to_chat),
];

/// Whatever is read as a request is read again after every edit, and asks what the edit made it ask.
pub fn request_facts(data: &[u8]) {
    for call in [Call::Chat, Call::Completion, Call::Embedding] {
        let Ok(facts) = RequestFacts::read(call, data) else { continue };
        let again = |edited: &[u8]| RequestFacts::read(call, edited).expect("an edited request is one");
        let renamed = again(&replace_model(data, &facts, "other"));
        assert_eq!((renamed.model.as_str(), renamed.stream), ("other", facts.stream));
        if let Some(asking) = ask_for_usage(data, &facts).filter(|asking| !is_full(asking)) {
            assert_eq!(ask_for_usage(&asking, &again(&asking)), None);
        }
        if let Some(capped) = cap_output(data, &facts, 7).filter(|capped| !is_full(capped)) {
            assert!(again(&capped).max_tokens.is_some_and(|cap| cap <= 7));
        }
        let _ =
            (PromptInput::read(call, data, &facts), prompt_prefix(call, data, 64), may_continue(call, data));
        each_text(data, |_| ());
    }
}

/// Whether a request has one field more than are read.
fn is_full(request: &[u8]) -> bool {
    let read = RequestFacts::read(Call::Chat, request);
    matches!(read, Err(RequestMistake::Json(JsonMistake::TooManyKeys { .. })))
}

pub fn messages_request(data: &[u8]) {
    let _ = messages::count_tokens_to_chat(data);
    if let Ok(chat) = messages::to_chat(data) {
        is_a_request(&chat);
        chat_request_to_messages(&chat);
        chat_request_to_responses(&chat);
    }
}

pub fn responses_request(data: &[u8]) {
    let _ = (Echo::of(data), StateWish::read(data));
    if let Ok(chat) = responses::to_chat(data) {
        what_is_kept_is_what_was_sent(data);
        is_a_request(&chat);
        chat_request_to_messages(&chat);
        chat_request_to_responses(&chat);
    }
}

/// A conversation goes on from what was kept of it as if all of it were sent again.
fn what_is_kept_is_what_was_sent(data: &[u8]) {
    let kept = responses::kept_input(data, "n").expect("the items of a request");
    let fields: HashMap<String, Box<RawValue>> = serde_json::from_slice(data).expect("an object");
    let sent = format!("{{\"model\":\"m\",\"input\":{}}}", fields["input"].get());
    let kept = std::str::from_utf8(&kept).expect("a text");
    let after = responses::to_chat_after(b"{\"model\":\"m\",\"input\":[]}", &[kept]).expect(kept);
    let sent = responses::to_chat(sent.as_bytes()).expect("the items of a request");
    assert_eq!(String::from_utf8_lossy(&after), String::from_utf8_lossy(&sent));
}

/// No two parsers read differently what was translated.
fn is_a_request(chat: &[u8]) {
    match RequestFacts::read(Call::Chat, chat) {
        Err(RequestMistake::Json(mistake)) => assert!(is_bound(&mistake), "{mistake}"),
        Err(RequestMistake::DuplicateKey { key }) => panic!("`{key}` twice"),
        _ => {}
    }
}

/// What stands on one level more in other words may be on one too many.
fn is_bound(mistake: &JsonMistake) -> bool {
    matches!(mistake, JsonMistake::TooDeep { .. } | JsonMistake::TooManyKeys { .. })
}

pub fn chat_request_to_messages(data: &[u8]) {
    says_the_same_for_good(data, &|chat| messages::of_chat(chat, 1024), &messages::to_chat);
}

pub fn chat_request_to_responses(data: &[u8]) {
    says_the_same_for_good(data, &responses::of_chat, &responses::to_chat);
}

type Translate<'a> = &'a dyn Fn(&[u8]) -> Result<Vec<u8>, RequestMistake>;

/// What is accepted is accepted on the way back, and from there on nothing changes.
fn says_the_same_for_good(data: &[u8], of_chat: Translate<'_>, to_chat: Translate<'_>) {
    let Ok(said) = of_chat(data) else { return };
    let back = match to_chat(&said) {
        Err(RequestMistake::Json(mistake)) if is_bound(&mistake) => return,
        back => back.unwrap_or_else(|mistake| panic!("{mistake}: {}", String::from_utf8_lossy(&said))),
    };
    let again = of_chat(&back).and_then(|again| to_chat(&again));
    let again = again.unwrap_or_else(|mistake| panic!("{mistake}: {}", String::from_utf8_lossy(&back)));
    assert_eq!(String::from_utf8_lossy(&again), String::from_utf8_lossy(&back));
}

/// What is an answer in other words is one in chat completions again.
pub fn chat_answer(data: &[u8]) {
    let _ = (each_output(data, |_| ()), AnswerFacts::of_answer(data), AnswerFacts::default().add_event(data));
    if let Some(answer) = messages::answer_of_chat(data, "m") {
        messages::answer_to_chat(&answer, 1).expect("an answer of Messages");
    }
    if let Some(answer) = responses::answer_of_chat(data, &Echo::of(data)) {
        match responses::answer_to_chat(&answer) {
            Ok(_) | Err(AnswerMistake::Failed { .. }) => {}
            Err(mistake) => panic!("{mistake}: {}", String::from_utf8_lossy(&answer)),
        }
        let items = responses::output_items(&answer).expect("the items of a response");
        responses::to_chat_after(b"{\"model\":\"m\",\"input\":\"x\"}", &[items]).expect(items);
    }
}

pub fn messages_answer(data: &[u8]) {
    if let Ok(chat) = messages::answer_to_chat(data, 1) {
        is_an_answer(&chat);
    }
}

pub fn responses_answer(data: &[u8]) {
    if let Ok(chat) = responses::answer_to_chat(data) {
        is_an_answer(&chat);
    }
}

/// What is an answer in chat completions is read whole by whoever looks through it, and is one in other words.
fn is_an_answer(chat: &[u8]) {
    assert!(each_output(chat, |_| ()), "{}", String::from_utf8_lossy(chat));
    messages::answer_of_chat(chat, "m").expect("an answer");
    responses::answer_of_chat(chat, &Echo::of(b"{}")).expect("an answer");
}

/// A stream has the same events however it is cut. The first byte says where.
pub fn events(data: &[u8]) {
    let (size, stream) =
        data.split_first().map_or((1, data), |(size, stream)| (usize::from(*size).max(1), stream));
    let pieces: Vec<&[u8]> = stream.chunks(size).collect();
    assert_eq!(scanned(&[stream]), scanned(&pieces));
    assert_eq!(scanned(&[stream]).concat(), stream);
}

fn scanned(pieces: &[&[u8]]) -> Vec<Bytes> {
    let mut scanner = EventScanner::new(usize::MAX);
    let mut found = Vec::new();
    for piece in pieces {
        scanner.push(Bytes::copy_from_slice(piece));
        while let Ok(Some(event)) = scanner.next_event() {
            found.push(event.raw);
        }
    }
    found.extend(scanner.finish().map(|event| event.raw));
    found
}

/// The data of the events of a stream.
fn data_of(stream: &[u8]) -> Vec<Vec<u8>> {
    let events = scanned(&[stream]).into_iter().map(|raw| hermetic_inference_api::Event { raw });
    events.filter_map(|event| event.data().map(std::borrow::Cow::into_owned)).collect()
}

/// A stream told in other words opens once, ends once, and says so to whoever hears it in chat completions.
pub fn chat_stream_to_messages(data: &[u8]) {
    let mut stream = messages::StreamOfChat::new("m");
    let mut told = Vec::new();
    for event in data_of(data) {
        told.extend(if event == b"[DONE]" { stream.end() } else { stream.event(&event) });
    }
    told.extend(stream.end());
    let text = std::str::from_utf8(&told).expect("text");
    let count = |name: &str| text.matches(&format!("event: {name}\n")).count();
    assert_eq!(count("message_stop") + count("error"), 1, "{text}");
    assert!(
        count("message_start") <= 1 && count("content_block_stop") <= count("content_block_start"),
        "{text}"
    );
    messages_stream_to_chat(&told);
}

pub fn chat_stream_to_responses(data: &[u8]) {
    let mut stream = responses::StreamOfChat::new(Echo::of(data));
    let mut told = Vec::new();
    for event in data_of(data) {
        told.extend(if event == b"[DONE]" { stream.end() } else { stream.event(&event) });
    }
    told.extend(stream.end());
    let text = std::str::from_utf8(&told).expect("text");
    let count = |name: &str| text.matches(&format!("event: response.{name}\n")).count();
    assert_eq!(count("completed") + count("incomplete") + count("failed"), 1, "{text}");
    assert_eq!(
        (count("created"), count("output_item.done") <= count("output_item.added")),
        (1, true),
        "{text}"
    );
    responses_stream_to_chat(&told);
}

pub fn messages_stream_to_chat(data: &[u8]) {
    let mut stream = messages::StreamToChat::new(1);
    let mut told: Vec<u8> = data_of(data).iter().flat_map(|event| stream.event(event)).collect();
    told.extend(stream.end());
    is_a_stream(&told);
}

pub fn responses_stream_to_chat(data: &[u8]) {
    let mut stream = responses::StreamToChat::new(1);
    let mut told: Vec<u8> = data_of(data).iter().flat_map(|event| stream.event(event)).collect();
    told.extend(stream.end());
    is_a_stream(&told);
}

/// Chunks that whoever looks through them reads whole, and one end.
fn is_a_stream(told: &[u8]) {
    let mut events = data_of(told);
    let last = events.pop().expect("an end");
    assert!(last == b"[DONE]" || last.starts_with(b"{\"error\""), "{}", String::from_utf8_lossy(&last));
    for event in events {
        let text = String::from_utf8_lossy(&event);
        assert!(each_output(&event, |_| ()), "{text}");
        assert!(text.contains("\"object\":\"chat.completion.chunk\"") && !event.contains(&b'\n'), "{text}");
    }
}
