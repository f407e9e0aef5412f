//! The Messages API.

#[path = "messages/accumulate.rs"]
mod accumulate;
#[path = "messages/golden.rs"]
mod golden;
#[path = "messages/refusals.rs"]
mod refusals;
#[path = "messages/requests.rs"]
mod requests;
#[path = "messages/streams.rs"]
mod streams;
