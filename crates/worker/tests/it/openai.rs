use super::client::{get, options, post, post_stream, ready, send, spec};
use hermetic_worker::{ModelKind, Supervisor};
use http::StatusCode;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// One worker for all claims about one surface: loading is what takes the time.
async fn with_worker<F: AsyncFnOnce(PathBuf)>(kind: ModelKind, claims: F) {
    let folder = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::start(options(folder.path()), vec![spec(kind)]);
    let status = ready(&supervisor, &format!("demo-{kind}")).await;
    claims(status.socket).await;
    supervisor.shutdown().await;
}

fn question() -> Value {
    json!({
        "model": "whatever",
        "messages": [{"role": "user", "content": "What is the capital of France?"}],
        "temperature": 0,
        "max_tokens": 12
    })
}

fn with(mut base: Value, more: Value) -> Value {
    base.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    base
}

#[tokio::test]
async fn chat_speaks_openai_whole_and_in_chunks() {
    with_worker(ModelKind::Chat, async |socket| {
        let path = "/v1/chat/completions";
        let (status, whole) = post(&socket, path, &question()).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(whole["object"], "chat.completion");
        assert_eq!(whole["model"], "demo-chat");
        assert!(whole["id"].as_str().unwrap().starts_with("chatcmpl-"));
        let choice = &whole["choices"][0];
        assert_eq!((&choice["message"]["role"], &choice["logprobs"]), (&json!("assistant"), &Value::Null));
        let usage = &whole["usage"];
        let sum = usage["prompt_tokens"].as_u64().unwrap() + usage["completion_tokens"].as_u64().unwrap();
        assert_eq!(usage["total_tokens"], sum);

        let streamed = with(question(), json!({"stream": true, "stream_options": {"include_usage": true}}));
        let events = post_stream(&socket, path, &streamed).await;
        assert_eq!(events.last().unwrap(), "[DONE]");
        let chunks: Vec<Value> =
            events[..events.len() - 1].iter().map(|e| serde_json::from_str(e).unwrap()).collect();
        assert_eq!(chunks[0]["choices"][0]["delta"], json!({"role": "assistant", "content": ""}));
        let text: String =
            chunks.iter().filter_map(|c| c["choices"][0]["delta"]["content"].as_str()).collect();
        assert_eq!(text, choice["message"]["content"].as_str().unwrap());
        let (last, before) = chunks.split_last().unwrap();
        assert_eq!((&last["choices"], &last["usage"]), (&json!([]), usage));
        assert!(
            before.iter().all(|chunk| chunk["usage"].is_null() && chunk["object"] == "chat.completion.chunk")
        );
        assert_eq!(before.last().unwrap()["choices"][0]["finish_reason"], choice["finish_reason"]);

        let probable = with(question(), json!({"logprobs": true, "top_logprobs": 2, "n": 2}));
        let (_, probable) = post(&socket, path, &probable).await;
        assert_eq!(probable["choices"].as_array().unwrap().len(), 2);
        let first = &probable["choices"][1]["logprobs"]["content"][0];
        assert_eq!(first["top_logprobs"].as_array().unwrap().len(), 2);
        assert!(first["logprob"].as_f64().unwrap() <= 0.0 && first["bytes"].is_array());

        completions(&socket).await;
        tokens(&socket).await;
        tools(&socket).await;
        refusals(&socket).await;
        leaving(&socket).await;
    })
    .await;
}

