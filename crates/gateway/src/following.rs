//! What one thread of the process does beside serving: it follows the database of keys and the certificates on disk,
//! notes which keys were used, and writes down who was turned away.

use crate::context::{Shared, Thread};
use crate::{strangers, tls};
use hermetic_diagnostics::Diagnose;
use hermetic_identity::USE_GRAIN;
use std::error::Error;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// How often it is asked whether counted refusals are due.
const STRANGERS_EVERY: Duration = Duration::from_secs(1);

/// Follows until the service stops, and notes the keys' last use once more then.
pub(crate) async fn follow(thread: Rc<Thread>) {
    let mut keys = ticks(thread.shared.options().key_refresh_interval);
    let mut uses = ticks(USE_GRAIN);
    let mut certificates = ticks(tls::LOOK_EVERY);
    let mut turned_away = ticks(STRANGERS_EVERY);
    loop {
        let work: fn(&Shared) = tokio::select! {
            () = thread.shared.draining.cancelled() => break,
            _ = keys.tick() => look_for_keys,
            _ = uses.tick() => note_use,
            _ = certificates.tick(), if thread.shared.tls.is_some() => look_at_certificates,
            _ = turned_away.tick() => write_strangers,
        };
        run(&thread, work).await;
    }
    run(&thread, note_use).await;
}

fn ticks(every: Duration) -> tokio::time::Interval {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Files and the database block.
async fn run(thread: &Thread, work: fn(&Shared)) {
    let shared = Arc::clone(&thread.shared);
    if let Err(error) = tokio::task::spawn_blocking(move || work(&shared)).await {
        tracing::error!(%error, "work beside serving ended abnormally");
    }
}

fn look_for_keys(shared: &Shared) {
    if let Err(error) = shared.identity.refresh() {
        let causes = causes(&error);
        tracing::warn!(code = %error.code(), causes, "the keys could not be looked for");
    }
}

fn note_use(shared: &Shared) {
    if let Err(error) = shared.identity.keys().note_use() {
        let causes = causes(&error);
        tracing::warn!(code = %error.code(), causes, "the use of keys could not be noted");
    }
}

fn look_at_certificates(shared: &Shared) {
    let Some(tls) = &shared.tls else { return };
    match tls.look() {
        Ok(false) => {}
        Ok(true) => {
            shared.metrics.identity.material_read(true);
            tracing::info!("certificates, authorities and revocation lists were read again and are in force");
        }
        Err(error) => {
            shared.metrics.identity.material_read(false);
            let causes = causes(&error);
            tracing::error!(code = %error.code(), causes, "the TLS files do not fit together; the old ones stay in force");
        }
    }
}

fn write_strangers(shared: &Shared) {
    strangers::write_due(shared, false);
    let throttle = shared.identity.throttle();
    throttle.tidy(shared.clock.monotonic());
    shared.metrics.identity.sources_failing(throttle.failing());
}

fn causes(error: &dyn Error) -> String {
    hermetic_diagnostics::chain(error).join(": ")
}
