//! What a client makes of the chunks of a stream: the completion they add up to, as the SDKs add them up.

use bytes::Bytes;
use hermetic_inference_api::EventScanner;
use serde_json::{Value, json};

/// The data of the events of a stream that may be cut anywhere.
pub(crate) fn data(stream: &[u8], cuts: &[usize]) -> Vec<Vec<u8>> {
    let mut scanner = EventScanner::new(1 << 24);
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
    at.extend([0, stream.len()]);
    at.sort_unstable();
    let mut found = Vec::new();
    for piece in at.windows(2) {
        scanner.push(Bytes::copy_from_slice(&stream[piece[0]..piece[1]]));
        while let Some(event) = scanner.next_event().unwrap() {
            found.extend(event.data().map(std::borrow::Cow::into_owned));
        }
    }
    assert_eq!(scanner.finish(), None);
    found
}

/// Adds up chunks and holds them to the form of the stream. The completion, or the error that ended it.
pub(crate) fn accumulate(stream: &[u8]) -> Result<Value, Value> {
    let mut events = data(stream, &[]);
    let last = events.pop().unwrap();
    if last != b"[DONE]" {
        let last: Value = serde_json::from_slice(&last).unwrap();
        assert!(last["error"]["message"].is_string(), "{last}");
        return Err(last["error"].clone());
    }
    let mut completion = Value::Null;
    for event in &events {
        let chunk: Value =
            serde_json::from_slice(event).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(event)));
        assert_eq!(chunk["object"], "chat.completion.chunk");
        if completion.is_null() {
            assert_eq!(chunk["choices"][0]["delta"], json!({"role": "assistant", "content": ""}));
            completion = json!({"id": chunk["id"], "object": "chat.completion", "created": chunk["created"], "model": chunk["model"],
                "choices": [{"index": 0, "message": {"role": "assistant", "content": null, "refusal": null}, "logprobs": null, "finish_reason": null}]});
            if let Some(tier) = chunk.get("service_tier") {
                completion["service_tier"] = tier.clone();
            }
        }
        assert_eq!((&chunk["id"], &chunk["model"]), (&completion["id"], &completion["model"]));
        add(&mut completion, &chunk);
    }
    let message = &mut completion["choices"][0]["message"];
    if message["content"].is_null() && message["refusal"].is_null() && message.get("tool_calls").is_none() {
        message["content"] = json!("");
    }
    Ok(completion)
}

fn add(completion: &mut Value, chunk: &Value) {
    assert!(completion.get("usage").is_none(), "counts come last");
    if let Some(usage) = chunk.get("usage") {
        assert_eq!(chunk["choices"], json!([]));
        completion["usage"] = usage.clone();
        return;
    }
    let (told, choice) = (&chunk["choices"][0], &mut completion["choices"][0]);
    assert!(choice["finish_reason"].is_null(), "the end comes once");
    for field in ["content", "reasoning_content", "refusal"] {
        if let Some(more) = told["delta"][field].as_str().filter(|more| !more.is_empty()) {
            join(&mut choice["message"][field], more);
        }
    }
    for call in told["delta"]["tool_calls"].as_array().into_iter().flatten() {
        let calls = &mut choice["message"]["tool_calls"];
        if calls.is_null() {
            *calls = json!([]);
        }
        let (calls, index) =
            (calls.as_array_mut().unwrap(), usize::try_from(call["index"].as_u64().unwrap()).unwrap());
        if index == calls.len() {
            calls.push(json!({"id": call["id"], "type": call["type"], "function": {"name": call["function"]["name"], "arguments": ""}}));
        }
        join(&mut calls[index]["function"]["arguments"], call["function"]["arguments"].as_str().unwrap());
    }
    if let Some(logprobs) = told["logprobs"]["content"].as_array() {
        let all = &mut choice["logprobs"];
        if all.is_null() {
            *all = json!({"content": []});
        }
        all["content"].as_array_mut().unwrap().extend(logprobs.iter().cloned());
    }
    choice["finish_reason"] = told["finish_reason"].clone();
    if let Some(met) = told.get("stop_reason") {
        choice["stop_reason"] = met.clone();
    }
}

fn join(text: &mut Value, more: &str) {
    *text = json!(format!("{}{more}", text.as_str().unwrap_or_default()));
}
