//! The gateway between real sockets: a client, a real ledger, a real database, and an engine that plays the wire.

#[path = "it/answering.rs"]
mod answering;
#[path = "it/answers.rs"]
mod answers;
#[path = "it/budgets.rs"]
mod budgets;
#[path = "it/capture.rs"]
mod capture;
#[path = "it/chaos.rs"]
mod chaos;
#[path = "it/client.rs"]
mod client;
#[path = "it/counting.rs"]
mod counting;
#[path = "it/engine.rs"]
mod engine;
#[path = "../../../tests/openai/exchange.rs"]
mod exchange;
#[path = "it/framing.rs"]
mod framing;
#[path = "it/issuer.rs"]
mod issuer;
#[path = "it/kills.rs"]
mod kills;
#[path = "it/limits.rs"]
mod limits;
#[path = "it/memory.rs"]
mod memory;
#[path = "it/policy.rs"]
mod policy;
#[path = "it/queue.rs"]
mod queue;
#[path = "it/records.rs"]
mod records;
#[path = "it/refusals.rs"]
mod refusals;
#[path = "it/routing.rs"]
mod routing;
#[path = "it/shed.rs"]
mod shed;
#[path = "it/site.rs"]
mod site;
#[path = "it/streams.rs"]
mod streams;
#[path = "it/surfaces.rs"]
mod surfaces;
#[path = "it/throttle.rs"]
mod throttle;
#[path = "it/tls.rs"]
mod tls;
#[path = "it/tokens.rs"]
mod tokens;
