//! `hermetic policy replay`: recorded requests judged again under other policies.
//!
//! The ledger is read as a stream; what is kept is one line per group of requests that would be decided otherwise, so a
//! year of records costs time and no memory.

use super::recorded::Decided;
use super::{RevisionView, Site};
use crate::cli::Context;
use crate::cli::audit::records_bar;
use crate::cli::enclave::Enclave;
use hermetic_clock::{Clock, UnixMillis, parse_rfc3339, rfc3339};
use hermetic_diagnostics::Report;
use hermetic_ids::RequestId;
use hermetic_ledger::Record;
use hermetic_ledger::tile::TILE_WIDTH;
use hermetic_ledger_store::Snapshot;
use hermetic_policy::Authorizer;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::str::FromStr;

/// Groups that are told apart. A change that touches more combinations of project, model and policies than this is
/// summed up in its totals.
const GROUPS_MAX: usize = 10_000;
/// Request ids shown for each group: enough to look at some of them.
const EXAMPLES_MAX: usize = 5;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The folder with the policies to try.
    #[arg(long)]
    policy: PathBuf,
    /// Only requests from then on: a time such as 2027-01-31T00:00:00Z, or a span before now, such as 1d, 12h or 30m.
    #[arg(long)]
    since: Option<Moment>,
    /// Only requests before then.
    #[arg(long)]
    until: Option<Moment>,
}

/// A time, or a span before now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    At(UnixMillis),
    Ago { millis: u64 },
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(at) = parse_rfc3339(text) {
            return Ok(Self::At(at));
        }
        let units = [('d', 86_400_000), ('h', 3_600_000), ('m', 60_000)];
        let span = units
            .into_iter()
            .find_map(|(suffix, ms)| text.strip_suffix(suffix)?.parse::<u64>().ok()?.checked_mul(ms));
        span.map(|millis| Self::Ago { millis }).ok_or_else(|| {
            "expected a time such as 2027-01-31T00:00:00Z, or a span such as 1d, 12h or 30m".to_owned()
        })
    }
}

impl Moment {
    fn before(self, now: UnixMillis) -> UnixMillis {
        match self {
            Self::At(at) => at,
            Self::Ago { millis } => now.saturating_sub(millis),
        }
    }
}

/// What would change.
#[derive(Debug, Default, Serialize)]
struct Replayed {
    candidate: Option<RevisionView>,
    records: u64,
    /// Requests that were judged again.
    judged: u64,
    /// Requests whose records do not hold all that a policy can read.
    unjudged: u64,
    unchanged: u64,
    /// Permitted as before, by other policies.
    other_grounds: u64,
    would_be_denied: Change,
    would_be_permitted: Change,
}

/// Requests that would be decided the other way round.
#[derive(Debug, Default, Serialize)]
struct Change {
    requests: u64,
    #[serde(serialize_with = "count")]
    projects: BTreeSet<String>,
    /// Groups beyond the most that are told apart.
    requests_not_listed: u64,
    #[serde(serialize_with = "listed")]
    groups: BTreeMap<Group, Members>,
}

/// Requests that are alike.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Group {
    project: String,
    model: String,
    surface: String,
    /// Who would decide; none: no policy would permit it.
    by: Vec<String>,
}

#[derive(Debug, Default, Serialize)]
struct Members {
    requests: u64,
    examples: Vec<RequestId>,
}

fn count<S: serde::Serializer>(set: &BTreeSet<String>, to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(set)
}

fn listed<S: serde::Serializer>(groups: &BTreeMap<Group, Members>, to: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Listed<'a> {
        #[serde(flatten)]
        group: &'a Group,
        #[serde(flatten)]
        members: &'a Members,
    }
    to.collect_seq(groups.iter().map(|(group, members)| Listed { group, members }))
}

impl Change {
    fn add(&mut self, group: Group, request: RequestId) {
        self.requests += 1;
        if self.projects.len() < GROUPS_MAX {
            self.projects.insert(group.project.clone());
        }
        if self.groups.len() >= GROUPS_MAX && !self.groups.contains_key(&group) {
            self.requests_not_listed += 1;
            return;
        }
        let members = self.groups.entry(group).or_default();
        members.requests += 1;
        if members.examples.len() < EXAMPLES_MAX {
            members.examples.push(request);
        }
    }

