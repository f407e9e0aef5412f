//! Tokens of prompts, counted before the engine is asked: exactly where somebody can, never too few where nobody can.

use crate::client::{CHAT, Client};
use crate::engine::Received;
use crate::site::{Site, planned, route};
use hermetic_gateway::{CountSource, Counting, EngineCount, ModelKind, Route, RoutingTable};
use hermetic_gguf::{Array, Header, Value};
use hermetic_ledger::record::{CountedBy, Event, PromptTokens};
use hermetic_tokenizer::{Cap, Conversation, FunctionCall, Message, Tokenizer};
use std::collections::BTreeMap;
use std::sync::Arc;

const ANSWER: &str =
    r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}]}"#;
const COMPLETIONS: &str = "/v1/completions";
const EMBEDDINGS: &str = "/v1/embeddings";

/// A vocabulary of letters and spaces, `ab` merged, `<|end|>` a control token, and a template that uses it.
fn tokenizer() -> Arc<Tokenizer> {
    let mut tokens: Vec<String> = ('a'..='z').chain(['Ġ', 'Ċ', '<', '|', '>']).map(String::from).collect();
    tokens.extend(["ab".to_owned(), "<|end|>".to_owned()]);
    let mut types = vec![1; tokens.len()];
    *types.last_mut().unwrap() = 3;
    let text = |text: &str| Value::String(text.to_owned());
    let metadata: BTreeMap<String, Value> = [
        ("tokenizer.ggml.model", text("gpt2")),
        ("tokenizer.ggml.pre", text("gpt-2")),
        ("tokenizer.ggml.tokens", Value::Array(Array::String(tokens))),
        ("tokenizer.ggml.token_type", Value::Array(Array::I32(types))),
        ("tokenizer.ggml.merges", Value::Array(Array::String(vec!["a b".to_owned()]))),
        (
            "tokenizer.chat_template",
            text("{% for m in messages %}{{ m.role }}\n{{ m.content }}<|end|>{% endfor %}"),
        ),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    Arc::new(
        Tokenizer::from_gguf(&Header { version: 3, metadata, tensors: Vec::new(), data_offset: 0 }).unwrap(),
    )
}

fn own(open: bool, context: u64) -> Counting {
    Counting { source: CountSource::Own { tokenizer: tokenizer(), open }, context: Some(context) }
}

/// A site whose models are counted like that.
async fn site(counting: Counting) -> (Site, Client) {
    let site = Site::start().await;
    let target = Arc::clone(&site.routes.load().routes().next().unwrap().plan.targets()[0].target);
    let counted = |model: &str, kind| Route {
        counting: counting.clone(),
        ..route(model, kind, planned("engine", &target))
    };
    let table = RoutingTable::new([
        counted("chat-model", ModelKind::Chat),
        counted("embed-model", ModelKind::Embedding),
    ]);
    site.routes.store(Arc::new(table));
    let client = site.client().await;
    (site, client)
}

fn answer(received: Received) {
    received.answer(200, "application/json", ANSWER);
}

/// Sends a request that reaches the engine, and says what its record holds.
async fn counted(counting: Counting, path: &str, body: &str) -> PromptTokens {
    let (mut site, mut client) = site(counting).await;
    let (answered, ()) =
        tokio::join!(client.post(path, body.to_owned()), async { answer(site.engine.next().await) });
    assert_eq!(answered.status, 200, "{:?}", answered.body);
    on_record(&mut site).await
}

async fn on_record(site: &mut Site) -> PromptTokens {
    let records = site.records_after_drain().await;
    let Some(Event::RequestAdmitted(admitted)) = records.first() else { panic!("{records:?}") };
    admitted.prompt_tokens.unwrap()
}

fn by_tokenizer(count: u64) -> PromptTokens {
    PromptTokens { count, by: CountedBy::Tokenizer }
}

#[tokio::test]
async fn a_prompt_is_counted_by_the_models_own_tokenizer_and_that_is_on_record() {
    let chat = r#"{"model":"chat-model","messages":[{"role":"user","content":"ab\u0061b c<|end|>"}]}"#;
    // user, line end, ab, ab, space, c, then the control token spelled out or obeyed, then the template's own.
    assert_eq!(counted(own(false, 4096), CHAT, chat).await, by_tokenizer(4 + 1 + 2 + 2 + 7 + 1));
    assert_eq!(counted(own(true, 4096), CHAT, chat).await, by_tokenizer(4 + 1 + 2 + 2 + 1 + 1));
    let texts = r#"{"model":"chat-model","prompt":["abab","a b"]}"#;
    assert_eq!(counted(own(false, 4096), COMPLETIONS, texts).await, by_tokenizer(5));
    let tokens = r#"{"model":"embed-model","input":[[1,2,3],[4]]}"#;
    assert_eq!(counted(own(false, 4096), EMBEDDINGS, tokens).await, by_tokenizer(4));
}

/// The same words as the embedded engine: calls and results as text, tools unless none may be called.
#[tokio::test]
async fn tools_and_calls_are_counted_in_the_words_the_engine_reads() {
    let tool = r#"{"type":"function","function":{"name":"ab"}}"#;
    let call = r#"{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"ab","arguments":"{}"}}]}"#;
    let result = r#"{"role":"tool","tool_call_id":"1","content":"ab"}"#;
    let tools: Vec<serde_json::Value> = vec![serde_json::from_str(tool).unwrap()];
    let called = Message { calls: vec![FunctionCall::new("1", "ab", "{}")], ..Message::new("assistant", "") };
    let messages = vec![
        Message::new("user", "ab"),
        called,
        Message { answers: Some("1".into()), ..Message::new("tool", "ab") },
    ];
    for (choice, tools) in [("\"auto\"", tools), ("\"none\"", Vec::new())] {
        let body = format!(
            r#"{{"model":"chat-model","messages":[{{"role":"user","content":"ab"}},{call},{result}],"tools":[{tool}],"tool_choice":{choice}}}"#
        );
        let conversation = Conversation { messages: messages.clone(), tools };
        let expected = tokenizer().count_chat(&conversation, Cap::none()).unwrap();
        assert_eq!(counted(own(false, 4096), CHAT, &body).await, by_tokenizer(expected), "{choice}");
    }
}

#[tokio::test]
async fn a_prompt_of_a_megabyte_is_counted_beside_the_serving_thread() {
    let text = "ab ".repeat(350_000);
    let body = format!(r#"{{"model":"chat-model","prompt":"{text}"}}"#);
    assert_eq!(counted(own(false, 10_000_000), COMPLETIONS, &body).await, by_tokenizer(700_000));
}

#[tokio::test]
async fn a_prompt_that_does_not_fit_never_reaches_the_engine() {
    for (path, body, (field, found)) in [
        (CHAT, r#"{"model":"chat-model","messages":[{"role":"user","content":"abc"}]}"#, ("messages", 8)),
        (COMPLETIONS, r#"{"model":"chat-model","prompt":"abcdefghi"}"#, ("prompt", 8)),
        (EMBEDDINGS, r#"{"model":"embed-model","input":["a","abcdefghij"]}"#, ("input", 9)),
    ] {
        let (mut site, mut client) = site(own(false, 8)).await;
        let answered = client.post(path, body).await;
        assert_eq!((answered.status, answered.code().as_str()), (400, "E0712"), "{body}");
        let error = &answered.json()["error"];
        assert_eq!(error["param"], field);
        let message = error["message"].as_str().unwrap();
        assert!(message.ends_with(&format!("found {found}")), "{message}");
        assert!(site.engine.nothing_arrived());
        assert!(site.records_after_drain().await.is_empty());
    }
}

#[tokio::test]
async fn what_just_fits_and_what_is_to_be_cut_go_through() {
    let fits = r#"{"model":"embed-model","input":"abcdefghi"}"#;
    assert_eq!(counted(own(false, 8), EMBEDDINGS, fits).await, by_tokenizer(8));
    let cut = r#"{"model":"embed-model","input":["abcdefghijk","a"],"truncate_prompt_tokens":-1}"#;
    assert_eq!(counted(own(false, 8), EMBEDDINGS, cut).await, by_tokenizer(9));
}

#[tokio::test]
async fn where_nobody_counts_the_bytes_stand_for_the_tokens() {
    let body = r#"{"model":"chat-model","prompt":"abc"}"#;
    let bytes = PromptTokens { count: body.len() as u64, by: CountedBy::Bytes };
    assert_eq!(counted(Counting::default(), COMPLETIONS, body).await, bytes);
    // A picture is counted by nobody.
    let picture = r#"{"model":"chat-model","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"u"}}]}]}"#;
    let whole_context = PromptTokens { count: 4096, by: CountedBy::Bytes };
    assert_eq!(counted(own(false, 4096), CHAT, picture).await, whole_context);
}

fn asking() -> Counting {
    Counting { source: CountSource::Engine(Arc::new(EngineCount::default())), context: None }
}

const CONVERSATION: &str = r#"{"model":"chat-model","messages":[{"role":"user","content":"hello"}]}"#;

#[tokio::test]
async fn an_engine_like_vllm_is_asked_with_the_messages() {
    let (mut site, mut client) = site(asking()).await;
    let (answered, ()) = tokio::join!(client.post(CHAT, CONVERSATION), async {
        let asked = site.engine.next().await;
        assert_eq!(asked.path, "/tokenize");
        let question: serde_json::Value = serde_json::from_slice(&asked.body).unwrap();
        assert_eq!(question["messages"][0]["content"], "hello");
        asked.answer(200, "application/json", r#"{"count":31,"max_model_len":2048,"tokens":[1,2]}"#);
        answer(site.engine.next().await);
    });
    assert_eq!(answered.status, 200);
    assert_eq!(on_record(&mut site).await, PromptTokens { count: 31, by: CountedBy::Engine });
}

#[tokio::test]
async fn an_engine_like_vllm_says_how_long_its_context_is() {
    let (mut site, mut client) = site(asking()).await;
    let (answered, ()) = tokio::join!(client.post(CHAT, CONVERSATION), async {
        let asked = site.engine.next().await;
        asked.answer(200, "application/json", r#"{"count":2048,"max_model_len":2048,"tokens":[]}"#);
    });
    assert_eq!((answered.status, answered.code().as_str()), (400, "E0712"));
    assert!(site.engine.nothing_arrived());
}

#[tokio::test]
async fn an_engine_like_llama_cpps_server_is_asked_for_the_words_first() {
    let (mut site, mut client) = site(asking()).await;
    let (answered, ()) = tokio::join!(client.post(CHAT, CONVERSATION), async {
        site.engine.next().await.answer(200, "application/json", r#"{"tokens":[]}"#);
        let asked = site.engine.next().await;
        assert_eq!(asked.path, "/apply-template");
        asked.answer(200, "application/json", r#"{"prompt":"<|user|>hello"}"#);
        let asked = site.engine.next().await;
        let question: serde_json::Value = serde_json::from_slice(&asked.body).unwrap();
        assert_eq!((asked.path.as_str(), &question["content"]), ("/tokenize", &"<|user|>hello".into()));
        asked.answer(200, "application/json", r#"{"tokens":[9,8,7]}"#);
        answer(site.engine.next().await);
    });
    assert_eq!(answered.status, 200);
    assert_eq!(on_record(&mut site).await, PromptTokens { count: 3, by: CountedBy::Engine });
}

#[tokio::test]
async fn an_engine_that_does_not_count_is_counted_for() {
    for refusal in [(404, "not found"), (200, "{}"), (200, "<html>")] {
        let (mut site, mut client) = site(asking()).await;
        let body = r#"{"model":"chat-model","prompt":"hello"}"#;
        let (answered, ()) = tokio::join!(client.post(COMPLETIONS, body), async {
            site.engine.next().await.answer(refusal.0, "application/json", refusal.1);
            answer(site.engine.next().await);
        });
        assert_eq!(answered.status, 200);
        let bytes = PromptTokens { count: body.len() as u64, by: CountedBy::Bytes };
        assert_eq!(on_record(&mut site).await, bytes, "{refusal:?}");
    }
}
