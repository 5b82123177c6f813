//! A request as the words of a command.

use super::{BackendChoice, CreateRequest};
use crate::units::RingSize;

impl CreateRequest {
    /// The words behind `create` that ask for the same. What a check refuses has none.
    pub fn words(&self) -> Vec<String> {
        let mut words = vec![self.kind.to_string()];
        words.extend(self.name.as_ref().map(ToString::to_string));
        let mut option = |word: &str, value: Option<String>| {
            words.extend(value.into_iter().flat_map(|value| [format!("--{word}"), value]));
        };
        option("id", self.id.map(|id| id.to_string()));
        option("if-name", self.if_name.as_ref().map(ToString::to_string));
        option("host-if-name", self.host_if_name.as_ref().map(ToString::to_string));
        option("netns", self.host_ns.label().map(ToOwned::to_owned));
        option("hw-addr", self.mac_addr.map(|mac| mac.to_string()));
        option("host-mac-addr", self.host_mac_addr.map(|mac| mac.to_string()));
        option("bridge", self.host_bridge.as_ref().map(ToString::to_string));
        for net in self.host_addresses() {
            option(if net.addr().is_ipv6() { "ip6" } else { "ip4" }, Some(net.to_string()));
        }
        for gateway in self.host_gateways() {
            option(if gateway.is_ipv6() { "gw6" } else { "gw4" }, Some(gateway.to_string()));
        }
        option("mtu", self.host_mtu_size.map(|mtu| mtu.to_string()));
        option("host-txqueuelen", self.host_txqueuelen.map(|length| length.to_string()));
        let size = |size: RingSize| (size != RingSize::default()).then(|| size.to_string());
        option("rx-ring-size", size(self.rx_ring_size));
        option("tx-ring-size", size(self.tx_ring_size));
        option("num-rx-queues", self.num_rx_queues.map(|number| number.to_string()));
        option("num-tx-queues", self.num_tx_queues.map(|number| number.to_string()));
        option("owner", self.owner.map(|id| id.to_string()));
        option("group", self.group.map(|id| id.to_string()));
        let backend = match self.backend {
            BackendChoice::Auto => None,
            BackendChoice::VhostNet => Some("vhost-net"),
            BackendChoice::Userspace => Some("userspace"),
        };
        option("backend", backend.map(ToOwned::to_owned));
        for net in &self.respond {
            option("respond", Some(net.to_string()));
        }
        let flags = [
            ("consistent-qp", self.consistent_qp),
            ("host-down", self.host_down),
            ("gso", self.gso),
            ("no-gso", self.no_gso),
            ("csum-offload", self.csum_offload),
            ("persist", self.persist),
            ("attach", self.attach),
            ("admin-down", self.admin_down),
            ("dry-run", self.dry_run),
        ];
        for (word, given) in flags {
            words.extend(given.then(|| format!("--{word}")));
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Namespace;
    use crate::units::Kind;

    fn words(change: impl FnOnce(&mut CreateRequest)) -> String {
        let mut request = CreateRequest::new(Kind::Tap, Namespace::default());
        change(&mut request);
        request.words().join(" ")
    }

    #[test]
    fn every_option_of_a_create_comes_out_again() {
        assert_eq!(words(|_| ()), "tap");
        let all = words(|r| {
            r.name = Some("a".parse().unwrap());
            r.id = Some("7".parse().unwrap());
            r.host_ns = Namespace::from(Some("foo".to_owned()));
            r.mac_addr = Some("02:fe:00:00:00:01".parse().unwrap());
            r.host_mac_addr = Some("02:fe:00:00:00:02".parse().unwrap());
            r.host_ip4_addr = vec!["10.9.0.1/24".parse().unwrap()];
            r.host_ip6_addr = vec!["fd00::1/64".parse().unwrap()];
            r.host_ip4_gw = Some("10.9.0.2".parse().unwrap());
            r.host_ip6_gw = Some("fd00::2".parse().unwrap());
            r.host_mtu_size = Some("1400".parse().unwrap());
            r.host_txqueuelen = Some("77".parse().unwrap());
            r.rx_ring_size = "512".parse().unwrap();
            r.tx_ring_size = "64".parse().unwrap();
            (r.num_rx_queues, r.num_tx_queues) = ("4".parse().ok(), "2".parse().ok());
            (r.owner, r.group) = (Some(1), Some(2));
            r.backend = BackendChoice::Userspace;
            r.respond = vec!["10.9.0.2/24".parse().unwrap()];
            (r.consistent_qp, r.gso, r.admin_down, r.dry_run) = (true, true, true, true);
        });
        let wanted = "tap a --id 7 --netns foo --hw-addr 02:fe:00:00:00:01 \
                      --host-mac-addr 02:fe:00:00:00:02 --ip4 10.9.0.1/24 --ip6 fd00::1/64 \
                      --gw4 10.9.0.2 --gw6 fd00::2 --mtu 1400 --host-txqueuelen 77 \
                      --rx-ring-size 512 --tx-ring-size 64 --num-rx-queues 4 --num-tx-queues 2 \
                      --owner 1 --group 2 --backend userspace --respond 10.9.0.2/24 \
                      --consistent-qp --gso --admin-down --dry-run";
        assert_eq!(all, wanted);
        let bridged = words(|r| {
            (r.if_name, r.host_if_name) = ("b".parse().ok(), "c".parse().ok());
            r.host_bridge = Some("br0".parse().unwrap());
            r.host_down = true;
        });
        assert_eq!(bridged, "tap --if-name b --host-if-name c --bridge br0 --host-down");
    }
}
