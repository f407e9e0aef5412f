//! Surfaces that are translated, against examples written down beside what they become, and against what was made up.

#[path = "it/engines.rs"]
mod engines;
#[path = "it/fuzz.rs"]
mod fuzz;
#[path = "it/messages.rs"]
mod messages;
#[path = "it/responses.rs"]
mod responses;
#[path = "it/text_walk.rs"]
mod text_walk;
