//! Frames that the host dropped before taptool could read them.

use std::fs;
use std::net::UdpSocket;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::common::{eventually, live};

#[test]
fn what_the_hosts_queue_could_not_hold_is_in_every_view_and_clear_begins_anew() {
    live(|world| {
        world.netns("a");
        world.done("create tap0 --netns a --ip4 10.9.0.1/24 --host-txqueuelen 8");
        world.ip("-n a neigh add 10.9.0.2 lladdr 02:00:00:00:00:09 dev tap0 nud permanent");
        let shown = || world.objects("show tap tap0")[0]["host_tx_dropped"].as_u64().unwrap();
        let counted = || -> u64 {
            world.class_net("a", "tap0", "statistics/tx_dropped").trim().parse().unwrap()
        };
        assert_eq!((shown(), counted()), (0, 0));
        // Nobody reads the device's queue meanwhile.
        let holder = world.holders()[0];
        let pid = Pid::from_raw(i32::try_from(holder).unwrap());
        kill(pid, Signal::SIGSTOP).unwrap();
        eventually("it is stopped", 5.0, || {
            let stat = fs::read_to_string(format!("/proc/{holder}/stat")).unwrap();
            stat.rsplit_once(") ").unwrap().1.starts_with('T')
        });
        world.inside("a", || {
            let socket = UdpSocket::bind("10.9.0.1:0").unwrap();
            for _ in 0..2_000 {
                socket.send_to(&[0; 60], "10.9.0.2:9").unwrap();
            }
        });
        kill(pid, Signal::SIGCONT).unwrap();
        let dropped = counted();
        assert!(dropped > 0, "the queue of 8 held all");
        assert_eq!(shown(), dropped);
        let all = world.done("show");
        let row = ["host".to_owned(), dropped.to_string()];
        assert!(all.lines().any(|line| line.split_whitespace().eq(row.iter())), "{all}");
        let tap = world.done("show tap tap0");
        assert!(tap.contains(&format!("  host-tx-dropped {dropped} (")), "{tap}");
        let interface = world.done("show interface tap0");
        assert!(interface.contains(&format!("host tx dropped {dropped:>16}")), "{interface}");
        let row = |row: &serde_json::Value| {
            row["reason"] == "host_tx_dropped" && row["count"] == dropped && row["name"] == "tap0"
        };
        assert!(world.objects("show errors").iter().any(row));
        let errors = world.done("show errors");
        assert!(errors.contains("raise its txqueuelen"), "{errors}");
        let (_, findings, _) = world.run("doctor tap0");
        assert!(findings.contains(&format!("has dropped {dropped} frames")), "{findings}");
        assert!(!findings.lines().last().unwrap().contains("all works"), "{findings}");
        world.done("clear interfaces");
        assert_eq!(shown(), 0);
        assert!(world.objects("show errors").iter().any(row));
        world.done("clear errors");
        assert_eq!(world.done("show errors"), "");
    });
}
