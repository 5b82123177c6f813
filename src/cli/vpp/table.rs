//! The table of VPP's commands.

use super::row::{VppCommand, does, lacks, refuses};
use crate::api::lacked;

const SEE_FRAMES: &str = "`tcpdump -i HOST-NAME' in the host side's namespace sees the same frames";
const ADAPTIVE: &str = "every queue is adaptive: its poller spins while frames come, then sleeps";
const NO_ROUTES: &str = "our side only answers; routes and neighbours are the host side's: `ip -n NS route', `ip -n NS neigh'";
const LOOPBACK: &str = "only taps are made here: `set interface ip address IF A/L' gives one an address of ours, and \
                        `ip addr add A/L dev lo' gives the host one of its own";
const ARP_TERM: &str = "leave it out: ARP is bridged like any other frame, and the hosts answer it";

/// Every command, those about interfaces first, in an order in which the lines of all can be run one
/// after another: `a` and `b` are namespaces.
pub const VPP_COMMANDS: &[VppCommand] = &[
    does(
        "create tap {id N} [OPTION]...",
        &[
            "create tap id 0 host-ns a host-if-name vt0 host-ip4-addr 10.9.0.1/24 hw-addr 02fe.0000.0001 rx-ring-size 512",
            "cr tap id 1 host-ns b host-if-name vt1 host-ip4-addr 10.9.0.2/24 tx-ring-size 64 gso",
            "create tap",
        ],
        "done whole or not at all; values are checked, never cut off; up at birth",
    ),
    does(
        "create tap ... consistent-qp",
        &["create tap id 3 consistent-qp num-rx-queues 1 num-tx-queues 2"],
        "the receive queue and the transmit queue of the same number have the same poller",
    ),
    does(
        "create tap ... no-gso",
        &["create tap id 9 no-gso"],
        "a promise: the host gets neither large frames nor partial checksums, whoever sends them",
    ),
    does(
        "create tap ... csum-offload",
        &["create tap id 4 csum-offload"],
        "the host leaves checksums to us, and sends no large frames",
    ),
    refuses(
        "create tap ... gso gro-coalesce",
        "create tap id 7 gso gro-coalesce",
        lacked::GRO_COALESCE,
    ),
    does(
        "create tap ... persist",
        &["create tap id 5 host-ns a host-if-name vt5 persist", "delete tap tap5"],
        "the device has an owner; `delete ... destroy' removes it",
    ),
    does(
        "create tap ... attach",
        &["create tap id 6 host-ns a host-if-name vt5 attach", "del tap tap6"],
        "mismatches are named; the device keeps what it has, also where the create fails",
    ),
    does(
        "create tap ... tun",
        &[
            "create tap id 7 tun host-ns a host-ip4-addr 10.7.0.1/24",
            "show tun tun7",
            "delete tap tun7",
        ],
        "a version of IP other than 4 and 6 is lost with its reason (bad_version)",
    ),
    refuses("create tap ... packed", "create tap id 7 packed", lacked::PACKED),
    refuses("create tap ... in-order", "create tap id 7 in-order", lacked::IN_ORDER),
    does(
        "create tap ... num-rx-queues N num-tx-queues N",
        &["create tap id 8 num-rx-queues 2 num-tx-queues 4"],
        "at most 256 each way, which is the kernel's limit",
    ),
    does(
        "show tap [IF]... [descriptors]",
        &["show tap", "show tap tap0", "sh tap tap0 tap1 descriptors"],
        "the host side as it is now, and the counters of each queue",
    ),
    does("show tun [IF]... [descriptors]", &["show tun"], "lists no taps"),
    does(
        "set tap gso {IF | sw_if_index N} [enable|disable]",
        &["set tap gso tap0 enable", "set tap gso tap1 disable", "set tap gso sw_if_index 1"],
        "on every queue, and the kernel's word for it is shown",
    ),
    does(
        "set tap offload {IF | sw_if_index N} gso-enable|gso-disable|csum-offload-enable|csum-offload-disable",
        &[
            "set tap offload tap1 csum-offload-enable",
            "set tap offload tap1 gso-enable",
            "set tap offload sw_if_index 2 gso-disable",
            "set tap offload tap1 csum-offload-disable",
        ],
        "on every queue, and the kernel's word for it is shown",
    ),
    does(
        "set interface feature gso IF [enable|disable]",
        &["set interface feature gso tap3 enable", "set interface feature gso tap3 disable"],
        "checksums too, of every protocol",
    ),
    refuses(
        "set tap offload IF gso-enable gro-coalesce",
        "set tap offload tap1 gso-enable gro-coalesce",
        lacked::GRO_COALESCE,
    ),
    does(
        "set interface state IF up|down",
        &["set interface state tap0 down", "set int state tap0 up"],
        "`up' also resets broken queues",
    ),
    refuses(
        "set interface state IF punt",
        "set interface state tap0 punt",
        "`down' drops what comes: nothing is punted to a host stack here",
    ),
    refuses(
        "set interface state IF enable",
        "set interface state tap0 enable",
        "write `up': VPP's `enable' ends `punt', and leaves the interface down",
    ),
    does(
        "set interface l2 xconnect IF PEER",
        &["set interface l2 xconnect tap0 tap1", "set interface l2 xconnect tap1 tap0"],
        "frames with offloads cross untouched; `xconnect A B' wires both ways",
    ),
    does("show mode [IF]...", &["show mode"], ""),
    does("set interface l3 IF", &["set interface l3 tap0", "set interface l3 tap1"], ""),
    does(
        "create bridge-domain N [learn|forward|uu-flood|flood 0|1] [arp-term 0] [mac-age N] [bd-tag S] [del]",
        &[
            "create bridge-domain 1 learn 1 forward 1 uu-flood 1 flood 1 arp-term 0",
            "create bridge-domain 2 mac-age 60 bd-tag lab",
            "create bridge-domain 2 del",
        ],
        "one that exists is refused, and not changed; its index is its number",
    ),
    refuses("create bridge-domain N arp-term", "create bridge-domain 3 arp-term 1", ARP_TERM),
    does(
        "set interface l2 bridge IF N [SHG]",
        &["set interface l2 bridge tap0 1", "set int l2 bridge tap1 1 2", "show mode tap1"],
        "a tun is refused; `delete bridge-domain N' takes all members out",
    ),
    refuses(
        "set interface l2 bridge IF N bvi",
        "set interface l2 bridge tap0 1 bvi",
        "only a loopback can be a domain's own address, and only taps are made here: give the host \
         sides addresses",
    ),
    refuses(
        "set interface l2 bridge IF N uu-fwd",
        "set interface l2 bridge tap0 1 uu-fwd",
        "unknown MACs are flooded, or dropped with `set bridge-domain uu-flood N disable'",
    ),
    does(
        "show bridge-domain [N] [detail|int]",
        &["show bridge-domain", "show bridge-domain 1 detail", "sh bridge 1 int"],
        "`detail' works without a number too",
    ),
    does(
        "set bridge-domain learn|forward|uu-flood|flood N [disable]",
        &[
            "set bridge-domain learn 1 disable",
            "set bridge-domain learn 1",
            "set bridge-domain forward 1",
            "set bridge-domain uu-flood 1 disable",
            "set bridge-domain flood 1",
        ],
        "",
    ),
    does("set bridge-domain mac-age N MINUTES", &["set bridge-domain mac-age 1 5"], ""),
    lacks("set bridge-domain arp term|entry N ...", "set bridge-domain arp", "term 1", ARP_TERM),
    does(
        "l2fib add MAC N {IF [static] | filter}, l2fib del MAC N",
        &[
            "l2fib add 02:fe:00:00:00:21 1 tap0 static",
            "l2fib add 02:fe:00:00:00:22 1 filter",
            "l2fib del 02:fe:00:00:00:21 1",
        ],
        "the interface must be a member",
    ),
    does(
        "show l2fib [all|verbose] [learn|add] [bd_id N]",
        &[
            "show l2fib",
            "show l2fib all",
            "show l2fib verbose",
            "show l2fib bd_id 1 add",
            "show l2fib learn",
        ],
        "the tables of all pollers are shown as one",
    ),
    does(
        "l2fib flush-mac all|interface IF|bridge-domain N, clear l2fib",
        &[
            "l2fib flush-mac all",
            "l2fib flush-mac interface tap0",
            "l2fib flush-mac bridge-domain 1",
            "clear l2fib",
            "delete bridge-domain 1",
        ],
        "`delete bridge-domain N' takes its members out, too",
    ),
    does(
        "test l2patch rx A tx B [del]",
        &["test l2patch rx tap0 tx tap1", "test l2patch rx tap0 tx tap1 del"],
        "the same as `set interface l2 xconnect' and `set interface l3'",
    ),
    does(
        "set interface ip address [del] IF A/L|all",
        &[
            "set interface ip address tap0 10.9.0.7/24",
            "set interface ip address tap1 10.9.0.8/24",
            "set interface ip address del tap1 10.9.0.8/24",
            "set int ip addr del tap0 all",
        ],
        "the address answers ARP, ND and ping; nothing is routed",
    ),
    does(
        "show interface [IF]... [verbose]",
        &["show interface", "sh int tap0", "show interface tap0 verbose"],
        "",
    ),
    does(
        "show interface addr|address [IF]...",
        &["show interface addr", "show interface address tap0", "show interface tap0 addr"],
        "",
    ),
    does("show interface rx-placement [IF]...", &["show interface rx-placement"], ""),
    does("show interface tx-placement [IF]...", &["show interface tx-placement"], ""),
    does(
        "set interface rx-placement IF [queue N] {worker N | main}",
        &[
            "set interface rx-placement tap0 queue 0 main",
            "set interface rx-placement tap1 worker 0",
        ],
        "moved under traffic, no frame is lost and no flow is reordered; worker 0 is the first poller, and main is the same",
    ),
    does(
        "set interface rx-mode IF [queue N] {polling | interrupt | adaptive}",
        &[
            "set interface rx-mode tap0 queue 0 polling",
            "set interface rx-mode tap0 interrupt",
            "set interface rx-mode tap0 adaptive",
        ],
        "switched under traffic, no wake-up is lost",
    ),
    does(
        "set interface tx-queue IF queue N [threads LIST]",
        &[
            "set interface tx-queue tap0 queue 0 threads",
            "set interface tx-queue tap0 queue 0 threads 0",
        ],
        "a poller that no queue is for sends to the queues of others",
    ),
    does(
        "show interface features|feat [IF]...",
        &["show interface features", "show interface feat tap0", "show interface tap0 features"],
        "",
    ),
    refuses(
        "show interface features [IF]... verbose",
        "show interface features tap0 verbose",
        "leave it out: every feature of an interface is shown",
    ),
    does(
        "show hardware-interfaces [IF]... [brief|verbose|detail]",
        &[
            "show hardware-interfaces",
            "sh hard tap0 verbose",
            "show hardware-interfaces detail tap0",
            "show hardware-interfaces brief",
        ],
        "",
    ),
    does(
        "set interface name IF NEW",
        &["set interface name tap2 uplink", "set int name uplink tap2"],
        "a name of another interface is refused; `show logging' keeps the old one",
    ),
    does(
        "set interface tag IF TAG, clear interface tag IF, show interface tag [IF]...",
        &[
            "set interface tag tap0 blue",
            "show interface tag tap0",
            "show interface tap1 tag",
            "clear interface tag tap0",
        ],
        "without a name all tags are shown",
    ),
    does(
        "set interface mtu [packet|ip4|ip6|mpls] N IF",
        &[
            "set interface mtu packet 1400 tap1",
            "set interface mtu ip4 1300 tap1",
            "set int mtu ip6 1280 tap1",
            "set interface mtu mpls 9000 tap1",
            "set interface mtu 9000 tap1",
            "set interface mtu ip4 0 tap1",
        ],
        "our side: what is longer is lost with its reason on cross-connects too; 0 is no limit; \
         `set tap host-mtu' is about the host side",
    ),
    does(
        "set interface mac address IF MAC",
        &["set interface mac address tap1 02fe.0000.0011"],
        "zero, a group's and the host side's own are refused",
    ),
    does(
        "set interface secondary-mac-address IF MAC [add|del]",
        &[
            "set interface secondary-mac-address tap1 02:fe:00:00:00:12 add",
            "show interface secondary-mac-address tap1",
            "set interface secondary-mac-address tap1 02:fe:00:00:00:12 del",
        ],
        "one that is there is not added twice; `show interface secondary-mac-address' lists them",
    ),
    does(
        "set interface promiscuous on|off IF",
        &["set interface promiscuous on tap1", "set interface promiscuous off tap1"],
        "what comes for another MAC is counted otherwise (l3_mac_mismatch)",
    ),
    does(
        "show node counters [verbose]",
        &["show node counters", "show node counters verbose"],
        "the same as `show errors'",
    ),
    does("show errors [verbose]", &["show errors", "show errors verbose"], "a row a reason"),
    does("show runtime", &["show runtime"], "with `verbose' also queues that moved nothing"),
    does(
        "show threads",
        &["show threads"],
        "vhost workers too, whether they are threads of the process or of the kernel; a container \
         does not see the kernel's",
    ),
    does("show logging", &["show logging"], "what happened to interfaces, by whomever"),
    does("show version [verbose]", &["show version", "show version verbose"], ""),
    does(
        "clear interfaces",
        &["clear interfaces"],
        "only a baseline: counting goes on; takes names",
    ),
    does("clear errors", &["clear errors"], "only a baseline"),
    does(
        "create sub-interfaces|sub-interface|sub IF {ID [default|untagged] | MIN-MAX | ID \
         dot1q|dot1ad VLAN|any [inner-dot1q VLAN|any] [exact-match]}",
        &[
            "create sub-interfaces tap0 10",
            "create sub-interfaces tap0 11 dot1q 11 exact-match",
            "create sub-interfaces tap0 12 dot1q any",
            "create sub tap0 20 dot1ad 100 inner-dot1q any exact-match",
            "create sub-interface tap0 30-32",
            "create sub-interfaces tap0 40 default",
            "create sub-interfaces tap0 41 untagged",
        ],
        "they are up at birth; an address on one is layer 3 and not supported",
    ),
    does(
        "set interface l2 tag-rewrite IF {disable | pop N | push ... | translate ...}",
        &[
            "set interface l2 tag-rewrite tap0.10 pop 1",
            "set interface l2 tag-rewrite tap1 push dot1q 10",
            "set interface l2 tag-rewrite tap0.10 translate 1-1 dot1q 7",
            "show interface tap0 vtr",
            "set interface l2 tag-rewrite tap1 disable",
        ],
        "",
    ),
    does(
        "delete sub-interface IF",
        &["delete sub-interface tap0.10", "delete sub-interfaces tap0.20"],
        "",
    ),
    does(
        "delete tap {IF | sw_if_index N}",
        &[
            "delete tap tap9",
            "delete tap tap0",
            "delete tap sw_if_index 2",
            "del tap tap2 tap3 tap4 tap8",
        ],
        "answers when the kernel has let go; takes several names",
    ),
    does(
        "exec FILE",
        &["exec script"],
        "`FILE:LINE:' where it stops; `#' and `\\' in every script",
    ),
    does("comment TEXT", &["comment nothing of this is read"], "`#' too"),
    does("echo TEXT", &["echo taps"], ""),
    does("wait SECONDS", &["wait 0.01"], ""),
    does(
        "define NAME TEXT, undefine NAME, show macro",
        &["define NS a", "echo $(NS)", "show macro", "undefine NS"],
        "",
    ),
    does(
        "history, help [COMMAND], ?",
        &["history", "help", "help create tap", "?", "create tap ?"],
        "`?' at any point of a line says what can come next",
    ),
    does("quit, q, exit", &["quit", "q", "exit"], "says which interfaces would vanish, and asks"),
    lacks("set interface span IF ...", "set interface span", "tap0 destination tap1", SEE_FRAMES),
    lacks(
        "set interface default rx-mode ...",
        "set interface default",
        "rx-mode polling",
        ADAPTIVE,
    ),
    lacks("show interface default rx-mode", "show interface default", "rx-mode", ADAPTIVE),
    lacks("set ip neighbor ...", "set ip", "neighbor tap0 10.9.0.1 02:fe:0:0:0:1", NO_ROUTES),
    lacks("show ip neighbors, show ip fib", "show ip", "neighbors", NO_ROUTES),
    lacks(
        "ip route add ..., ip probe-neighbor ...",
        "ip",
        "route add 10.0.0.0/8 via 10.9.0.1 tap0",
        NO_ROUTES,
    ),
    lacks(
        "ping ADDR ...",
        "ping",
        "10.9.0.1 repeat 3",
        "ping from the host side, `ip netns exec NS ping ADDR': an address of ours answers",
    ),
    lacks(
        "arping ADDR IF",
        "arping",
        "10.9.0.1 tap0",
        "ping from the host side: `ip -n NS neigh' shows the MAC that answered",
    ),
    lacks("trace add NODE N, trace filter ...", "trace", "add tap-input 5", SEE_FRAMES),
    lacks("show trace [max N]", "show trace", "max 5", SEE_FRAMES),
    lacks("clear trace", "clear trace", "", SEE_FRAMES),
    lacks("set trace ...", "set trace", "timestamp-format wallclock", SEE_FRAMES),
    lacks(
        "pcap trace ...",
        "pcap",
        "trace rx tx max 100 intfc tap0",
        "`tcpdump -i HOST-NAME -w FILE' in the host side's namespace writes the same frames",
    ),
    lacks("create loopback|loop interface ...", "create loopback|loop", "interface", LOOPBACK),
    lacks("loop create|delete ...", "loop", "create", LOOPBACK),
    lacks(
        "bvi create|delete ...",
        "bvi",
        "create instance 10",
        "`create ... host-bridge BRIDGE' joins a Linux bridge, and `ip addr add A/L dev BRIDGE' gives \
         that an address",
    ),
    lacks(
        "set interface unnumbered IF use IF",
        "set interface unnumbered",
        "tap0 use tap1",
        "`set interface ip address IF A/L' gives each tap an address of its own",
    ),
    lacks(
        "create host-interface|af-packet|af_packet name IF ...",
        "create host-interface|af-packet|af_packet",
        "name eth0",
        "only taps are made here; a Linux bridge joins one with eth0: `create ... host-bridge BRIDGE'",
    ),
    lacks(
        "create bond|memif|vhost-user|vhost|vmxnet3|rdma|avf|virtio|af_xdp|af-xdp|dpdk|interface|packet-generator|pg|vxlan|vxlan-gpe|geneve|gre|gtpu|ipip|ipsec|l2tpv3 ...",
        "create bond|memif|vhost-user|vhost|vmxnet3|rdma|avf|virtio|af_xdp|af-xdp|dpdk|interface|packet-generator|pg|vxlan|vxlan-gpe|geneve|gre|gtpu|ipip|ipsec|l2tpv3",
        "id 50",
        "only taps are made here (`create tap id N'); other devices are Linux's: `ip link add NAME type ...'",
    ),
    lacks(
        "clear hardware-interfaces [IF]...",
        "clear hardware-interfaces",
        "tap0",
        "`clear interfaces' takes every counter of a queue for zero",
    ),
    lacks(
        "show l2patch",
        "show l2patch",
        "",
        "`show mode' shows every wire, those of `test l2patch' too",
    ),
    lacks(
        "show cpu",
        "show cpu",
        "",
        "`lscpu' shows the processors, `show threads' which thread runs on which",
    ),
    lacks(
        "session enable|disable ...",
        "session",
        "enable",
        "VPP's host stack is no part of this: programs use the host side's sockets",
    ),
    lacks("clear runtime", "clear runtime", "", "`show --rates' measures anew each time"),
];
