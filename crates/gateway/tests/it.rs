//! The gateway between real sockets: a client, a real ledger, a real database, and an engine that plays the wire.

#[path = "it/answering.rs"]
mod answering;
#[path = "it/answers.rs"]
mod answers;
#[path = "it/batch_kills.rs"]
mod batch_kills;
#[path = "it/batch_runs.rs"]
mod batch_runs;
#[path = "it/batches.rs"]
mod batches;
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
#[path = "it/dialects.rs"]
mod dialects;
#[path = "it/engine.rs"]
mod engine;
#[path = "it/every_surface.rs"]
mod every_surface;
#[path = "../../../tests/openai/exchange.rs"]
mod exchange;
#[path = "it/framing.rs"]
mod framing;
#[path = "it/guardrails.rs"]
mod guardrails;
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
#[path = "it/proxied.rs"]
mod proxied;
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
#[path = "it/stored.rs"]
mod stored;
#[path = "it/stored_ends.rs"]
mod stored_ends;
#[path = "it/stored_kills.rs"]
mod stored_kills;
#[path = "it/stored_permits.rs"]
mod stored_permits;
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
