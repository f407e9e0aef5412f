//! The binary as its users run it: a real enclave, a real model, real signals.

#[path = "it/client.rs"]
mod client;
#[path = "it/content.rs"]
mod content;
#[path = "it/enclave.rs"]
mod enclave;
#[path = "../../../tests/openai/exchange.rs"]
mod exchange;
#[path = "it/front.rs"]
mod front;
#[path = "it/full_disk.rs"]
mod full_disk;
#[path = "it/identity.rs"]
mod identity;
#[path = "../../gateway/tests/it/issuer.rs"]
mod issuer;
#[path = "it/kills.rs"]
mod kills;
#[path = "it/limits.rs"]
mod limits;
#[path = "it/policy.rs"]
mod policy;
#[path = "it/protection.rs"]
mod protection;
#[path = "../../shared-counters/tests/it/redis.rs"]
mod redis;
#[path = "it/reload.rs"]
mod reload;
#[path = "it/replicas.rs"]
mod replicas;
#[path = "it/service.rs"]
mod service;
#[path = "../../engine-llama/tests/wheels.rs"]
mod wheels;
