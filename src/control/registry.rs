//! Names, ids and numbers of the interfaces that exist or are being created.

use std::collections::{BTreeMap, BTreeSet};

use strsim::osa_distance;

use super::Interface;
use super::domain::Domains;
use super::interface::{SubInterface, host_gone, vanished};
use super::life::Life;
use super::log::Log;
use crate::api::{InterfaceRef, Level, NsimSettings};
use crate::diag::{Code, Failure};
use crate::units::{IfName, InterfaceId, Kind, SwIfIndex};

/// All interfaces, by number, and what is reserved for those being created.
#[derive(Debug, Default)]
pub(super) struct Registry {
    /// What `set nsim` said.
    pub(super) nsim: Option<NsimSettings>,
    interfaces: BTreeMap<SwIfIndex, Interface>,
    /// Sub-interfaces, by number.
    pub(super) subs: BTreeMap<SwIfIndex, SubInterface>,
    names: BTreeSet<IfName>,
    ids: BTreeSet<(bool, InterfaceId)>,
    records: BTreeSet<usize>,
    last_index: u32,
    /// The poller of the next receive queue.
    next_poller: u16,
    /// What happened.
    /// Bridge domains.
    pub(super) domains: Domains,
    pub(super) log: Log,
    /// That `backend auto` fell back was told.
    pub(super) fallback_told: bool,
}

/// What a create has reserved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reservation {
    pub(super) kind: Kind,
    pub(super) name: IfName,
    pub(super) id: InterfaceId,
    pub(super) sw_if_index: SwIfIndex,
}

impl Registry {
    /// Picks name and id for a create, without reserving them: `(name, id)`. `host_name` is that of
    /// the Linux device, where it was said.
    ///
    /// # Errors
    /// Exit code 4: taken; 1: no id is free.
    pub(super) fn pick(
        &self,
        kind: Kind,
        name: Option<&IfName>,
        id: Option<InterfaceId>,
        host_name: Option<&IfName>,
    ) -> Result<(IfName, InterfaceId), Failure> {
        if let Some(name) = name.filter(|name| self.names.contains(name)) {
            let stem: String = name.as_str().chars().take(14).collect();
            let other = ['b', 'c'].map(|end| format!("{stem}{end}"));
            let other = if other[0] == name.as_str() { &other[1] } else { &other[0] };
            let cure = format!(
                "two interfaces may not share a name: `create {other} --host-if-name {} …'",
                host_name.unwrap_or(name),
            );
            return Err(
                Failure::new(Code::Exists, name.as_str(), "interface already exists").hint(cure)
            );
        }
        let tun = kind == Kind::Tun;
        let named = |id: InterfaceId| match name {
            Some(name) => Ok(name.clone()),
            None => IfName::new(&format!("{kind}{id}"))
                .map_err(|e| Failure::new(Code::Failed, format!("id {id}"), e.to_string())),
        };
        if let Some(id) = id {
            if self.ids.contains(&(tun, id)) {
                return Err(Failure::new(
                    Code::Exists,
                    format!("id {id}"),
                    "interface already exists",
                )
                .hint("without `id' the first free one is taken"));
            }
            let name = named(id)?;
            return if self.names.contains(&name) {
                Err(Failure::new(Code::Exists, name.as_str(), "interface already exists")
                    .hint(format!("name this one: `create {kind} NAME id {id} …'")))
            } else {
                Ok((name, id))
            };
        }
        for n in 0..InterfaceId::COUNT {
            let Ok(id) = InterfaceId::new(n.into()) else { break };
            if self.ids.contains(&(tun, id)) {
                continue;
            }
            let candidate = named(id)?;
            if !self.names.contains(&candidate) {
                return Ok((candidate, id));
            }
        }
        Err(Failure::new(Code::Failed, "", "cannot find free interface id")
            .hint(format!("there are {} {kind}s; delete some", InterfaceId::COUNT)))
    }

    /// Reserves name and id.
    pub(super) fn reserve(&mut self, kind: Kind, name: IfName, id: InterfaceId) -> Reservation {
        self.last_index += 1;
        self.names.insert(name.clone());
        self.ids.insert((kind == Kind::Tun, id));
        Reservation { kind, name, id, sw_if_index: SwIfIndex(self.last_index) }
    }

    /// Frees what was reserved.
    pub(super) fn release(&mut self, reservation: &Reservation) {
        self.names.remove(&reservation.name);
        self.ids.remove(&(reservation.kind == Kind::Tun, reservation.id));
    }

