//! Policies as operators write them, against Cedar itself.

#[path = "it/asked.rs"]
mod asked;
#[path = "it/demo.rs"]
mod demo;
#[path = "it/loading.rs"]
mod loading;
#[path = "it/memory.rs"]
mod memory;
#[path = "it/oracle.rs"]
mod oracle;
