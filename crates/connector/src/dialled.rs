//! What was dialled and what was refused, for whoever asks the running process.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Distinct destinations remembered. Destinations come from the configuration, so a process knows a handful; the cap
/// keeps a mistake that makes them up from growing without end. What does not fit is counted under `(others)`.
pub const DESTINATIONS_MAX: usize = 1024;

const OTHERS: &str = "(others)";

/// Everything this connector was asked for since the process started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialReport {
    /// The allow-list, in words.
    pub allowed: String,
    /// Sorted by destination.
    pub destinations: Vec<DestinationCount>,
}

impl DialReport {
    /// Attempts the allow-list turned away, over all destinations.
    pub fn refused(&self) -> u64 {
        self.destinations.iter().map(|d| d.refused).sum()
    }
}

/// One destination: `tcp:host:port`, `unix:path`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DestinationCount {
    pub destination: String,
    /// Connections made.
    pub connected: u64,
    /// Attempts inside the allow-list that the network or the peer did not answer.
    pub failed: u64,
    /// Attempts the allow-list turned away.
    pub refused: u64,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Outcome {
    Connected,
    Failed,
    Refused,
}

/// Counts per destination. Locked once per *connection*, which the pools above make rare.
#[derive(Debug, Default)]
pub(crate) struct Dialled(Mutex<BTreeMap<String, DestinationCount>>);

impl Dialled {
    pub(crate) fn count(&self, destination: &str, outcome: Outcome) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = counts.contains_key(destination) || counts.len() < DESTINATIONS_MAX;
        let name = if known { destination } else { OTHERS };
        let entry = counts.entry(name.to_owned()).or_default();
        let slot = match outcome {
            Outcome::Connected => &mut entry.connected,
            Outcome::Failed => &mut entry.failed,
            Outcome::Refused => &mut entry.refused,
        };
        *slot = slot.saturating_add(1);
    }

    pub(crate) fn snapshot(&self) -> Vec<DestinationCount> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts
            .iter()
            .map(|(name, count)| DestinationCount { destination: name.clone(), ..count.clone() })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_beyond_the_cap_are_counted_together() {
        let dialled = Dialled::default();
        for i in 0..DESTINATIONS_MAX + 5 {
            dialled.count(&format!("tcp:h{i}:1"), Outcome::Refused);
        }
        let counts = dialled.snapshot();
        assert_eq!(counts.len(), DESTINATIONS_MAX + 1);
        assert_eq!(counts.iter().find(|c| c.destination == OTHERS).map(|c| c.refused), Some(5));
    }
}
