//! A delete: off the data path at once, while control and data of others go on.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::{World, backend, live, patience, report, sum};

/// A client of the control socket that starts no program.
struct Client(BufReader<UnixStream>);

impl Client {
    fn new(world: &World) -> Self {
        Self(BufReader::new(UnixStream::connect(world.socket()).unwrap()))
    }

    fn send(&mut self, method: &str, parameters: Value) {
        let call = json!({ "method": format!("io.taptool.{method}"), "parameters": parameters });
        self.0.get_mut().write_all(format!("{call}\0").as_bytes()).unwrap();
    }

    fn answer(&mut self) -> Value {
        let mut text = Vec::new();
        self.0.read_until(0, &mut text).unwrap();
        assert_eq!(text.pop(), Some(0), "the holder hung up");
        let mut answer: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(answer.get("error"), None, "{answer}");
        answer["parameters"].take()
    }

    /// All interfaces.
    fn show(&mut self) -> Vec<Value> {
        self.send("Show", json!({ "overview": [] }));
        self.answer()["interfaces"].as_array().unwrap().clone()
    }
}

/// How many are deleted at once: what the kernel needs for all of them is longer than they may move
/// frames.
const MANY: usize = 96;

#[test]
fn interfaces_being_deleted_move_nothing_and_are_shown_so_while_others_are_served() {
    live(|world| {
        for netns in ["a", "b", "c"] {
            world.quiet_netns(netns);
        }
        let small = "rx-ring-size 64 tx-ring-size 64";
        let mut script = format!(
            "create keep host-ns b host-ip4-addr 10.9.0.1/24 respond 10.9.0.2/24 backend {0}\n",
            backend()
        );
        for i in 0..MANY {
            let netns = if i == 0 { "c" } else { "a" };
            let address =
                if i < 2 { format!("host-ip4-addr 10.8.0.{i}/24") } else { String::new() };
            let backend = backend();
            writeln!(script, "create w{i} host-ns {netns} {address} {small} backend {backend}")
                .unwrap();
        }
        script.push_str("xconnect w0 w1\n");
        let path = world.dir().join("script");
        std::fs::write(&path, script).unwrap();
        world.done(&format!("exec {}", path.display()));

        let mut observer = Client::new(world);
        let _flood = world.start("ip netns exec c ping -n -q -f 10.8.0.1");
        let moved = |all: &[Value], name: &str| {
            let tap = all.iter().find(|tap| tap["name"] == name)?;
            Some((sum(tap, "rx_queues", "packets"), sum(tap, "tx_queues", "packets")))
        };
        let end = Instant::now() + patience(5.0);
        while moved(&observer.show(), "w0").unwrap().1 < 100 {
            assert!(Instant::now() < end, "the flood moves nothing");
        }
        let mut deleter = Client::new(world);
        let names: Vec<Value> = (0..MANY).map(|i| json!({ "name": format!("w{i}") })).collect();
        let begin = Instant::now();
        deleter.send("Delete", json!({ "named": names }));
        let deleted = thread::spawn(move || (deleter.answer(), begin.elapsed()));

        let (mut first, mut longest, mut off, mut shows) = (None, Duration::ZERO, false, 0);
        let (mut last, mut other) = ([None, None], None);
        loop {
            let asked = begin.elapsed();
            let all = observer.show();
            longest = longest.max(begin.elapsed() - asked);
            let deleting = all.iter().filter(|tap| tap["state"] == "deleting").count();
            if deleting > 0 {
                shows += 1;
                // It takes as long as a busy machine likes, and the next look must not wait for it.
                if first.is_none() {
                    first = Some(begin.elapsed());
                    other = Some(world.start("ip netns exec b ping -n -q -c 1 10.9.0.2"));
                }
            }
            // None is taken apart before all are off the data path; from the first that is gone on,
            // none moves a frame.
            off = off || (deleting > 0 && all.len() <= MANY);
            if off {
                assert_eq!(deleting, all.len() - 1, "after {asked:?}: {all:#?}");
                // No frame moves any more, though the flood goes on.
                let now = ["w0", "w1"].map(|name| moved(&all, name));
                for (now, before) in now.into_iter().zip(&mut last) {
                    let same = now.is_none() || before.is_none() || now == *before;
                    assert!(same, "after {asked:?} from {before:?} to {now:?}");
                    *before = now;
                }
            }
            // The other interface is there, and its frames move.
            let keep = all.iter().find(|tap| tap["name"] == "keep").unwrap();
            assert_eq!((&keep["state"], &keep["link_up"]), (&"up".into(), &true.into()));
            if all.len() == 1 {
                break;
            }
        }
        let answered = other.expect("some were shown as deleting").output(10.0);
        assert!(answered.status.success(), "the other interface answers");
        let (answer, took) = deleted.join().unwrap();
        assert_eq!(answer["interfaces"].as_array().unwrap().len(), MANY, "{answer:#}");
        report(&format!("delete {MANY} in {took:?}, shown after {first:?}, show {longest:?}"));
        assert!(shows >= 2, "{shows} answers while it was under way");
        assert!(off, "some were shown as deleting when the first was gone");
        world.done("delete keep");
        drop(observer);
        world.nothing_left();
    });
}
