//! The words of `create` that make an interface again.

use super::plan::Plan;
use crate::api::BackendChoice;
use crate::host::HostName;
use crate::units::RingSize;

impl Plan {
    /// The words behind `create` that make it again: what was asked for, and of what was chosen the
    /// name, the id and our side's MAC, without which it would be another one.
    pub(super) fn words(&self) -> Vec<String> {
        let mut words = vec![self.kind.to_string()];
        let exact = match &self.host_name {
            HostName::Exact(name) => Some(name),
            HostName::FirstFree(_) => None,
        };
        // One name for both sides stands alone.
        let both = exact.filter(|host| self.asked_name.as_ref() == Some(host));
        words.extend(both.map(ToString::to_string));
        let id = both.is_none() || self.asked_id.is_some();
        let mut option = |word: &str, value: Option<String>| {
            words.extend(value.into_iter().flat_map(|value| [format!("--{word}"), value]));
        };
        option("id", id.then(|| self.id.to_string()));
        if both.is_none() {
            option("if-name", self.asked_name.as_ref().map(ToString::to_string));
            option("host-if-name", exact.map(ToString::to_string));
        }
        option("netns", self.host_ns.clone());
        option("hw-addr", self.mac.map(|mac| mac.to_string()));
        option("host-mac-addr", self.asked_host_mac.map(|mac| mac.to_string()));
        option("bridge", self.host_bridge.as_ref().map(ToString::to_string));
        for net in &self.host_addresses {
            option(if net.addr().is_ipv6() { "ip6" } else { "ip4" }, Some(net.to_string()));
        }
        for gateway in &self.host_gateways {
            option(
                if gateway.address.is_ipv6() { "gw6" } else { "gw4" },
                Some(gateway.address.to_string()),
            );
        }
        option("mtu", self.host_mtu.map(|mtu| mtu.to_string()));
        option("host-txqueuelen", self.host_txqueuelen.map(|length| length.to_string()));
        let size = |size: RingSize| (size != RingSize::default()).then(|| size.to_string());
        option("rx-ring-size", size(self.sizes.rx.1));
        option("tx-ring-size", size(self.sizes.tx.1));
        option("owner", self.owner.map(|id| id.to_string()));
        option("group", self.group.map(|id| id.to_string()));
        let backend = (self.asked_backend != BackendChoice::Auto).then(|| self.backend.word());
        option("backend", backend.map(ToOwned::to_owned));
        for net in &self.respond {
            option("respond", Some(net.to_string()));
        }
        for (word, given) in
            [("host-down", self.host_down), ("gso", self.gso), ("admin-down", self.admin_down)]
        {
            words.extend(given.then(|| format!("--{word}")));
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::super::registry::Registry;
    use super::*;
    use crate::api::{CreateRequest, Namespace};
    use crate::units::Kind;

    fn words(change: impl FnOnce(&mut CreateRequest)) -> String {
        let mut request = CreateRequest::new(Kind::Tap, Namespace::default());
        request.mac_addr = Some("02:fe:00:00:00:01".parse().unwrap());
        change(&mut request);
        Plan::new(&request, &Registry::default()).unwrap().words().join(" ")
    }

    #[test]
    fn names_and_id_come_out_as_they_were_settled() {
        let mac = "--hw-addr 02:fe:00:00:00:01";
        let name = |name: &str| Some(name.parse().unwrap());
        assert_eq!(words(|_| ()), format!("tap --id 0 {mac}"));
        assert_eq!(words(|r| r.name = name("a")), format!("tap a {mac}"));
        let numbered = words(|r| {
            r.name = name("a");
            r.id = Some("7".parse().unwrap());
        });
        assert_eq!(numbered, format!("tap a --id 7 {mac}"));
        let apart = words(|r| {
            r.name = name("a");
            r.host_if_name = name("b");
        });
        assert_eq!(apart, format!("tap --id 0 --if-name a --host-if-name b {mac}"));
        assert_eq!(words(|r| r.if_name = name("a")), format!("tap --id 0 --if-name a {mac}"));
    }

    #[test]
    fn every_option_of_a_create_comes_out_again() {
        let all = words(|r| {
            r.name = Some("a".parse().unwrap());
            r.host_mac_addr = Some("02:fe:00:00:00:02".parse().unwrap());
            r.host_ip4_addr = vec!["10.9.0.1/24".parse().unwrap()];
            r.host_ip6_addr = vec!["fd00::1/64".parse().unwrap()];
            r.host_ip4_gw = Some("10.9.0.2".parse().unwrap());
            r.host_ip6_gw = Some("fd00::2".parse().unwrap());
            r.host_mtu_size = Some("1400".parse().unwrap());
            r.host_txqueuelen = Some("77".parse().unwrap());
            r.rx_ring_size = "512".parse().unwrap();
            r.tx_ring_size = "64".parse().unwrap();
            (r.owner, r.group) = (Some(1), Some(2));
            r.backend = BackendChoice::Userspace;
            r.respond = vec!["10.9.0.2/24".parse().unwrap()];
            (r.gso, r.admin_down) = (true, true);
        });
        let wanted = "tap a --hw-addr 02:fe:00:00:00:01 --host-mac-addr 02:fe:00:00:00:02 \
                      --ip4 10.9.0.1/24 --ip6 fd00::1/64 --gw4 10.9.0.2 --gw6 fd00::2 --mtu 1400 \
                      --host-txqueuelen 77 --rx-ring-size 512 --tx-ring-size 64 --owner 1 --group 2 \
                      --backend userspace --respond 10.9.0.2/24 --gso --admin-down";
        assert_eq!(all, wanted);
        let bridged = words(|r| {
            r.host_bridge = Some("br0".parse().unwrap());
            r.host_down = true;
        });
        assert!(bridged.ends_with(" --bridge br0 --host-down"), "{bridged}");
    }
}
