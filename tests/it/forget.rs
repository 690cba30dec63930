//! What is kept of a source that is not configured any more, until it is forgotten.

use crate::support::{Bench, row, run, text, wait_until};
use std::fs;
use switchhook::queue::Queue;

fn configure(bench: &Bench, name: &str, start: &str) {
    let config = format!(
        "node = \"vos-1\"\nstate_dir = \"state\"\ncontrol_socket = \"control.sock\"\n[log]\nto = \"stderr\"\n\n\
         [[source]]\nname = \"{name}\"\nformat = \"vos3000-csv\"\nfiles = [\"{}/cdr/*.csv\"]\nstart = \"{start}\"\npoll = \"200ms\"\ncurrency = \"USD\"\nsilent_after = \"1h\"\n\n\
         [[endpoint]]\nname = \"billing\"\nevents = [\"cdr\", \"switchhook.source_silent\"]\nsecret_file = \"secret\"\nurl = \"http://127.0.0.1:9/\"\n",
        bench.dir.path().display()
    );
    fs::write(bench.path("switchhook.toml"), config).unwrap();
}

/// Runs the agent until `source` has read `rows` rows in all, while it runs does `meanwhile`.
fn read(bench: &Bench, source: &str, rows: u64, meanwhile: impl FnOnce()) {
    let agent = bench.agent();
    let config = bench.path("switchhook.toml").display().to_string();
    wait_until("the rows to be read", || {
        let output = run(&["status", "--json", "--config", &config]);
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let sources = status["sources"].as_array().cloned().unwrap_or_default();
        let own = sources.iter().find(|it| it["name"] == source);
        own.is_some_and(|it| it["rows"] == rows)
    });
    meanwhile();
    assert_eq!(agent.stop(), 0);
}

fn forget(bench: &Bench, name: &str) -> (Option<i32>, String) {
    let config = bench.path("switchhook.toml").display().to_string();
    let output = run(&["sources", "forget", name, "--config", &config]);
    let told = text(&output.stdout) + &text(&output.stderr);
    (output.status.code(), told)
}

/// Positions of the source, and pieces of its state.
fn kept(bench: &Bench, name: &str) -> (usize, usize) {
    let queue = Queue::open(&bench.path("state"), "vos-1").unwrap();
    let positions = queue.positions(name).unwrap().len();
    let states = queue.states(&format!("derive/{name}/")).unwrap().len();
    (positions, states)
}

#[test]
fn a_source_that_is_gone_is_forgotten_by_hand_and_begins_anew_after_it() {
    for is_running in [true, false] {
        let bench = Bench::new();
        configure(&bench, "old", "beginning");
        fs::write(bench.path("cdr/1.csv"), row(1) + &row(2)).unwrap();
        read(&bench, "old", 2, || {
            let (code, told) = forget(&bench, "old");
            assert_eq!(code, Some(64), "{told}");
            assert!(told.contains("take its table out"), "{told}");
        });
        assert_eq!(kept(&bench, "old"), (1, 1));
        // It is called otherwise now.
        configure(&bench, "new", "beginning");
        let done = || {
            let (code, told) = forget(&bench, "old");
            assert_eq!(code, Some(0), "{told}");
            let what = "source old forgotten: 1 positions and 1 pieces of state given up";
            assert!(told.contains(what), "{told}");
            assert_eq!(forget(&bench, "older").0, Some(64));
        };
        match is_running {
            true => read(&bench, "new", 2, done),
            false => {
                read(&bench, "new", 2, || ());
                done();
            }
        }
        assert_eq!(kept(&bench, "old"), (0, 0));
        assert_eq!(kept(&bench, "new"), (1, 1));
        // Under its old name it is a new source: what is there is not wanted, what comes is.
        configure(&bench, "old", "now");
        read(&bench, "old", 2, || {
            wait_until("the start to be applied", || {
                let config = bench.path("switchhook.toml").display().to_string();
                let listed = run(&["sources", "--config", &config]);
                text(&listed.stdout).contains("1.csv")
            });
            fs::write(bench.path("cdr/2.csv"), row(3)).unwrap();
        });
        read(&bench, "old", 3, || ());
        assert!(bench.ledger().balances());
    }
}
