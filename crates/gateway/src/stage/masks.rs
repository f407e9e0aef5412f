//! The guardrails of a streamed answer: every text in it goes through a redactor of its own, and what is held back leaves
//! with a later event of the same text, or in an event of its own before the text ends.

use crate::context::Thread;
use crate::guarding::Direction;
use crate::stage::guard::{GuardRefusal, Guarded, note, writing};
use bytes::Bytes;
use hermetic_guard::{Plan, Redactor, View, Writing, redact};
use hermetic_inference_api::{Call, CutChunk, Event, EventText, Lane, SpanKind, lane_event, replace_places};
use std::ops::Range;
use std::sync::Arc;

/// Texts of one stream at most: choices times fields, calls and their arguments.
const LANES_MAX: usize = 1_024;

/// Guards one streamed answer.
pub(crate) struct Masks {
    plan: Arc<Plan>,
    call: Call,
    /// In the order in which they began.
    lanes: Vec<Open>,
    like: CutChunk,
}

/// A text that has begun.
struct Open {
    lane: Lane,
    redactor: Redactor,
    ended: bool,
}

type Edits = Vec<(Range<usize>, Vec<u8>)>;

impl Masks {
    pub(crate) fn of(guarded: Option<&Guarded>, call: Call) -> Option<Self> {
        let plan = Arc::clone(guarded?.output.as_ref()?);
        Some(Self { plan, call, lanes: Vec::new(), like: CutChunk::default() })
    }

    /// An event as it may leave, with what has to leave before it.
    pub(crate) fn pass(
        &mut self,
        thread: &Thread,
        guarded: &Guarded,
        raw: Bytes,
    ) -> Result<Bytes, GuardRefusal> {
        let event = Event { raw };
        let Some(data) = event.data().filter(|data| data.as_ref() != b"[DONE]") else { return Ok(event.raw) };
        let text = EventText::of(&data).map_err(|_| GuardRefusal::Answer)?;
        if self.lanes.is_empty() {
            self.like = CutChunk::like(&data);
        }
        let mut before = Vec::new();
        let mut edits = Edits::new();
        self.whole(thread, guarded, (&data, &text), &mut edits)?;
        for piece in &text.pieces {
            let written = data.get(piece.place.clone()).unwrap_or_default();
            let ends = text.finished.contains(&piece.lane.choice);
            // Some engines say nothing on every lane in every event.
            if written.is_empty() && !ends {
                continue;
            }
            if !written.is_empty() {
                self.end_others(thread, guarded, &piece.lane, &mut before)?;
            }
            let told = self.piece(thread, guarded, (&piece.lane, written), ends)?;
            if told != written {
                edits.push((piece.place.clone(), told));
            }
        }
        for choice in &text.finished {
            self.end_choice(thread, guarded, *choice, &mut before)?;
        }
        if before.is_empty() && edits.is_empty() {
            return Ok(event.raw);
        }
        edits.sort_by_key(|(place, _)| place.start);
        let edited = replace_places(&data, &edits);
        before.extend_from_slice(b"data: ");
        before.extend_from_slice(&edited);
        before.extend_from_slice(b"\n\n");
        Ok(Bytes::from(before))
    }

    /// What is still held of texts whose end nobody told.
    pub(crate) fn rest(&mut self, thread: &Thread, guarded: &Guarded) -> Result<Bytes, GuardRefusal> {
        let mut before = Vec::new();
        for at in 0..self.lanes.len() {
            self.end(thread, guarded, at, &mut before)?;
        }
        Ok(Bytes::from(before))
    }

    /// Names, ids and whatever else is said at once.
    fn whole(
        &self,
        thread: &Thread,
        guarded: &Guarded,
        (data, text): (&[u8], &EventText),
        edits: &mut Edits,
    ) -> Result<(), GuardRefusal> {
        for span in &text.whole {
            let view = View::of(Writing::Json, data.get(span.place.clone()).unwrap_or_default());
            let redaction = thread.scratch(&self.plan, |scratch| redact(&self.plan, scratch, &view));
            self.told(thread, guarded, span.kind, redaction.verdicts)?;
            if let Some(text) = redaction.text {
                edits.push((span.place.clone(), text));
            }
        }
        Ok(())
    }

