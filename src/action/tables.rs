//! What the actions of one poller share.
//!
//! # Theory of operation
//! Each poller has its own tables, so that no frame waits for a lock. Control changes them by
//! command, on all pollers; an action changes what it learns from frames. What the other pollers
//! should know of that waits here until the poller has done with its queues.

use super::PeerKey;
use super::bridge::Domain;

/// Most news that wait for the other pollers; what comes beyond them is not told.
const NEWS_MAX: usize = 64;

/// Names a bridge domain to the pollers. A slot is used again with another generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DomainKey {
    /// Place in the table of domains.
    pub slot: u32,
    /// Which of the domains that have had this place.
    pub generation: u32,
}

/// A MAC that was learned: where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct News {
    /// In this bridge domain.
    pub domain: DomainKey,
    /// The MAC.
    pub mac: [u8; 6],
    /// Behind this member.
    pub peer: PeerKey,
}

/// The tables of one poller.
#[derive(Debug, Default)]
pub struct Tables {
    domains: Vec<Option<(DomainKey, Domain)>>,
    /// For the other pollers.
    news: Vec<News>,
    /// There are other pollers.
    told: bool,
}

impl Tables {
    /// Those of a poller which has others beside it, or has none.
    pub fn new(others: bool) -> Self {
        Self { told: others, ..Self::default() }
    }

    /// Lets the other pollers know where a MAC is.
    pub fn tell(&mut self, domain: DomainKey, mac: [u8; 6], peer: PeerKey) {
        if self.told && self.news.len() < NEWS_MAX {
            self.news.push(News { domain, mac, peer });
        }
    }

    /// What the other pollers should know.
    pub fn news(&self) -> &[News] {
        &self.news
    }

    /// They know it.
    pub fn forget_news(&mut self) {
        self.news.clear();
    }

    /// The bridge domain of this key.
    pub fn domain(&mut self, key: DomainKey) -> Option<&mut Domain> {
        match self.domains.get_mut(key.slot as usize)? {
            Some((known, domain)) if *known == key => Some(domain),
            _ => None,
        }
    }

    /// The bridge domain of this key; a new one if there was none.
    pub fn domain_or_new(&mut self, key: DomainKey) -> &mut Domain {
        let at = key.slot as usize;
        if self.domains.len() <= at {
            self.domains.resize_with(at + 1, || None);
        }
        let place = &mut self.domains[at];
        if place.as_ref().is_some_and(|(known, _)| *known != key) {
            *place = None;
        }
        &mut place.get_or_insert_with(|| (key, Domain::default())).1
    }

    /// Forgets a bridge domain.
    pub fn remove_domain(&mut self, key: DomainKey) {
        if self.domain(key).is_some() {
            self.domains[key.slot as usize] = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_an_earlier_domain_names_none() {
        let mut tables = Tables::default();
        let [old, new] = [1, 2].map(|generation| DomainKey { slot: 3, generation });
        tables.domain_or_new(old);
        assert!(tables.domain(old).is_some() && tables.domain(new).is_none());
        tables.domain_or_new(new);
        assert!(tables.domain(old).is_none() && tables.domain(new).is_some());
        tables.remove_domain(old);
        assert!(tables.domain(new).is_some());
        tables.remove_domain(new);
        assert!(tables.domain(new).is_none());
    }
}
