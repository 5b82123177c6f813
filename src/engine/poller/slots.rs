//! Queues by their keys. A slot is used again with another generation.

use crate::engine::QueueKey;
use crate::engine::queue::Common;

/// What has a key: a queue of either direction.
pub(in crate::engine) trait Queue {
    /// The state that both directions have.
    fn common(&self) -> &Common;
    /// The same, to be changed.
    fn common_mut(&mut self) -> &mut Common;
}

/// The queues of one direction that a poller owns.
#[derive(Debug)]
pub(in crate::engine) struct Slots<T>(Vec<Option<Box<T>>>);

impl<T: Queue> Slots<T> {
    /// None yet.
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// The queue of this key.
    pub(in crate::engine) fn get(&mut self, key: QueueKey) -> Option<&mut T> {
        let queue = self.0.get_mut(key.slot as usize)?.as_deref_mut()?;
        (queue.common().key == key).then_some(queue)
    }

    /// Puts a queue in the slot of its key.
    pub(super) fn put(&mut self, queue: Box<T>) {
        put(&mut self.0, queue.common().key.slot as usize, queue);
    }

    /// Takes the queue of this key out.
    pub(super) fn take(&mut self, key: QueueKey) -> Option<Box<T>> {
        self.get(key)?;
        self.0[key.slot as usize].take()
    }

    /// All of them.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut().flatten().map(|queue| &mut **queue)
    }
}

/// Puts `value` at `at`, growing the list as needed.
pub(super) fn put<T>(list: &mut Vec<Option<T>>, at: usize, value: T) {
    if list.len() <= at {
        list.resize_with(at + 1, || None);
    }
    list[at] = Some(value);
}
