//! What went wrong elsewhere, and what keeps it from going wrong here: the defects of VPP's tapv2
//! that are known (B1 to B45), and the faults that other users of taps and rings met. Each row names
//! the tests that fail if it comes back, the words that this version refuses instead, or why it
//! cannot be.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

#[path = "common/tests_of.rs"]
mod named;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use assert_cmd::cargo::cargo_bin;
use named::tests_of;

/// What stands against a defect.
#[derive(Debug)]
enum Verdict {
    /// `file::test`, the file from the package's root.
    Test(&'static str),
    /// It has nowhere to happen.
    NotApplicable(&'static str),
    /// Words behind `create tap` that this version does not take. Taking one needs a test first.
    Refused(&'static str),
}

use Verdict::{NotApplicable, Refused, Test};

/// A defect: its number, what happens, and what stands against it.
type Row = (&'static str, &'static str, &'static [Verdict]);

#[rustfmt::skip]
const DEFECTS: &[Row] = &[
    ("B1", "after a failure in the target namespace the process stays in it", &[
        Test("tests/live/undo.rs::a_create_that_fails_after_any_step_leaves_machine_process_and_registry_as_they_were"),
        Test("tests/live/holder.rs::no_thread_that_stays_is_in_a_namespace_of_a_tap"),
    ]),
    ("B2", "a device for another namespace is visible in the own one, where its name may be taken", &[
        Test("src/host/tests/birth.rs::a_device_for_another_namespace_is_born_in_the_staging_namespace_and_moved_with_all_its_queues"),
        Test("src/host/tests/birth.rs::two_devices_of_one_name_are_born_for_two_namespaces_at_once"),
    ]),
    ("B3", "a namespace is taken from whatever its words happen to mean, and its files leak into programs", &[
        Test("src/api/namespace.rs::a_pid_that_is_no_number_and_a_name_with_a_slash_are_refused"),
        Test("src/host/tests/process.rs::what_is_no_network_namespace_is_refused_by_its_kind"),
        Test("src/cli/tests.rs::a_namespace_that_is_not_there_is_exit_3_and_names_the_path"),
        Test("tests/live/holder.rs::no_file_of_the_holder_would_be_inherited_and_no_eventfd_blocks"),
    ]),
    ("B4", "a host side that others move, rename or delete is acted upon by its old name", &[
        Test("tests/live/fate.rs::a_renamed_host_side_is_tracked_and_a_stranger_with_its_old_name_is_untouched"),
        Test("tests/live/fate.rs::a_host_side_moved_to_another_namespace_is_tracked_shown_there_and_works_there"),
        Test("tests/live/fate.rs::a_host_side_is_shown_in_its_creators_words_only_while_it_is_in_the_namespace_they_meant"),
        Test("tests/live/doctor.rs::commands_for_a_device_that_was_moved_go_where_it_is_or_are_not_given"),
        Test("tests/live/fate.rs::a_host_side_deleted_by_others_is_host_gone_and_a_stranger_of_its_name_outlives_delete"),
    ]),
    ("B5", "a bridge that does not exist is taken for none", &[
        Test("src/host/tests/settings.rs::a_bridge_must_exist_in_the_namespace_and_be_one"),
        Test("tests/live/refuse.rs::an_unknown_namespace_bridge_or_interface_is_not_found"),
    ]),
    ("B6", "without a host name given, a name that is no longer there is shown and freed", &[
        Test("tests/live/create.rs::name_id_if_name_and_host_if_name_name_the_two_sides"),
    ]),
    ("B7", "one option's value spills into another's, so their order matters", &[
        Test("src/cli/tests.rs::the_order_of_options_changes_nothing"),
    ]),
    ("B8", "values out of range are cut to something else", &[
        Test("src/cli/tests.rs::wrong_values_are_refused_with_the_option_and_the_reason"),
        Test("tests/live/refuse.rs::wrong_values_are_usage_errors_that_name_the_value"),
        Test("src/units/names.rs::names_that_the_kernel_would_bend_are_refused"),
        Test("src/units/names.rs::mac_addresses_parse_in_three_spellings_and_refuse_group_and_zero"),
    ]),
    ("B8b", "a ring of 1, 2 or 4 entries makes the refill loop endless", &[
        Test("src/units/sizes.rs::ring_sizes_are_powers_of_two_from_64_to_32768"),
        Test("tests/live/create.rs::ring_sizes_are_those_asked_for_and_carry_frames"),
    ]),
    ("B9", "one id too many is taken, and two creates at once may get the same", &[
        Test("src/units/numbers.rs::ids_end_at_8191"),
        Test("src/control/registry.rs::a_taken_name_or_id_is_exit_code_4_and_the_name_prints_the_cure"),
    ]),
    ("B10", "an unknown word is refused without being named", &[
        Test("tests/command_line.rs::usage_errors_are_one_line_and_a_hint_on_stderr"),
        Test("src/cli/words/tests.rs::what_is_nothing_is_refused_with_its_token"),
    ]),
    ("B11", "the host's MAC address becomes ours; what was asked for sticks though it failed", &[
        Test("tests/live/create.rs::both_mac_addresses_are_those_asked_for"),
        Test("tests/live/undo.rs::a_create_that_fails_after_any_step_leaves_machine_process_and_registry_as_they_were"),
    ]),
    ("B12", "a default route leads through another device, or outlives ours", &[
        Test("src/host/tests/settings.rs::a_default_route_goes_through_our_device_and_never_replaces_another"),
        Test("src/host/tests/settings.rs::an_existing_default_route_of_a_larger_metric_is_not_outbid"),
        Test("tests/live/refuse.rs::what_the_kernel_refuses_late_is_undone_whole"),
    ]),
    ("B13", "the host side is set up whether wanted or not, and its routes come before its MTU", &[
        Test("tests/live/create.rs::host_down_leaves_the_link_down_with_its_addresses"),
        Test("tests/live/refuse.rs::a_dry_run_sets_mtu_and_addresses_before_up_and_routes_last"),
    ]),
    ("B14", "an address that a dead interface had cannot be set again", &[
        Test("tests/live/holder.rs::delete_gives_back_every_file_and_thread"),
        Test("tests/live/attach.rs::a_device_that_persists_survives_its_killed_holder_and_is_attached_to_again"),
    ]),
    ("B15", "a persistent device of that name is taken over without a word", &[
        Test("tests/live/refuse.rs::a_persistent_tap_of_that_name_is_refused_and_stays_as_it_was"),
        Test("tests/live/attach.rs::what_cannot_be_attached_to_is_refused_with_what_is_in_the_way_and_stays_as_it_was"),
    ]),
    ("B16", "a persistent device is destroyed by a delete or a failed attach", &[
        Test("tests/live/attach.rs::a_device_that_was_there_keeps_what_it_has_and_stays_when_the_interface_is_deleted"),
        Test("tests/live/attach.rs::an_attach_that_fails_after_any_step_leaves_the_device_as_it_was"),
    ]),
    ("B17", "nothing outlives the process", &[
        Test("tests/live/attach.rs::a_device_that_persists_survives_its_killed_holder_and_is_attached_to_again"),
    ]),
    ("B18", "the two sides differ in MTU, and frames with offloads are measured by it", &[
        Test("tests/live/create.rs::mtu_and_queue_length_are_the_links"),
        Test("tests/live/wire.rs::frames_larger_than_the_mtu_cross_between_gso_taps_whole"),
    ]),
    ("B19", "netlink refuses with a bare number, or hangs the main loop", &[
        Test("src/host/tests/settings.rs::mac_mtu_and_queue_length_are_what_was_set_and_the_kernel_explains_what_it_refuses"),
        Test("src/host/tests/process.rs::a_session_on_a_runtime_thread_is_refused_instead_of_blocking_it"),
    ]),
    ("B20", "a readable or dead tap file spins the main loop, and its removal hits a later interface", &[
        Test("tests/live/fate.rs::neither_an_idle_interface_nor_one_that_is_host_gone_takes_processor_time"),
        Test("src/control/registry.rs::numbers_are_never_used_again"),
        Test("tests/live/fate.rs::a_namespace_deleted_under_traffic_is_freed_at_once_and_its_tap_is_host_gone"),
        Test("src/engine/tests/sleep.rs::a_poller_with_nothing_to_do_spends_no_time_on_a_core"),
    ]),
    ("B21", "a file is closed twice, which closes a stranger's", &[
        Test("src/host/tests/process.rs::failing_calls_leave_no_file_and_no_thread"),
        Test("tests/live/holder.rs::delete_gives_back_every_file_and_thread"),
    ]),
    ("B22", "delete leaks strings, and buffers that lie in rings", &[
        Test("tests/live/holder.rs::delete_gives_back_the_pages_of_both_memory_files"),
        Test("src/device/memory.rs::freed_extents_merge_come_back_zeroed_and_give_their_pages_back"),
        Test("src/engine/tests/retire.rs::interfaces_taken_away_under_traffic_come_home_and_free_their_memory"),
    ]),
    ("B23", "delete under traffic crashes", &[
        Test("tests/live/wire.rs::a_peer_that_is_deleted_stops_the_wire_and_nothing_else"),
        Test("tests/live/holder.rs::sigterm_and_sigint_under_traffic_leave_nothing"),
        Test("src/engine/tests/retire.rs::a_peer_taken_away_under_traffic_on_one_poller_loses_nothing_unaccounted"),
        Test("src/engine/tests/retire.rs::a_peer_taken_away_under_traffic_on_another_poller_loses_nothing_unaccounted"),
    ]),
    ("B24", "deleting a sub-interface deletes its parent", &[
        Test("tests/live/refuse.rs::the_name_of_a_sub_interface_is_not_its_parents"),
    ]),
    ("B25", "an interface that is down forwards, and its link does not come back", &[
        Test("tests/live/create.rs::an_interface_that_is_admin_down_drops_with_that_reason_until_it_is_set_up"),
        Test("src/engine/tests/drops.rs::an_interface_that_is_down_drops_what_it_receives_and_what_it_is_offered"),
    ]),
    ("B26", "gso is switched on what is no tap, or under frames that it was on for", &[
        Test("tests/live/refuse.rs::an_unknown_namespace_bridge_or_interface_is_not_found"),
        Test("tests/live/wire.rs::a_transfer_survives_gso_being_switched_under_it"),
    ]),
    ("B27", "showing what is no tap reads a foreign instance", &[
        Test("tests/live/refuse.rs::an_unknown_namespace_bridge_or_interface_is_not_found"),
    ]),
    ("B28", "what the kernel lacks or forbids is told by a number, without the file", &[
        Test("src/sys/tun.rs::a_refusal_names_the_request_and_the_file"),
        Test("src/sys/vhost/mod.rs::a_refusal_names_the_request_and_the_file"),
        Test("src/host/tests/process.rs::without_privilege_the_refusal_is_exit_code_5_with_a_remedy"),
        Test("src/host/tests/process.rs::without_dev_net_tun_the_refusal_is_exit_code_7_and_names_the_driver"),
        Test("tests/live/create.rs::backend_auto_takes_vhost_net_where_it_is_and_else_says_once_why_not"),
    ]),
    ("B29", "making a ring loops for ever when buffers run out", &[
        Test("tests/live/refuse.rs::a_create_that_does_not_fit_the_memory_is_refused_with_the_limit_and_undone"),
    ]),
    ("B30", "the backend sees the whole address space", &[
        Test("src/sys/vhost/mod.rs::a_ring_outside_the_memory_is_refused_before_the_kernel_sees_it"),
        Test("src/ring/shared.rs::a_view_outside_the_file_or_misaligned_is_refused_and_views_share_their_bytes"),
    ]),
    ("B31", "threads that share a transmit queue lock something else", &[
        Test("src/engine/peers/tests.rs::messages_cross_two_threads_in_order_and_whole"),
        Test("src/engine/tests/xconnect.rs::frames_over_many_small_buffers_cross_two_pollers_both_ways_whole"),
    ]),
    ("B32", "received frames are counted for another interface, and only their first buffer", &[
        Test("tests/live/wire.rs::the_ledger_balances_in_100_snapshots_of_a_transfer_and_ends_equal_to_the_kernels"),
        Test("tests/live/wire.rs::frames_of_64_kib_cross_in_buffers_of_2_kib"),
        Test("tests/userspace_device/from_tap.rs::maximal_frames_are_spread_over_2_kib_buffers_and_say_how_many"),
    ]),
    ("B33", "what stands in the used ring is believed", &[
        Test("src/ring/tests.rs::hostile_used_elements_are_named_and_never_followed"),
        Test("src/ring/tests.rs::a_length_beyond_the_posted_bytes_breaks_a_receive_chain"),
        Test("tests/live/fate.rs::a_ring_that_somebody_overwrites_is_broken_with_a_reason_and_other_taps_go_on"),
        Test("src/ring/tests.rs::what_was_looked_at_is_what_is_taken_whatever_the_device_writes_meanwhile"),
        Test("src/engine/tests/hostile.rs::a_frame_that_claims_more_buffers_than_there_are_breaks_its_queue_and_the_poller_sleeps"),
        Test("src/engine/tests/hostile.rs::a_frame_used_twice_among_others_is_found_and_every_snapshot_balances"),
        Test("tests/ring_oracle/hostile.rs::a_hostile_device_never_gets_a_token_back_twice_nor_one_that_was_not_posted"),
        Test("tests/ring_oracle/our_driver.rs::indirect_chains_reach_the_other_device_whole_and_come_back_once_across_the_wrap"),
    ]),
    ("B34", "a long chain overflows the indirect table", &[
        Test("src/ring/tests.rs::a_full_ring_refuses_and_loses_nothing"),
        Test("src/ring/tests.rs::the_device_sees_the_very_segments_that_were_posted"),
    ]),
    ("B35", "offload fields are wrong for UDP, VLAN tags, extension headers or frames that pass through", &[
        Test("src/frame/check/tests.rs::everything_that_linux_hands_over_passes"),
        Test("src/frame/check/tests.rs::extension_headers_are_followed_as_far_as_the_head_reaches"),
        Test("tests/frame_kernel.rs::the_check_accepts_what_linux_sends_through_two_taps"),
        Test("tests/live/wire.rs::a_plain_tap_takes_large_frames_from_a_gso_peer_and_sends_none"),
    ]),
    ("B36", "segmentation types are told apart by single bits, and ECN is lost", &[
        Test("src/frame/check/tests.rs::each_field_that_the_kernel_refuses_is_refused"),
        Test("src/frame/check/tests.rs::everything_that_linux_hands_over_passes"),
    ]),
    ("B37", "a notification is lost between publishing and looking", &[
        Test("src/ring/tests/race.rs::no_notification_is_lost_when_two_sides_race_to_sleep"),
        Test("src/ring/notify.rs::an_event_is_passed_exactly_when_it_lies_between_old_and_new_also_across_the_wrap"),
        Test("src/engine/tests/sleep.rs::a_frame_alone_on_its_way_round_both_kinds_of_device_is_never_slept_through"),
    ]),
    ("B38", "a receive ring without buffers never starts", &[
        Test("tests/live/create.rs::a_new_interface_has_buffers_posted_before_its_first_frame"),
    ]),
    ("B39", "files leak into programs, and writing a kick may block", &[
        Test("tests/live/holder.rs::no_file_of_the_holder_would_be_inherited_and_no_eventfd_blocks"),
    ]),
    ("B40", "the header's size is passed as a number of another width", &[
        NotApplicable("the call takes a C int by its type; a header of another size would shift every frame"),
        Test("tests/live/respond.rs::ipv4_echo_and_arp_are_answered_and_counted_both_ways_on_queue_0"),
    ]),
    ("B41", "what was dropped counts as sent, too", &[
        Test("src/counters/snapshot.rs::a_frame_that_is_neither_sent_nor_dropped_nor_in_flight_fails_the_ledger"),
        Test("tests/live/fate.rs::a_host_side_that_is_down_leaves_another_pair_untouched_and_resumes"),
        Test("tests/live/wire.rs::the_ledger_balances_in_100_snapshots_of_a_transfer_and_ends_equal_to_the_kernels"),
        Test("src/engine/tests/hostile.rs::a_backend_that_eats_one_frame_makes_the_ledger_at_rest_fail"),
    ]),
    ("B42", "one queue only, an obsolete flag, and the default send buffer", &[
        Test("src/host/tests/birth.rs::a_device_for_another_namespace_is_born_in_the_staging_namespace_and_moved_with_all_its_queues"),
        Test("src/host/tests/birth.rs::a_device_for_the_own_namespace_is_born_in_place_and_dies_with_its_file"),
        Test("tests/live/queues.rs::two_hundred_flows_cross_four_queues_and_one_either_way_round_and_the_host_drops_none"),
    ]),
    ("B43", "a frame shorter than its link header reaches the kernel", &[
        Test("src/frame/check/tests.rs::lengths_are_kept_to_the_limits_of_the_kind"),
        Test("src/engine/tests/drops.rs::short_oversize_and_badly_described_frames_are_dropped_before_the_backend_sees_them"),
    ]),
    ("B44", "a ring that the kernel gave up on looks like silence", &[
        Test("tests/live/fate.rs::a_ring_that_somebody_overwrites_is_broken_with_a_reason_and_other_taps_go_on"),
    ]),
    ("B45", "the kernel's workers are threads of the process on some kernels, and nobody says so", &[
        Test("tests/live/create.rs::the_features_shown_are_the_backends_and_only_wanted_ones_are_acknowledged"),
        Test("tests/live/holder.rs::sigterm_and_sigint_under_traffic_leave_nothing"),
    ]),
];

#[rustfmt::skip]
const FAULTS: &[Row] = &[
    ("short frame", "fewer than 14 bytes crash kernels of 2024 and leak a page each through vhost-net in 2026", &[
        Test("src/frame/check/tests.rs::lengths_are_kept_to_the_limits_of_the_kind"),
        Test("src/engine/tests/drops.rs::short_oversize_and_badly_described_frames_are_dropped_before_the_backend_sees_them"),
    ]),
    ("bogus header", "gso_size, gso_type or csum_start that do not fit crash the receiver", &[
        Test("src/frame/check/tests.rs::each_field_that_the_kernel_refuses_is_refused"),
        Test("src/frame/check/tests.rs::a_gso_frame_must_be_of_the_protocol_it_says"),
        Test("src/frame/check/tests.rs::frames_that_gro_made_of_tiny_segments_pass_and_floods_of_them_do_not"),
        Test("src/frame/check/tests.rs::arbitrary_bytes_get_a_verdict_and_never_a_panic"),
        Test("tests/frame_kernel.rs::a_tap_takes_what_the_check_accepts"),
        Test("tests/frame_kernel.rs::a_tun_takes_what_the_check_accepts"),
    ]),
    ("used length", "used.len beyond what was posted is read", &[
        Test("src/ring/tests.rs::a_length_beyond_the_posted_bytes_breaks_a_receive_chain"),
    ]),
    ("segment bounds", "an address and length that cross a region are followed", &[
        Test("src/ring/shared.rs::a_view_outside_the_file_or_misaligned_is_refused_and_views_share_their_bytes"),
        Test("src/ring/tests.rs::a_chain_that_loops_or_leaves_the_table_is_malformed_and_bounded"),
        Test("tests/userspace_device/from_tap.rs::a_buffer_outside_the_memory_is_used_up_unread_and_the_next_takes_the_frame"),
        Test("tests/userspace_device/to_tap.rs::chains_that_cannot_be_followed_or_lie_outside_the_memory_are_refused_and_not_written"),
    ]),
    ("index jump", "an index that jumps by more than the ring, or an id in flight twice, is followed", &[
        Test("src/ring/tests.rs::hostile_used_elements_are_named_and_never_followed"),
        Test("tests/live/fate.rs::a_ring_that_somebody_overwrites_is_broken_with_a_reason_and_other_taps_go_on"),
        Test("tests/ring_oracle/hostile.rs::a_hostile_device_never_gets_a_token_back_twice_nor_one_that_was_not_posted"),
        Test("tests/ring_oracle/hostile.rs::a_device_that_scribbles_while_the_driver_works_breaks_the_ring_and_nothing_else"),
    ]),
    ("ring loop", "a chain without an end spins a worker that cannot be stopped", &[
        Test("src/ring/tests.rs::a_chain_that_loops_or_leaves_the_table_is_malformed_and_bounded"),
        Test("tests/ring_oracle/our_device.rs::a_driver_that_claims_more_chains_than_entries_is_taken_for_an_idle_one"),
    ]),
    ("stalled backend", "a device that takes nothing stops the others, or never resumes", &[
        Test("tests/live/fate.rs::a_host_side_that_is_down_leaves_another_pair_untouched_and_resumes"),
        Test("src/engine/tests/stall.rs::a_stalled_device_fills_its_ring_drops_and_resumes_while_others_go_on"),
        Test("src/engine/tests/stall.rs::a_stalled_device_on_another_poller_drops_and_resumes_while_others_go_on"),
        Test("src/engine/tests/stall.rs::a_stalled_peer_may_not_hold_more_buffers_than_can_be_lent"),
        Test("tests/userspace_device/poller.rs::a_host_side_that_reads_nothing_stalls_its_own_peer_only_and_resumes_without_a_wedge"),
    ]),
    ("EIO", "a host side that is down ends the process", &[
        Test("tests/live/fate.rs::a_host_side_that_is_down_leaves_another_pair_untouched_and_resumes"),
        Test("tests/live/fate.rs::a_host_side_set_down_and_up_by_others_is_shown_and_answers_again"),
        Test("tests/userspace_device/to_tap.rs::a_frame_that_the_host_side_refuses_is_used_up_with_its_errno_and_others_pass"),
    ]),
    ("deleted tap", "a device that others delete crashes or orphans its configuration", &[
        Test("tests/live/fate.rs::a_host_side_deleted_by_others_is_host_gone_and_a_stranger_of_its_name_outlives_delete"),
        Test("src/engine/tests/retire.rs::a_host_side_that_is_gone_loses_what_is_in_flight_and_nothing_is_offered_to_it_again"),
        Test("tests/userspace_device/to_tap.rs::a_host_side_that_is_gone_refuses_every_frame_and_none_is_left"),
        Test("src/engine/tests/retire.rs::a_false_alarm_resumes_a_suspended_queue_but_not_a_broken_one"),
    ]),
    ("deleted namespace", "a namespace is kept alive, or its end is not noticed", &[
        Test("tests/live/fate.rs::a_namespace_deleted_under_traffic_is_freed_at_once_and_its_tap_is_host_gone"),
        Test("src/host/tests/events.rs::a_namespace_is_freed_with_its_last_outside_reference_though_tap_watch_and_number_are_held"),
    ]),
    ("kill -9", "devices, routes and namespaces outlive a killed process", &[
        Test("tests/live/holder.rs::a_killed_holder_leaves_nothing_either"),
    ]),
    ("inherited files", "programs inherit files and keep namespaces and devices alive", &[
        Test("tests/live/holder.rs::no_file_of_the_holder_would_be_inherited_and_no_eventfd_blocks"),
    ]),
    ("files of a client", "a client sends files until there are none left", &[
        Test("src/holder/connection.rs::a_message_with_too_many_files_is_refused_and_they_are_closed"),
        Test("src/holder/connection.rs::each_file_stays_with_the_message_that_it_was_sent_with"),
        Test("src/sys/socket.rs::as_many_files_as_a_message_can_carry_are_all_adopted"),
        Test("src/sys/socket.rs::files_come_with_their_bytes_and_are_closed_on_exec"),
        Test("tests/holder/crowd.rs::files_for_which_a_process_has_no_room_are_closed_and_none_is_lost"),
        Test("tests/holder/crowd.rs::two_hundred_hostile_clients_cost_the_others_nothing"),
        Test("tests/holder/crowd.rs::two_hundred_hostile_clients_hold_up_neither_the_last_delete_nor_sigterm"),
    ]),
    ("control socket", "whoever reaches the socket commands the process", &[
        Test("src/sys/socket.rs::a_listener_is_born_for_its_owner_alone"),
        Test("src/holder/place.rs::a_directory_that_others_may_write_in_or_that_is_a_link_is_refused"),
        Test("tests/holder/users.rs::another_users_holder_is_not_reached_whatever_the_mode_of_its_socket"),
        Test("tests/holder/users.rs::a_holder_is_neither_made_nor_found_in_a_directory_that_is_a_link"),
        Test("tests/live/one_shot.rs::the_first_create_starts_a_holder_and_the_last_delete_leaves_nothing"),
        Test("tests/live/one_shot.rs::whatever_is_at_the_socket_but_no_holder_is_left_alone"),
    ]),
    ("namespace path", "a path leads somewhere else, or its open never returns", &[
        Test("tests/live/refuse.rs::a_file_that_is_no_network_namespace_is_refused"),
        Test("src/api/namespace.rs::a_pid_that_is_no_number_and_a_name_with_a_slash_are_refused"),
        Test("src/sys/namespace.rs::only_a_network_namespace_counts_as_one"),
    ]),
    ("interface name", "a name is cut, expanded, or speaks to the terminal", &[
        Test("src/units/names.rs::names_that_the_kernel_would_bend_are_refused"),
        Test("src/sys/tun.rs::a_name_of_sixteen_bytes_keeps_its_terminating_zero"),
        Test("src/render/escape.rs::terminal_sequences_and_reordering_are_spelled_out"),
    ]),
    ("ownerless device", "whoever opens /dev/net/tun attaches to a persistent device without an owner", &[
        Test("tests/live/attach.rs::a_device_that_persists_survives_its_killed_holder_and_is_attached_to_again"),
        Test("tests/live/create.rs::owner_and_group_are_the_devices"),
    ]),
    ("oversize frame", "a tap takes a write of a megabyte", &[
        Test("src/frame/check/tests.rs::lengths_are_kept_to_the_limits_of_the_kind"),
        Test("src/action/respond/tests/echo.rs::the_longest_packets_are_answered_or_refused_as_oversize"),
        Test("src/engine/tests/drops.rs::short_oversize_and_badly_described_frames_are_dropped_before_the_backend_sees_them"),
    ]),
    ("worker's end", "files are closed under a kernel worker that still runs", &[
        Test("tests/live/holder.rs::sigterm_and_sigint_under_traffic_leave_nothing"),
        Test("tests/live/holder.rs::delete_gives_back_every_file_and_thread"),
    ]),
    ("packed ring", "packed rings were broken for years", &[Refused("packed"), Refused("in-order")]),
    ("checksum and gso", "a frame with both is treated as having one", &[
        Test("tests/live/wire.rs::a_plain_tap_takes_large_frames_from_a_gso_peer_and_sends_none"),
        Test("tests/live/offload.rs::csum_offload_alone_leaves_checksums_to_us_and_sends_no_large_frames"),
    ]),
    ("used out of order", "transmit descriptors that come back out of order are freed in order", &[
        Test("tests/ring_oracle/model.rs::any_interleaving_of_both_sides_moves_every_chain_once_in_order_and_notifies_exactly"),
        Test("tests/ring_oracle/hostile.rs::a_hostile_device_never_gets_a_token_back_twice_nor_one_that_was_not_posted"),
    ]),
    ("lost segments", "coalescing in software makes frames that the receiver chokes on", &[
        Refused("gro-coalesce"),
        Test("tests/live/offload.rs::a_no_gso_end_gets_no_large_frame_and_no_partial_checksum_from_a_gso_peer"),
    ]),
    ("unsent request", "a request to the kernel that was never sent counts as done", &[
        Test("tests/live/unsent.rs::a_create_one_of_whose_requests_cannot_be_sent_fails_and_leaves_nothing"),
        Test("src/host/session.rs::an_answer_without_an_acknowledgement_is_a_failure_whatever_came_before"),
    ]),
    ("no thread", "where the kernel refuses a thread the process ends, with every device", &[
        Test("tests/holder/threads.rs::where_no_thread_can_be_had_a_create_is_refused_and_the_last_delete_removes_the_socket"),
        Test("src/control/thread.rs::where_no_thread_can_be_had_work_is_refused_or_done_here_and_never_lost"),
    ]),
    ("many threads", "a create starts dozens of threads, each of which may be refused its memory", &[
        Test("tests/holder/threads.rs::a_create_of_seven_host_options_starts_two_threads_at_most_and_enters_three_namespaces_at_most"),
    ]),
    ("ignored words", "a word is taken and does nothing", &[
        Refused("packed"),
        Test("tests/varlink.rs::what_the_command_line_refuses_is_refused_to_foreign_clients_too"),
    ]),
];

fn rows() -> impl Iterator<Item = &'static Row> {
    DEFECTS.iter().chain(FAULTS)
}

#[test]
fn every_defect_has_a_row_and_every_row_a_verdict() {
    let numbers: Vec<&str> = DEFECTS.iter().map(|(id, ..)| *id).collect();
    let mut expected: Vec<String> = (1..=45).map(|n| format!("B{n}")).collect();
    expected.insert(8, "B8b".into());
    assert_eq!(numbers, expected);
    let mut ids = BTreeSet::new();
    for (id, what, verdicts) in rows() {
        assert!(ids.insert(id), "{id} has two rows");
        assert!(what.len() > 10 && !verdicts.is_empty(), "{id}: {what}: nothing against it");
    }
}

#[test]
fn every_test_that_a_row_names_exists() {
    let mut files: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (id, _, verdicts) in rows() {
        for verdict in *verdicts {
            match verdict {
                Test(name) => {
                    let (file, test) = name.split_once("::").unwrap();
                    let tests = files.entry(file).or_insert_with(|| tests_of(file));
                    assert!(tests.contains(test), "{id}: no test {test} in {file}");
                }
                // What a version lacks it refuses, or has by now.
                NotApplicable(reason) => {
                    assert!(reason.len() > 20 && !reason.contains("version"), "{id}: {reason}")
                }
                Refused(_) => {}
            }
        }
    }
}

#[test]
fn every_word_that_a_row_calls_refused_is_refused() {
    let mut words = BTreeSet::new();
    for (_, _, verdicts) in rows() {
        for verdict in *verdicts {
            if let Refused(word) = verdict {
                words.insert(*word);
            }
        }
    }
    assert!(!words.is_empty());
    for word in words {
        let mut command = Command::new(cargo_bin("taptool"));
        // Taken, it would do nothing.
        command.args(["create", "tap", "dry-run"]).args(word.split(' '));
        let out = command.env("NO_COLOR", "1").output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{word}: {said}");
        // What to do instead may follow.
        let expected = format!("create tap: {word}: not supported in this version");
        assert_eq!(said.lines().next(), Some(expected.as_str()), "{word}");
    }
}