async fn tokens(socket: &Path) {
    let text = "One, two, three,";
    let asked = json!({"prompt": text, "return_token_strs": true});
    let (status, told) = post(socket, "/tokenize", &asked).await;
    assert_eq!((status, &told["max_model_len"]), (StatusCode::OK, &json!(1024)));
    let (tokens, pieces) = (told["tokens"].as_array().unwrap(), told["token_strs"].as_array().unwrap());
    assert_eq!((told["count"].as_u64().unwrap(), tokens.len()), (tokens.len() as u64, pieces.len()));
    let (_, back) = post(socket, "/detokenize", &json!({"tokens": tokens})).await;
    assert_eq!(back["prompt"], text);
    // A conversation is as many tokens as the engine reads of it, and its marks are told as what they are.
    let (_, told) = post(socket, "/tokenize", &json!({"messages": question()["messages"]})).await;
    let (_, whole) = post(socket, "/v1/chat/completions", &question()).await;
    assert_eq!((&told["count"], &told["token_strs"]), (&whole["usage"]["prompt_tokens"], &Value::Null));
    let (_, back) = post(socket, "/detokenize", &json!({"tokens": told["tokens"]})).await;
    assert!(back["prompt"].as_str().unwrap().contains("<|im_start|>user\nWhat is the capital"), "{back}");
    for (path, asked) in [
        ("/tokenize", json!({})),
        ("/tokenize", json!({"prompt": "a", "messages": []})),
        ("/detokenize", json!({"tokens": [4_000_000_000_u32]})),
    ] {
        let (status, body) = post(socket, path, &asked).await;
        assert_eq!(
            (status, &body["error"]["type"]),
            (StatusCode::BAD_REQUEST, &json!("invalid_request_error")),
            "{asked}"
        );
    }
}

fn weather(choice: Value) -> Value {
    let parameters = json!({"type": "object", "properties": {"city": {"type": "string", "enum": ["Paris", "Rome"]}}, "required": ["city"]});
    with(
        question(),
        json!({
            "max_tokens": 120,
            "tools": [{"type": "function", "function": {"name": "get_weather", "parameters": parameters, "strict": true}}],
            "tool_choice": choice
        }),
    )
}

fn city(call: &Value) -> String {
    assert_eq!((&call["type"], &call["function"]["name"]), (&json!("function"), &json!("get_weather")));
    let arguments: Value = serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
    let city = arguments["city"].as_str().unwrap();
    assert!(arguments.as_object().unwrap().len() == 1 && ["Paris", "Rome"].contains(&city));
    city.to_owned()
}

async fn tools(socket: &Path) {
    let path = "/v1/chat/completions";
    let named = json!({"type": "function", "function": {"name": "get_weather"}});
    let allowed = json!({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [named]}});
    for choice in [json!("required"), named, allowed] {
        let one = json!({"parallel_tool_calls": false, "n": 2, "logprobs": true});
        let asked = with(weather(choice), one);
        let (status, whole) = post(socket, path, &asked).await;
        assert_eq!(status, StatusCode::OK, "{whole}");
        for told in whole["choices"].as_array().unwrap() {
            let message = &told["message"];
            assert_eq!((&told["finish_reason"], &message["content"]), (&json!("tool_calls"), &Value::Null));
            assert_eq!(told["logprobs"]["content"], json!([]));
            let [call] = message["tool_calls"].as_array().unwrap().as_slice() else { panic!("{message}") };
            assert!(
                call["id"].as_str().unwrap().starts_with("call_") && call.as_object().unwrap().len() == 3
            );
            city(call);
        }
        assert_eq!(as_streamed(socket, &asked).await, as_told(&whole));
    }
    let (_, several) = post(socket, path, &weather(json!("required"))).await;
    assert_eq!(as_streamed(socket, &weather(json!("required"))).await, as_told(&several));

    // The call and its result, and then an answer: none may be called.
    let (_, first) =
        post(socket, path, &with(weather(json!("required")), json!({"parallel_tool_calls": false}))).await;
    let said = &first["choices"][0]["message"];
    let result = json!({"role": "tool", "tool_call_id": said["tool_calls"][0]["id"], "content": "sunny"});
    let messages = json!([question()["messages"][0], said, result]);
    for choice in ["none", "auto"] {
        let asked = with(weather(json!(choice)), json!({"messages": messages}));
        let (status, more) = post(socket, path, &asked).await;
        assert_eq!(status, StatusCode::OK, "{more}");
        let message = &more["choices"][0]["message"];
        assert!(choice == "auto" || (message["content"].is_string() && message.get("tool_calls").is_none()));
        let asked = if choice == "none" { json!({"messages": messages}) } else { asked };
        let (_, told) = post(socket, "/tokenize", &asked).await;
        assert_eq!(told["count"], more["usage"]["prompt_tokens"], "{choice}");
    }
}

