//! Who is connected, and who of them is sent away where there is no room for more.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use tokio::sync::Notify;

/// Everybody who is connected.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    /// Counts entrances and requests: who has the least number was heard of longest ago.
    clock: Cell<u64>,
    /// Those who have no request under way, by when they were heard of last.
    idle: RefCell<BTreeMap<u64, Rc<Notify>>>,
}

/// One of them. Dropping it is leaving.
#[derive(Debug)]
pub(super) struct Guest<'a> {
    crowd: &'a Crowd,
    out: Rc<Notify>,
    /// None while a request is under way.
    since: Cell<Option<u64>>,
}

impl Crowd {
    /// Somebody has come.
    pub(super) fn enter(&self) -> Guest<'_> {
        let guest = Guest { crowd: self, out: Rc::default(), since: Cell::new(None) };
        guest.rests();
        guest
    }

    /// Sends away whoever has asked for nothing for the longest time.
    pub(super) fn make_room(&self) {
        if let Some((_, out)) = self.idle.borrow_mut().pop_first() {
            out.notify_one();
        }
    }
}

impl Guest<'_> {
    /// It has no request under way.
    pub(super) fn rests(&self) {
        let now = self.crowd.clock.get();
        self.crowd.clock.set(now + 1);
        self.crowd.idle.borrow_mut().insert(now, Rc::clone(&self.out));
        self.since.set(Some(now));
    }

    /// It has one, and is not sent away.
    pub(super) fn is_served(&self) {
        if let Some(since) = self.since.take() {
            self.crowd.idle.borrow_mut().remove(&since);
        }
    }

    /// Waits until it is sent away.
    pub(super) async fn sent_away(&self) {
        self.out.notified().await;
    }
}

impl Drop for Guest<'_> {
    fn drop(&mut self) {
        self.is_served();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn who_was_heard_of_longest_ago_and_has_no_request_under_way_is_sent_away() {
        let crowd = Crowd::default();
        let guests = [crowd.enter(), crowd.enter(), crowd.enter()];
        guests[0].is_served();
        guests[1].is_served();
        guests[1].rests();
        let away = |guest: &Guest<'_>| guest.sent_away().now_or_never().is_some();
        crowd.make_room();
        assert_eq!([0, 1, 2].map(|i| away(&guests[i])), [false, false, true]);
        crowd.make_room();
        assert_eq!([0, 1].map(|i| away(&guests[i])), [false, true]);
        crowd.make_room();
        assert!(!away(&guests[0]), "its request is under way");
        guests[0].rests();
        crowd.make_room();
        assert!(away(&guests[0]));
        drop(guests);
        assert!(crowd.idle.borrow().is_empty());
    }
}
