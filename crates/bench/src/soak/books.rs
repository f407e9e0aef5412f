//! Reading the ledger back: every record, once, in order.

use super::mix::{CHAT_MODEL, EMBEDDING_MODEL};
use crate::load::tally::Tokens;
use anyhow::{Context as _, ensure};
use hermetic_ids::RequestId;
use hermetic_ledger::record::{Event, Outcome, Record};
use hermetic_ledger_store::Snapshot;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Entry bundles hold 256 records.
const BUNDLE: u64 = 256;

/// What the ledger says.
#[derive(Debug, Default)]
pub(super) struct Books {
    pub(super) admitted: u64,
    pub(super) refused: u64,
    pub(super) outcomes: BTreeMap<&'static str, u64>,
    /// Completed answers of the models that answer honestly, and their tokens.
    pub(super) completed: BTreeMap<&'static str, (u64, Tokens)>,
    /// Tokens of all settled requests.
    pub(super) settled_tokens: Tokens,
    /// Admitted and never settled.
    pub(super) unsettled: u64,
}

pub(super) fn read(dir: &Path) -> anyhow::Result<Books> {
    let snapshot = Snapshot::latest(dir)?;
    let mut books = Books::default();
    // Requests that are open at a record, by the leaf that admitted them.
    let mut open: HashMap<u64, (RequestId, Option<&'static str>)> = HashMap::new();
    for bundle in 0..snapshot.size().div_ceil(BUNDLE) {
        for (index, leaf) in (bundle * BUNDLE..).zip(snapshot.bundle(bundle)?) {
            let record = Record::decode(&leaf).with_context(|| format!("record {index}"))?;
            match record.event {
                Event::RequestAdmitted(event) => {
                    books.admitted += 1;
                    let honest =
                        [CHAT_MODEL, EMBEDDING_MODEL].into_iter().find(|&m| m == event.model.as_str());
                    open.insert(index, (event.request, honest));
                }
                Event::RequestSettled(event) => {
                    let (request, model) = open.remove(&event.admitted).with_context(|| {
                        format!("record {index} settles leaf {}, which is not open", event.admitted)
                    })?;
                    ensure!(request == event.request, "record {index} settles the leaf of another request");
                    let tokens = Tokens {
                        prompt: event.usage.input_tokens.unwrap_or(0),
                        completion: event.usage.output_tokens.unwrap_or(0),
                    };
                    *books.outcomes.entry(name(event.outcome)).or_default() += 1;
                    add(&mut books.settled_tokens, tokens);
                    if let (Outcome::Completed, Some(model)) = (event.outcome, model) {
                        let (count, sum) = books.completed.entry(model).or_default();
                        *count += 1;
                        add(sum, tokens);
                    }
                }
                Event::RequestRefused(_) => books.refused += 1,
                _ => {}
            }
        }
    }
    books.unsettled = open.len() as u64;
    Ok(books)
}

fn name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Completed => "completed",
        Outcome::ClientLeft => "client-left",
        Outcome::EngineFailed => "engine-failed",
        Outcome::Rejected => "rejected",
        Outcome::Withheld => "withheld",
        Outcome::Interrupted => "interrupted",
    }
}

pub(super) fn add(sum: &mut Tokens, more: Tokens) {
    sum.prompt += more.prompt;
    sum.completion += more.completion;
}
