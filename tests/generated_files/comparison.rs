//! What VPP does with taps, in its version of 2019 and in the newest, and what taptool does: a table
//! for taptool-vpp(8) and README, each row with the test that shows it.

use std::fmt::Write as _;

use clap_mangen::roff::{Roff, bold, roman};

/// What a program makes of a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Has {
    Yes,
    No,
    /// It takes the word, and does nothing or does it wrong.
    Wrong,
}

use Has::{No, Wrong, Yes};

/// Whether taptool has it.
#[derive(Debug, Clone, Copy)]
pub enum Here {
    /// A test that fails without it: `file::test`, the file from the package's root.
    Shown(&'static str),
    /// Why not.
    Lacks(&'static str),
}

use Here::{Lacks, Shown};

/// Features of one kind.
#[derive(Debug)]
pub struct Group {
    pub name: &'static str,
    /// Feature, VPP of 2019, newest VPP, taptool.
    pub rows: &'static [(&'static str, Has, Has, Here)],
}

const LATER: &str = "not supported in this version";

#[rustfmt::skip]
pub const GROUPS: &[Group] = &[
    Group { name: "Making a tap", rows: &[
        ("id, names of both sides", Wrong, Wrong, Shown("tests/live/create.rs::name_id_if_name_and_host_if_name_name_the_two_sides")),
        ("MAC addresses of both sides", Wrong, Wrong, Shown("tests/live/create.rs::both_mac_addresses_are_those_asked_for")),
        ("in another namespace, by name, path or process", Wrong, Yes, Shown("tests/live/create.rs::a_namespace_is_named_by_name_path_or_process_and_else_is_the_holders_own")),
        ("host addresses, gateways", Wrong, Wrong, Shown("tests/live/create.rs::several_addresses_of_both_families_and_gateways_through_our_device_are_set")),
        ("a Linux bridge", Wrong, Wrong, Shown("tests/live/create.rs::the_host_side_becomes_a_port_of_the_bridge_in_its_namespace")),
        ("host MTU, transmit queue length", No, Yes, Shown("tests/live/create.rs::mtu_and_queue_length_are_the_links")),
        ("ring sizes", Wrong, Wrong, Shown("tests/live/create.rs::ring_sizes_are_those_asked_for_and_carry_frames")),
        ("owner and group", No, No, Shown("tests/live/create.rs::owner_and_group_are_the_devices")),
        ("all or nothing", No, No, Shown("tests/live/undo.rs::a_create_that_fails_after_any_step_leaves_machine_process_and_registry_as_they_were")),
        ("a dry run", No, No, Shown("tests/live/refuse.rs::a_dry_run_sets_mtu_and_addresses_before_up_and_routes_last")),
        ("without /dev/vhost-net", No, No, Shown("tests/live/create.rs::backend_auto_takes_vhost_net_where_it_is_and_else_says_once_why_not")),
        ("tun", No, Yes, Shown("tests/live/tun.rs::tcp_crosses_a_wire_of_tuns_with_and_without_large_frames_and_the_ledger_balances")),
        ("persist, attach", No, Wrong, Shown("tests/live/attach.rs::a_device_that_persists_survives_its_killed_holder_and_is_attached_to_again")),
        ("packed rings", No, Wrong, Lacks("vhost-net has none")),
        ("in-order rings", No, Wrong, Lacks(LATER)),
    ]},
    Group { name: "Queues", rows: &[
        ("several queues each way", No, Yes, Shown("tests/live/queues.rs::each_queue_of_a_four_queue_tap_carries_its_share_of_eight_flows")),
        ("placement on pollers, processors", No, Yes, Shown("tests/live/queues.rs::queues_that_change_their_poller_under_traffic_lose_nothing_and_reorder_no_flow")),
        ("polling, interrupt, adaptive", Yes, Yes, Shown("tests/live/queues.rs::the_mode_of_a_queue_is_switched_under_traffic_and_no_answer_is_late")),
    ]},
    Group { name: "Offloads", rows: &[
        ("gso at birth and live", Yes, Wrong, Shown("tests/live/wire.rs::gso_is_switched_live_and_the_kernel_shows_it")),
        ("checksum offload alone", No, Yes, Shown("tests/live/offload.rs::csum_offload_alone_leaves_checksums_to_us_and_sends_no_large_frames")),
        ("segmentation in software", Yes, Yes, Shown("tests/live/offload.rs::a_no_gso_end_gets_no_large_frame_and_no_partial_checksum_from_a_gso_peer")),
        ("coalescing in software", No, Yes, Lacks(LATER)),
    ]},
    Group { name: "Settings of an interface", rows: &[
        ("admin state", Yes, Yes, Shown("tests/live/create.rs::an_interface_that_is_admin_down_drops_with_that_reason_until_it_is_set_up")),
        ("name, tag, MACs, promiscuous", Wrong, Wrong, Shown("tests/live/settings.rs::our_side_answers_with_its_new_mac_and_tells_the_hosts_that_had_the_old_one")),
        ("MTUs of both sides", Wrong, Wrong, Shown("tests/live/settings.rs::packets_longer_than_our_mtu_are_not_sent_and_are_received_all_the_same")),
        ("carrier, speed", No, Yes, Shown("tests/live/carrier.rs::carrier_and_speed_stay_when_the_host_side_is_renamed_and_moved")),
        ("loss of link passed on along a wire", No, No, Shown("tests/live/carrier.rs::each_loss_of_link_at_one_end_takes_the_others_carrier_and_its_end_gives_it_back")),
    ]},
    Group { name: "Layer 2", rows: &[
        ("cross-connect", Yes, Yes, Shown("tests/live/wire.rs::a_cross_connect_carries_both_ways_until_it_is_taken_off")),
        ("bridge domains, l2fib", Yes, Yes, Shown("tests/live/bridge.rs::three_members_ping_each_other_and_a_broadcast_reaches_each_once_and_the_ledger_balances")),
        ("split horizon", Yes, Yes, Shown("tests/live/bridge.rs::members_of_one_split_horizon_group_reach_others_and_not_each_other")),
        ("a mirror (span)", Yes, Yes, Lacks(LATER)),
        ("sub-interfaces, tag rewrite", Yes, Yes, Shown("tests/live/vlan.rs::two_vlans_of_a_trunk_reach_their_taps_and_not_each_others_and_the_ledger_balances")),
        ("nsim, in VPP's words", Yes, Yes, Shown("tests/live/impair.rs::the_simulator_delays_the_wires_that_follow_it_and_a_new_setting_changes_them")),
        ("wires that delay, lose, reorder, duplicate, damage frames", Yes, Yes, Shown("tests/live/impair.rs::a_ping_over_a_delayed_wire_takes_twice_the_delay_and_the_ledger_balances_meanwhile")),
    ]},
    Group { name: "Answers and accounting", rows: &[
        ("ARP, ND, ping at an address of ours", Yes, Yes, Shown("tests/live/respond.rs::ipv4_echo_and_arp_are_answered_and_counted_both_ways_on_queue_0")),
        ("every frame accounted for", No, No, Shown("tests/live/wire.rs::the_ledger_balances_in_100_snapshots_of_a_transfer_and_ends_equal_to_the_kernels")),
        ("JSON, exit codes", No, No, Shown("tests/varlink.rs::a_foreign_client_finds_the_description_and_every_answer_conforms_to_it")),
        ("what would drop a frame (doctor)", No, No, Shown("tests/live/doctor.rs::each_thing_in_the_way_of_a_wire_is_named_with_the_command_that_mends_it")),
        ("what is there saved as a script", No, No, Shown("tests/live/save.rs::what_was_saved_makes_the_same_again")),
        ("a file applied with the fewest changes", No, No, Lacks(LATER)),
    ]},
    Group { name: "Layer 3", rows: &[
        ("routes, neighbours, loopback, BVI", Yes, Yes, Lacks(LATER)),
    ]},
];

