//! `gateway.queue`, typed.

use crate::wire;
use hermetic_ids::ProjectName;
use std::time::Duration;

/// Who waits for an engine, and in which order.
#[derive(Debug, Clone)]
pub struct QueueSettings {
    pub places: u32,
    pub wait_max: Duration,
    /// Projects whose share is not 1.
    pub shares: Vec<(ProjectName, u32)>,
    /// Empty: all projects are interactive.
    pub interactive: Vec<ProjectName>,
}

pub(crate) fn queue(wire: wire::queue::Queue) -> Result<QueueSettings, String> {
    let name = |text: String| text.parse::<ProjectName>().map_err(|error| error.to_string());
    let shares = wire.shares.into_iter().map(|share| Ok((name(share.project)?, share.weight)));
    let interactive = wire.interactive.into_iter().map(|entry| name(entry.0));
    Ok(QueueSettings {
        places: wire.places,
        wait_max: wire.wait_max.get(),
        shares: shares.collect::<Result<_, String>>()?,
        interactive: interactive.collect::<Result<_, String>>()?,
    })
}
