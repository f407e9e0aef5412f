//! The gateway between real sockets: a client, a real ledger, a real database, and an engine that plays the wire.

#[path = "it/answers.rs"]
mod answers;
#[path = "it/capture.rs"]
mod capture;
#[path = "it/client.rs"]
mod client;
#[path = "it/engine.rs"]
mod engine;
#[path = "it/framing.rs"]
mod framing;
#[path = "it/limits.rs"]
mod limits;
#[path = "it/memory.rs"]
mod memory;
#[path = "it/queue.rs"]
mod queue;
#[path = "it/records.rs"]
mod records;
#[path = "it/refusals.rs"]
mod refusals;
#[path = "it/shed.rs"]
mod shed;
#[path = "it/site.rs"]
mod site;
#[path = "it/streams.rs"]
mod streams;
