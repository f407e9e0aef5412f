//! A streamed answer: events are handed on as they come, byte for byte; the one that ends the stream is held back
//! until the settling record is durable.

use crate::capture::Outgoing;
use crate::collect::CollectError;
use crate::context::Thread;
use crate::refusal::RefusalKind;
use crate::respond;
use crate::stage::admit::Admitted;
use crate::stage::call::Answer;
use crate::stage::exchange::Reply;
use crate::stage::limit::Reserved;
use crate::stage::settle::{Ending, settle};
use crate::tab::Consumed;
use bytes::Bytes;
use hermetic_inference_api::{AnswerFacts, CutChunk, Event, EventFacts, EventScanner};
use hermetic_ledger::record::Outcome;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::time::Duration;
use tokio::sync::mpsc;

/// Events between the engine and a slow client. When they are full the engine is no longer read, and its own socket
/// slows it down.
const EVENTS_IN_FLIGHT: usize = 64;

/// A comment, which every reader of server-sent events skips.
const KEEP_ALIVE: Bytes = Bytes::from_static(b": keep-alive\n\n");

/// Answers that are told one by one that they were cut. The OpenAI API allows as many in one request.
const CUT_CHOICES_MAX: u64 = 128;

/// How long to wait for the end of an answer whose `[DONE]` was seen, before the connection is closed instead of kept.
const TAIL_PATIENCE: Duration = Duration::from_secs(1);

pub(crate) fn is_stream(answer: &Answer) -> bool {
    let event_stream =
        answer.content_type.as_ref().is_some_and(|t| t.as_bytes().starts_with(b"text/event-stream"));
    answer.status.is_success() && event_stream
}

/// How a stream ended.
enum End {
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
    OutOfTime,
    Cut,
}

struct Flow<'a> {
    thread: &'a Thread,
    reserved: &'a Reserved,
    body: Incoming,
    out: mpsc::Sender<Bytes>,
    scanner: EventScanner,
    facts: AnswerFacts,
    answer: Outgoing,
    first_byte: Option<Duration>,
    usage_is_ours: bool,
}

pub(crate) async fn hand_on(
    thread: &Thread,
    reserved: &Reserved,
    admitted: Admitted,
    answer: Answer,
    reply: Reply,
) {
    let accepted = &reserved.asked.accepted;
    let (out, events) = mpsc::channel(EVENTS_IN_FLIGHT);
    let usage_is_ours = answer.usage_is_ours;
    let (head, body, lease) = answer.into_stream();
    let status = head.status.as_u16();
    // When nobody takes the reply, `out` is closed and the flow ends with its first look.
    let _ = reply.send(Ok(respond::stream(reserved, head, events, admitted)));
    let mut flow = Flow {
        thread,
        reserved,
        body,
        out,
        scanner: EventScanner::new(thread.shared.options.event_bytes_max),
        facts: AnswerFacts::default(),
        answer: Outgoing::start(thread, accepted.request),
        first_byte: None,
        usage_is_ours,
    };
    let end = flow.run().await;
    let cut = matches!(end, End::Full(_));
    if cut {
        flow.facts.finish_reason = Some("length".to_owned());
    }
    let (outcome, last, refusal) = flow.judge(end);
    let Flow { mut body, out, facts, answer, first_byte, .. } = flow;
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
    let settled = settle(thread, reserved, admitted, ending).await;
    let (last, refusal) = match settled {
        Ok(_) => (last, refusal),
        // That the answer ended cannot be put on record, or its content not be kept, so the end is not sent.
        Err(unsettled) => (None, Some(unsettled)),
    };
    let refusal_event = refusal.map(|kind| {
        respond::note(&thread.shared.metrics, &kind, Some(accepted.request));
        kind.to_event()
    });
    for event in last.into_iter().chain(refusal_event) {
        let _ = tokio::time::timeout(thread.shared.options.client_stall_timeout, out.send(event)).await;
    }
    drop(out);
    if outcome == Outcome::Completed && !cut && ends_soon(&mut body).await {
        thread.pool.put_back(lease, thread.shared.options.idle_upstream_max);
    }
}

