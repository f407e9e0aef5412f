//! A streamed answer: events are handed on as they come, byte for byte; the one that ends the stream is held back
//! until the settling record is durable.

use crate::body::{EventSender, Gathered, SendError, TrySendError};
use crate::capture::Outgoing;
use crate::collect::CollectError;
use crate::context::Thread;
use crate::course::Ongoing;
use crate::memory::{MemoryError, MemoryGrant, Purpose};
use crate::refusal::RefusalKind;
use crate::respond;
use crate::routing::Ended;
use crate::stage::admit::Admitted;
use crate::stage::attempts::usage;
use crate::stage::call::{AnswerHead, CallError, Opened, Patience};
use crate::stage::exchange::Reply;
use crate::stage::guard::GuardRefusal;
use crate::stage::limit::Reserved;
use crate::stage::masks::Masks;
use crate::stage::resume::{Continuation, resume};
use crate::stage::settle::{Ending, settle};
use crate::stage::silence::{Silence, Silent};
use crate::tab::Consumed;
use crate::upstream::EngineBody;
use bytes::Bytes;
use hermetic_inference_api::{AnswerFacts, CutChunk, Dialect, EngineEvents, Event, EventFacts, Teller};
use hermetic_ledger::record::{AttemptOutcome, Outcome};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Answers that are told one by one that they were cut. The OpenAI API allows as many in one request.
const CUT_CHOICES_MAX: u64 = 128;

/// How long to wait for the end of an answer whose `[DONE]` was seen, before the connection is closed instead of kept.
const TAIL_PATIENCE: Duration = Duration::from_secs(1);

/// Where the events come from.
pub(crate) struct Source {
    pub(crate) opened: Opened,
    pub(crate) usage_is_ours: bool,
    pub(crate) attempt: Ongoing,
    pub(crate) timeouts: Patience,
}

/// How a stream ended.
pub(crate) enum End {
    /// With the event that ends it, not yet handed on.
    Done(Bytes),
    /// The engine closed its answer in good order, without `[DONE]`; what was left is not yet handed on.
    Closed(Bytes),
    /// The engine reported an error inside the stream, not yet handed on.
    EngineError(Bytes),
    Failed(CollectError),
    /// The answer has reached what was held for it; the events that end it, not yet handed on.
    Full(Bytes),
    ClientLeft,
    /// A guardrail ends it.
    Guarded(GuardRefusal),
    /// The engine has taken as long as was held for.
    OutOfTime,
    /// The request's own time is over.
    Late,
    Cut,
}

pub(crate) struct Flow<'a> {
    pub(crate) thread: &'a Thread,
    reserved: &'a Reserved,
    pub(crate) source: Source,
    out: Rc<EventSender>,
    /// Events that leave with the next write.
    gathered: Gathered,
    pub(crate) facts: AnswerFacts,
    teller: Teller,
    /// Covers what the teller holds of the answer. `Err`: there was no memory, not even for a beginning.
    held: Result<MemoryGrant, MemoryError>,
    answer: Outgoing,
    first_byte: Option<Duration>,
    deadline: Option<Instant>,
    /// What of the answer another target could go on from.
    pub(crate) continuation: Continuation,
    masks: Option<Masks>,
}

