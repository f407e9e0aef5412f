//! Hermetic: an air-gapped LLM platform in one binary.
//!
//! What it is for: the command line, reading the one configuration, wiring the services together, signals and
//! shutdown. What it must not know: how any of it works. Only this crate reads the environment, picks exit codes and
//! installs global state.

use std::process::ExitCode;

mod cli;
mod output;
mod serving;

/// A request makes many small allocations on the thread that frees them again: what this one is good at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::main()
}