/// What each choice of an answer says: text, calls without their ids, and why it ended.
type Said = Vec<(String, Vec<(String, String)>, String)>;

fn as_told(whole: &Value) -> Said {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let function = |call: &Value| (text(&call["function"]["name"]), text(&call["function"]["arguments"]));
    let choice = |choice: &Value| {
        let calls = choice["message"]["tool_calls"].as_array().into_iter().flatten().map(function).collect();
        (text(&choice["message"]["content"]), calls, text(&choice["finish_reason"]))
    };
    whole["choices"].as_array().unwrap().iter().map(choice).collect()
}

async fn as_streamed(socket: &Path, asked: &Value) -> Said {
    let events =
        post_stream(socket, "/v1/chat/completions", &with(asked.clone(), json!({"stream": true}))).await;
    let mut said = Said::new();
    let mut ids = std::collections::BTreeSet::new();
    for event in &events[..events.len() - 1] {
        let chunk: Value = serde_json::from_str(event).unwrap();
        let choice = &chunk["choices"][0];
        let index = choice["index"].as_u64().unwrap() as usize;
        said.resize(said.len().max(index + 1), Default::default());
        let (text, calls, reason) = &mut said[index];
        text.push_str(choice["delta"]["content"].as_str().unwrap_or_default());
        for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
            let function = &call["function"];
            if let Some(id) = call["id"].as_str() {
                assert!(ids.insert(id.to_owned()) && call["type"] == "function", "{call}");
                assert_eq!(call["index"], calls.len());
                calls.push((function["name"].as_str().unwrap().to_owned(), String::new()));
            }
            let of = call["index"].as_u64().unwrap() as usize;
            calls[of].1.push_str(function["arguments"].as_str().unwrap());
        }
        reason.push_str(choice["finish_reason"].as_str().unwrap_or_default());
    }
    said
}

async fn completions(socket: &Path) {
    let body =
        json!({"model": "m", "prompt": "One, two, three,", "max_tokens": 6, "temperature": 0, "logprobs": 1});
    let (_, whole) = post(socket, "/v1/completions", &body).await;
    assert_eq!(whole["object"], "text_completion");
    let (text, lists) = (&whole["choices"][0]["text"], &whole["choices"][0]["logprobs"]);
    let tokens: String = lists["tokens"].as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect();
    assert_eq!(tokens, text.as_str().unwrap());
    assert_eq!(
        lists["text_offset"].as_array().unwrap().len(),
        lists["top_logprobs"].as_array().unwrap().len()
    );
    let events = post_stream(socket, "/v1/completions", &with(body, json!({"stream": true}))).await;
    let streamed: String = events[..events.len() - 1]
        .iter()
        .map(|e| serde_json::from_str::<Value>(e).unwrap()["choices"][0]["text"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(streamed, text.as_str().unwrap());
}

async fn refusals(socket: &Path) {
    let path = "/v1/chat/completions";
    let cases = [
        (with(question(), json!({"max_tokens": 5000})), "context_length_exceeded"),
        (
            with(question(), json!({"tools": [{"type": "custom", "custom": {"name": "x"}}]})),
            "unsupported_parameter",
        ),
        (with(question(), json!({"tools": [{"type": "function"}]})), "invalid_value"),
        (with(question(), json!({"tools": [], "tool_choice": "required"})), "invalid_value"),
        (
            with(
                question(),
                json!({"tools": [{"type": "function", "function": {"name": "f", "strict": true, "parameters": {"type": "object", "properties": {"a": {"type": "nonsense"}}}}}]}),
            ),
            "invalid_json_schema",
        ),
        (with(question(), json!({"continue_final_message": true})), "unsupported_parameter"),
        (with(question(), json!({"temperature": 9})), "invalid_value"),
        (with(question(), json!({"messages": []})), "invalid_value"),
        (json!({"messages": "hello"}), "invalid_json"),
        (
            with(
                question(),
                json!({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "nonsense"}}}}),
            ),
            "invalid_json_schema",
        ),
    ];
    for (body, code) in cases {
        let (status, answer) = post(socket, path, &body).await;
        assert_eq!(
            (status, &answer["error"]["code"]),
            (StatusCode::BAD_REQUEST, &json!(code)),
            "{body}: {answer}"
        );
        assert_eq!(answer["error"]["type"], "invalid_request_error");
    }
    let (_, overflow) = post(socket, path, &with(question(), json!({"max_tokens": 5000}))).await;
    let message = overflow["error"]["message"].as_str().unwrap();
    assert!(message.contains("1024") && message.contains("5000 for the answer"), "{message}");
    let (status, embedding) = post(socket, "/v1/embeddings", &json!({"input": "text"})).await;
    assert_eq!((status, &embedding["error"]["code"]), (StatusCode::BAD_REQUEST, &json!("unsupported_model")));
    let (status, _) = post(socket, "/v1/nothing", &json!({})).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

