//! Redaction of a text that comes in pieces, exactly as it would be whole.
//!
//! What may still become part of something found is held back: from the earliest place from which a rule is still alive,
//! and no byte more. Everything before that place is settled, whatever comes. `tests/it/exact.rs` holds it for every way of
//! cutting a text.

use crate::automaton::Scratch;
use crate::detectors::{Finding, Probed, REACH_BACK, end_before};
use crate::plan::{Action, Cluster, Plan, Verdict};
use crate::redact::verdict;
use crate::rule::{CONTEXT_BYTES, Ending};
use crate::rules::is_local;
use crate::view::{View, Writing};

/// What of the past is remembered: words before, and what may be reached back to.
const PAST: usize = CONTEXT_BYTES + REACH_BACK;
/// The past is let go of when it is so much longer: less often than at every piece.
const PAST_SLACK: usize = 1 << 10;
/// How much of what is suppressed is kept, so that its end is seen: a whole line that ends an armor.
const END_KEPT: usize = 96;

/// One text that comes in pieces: the answer of one choice, the arguments of one call.
#[derive(Debug)]
pub struct Redactor {
    view: View,
    /// Places before this one have been asked what begins there.
    asked: usize,
    /// What has left, on both sides of the view.
    left: usize,
    left_written: usize,
    /// Found and not yet left behind, by where they begin.
    found: Vec<Finding>,
    /// Something without a greatest length has begun.
    suppressing: Option<Suppressed>,
    /// How much of the text the view has forgotten.
    forgotten: usize,
    verdicts: Vec<Verdict>,
    changed: bool,
}

impl Redactor {
    pub fn new(writing: Writing) -> Self {
        Self {
            view: View::new(writing),
            asked: 0,
            left: 0,
            left_written: 0,
            found: Vec::new(),
            suppressing: None,
            forgotten: 0,
            verdicts: Vec::new(),
            changed: false,
        }
    }

    /// Takes the next piece, as it is written, and returns what can leave now.
    pub fn push(&mut self, plan: &Plan, scratch: &mut Scratch, piece: &[u8]) -> Vec<u8> {
        self.view.push(piece);
        self.advance(plan, scratch, false)
    }

    /// The text has ended: returns the rest.
    pub fn end(&mut self, plan: &Plan, scratch: &mut Scratch) -> Vec<u8> {
        self.view.end();
        self.advance(plan, scratch, true)
    }

    /// What was found since this was last asked.
    pub fn take_verdicts(&mut self) -> Vec<Verdict> {
        std::mem::take(&mut self.verdicts)
    }

    /// Bytes that are held back.
    pub fn held(&self) -> usize {
        self.view.written().len() - self.left_written
    }

    /// Whether anything that has left differs from what came.
    pub fn has_changed(&self) -> bool {
        self.changed
    }

    fn advance(&mut self, plan: &Plan, scratch: &mut Scratch, ended: bool) -> Vec<u8> {
        let mut out = Vec::new();
        loop {
            if let Some(suppressed) = self.suppressing
                && !self.comes_to_its_end(suppressed, ended, &mut out)
            {
                return out;
            }
            let settled = self.ask(plan, scratch, ended);
            match settled {
                Asked::Until(held) => {
                    self.leave(plan, held, &mut out);
                    if ended {
                        let rest = self.view.written().get(self.left_written..).unwrap_or_default();
                        out.extend_from_slice(rest);
                        self.left_written = self.view.written().len();
                    }
                    self.let_go();
                    return out;
                }
                Asked::Begun { suppressed, header_end } => {
                    end_before(&mut self.found, header_end);
                    self.leave(plan, header_end, &mut out);
                    self.begin_to_suppress(suppressed, header_end);
                }
            }
        }
    }

    /// Asks at every place that was not asked yet and can be answered.
    fn ask(&mut self, plan: &Plan, scratch: &mut Scratch, ended: bool) -> Asked {
        let detectors = plan.detectors();
        let mut open = self.view.seen().len();
        while let Some(start) = detectors.next_start(self.view.seen(), self.asked) {
            match detectors.probe(scratch, self.view.seen(), start, ended) {
                Probed::Open => {
                    open = start;
                    break;
                }
                Probed::Settled(found) => {
                    self.asked = start + 1;
                    let begun = found.iter().find_map(|finding| {
                        let passes = plan.action(finding.rule).is_none_or(|action| action == Action::Report);
                        Some((Suppressed { ending: finding.goes_on?, passes }, finding.place.end))
                    });
                    for finding in found {
                        self.take(plan, finding);
                    }
                    if let Some((suppressed, header_end)) = begun {
                        return Asked::Begun { suppressed, header_end };
                    }
                }
            }
        }
        // The last byte may look like no beginning because its second byte has not come; `next_start` says so.
        self.asked = self.asked.max(open.min(self.view.seen().len()));
        Asked::Until(if ended { self.view.seen().len() } else { open.min(self.reached_back_to(open)) })
    }

