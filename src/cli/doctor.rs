//! `doctor [NAME]`: the command, and its findings as people read them.

use super::globals::Globals;
use super::names;
use super::shown::Shown;
use crate::api::{InterfaceRef, Reply, Request, ShowRequest, Submit};
use crate::diag::Failure;
use crate::doctor::{self, Finding, Holder, Report};
use crate::holder::Client;
use crate::render::{escape, wrapped};
use crate::units::IfName;

/// Columns that sentences are broken at. Commands are not: they are pasted.
const WIDTH: usize = 100;

/// Say what this machine offers, or what an interface would drop.
///
/// Alone: /dev/net/tun, /dev/vhost-net, rights, namespaces, kernel and limits; for what is missing,
/// what it costs and the command that gets it. Exit code 0 when taps can be made, else 5, 7, or 6
/// where a holder does not answer.
///
/// With NAME: walks the interface from the host side to its action and says what works and what
/// drops frames, each with the command that mends it. Exit code 0 when nothing would be dropped, 1
/// when something would, 3 when there is no such interface. As a line of a script its findings do
/// not fail it.
///
/// Nothing is changed. With -j: an array of objects with check, state (ok, missing, drops, note,
/// unknown), value, cost and remedy.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  taptool doctor\n  taptool doctor tap0\n  -j doctor tap0")]
pub(super) struct Args {
    /// The interface.
    #[arg(value_name = "NAME", add = names::interfaces())]
    pub name: Option<IfName>,
}

/// Runs the checks. `control` answers for the process that holds interfaces; `holder` is what is
/// known about it.
pub(super) async fn examine(
    control: &impl Submit,
    holder: Holder,
    name: Option<IfName>,
) -> Result<Report, Failure> {
    match name {
        None => doctor::machine(holder).await,
        Some(name) => doctor::interface(control, &InterfaceRef::Name(name)).await,
    }
}

/// Whether a holder answers. None is started.
pub(super) async fn holder(client: &Client) -> Holder {
    let everything = Request::Show(ShowRequest::Overview(Vec::new()));
    match client.submit(everything).await {
        Ok(Ok(outcome)) => Holder::Answers(match outcome.reply {
            Reply::Interfaces(all, _) if all.len() == 1 => "with 1 interface".to_owned(),
            Reply::Interfaces(all, _) => format!("with {} interfaces", all.len()),
            _ => String::new(),
        }),
        Ok(Err(_)) => Holder::Absent,
        Err(failure) => Holder::Silent(failure),
    }
}

/// What is printed of it. The code is the report's.
pub(super) fn shown(path: &str, found: Result<Report, Failure>, globals: &Globals) -> Shown {
    let report = match found {
        Ok(report) => report,
        Err(failure) => return Shown::failure("", path, &failure),
    };
    let out = match (globals.pretty, globals.json) {
        (true, _) => format!("{:#}\n", report.to_json()),
        (false, true) => format!("{}\n", report.to_json()),
        (false, false) => text(&report),
    };
    Shown { out, code: report.code, ..Shown::default() }
}

/// A row a finding: check, state, what was seen; below it what it costs and what mends it.
fn text(report: &Report) -> String {
    let widest = |word: fn(&Finding) -> &str| {
        report.findings.iter().map(|finding| word(finding).len()).max().unwrap_or(0)
    };
    let check = widest(|finding| &finding.check);
    let state = widest(|finding| finding.state.word());
    let margin = check + state + 4;
    let mut out = String::new();
    for finding in &report.findings {
        let word = finding.state.word();
        let head = format!("{:check$}  {word:state$}  ", finding.check);
        let sentence =
            |head: &str, text: &str| wrapped(head, escape(text).split(' '), " ", margin, WIDTH);
        out += &sentence(&head, &finding.value);
        let blank = " ".repeat(margin);
        if let Some(cost) = &finding.cost {
            out += &sentence(&blank, cost);
        }
        if let Some(remedy) = &finding.remedy {
            out.push_str(&format!("{blank}=> {}\n", escape(remedy)));
        }
    }
    out.push_str(&format!("{}\n", escape(&report.summary)));
    out
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::diag::Code;
    use crate::doctor::Verdict;

    fn finding(check: &'static str, state: Verdict, value: &str) -> Finding {
        let check = Cow::Borrowed(check);
        Finding { check, state, value: value.into(), cost: None, remedy: None }
    }

    fn report() -> Report {
        let sentence = "word ".repeat(25);
        let command = "ip -n foo link set dev tap0 up ".repeat(5);
        let drops = Finding {
            cost: Some(sentence.trim().into()),
            remedy: Some(command.trim().into()),
            ..finding("host-link", Verdict::Drops, "evil\u{1b}[2J is down")
        };
        let findings = vec![finding("mtu", Verdict::Ok, "1500"), drops];
        Report { findings, summary: "tap0: 1 thing".into(), code: Some(Code::Failed) }
    }

    #[test]
    fn rows_are_aligned_sentences_broken_and_commands_left_whole() {
        let shown = shown("doctor", Ok(report()), &Globals::default());
        let words = |n| vec!["word"; n].join(" ");
        let margin = " ".repeat(18);
        let expected = [
            "mtu        ok     1500".to_owned(),
            "host-link  drops  evil\\u{1b}[2J is down".to_owned(),
            format!("{margin}{}", words(16)),
            format!("{margin}{}", words(9)),
            format!("{margin}=> {}", ["ip -n foo link set dev tap0 up"; 5].join(" ")),
            "tap0: 1 thing".to_owned(),
        ];
        assert_eq!(shown.out, expected.map(|line| line + "\n").concat());
        assert_eq!((shown.code, shown.err.len()), (Some(Code::Failed), 0));
    }

    #[test]
    fn json_is_an_array_with_all_keys_on_one_line() {
        let globals = Globals { json: true, ..Globals::default() };
        let out = shown("doctor", Ok(report()), &globals).out;
        assert_eq!(out.lines().count(), 1);
        let begin = r#"[{"check":"mtu","cost":null,"remedy":null,"state":"ok","value":"1500"},"#;
        assert!(out.starts_with(begin), "{out}");
        let globals = Globals { pretty: true, ..Globals::default() };
        assert!(shown("doctor", Ok(report()), &globals).out.lines().count() > 10);
    }

    #[test]
    fn in_a_script_a_finding_is_no_failure_and_a_refusal_is() {
        let found = shown("doctor", Ok(report()), &Globals::default()).without_verdict();
        assert_eq!(found.code, None);
        let unknown = Failure::new(Code::NotFound, "tap9", "no such interface");
        let refused = shown("doctor", Err(unknown), &Globals::default()).without_verdict();
        assert_eq!(refused.code, Some(Code::NotFound));
    }
}
