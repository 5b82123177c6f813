use std::cell::{Cell, RefCell};
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::*;
use crate::api::Submit;
use crate::api::{Deleted, InterfaceRef, Outcome, Reply, ShowRequest, View};
use crate::cli::script;

/// Answers everything, and remembers what it was asked. `bad` does not exist; deleting `stuck`
/// leaves something behind.
#[derive(Default)]
struct Fake {
    asked: RefCell<Vec<String>>,
}

impl Owner for Fake {
    fn owned(&self) -> usize {
        0
    }
}

impl Submit for Fake {
    async fn submit(&self, request: Request) -> Result<Outcome, Failure> {
        let mut asked = self.asked.borrow_mut();
        match request {
            Request::Show(ShowRequest::Overview(names)) => {
                asked.push("show".into());
                match names.first() {
                    Some(name) => Err(name.missing()),
                    None => Ok(Reply::Interfaces(Vec::new(), View::Overview).into()),
                }
            }
            Request::Delete(DeleteRequest::All { .. }) => {
                asked.push("delete all".into());
                Ok(Reply::Deleted(Vec::new()).into())
            }
            Request::Delete(DeleteRequest::Named(names) | DeleteRequest::Destroy(names)) => {
                asked.push("delete".into());
                let gone = names.into_iter().filter_map(|name| match name {
                    InterfaceRef::Name(name) => {
                        let stuck = name.as_str() == "stuck";
                        let not_undone =
                            if stuck { vec!["route 0.0.0.0/0".into()] } else { vec![] };
                        Some(Deleted { name, not_undone })
                    }
                    InterfaceRef::Index(_) => None,
                });
                Ok(Reply::Deleted(gone.collect()).into())
            }
            Request::Gso(gso) => {
                asked.push("gso".into());
                let InterfaceRef::Name(name) = gso.interface else { panic!("by its name") };
                let notices = vec!["gso: a notice".into()];
                Ok(Outcome { reply: Reply::Changed(vec![name]), notices })
            }
            other => panic!("{other:?}"),
        }
    }
}

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Sink {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A reader that went away.
struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A reader that never reads.
struct Stuck;

impl Write for Stuck {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        std::thread::sleep(Duration::from_secs(3600));
        Ok(0)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Held {
    asked: Vec<String>,
    out: String,
    err: String,
    end: Result<(), Code>,
    stopped: bool,
}

/// All lines of a script.
fn feed(script: &'static str) -> mpsc::Receiver<Input> {
    let (sender, receiver) = mpsc::channel(16);
    // On a thread of its own, because it may not block a runtime.
    std::thread::spawn(move || script::read(script.as_bytes(), "f", &sender)).join().unwrap();
    receiver
}

/// As often as the session may go on before a signal comes. Nothing that it does here waits for
/// another thread more often.
const TURNS: usize = 100;

/// When something is taken for hung.
const HUNG: Duration = Duration::from_secs(120);

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Holds `script`; the signal comes when it has run and had ample opportunity to end.
fn held(script: &'static str, globals: Globals) -> Held {
    let (out, err) = (Sink::default(), Sink::default());
    let printer = Printer::start(out.clone(), err.clone(), false).unwrap();
    let fake = Fake::default();
    let (has_run, mut stopped) = (Cell::new(false), false);
    let signal = async {
        while !has_run.get() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for _ in 0..TURNS {
            tokio::task::yield_now().await;
        }
        stopped = true;
        15
    };
    let run = || has_run.set(true);
    let served = serve(&fake, Some(feed(script)), None, (&globals, &printer), run, signal);
    let end = runtime().block_on(async { tokio::time::timeout(HUNG, served).await.unwrap() });
    Held { asked: fake.asked.into_inner(), out: out.text(), err: err.text(), end, stopped }
}

fn json() -> Globals {
    Globals { json: true, ..Globals::default() }
}

#[test]
fn lines_run_in_order_and_the_end_of_input_keeps_holding_until_the_signal() {
    let held = held("show\n# nothing\n\ngso \\\n  tap0 on\ndelete tap0\n", Globals::default());
    assert_eq!(held.asked, ["show", "gso", "delete", "delete all"]);
    assert_eq!(held.end, Ok(()));
    assert!(held.stopped, "it ended before the signal");
    assert_eq!(held.out, "");
    assert_eq!(held.err, "f:4: gso: note: gso: a notice\n");
}

#[test]
fn json_is_one_array_a_line() {
    let held = held("show\ngso tap0 on\nwait 0\ndelete tap0 tap1\n", json());
    assert_eq!(
        held.out,
        "[]\n[{\"name\":\"tap0\"}]\n[]\n[{\"name\":\"tap0\"},{\"name\":\"tap1\"}]\n"
    );
}

#[test]
fn a_line_may_ask_for_json_itself() {
    assert_eq!(held("show\n-j show\n", Globals::default()).out, "[]\n");
}

#[test]
fn the_first_failing_line_ends_it_with_its_code_and_removes_everything() {
    for (script, code, err) in [
        (
            "show\nshow bad\nshow\n",
            Code::NotFound,
            "f:2: show: `bad' is neither a table nor an interface\n",
        ),
        (
            "show\n\nshow erors\nshow\n",
            Code::NotFound,
            "f:3: show: `erors' is neither a table nor an interface\n  did you mean `show errors'\n",
        ),
        (
            "show\ncreate tap rx-ring-size 300\nshow\n",
            Code::Usage,
            "f:2: create tap: rx-ring-size 300: not a power of two between 64 and 32768\n",
        ),
        ("show\nshow 'tap0\nshow\n", Code::Usage, "f:2: show: a quote or an escape has no end\n"),
        (
            "show\nshow tap $(Y)\nshow\n",
            Code::Usage,
            "f:2: show tap: unknown macro `Y'\n  `define NAME VALUE' makes one\n",
        ),
        ("show\nexec /\nshow\n", Code::Failed, "f:2: exec: /: is a directory, not a script\n"),
        ("show\nfoo\nshow\n", Code::Usage, "f:2: unknown input `foo'\n  `?' lists the commands\n"),
        (
            "show\nhold\nshow\n",
            Code::Usage,
            "f:2: hold: valid only on the command line: `taptool hold'\n",
        ),
        (
            "show\ndemo\nshow\n",
            Code::Usage,
            "f:2: demo: valid only on the command line: `taptool demo'\n",
        ),
        (
            "show\nexec /no/x\nshow\n",
            Code::Failed,
            "f:2: exec: /no/x: open: No such file or directory (ENOENT)\n",
        ),
        ("show\n-j\nshow\n", Code::Usage, "f:2: no command\n"),
    ] {
        let held = held(script, Globals::default());
        assert_eq!(held.end, Err(code), "{script}");
        assert_eq!(held.err, err, "{script}");
        assert_eq!(held.asked.first().map(String::as_str), Some("show"), "{script}");
        assert_eq!(held.asked.last().map(String::as_str), Some("delete all"), "{script}");
        let shows = held.asked.iter().filter(|a| *a == "show").count();
        assert!(shows <= 2 && !held.stopped, "{script}: {:?}", held.asked);
    }
}

#[test]
fn what_could_not_be_undone_is_a_failing_line() {
    let held = held("delete stuck\nshow\n", Globals::default());
    assert_eq!(held.end, Err(Code::Failed));
    assert_eq!(held.err, "f:1: delete: stuck: not undone: route 0.0.0.0/0\n");
    assert_eq!(held.asked, ["delete", "delete all"]);
}

#[test]
fn quiet_silences_notices_and_verbose_prints_lines_before_they_run() {
    let quiet = Globals { quiet: true, ..Globals::default() };
    assert_eq!(held("gso tap0 on\n", quiet).err, "");
    let verbose = Globals { verbose: true, ..Globals::default() };
    assert_eq!(held("  show \n", verbose).err, "f:1: show\n");
}

#[test]
fn a_wait_delays_the_next_line_and_a_signal_ends_it() {
    let begin = Instant::now();
    let waited = held("wait 0.02\nshow\n", Globals::default());
    assert_eq!(waited.asked, ["show", "delete all"]);
    assert!(begin.elapsed() >= Duration::from_millis(20));

    let printer = Printer::start(Sink::default(), Sink::default(), false).unwrap();
    let fake = Fake::default();
    let globals = Globals::default();
    let signal = async {
        while fake.asked.borrow().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for _ in 0..TURNS {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        15
    };
    let lines = Some(feed("show\nwait 3600\nshow\n"));
    let held = serve(&fake, lines, None, (&globals, &printer), || (), signal);
    let end = runtime().block_on(async { tokio::time::timeout(HUNG, held).await.unwrap() });
    assert_eq!(end, Ok(()));
    assert_eq!(fake.asked.into_inner(), ["show", "delete all"]);
}

#[test]
fn a_reader_that_went_away_ends_it_quietly_and_removes_everything() {
    let err = Sink::default();
    let printer = Printer::start(Closed, err.clone(), false).unwrap();
    let fake = Fake::default();
    let globals = Globals::default();
    let never = std::future::pending();
    let held =
        serve(&fake, Some(feed("-j show\nshow\n")), None, (&globals, &printer), || (), never);
    assert_eq!(runtime().block_on(held), Ok(()));
    assert_eq!(fake.asked.into_inner(), ["show", "delete all"]);
    assert_eq!(err.text(), "");
}

#[test]
fn a_reader_that_never_reads_does_not_keep_a_signal_from_its_work() {
    let printer = Printer::start(Stuck, Sink::default(), false).unwrap();
    let fake = Fake::default();
    let globals = Globals::default();
    let signal = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        15
    };
    let held =
        serve(&fake, Some(feed("-j show\nshow\n")), None, (&globals, &printer), || (), signal);
    assert_eq!(runtime().block_on(held), Ok(()));
    assert_eq!(fake.asked.into_inner(), ["show", "delete all"]);
}

#[test]
fn results_come_while_the_input_is_still_open() {
    let (lines, receiver) = mpsc::channel(4);
    let (stop, stopped) = oneshot::channel();
    let out = Sink::default();
    let printer = Printer::start(out.clone(), Sink::default(), false).unwrap();
    let fake = Fake::default();
    let globals = json();
    let stop_future = async { stopped.await.unwrap_or(15) };
    let held = serve(&fake, Some(receiver), None, (&globals, &printer), || (), stop_future);
    let client = async {
        for expected in ["[]\n", "[]\n[]\n"] {
            let input = Input { place: String::new(), text: Ok("show".into()) };
            lines.send(input).await.unwrap();
            while out.text() != expected {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        stop.send(15).unwrap();
    };
    let (end, ()) = runtime().block_on(async { tokio::join!(held, client) });
    assert_eq!(end, Ok(()));
}

#[test]
fn without_a_script_it_just_holds() {
    let printer = Printer::start(Sink::default(), Sink::default(), false).unwrap();
    let fake = Fake::default();
    let globals = Globals::default();
    let held = serve(&fake, None, None, (&globals, &printer), || (), std::future::ready(2));
    assert_eq!(runtime().block_on(held), Ok(()));
    assert_eq!(fake.asked.into_inner(), ["delete all"]);
}
