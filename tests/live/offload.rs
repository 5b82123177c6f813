//! What the host leaves undone, and what is done here in its place.

use serde_json::json;

use crate::common::{Hold, live, sum};
use crate::wire::{assert_equal_to_the_kernels, frame_bytes, offload, pair, transfer};

#[test]
fn csum_offload_alone_leaves_checksums_to_us_and_sends_no_large_frames() {
    live(|world| {
        let mut hold = Hold::start(world);
        pair(world, &mut hold, "csum-offload", "");
        let tap = hold.tap("wa");
        let seen = (&tap["gso"], &tap["csum_offload"], &tap["offloads"]);
        assert_eq!(seen, (&json!(false), &json!(true), &json!(["CSUM"])));
        assert!(offload(world, "a", "wa", "tx-checksumming"));
        assert!(!offload(world, "a", "wa", "tx-tcp-segmentation"));
        let taps = transfer(world, &mut hold, "a", "b", "10.8.0.2");
        assert!(frame_bytes(&taps[0], "rx_queues") <= 1514, "{taps:#?}");
        assert_equal_to_the_kernels(world, &mut hold);
        hold.close();
    });
}

#[test]
fn each_word_of_set_tap_offload_sets_all_that_the_host_leaves_undone() {
    live(|world| {
        let mut hold = Hold::start(world);
        pair(world, &mut hold, "", "");
        for (word, gso, csum) in [
            ("csum-offload-enable", false, true),
            ("gso-enable", true, true),
            ("csum-offload-enable", false, true),
            ("csum-offload-disable", false, false),
            ("gso-enable", true, true),
            ("gso-disable", false, false),
            ("gso-enable", true, true),
            ("csum-offload-disable", false, false),
        ] {
            hold.run(&format!("set tap offload wa {word}"));
            let tap = hold.tap("wa");
            assert_eq!((&tap["gso"], &tap["csum_offload"]), (&json!(gso), &json!(csum)), "{word}");
            assert_eq!(offload(world, "a", "wa", "tx-checksumming"), csum, "{word}");
            assert_eq!(offload(world, "a", "wa", "tx-tcp-segmentation"), gso, "{word}");
        }
        world.ping_answered("a", "10.8.0.2");
        hold.close();
    });
}

#[test]
fn a_transfer_survives_every_change_of_the_offloads_under_it() {
    live(|world| {
        let mut hold = Hold::start(world);
        pair(world, &mut hold, "gso", "csum-offload");
        let transfer = world.iperf("a", "b", "10.8.0.2");
        for _ in 0..3 {
            for word in ["gso-disable", "csum-offload-enable", "gso-enable"] {
                hold.run(&format!("set tap offload wa {word}"));
                hold.run(&format!("set tap offload wb {word}"));
                let now = sum(&hold.tap("wb"), "tx_queues", "bytes");
                hold.tap_when("wb", "it goes on", 10.0, |t| {
                    sum(t, "tx_queues", "bytes") > now + 1_000_000
                });
            }
        }
        transfer.stop();
        assert_equal_to_the_kernels(world, &mut hold);
        hold.close();
    });
}
