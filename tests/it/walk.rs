//! A new operator's first day, by the README alone: `tests/walk.sh` walks it on the built program.

use crate::support::{has, skip, text};
use std::path::Path;
use std::process::Command;

#[test]
fn a_new_operator_finds_each_cause_in_status_repairs_it_and_has_calls_told_again() {
    if !has("bash", "--version") {
        return skip("walk::a_new_operator", "there is no bash");
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/walk.sh");
    let output = Command::new("bash")
        .arg(script)
        .arg(env!("CARGO_BIN_EXE_switchhook"))
        .output()
        .unwrap();
    let (told, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{told}\n{errors}");
    assert!(told.contains("the day is over"), "{told}");
}
