//! Interfaces and their sub-interfaces alike: what frames come from and go to.

use super::interface::{Interface, Mode, SubInterface};
use super::life::Life;
use super::registry::Registry;
use crate::action::PeerKey;
use crate::api::InterfaceRef;
use crate::diag::Failure;
use crate::units::{IfName, Kind, SwIfIndex, TagRewrite};

/// An interface or a sub-interface that is not being deleted.
#[derive(Debug, Clone, Copy)]
pub(super) struct End<'a> {
    pub(super) sw_if_index: SwIfIndex,
    pub(super) name: &'a IfName,
    pub(super) kind: Kind,
    pub(super) mode: Mode,
    pub(super) peer: PeerKey,
    pub(super) tag_rewrite: &'a TagRewrite,
    /// The interface whose queues it has: itself, or its parent.
    pub(super) carrier: SwIfIndex,
}

impl<'a> From<&'a Interface> for End<'a> {
    fn from(interface: &'a Interface) -> Self {
        Self {
            sw_if_index: interface.sw_if_index,
            name: &interface.name,
            kind: interface.kind,
            mode: interface.mode,
            peer: interface.peer,
            tag_rewrite: &interface.tag_rewrite,
            carrier: interface.sw_if_index,
        }
    }
}

impl<'a> From<&'a SubInterface> for End<'a> {
    fn from(sub: &'a SubInterface) -> Self {
        Self {
            sw_if_index: sub.sw_if_index,
            name: &sub.name,
            kind: Kind::Tap,
            mode: sub.mode,
            peer: sub.peer,
            tag_rewrite: &sub.tag_rewrite,
            carrier: sub.parent,
        }
    }
}

impl End<'_> {
    /// Whether it is a sub-interface.
    pub(super) fn is_sub(&self) -> bool {
        self.carrier != self.sw_if_index
    }
}

impl Registry {
    /// All of them, each interface before its sub-interfaces.
    pub(super) fn ends(&self) -> impl Iterator<Item = End<'_>> {
        let living = self.all().filter(|interface| interface.life != Life::Deleting);
        living.flat_map(|interface| {
            let subs = self.subs_of(interface.sw_if_index).map(End::from);
            std::iter::once(End::from(interface)).chain(subs)
        })
    }

    /// One by its number.
    pub(super) fn end(&self, index: SwIfIndex) -> Option<End<'_>> {
        let lives = |index| self.get(index).filter(|i: &&Interface| i.life != Life::Deleting);
        let sub = || self.subs.get(&index).filter(|sub| lives(sub.parent).is_some());
        lives(index).map(End::from).or_else(|| sub().map(End::from))
    }

    /// The number of the one that a command names.
    ///
    /// # Errors
    /// Exit code 3: there is none, or it is being deleted.
    pub(super) fn find_end(&self, which: &InterfaceRef) -> Result<SwIfIndex, Failure> {
        let found = self.subs.values().find(|sub| match which {
            InterfaceRef::Index(index) => sub.sw_if_index == *index,
            InterfaceRef::Name(name) => sub.name == *name,
        });
        match found.and_then(|sub| self.end(sub.sw_if_index)) {
            Some(sub) => Ok(sub.sw_if_index),
            None => self.find(which),
        }
    }

    /// The mode of one, to be changed.
    pub(super) fn mode_mut(&mut self, index: SwIfIndex) -> Option<&mut Mode> {
        if self.subs.contains_key(&index) {
            return self.subs.get_mut(&index).map(|sub| &mut sub.mode);
        }
        self.get_mut(index).map(|interface| &mut interface.mode)
    }

    /// The sub-interfaces of an interface, by number.
    pub(super) fn subs_of(&self, parent: SwIfIndex) -> impl Iterator<Item = &SubInterface> {
        self.subs.values().filter(move |sub| sub.parent == parent)
    }
}
