//! Limit: hold what the request may use at most, on every limit that speaks of it, before anything is computed.
//!
//! What is held is an upper bound: the tokens of the prompt, the most tokens the answer may have, which the engine is
//! told and where a stream is cut. Where a limit is exhausted that names another model, that model is asked for
//! instead: authorized, routed and reserved for like a request of its own.

use crate::context::Thread;
use crate::limit_refusal::LimitRefused;
use crate::limiting::ModelTerms;
use crate::question::{Said, action_of, facts, policy_commit, question};
use crate::refusal::{RefusalKind, Refused};
use crate::routing::Route;
use crate::stage::authorize::{self, Permitted};
use crate::stage::count::{Counted, MEDIA_TOKENS, PromptCount, count};
use crate::stage::read::Asked;
use crate::stage::route::{Routed, can_serve, route};
use crate::stored;
use crate::tab::{Tab, to_record};
use hermetic_diagnostics::Diagnose;
use hermetic_ids::ModelName;
use hermetic_inference_api::Output;
use hermetic_ledger::record::{self, CountedBy, Event, LimitThreshold, Record, RequestRefused};
use hermetic_limits::{Amounts, Crossing, Denied, Facts, Granted, HeadroomAway, Reservation};
use hermetic_policy::Permit;
use std::ops::Deref;
use std::sync::Arc;

/// Models a request may be handed down to, one after the other. A chain that is longer is a mistake in the rules.
const DOWNGRADES_MAX: usize = 4;

/// How often headroom is asked for: what was given may have been taken by another request, and when a thousand come at
/// once for the last of a budget it often is. Each time somebody got it, so it ends.
const HEADROOM_TRIES: usize = 16;

/// A request for which everything it may use is held.
#[derive(Debug)]
pub(crate) struct Reserved {
    routed: Routed,
    pub(crate) prompt: PromptCount,
    pub(crate) tab: Tab,
}

impl Deref for Reserved {
    type Target = Routed;

    fn deref(&self) -> &Routed {
        &self.routed
    }
}

pub(crate) async fn reserve(thread: &Thread, counted: Counted) -> Result<Reserved, Refused> {
    let Counted { mut routed, mut prompt } = counted;
    let mut downgraded_from = None;
    for _ in 0..=DOWNGRADES_MAX {
        let terms = thread.shared.limiting.terms(&routed.route.model);
        let most = most(thread, &routed, (prompt, &terms));
        let denied = match hold(thread, &routed, &most).await {
            Ok(reservation) => {
                let answers = routed.asked.facts.choices.saturating_mul(routed.asked.facts.prompts);
                if downgraded_from.is_some() {
                    thread.shared.metrics.limits.downgraded();
                }
                let exact = prompt.by() != CountedBy::Bytes;
                let output = routed.asked.accepted.surface.call().output();
                let tab = Tab::open(reservation, (terms, answers, exact), output, downgraded_from);
                tell(thread, &routed, &tab);
                if let Some(explanation) = &routed.asked.accepted.explanation {
                    explanation.add("limits", serde_json::to_value(tab.holds()).unwrap_or_default());
                }
                return Ok(Reserved { routed, prompt, tab });
            }
            Err(denied) => denied,
        };
        let Some((permit, keeps, route_to)) =
            denied.other_model().and_then(|other| other_route(thread, &routed, &other))
        else {
            return Err(Box::pin(refuse(thread, &routed, denied)).await);
        };
        routed.asked.keep(keeps);
        downgraded_from = downgraded_from.or_else(|| Some(routed.route.model.clone()));
        let other = route(thread, Permitted { asked: routed.asked, permit, route: route_to })?;
        // Another model reads the prompt with another vocabulary.
        Counted { routed, prompt } = Box::pin(count(thread, other)).await?;
    }
    Err(RefusalKind::Limit(LimitRefused::DowngradesWithoutEnd).of(routed.asked.accepted.request))
}

/// The most this request may use.
fn most(thread: &Thread, routed: &Routed, (prompt, terms): (PromptCount, &ModelTerms)) -> Amounts {
    let asked = &routed.asked;
    let input_tokens = prompt.tokens();
    let answers = asked.facts.choices.saturating_mul(asked.facts.prompts);
    let output_tokens = match asked.accepted.surface.call().output() {
        Output::Nothing => 0,
        Output::Text => terms.output_tokens(asked.facts.max_tokens).saturating_mul(answers),
        // Nobody speaks faster than they are recorded.
        Output::Transcript => terms.output_tokens_max.map_or(input_tokens, |max| input_tokens.min(max)),
        Output::Pictures => terms.output_tokens_max.unwrap_or(MEDIA_TOKENS).saturating_mul(answers),
    };
    let engine_time = thread.shared.options().engine_time_max;
    Amounts {
        requests: 1,
        input_tokens,
        output_tokens,
        gpu_ms: u64::try_from(engine_time.as_millis()).unwrap_or(u64::MAX),
        money: terms.price.of(input_tokens, output_tokens),
        concurrent: 1,
    }
}