pub(crate) async fn hand_on(
    thread: &Thread,
    reserved: &Reserved,
    admitted: Admitted,
    (head, source): (AnswerHead, Source),
    reply: Reply,
) {
    let accepted = &reserved.asked.accepted;
    let (out, events) = crate::body::events(thread.shared.memory.clone());
    let status = head.status.as_u16();
    // When nobody takes the reply, `out` is closed and the flow ends with its first look.
    let _ = reply.send(Ok(respond::stream(thread, reserved, (head, events), admitted)));
    let mut flow = Flow::start((thread, reserved), source, out);
    let end = loop {
        let end = flow.run().await;
        flow.end_attempt(&end);
        match resume(reserved, &mut flow, end).await {
            None => {}
            Some(end) => break end,
        }
    };
    let end = flow.end_masks(end).await;
    let cut = matches!(end, End::Full(_));
    if cut {
        flow.facts.finish_reason = Some("length".to_owned());
    }
    let (outcome, last, refusal) = flow.judge(end);
    let Flow { source, out, facts, mut teller, mut answer, first_byte, continuation, held: _held, .. } = flow;
    let last = last.map(|events| match outcome {
        // Also where an engine forgets to say that this was all.
        Outcome::Completed => teller.last_events(events),
        _ => teller.events(events),
    });
    answer.store(teller.take_stored());
    let facts = continuation.of_the_whole(facts);
    reserved.course.borrow().asked_for(facts.input_tokens);
    let ending = Ending {
        outcome,
        status,
        begun: true,
        facts,
        answer,
        last: last.clone(),
        first_byte,
        consumed: Consumed::SoFar,
        cut,
    };
    let settled = settle(thread, reserved, admitted.in_line(), ending).await;
    let (last, refusal) = match settled {
        Ok(_) => (last, refusal),
        // That the answer ended cannot be put on record, or its content not be kept, so the end is not sent.
        Err(unsettled) => (None, Some(unsettled)),
    };
    let refusal_event = refusal.map(|kind| {
        respond::note(&thread.shared.metrics, &kind, Some(accepted.request));
        teller.error(&kind.to_body(), kind.status().as_u16())
    });
    for event in last.into_iter().chain(refusal_event) {
        let _ = tokio::time::timeout(thread.shared.options().client_stall_timeout, out.send(event)).await;
    }
    drop(out);
    let Source { opened: Opened { mut incoming, .. }, .. } = source;
    if outcome == Outcome::Completed && !cut && ends_soon(&mut incoming).await {
        thread.pool.put_back(incoming.into_lease(), thread.shared.options().idle_upstream_max);
    }
}

