//! Guard: what must not reach a model, and what must not come back, over every text of what an engine is asked and says.
//!
//! What is looked at are the bytes that go to the engine and come from it, behind all translation: nothing a surface has
//! words for can go around it. Whatever fails here ends the request: a guardrail that cannot look does not let through.

use crate::collect::CollectError;
use crate::context::Thread;
use crate::guarding::{Direction, InjectionPlan, Plans};
use crate::memory::Purpose;
use crate::question::{Said, action_of, facts, policy_commit, question};
use crate::refusal::{RefusalKind, Refused};
use crate::stage::authorize::Permitted;
use crate::stage::limit::metadata;
use crate::stage::read::Asked;
use crate::stage::record::put_on_record;
use bytes::Bytes;
use hermetic_diagnostics::Diagnose;
use hermetic_guard::{Action, Plan, Redaction, Scratch, View, Writing, redact_row};
use hermetic_inference_api::{Span, SpanKind, Written, answer_text, replace_places, request_text};
use hermetic_ledger::record::{self, Event, Record, RequestRefused};
use hermetic_limits::Facts;
use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

/// Verdicts of one request that are put on record one by one; what is beyond is in the metrics alone.
const VERDICTS_MAX: usize = 64;

/// Shortest text that is scored: an instruction has a verb and an object, and of ids and single words the scorer knows nothing.
const INJECTION_WORDS_MIN: usize = 3;

/// What guardrails said of a request so far, and what they will look for in its answer.
#[derive(Debug, Default)]
pub(crate) struct Guarded {
    pub(crate) output: Option<Arc<Plan>>,
    pub(crate) verdicts: RefCell<Vec<record::Verdict>>,
}