    fn take(&mut self, plan: &Plan, finding: Finding) {
        let Some(verdict) = verdict(plan, &finding, self.forgotten) else { return };
        let reported = verdict.action == Action::Report;
        self.verdicts.push(verdict);
        if !reported {
            let behind = self.found.partition_point(|other| {
                (other.place.start, other.place.end, other.rule)
                    <= (finding.place.start, finding.place.end, finding.rule)
            });
            self.found.insert(behind, finding);
        }
    }

    /// How far back an `@` could reach that has not come yet, or that is at or behind `open` and not settled.
    fn reached_back_to(&self, open: usize) -> usize {
        let seen = self.view.seen();
        let run_before = |end: usize| {
            let before = seen.get(..end).unwrap_or_default();
            before.iter().rev().take(REACH_BACK).take_while(|byte| is_local(**byte)).count()
        };
        let at = open + seen.iter().skip(open).take_while(|byte| is_local(**byte)).count();
        let from_a_sign = if seen.get(at) == Some(&b'@') { at - run_before(at) } else { seen.len() };
        // Other rules that begin in the middle reach back from where they begin, and less far.
        let from_open = open - run_before(open);
        from_a_sign.min(from_open).min(seen.len() - run_before(seen.len()))
    }

    /// Lets everything leave that is settled, given that nothing new can begin before `settled`.
    fn leave(&mut self, plan: &Plan, settled: usize, out: &mut Vec<u8>) {
        let mut until = settled;
        let found = std::mem::take(&mut self.found);
        let mut rest = found.into_iter().peekable();
        while let Some(first) = rest.next() {
            let mut cluster = Cluster::of(&first);
            let mut members = vec![first];
            while let Some(next) = rest.next_if(|next| cluster.takes_in(next)) {
                members.push(next);
            }
            if cluster.end > settled {
                until = until.min(cluster.start);
                self.found.extend(members);
                self.found.extend(rest);
                break;
            }
            self.pass(self.view.written_start(cluster.start), out);
            out.extend_from_slice(plan.replacement(&self.view, &cluster).as_bytes());
            self.changed = true;
            self.left = cluster.end;
            self.left_written = self.view.written_end(cluster.end);
        }
        if until > self.left {
            self.pass(self.view.written_end(until), out);
            self.left = until;
        }
    }

    /// Lets the text leave as it is written, up to there.
    fn pass(&mut self, written: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(self.view.written().get(self.left_written..written).unwrap_or_default());
        self.left_written = self.left_written.max(written);
    }

    fn begin_to_suppress(&mut self, suppressed: Suppressed, header_end: usize) {
        self.forget(header_end);
        (self.left, self.left_written, self.asked) = (0, 0, 0);
        self.suppressing = Some(suppressed);
    }

    /// Whether what has no greatest length has ended. What belongs to it is gone, or has left where it is only reported.
    fn comes_to_its_end(&mut self, suppressed: Suppressed, ended: bool, out: &mut Vec<u8>) -> bool {
        let end = suppressed.ending.within(self.view.seen(), 0);
        let length = self.view.seen().len();
        let gone = match (end, ended, suppressed.ending) {
            (Some(end), _, _) => end,
            (None, true, _) | (None, false, Ending::Token) => length,
            (None, false, Ending::Armor) => length.saturating_sub(END_KEPT),
        };
        if suppressed.passes {
            self.pass(self.view.written_end(gone), out);
        }
        self.forget(gone);
        self.left_written = 0;
        if end.is_some() || ended {
            self.suppressing = None;
        }
        end.is_some() || ended
    }

    fn let_go(&mut self) {
        if self.left > PAST + PAST_SLACK {
            let gone = self.left - PAST;
            self.forget(gone);
            self.left -= gone;
            self.asked -= gone;
            for finding in &mut self.found {
                finding.place = finding.place.start - gone..finding.place.end - gone;
            }
        }
    }

    fn forget(&mut self, seen: usize) {
        let written = self.view.written_end(seen);
        self.view.forget(seen);
        self.left_written = self.left_written.saturating_sub(written);
        self.forgotten += seen;
    }
}

/// Something without a greatest length that has begun and not ended.
#[derive(Debug, Clone, Copy)]
struct Suppressed {
    ending: Ending,
    /// It is only reported: it leaves as it came, and nothing begins inside it.
    passes: bool,
}

enum Asked {
    /// Nothing new can begin before this place.
    Until(usize),
    Begun {
        suppressed: Suppressed,
        header_end: usize,
    },
}
