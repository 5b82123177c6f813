//! Bridge domains on all pollers.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::poller::{Command, Macs};
use super::{Engine, gone};
use crate::action::bridge::{Entry, Member, Settings};
use crate::action::{DomainKey, PeerKey};
use crate::diag::Failure;
use crate::units::PollerIndex;

impl Engine {
    /// Sets what a bridge domain does, and its members, on all pollers.
    ///
    /// # Errors
    /// When a poller has ended.
    pub async fn set_domain(
        &self,
        key: DomainKey,
        settings: Settings,
        members: Vec<Member>,
    ) -> Result<(), Failure> {
        let members: Arc<[_]> = members.into();
        self.ask_all(|| Command::SetDomain(key, settings, Arc::clone(&members))).await
    }

    /// Makes all pollers forget a bridge domain. No action names it.
    ///
    /// # Errors
    /// When a poller has ended.
    pub async fn remove_domain(&self, key: DomainKey) -> Result<(), Failure> {
        self.ask_all(|| Command::RemoveDomain(key)).await
    }

    /// Makes all pollers forget what they have learned of MACs in a bridge domain, or behind one member.
    ///
    /// # Errors
    /// When a poller has ended.
    pub async fn flush_macs(&self, key: DomainKey, behind: Option<PeerKey>) -> Result<(), Failure> {
        self.ask_all(|| Command::FlushMacs(key, behind)).await
    }

    /// Tells all pollers what is known of a MAC in a bridge domain; with none, nothing any more.
    ///
    /// # Errors
    /// When a poller has ended.
    pub async fn give_mac(
        &self,
        key: DomainKey,
        mac: [u8; 6],
        entry: Option<Entry>,
    ) -> Result<(), Failure> {
        self.ask_all(|| Command::GiveMac(key, mac, entry)).await
    }

    /// What every poller knows of the MACs of a bridge domain.
    ///
    /// # Errors
    /// When a poller has ended.
    pub async fn macs(&self, key: DomainKey) -> Result<Vec<Macs>, Failure> {
        let mut all = Vec::new();
        for poller in 0..self.pollers() {
            let (answer, macs) = oneshot::channel();
            self.inbox(PollerIndex(poller))?.send(Command::Macs(key, answer), None);
            all.push(macs.await.map_err(|_| gone())?);
        }
        Ok(all)
    }
}