    /// The poller of the first of so many receive queues; they go round over the pollers.
    pub(super) fn next_poller(&mut self, queues: u16, pollers: u16) -> u16 {
        let pollers = pollers.max(1);
        let first = self.next_poller % pollers;
        self.next_poller = (first + queues % pollers) % pollers;
        first
    }

    /// Whether a name is in use or reserved.
    pub(super) fn has_name(&self, name: &IfName) -> bool {
        self.names.contains(name)
    }

    /// Reserves a name and a number, for a sub-interface.
    ///
    /// # Errors
    /// Exit code 4: taken.
    pub(super) fn reserve_name(&mut self, name: IfName) -> Result<SwIfIndex, Failure> {
        if self.names.contains(&name) {
            return Err(Failure::new(Code::Exists, name.as_str(), "interface already exists"));
        }
        self.last_index += 1;
        self.names.insert(name);
        Ok(SwIfIndex(self.last_index))
    }

    /// Removes a sub-interface; its name is free.
    pub(super) fn remove_sub(&mut self, index: SwIfIndex) -> Option<SubInterface> {
        let sub = self.subs.remove(&index)?;
        self.names.remove(&sub.name);
        Some(sub)
    }

    /// A free record of the private memory.
    ///
    /// # Errors
    /// When all are in use.
    pub(super) fn reserve_record(&mut self) -> Result<usize, Failure> {
        let free = (0..crate::device::RECORDS).find(|at| !self.records.contains(at));
        let at = free.ok_or_else(|| Failure::new(Code::Failed, "", "more queues than 32768"))?;
        self.records.insert(at);
        Ok(at)
    }

    /// Frees a record.
    pub(super) fn release_record(&mut self, at: usize) {
        self.records.remove(&at);
    }

    /// Gives an interface another name; the old one is free. The request that makes it again has the
    /// new name.
    ///
    /// # Errors
    /// Exit code 4: taken; 3: it is gone.
    pub(super) fn rename(&mut self, index: SwIfIndex, new: &IfName) -> Result<(), Failure> {
        let interface = self.interfaces.get_mut(&index).ok_or_else(vanished)?;
        if interface.name == *new {
            return Ok(());
        }
        if self.names.contains(new) {
            return Err(Failure::new(Code::Exists, new.as_str(), "interface already exists"));
        }
        let old = std::mem::replace(&mut interface.name, new.clone());
        interface.created_with.rename(new, interface.id);
        self.names.remove(&old);
        self.names.insert(new.clone());
        self.log.add(Level::Notice, new, format!("renamed; it was {old}"));
        Ok(())
    }

    /// Adds an interface whose name and id were reserved.
    pub(super) fn insert(&mut self, interface: Interface) {
        self.interfaces.insert(interface.sw_if_index, interface);
    }

    /// Takes back [`Registry::insert`]; name and id stay reserved.
    pub(super) fn withdraw(&mut self, index: SwIfIndex) -> Option<Interface> {
        self.interfaces.remove(&index)
    }

    /// Removes an interface; its name and id are free.
    pub(super) fn remove(&mut self, index: SwIfIndex) -> Option<Interface> {
        let interface = self.interfaces.remove(&index)?;
        self.names.remove(&interface.name);
        self.ids.remove(&(interface.kind == Kind::Tun, interface.id));
        Some(interface)
    }

    /// The number of the interface that a command names.
    ///
    /// # Errors
    /// Exit code 3: there is none, or it is being deleted.
    pub(super) fn find(&self, which: &InterfaceRef) -> Result<SwIfIndex, Failure> {
        let found = match which {
            InterfaceRef::Index(index) => self.interfaces.get(index),
            InterfaceRef::Name(name) => self.interfaces.values().find(|i| i.name == *name),
        };
        match found {
            Some(interface) if interface.life != Life::Deleting => Ok(interface.sw_if_index),
            _ => Err(self.no_such(which)),
        }
    }

    /// The refusal of an unknown interface, with the name that was probably meant.
    pub(super) fn no_such(&self, which: &InterfaceRef) -> Failure {
        let failure = which.missing();
        let InterfaceRef::Name(name) = which else { return failure };
        if self.subs.values().any(|sub| sub.name == *name) {
            return Failure::usage(name.as_str(), "it is a sub-interface")
                .hint(format!("`delete sub-interfaces {name}' deletes it"));
        }
        let live = self.interfaces.values().filter(|interface| interface.life != Life::Deleting);
        match slipped(name.as_str(), live.map(|interface| interface.name.as_str())) {
            Some(meant) => failure.hint(format!("did you mean `{meant}'")),
            None => failure,
        }
    }

    /// An interface by number.
    pub(super) fn get(&self, index: SwIfIndex) -> Option<&Interface> {
        self.interfaces.get(&index)
    }

