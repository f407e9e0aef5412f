//! Looking after the engines of virtual models, beside the requests: whether they are there, and what they say of their
//! load.
//!
//! Only engines outside this machine are asked, and only where there is a choice: the embedded workers are watched by
//! their supervisor, and knowing that the only target is busy helps nobody.

use super::target::{Availability, Place, Target};
use crate::collect::{Terms, collect};
use crate::context::Thread;
use crate::memory::{GRANT_STEP, Purpose};
use bytes::Bytes;
use hermetic_routing::{Chance, EngineLoad};
use http::{Method, Request, StatusCode, header};
use http_body_util::Full;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// An engine that does not say within this time that it is well is not well. Its answer is a constant; an engine whose
/// loop is stuck for two seconds makes its users wait as well.
const PROBE_PATIENCE: Duration = Duration::from_secs(2);

/// vLLM's metrics are about 60 KiB, a few times that with many adapters.
const METRICS_BYTES_MAX: usize = 4 << 20;

/// Attends until the service drains.
pub(crate) async fn attend(thread: Rc<Thread>) {
    let mut seed = [0; 8];
    // Without randomness the visits have no jitter; requests are refused anyway.
    let _ = aws_lc_rs::rand::fill(&mut seed);
    let mut chance = Chance::new(u64::from_le_bytes(seed));
    loop {
        let interval = thread.shared.options().attend_interval;
        // A tenth either way, so that several gateways do not ask in step.
        let tenth = u64::try_from(interval.as_micros()).unwrap_or(u64::MAX) / 10;
        let pause = interval.saturating_sub(Duration::from_micros(tenth))
            + Duration::from_micros(chance.below(tenth.saturating_mul(2)));
        tokio::select! {
            () = thread.shared.draining.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        let visits =
            targets(&thread).into_iter().map(|(target, name)| visit(Rc::clone(&thread), target, name));
        let visiting = futures_util::future::join_all(visits);
        tokio::select! {
            () = thread.shared.draining.cancelled() => return,
            _ = visiting => {}
        }
    }
}

/// Each target of a plan with a choice once, by the name under which it is first planned.
fn targets(thread: &Thread) -> Vec<(Arc<Target>, Arc<str>)> {
    let table = thread.shared.routes.load();
    let with_choice = table.routes().filter(|route| route.plan.has_choice());
    let planned = with_choice.flat_map(|route| route.plan.targets());
    let by_key: HashMap<_, _> = planned.map(|planned| (Arc::clone(&planned.target.key), planned)).collect();
    by_key.values().map(|planned| (Arc::clone(&planned.target), Arc::clone(&planned.name))).collect()
}

async fn visit(thread: Rc<Thread>, target: Arc<Target>, name: Arc<str>) {
    if matches!(target.place, Place::Tcp { .. }) {
        let now = || thread.shared.clock.monotonic();
        let healthy = is_healthy(&thread, &target).await;
        target.probed(now(), healthy);
        if healthy && let Some(load) = load(&thread, &target).await {
            target.read_load(now(), load);
        }
    }
    let available = target.availability(thread.shared.clock.monotonic()) == Availability::Free;
    thread.shared.metrics.routing.set_available(&name, available);
}

/// vLLM, SGLang, TGI and llama.cpp answer `/health`; what does not know it at least lists its models.
async fn is_healthy(thread: &Thread, target: &Arc<Target>) -> bool {
    match ask(thread, target, "/health").await {
        Some((StatusCode::NOT_FOUND, _)) => {
            ask(thread, target, "/v1/models").await.is_some_and(|(status, _)| status.is_success())
        }
        Some((status, _)) => status.is_success(),
        None => false,
    }
}

async fn load(thread: &Thread, target: &Arc<Target>) -> Option<EngineLoad> {
    let (status, body) = ask(thread, target, "/metrics").await?;
    status.is_success().then(|| EngineLoad::read(std::str::from_utf8(&body).ok()?)).flatten()
}

async fn ask(thread: &Thread, target: &Arc<Target>, path: &str) -> Option<(StatusCode, Bytes)> {
    let request = Request::builder()
        .method(Method::GET)
        .uri(format!("{}{path}", target.base_path))
        .header(header::HOST, &target.host)
        .body(Full::new(Bytes::new()))
        .ok()?;
    let asking = async {
        // A connection of its own: whether a new one can be made is part of the question.
        let lease = thread.pool.connect(&thread.shared, target, None).await.ok()?;
        let (head, mut body) = lease.send(request).await.ok()?.into_parts();
        let terms = Terms { cap: METRICS_BYTES_MAX, patience: PROBE_PATIENCE, pace: None };
        let mut grant = thread.shared.memory.grant(Purpose::Answer, GRANT_STEP).ok()?;
        let body = collect(&mut body, terms, &mut grant).await.ok()?;
        Some((head.status, grant.hold(body)))
    };
    tokio::time::timeout(PROBE_PATIENCE, asking).await.ok().flatten()
}
