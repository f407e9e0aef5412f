//! The connections of one thread, and how many there are from each address.
//!
//! When no more connections are allowed, the one that has waited longest for its next request makes room: an idle client
//! opens another when it needs one, while a new caller turned away has nothing.

use crate::client_io::Unread;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};
use tokio::sync::Notify;

/// One open connection, as its requests and its thread see it.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    /// A request is being answered.
    busy: Cell<bool>,
    /// Made room for another; it ends when nothing is being answered.
    leaving: Cell<bool>,
    /// When it was last answered, or opened, in the order of the thread's turns.
    since: Cell<u64>,
    close: Notify,
    pub(crate) unread: Unread,
}

/// The open connections of one thread.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    open: RefCell<HashMap<u64, Rc<Standing>>>,
    /// Counts openings and endings of requests; puts idle connections in order without a clock.
    turns: Rc<Cell<u64>>,
}

/// A connection while it is open: dropped, it is not.
#[derive(Debug)]
pub(crate) struct Open<'a> {
    connections: &'a Connections,
    id: u64,
    pub(crate) standing: Rc<Standing>,
}

/// A request while it is being answered.
#[derive(Debug)]
pub(crate) struct Busy {
    standing: Rc<Standing>,
    turns: Rc<Cell<u64>>,
}

fn next(turns: &Cell<u64>) -> u64 {
    let turn = turns.get() + 1;
    turns.set(turn);
    turn
}

impl Connections {
    pub(crate) fn open(&self) -> Open<'_> {
        let id = next(&self.turns);
        let standing = Rc::new(Standing { since: Cell::new(id), ..Standing::default() });
        self.open.borrow_mut().insert(id, Rc::clone(&standing));
        Open { connections: self, id, standing }
    }

    /// Asks the connection that has been idle longest to go. `false`: all of this thread's are busy or going already.
    pub(crate) fn make_room(&self) -> bool {
        let open = self.open.borrow();
        let idle = open.values().filter(|standing| !standing.busy.get() && !standing.leaving.get());
        let Some(oldest) = idle.min_by_key(|standing| standing.since.get()) else { return false };
        oldest.leaving.set(true);
        oldest.close.notify_one();
        true
    }

    pub(crate) fn begin(&self, standing: &Rc<Standing>) -> Busy {
        standing.busy.set(true);
        Busy { standing: Rc::clone(standing), turns: Rc::clone(&self.turns) }
    }
}

impl Standing {
    /// Resolves when the connection is to end: asked to make room, and answering nothing.
    pub(crate) async fn asked_to_close(&self) {
        loop {
            self.close.notified().await;
            if !self.busy.get() {
                return;
            }
        }
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.get()
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.standing.busy.set(false);
        self.standing.since.set(next(&self.turns));
        if self.standing.leaving.get() {
            self.standing.close.notify_one();
        }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.connections.open.borrow_mut().remove(&self.id);
    }
}

/// Open connections by address, for all threads. Locked once when a connection opens and once when it ends, and not at
/// all where no cap is set.
#[derive(Debug, Default)]
pub(crate) struct PerAddress(Mutex<HashMap<IpAddr, usize>>);

/// One connection counted for its address.
#[derive(Debug)]
pub(crate) struct Counted<'a> {
    addresses: &'a PerAddress,
    /// `None`: there was no cap when it opened.
    address: Option<IpAddr>,
}

impl PerAddress {
    /// `None`: the address has as many as it may. A cap of zero is none.
    pub(crate) fn count(&self, address: IpAddr, max: usize) -> Option<Counted<'_>> {
        if max == 0 {
            return Some(Counted { addresses: self, address: None });
        }
        // An IPv4 caller is the same on a socket that speaks both.
        let address = address.to_canonical();
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_insert(0);
        if *count >= max {
            return None;
        }
        *count += 1;
        Some(Counted { addresses: self, address: Some(address) })
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let Some(address) = self.address else { return };
        let mut counts = self.addresses.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_connection_idle_longest_makes_room_and_busy_ones_stay() {
        let connections = Connections::default();
        let (first, second) = (connections.open(), connections.open());
        // The first is answered after the second was opened, so the second has waited longer.
        drop(connections.begin(&first.standing));
        assert!(connections.make_room());
        assert!(second.standing.is_leaving() && !first.standing.is_leaving());
        let busy = connections.begin(&first.standing);
        assert!(!connections.make_room(), "one is going, one is busy");
        drop(busy);
        drop(second);
        assert!(connections.make_room());
    }

    #[test]
    fn an_address_is_counted_while_its_connections_are_open() {
        let addresses = PerAddress::default();
        let address: IpAddr = "127.0.0.1".parse().unwrap();
        let mapped: IpAddr = "::ffff:127.0.0.1".parse().unwrap();
        let first = addresses.count(address, 2).unwrap();
        let _second = addresses.count(mapped, 2).unwrap();
        assert!(addresses.count(address, 2).is_none());
        assert!(addresses.count("127.0.0.2".parse().unwrap(), 2).is_some());
        assert!(addresses.count(address, 0).is_some());
        drop(first);
        assert!(addresses.count(address, 2).is_some());
        assert_eq!(addresses.0.lock().unwrap().len(), 1, "addresses without connections are forgotten");
    }
}