/// Whether the answer's body ends where its events did: then the connection can carry another request.
async fn ends_soon(body: &mut Incoming) -> bool {
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

impl Flow<'_> {
    /// Hands events on until the stream ends, one way or another.
    async fn run(&mut self) -> End {
        let options = &self.thread.shared.options;
        let mut silent = Duration::ZERO;
        loop {
            match tokio::time::timeout(options.keep_alive_interval, self.next_piece()).await {
                Ok(Piece::Data(data)) => {
                    silent = Duration::ZERO;
                    self.scanner.push(data);
                    if let Some(end) = self.hand_on_events().await {
                        return end;
                    }
                }
                Ok(Piece::End(end)) => return end,
                Err(_) => {
                    silent += options.keep_alive_interval;
                    if silent >= options.engine_timeout {
                        return End::Failed(CollectError::Silent { after: silent });
                    }
                    if let Err(end) = self.send(KEEP_ALIVE).await {
                        return end;
                    }
                }
            }
        }
    }

    async fn next_piece(&mut self) -> Piece {
        loop {
            let frame = tokio::select! {
                biased;
                frame = self.body.frame() => frame,
                () = self.out.closed() => return Piece::End(End::ClientLeft),
                () = self.reserved.tab.time_up(self.thread.shared.clock.monotonic()) => return Piece::End(End::OutOfTime),
                () = self.thread.shared.cut.cancelled() => return Piece::End(End::Cut),
            };
            match frame {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => return Piece::Data(data),
                    Err(_trailers) => {}
                },
                Some(Err(_)) => return Piece::End(End::Failed(CollectError::BrokenOff)),
                None => {
                    let cap = self.thread.shared.options.event_bytes_max;
                    let scanner = std::mem::replace(&mut self.scanner, EventScanner::new(cap));
                    let rest = scanner.finish().map(|event| event.raw).unwrap_or_default();
                    return Piece::End(End::Closed(rest));
                }
            }
        }
    }

    /// Hands on the events that are complete. `Some` when one of them ends the stream.
    async fn hand_on_events(&mut self) -> Option<End> {
        loop {
            let event = match self.scanner.next_event() {
                Ok(Some(event)) => event,
                Ok(None) => return None,
                Err(too_large) => return Some(End::Failed(CollectError::TooLarge { cap: too_large.cap })),
            };
            match self.look_at(&event) {
                Look::HandOn => {
                    self.first_byte.get_or_insert_with(|| self.thread.shared.clock.monotonic());
                    self.answer.update(&event.raw);
                    if let Err(end) = self.send(event.raw).await {
                        return Some(end);
                    }
                }
                Look::KeepBack => {}
                Look::Done => return Some(End::Done(event.raw)),
                Look::EngineError => return Some(End::EngineError(event.raw)),
                Look::Full(end) => return Some(End::Full(end)),
            }
        }
    }

    fn look_at(&mut self, event: &Event) -> Look {
        let Some(data) = event.data() else { return Look::HandOn };
        if data.as_ref() == b"[DONE]" {
            return Look::Done;
        }
        match self.facts.add_event(&data) {
            EventFacts::UsageReport if self.usage_is_ours => Look::KeepBack,
            EventFacts::Content if !self.reserved.tab.admits_event(&data) => Look::Full(self.cut_like(&data)),
            EventFacts::UsageReport | EventFacts::Content => Look::HandOn,
            EventFacts::Error => Look::EngineError,
        }
    }

    /// The events that end the stream in place of one that would go beyond what was held.
    fn cut_like(&self, data: &[u8]) -> Bytes {
        let tab = &self.reserved.tab;
        let usage = (!self.usage_is_ours).then(|| tab.usage_so_far(&self.facts));
        let surface = self.reserved.asked.accepted.surface;
        Bytes::from(CutChunk::like(data).end(surface, tab.answers().min(CUT_CHOICES_MAX), usage))
    }

    async fn send(&self, bytes: Bytes) -> Result<(), End> {
        let bytes = match self.out.try_send(bytes) {
            Ok(()) => return Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(End::ClientLeft),
            Err(mpsc::error::TrySendError::Full(bytes)) => bytes,
        };
        tokio::select! {
            sent = tokio::time::timeout(self.thread.shared.options.client_stall_timeout, self.out.send(bytes)) => match sent {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) | Err(_) => Err(End::ClientLeft),
            },
            () = self.thread.shared.cut.cancelled() => Err(End::Cut),
        }
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
            End::Failed(error) => (Outcome::EngineFailed, None, Some(RefusalKind::Answer(error))),
            End::ClientLeft => (Outcome::ClientLeft, None, None),
            End::OutOfTime => {
                let after = self.thread.shared.options.engine_time_max;
                (Outcome::EngineFailed, None, Some(RefusalKind::EngineTime { after }))
            }
            End::Cut => (Outcome::EngineFailed, None, Some(RefusalKind::Draining)),
        }
    }
}

enum Piece {
    Data(Bytes),
    End(End),
}

enum Look {
    HandOn,
    KeepBack,
    Done,
    EngineError,
    Full(Bytes),
}
