//! Continuous batching: one thread, one context, a sequence per slot.
//!
//! Each step decodes one batch: the next token of every answering sequence, then as much of the waiting prompts as
//! fits. A long prompt is read in pieces so that answers beside it keep flowing.

use crate::error::StepError;
use crate::generate::{Event, Load};
use crate::model::Loaded;
use crate::sequence::{Sequence, Turn};
use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::llama_batch::LlamaBatch;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};

/// Prompt tokens read in one step while others are answering. Larger reads prompts faster and makes answers stutter.
const PROMPT_BESIDE_ANSWERS: usize = 128;

/// Sequences in slots and waiting, readable from outside the thread.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    /// Accepted and not ended: the one number admission looks at.
    held: AtomicUsize,
    active: AtomicUsize,
}

impl Gauges {
    pub(crate) fn load(&self) -> Load {
        let active = self.active.load(Ordering::SeqCst);
        Load { active, waiting: self.held.load(Ordering::SeqCst).saturating_sub(active) }
    }

    /// Takes `wanted` places if no more than `most` sequences are then held; else says how many are.
    pub(crate) fn reserve(&self, wanted: usize, most: usize) -> Result<(), usize> {
        let update = |held: usize| (held + wanted <= most).then_some(held + wanted);
        self.held.fetch_update(Ordering::SeqCst, Ordering::SeqCst, update).map(drop)
    }

    pub(crate) fn give_back(&self, places: usize) {
        self.held.fetch_sub(places, Ordering::SeqCst);
    }
}

/// What the thread works on.
pub(crate) struct Scheduler<'m> {
    pub(crate) loaded: &'m Loaded,
    pub(crate) context: LlamaContext<'m>,
    pub(crate) batch: LlamaBatch<'static>,
    pub(crate) batch_max: usize,
    pub(crate) jobs: Receiver<Vec<Sequence>>,
    pub(crate) gauges: Arc<Gauges>,
    pub(crate) slots: Vec<Option<Sequence>>,
    pub(crate) waiting: VecDeque<Sequence>,
}

impl Scheduler<'_> {
    /// Runs until every handle to the engine is gone and the last answer is given.
    pub(crate) fn run(mut self) {
        loop {
            let open = self.receive();
            self.forget_abandoned();
            self.fill_slots();
            if self.slots.iter().all(Option::is_none) {
                if open {
                    continue;
                }
                return;
            }
            self.step();
        }
    }

    /// Takes in new requests; waits for one when there is nothing to do. False when none can come any more.
    fn receive(&mut self) -> bool {
        let idle = self.waiting.is_empty() && self.slots.iter().all(Option::is_none);
        if idle {
            match self.jobs.recv() {
                Ok(job) => self.waiting.extend(job),
                Err(_) => return false,
            }
        }
        loop {
            match self.jobs.try_recv() {
                Ok(job) => self.waiting.extend(job),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn forget_abandoned(&mut self) {
        let before = self.waiting.len();
        self.waiting.retain(|sequence| !sequence.abandoned());
        self.gauges.give_back(before - self.waiting.len());
        for slot in 0..self.slots.len() {
            if self.slots.get(slot).and_then(Option::as_ref).is_some_and(Sequence::abandoned) {
                self.free(slot);
            }
        }
    }

    fn fill_slots(&mut self) {
        for slot in self.slots.iter_mut().filter(|slot| slot.is_none()) {
            let Some(sequence) = self.waiting.pop_front() else { return };
            self.gauges.active.fetch_add(1, Ordering::SeqCst);
            *slot = Some(sequence);
        }
    }

    fn free(&mut self, slot: usize) {
        if let Some(place) = self.slots.get_mut(slot)
            && place.take().is_some()
        {
            self.gauges.active.fetch_sub(1, Ordering::SeqCst);
            self.gauges.give_back(1);
            let id = u32::try_from(slot).ok();
            if let Err(error) = self.context.clear_kv_cache_seq(id, None, None) {
                tracing::warn!(slot, %error, "a slot's memory could not be cleared");
            }
        }
    }

    fn end(&mut self, slot: usize, event: Event) {
        let events = self.slots.get(slot).and_then(Option::as_ref).map(|sequence| sequence.events.clone());
        self.free(slot);
        if let Some(events) = events {
            // Nobody listening is the caller's choice.
            let _ = events.send(event);
        }
    }

    fn step(&mut self) {
        match self.fill_batch().and_then(|outputs| self.decode().map(|()| outputs)) {
            Ok(outputs) => {
                for (slot, row) in outputs {
                    let logits = self.context.get_logits_ith(row);
                    let Some(Some(sequence)) = self.slots.get_mut(slot) else { continue };
                    if let Turn::Ended(event) = sequence.advance(self.loaded, logits) {
                        self.end(slot, event);
                    }
                }
            }
            Err(error) => self.fail_all(&error),
        }
    }

    /// Fills the batch. Returns which slot's next token is chosen from which row.
    fn fill_batch(&mut self) -> Result<Vec<(usize, i32)>, StepError> {
        self.batch.clear();
        let mut outputs = Vec::new();
        let full = |batch: &LlamaBatch<'_>| StepError::Decode {
            tokens: usize::try_from(batch.n_tokens()).unwrap_or(0),
            reason: "the batch is full".to_owned(),
        };
        for (slot, sequence) in self.slots.iter_mut().enumerate() {
            let Some(sequence) = sequence else { continue };
            let Some(token) = sequence.next.take() else { continue };
            outputs.push((slot, self.batch.n_tokens()));
            let id = i32::try_from(slot).unwrap_or(0);
            self.batch.add(token, sequence.position, &[id], true).map_err(|_| full(&self.batch))?;
            sequence.position += 1;
        }
        let answering = outputs.len();
        let mut room = self.batch_max.saturating_sub(answering);
        if answering > 0 {
            room = room.min(PROMPT_BESIDE_ANSWERS);
        }
        for (slot, sequence) in self.slots.iter_mut().enumerate() {
            let Some(sequence) = sequence else { continue };
            let piece = sequence.prompt.get(sequence.read..).unwrap_or(&[]);
            let piece = piece.get(..room.min(piece.len())).unwrap_or(piece);
            let id = i32::try_from(slot).unwrap_or(0);
            for token in piece {
                sequence.read += 1;
                let last = sequence.read == sequence.prompt.len();
                if last {
                    outputs.push((slot, self.batch.n_tokens()));
                }
                self.batch.add(*token, sequence.position, &[id], last).map_err(|_| full(&self.batch))?;
                sequence.position += 1;
            }
            room -= piece.len();
        }
        Ok(outputs)
    }

    fn decode(&mut self) -> Result<(), StepError> {
        let tokens = usize::try_from(self.batch.n_tokens()).unwrap_or(0);
        let failed =
            |error: llama_cpp_2::DecodeError| StepError::Decode { tokens, reason: error.to_string() };
        self.context.decode(&mut self.batch).map_err(failed)
    }

    /// After a failed decode nobody knows whose memory is whole: every sequence is told, and all memory is cleared.
    fn fail_all(&mut self, error: &StepError) {
        tracing::error!(%error, "a decode failed; every running request is ended");
        for slot in 0..self.slots.len() {
            if let Some(Some(sequence)) = self.slots.get(slot) {
                let event = sequence.failure(error.clone());
                self.end(slot, event);
            }
        }
        self.context.clear_kv_cache();
    }
}