/// Two slots and two places in the queue: four long answers fill the worker, the fifth is refused, and when the four
/// clients leave the worker is free again.
async fn leaving(socket: &Path) {
    let path = "/v1/chat/completions";
    let long = with(
        question(),
        json!({"stream": true, "max_tokens": 900, "messages": [{"role": "user", "content": "Tell a very long story."}]}),
    );
    let mut open = Vec::new();
    for _ in 0..4 {
        let mut response = send(socket, "POST", path, long.to_string()).await;
        assert!(response.body_mut().frame().await.unwrap().is_ok());
        open.push(response);
    }
    let (status, refused) = post(socket, path, &question()).await;
    assert_eq!(
        (status, &refused["error"]["code"]),
        (StatusCode::TOO_MANY_REQUESTS, &json!("engine_queue_full"))
    );
    drop(open);
    // Each of these would wait for minutes if a slot were still held.
    loop {
        let load = &get(socket, "/internal/status").await["load"];
        if *load == json!({"active": 0, "waiting": 0}) {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(post(socket, path, &question()).await.0, StatusCode::OK);
}

#[tokio::test]
async fn embeddings_come_as_numbers_and_as_base64_of_the_same() {
    use base64::Engine as _;
    with_worker(ModelKind::Embedding, async |socket| {
        let path = "/v1/embeddings";
        let (status, floats) =
            post(&socket, path, &json!({"input": ["a text", "another"], "model": "m"})).await;
        assert_eq!(
            (status, &floats["object"], &floats["data"][1]["index"]),
            (StatusCode::OK, &json!("list"), &json!(1))
        );
        let vector: Vec<f32> = serde_json::from_value(floats["data"][0]["embedding"].clone()).unwrap();
        assert_eq!(vector.len(), 384);
        let length: f32 = vector.iter().map(|x| x * x).sum();
        assert!((length - 1.0).abs() < 1e-5);
        let body = json!({"model": "m", "input": ["a text", "another"], "encoding_format": "base64"});
        let (_, encoded) = post(&socket, path, &body).await;
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(encoded["data"][0]["embedding"].as_str().unwrap())
            .unwrap();
        let decoded: Vec<f32> = bytes.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        assert_eq!(decoded, vector);
        let (_, tokens) = post(&socket, path, &json!({"model": "m", "input": [[101, 7592, 102]]})).await;
        assert_eq!(tokens["usage"]["prompt_tokens"], 3);
        let long = "word ".repeat(400);
        let (status, refused) = post(&socket, path, &json!({"input": long})).await;
        assert_eq!(
            (status, &refused["error"]["code"]),
            (StatusCode::BAD_REQUEST, &json!("context_length_exceeded"))
        );
        let (status, cut) =
            post(&socket, path, &json!({"model": "m", "input": long, "truncate_prompt_tokens": -1})).await;
        assert_eq!((status, &cut["usage"]["prompt_tokens"]), (StatusCode::OK, &json!(256)));
        for bad in [json!({"input": ""}), json!({"input": []}), json!({"input": "x", "dimensions": 7})] {
            assert_eq!(post(&socket, path, &bad).await.0, StatusCode::BAD_REQUEST, "{bad}");
        }
        assert_eq!(get(&socket, "/v1/models").await["data"][0]["id"], "demo-embedding");
    })
    .await;
}
