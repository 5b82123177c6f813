//! The `taptool` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    taptool::program::main()
}
