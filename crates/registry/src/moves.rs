//! Stage, promote, roll back: the only ways a label moves.

use crate::{CANARY, PRODUCTION, Registry, RegistryError, STAGED, label};
use hermetic_clock::Clock;
use hermetic_ids::{Label, ReleaseVersion};
use hermetic_ledger::record::{Event, Record, ReleaseMoved};
use hermetic_ledger_store::Ledger;
use hermetic_metadata::{LabelMove, ReleaseRow};
use std::time::Duration;

/// How long after it lost production a release can be rolled back to: one monthly maintenance window.
pub const ROLLBACK_WINDOW: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Longest name of whoever moves a release; it stands in a ledger leaf.
const BY_BYTES_MAX: usize = 200;

/// Who moves a release, when, and where that is recorded.
#[derive(Debug, Clone, Copy)]
pub struct Mover<'a> {
    pub ledger: &'a Ledger,
    pub clock: &'a Clock,
    pub by: &'a str,
}

/// A move that was made, or was not needed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Move {
    pub release: ReleaseVersion,
    pub to: Label,
    pub displaced: Option<ReleaseVersion>,
    /// `false` when the release held the label already.
    pub moved_now: bool,
    /// Ledger leaf of the move.
    pub leaf: Option<u64>,
}

struct Intent<'a> {
    release: &'a ReleaseRow,
    from: Option<Label>,
    to: Label,
    displaced: Option<ReleaseVersion>,
    action: &'static str,
}

impl Registry {
    /// Lets a release wait for promotion, in place of whichever waits now.
    pub fn stage(&self, version: &ReleaseVersion, mover: Mover<'_>) -> Result<Move, RegistryError> {
        let release = self.known(version)?;
        let (to, production) = (label(STAGED)?, label(PRODUCTION)?);
        if let Some(serving) = self.holder(&production)? {
            if serving == *version {
                return Ok(unmoved(&release, production));
            }
            // Otherwise a release that was rolled away from for a reason could come back under another name.
            if self.known(&serving)?.counter > release.counter {
                return Err(RegistryError::OlderThanProduction {
                    version: version.clone(),
                    production: serving,
                });
            }
        }
        let displaced = self.holder(&to)?;
        self.apply(Intent { release: &release, from: None, to, displaced, action: "stage" }, mover)
    }

    /// Lets the staged release answer the share of requests that virtual models give their canaries. It stays staged. The
    /// release in production may be the canary too, which is how a canary ends without a promotion.
    pub fn canary(&self, version: &ReleaseVersion, mover: Mover<'_>) -> Result<Move, RegistryError> {
        let release = self.known(version)?;
        let (staged, to) = (label(STAGED)?, label(CANARY)?);
        let waiting = self.holder(&staged)?;
        if waiting.as_ref() != Some(version) && self.holder(&label(PRODUCTION)?)?.as_ref() != Some(version) {
            return Err(RegistryError::NotStaged { version: version.clone(), staged: waiting });
        }
        let displaced = self.holder(&to)?;
        self.apply(Intent { release: &release, from: None, to, displaced, action: "canary" }, mover)
    }

    /// Makes the staged release serve.
    pub fn promote(&self, version: &ReleaseVersion, mover: Mover<'_>) -> Result<Move, RegistryError> {
        let release = self.known(version)?;
        let (staged, to) = (label(STAGED)?, label(PRODUCTION)?);
        let displaced = self.holder(&to)?;
        if displaced.as_ref() == Some(version) {
            return Ok(unmoved(&release, to));
        }
        let waiting = self.holder(&staged)?;
        if waiting.as_ref() != Some(version) {
            return Err(RegistryError::NotStaged { version: version.clone(), staged: waiting });
        }
        self.apply(Intent { release: &release, from: Some(staged), to, displaced, action: "promote" }, mover)
    }

    /// Makes the release serve that served before the present one was promoted.
    pub fn rollback(&self, mover: Mover<'_>) -> Result<Move, RegistryError> {
        let to = label(PRODUCTION)?;
        let history = self.metadata.label_history(&to)?;
        let current = history.iter().find(|tenure| tenure.until_unix_ms.is_none());
        let current = current.ok_or(RegistryError::NothingServes)?.release.clone();
        // A release that was itself rolled away from is not what anybody means by "the one before".
        let before = history
            .iter()
            .find(|tenure| tenure.release != current && tenure.ended_by.as_deref() == Some("promote"))
            .ok_or_else(|| RegistryError::NothingBefore { current: current.clone() })?;
        let left = before.until_unix_ms.unwrap_or_default();
        let window = u64::try_from(ROLLBACK_WINDOW.as_millis()).unwrap_or(u64::MAX);
        if mover.clock.unix_millis() > left.saturating_add(window) {
            let days = ROLLBACK_WINDOW.as_secs() / 86_400;
            return Err(RegistryError::WindowOver {
                version: before.release.clone(),
                left_unix_ms: left,
                days,
            });
        }
        let release = self.known(&before.release)?;
        let intent =
            Intent { release: &release, from: None, to, displaced: Some(current), action: "rollback" };
        self.apply(intent, mover)
    }

    fn apply(&self, intent: Intent<'_>, mover: Mover<'_>) -> Result<Move, RegistryError> {
        let Intent { release, from, to, displaced, action } = intent;
        if mover.by.trim().is_empty()
            || mover.by.len() > BY_BYTES_MAX
            || mover.by.chars().any(char::is_control)
        {
            return Err(RegistryError::By);
        }
        if displaced.as_ref() == Some(&release.version) {
            return Ok(unmoved(release, to));
        }
        self.check_complete(&release.version)?;
        let at_unix_ms = mover.clock.unix_millis();
        let record = Record {
            v: 1,
            at_unix_ms,
            event: Event::ReleaseMoved(ReleaseMoved {
                release: release.version.clone(),
                release_digest: release.statement,
                from: from.clone(),
                to: to.clone(),
                action: action.to_owned(),
                displaced: displaced.clone(),
                by: mover.by.to_owned(),
            }),
        };
        let wanted = LabelMove {
            label: to.clone(),
            release: release.version.clone(),
            leaves: from,
            expects_holder: displaced.clone(),
            action,
            by: mover.by.to_owned(),
            at_unix_ms,
        };
        let append = || {
            let appended = mover.ledger.append_blocking(&record);
            appended.map(|appended| appended.index).map_err(|source| RegistryError::Ledger { source })
        };
        let leaf = self.metadata.move_label(&wanted, append)?.ok_or(RegistryError::MovedMeanwhile)?;
        Ok(Move { release: release.version.clone(), to, displaced, moved_now: true, leaf: Some(leaf) })
    }
}

fn unmoved(release: &ReleaseRow, to: Label) -> Move {
    Move { release: release.version.clone(), to, displaced: None, moved_now: false, leaf: None }
}