    /// An interface whose host side is there.
    ///
    /// # Errors
    /// Exit code 3: it is not, or the interface is being deleted.
    pub(super) fn with_host(&self, index: SwIfIndex) -> Result<&Interface, Failure> {
        let living = self.get(index).filter(|interface| interface.life != Life::Deleting);
        match living.ok_or_else(vanished)? {
            interface if interface.life == Life::HostGone => Err(host_gone(&interface.name)),
            interface => Ok(interface),
        }
    }

    /// An interface by number, to be changed.
    pub(super) fn get_mut(&mut self, index: SwIfIndex) -> Option<&mut Interface> {
        self.interfaces.get_mut(&index)
    }

    /// All of them, by number.
    pub(super) fn all(&self) -> impl Iterator<Item = &Interface> {
        self.interfaces.values()
    }
}

/// The one name that is an edit away. With another number (`tap9`) it is another interface's.
fn slipped<'a>(name: &str, live: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let number = |name: &str| -> String { name.chars().filter(char::is_ascii_digit).collect() };
    let given = number(name);
    let near =
        |live: &&str| osa_distance(name, live) == 1 && (given.is_empty() || given == number(live));
    let mut near = live.filter(near);
    near.next().filter(|_| near.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(s: &str) -> IfName {
        IfName::new(s).unwrap()
    }

    #[test]
    fn the_first_free_id_is_the_one_whose_name_is_free_too() {
        let mut registry = Registry::default();
        registry.reserve(Kind::Tap, name("tap0"), InterfaceId::new(5).unwrap());
        let (picked, id) = registry.pick(Kind::Tap, None, None, None).unwrap();
        assert_eq!((picked.as_str(), id.get()), ("tap1", 1));
        let (picked, id) = registry.pick(Kind::Tun, None, None, None).unwrap();
        assert_eq!((picked.as_str(), id.get()), ("tun0", 0));
    }

    #[test]
    fn a_taken_name_or_id_is_exit_code_4_and_the_name_prints_the_cure() {
        let mut registry = Registry::default();
        let reservation = registry.reserve(Kind::Tap, name("eth0"), InterfaceId::new(0).unwrap());
        let failure = registry.pick(Kind::Tap, Some(&name("eth0")), None, None).unwrap_err();
        assert_eq!(failure.code, Code::Exists);
        assert!(failure.to_string().contains("create eth0b --host-if-name eth0"), "{failure}");
        let (ours, host) = (name("eth0"), name("vt0"));
        let failure = registry.pick(Kind::Tap, Some(&ours), None, Some(&host)).unwrap_err();
        assert!(failure.to_string().contains("create eth0b --host-if-name vt0"), "{failure}");
        // The cure's name is another one, whatever the length.
        for (long, other) in
            [("abcdefghijklmno", "abcdefghijklmnb"), ("abcdefghijklmnb", "abcdefghijklmnc")]
        {
            let mut registry = Registry::default();
            registry.reserve(Kind::Tap, name(long), InterfaceId::new(0).unwrap());
            let failure = registry.pick(Kind::Tap, Some(&name(long)), None, None).unwrap_err();
            assert!(failure.to_string().contains(&format!("create {other} --")), "{failure}");
        }
        let failure =
            registry.pick(Kind::Tap, None, Some(InterfaceId::new(0).unwrap()), None).unwrap_err();
        assert_eq!(failure.code, Code::Exists);
        registry.release(&reservation);
        assert!(registry.pick(Kind::Tap, Some(&name("eth0")), None, None).is_ok());
    }

    #[test]
    fn a_name_is_a_slip_of_the_one_that_is_an_edit_away_and_has_its_number() {
        let slip = |name, live: &[&'static str]| slipped(name, live.iter().copied());
        for name in ["tapp0", "tpa0", "ta0", "tsp0", "tap"] {
            assert_eq!(slip(name, &["tap0", "eth7"]), Some("tap0"), "{name}");
        }
        for name in ["tap9", "tap00", "tap10", "0tap", "eth0", "tap0"] {
            assert_eq!(slip(name, &["tap0"]), None, "{name}");
        }
        assert_eq!(slip("tap", &["tap0", "tap1"]), None);
    }

    #[test]
    fn numbers_are_never_used_again() {
        let mut registry = Registry::default();
        let first = registry.reserve(Kind::Tap, name("a"), InterfaceId::new(0).unwrap());
        registry.release(&first);
        let second = registry.reserve(Kind::Tap, name("a"), InterfaceId::new(0).unwrap());
        assert!(second.sw_if_index > first.sw_if_index);
    }
}
