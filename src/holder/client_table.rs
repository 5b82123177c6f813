//! The connected clients, and which of them is disconnected when there are too many.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};

use tokio::sync::Notify;

/// All connected clients.
#[derive(Debug, Default)]
pub(super) struct ClientTable {
    /// Counts connections and requests: the client with the least number has been idle longest.
    clock: Cell<u64>,
    /// Clients without a request in progress, by the time of their last one.
    idle: RefCell<BTreeMap<u64, Rc<Notify>>>,
    /// The client that was disconnected last, until it is gone.
    going: RefCell<Weak<Notify>>,
}

/// One client. Dropping it removes the client from the table.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    clients: &'a ClientTable,
    out: Rc<Notify>,
    /// None while a request is in progress.
    since: Cell<Option<u64>>,
}

impl ClientTable {
    /// Adds a client.
    pub(super) fn enter(&self) -> Entry<'_> {
        let entry = Entry { clients: self, out: Rc::default(), since: Cell::new(None) };
        entry.rests();
        entry
    }

    /// Disconnects the client that has been idle longest. Until it is gone, no other is.
    pub(super) fn evict_idlest(&self) {
        if self.going.borrow().strong_count() > 0 {
            return;
        }
        if let Some((_, out)) = self.idle.borrow_mut().pop_first() {
            out.notify_one();
            *self.going.borrow_mut() = Rc::downgrade(&out);
        }
    }
}

impl Entry<'_> {
    /// The client has no request in progress.
    pub(super) fn rests(&self) {
        let now = self.clients.clock.get();
        self.clients.clock.set(now + 1);
        self.clients.idle.borrow_mut().insert(now, Rc::clone(&self.out));
        self.since.set(Some(now));
    }

    /// The client has a request in progress and is not disconnected.
    pub(super) fn is_served(&self) {
        if let Some(since) = self.since.take() {
            self.clients.idle.borrow_mut().remove(&since);
        }
    }

    /// Waits until the client is to be disconnected.
    pub(super) async fn evicted(&self) {
        self.out.notified().await;
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.is_served();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn who_was_heard_of_longest_ago_and_has_no_request_under_way_is_sent_away_one_at_a_time() {
        let clients = ClientTable::default();
        let mut guests = [(); 3].map(|()| Some(clients.enter()));
        let guest = |guests: &[Option<Entry<'_>>; 3], i: usize| {
            let entry = guests[i].as_ref().unwrap();
            entry.evicted().now_or_never().is_some()
        };
        guests[0].as_ref().unwrap().is_served();
        guests[1].as_ref().unwrap().is_served();
        guests[1].as_ref().unwrap().rests();
        clients.evict_idlest();
        assert_eq!([0, 1, 2].map(|i| guest(&guests, i)), [false, false, true]);
        clients.evict_idlest();
        assert!(!guest(&guests, 1), "the one before is not gone yet");
        guests[2] = None;
        clients.evict_idlest();
        assert_eq!([0, 1].map(|i| guest(&guests, i)), [false, true]);
        guests[1] = None;
        clients.evict_idlest();
        assert!(!guest(&guests, 0), "its request is under way");
        guests[0].as_ref().unwrap().rests();
        clients.evict_idlest();
        assert!(guest(&guests, 0));
        drop(guests);
        assert!(clients.idle.borrow().is_empty());
    }
}
