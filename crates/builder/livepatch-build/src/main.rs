//! `livepatch-build`: the patch author's command.

mod commands;

use std::process::ExitCode;

fn main() -> ExitCode {
    commands::main()
}
