//! Engines that speak Messages or Responses, asked in the words of chat completions and heard in them.

#[path = "engines/answers.rs"]
mod answers;
#[path = "engines/chat.rs"]
mod chat;
#[path = "engines/chunks.rs"]
mod chunks;
#[path = "engines/golden.rs"]
mod golden;
#[path = "engines/refusals.rs"]
mod refusals;
#[path = "engines/requests.rs"]
mod requests;
#[path = "engines/streams.rs"]
mod streams;
