//! `hermetic worker` without the rest of `hermetic`: the same entry point behind the same arguments.

use hermetic_clock::Clock;
use hermetic_engine_llama::LlamaOptions;
use hermetic_worker::{WorkerOptions, run_worker};
use std::collections::BTreeMap;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut flags = BTreeMap::new();
    let mut words = std::env::args().skip(1);
    while let (Some(flag), Some(value)) = (words.next(), words.next()) {
        flags.insert(flag, value);
    }
    let text = |flag: &str| flags.get(flag).cloned().unwrap_or_default();
    let number = |flag: &str| flags.get(flag).and_then(|value| value.parse().ok());
    let mut engine = LlamaOptions::new(text("--weights").into());
    engine.threads = number("--threads").unwrap_or(engine.threads);
    engine.context = number("--context").unwrap_or(engine.context);
    engine.slots = number("--slots").unwrap_or(engine.slots);
    engine.queue = number("--queue").map_or(engine.queue, |queue: u32| queue as usize);
    let Ok(kind) = text("--kind").parse() else { return ExitCode::FAILURE };
    let options = WorkerOptions {
        socket: text("--socket").into(),
        model: text("--model"),
        digest: text("--digest"),
        kind,
        engine,
        parent: flags.get("--parent").and_then(|value| value.parse().ok()),
    };
    match run_worker(&options, &Clock::system()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
