//! Limits from outside: as a state machine under random and under all short histories, and between threads.

#[path = "it/exhaustive.rs"]
mod exhaustive;
#[path = "it/folding.rs"]
mod folding;
#[path = "it/history.rs"]
mod history;
#[path = "it/machine.rs"]
mod machine;
#[path = "it/rules.rs"]
mod rules;
#[path = "it/shared.rs"]
mod shared;
#[path = "it/support.rs"]
mod support;
#[path = "it/threads.rs"]
mod threads;
