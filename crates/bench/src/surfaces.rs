//! What a surface costs: reading a request, translating it, reading and telling its answer, plain and as a stream, beside
//! chat completions, whose bytes are forwarded as they came. And what it costs to say chat to an engine that speaks another
//! dialect, and to hear its answers.
//!
//! No sockets: those cost every surface the same. The cases of a size are measured in turns, so that whatever else runs
//! falls on all of them.

use crate::moment::now_ns;
use crate::results::{Results, Row, quantile};
use bytes::Bytes;
use clap::Args;
use hermetic_inference_api::{
    AnswerFacts, Call, Dialect, EngineEvents, EventScanner, Form, RequestFacts, Surface, Teller,
};
use serde_json::json;
use std::hint::black_box;

const SIZES: [usize; 2] = [1 << 10, 32 << 10];
/// Events of a stream. Together they say as much as a plain answer does.
const EVENTS: usize = 64;
const EVENT_BYTES_MAX: usize = 1 << 20;
const FORM: &str = "multipart/form-data; boundary=formboundary";
/// What the others are held against.
const CHAT: &str = "chat.completions";
/// Calls in one turn: long enough for the clock.
const CALLS: u64 = 20;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Turns of each case.
    #[arg(long, default_value_t = 400)]
    turns: usize,
}

/// One thing that is measured.
struct Case {
    system: &'static str,
    what: &'static str,
    run: Box<dyn Fn()>,
}

pub(crate) fn run(arguments: &Arguments) -> Results {
    let mut results = Results::new("surfaces");
    for size in SIZES {
        let text = text_of(size);
        let mut cases: Vec<Case> =
            Surface::ALL.into_iter().flat_map(|surface| cases_of(surface, &text)).collect();
        cases.extend(cases_of_dialect(
            "to an engine of Messages",
            (Dialect::Messages, Surface::Messages),
            &text,
        ));
        cases.extend(cases_of_dialect(
            "to an engine of Responses",
            (Dialect::Responses, Surface::Responses),
            &text,
        ));
        let mut costs = vec![Vec::with_capacity(arguments.turns); cases.len()];
        for _ in 0..arguments.turns.max(1) {
            for (case, costs) in cases.iter().zip(&mut costs) {
                costs.push(turn(&case.run));
            }
        }
        tell(&mut results, size, &cases, costs);
    }
    results
}

/// Microseconds of one call.
#[expect(clippy::cast_precision_loss, reason = "nanoseconds of a turn")]
fn turn(run: &dyn Fn()) -> f64 {
    let began = now_ns();
    (0..CALLS).for_each(|_| run());
    now_ns().saturating_sub(began) as f64 / CALLS as f64 / 1_000.0
}

fn tell(results: &mut Results, size: usize, cases: &[Case], costs: Vec<Vec<f64>>) {
    let kib = size >> 10;
    let mut medians = Vec::new();
    for (case, mut costs) in cases.iter().zip(costs) {
        costs.sort_unstable_by(f64::total_cmp);
        let name = format!("{}, {kib} KiB", case.what);
        for (metric, share) in [("p50", 0.5), ("p99", 0.99)] {
            results.row(Row::new(case.system, &name, metric, quantile(&costs, share), "µs"));
        }
        medians.push((case, quantile(&costs, 0.5)));
    }
    let chat = |what| {
        let found = medians.iter().find(|(case, _)| case.system == CHAT && case.what == what);
        found.map(|(_, median)| *median)
    };
    for (case, median) in medians.iter().filter(|(case, _)| case.system != CHAT) {
        if let Some(chat) = chat(case.what) {
            let system = case.system.replace(['.', ' '], "_").to_lowercase();
            let name = format!("{system}_{}_{kib}k_vs_chat", case.what);
            results.ratio(&name, median / chat);
        }
    }
}

fn text_of(size: usize) -> String {
    let mut text = "A word, and then another one. ".repeat(size / 30 + 1);
    text.truncate(size);
    text
}

fn cases_of(surface: Surface, text: &str) -> Vec<Case> {
    let request = Bytes::from(request(surface, text));
    let case = |what, run| Case { system: surface.as_str(), what, run };
    let mut cases = vec![case("request", of_request(surface, request.clone()))];
    if surface.call().streams() {
        cases.push(case("answer", of_answer(surface, request.clone(), Bytes::from(answer(text)))));
        cases.push(case("stream", of_stream(surface, request, stream(text))));
    }
    cases
}

