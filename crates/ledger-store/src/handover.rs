//! What the writer has made durable, on its way to the publisher. Bounded in bytes and not in batches: a batch is four
//! megabytes when many wait and one record when one does, and the publisher is away for tenths of a second when it
//! makes a segment's tiles durable. Meanwhile the writer goes on, and nobody who waits for a record notices.

use crate::publisher::Message;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What a record takes besides its own bytes, about: its leaf, its lengths, its place in a batch.
const RECORD_OVERHEAD: usize = 64;
const MESSAGE_OVERHEAD: usize = 1024;

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Message>,
    bytes: usize,
    sender_gone: bool,
    receiver_gone: bool,
}

#[derive(Debug, Default)]
struct Channel {
    state: Mutex<State>,
    arrived: Condvar,
    room: Condvar,
    bytes_max: usize,
}

/// The writer's end.
#[derive(Debug)]
pub(crate) struct Sender(Arc<Channel>);

/// The publisher's end.
#[derive(Debug)]
pub(crate) struct Receiver(Arc<Channel>);

/// The other end has ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Gone;

/// Why nothing was received.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Nothing {
    Yet,
    Anymore,
}

pub(crate) fn handover(bytes_max: usize) -> (Sender, Receiver) {
    let channel = Arc::new(Channel { bytes_max, ..Channel::default() });
    (Sender(Arc::clone(&channel)), Receiver(channel))
}

fn bytes(message: &Message) -> usize {
    match message {
        Message::Batch { entries, .. } => {
            let records = entries.iter().map(|entry| entry.record.len() + RECORD_OVERHEAD);
            MESSAGE_OVERHEAD + records.sum::<usize>()
        }
        Message::Checkpoint(_) | Message::Rotated => MESSAGE_OVERHEAD,
    }
}

impl Channel {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No statement under the lock leaves the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sender {
    /// Waits while there is no room, which there always is when nothing waits.
    pub(crate) fn send(&self, message: Message) -> Result<(), Gone> {
        let Self(channel) = self;
        let bytes = bytes(&message);
        let full = |state: &mut State| {
            !state.receiver_gone && !state.waiting.is_empty() && state.bytes + bytes > channel.bytes_max
        };
        let mut state = channel.room.wait_while(channel.lock(), full).unwrap_or_else(PoisonError::into_inner);
        if state.receiver_gone {
            return Err(Gone);
        }
        state.bytes += bytes;
        state.waiting.push_back(message);
        let first = state.waiting.len() == 1;
        drop(state);
        if first {
            channel.arrived.notify_one();
        }
        Ok(())
    }
}

impl Receiver {
    /// The next message, waited for at most so long.
    pub(crate) fn receive(&self, patience: Duration) -> Result<Message, Nothing> {
        let Self(channel) = self;
        let nothing = |state: &mut State| state.waiting.is_empty() && !state.sender_gone;
        let waited = channel.arrived.wait_timeout_while(channel.lock(), patience, nothing);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        let Some(message) = state.waiting.pop_front() else {
            return Err(if state.sender_gone { Nothing::Anymore } else { Nothing::Yet });
        };
        state.bytes -= bytes(&message);
        drop(state);
        channel.room.notify_one();
        Ok(message)
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.0.lock().sender_gone = true;
        self.0.arrived.notify_one();
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.receiver_gone = true;
        // Whoever waits for one of these is told, by the end of its channel.
        state.waiting.clear();
        state.bytes = 0;
        drop(state);
        self.0.room.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::Entry;
    use hermetic_ledger::{Frontier, TreeHash};

    const LONG: Duration = Duration::from_secs(60);

    fn batch(bytes: usize) -> Message {
        let record = vec![b'x'; bytes];
        let leaf = TreeHash::leaf(&record);
        Message::Batch { entries: vec![Entry { record, leaf }], frontier: Frontier::new() }
    }

    fn length(message: &Message) -> usize {
        match message {
            Message::Batch { entries, .. } => entries.iter().map(|entry| entry.record.len()).sum(),
            Message::Checkpoint(_) | Message::Rotated => 0,
        }
    }

    #[test]
    fn many_small_batches_do_not_stop_the_writer_and_keep_their_order() {
        let (sender, receiver) = handover(1 << 20);
        for bytes in 1..=500 {
            assert_eq!(sender.send(batch(bytes)), Ok(()));
        }
        for bytes in 1..=500 {
            assert_eq!(receiver.receive(LONG).map(|message| length(&message)).unwrap(), bytes);
        }
    }

    #[test]
    fn the_writer_waits_when_the_bytes_are_full_and_goes_on_when_some_were_taken() {
        let (sender, receiver) = handover(10_000);
        assert_eq!(sender.send(batch(50_000)), Ok(()), "what is larger than all the room goes alone");
        let waiting = std::thread::spawn(move || sender.send(batch(1)));
        assert_eq!(length(&receiver.receive(LONG).unwrap()), 50_000);
        assert_eq!(length(&receiver.receive(LONG).unwrap()), 1);
        assert_eq!(waiting.join().unwrap(), Ok(()));
        assert_eq!(receiver.receive(LONG).unwrap_err(), Nothing::Anymore);
    }

    #[test]
    fn what_was_sent_is_received_after_the_sender_has_ended() {
        let (sender, receiver) = handover(10_000);
        assert_eq!(sender.send(batch(3)), Ok(()));
        drop(sender);
        assert_eq!(length(&receiver.receive(LONG).unwrap()), 3);
        assert_eq!(receiver.receive(LONG).unwrap_err(), Nothing::Anymore);
    }

    #[test]
    fn a_writer_that_waits_is_told_when_the_publisher_ends() {
        let (sender, receiver) = handover(1000);
        assert_eq!(sender.send(batch(5000)), Ok(()));
        let waiting = std::thread::spawn(move || sender.send(batch(1)));
        drop(receiver);
        assert_eq!(waiting.join().unwrap(), Err(Gone));
    }

    #[test]
    fn nothing_yet_is_not_nothing_any_more() {
        let (_sender, receiver) = handover(1000);
        assert_eq!(receiver.receive(Duration::ZERO).unwrap_err(), Nothing::Yet);
    }
}