/// Reserves, and asks for headroom of shared caps where this replica has too little.
async fn hold(thread: &Thread, routed: &Routed, most: &Amounts) -> Result<Reservation, LimitRefused> {
    let limiting = &thread.shared.limiting;
    let asked = &routed.asked;
    let owner = asked.who.owner();
    let key = asked.who.credential().name();
    let metadata = metadata(asked, limiting.limits.rules().metadata_keys());
    let facts = Facts {
        subject: owner.subject.as_str(),
        team: owner.team.as_str(),
        project: owner.project.as_str(),
        workflow: owner.workflow.as_str(),
        key: &key,
        model: routed.route.model.as_str(),
        surface: asked.accepted.surface.as_str(),
        metadata: &metadata,
    };
    for _ in 0..=HEADROOM_TRIES {
        let now = thread.shared.clock.unix_millis();
        let shortfalls = match limiting.limits.reserve(&facts, most, now) {
            Ok(reservation) => return Ok(reservation),
            Err(Denied::Exceeded(exceeded)) => {
                return Err(LimitRefused::Exceeded {
                    retry_after_ms: exceeded.retry_after_ms(now),
                    exceeded,
                });
            }
            Err(Denied::CountersFull { rule, max }) => return Err(LimitRefused::CountersFull { rule, max }),
            Err(Denied::Short(shortfalls)) => shortfalls,
        };
        let Some(headroom) = limiting.headroom() else { return Err(LimitRefused::Away) };
        match Box::pin(headroom.ask(&shortfalls)).await {
            Ok(Granted::More) => {}
            Ok(Granted::Exhausted) => return Err(LimitRefused::exhausted(shortfalls)),
            Err(HeadroomAway) => return Err(LimitRefused::Away),
        }
    }
    // Others took what was given, time after time.
    Err(LimitRefused::Away)
}

/// What is known of the request by the keys that rules look at.
pub(crate) fn metadata(asked: &Asked, keys: &[String]) -> Vec<(String, String)> {
    let value_of = |key: &String| {
        // What the credential says of its holder is proved, and wins.
        if let Some(proved) = asked.who.metadata().get(key.as_str()) {
            return Some(proved.as_str().to_owned());
        }
        // Names that came in headers have lost their capitals.
        let said = |(name, _): &&(String, String)| name == key;
        let in_header = |(name, _): &&(String, String)| *name == key.to_ascii_lowercase();
        let pairs = || asked.facts.metadata.iter();
        pairs().find(said).or_else(|| pairs().find(in_header)).map(|(_, value)| value.clone())
    };
    keys.iter().filter_map(|key| value_of(key).map(|value| (key.clone(), value))).collect()
}

/// Another model that is to be asked instead, if the caller may use it and it is to be had, and whether its response is kept.
/// If not, what was refused stays refused.
fn other_route(thread: &Thread, routed: &Routed, other: &ModelName) -> Option<(Permit, bool, Arc<Route>)> {
    let table = thread.shared.routes.load();
    let route = table.get(other)?;
    if !can_serve(route, routed.asked.accepted.surface) {
        return None;
    }
    let (who, surface) = (&routed.asked.who, routed.asked.accepted.surface);
    let permit = authorize::permit(thread, who, surface, route, Said::by(&routed.asked)).ok()?;
    let keeps = stored::decide(thread, &routed.asked, route).ok()?;
    Some((permit, keeps, Arc::clone(route)))
}

/// Puts the refusal on record before the caller learns of it.
async fn refuse(thread: &Thread, routed: &Routed, denied: LimitRefused) -> Refused {
    let asked = &routed.asked;
    let request = asked.accepted.request;
    let now = thread.shared.clock.unix_millis();
    if let LimitRefused::Exceeded { exceeded, .. } = &denied {
        thread.shared.metrics.limits.refused(&exceeded.rule.name);
    }
    let limit = denied.for_record();
    let surface = asked.accepted.surface;
    let question = question(&asked.who, (action_of(surface), surface), &routed.route, Said::by(asked));
    let kind = RefusalKind::Limit(denied);
    let record = Record {
        v: 1,
        at_unix_ms: now,
        event: Event::RequestRefused(RequestRefused {
            request,
            trace: asked.accepted.trace.id,
            credential: asked.who.credential().clone(),
            owner: asked.who.owner().clone(),
            surface: asked.accepted.surface.as_str().to_owned(),
            model: asked.facts.model.to_string(),
            code: kind.code().as_str().to_owned(),
            status: kind.status().as_u16(),
            policy_digest: routed.permit.digest(),
            policies: routed.permit.policies().to_vec(),
            limit,
            policy_commit: policy_commit(routed.permit.revision()),
            model_digest: routed.route.digest(),
            stream: asked.facts.stream,
            // Of a model that was to answer instead the record does not tell: it names the one that was asked for.
            facts: if routed.route.model == asked.facts.model {
                facts(&question)
            } else {
                record::Facts::default()
            },
            batch: asked.accepted.batch_line(),
            verdicts: Vec::new(),
            continues: asked.continues(),
        }),
    };
    match thread.shared.ledger.submit(&record).await {
        Ok(_) => kind.of(request),
        Err(error) => RefusalKind::Ledger(error).of(request),
    }
}

/// Soft thresholds that were crossed, and rules in the shadow that would have refused.
fn tell(thread: &Thread, routed: &Routed, tab: &Tab) {
    let request = routed.asked.accepted.request;
    for rule in tab.would_refuse() {
        thread.shared.metrics.limits.would_refuse(&rule);
        tracing::info!(%request, rule = &*rule, "a limit in the shadow would have refused a request");
    }
    for crossing in tab.take_crossings() {
        let Crossing { hold, threshold, crossed, taken, cap } = crossing;
        thread.shared.metrics.limits.threshold(&hold.counter.rule);
        tracing::warn!(
            rule = &*hold.counter.rule,
            scope = &*hold.counter.scope,
            threshold,
            taken,
            cap,
            "a soft threshold was crossed"
        );
        let event = LimitThreshold { request, hold: to_record(&hold), threshold, crossed, taken, limit: cap };
        // Told once and not waited for: the request that crossed it is not held up by the alarm.
        drop(thread.shared.ledger.submit(&Record {
            v: 1,
            at_unix_ms: thread.shared.clock.unix_millis(),
            event: Event::LimitThreshold(event),
        }));
    }
}