/// Chat said to an engine of this dialect, and its answers heard; `surface`: where callers speak the same.
fn cases_of_dialect(system: &'static str, (dialect, surface): (Dialect, Surface), text: &str) -> Vec<Case> {
    let chat = Bytes::from(request(Surface::ChatCompletions, text));
    let asked_so = request(surface, text);
    let teller = || Teller::of(surface, asked_so.as_bytes(), "m");
    let whole = teller().whole(Bytes::from(answer(text))).unwrap_or_default();
    let mut telling = teller();
    let events: Vec<Bytes> = stream(text).into_iter().map(|event| telling.events(event)).collect();
    let ask = move || {
        let asked = dialect.ask(Call::Chat, black_box(&chat), 99);
        assert!(black_box(asked).is_ok(), "a request that is measured must be one");
    };
    let hear = move || {
        let heard = dialect.hear(black_box(&whole).clone(), 7);
        let facts = heard.map(|heard| AnswerFacts::of_answer(&heard));
        assert!(facts.is_ok_and(|facts| facts.output_tokens.is_some()));
    };
    let listen = move || {
        let (mut heard, mut facts) = (EngineEvents::new(dialect, EVENT_BYTES_MAX, 7), AnswerFacts::default());
        for chunk in &events {
            heard.push(black_box(chunk).clone());
            while let Ok(Some(event)) = heard.next_event() {
                if let Some(data) = event.data() {
                    facts.add_event(&data);
                }
            }
        }
        assert!(facts.output_tokens.is_some());
    };
    vec![
        Case { system, what: "request", run: Box::new(ask) },
        Case { system, what: "answer", run: Box::new(hear) },
        Case { system, what: "stream", run: Box::new(listen) },
    ]
}

fn of_request(surface: Surface, request: Bytes) -> Box<dyn Fn()> {
    Box::new(move || {
        let call = surface.call();
        let asked = surface.translate(black_box(&request));
        let facts = asked.and_then(|body| match call.form() {
            Form::Json => RequestFacts::read(call, &body),
            Form::Multipart => RequestFacts::read_form(call, &body, FORM),
        });
        assert!(black_box(facts).is_ok(), "a request that is measured must be one");
    })
}

fn of_answer(surface: Surface, request: Bytes, answer: Bytes) -> Box<dyn Fn()> {
    Box::new(move || {
        let facts = AnswerFacts::of_answer(black_box(&answer));
        let told = Teller::of(surface, &request, "m").whole(answer.clone());
        assert!(black_box(told).is_some() && facts.output_tokens.is_some());
    })
}

fn of_stream(surface: Surface, request: Bytes, events: Vec<Bytes>) -> Box<dyn Fn()> {
    Box::new(move || {
        let (mut scanner, mut facts) = (EventScanner::new(EVENT_BYTES_MAX), AnswerFacts::default());
        let mut teller = Teller::of(surface, &request, "m");
        for chunk in &events {
            scanner.push(black_box(chunk).clone());
            while let Ok(Some(event)) = scanner.next_event() {
                if let Some(data) = event.data() {
                    facts.add_event(&data);
                }
            }
            black_box(teller.events(chunk.clone()));
        }
        assert!(facts.output_tokens.is_some());
    })
}

fn request(surface: Surface, text: &str) -> String {
    let messages = json!([{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]);
    match surface {
        Surface::ChatCompletions => json!({"model": "m", "max_tokens": 99, "messages": messages}).to_string(),
        Surface::Completions | Surface::ImageGenerations => json!({"model": "m", "prompt": text}).to_string(),
        Surface::Embeddings => json!({"model": "m", "input": text}).to_string(),
        Surface::Messages => json!({
            "model": "m", "max_tokens": 99, "system": "Be brief.", "messages": [{"role": "user", "content": text}],
        })
        .to_string(),
        Surface::Responses => {
            json!({"model": "m", "max_output_tokens": 99, "instructions": "Be brief.", "input": text}).to_string()
        }
        Surface::Rerank => json!({"model": "m", "query": "Which word?", "documents": [text]}).to_string(),
        Surface::Transcriptions | Surface::Translations => form("file", text),
        Surface::ImageEdits => form("image", text),
    }
}

fn form(name: &str, file: &str) -> String {
    let part = |head: &str, value: &str| {
        format!("--formboundary\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n")
    };
    let file = part(&format!("name=\"{name}\"; filename=\"f\""), file);
    format!("{}{file}--formboundary--\r\n", part("name=\"model\"", "m"))
}

fn answer(text: &str) -> String {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 7, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18},
    })
    .to_string()
}

fn stream(text: &str) -> Vec<Bytes> {
    let chunk = |delta: serde_json::Value, end: Option<&str>| {
        let choices = json!([{"index": 0, "delta": delta, "finish_reason": end}]);
        json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "m", "choices": choices})
    };
    let usage = json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "m", "choices": [],
        "usage": {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18},
    });
    let pieces = text.as_bytes().chunks(text.len().div_ceil(EVENTS));
    let said = pieces.map(|piece| chunk(json!({"content": String::from_utf8_lossy(piece)}), None));
    let all = said.chain([chunk(json!({}), Some("stop")), usage]).map(|data| data.to_string());
    all.chain(["[DONE]".to_owned()]).map(|data| Bytes::from(format!("data: {data}\n\n"))).collect()
}
