//! Programs that are not ours write, replace and move files: tests/strangers.py, for some seconds and without
//! kills. `SWITCHHOOK_STRANGERS` says for how many seconds with all of them and with kills.
//! tests/strangers_more.py holds what the machines of switches do.

use crate::support::{has, skip, text};
use std::process::Command;

/// Scenes that need no program but Python, and leave every file where it is found.
const SCENES: &str = "pythontimed,throughalink,halfthroughalink,directorymoved,vimedited,linkedin";

/// The same of strangers_more.py.
const SCENES_MORE: &str =
    "oddnames,asteriskrotate,daily,cronmoved,buffered,uploadedhidden,corrected";

#[test]
fn what_other_programs_do_to_files_loses_no_row_and_tells_none_twice() {
    live(SCENES, &[]);
}

#[test]
fn what_the_machines_of_switches_do_to_files_loses_no_row_and_tells_none_twice() {
    live(SCENES_MORE, &["--more"]);
}

fn live(scenes: &str, options: &[&str]) {
    if !has("python3", "--version") {
        return skip("strangers::what_other_programs_do", "no python3");
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/strangers.py");
    let mut strangers = Command::new("python3");
    strangers.args([script, "--binary", env!("CARGO_BIN_EXE_switchhook")]);
    strangers.args(options);
    match std::env::var("SWITCHHOOK_STRANGERS") {
        Ok(seconds) => strangers.args(["--seconds", &seconds]),
        Err(_) => strangers.args([
            "--seconds",
            "4",
            "--calm",
            "--seed",
            "7",
            "--scenes",
            scenes,
        ]),
    };
    let output = strangers.output().unwrap();
    let told = text(&output.stdout) + &text(&output.stderr);
    println!("{told}");
    assert!(output.status.success(), "{told}");
}
