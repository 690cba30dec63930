//! Process in, exit code out.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    switchhook::cli::main(std::env::args_os()).into()
}
