//! A store that somebody, or a dying disk, has laid hands on: the agent starts, every row that is
//! still in the switch's files arrives, and the account balances.

use crate::support::{Bench, SECRET, receiver, run, switch, text, wait_until};
use std::fs;
use std::path::{Path, PathBuf};
use switchhook::queue::Queue;
use switchhook::receiver::Profile;

/// Rounds of the default run; `SWITCHHOOK_DAMAGES` asks for more, `SWITCHHOOK_SEED` repeats a run.
const ROUNDS: u64 = 3;

/// Rows in the queue when its files are damaged: two generations of 4 MiB and a part of a third.
const ROWS: u64 = 60_000;

#[test]
fn whatever_is_done_to_a_stopped_store_every_row_arrives_and_the_account_balances() {
    let number = |name: &str, default: u64| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    };
    let rounds = number("SWITCHHOOK_DAMAGES", ROUNDS);
    let seed = number("SWITCHHOOK_SEED", fastrand::u64(..1_000_000));
    for round in 0..rounds {
        println!(
            "repeat with SWITCHHOOK_SEED={} SWITCHHOOK_DAMAGES=1",
            seed + round
        );
        damaged(seed + round);
    }
}

fn damaged(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let bench = Bench::new();
    let busy = receiver(Profile::Vos3000, &["status=503"], seed);
    let well = receiver(Profile::Vos3000, &[], seed);
    let endpoint = |url: String| format!("url = \"{url}\"\nprofile = \"vos3000\"");
    bench.configure(&endpoint(busy.url()));
    let agent = bench.agent();
    switch(&bench.path("cdr"), ROWS, 40_000, 3_000, seed)
        .join()
        .unwrap();
    wait_until("a checkpoint of every row", || {
        all_are_quiet(&bench.path("state"))
    });
    agent.kill();
    let files = files(&bench.path("state"));
    let mut harms = Vec::new();
    for _ in 0..random.usize(1..5) {
        let file = &files[random.usize(..files.len())];
        harms.push(format!("{}: {}", file.display(), harm(file, &mut random)));
    }
    let context = format!("SWITCHHOOK_SEED={seed}: {harms:#?}");
    bench.configure(&endpoint(well.url()));
    let agent = bench.agent();
    let deadline = std::time::Instant::now() + crate::support::PATIENCE;
    while well.account().distinct < ROWS {
        assert!(
            std::time::Instant::now() < deadline,
            "{} of {ROWS} rows arrived, {context}\n{}",
            well.account().distinct,
            agent.log()
        );
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(agent.stop(), 0, "{context}");
    let queue = Queue::open(&bench.path("state"), "vos-1").unwrap();
    assert_eq!(queue.opened().mended, [], "{context}");
    let ledger = queue.ledger();
    assert!(ledger.balances(), "{context}\n{ledger:#?}");
    let billing = ledger.endpoint("billing").unwrap();
    assert_eq!((billing.queued, billing.waiting), (0, 0), "{context}");
    assert_eq!(well.account().bad_signatures, 0, "{context}");
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if !["lock", "version"].iter().any(|name| path.ends_with(name)) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Does something to a file; says what.
fn harm(file: &Path, random: &mut fastrand::Rng) -> &'static str {
    let Ok(mut bytes) = fs::read(file) else {
        return "gone already";
    };
    let what = match random.u8(..4) {
        0 if !bytes.is_empty() => {
            for _ in 0..random.usize(1..8) {
                let at = random.usize(..bytes.len());
                let end = (at + random.usize(1..20_000)).min(bytes.len());
                bytes[at..end]
                    .iter_mut()
                    .for_each(|byte| *byte = random.u8(..));
            }
            "garbage"
        }
        1 if !bytes.is_empty() => {
            bytes.truncate(random.usize(..bytes.len()));
            "truncated"
        }
        2 => {
            fs::remove_file(file).unwrap();
            return "removed";
        }
        _ => {
            bytes.clear();
            "emptied"
        }
    };
    fs::write(file, bytes).unwrap();
    what
}

#[test]
fn the_store_commands_look_take_out_and_mend_and_leave_a_running_agent_alone() {
    let bench = Bench::new();
    let busy = receiver(Profile::Vos3000, &["status=503"], 1);
    bench.configure(&format!("url = \"{}\"\nprofile = \"vos3000\"", busy.url()));
    let (config, state) = (bench.path("switchhook.toml"), bench.path("state"));
    let store = |command: &str, more: &[&str]| {
        let mut arguments = vec!["store", command, "--config", config.to_str().unwrap()];
        arguments.extend(more);
        run(&arguments)
    };
    let agent = bench.agent();
    switch(&bench.path("cdr"), 500, 50_000, 500, 1)
        .join()
        .unwrap();
    wait_until("rows in the checkpoint", || {
        fs::metadata(state.join("positions")).is_ok()
    });
    let refused = store("check", &[]);
    assert_eq!(refused.status.code(), Some(75));
    let told = text(&refused.stderr);
    assert!(told.contains(&format!("process {}", agent.pid())), "{told}");
    wait_until("all rows", || all_are_quiet(&state));
    assert_eq!(agent.stop(), 0);

    let whole = store("check", &[]);
    assert_eq!(whole.status.code(), Some(0), "{}", text(&whole.stdout));
    assert!(text(&whole.stdout).contains("rows=500 events=500"));
    let exported = store("export", &[]);
    let lines = text(&exported.stdout);
    assert_eq!(lines.lines().count(), 500, "{}", text(&exported.stderr));
    for line in lines.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(event["id"].as_str().unwrap().starts_with("evt_"));
        assert!(event["data"]["call_id"].is_string());
    }
    let some = store("export", &["--from", "11", "--to", "20"]);
    assert_eq!(text(&some.stdout).lines().count(), 10);

    let db = state.join("queue/00000001/db");
    let mut bytes = fs::read(&db).unwrap();
    bytes[20_000..40_000].fill(0);
    fs::write(&db, &bytes).unwrap();
    let damaged = store("check", &[]);
    assert_eq!(damaged.status.code(), Some(65), "{}", text(&damaged.stdout));
    let plan = store("repair", &[]);
    assert_eq!(plan.status.code(), Some(65));
    assert!(text(&plan.stdout).contains("nothing was changed"));
    assert_eq!(fs::read(&db).unwrap(), bytes);
    let repaired = store("repair", &["--yes"]);
    assert_eq!(
        repaired.status.code(),
        Some(0),
        "{}",
        text(&repaired.stderr)
    );
    let said = text(&repaired.stdout);
    assert!(said.contains("read again source=cdr"), "{said}");
    assert_eq!(store("check", &[]).status.code(), Some(0));

    let well = receiver(Profile::Vos3000, &[], 1);
    bench.configure(&format!("url = \"{}\"\nprofile = \"vos3000\"", well.url()));
    let agent = bench.agent();
    wait_until("every row", || well.account().distinct == 500);
    assert_eq!(agent.stop(), 0);
    assert!(bench.ledger().balances());
    assert!(!said.contains(SECRET));
}

