//! The worker process over its real socket, and the supervisor over real processes.

#[path = "it/client.rs"]
mod client;
#[path = "../../../tests/openai/exchange.rs"]
mod exchange;
#[path = "../../engine-llama/tests/fixture.rs"]
mod fixture;
#[path = "it/openai.rs"]
mod openai;
#[path = "it/supervision.rs"]
mod supervision;
