//! What the actions of one poller share.
//!
//! # Theory of operation
//! Each poller has its own tables, so that no frame waits for a lock. Control changes them by
//! command, on all pollers; an action changes what it learns from frames.

use super::bridge::Domain;

/// Names a bridge domain to the pollers. A slot is used again with another generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DomainKey {
    /// Place in the table of domains.
    pub slot: u32,
    /// Which of the domains that have had this place.
    pub generation: u32,
}

/// The tables of one poller.
#[derive(Debug, Default)]
pub struct Tables {
    domains: Vec<Option<(DomainKey, Domain)>>,
}

impl Tables {
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