    fn piece(
        &mut self,
        thread: &Thread,
        guarded: &Guarded,
        (lane, written): (&Lane, &[u8]),
        ends: bool,
    ) -> Result<Vec<u8>, GuardRefusal> {
        let at = match self.lanes.iter().position(|open| open.lane == *lane) {
            Some(at) => at,
            None if self.lanes.len() < LANES_MAX => {
                let redactor = Redactor::new(writing(lane.written));
                self.lanes.push(Open { lane: lane.clone(), redactor, ended: false });
                self.lanes.len() - 1
            }
            None => return Err(GuardRefusal::Answer),
        };
        let plan = Arc::clone(&self.plan);
        let Some(open) = self.lanes.get_mut(at) else { return Err(GuardRefusal::Answer) };
        if open.ended {
            // What was held of it has left, so what comes now can no longer be judged together with it.
            return if written.is_empty() { Ok(Vec::new()) } else { Err(GuardRefusal::Answer) };
        }
        let mut told = thread.scratch(&plan, |scratch| open.redactor.push(&plan, scratch, written));
        if ends {
            told.extend(thread.scratch(&plan, |scratch| open.redactor.end(&plan, scratch)));
            open.ended = true;
        }
        let verdicts = open.redactor.take_verdicts();
        self.told(thread, guarded, lane.kind, verdicts)?;
        Ok(told)
    }

    /// Texts of a choice come one after the other: where another begins, those before it are complete.
    fn end_others(
        &mut self,
        thread: &Thread,
        guarded: &Guarded,
        lane: &Lane,
        before: &mut Vec<u8>,
    ) -> Result<(), GuardRefusal> {
        let others =
            |open: &Open| open.lane.choice == lane.choice && open.lane != *lane && open.redactor.held() > 0;
        let others: Vec<usize> =
            self.lanes.iter().enumerate().filter(|(_, open)| others(open)).map(|(at, _)| at).collect();
        others.into_iter().try_for_each(|at| self.end(thread, guarded, at, before))
    }

    fn end_choice(
        &mut self,
        thread: &Thread,
        guarded: &Guarded,
        choice: u64,
        before: &mut Vec<u8>,
    ) -> Result<(), GuardRefusal> {
        let of_choice = self.lanes.iter().enumerate().filter(|(_, open)| open.lane.choice == choice);
        let of_choice: Vec<usize> = of_choice.map(|(at, _)| at).collect();
        of_choice.into_iter().try_for_each(|at| self.end(thread, guarded, at, before))
    }

    /// Ends a text: what was held of it is said in an event of its own.
    fn end(
        &mut self,
        thread: &Thread,
        guarded: &Guarded,
        at: usize,
        before: &mut Vec<u8>,
    ) -> Result<(), GuardRefusal> {
        let plan = Arc::clone(&self.plan);
        let Some(open) = self.lanes.get_mut(at).filter(|open| !open.ended) else { return Ok(()) };
        open.ended = true;
        let told = thread.scratch(&plan, |scratch| open.redactor.end(&plan, scratch));
        let verdicts = open.redactor.take_verdicts();
        if !told.is_empty() {
            before.extend(lane_event(&self.like, self.call, &open.lane, &told));
        }
        let kind = open.lane.kind;
        self.told(thread, guarded, kind, verdicts)
    }

    /// Puts verdicts where they belong. `Err`: one of them ends the answer.
    fn told(
        &self,
        thread: &Thread,
        guarded: &Guarded,
        kind: SpanKind,
        verdicts: Vec<hermetic_guard::Verdict>,
    ) -> Result<(), GuardRefusal> {
        if verdicts.is_empty() {
            return Ok(());
        }
        let found = (Direction::Output, vec![(kind, verdicts)]);
        match note(thread, &self.plan, found, &mut guarded.verdicts.borrow_mut()) {
            Some((rule, _)) => Err(GuardRefusal::Output { rule }),
            None => Ok(()),
        }
    }
}
