//! Keeps the policies in force as the folder has them, while serving.
//!
//! A changed folder is read, validated whole, put on record and then swapped in at once. One that is not sound changes
//! nothing: the policies before stay in force, and the mistakes are logged with their code.

use crate::cli::enclave::read_policies;
use hermetic_clock::Clock;
use hermetic_diagnostics::Report;
use hermetic_gateway::policy_commit;
use hermetic_ledger::record::{Event, PolicyChanged, Record};
use hermetic_ledger_store::Ledger;
use hermetic_policy::{Authorizer, Levels, Policies};
use hermetic_policy_folder::{FolderError, Stamp};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

/// How often the folder is looked at. A look reads no file, and a change is taken when two looks agree, so that a
/// checkout or an editor is not caught in the middle: it is in force two to three of these later.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Where the policies in force come from. Held while other policies are put in force, by whoever does: a reload of the
/// configuration and a change of the folder never overtake each other.
#[derive(Debug)]
pub(crate) struct Place {
    /// Without a folder there is nothing to follow.
    pub(crate) folder: Option<PathBuf>,
    pub(crate) levels: Levels,
}

/// What is followed, and where changes go.
pub(crate) struct Followed {
    pub(crate) place: Arc<Mutex<Place>>,
    pub(crate) authorizer: Arc<Authorizer>,
    pub(crate) ledger: Ledger,
    pub(crate) clock: Clock,
}

/// What the last looks saw.
#[derive(Default)]
struct Seen {
    /// The stamp that was last acted upon, and the one that is waiting to be seen twice.
    settled: Option<Stamp>,
    fresh: Option<Stamp>,
    /// The folder could not be looked at, and that was said.
    complained: bool,
}

/// Follows the folder, whichever it is, until `ending`.
pub(crate) async fn follow(followed: Followed, ending: CancellationToken) {
    let mut seen = Seen::default();
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = ending.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let place = followed.place.lock().await;
        let Some(folder) = place.folder.clone() else { continue };
        let looked = tokio::task::spawn_blocking(move || Stamp::of(&folder)).await;
        if let Ok(looked) = looked
            && seen.is_change(looked)
            && take_up(&followed, &place).await
        {
            seen.settled = seen.fresh.clone();
        }
    }
}

impl Seen {
    /// Whether the folder rests in a state that was not acted upon.
    fn is_change(&mut self, looked: Result<Stamp, FolderError>) -> bool {
        match looked {
            Ok(stamp) => {
                self.complained = false;
                let at_rest = self.fresh.as_ref() == Some(&stamp);
                self.fresh = Some(stamp);
                at_rest && self.fresh != self.settled
            }
            Err(error) => {
                if !self.complained {
                    refused(&error.into());
                }
                self.complained = true;
                false
            }
        }
    }
}

/// Whether nothing is left to do about the folder as it is.
async fn take_up(followed: &Followed, place: &Place) -> bool {
    let (folder, levels) = (place.folder.clone(), place.levels.clone());
    let read = tokio::task::spawn_blocking(move || read_policies(folder.as_deref(), &levels)).await;
    let policies = match read {
        Ok(Ok(policies)) => policies,
        Ok(Err(report)) => {
            refused(&report);
            return true;
        }
        Err(_) => return false,
    };
    let before = followed.authorizer.revision();
    if *policies.revision() == before {
        return true;
    }
    let event = changed(&before, &policies);
    let record = Record { v: 1, at_unix_ms: followed.clock.unix_millis(), event };
    // Recorded before it is in force: no decision rests on policies the ledger does not know of.
    if let Err(error) = followed.ledger.append(&record).await {
        tracing::error!(error = %error, "changed policies could not be recorded; the former stay in force");
        return false;
    }
    let revision = policies.revision();
    let commit = revision.commit.as_ref().map(|commit| commit.id.clone());
    tracing::info!(digest = %revision.digest, commit, policies = policies.len(), "changed policies are in force");
    followed.authorizer.replace(policies);
    true
}

fn changed(before: &hermetic_policy::Revision, policies: &Policies) -> Event {
    let now = policies.revision();
    Event::PolicyChanged(PolicyChanged {
        from: before.digest,
        from_commit: policy_commit(before),
        to: now.digest,
        to_commit: policy_commit(now),
        policies: policies.len() as u64,
    })
}

fn refused(report: &Report) {
    let causes = report.chain().join(": ");
    tracing::error!(
        code = report.code().as_str(),
        causes,
        "the changed policies are not sound; the former stay in force"
    );
}
