//! Reports of our own bugs: what an operator cannot mend is told with what to send us.

use color_eyre::Section;
use color_eyre::eyre::Report;

/// What to send us, below a panic or a broken invariant.
pub const BUG: &str = "\
This is a bug of taptool: please report it with the lines above,
the command, `taptool --version' and `uname -a'.";

/// The report of a bug that a command ended with: `said` is the failure with what it is about. It is
/// coloured as the process's hook for reports wants it.
pub(super) fn report(said: String) -> String {
    // The failure says where it was found, which may be another process.
    let report = Report::msg(said).suppress_backtrace(true);
    format!("Error:{report:?}\n\n{BUG}")
}

#[cfg(test)]
mod tests {
    use super::BUG;
    use crate::cli::shown::Shown;
    use crate::diag::{Code, Failure};

    #[test]
    fn a_bug_is_reported_with_what_to_send_us_and_an_operators_error_stands_alone() {
        let wrong = Failure::new(Code::Failed, "tap0", "no backend");
        let said = Shown::failure("FILE:3: ", "show", &wrong).stderr(false);
        assert_eq!(said, "FILE:3: show: tap0: no backend\n");
        let bug = Failure { bug: Some("src/control/mod.rs:7".into()), ..wrong };
        let shown = Shown::failure("FILE:3: ", "show", &bug);
        let said = shown.stderr(false);
        assert!(said.contains("FILE:3: show: tap0: no backend; this is a bug (src/"), "{said}");
        assert!(said.starts_with("Error:") && said.ends_with(&format!("{BUG}\n")), "{said}");
        assert_eq!(shown.code, Some(Code::Failed));
    }
}
