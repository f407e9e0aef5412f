//! An engine that answers by itself, in one of the ways engines have: honest, silent about what it used, or lying.

use crate::engine::{Engine, Received};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Semaphore;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Usage {
    Honest,
    Omitted,
    /// Claims a thousand times as much.
    TooMuch,
    /// Claims nothing at all.
    Zero,
}

/// What an engine does with what it is asked.
#[derive(Debug, Clone)]
pub(crate) struct Manner {
    pub(crate) usage: Usage,
    /// Tokens it generates, whatever `max_tokens` says; `None`: as many as that.
    pub(crate) tokens: Option<u64>,
    /// Requests are answered as permits are added.
    pub(crate) gate: Arc<Semaphore>,
    /// Tokens generated and sent, over all requests.
    pub(crate) sent: Arc<AtomicU64>,
    pub(crate) asked: Arc<AtomicU64>,
}

pub(crate) const PROMPT_TOKENS: u64 = 7;

impl Manner {
    pub(crate) fn new(usage: Usage, tokens: Option<u64>) -> Self {
        Self { usage, tokens, gate: Arc::new(Semaphore::new(0)), sent: Arc::default(), asked: Arc::default() }
    }

    fn usage(&self, tokens: u64) -> Option<Value> {
        let (prompt, completion) = match self.usage {
            Usage::Honest => (PROMPT_TOKENS, tokens),
            Usage::Omitted => return None,
            Usage::TooMuch => (PROMPT_TOKENS * 1_000, tokens * 1_000),
            Usage::Zero => (0, 0),
        };
        Some(json!({"prompt_tokens": prompt, "completion_tokens": completion}))
    }
}

/// Answers whatever comes until it is dropped.
pub(crate) async fn answer_all(engine: &mut Engine, manner: &Manner) {
    let mut answers = tokio::task::JoinSet::new();
    loop {
        let received = engine.next().await;
        manner.asked.fetch_add(1, Ordering::SeqCst);
        answers.spawn(answer(received, manner.clone()));
    }
}

async fn answer(received: Received, manner: Manner) {
    let asked: Value = serde_json::from_slice(&received.body).unwrap();
    let tokens = manner.tokens.or_else(|| asked["max_tokens"].as_u64()).unwrap();
    manner.gate.acquire().await.unwrap().forget();
    if asked["stream"] == json!(true) {
        stream(received, &manner, tokens).await;
    } else {
        manner.sent.fetch_add(tokens, Ordering::SeqCst);
        let text = "x".repeat(usize::try_from(tokens).unwrap());
        let mut answer = json!({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]});
        if let Some(usage) = manner.usage(tokens) {
            answer["usage"] = usage;
        }
        received.try_answer(&answer.to_string());
    }
}

async fn stream(received: Received, manner: &Manner, tokens: u64) {
    let Some(answering) = received.try_stream() else { return };
    for _ in 0..tokens {
        let event =
            json!({"id": "c", "choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": null}]});
        if !answering.try_send(format!("data: {event}\n\n")) {
            return;
        }
        manner.sent.fetch_add(1, Ordering::SeqCst);
        // So that the other end can say that it has enough.
        tokio::task::yield_now().await;
    }
    let mut rest =
        "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n".to_owned();
    if let Some(usage) = manner.usage(tokens) {
        rest += &format!("data: {}\n\n", json!({"choices": [], "usage": usage}));
    }
    answering.try_send(rest + "data: [DONE]\n\n");
}