/// Whether the answer's body ends where its events did: then the connection can carry another request.
async fn ends_soon(body: &mut EngineBody) -> bool {
    let tail = async {
        while let Some(frame) = body.frame().await {
            if frame.is_err() {
                return false;
            }
        }
        true
    };
    tokio::time::timeout(TAIL_PATIENCE, tail).await.unwrap_or(false)
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Resolves when the stream has to end for a reason that is not the engine's.
async fn interrupted(
    thread: &Thread,
    reserved: &Reserved,
    out: Rc<EventSender>,
    deadline: Option<Instant>,
) -> End {
    tokio::select! {
        biased;
        () = out.closed() => End::ClientLeft,
        () = reserved.tab.time_up(thread.shared.clock.monotonic()) => End::OutOfTime,
        () = until(deadline) => End::Late,
        () = thread.shared.cut.cancelled() => End::Cut,
    }
}

impl<'a> Flow<'a> {
    fn start((thread, reserved): (&'a Thread, &'a Reserved), source: Source, out: EventSender) -> Self {
        Self {
            thread,
            reserved,
            source,
            out: Rc::new(out),
            gathered: Gathered::default(),
            facts: AnswerFacts::default(),
            teller: reserved.asked.teller(),
            held: thread.shared.memory.grant(Purpose::Answer, 0),
            answer: Outgoing::start(thread, reserved.asked.accepted.request),
            first_byte: None,
            deadline: reserved.course.borrow().deadline,
            continuation: Continuation::of(reserved),
            masks: Masks::of(reserved.asked.guarded.as_deref(), reserved.asked.accepted.surface.call()),
        }
    }

    /// Memory for what has to be said again at the end of the stream.
    fn cover_held(&mut self) -> Result<(), CollectError> {
        let (held, cap) = (self.teller.held(), self.thread.shared.options().answer_bytes_max);
        if held > cap {
            return Err(CollectError::TooLarge { cap });
        }
        self.held
            .as_mut()
            .map_err(|error| *error)
            .and_then(|grant| grant.cover(held))
            .map_err(CollectError::Memory)
    }

    /// Hands events on until the stream ends, one way or another. Those that are there together leave together: a write
    /// for each would cost more than all the rest.
    async fn run(&mut self) -> End {
        let mut interrupted =
            pin!(interrupted(self.thread, self.reserved, Rc::clone(&self.out), self.deadline));
        let mut silence = Silence::begins(Instant::now());
        let mut alarm = pin!(sleep_until(silence.next(self.patience())));
        for event in std::mem::take(&mut self.source.opened.read) {
            if let Some(end) = self.hand_on_event(event).await {
                return self.leave(end).await;
            }
        }
        let mut begun = false;
        loop {
            // Behind the first event there may be more in the same piece.
            if let Some(end) = self.hand_on_events().await {
                return self.leave(end).await;
            }
            if self.has_begun() && !begun {
                // From now on it is another patience.
                begun = true;
                alarm.as_mut().reset(silence.next(self.patience()));
            }
            let frame = match self.frame_at_once().await {
                Some(frame) => frame,
                None => {
                    if let Err(end) = self.send_gathered().await {
                        return end;
                    }
                    tokio::select! {
                        biased;
                        frame = self.source.opened.incoming.frame() => frame,
                        end = interrupted.as_mut() => return end,
                        () = alarm.as_mut() => {
                            if let Err(end) = self.stay_silent(&mut silence).await {
                                return end;
                            }
                            alarm.as_mut().reset(silence.next(self.patience()));
                            continue;
                        }
                    }
                }
            };
            match frame {
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else { continue };
                    silence = Silence::begins(Instant::now());
                    self.source.opened.events.push(data);
                }
                Some(Err(_)) => return self.leave(End::Failed(CollectError::BrokenOff)).await,
                None => {
                    self.source.opened.events.end();
                    if let Some(end) = self.hand_on_events().await {
                        return self.leave(end).await;
                    }
                    let rest = self.rest();
                    return self.leave(End::Closed(rest)).await;
                }
            }
        }
    }

    /// How long the engine may be silent now, and after how long the client is told that it is still there.
    fn patience(&self) -> (Duration, Duration) {
        let Patience { first_token, idle } = self.source.timeouts;
        let patience = if self.first_byte.is_none() { first_token } else { idle };
        (patience, self.thread.shared.options().keep_alive_interval)
    }

    /// The engine has said nothing for some time: too long, or long enough to tell the client that it is still there.
    async fn stay_silent(&mut self, silence: &mut Silence) -> Result<(), End> {
        match silence.judge(Instant::now(), self.patience()) {
            Silent::Bearable => Ok(()),
            Silent::Noticeable => self.send(self.teller.keep_alive()).await,
            Silent::TooLong { after } => Err(End::Failed(CollectError::Silent { after })),
        }
    }

    /// What the engine has sent already.
    async fn frame_at_once(&mut self) -> Option<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut incoming = Pin::new(&mut self.source.opened.incoming);
        poll_fn(|cx| match incoming.as_mut().poll_frame(cx) {
            Poll::Ready(frame) => Poll::Ready(Some(frame)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    /// What was no whole event when the stream ended.
    fn rest(&mut self) -> Bytes {
        let none = EngineEvents::new(Dialect::default(), 0, 0);
        std::mem::replace(&mut self.source.opened.events, none).finish()
    }

    /// Hands on the events that are complete. `Some` when one of them ends the stream.
    async fn hand_on_events(&mut self) -> Option<End> {
        loop {
            let event = match self.source.opened.events.next_event() {
                Ok(Some(event)) => event,
                Ok(None) => return None,
                Err(too_large) => return Some(End::Failed(CollectError::TooLarge { cap: too_large.cap })),
            };
            if let Some(end) = self.hand_on_event(event).await {
                return Some(end);
            }
        }
    }

    async fn hand_on_event(&mut self, event: Event) -> Option<End> {
        match self.look_at(&event) {
            Look::HandOn => {
                let begins = self.first_byte.is_none() && event.data().is_some();
                let passed = self.continuation.pass(event)?;
                let passed = match self.guarded(passed) {
                    Ok(passed) => passed,
                    Err(refusal) => return Some(End::Guarded(refusal)),
                };
                let told = self.teller.events(passed);
                if !self.teller.is_verbatim()
                    && let Err(error) = self.cover_held()
                {
                    return Some(End::Failed(error));
                }
                if begins {
                    self.first_byte = Some(self.thread.shared.clock.monotonic());
                }
                if told.is_empty() {
                    return None;
                }
                self.answer.update(&told);
                self.gathered.add(told);
                if self.gathered.is_enough() { self.send_gathered().await.err() } else { None }
            }
            Look::KeepBack => None,
            Look::Done => Some(End::Done(event.raw)),
            Look::EngineError => Some(End::EngineError(event.raw)),
            Look::Full(end) => Some(End::Full(end)),
        }
    }

    /// What guardrails make of events.
    fn guarded(&mut self, events: Bytes) -> Result<Bytes, GuardRefusal> {
        match (&mut self.masks, &self.reserved.asked.guarded) {
            (Some(masks), Some(guarded)) => masks.pass(self.thread, guarded, events),
            _ => Ok(events),
        }
    }

    /// The answer is complete: what guardrails still hold of it leaves before the event that ends it. What ends it may be
    /// text itself.
    async fn end_masks(&mut self, end: End) -> End {
        let end = match end {
            End::EngineError(said) => self.guarded(said).map_or_else(End::Guarded, End::EngineError),
            // Of an answer that broke off the rest is not handed on.
            End::Closed(rest) if !rest.is_empty() && self.facts.finish_reason.is_some() => {
                self.guarded(rest).map_or_else(End::Guarded, End::Closed)
            }
            end => end,
        };
        let complete = match &end {
            End::Done(_) | End::Full(_) => true,
            End::Closed(_) => self.facts.finish_reason.is_some(),
            _ => false,
        };
        let (Some(masks), Some(guarded)) = (&mut self.masks, &self.reserved.asked.guarded) else {
            return end;
        };
        if !complete {
            return end;
        }
        match masks.rest(self.thread, guarded) {
            Ok(rest) if rest.is_empty() => end,
            Ok(rest) => {
                let told = self.teller.events(rest);
                self.answer.update(&told);
                self.gathered.add(told);
                self.leave(end).await
            }
            Err(refusal) => End::Guarded(refusal),
        }
    }

    /// The stream has ended: what was gathered leaves before its end is judged.
    async fn leave(&mut self, end: End) -> End {
        self.send_gathered().await.err().unwrap_or(end)
    }

    async fn send_gathered(&mut self) -> Result<(), End> {
        match self.gathered.take() {
            Some(events) => self.send(events).await,
            None => Ok(()),
        }
    }

    fn look_at(&mut self, event: &Event) -> Look {
        let Some(data) = event.data() else { return Look::HandOn };
        if data.as_ref() == b"[DONE]" {
            return Look::Done;
        }
        match self.facts.add_event(&data) {
            EventFacts::UsageReport if self.hides_usage() => Look::KeepBack,
            EventFacts::Content if !self.reserved.tab.admits_event(&data) => Look::Full(self.cut_like(&data)),
            EventFacts::UsageReport | EventFacts::Content => Look::HandOn,
            EventFacts::Error => Look::EngineError,
        }
    }

    /// The events that end the stream in place of one that would go beyond what was held.
    fn cut_like(&self, data: &[u8]) -> Bytes {
        let tab = &self.reserved.tab;
        let usage = (!self.hides_usage()).then(|| tab.usage_so_far(&self.facts));
        let call = self.reserved.asked.accepted.surface.call();
        Bytes::from(CutChunk::like(data).end(call, tab.answers().min(CUT_CHOICES_MAX), usage))
    }

    /// The caller did not ask how much was used. A surface that always says so is told.
    fn hides_usage(&self) -> bool {
        self.source.usage_is_ours && self.teller.is_verbatim()
    }

    async fn send(&self, bytes: Bytes) -> Result<(), End> {
        let bytes = match self.out.try_send(bytes) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Closed) => return Err(End::ClientLeft),
            Err(TrySendError::NotNow(bytes)) => bytes,
        };
        let patience = self.thread.shared.options().client_stall_timeout;
        tokio::select! {
            sent = tokio::time::timeout(patience, self.out.send(bytes)) => match sent {
                Ok(Ok(())) => Ok(()),
                Ok(Err(SendError::Closed)) | Err(_) => Err(End::ClientLeft),
                Ok(Err(SendError::Memory(error))) => Err(End::Failed(CollectError::Memory(error))),
            },
            () = self.thread.shared.cut.cancelled() => Err(End::Cut),
        }
    }

    /// Whether anything of an answer has left; comments are no part of it.
    pub(crate) fn has_begun(&self) -> bool {
        self.first_byte.is_some()
    }

    /// Resolves at the end of the request's time, if it has one.
    pub(crate) async fn time_is_up(&self) {
        until(self.deadline).await;
    }

    /// Resolves when nobody takes the answer any more.
    pub(crate) async fn client_left(&self) {
        self.out.closed().await;
    }

    /// What the end says about the attempt and its target.
    fn end_attempt(&mut self, end: &End) {
        let (outcome, ended) = match end {
            End::Done(_) | End::Full(_) => (AttemptOutcome::Answered, Ended::Well),
            End::Closed(_) if self.facts.finish_reason.is_some() => (AttemptOutcome::Answered, Ended::Well),
            End::Closed(_) | End::Failed(CollectError::BrokenOff) => {
                (AttemptOutcome::BrokenOff, Ended::Fault)
            }
            End::EngineError(_) => (AttemptOutcome::Failed, Ended::Fault),
            End::Failed(CollectError::Silent { .. } | CollectError::Slow { .. }) => {
                (AttemptOutcome::Silent, Ended::Fault)
            }
            End::Failed(CollectError::Memory(_)) => (AttemptOutcome::Abandoned, Ended::Unknown),
            End::Failed(CollectError::TooLarge { .. }) => (AttemptOutcome::Malformed, Ended::Fault),
            End::ClientLeft | End::Cut | End::Guarded(_) => (AttemptOutcome::Abandoned, Ended::Unknown),
            End::OutOfTime | End::Late => (AttemptOutcome::Silent, Ended::Unknown),
        };
        self.source.attempt.used(self.continuation.attempt_usage(usage(&self.facts)));
        self.source.attempt.end(outcome, ended);
    }

    /// What to record, what of the engine's bytes is still to be sent, and what to tell the client after them.
    fn judge(&self, end: End) -> (Outcome, Option<Bytes>, Option<RefusalKind>) {
        match end {
            End::Done(last) => (Outcome::Completed, Some(last), None),
            // An engine that says why it stopped has finished, also when it forgets `[DONE]`.
            End::Closed(rest) if self.facts.finish_reason.is_some() => (Outcome::Completed, Some(rest), None),
            End::Closed(_) => {
                (Outcome::EngineFailed, None, Some(RefusalKind::Answer(CollectError::BrokenOff)))
            }
            End::Full(end) => (Outcome::Completed, Some(end), None),
            End::EngineError(event) => (Outcome::EngineFailed, Some(event), None),
            End::Failed(error) => (error.outcome(), None, Some(RefusalKind::Answer(error))),
            End::Guarded(refusal) => (Outcome::Withheld, None, Some(RefusalKind::Guard(refusal))),
            End::ClientLeft => (Outcome::ClientLeft, None, None),
            End::Cut => (Outcome::EngineFailed, None, Some(RefusalKind::Draining)),
            End::OutOfTime => {
                let after = self.thread.shared.options().engine_time_max;
                (Outcome::EngineFailed, None, Some(RefusalKind::EngineTime { after }))
            }
            End::Late => {
                let total = self.reserved.route.plan.rules.total.unwrap_or_default();
                (Outcome::EngineFailed, None, Some(RefusalKind::Call(CallError::OutOfTime { total })))
            }
        }
    }
}

enum Look {
    HandOn,
    KeepBack,
    Done,
    EngineError,
    Full(Bytes),
}
