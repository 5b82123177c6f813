//! The keys of what pollers know, and which of them are in use.

use std::sync::{MutexGuard, PoisonError};

use super::{Engine, QueueKey};
use crate::action::{DomainKey, PeerKey};
use crate::device::PoolSlot;
use crate::diag::{Code, Failure};

/// Slots of tables that pollers keep, each with its generation, and whether it is in use.
#[derive(Debug, Default)]
struct Generations(Vec<(u32, bool)>);

impl Generations {
    /// A free slot, and its generation.
    fn reserve(&mut self) -> (u32, u32) {
        let at = self.0.iter().position(|(_, used)| !used).unwrap_or_else(|| {
            self.0.push((0, false));
            self.0.len() - 1
        });
        let (generation, used) = &mut self.0[at];
        // Bit 31 is left to the event key's error mark.
        *generation = (*generation + 1) & 0x7fff_ffff;
        *used = true;
        (u32::try_from(at).unwrap_or(u32::MAX), *generation)
    }

    fn release(&mut self, slot: u32, generation: u32) {
        if let Some(entry) = self.0.get_mut(slot as usize)
            && entry.0 == generation
        {
            entry.1 = false;
        }
    }
}

/// What is reserved.
#[derive(Debug, Default)]
pub(super) struct Reserved {
    queues: Generations,
    peers: Generations,
    domains: Generations,
    pools: Vec<bool>,
}

impl Engine {
    fn reserved(&self) -> MutexGuard<'_, Reserved> {
        self.reserved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A free key for a queue.
    pub fn reserve_queue(&self) -> QueueKey {
        let (slot, generation) = self.reserved().queues.reserve();
        QueueKey { slot, generation }
    }

    /// Gives a key back. Its queue is with no poller.
    pub fn release_queue(&self, key: QueueKey) {
        self.reserved().queues.release(key.slot, key.generation);
    }

    /// A free key for an interface as the peer of others.
    pub fn reserve_peer(&self) -> PeerKey {
        let (slot, generation) = self.reserved().peers.reserve();
        PeerKey { slot, generation }
    }

    /// A free key for a bridge domain.
    pub fn reserve_domain(&self) -> DomainKey {
        let (slot, generation) = self.reserved().domains.reserve();
        DomainKey { slot, generation }
    }

    /// Gives a key back. No poller knows it.
    pub fn release_domain(&self, key: DomainKey) {
        self.reserved().domains.release(key.slot, key.generation);
    }

    /// Gives a key back. No poller knows it.
    pub fn release_peer(&self, key: PeerKey) {
        self.reserved().peers.release(key.slot, key.generation);
    }

    /// A free number for a pool.
    ///
    /// # Errors
    /// When all 32768 are in use.
    pub fn reserve_pool(&self) -> Result<PoolSlot, Failure> {
        let mut reserved = self.reserved();
        let at = reserved.pools.iter().position(|used| !used).unwrap_or(reserved.pools.len());
        if at >= 1 << 15 {
            return Err(Failure::new(Code::Failed, "", "more receive queues than 32768"));
        }
        if at == reserved.pools.len() {
            reserved.pools.push(false);
        }
        reserved.pools[at] = true;
        Ok(PoolSlot(u16::try_from(at).unwrap_or(u16::MAX)))
    }

    /// Gives a number back. Its pool is known to no poller.
    pub fn release_pool(&self, slot: PoolSlot) {
        if let Some(used) = self.reserved().pools.get_mut(usize::from(slot.0)) {
            *used = false;
        }
    }
}