    fn lines(&self, what: &str) -> Vec<String> {
        if self.requests == 0 {
            return vec![format!("no request would have been {what}")];
        }
        let mut lines = vec![format!(
            "{} of {} would have been {what}",
            of(self.requests, "request"),
            of(self.projects.len() as u64, "project")
        )];
        let mut groups: Vec<(&Group, &Members)> = self.groups.iter().collect();
        groups.sort_by_key(|(_, members)| std::cmp::Reverse(members.requests));
        for (group, members) in groups {
            let by =
                if group.by.is_empty() { "no policy permits it".to_owned() } else { group.by.join(", ") };
            let examples: Vec<String> = members.examples.iter().map(ToString::to_string).collect();
            lines.push(format!(
                "  {:>7}  project {}, {} on {}: {by}",
                members.requests, group.project, group.surface, group.model
            ));
            lines.push(format!("           such as {}", examples.join(", ")));
        }
        if self.requests_not_listed > 0 {
            lines.push(format!("  {:>7}  in further groups", self.requests_not_listed));
        }
        lines
    }
}

fn of(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<(), Report> {
    let enclave = Enclave::open(context)?;
    let site = Site::of(context, Some(&arguments.policy))?;
    let policies = site.policies()?;
    let mut replayed =
        Replayed { candidate: Some(RevisionView::of(policies.revision())), ..Replayed::default() };
    let candidate = Authorizer::new(policies);
    let now = Clock::system().unix_millis();
    let since = arguments.since.map_or(0, |since| since.before(now));
    let until = arguments.until.map_or(UnixMillis::MAX, |until| until.before(now));
    let snapshot = Snapshot::latest(&enclave.paths.ledger())?;
    let bar = records_bar(context, "replaying", snapshot.size());
    for bundle in 0..snapshot.size().div_ceil(TILE_WIDTH) {
        for leaf in snapshot.bundle(bundle)? {
            replayed.records += 1;
            // Most records of a busy enclave are of other kinds or settle a request; they are not even parsed.
            if !opens_request(&leaf) {
                continue;
            }
            let Ok(record) = Record::decode(&leaf) else { continue };
            if (since..until).contains(&record.at_unix_ms) {
                replayed.judge(&candidate, &record);
            }
        }
        bar.set_position(replayed.records);
    }
    bar.finish_and_clear();
    context.out.result(&replayed, |replayed| lines(replayed, (since, until)));
    Ok(())
}

fn opens_request(leaf: &[u8]) -> bool {
    [&b"\"request.admitted\""[..], b"\"request.refused\""]
        .iter()
        .any(|kind| leaf.windows(kind.len()).take(256).any(|window| window == *kind))
}

impl Replayed {
    fn judge(&mut self, candidate: &Authorizer, record: &Record) {
        let Some(decided) = Decided::of(record) else { return };
        let Some(asked) = &decided.asked else {
            self.unjudged += 1;
            return;
        };
        self.judged += 1;
        let answer = candidate.decide(&asked.question());
        let by = match &answer {
            Ok(permit) => permit.policies().to_vec(),
            Err(refusal) => refusal.policies().to_vec(),
        };
        let change = match (decided.permitted, answer.is_ok()) {
            (true, false) => &mut self.would_be_denied,
            (false, true) => &mut self.would_be_permitted,
            _ => {
                self.unchanged += 1;
                // A request that was turned away behind policy does not name what permitted it.
                self.other_grounds += u64::from(!decided.policies.is_empty() && decided.policies != by);
                return;
            }
        };
        let group = Group {
            project: asked.project.to_string(),
            model: asked.model.to_string(),
            surface: asked.surface.clone(),
            by,
        };
        change.add(group, decided.request);
    }
}

fn lines(replayed: &Replayed, (since, until): (UnixMillis, UnixMillis)) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(replayed.candidate.iter().map(|candidate| format!("candidate  {}", candidate.line())));
    if since > 0 || until < UnixMillis::MAX {
        let until = if until == UnixMillis::MAX { "now".to_owned() } else { rfc3339(until) };
        let since = if since == 0 { "the beginning".to_owned() } else { rfc3339(since) };
        lines.push(format!("from       {since} to {until}"));
    }
    lines.push(format!(
        "judged     {} in {}; {} as before, {} of them by other policies",
        of(replayed.judged, "request"),
        of(replayed.records, "record"),
        replayed.unchanged,
        replayed.other_grounds
    ));
    if replayed.unjudged > 0 {
        lines.push(format!(
            "left out   {} whose records do not hold all that policies can read",
            of(replayed.unjudged, "request")
        ));
    }
    lines.extend(replayed.would_be_denied.lines("denied"));
    lines.extend(replayed.would_be_permitted.lines("permitted"));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_or_a_span_before_now_and_nothing_else() {
        assert_eq!("1d".parse::<Moment>().unwrap().before(86_400_005), 5);
        assert_eq!("2026-11-23T02:00:00.123Z".parse::<Moment>().unwrap(), Moment::At(1_795_399_200_123));
        for bad in ["", "d", "-1d", "1.5h", "90", "yesterday", "99999999999999999999d"] {
            assert!(bad.parse::<Moment>().is_err(), "{bad}");
        }
    }
}