/// Whether the checkpoint has not changed for longer than it takes to write the next.
fn all_are_quiet(state: &Path) -> bool {
    let read = || fs::read(state.join("positions")).unwrap_or_default();
    let before = read();
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    !before.is_empty() && before == read()
}

#[test]
fn a_state_directory_without_a_store_is_told_from_a_damaged_one() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().to_str().unwrap();
    for command in ["check", "export", "repair"] {
        let output = run(&["store", command, "--state-dir", state]);
        assert_eq!(output.status.code(), Some(74), "{command}");
        assert!(text(&output.stderr).contains("cannot open"), "{command}");
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

/// Documents in the queue when it is damaged: a generation of 4 MiB and a part of the next.
const DOCUMENTS: u64 = 1_000;

#[test]
fn documents_that_stay_where_they_are_are_read_again_after_a_damage_and_each_is_told_once() {
    // Nothing removed; some removed meanwhile, of which the report says how many.
    for removed in [0, 7] {
        let mut random = fastrand::Rng::with_seed(11);
        let bench = Bench::new();
        let docs = bench.path("docs");
        fs::create_dir(&docs).unwrap();
        for number in 0..DOCUMENTS {
            let text: String = std::iter::repeat_with(|| random.alphanumeric())
                .take(3_000)
                .collect();
            let document = format!(
                "{{\"id\":{number},\"at\":\"2026-04-10T14:30:45Z\",\"text\":\"{text}\"}}\n"
            );
            fs::write(docs.join(format!("{number:05}.json")), document).unwrap();
        }
        let configure = |url: String| {
            let config = format!(
                "node = \"vos-1\"\nstate_dir = \"state\"\ncontrol_socket = \"control.sock\"\n[log]\nto = \"stderr\"\n\n\
                 [[source]]\nname = \"docs\"\ndirectory = \"{}\"\nformat = \"json-document\"\nnames = [\"*.json\"]\nstart = \"beginning\"\npoll = \"200ms\"\nevent = \"doc\"\n\
                 columns = [{{ name = \"id\" }}, {{ name = \"at\", type = \"time\", as = \"event_time\" }}, {{ name = \"text\" }}]\n\n\
                 [[endpoint]]\nname = \"billing\"\nevents = [\"doc\"]\nsecret_file = \"secret\"\nurl = \"{url}\"\n",
                docs.display()
            );
            fs::write(bench.path("switchhook.toml"), config).unwrap();
        };
        let busy = receiver(Profile::Standard, &["status=503"], 1);
        configure(busy.url());
        let agent = bench.agent();
        let config = bench.path("switchhook.toml").display().to_string();
        wait_until("every document in the queue", || {
            let output = run(&["status", "--json", "--config", &config]);
            let status: serde_json::Value =
                serde_json::from_slice(&output.stdout).unwrap_or_default();
            status["sources"][0]["rows"] == DOCUMENTS
        });
        assert_eq!(agent.stop(), 0);
        // The oldest generation is gone, with the events of the documents that were read first.
        fs::remove_dir_all(bench.path("state/queue/00000001")).unwrap();
        for number in 0..removed {
            fs::remove_file(docs.join(format!("{number:05}.json"))).unwrap();
        }
        let well = receiver(Profile::Standard, &[], 1);
        configure(well.url());
        let agent = bench.agent();
        wait_until("what is there", || {
            assert!(well.account().distinct <= DOCUMENTS - removed);
            well.account().distinct == DOCUMENTS - removed
        });
        wait_until("the report", || {
            agent.log().contains("files read again source=docs files=")
        });
        assert_eq!(agent.stop(), 0);
        let log = fs::read_to_string(bench.path("agent.log")).unwrap();
        assert_eq!(well.account().duplicates, 0, "{log}");
        let lost = format!("they cannot be read again source=docs count={removed}");
        assert_eq!(log.contains(&lost), removed > 0, "{log}");
        assert!(log.contains("files read again source=docs count="), "{log}");
        let ledger = bench.ledger();
        assert!(ledger.balances(), "{ledger:#?}");
        let queue = Queue::open(&bench.path("state"), "vos-1").unwrap();
        assert!(queue.to_read_again().unwrap().is_empty());
    }
}
