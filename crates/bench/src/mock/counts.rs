//! What the engine did, by model, for whoever compares it with what others say it did.

use crate::load::tally::Tokens;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Of one thread, so plain cells do.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) running: Cell<u64>,
    models: RefCell<BTreeMap<String, Answers>>,
}

/// Answers of one model: sent to their end, and not.
#[derive(Debug, Clone, Copy, Default)]
struct Answers {
    completed: Sum,
    left: Sum,
}

#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    answers: u64,
    tokens: Tokens,
}

impl Sum {
    fn add(&mut self, used: Tokens) {
        self.answers += 1;
        self.tokens.prompt += used.prompt;
        self.tokens.completion += used.completion;
    }
}

impl Counts {
    fn of(&self, model: &str, count: impl FnOnce(&mut Answers)) {
        let mut models = self.models.borrow_mut();
        if let Some(answers) = models.get_mut(model) {
            return count(answers);
        }
        count(models.entry(model.to_owned()).or_default());
    }

    /// An answer was sent to its end.
    pub(super) fn completed(&self, model: &str, used: Tokens) {
        self.of(model, |answers| answers.completed.add(used));
    }

    /// Nobody took the rest of an answer, or it was broken off on purpose.
    pub(super) fn left(&self, model: &str, used: Tokens) {
        self.of(model, |answers| answers.left.add(used));
    }

    /// In the names of vLLM's metrics, and in names of its own what vLLM does not tell apart.
    pub(super) fn render(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, model: &str, value: u64| {
            let _ = writeln!(text, "{name}{{model_name=\"{model}\"}} {value}");
        };
        line("vllm:num_requests_running", "bench", self.running.get());
        line("vllm:num_requests_waiting", "bench", 0);
        line("vllm:kv_cache_usage_perc", "bench", 0);
        for (model, Answers { completed, left }) in self.models.borrow().iter() {
            line("vllm:prompt_tokens_total", model, completed.tokens.prompt + left.tokens.prompt);
            line("vllm:generation_tokens_total", model, completed.tokens.completion + left.tokens.completion);
            line("vllm:request_success_total", model, completed.answers);
            line("mock:completed_prompt_tokens_total", model, completed.tokens.prompt);
            line("mock:completed_generation_tokens_total", model, completed.tokens.completion);
            line("mock:left_answers_total", model, left.answers);
            line("mock:left_generation_tokens_total", model, left.tokens.completion);
        }
        text
    }
}
