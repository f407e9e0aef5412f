//! How much of the machine one model may use.

use std::path::PathBuf;

/// Where a model lies and how it is run.
#[derive(Debug, Clone)]
pub struct LlamaOptions {
    pub path: PathBuf,
    /// Compute threads. Zero: one fewer than the machine shows, at least one. Threads of one model wait for each other
    /// hundreds of times a token, spinning: on two cores that other work also wanted, two threads took ten times as long
    /// as one. One core is left for that other work.
    pub threads: u32,
    /// Requests decoded side by side. Each holds `context` tokens of key-value memory for as long as the model is
    /// loaded, so that an accepted request never finds the memory gone.
    pub slots: u32,
    /// Tokens one request may use, prompt and answer together; never more than the model was trained for.
    pub context: u32,
    /// Requests that may wait beyond the slots. One more is refused: a queue that only grows answers nobody.
    pub queue: usize,
    /// Tokens decoded in one step when only prompts are waiting.
    pub batch: u32,
}

impl LlamaOptions {
    /// Four slots of 4096 tokens, 64 waiting, 512 tokens a step.
    pub fn new(path: PathBuf) -> Self {
        Self { path, threads: 0, slots: 4, context: 4096, queue: 64, batch: 512 }
    }

    pub(crate) fn threads(&self) -> i32 {
        let threads = match self.threads {
            0 => std::thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1)),
            set => usize::try_from(set).unwrap_or(1),
        };
        i32::try_from(threads.min(256)).unwrap_or(1)
    }
}
