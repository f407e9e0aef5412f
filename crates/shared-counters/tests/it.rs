//! Replicas against a real server.

#[path = "it/arithmetic.rs"]
mod arithmetic;
#[path = "it/replicas.rs"]
mod replicas;
#[path = "it/server.rs"]
mod server;
#[path = "it/strangers.rs"]
mod strangers;
