//! Replicas against a real server.

#[path = "it/arithmetic.rs"]
mod arithmetic;
#[path = "it/redis.rs"]
mod redis;
#[path = "it/replicas.rs"]
mod replicas;
#[path = "it/server.rs"]
mod server;
#[path = "it/strangers.rs"]
mod strangers;
