//! A whole configuration applied at once, by command and over the control socket; and rows of packed
//! files told again.

use crate::support::{Bench, receiver, row, switchhook, text, wait_until};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use switchhook::receiver::Profile;

/// The output of a command, when it ends with `code`.
#[track_caller]
fn answer(bench: &Bench, arguments: &[&str], code: i32) -> String {
    let mut command = switchhook();
    command.args(arguments).arg("--config");
    let output = command
        .arg(bench.path("switchhook.toml"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let all = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {all}");
    all
}

fn status(bench: &Bench) -> Value {
    let mut command = switchhook();
    command.args(["status", "--json", "--config"]);
    let output = command.arg(bench.path("switchhook.toml")).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

fn endpoints(bench: &Bench) -> Vec<String> {
    let status = status(bench);
    let configured = status["endpoints"].as_array().into_iter().flatten();
    let configured = configured.filter(|endpoint| !endpoint["host"].is_null());
    configured
        .map(|endpoint| endpoint["name"].as_str().unwrap().to_string())
        .collect()
}

/// One request on the control socket, and the last line of its answer.
fn request(bench: &Bench, request: Value) -> Value {
    let mut socket = UnixStream::connect(bench.path("control.sock")).unwrap();
    let line = serde_json::json!({ "v": 1, "request": request });
    writeln!(socket, "{line}").unwrap();
    let last = BufReader::new(socket).lines().map_while(Result::ok).last();
    serde_json::from_str(&last.unwrap()).unwrap()
}

#[test]
fn endpoints_come_and_go_by_applying_a_whole_configuration_and_a_bad_one_changes_nothing() {
    let bench = Bench::new();
    let receiver = receiver(Profile::Standard, &[], 0);
    bench.configure(&format!("url = \"{}\"", receiver.url()));
    let config = bench.path("switchhook.toml");
    let first = fs::read_to_string(&config).unwrap();
    let more = format!(
        "{first}\n[[endpoint]]\nname = \"crm\"\nurl = \"{}\"\nevents = [\"cdr\"]\nsecret_file = \"secret\"\n",
        receiver.url()
    );
    let new = bench.path("new.toml");
    let file = new.to_str().unwrap();

    // Without an agent it is for the next start.
    fs::write(&new, &more).unwrap();
    let told = answer(&bench, &["apply", file], 0);
    assert!(told.contains("in force when one starts"), "{told}");
    assert_eq!(
        fs::read_to_string(bench.path("switchhook.toml.previous")).unwrap(),
        first
    );
    let agent = bench.agent();
    wait_until("both endpoints", || endpoints(&bench) == ["billing", "crm"]);

    // One goes.
    fs::write(&new, &first).unwrap();
    let dry = answer(&bench, &["apply", file, "--dry-run"], 0);
    assert!(dry.contains("nothing was changed"), "{dry}");
    assert_eq!(fs::read_to_string(&config).unwrap(), more);
    let told = answer(&bench, &["apply", file], 0);
    assert!(told.contains("in force:") && told.contains("crm"), "{told}");
    assert_eq!(fs::read_to_string(&config).unwrap(), first);
    assert_eq!(endpoints(&bench), ["billing"]);

    // A bad one, and one that only a restart could take on: the file is as it was, and nobody worries.
    fs::write(&new, first.replace("events", "evnts")).unwrap();
    let told = answer(&bench, &["apply", file], 78);
    assert!(
        told.contains("switchhook.toml:") && told.contains("did you mean events?"),
        "{told}"
    );
    fs::write(
        &new,
        first.replace("state_dir = \"state\"", "state_dir = \"elsewhere\""),
    )
    .unwrap();
    let told = answer(&bench, &["apply", file], 78);
    assert!(
        told.contains("state_dir") && told.contains("is as it was"),
        "{told}"
    );
    assert_eq!(fs::read_to_string(&config).unwrap(), first);
    assert!(status(&bench)["config"]["reload_error"].is_null());

    // The same over the socket, where the agent writes the file.
    let done = request(
        &bench,
        serde_json::json!({ "command": "apply", "text": more }),
    );
    assert!(done["done"]["changes"].is_array(), "{done}");
    assert_eq!(fs::read_to_string(&config).unwrap(), more);
    assert_eq!(endpoints(&bench), ["billing", "crm"]);
    for bad in [
        first.replace("events", "evnts"),
        first.replace("state_dir = \"state\"", "state_dir = \"elsewhere\""),
    ] {
        let refused = request(
            &bench,
            serde_json::json!({ "command": "apply", "text": bad }),
        );
        assert_eq!(refused["refused"]["code"], "configuration", "{refused}");
        assert_eq!(fs::read_to_string(&config).unwrap(), more);
        assert!(status(&bench)["config"]["reload_error"].is_null());
    }
    fs::write(bench.path("cdr/cdr_1.csv"), row(1)).unwrap();
    wait_until("a row at both endpoints", || {
        receiver.account().accepted >= 2
    });
    assert_eq!(agent.stop(), 0);
}

#[test]
fn rows_of_packed_files_are_told_again_with_the_ids_they_had() {
    let bench = Bench::new();
    let receiver = receiver(Profile::Standard, &[], 0);
    bench.configure(&format!("url = \"{}\"", receiver.url()));
    let plain = bench.path("cdr/cdr_1.csv");
    let rows: String = (0..300).map(row).collect();
    fs::write(&plain, &rows).unwrap();
    let agent = bench.agent();
    wait_until("every row to arrive", || receiver.account().distinct == 300);
    // While it is being packed a file is there twice, and its rows are told once.
    let packed = bench.path("cdr/cdr_1.csv.gz");
    let pack = || {
        let mut packer = GzEncoder::new(File::create(&packed).unwrap(), Compression::fast());
        packer.write_all(rows.as_bytes()).unwrap();
        packer.finish().unwrap();
    };
    pack();
    let all = [
        "replay",
        "--source",
        "cdr",
        "--from",
        "2026-04-01T00:00:00Z",
        "--rate",
        "50000",
    ];
    let told = answer(&bench, &all, 0);
    assert!(told.contains("300 rows of 1 file told again"), "{told}");
    fs::remove_file(&plain).unwrap();
    let told = answer(&bench, &all, 0);
    assert!(told.contains("300 rows of 1 file told again"), "{told}");
    // By its content, whatever it is called.
    let other = bench.path("from-the-archive");
    fs::rename(&packed, &other).unwrap();
    let one = [
        "replay",
        "--source",
        "cdr",
        "--rate",
        "50000",
        "--file",
        other.to_str().unwrap(),
    ];
    let told = answer(&bench, &one, 0);
    assert!(told.contains("300 rows of 1 file told again"), "{told}");
    wait_until("every row to arrive three times more", || {
        receiver.account().duplicates == 900
    });
    assert_eq!(receiver.account().distinct, 300, "the ids are the same");
    // One that is cut off is told as far as it goes, and that it was not whole is said.
    let bytes = fs::read(&other).unwrap();
    fs::write(&other, &bytes[..bytes.len() / 2]).unwrap();
    let cut = switchhook()
        .args(one)
        .arg("--config")
        .arg(bench.path("switchhook.toml"))
        .output()
        .unwrap();
    let told = text(&cut.stdout) + &text(&cut.stderr);
    assert!(told.contains("from-the-archive"), "{told}");
    assert_eq!(agent.stop(), 0);
}
