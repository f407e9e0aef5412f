//! The Responses API.

#[path = "responses/golden.rs"]
mod golden;
#[path = "responses/random.rs"]
mod random;
#[path = "responses/said.rs"]
mod said;