/// Why guardrails end a request or an answer. Names rules and fields, never text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GuardRefusal {
    #[error("the guardrail `{rule}` does not let this request through: it found something in {span} text")]
    Input { rule: String, span: &'static str },
    #[error("the guardrail `{rule}` does not let this answer through")]
    Output { rule: String },
    #[error("expected text that guardrails can read, found `{field}`")]
    Unreadable { field: &'static str },
    #[error("expected an answer that is told once, found `{field}`, which tells it again in tokens")]
    ToldTwice { field: &'static str },
    #[error("the engine's answer is not one that guardrails can read, so it is withheld")]
    Answer,
}

pub(crate) async fn guard(thread: &Thread, mut permitted: Permitted) -> Result<Permitted, Refused> {
    let guardrails = thread.shared.guarding.in_force();
    if guardrails.are_none() {
        return Ok(permitted);
    }
    drop(guardrails);
    let (input, Plans { plan: output, .. }) = plans(thread, &permitted);
    let mut verdicts = Vec::new();
    match look(thread, &mut permitted.asked, (&input, output.as_deref()), &mut verdicts) {
        Ok(()) => {
            if output.is_some() || !verdicts.is_empty() {
                let verdicts = RefCell::new(verdicts);
                permitted.asked.guarded = Some(Box::new(Guarded { output, verdicts }));
            }
            Ok(permitted)
        }
        Err(kind) => {
            Box::pin(record_refusal(thread, &permitted, &kind, verdicts)).await?;
            Err(kind.of(permitted.asked.accepted.request))
        }
    }
}

/// What is done about the request, and about its answer.
fn plans(thread: &Thread, permitted: &Permitted) -> (Plans, Plans) {
    let guardrails = thread.shared.guarding.in_force();
    let asked = &permitted.asked;
    let owner = asked.who.owner();
    let key = asked.who.credential().name();
    let metadata = metadata(asked, guardrails.metadata_keys());
    let facts = Facts {
        subject: owner.subject.as_str(),
        team: owner.team.as_str(),
        project: owner.project.as_str(),
        workflow: owner.workflow.as_str(),
        key: &key,
        model: permitted.route.model.as_str(),
        surface: asked.accepted.surface.as_str(),
        metadata: &metadata,
    };
    let now = thread.shared.clock.unix_millis();
    let plans = |direction| guardrails.plans(direction, &facts, now);
    (plans(Direction::Input), plans(Direction::Output))
}

/// Looks at the request and changes what has to be changed in it.
fn look(
    thread: &Thread,
    asked: &mut Asked,
    (input, output): (&Plans, Option<&Plan>),
    verdicts: &mut Vec<record::Verdict>,
) -> Result<(), RefusalKind> {
    if input.plan.is_none() && input.injection.is_none() && output.is_none() {
        return Ok(());
    }
    let call = asked.accepted.surface.call();
    // The same bytes have been read before, so they are JSON.
    let text = request_text(call, &asked.body, &asked.facts)
        .map_err(|_| RefusalKind::Guard(GuardRefusal::Unreadable { field: "body" }))?;
    if let (Some(field), Some(plan)) = (text.asks_for_tokens, output)
        && (plan.changes_text() || plan.blocks())
    {
        return Err(RefusalKind::Guard(GuardRefusal::ToldTwice { field }));
    }
    let acts = input.plan.as_deref().is_some_and(|plan| plan.changes_text() || plan.blocks());
    if let Some(field) = text.unreadable
        && (acts || input.injection.as_deref().is_some_and(InjectionPlan::blocks))
    {
        return Err(RefusalKind::Guard(GuardRefusal::Unreadable { field }));
    }
    if let Some(injection) = &input.injection {
        injected(thread, injection, (&asked.body, &text.spans), verdicts)?;
    }
    let Some(plan) = input.plan.as_deref() else { return Ok(()) };
    let looked = thread.scratch(plan, |scratch| look_at(plan, scratch, &asked.body, &text.spans));
    let blocked = note(thread, plan, (Direction::Input, looked.found), verdicts);
    if let Some((rule, kind)) = blocked {
        return Err(RefusalKind::Guard(GuardRefusal::Input { rule, span: kind.as_str() }));
    }
    if looked.edits.is_empty() {
        return Ok(());
    }
    let body = Bytes::from(replace_places(&asked.body, &looked.edits));
    let granted = thread.shared.memory.grant(Purpose::Body, body.len());
    let grant = granted.map_err(|error| RefusalKind::Body(CollectError::Memory(error)))?;
    let body = grant.hold(body);
    let metadata = std::mem::take(&mut asked.facts.metadata);
    let facts = asked.facts.again(call, &body).map_err(RefusalKind::Mistake)?;
    asked.facts = facts;
    // What headers said of the request stands in no body.
    asked.facts.metadata = metadata;
    asked.body = body;
    Ok(())
}

/// Scores the texts through which somebody could give a model instructions that are not theirs to give.
fn injected(
    thread: &Thread,
    plan: &InjectionPlan,
    (body, spans): (&[u8], &[Span]),
    verdicts: &mut Vec<record::Verdict>,
) -> Result<(), RefusalKind> {
    let scorer = thread.shared.guarding.in_force().scorer;
    let mut blocked = None;
    for row in spans.chunk_by(|one, next| one.passage == next.passage) {
        let Some(first) = row.first() else { continue };
        let Some((rule, action, threshold)) = plan.of(first.kind) else { continue };
        let view =
            |span: &Span| View::of(writing(span.written), body.get(span.place.clone()).unwrap_or_default());
        let seen: Vec<u8> = row.iter().flat_map(|span| [view(span).seen(), b" "].concat()).collect();
        let text = String::from_utf8_lossy(&seen);
        if text.split_whitespace().nth(INJECTION_WORDS_MIN - 1).is_none() || scorer.score(&text) < threshold {
            continue;
        }
        thread.shared.metrics.guard.found(rule, action.as_str(), Direction::Input.as_str());
        if verdicts.len() < VERDICTS_MAX {
            verdicts.push(record::Verdict {
                guardrail: rule.to_owned(),
                action: action.as_str().to_owned(),
                direction: Direction::Input.as_str().to_owned(),
                span: first.kind.as_str().to_owned(),
                at: 0,
                length: u64::try_from(seen.len()).unwrap_or(u64::MAX),
            });
        }
        if action == Action::Block && blocked.is_none() {
            blocked = Some(GuardRefusal::Input { rule: rule.to_owned(), span: first.kind.as_str() });
        }
    }
    blocked.map_or(Ok(()), |refusal| Err(RefusalKind::Guard(refusal)))
}

/// What was found in the spans of a body, and what to write in their places.
pub(crate) struct Looked {
    edits: Vec<(Range<usize>, Vec<u8>)>,
    found: Vec<(SpanKind, Vec<hermetic_guard::Verdict>)>,
}

fn look_at(plan: &Plan, scratch: &mut Scratch, body: &[u8], spans: &[Span]) -> Looked {
    let mut looked = Looked { edits: Vec::new(), found: Vec::new() };
    for row in spans.chunk_by(|one, next| one.passage == next.passage && one.written == next.written) {
        let text = |span: &Span| body.get(span.place.clone()).unwrap_or_default();
        let views: Vec<View> = row.iter().map(|span| View::of(writing(span.written), text(span))).collect();
        let redactions = redact_row(plan, scratch, &views);
        for (span, Redaction { text, verdicts }) in row.iter().zip(redactions) {
            if let Some(text) = text {
                looked.edits.push((span.place.clone(), as_written(span.written, text)));
            }
            if !verdicts.is_empty() {
                looked.found.push((span.kind, verdicts));
            }
        }
    }
    looked.edits.sort_by_key(|(place, _)| place.start);
    looked
}

pub(crate) fn writing(written: Written) -> Writing {
    match written {
        Written::Text => Writing::Json,
        Written::Json => Writing::JsonInJson,
        Written::Number | Written::Plain => Writing::Plain,
    }
}

/// What a number became is a text.
fn as_written(written: Written, text: Vec<u8>) -> Vec<u8> {
    match written {
        Written::Number => [b"\"", text.as_slice(), b"\""].concat(),
        Written::Text | Written::Json | Written::Plain => text,
    }
}

/// Puts verdicts into the metrics and among those for the record. The first rule that blocks, if one does.
pub(crate) fn note(
    thread: &Thread,
    plan: &Plan,
    (direction, found): (Direction, Vec<(SpanKind, Vec<hermetic_guard::Verdict>)>),
    verdicts: &mut Vec<record::Verdict>,
) -> Option<(String, SpanKind)> {
    let mut blocked = None;
    for (kind, found) in found {
        for verdict in found {
            let rule = plan.detectors().name(verdict.rule).as_str();
            thread.shared.metrics.guard.found(rule, verdict.action.as_str(), direction.as_str());
            if verdict.action == Action::Block && blocked.is_none() {
                blocked = Some((rule.to_owned(), kind));
            }
            if verdicts.len() < VERDICTS_MAX {
                verdicts.push(record::Verdict {
                    guardrail: rule.to_owned(),
                    action: verdict.action.as_str().to_owned(),
                    direction: direction.as_str().to_owned(),
                    span: kind.as_str().to_owned(),
                    at: u64::try_from(verdict.at).unwrap_or(u64::MAX),
                    length: u64::try_from(verdict.length).unwrap_or(u64::MAX),
                });
            }
        }
    }
    blocked
}

/// Looks at an answer that came whole. `Err`: it is withheld.
pub(crate) fn guard_answer(thread: &Thread, asked: &Asked, body: Bytes) -> Result<Bytes, RefusalKind> {
    let Some(guarded) = &asked.guarded else { return Ok(body) };
    let Some(plan) = guarded.output.as_deref() else { return Ok(body) };
    let text = match answer_text(&body) {
        Ok(text) => text,
        // What only reports takes nothing away.
        Err(_) if !plan.changes_text() && !plan.blocks() => return Ok(body),
        // A transcript comes as plain text, where that was asked for.
        Err(_) if std::str::from_utf8(&body).is_ok() && !body.starts_with(b"{") => {
            return plain(thread, guarded, body);
        }
        Err(_) => return Err(RefusalKind::Guard(GuardRefusal::Answer)),
    };
    let looked = thread.scratch(plan, |scratch| look_at(plan, scratch, &body, &text.spans));
    let verdicts = &mut guarded.verdicts.borrow_mut();
    if let Some((rule, _)) = note(thread, plan, (Direction::Output, looked.found), verdicts) {
        return Err(RefusalKind::Guard(GuardRefusal::Output { rule }));
    }
    if looked.edits.is_empty() { Ok(body) } else { Ok(Bytes::from(replace_places(&body, &looked.edits))) }
}

fn plain(thread: &Thread, guarded: &Guarded, body: Bytes) -> Result<Bytes, RefusalKind> {
    let Some(plan) = guarded.output.as_deref() else { return Ok(body) };
    let span = Span { place: 0..body.len(), kind: SpanKind::Answer, written: Written::Plain, passage: 0 };
    let looked = thread.scratch(plan, |scratch| look_at(plan, scratch, &body, &[span]));
    let verdicts = &mut guarded.verdicts.borrow_mut();
    if let Some((rule, _)) = note(thread, plan, (Direction::Output, looked.found), verdicts) {
        return Err(RefusalKind::Guard(GuardRefusal::Output { rule }));
    }
    Ok(looked.edits.into_iter().next().map_or(body, |(_, text)| Bytes::from(text)))
}

/// That a request was turned away is on record before the caller learns of it.
async fn record_refusal(
    thread: &Thread,
    permitted: &Permitted,
    kind: &RefusalKind,
    verdicts: Vec<record::Verdict>,
) -> Result<(), Refused> {
    let asked = &permitted.asked;
    let surface = asked.accepted.surface;
    let question = question(&asked.who, (action_of(surface), surface), &permitted.route, Said::by(asked));
    let record = Record {
        v: 1,
        at_unix_ms: thread.shared.clock.unix_millis(),
        event: Event::RequestRefused(RequestRefused {
            request: asked.accepted.request,
            trace: asked.accepted.trace.id,
            credential: asked.who.credential().clone(),
            owner: asked.who.owner().clone(),
            surface: surface.as_str().to_owned(),
            model: asked.facts.model.to_string(),
            limit: None,
            code: kind.code().as_str().to_owned(),
            status: kind.status().as_u16(),
            policy_digest: permitted.permit.digest(),
            policies: permitted.permit.policies().to_vec(),
            policy_commit: policy_commit(permitted.permit.revision()),
            model_digest: permitted.route.digest(),
            stream: asked.facts.stream,
            facts: facts(&question),
            batch: asked.accepted.batch_line(),
            verdicts,
            continues: asked.continues(),
        }),
    };
    let recorded = put_on_record(&thread.shared, &record).await;
    recorded.map(|_| ()).map_err(|error| RefusalKind::Ledger(error).of(asked.accepted.request))
}