/// The section of taptool-vpp(8).
pub fn section(roff: &mut Roff) {
    let word = |has| match has {
        Yes => "yes",
        No => "no",
        Wrong => "in part",
    };
    for group in GROUPS {
        roff.control("SS", [group.name]);
        for (feature, seed, head, here) in group.rows {
            let here = match here {
                Shown(_) => "yes".to_owned(),
                Lacks(why) => format!("no ({why})"),
            };
            roff.control("TP", []);
            roff.text([bold(*feature)]);
            let text = format!("2019: {}; newest: {}; taptool: {here}.", word(*seed), word(*head));
            roff.text([roman(text)]);
        }
    }
}

/// README's table: of each group what all three have, and what taptool lacks.
pub fn readme() -> String {
    let mut text = String::from("| | VPP 2019 | newest VPP | taptool | taptool lacks |\n");
    text.push_str("|---|---|---|---|---|\n");
    for group in GROUPS {
        let all = group.rows.len();
        let vpp = |of: fn(&(&str, Has, Has, Here)) -> Has| {
            let count = |has| group.rows.iter().filter(|row| of(row) == has).count();
            match (count(Yes), count(Wrong)) {
                (0, 0) => "-".to_owned(),
                (yes, 0) => format!("{yes} of {all}"),
                (yes, part) => format!("{yes} of {all}, {part} in part"),
            }
        };
        let (seed, head) = (vpp(|row| row.1), vpp(|row| row.2));
        let here = group.rows.iter().filter(|(.., here)| matches!(here, Shown(_))).count();
        let here = format!("{here} of {all}");
        let lacks: Vec<&str> = (group.rows.iter())
            .filter(|(.., here)| matches!(here, Lacks(_)))
            .map(|(feature, ..)| *feature)
            .collect();
        writeln!(text, "| {} | {seed} | {head} | {here} | {} |", group.name, lacks.join("; "))
            .unwrap();
    }
    text
}
