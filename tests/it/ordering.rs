//! Order and batches on the wire: the agent is killed while the receiver fails at random, and
//! what arrives is looked at one by one.

use crate::support::{Agent, Bench, receiver, row, switchhook, text, wait_until};
use std::collections::BTreeMap;
use std::fs;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use switchhook::receiver::{Arrival, Entered, Profile, Receiver};

/// What a run is repeated with: `SWITCHHOOK_SEED`, `SWITCHHOOK_KILLS`.
fn number(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// The number of the first row.
const FIRST: u64 = 330_000_000;

/// Accounts that rows are spread over.
const ACCOUNTS: u64 = 5;

/// A row of the call `FIRST + number`, of one of a few accounts.
fn row_of(number: u64) -> String {
    row(FIRST + number).replace("CLIENT002", &format!("CLIENT{:03}", number % ACCOUNTS))
}

fn write_rows(bench: &Bench, name: &str, rows: std::ops::Range<u64>) {
    let text: String = rows.map(row_of).collect();
    fs::write(bench.path(&format!("cdr/{name}.csv")), text).unwrap();
}

/// The account and the sequence of every event in a body.
fn events(body: &[u8]) -> Vec<(String, u64)> {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap();
    let all = match body {
        serde_json::Value::Array(all) => all,
        one => vec![one],
    };
    let event = |event: &serde_json::Value| {
        let data = &event["data"];
        let text = event["sequence"]
            .as_str()
            .and_then(|text| text.parse().ok());
        let number = event["sequence"].as_u64().or(data["sequence"].as_u64());
        let sequence = number.or(text);
        let account = data["account_id"].as_str().unwrap();
        (account.to_string(), sequence.unwrap())
    };
    all.iter().map(event).collect()
}

/// Watches that no event of a line is accepted for the first time before an earlier one has been.
///
/// The sequences of a line need not follow each other; all that came of one are known at the end.
#[derive(Default)]
struct Watch {
    /// By line: the sequences in the order in which they were first accepted.
    accepted: BTreeMap<String, Vec<u64>>,
    batches: usize,
    largest: usize,
}

impl Watch {
    fn take(&mut self, arrivals: &mpsc::Receiver<Arrival>, is_strict: bool) {
        for arrival in arrivals.try_iter() {
            assert_eq!(arrival.signature, Ok(()));
            if arrival.entered == Entered::No {
                continue;
            }
            self.batches += usize::from(arrival.batch > 1);
            self.largest = self.largest.max(arrival.batch);
            for (account, sequence) in events(&arrival.body) {
                let line = if is_strict { String::new() } else { account };
                let accepted = self.accepted.entry(line).or_default();
                if !accepted.contains(&sequence) {
                    accepted.push(sequence);
                }
            }
        }
    }

    #[track_caller]
    fn check(&self, rows: u64, seed: u64) {
        let all: usize = self.accepted.values().map(Vec::len).sum();
        assert_eq!(all as u64, rows, "seed {seed}");
        for (line, accepted) in &self.accepted {
            let late = accepted.windows(2).find(|pair| pair[0] > pair[1]);
            assert_eq!(late, None, "seed {seed}, line {line:?}");
        }
    }
}

/// Kills the agent while the receiver fails at random; what the watch saw.
fn rough_ride(keys: &str, is_strict: bool) -> Watch {
    let kills = number("SWITCHHOOK_KILLS", 5);
    let seed = number("SWITCHHOOK_SEED", fastrand::u64(..1_000_000));
    println!("repeat with SWITCHHOOK_SEED={seed} SWITCHHOOK_KILLS={kills}");
    let rows = kills * 160;
    let mut rng = fastrand::Rng::with_seed(seed);
    let bench = Bench::new();
    let faults = [
        "status=500,rate=0.06",
        "reset,rate=0.04",
        "lost,rate=0.03",
        "delay=2ms,rate=0.3",
    ];
    let receiver = receiver(Profile::Vos3000, &faults, seed);
    let arrivals = receiver.arrivals();
    bench.configure(&format!(
        "url = \"{}\"\nprofile = \"vos3000\"\nprobe_max = \"300ms\"\n{keys}",
        receiver.url()
    ));
    write_rows(&bench, "cdr_1", 0..rows);
    let mut watch = Watch::default();
    for _ in 0..kills {
        let agent = bench.agent();
        thread::sleep(Duration::from_millis(rng.u64(150..700)));
        agent.kill();
        watch.take(&arrivals, is_strict);
    }
    let agent = bench.agent();
    wait_until("every row to arrive and be settled", || {
        receiver.account().distinct == rows && bench.is_drained()
    });
    assert_eq!(agent.stop(), 0);
    watch.take(&arrivals, is_strict);
    watch.check(rows, seed);
    let account = receiver.account();
    assert_eq!(account.arrivals_skipped, 0);
    assert!(account.faults.refused() > 0, "{account:?}");
    let ledger = bench.ledger();
    assert!(ledger.balances(), "seed {seed}: {ledger:?}");
    let endpoint = ledger.endpoint("billing").unwrap();
    assert_eq!(
        (endpoint.delivered, endpoint.dead),
        (rows, 0),
        "seed {seed}"
    );
    watch
}

#[test]
fn a_strict_order_holds_through_failures_at_random_and_kills() {
    let watch = rough_ride("order = \"strict\"", true);
    assert_eq!((watch.accepted.len(), watch.batches), (1, 0));
}

#[test]
fn the_order_of_each_account_holds_through_failures_at_random_and_kills() {
    let watch = rough_ride("order = \"key\"\norder_key = \"account_id\"", false);
    assert_eq!(watch.accepted.len() as u64, ACCOUNTS);
}

#[test]
fn batches_hold_a_strict_order_through_failures_at_random_and_kills() {
    let keys = "order = \"strict\"\nbatch = { max_events = 8, max_wait = \"20ms\" }";
    let watch = rough_ride(keys, true);
    assert!(watch.batches > 0 && watch.largest <= 8, "{}", watch.largest);
}

/// An agent that delivers `rows` rows in batches to a receiver with these faults.
fn batches(
    rows: u64,
    keys: &str,
    faults: &[&str],
) -> (Bench, Receiver, mpsc::Receiver<Arrival>, Agent) {
    let keys = format!("profile = \"vos3000\"\n{keys}");
    batches_to(Profile::Vos3000, rows, &keys, faults)
}

fn batches_to(
    profile: Profile,
    rows: u64,
    keys: &str,
    faults: &[&str],
) -> (Bench, Receiver, mpsc::Receiver<Arrival>, Agent) {
    let bench = Bench::new();
    let receiver = receiver(profile, faults, 1);
    let arrivals = receiver.arrivals();
    bench.configure(&format!(
        "url = \"{}\"\nattempts = 2\nbackoff_initial = \"100ms\"\nbackoff_max = \"100ms\"\n{keys}",
        receiver.url()
    ));
    write_rows(&bench, "cdr_1", 0..rows);
    let agent = bench.agent();
    (bench, receiver, arrivals, agent)
}

#[test]
fn a_batch_with_one_bad_event_splits_until_it_stands_alone_and_is_buried() {
    let bad = format!("\"call_id\":\"{}\"", FIRST + 33);
    let fault = format!("poison={bad}");
    let keys = "batch = { max_events = 50, max_wait = \"50ms\" }";
    let (bench, receiver, arrivals, agent) = batches(200, keys, &[&fault]);
    wait_until("all but one to arrive and that one to be buried", || {
        receiver.account().distinct == 199 && bench.is_drained()
    });
    assert_eq!(agent.stop(), 0);
    let account = receiver.account();
    assert_eq!((account.duplicates, account.bad_signatures), (0, 0));
    let refused: Vec<usize> = arrivals
        .try_iter()
        .filter(|arrival| arrival.entered == Entered::No)
        .map(|arrival| arrival.batch)
        .collect();
    assert!(refused[0] > 1, "{refused:?}");
    assert_eq!(
        refused[refused.len() - 2..],
        [1, 1],
        "its two attempts: {refused:?}"
    );
    assert!(refused.len() <= 8, "halves, not one by one: {refused:?}");
    let ledger = bench.ledger();
    assert!(ledger.balances());
    let endpoint = ledger.endpoint("billing").unwrap();
    assert_eq!((endpoint.delivered, endpoint.dead), (199, 1));
}

#[test]
fn a_receiver_that_says_too_large_gets_what_fits() {
    let keys = "batch = { max_events = 100, max_wait = \"50ms\" }";
    let (bench, receiver, arrivals, agent) = batches(300, keys, &["too-long=8000"]);
    wait_until("all to arrive", || {
        receiver.account().distinct == 300 && bench.is_drained()
    });
    assert_eq!(agent.stop(), 0);
    let mut accepted = arrivals.try_iter().filter(|it| it.entered == Entered::New);
    assert!(accepted.all(|arrival| arrival.body.len() <= 8_000));
    assert_eq!(bench.ledger().endpoint("billing").unwrap().dead, 0);
}

#[test]
fn a_batch_is_one_signed_array_with_an_id_of_its_own_within_its_bytes() {
    check_batch(Profile::Vos3000, "vos3000", "application/json");
    check_batch(Profile::Standard, "standard", "application/json");
    check_batch(
        Profile::CloudEvents,
        "cloudevents",
        "application/cloudevents-batch+json",
    );
}

#[track_caller]
fn check_batch(profile: Profile, name: &str, media_type: &str) {
    let keys = format!(
        "profile = \"{name}\"\nbatch = {{ max_events = 100, max_bytes = \"4KiB\", max_wait = \"50ms\" }}"
    );
    let (bench, receiver, arrivals, agent) = batches_to(profile, 100, &keys, &[]);
    wait_until("all to arrive", || {
        receiver.account().distinct == 100 && bench.is_drained()
    });
    assert_eq!(agent.stop(), 0);
    let mut ids = std::collections::BTreeSet::new();
    let mut count = 0;
    for arrival in arrivals.try_iter() {
        assert!(arrival.body.len() <= 4_096 && arrival.batch > 1);
        assert_eq!(arrival.headers["content-type"], media_type);
        let id = arrival.headers["x-switchhook-id"]
            .to_str()
            .unwrap()
            .to_string();
        assert!(id.starts_with("bat_") && id.len() == 36, "{id}");
        let first = events(&arrival.body)[0].1.to_string();
        assert_eq!(arrival.headers["x-switchhook-sequence"], first.as_str());
        ids.insert(id);
        count += 1;
    }
    assert_eq!(ids.len(), count);
    let account = receiver.account();
    assert_eq!((account.accepted, account.duplicates), (100, 0));
}

/// Events that are left to deliver, by the running agent; none while it does not answer.
fn left(bench: &Bench) -> Option<u64> {
    let mut command = switchhook();
    command.args(["status", "--json", "--config"]);
    let output = command.arg(bench.path("switchhook.toml")).output().unwrap();
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
    let endpoint = status["endpoints"].as_array()?.first()?;
    Some(endpoint["queued"].as_u64()? + endpoint["waiting"].as_u64()?)
}

/// Two sources, calls and the switch's alarm log, to one endpoint for both.
fn configure_both(bench: &Bench, url: &str, keys: &str) {
    let config = format!(
        "node = \"vos-1\"\nstate_dir = \"state\"\ncontrol_socket = \"control.sock\"\n[log]\nto = \"stderr\"\n\n\
         [[source]]\nname = \"cdr\"\nformat = \"vos3000-csv\"\nfiles = [\"{0}/cdr/*.csv\"]\nstart = \"beginning\"\npoll = \"200ms\"\ncurrency = \"USD\"\n\n\
         [[source]]\nname = \"alarms\"\nformat = \"vos3000-alarm\"\nfiles = [\"{0}/cdr/*.log\"]\nstart = \"beginning\"\npoll = \"200ms\"\ntimezone = \"UTC\"\n\n\
         [[endpoint]]\nname = \"billing\"\nevents = [\"*\"]\nsecret_file = \"secret\"\nurl = \"{url}\"\nprofile = \"vos3000\"\nprobe_max = \"500ms\"\n{keys}\n",
        bench.dir.path().display()
    );
    fs::write(bench.path("switchhook.toml"), config).unwrap();
}

#[test]
fn alarms_pass_a_backlog_first_when_the_endpoint_is_back() {
    /// An alarm and a balance alert of each line.
    const URGENT: u64 = 6;
    // 200,000 as a longer run.
    let rows = number("SWITCHHOOK_ROWS", 12_000);
    let bench = Bench::new();
    let mut receiver = receiver(Profile::Vos3000, &[], 1);
    receiver.stop();
    configure_both(&bench, &receiver.url(), "");
    write_rows(&bench, "cdr_1", 0..rows);
    let agent = bench.agent();
    wait_until("the rows to be queued", || left(&bench) == Some(rows));
    let alarm = |number: u64| {
        format!(
            "2026-04-10 14:35:0{number},012 WARN  [AlarmManager] type=20007 level=2 name=CLIENT00{number} value=15.50 lower=20.00 state=raise\n"
        )
    };
    let alarms: String = (0..3).map(alarm).collect();
    fs::write(bench.path("cdr/alarm.log"), alarms).unwrap();
    wait_until("the alarms to be queued", || {
        left(&bench) == Some(rows + URGENT)
    });
    agent.kill();
    let agent = bench.agent();
    wait_until("the agent to answer", || {
        left(&bench) == Some(rows + URGENT)
    });
    let arrivals = receiver.arrivals();
    receiver.listen().unwrap();
    let mut places = Vec::new();
    let mut accepted = 0;
    let mut look = |places: &mut Vec<usize>| {
        for arrival in arrivals.try_iter().filter(|it| it.entered == Entered::New) {
            if arrival
                .callback
                .is_some_and(|callback| callback.kind != "cdr")
            {
                places.push(accepted);
            }
            accepted += 1;
        }
        accepted
    };
    wait_until("the first to arrive", || look(&mut places) > 100);
    assert_eq!(places.len() as u64, URGENT);
    assert!(places.iter().all(|place| *place < 64), "{places:?}");
    // With the key taken away in the middle of the backlog nothing is lost and nothing comes twice.
    configure_both(&bench, &receiver.url(), "priority = []");
    let pid = nix::unistd::Pid::from_raw(i32::try_from(agent.pid()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGHUP).unwrap();
    wait_until("everything to arrive", || {
        look(&mut places);
        receiver.account().distinct == rows + URGENT && left(&bench) == Some(0)
    });
    assert_eq!(agent.stop(), 0);
    assert_eq!(receiver.account().duplicates, 0);
    let ledger = bench.ledger();
    assert!(ledger.balances(), "{ledger:?}");
    let endpoint = ledger.endpoint("billing").unwrap();
    assert_eq!((endpoint.delivered, endpoint.queued), (rows + URGENT, 0));
}

#[test]
fn check_says_what_a_batch_means_for_receivers_of_a_guide() {
    let bench = Bench::new();
    bench.configure("url = \"https://a.example/\"\nprofile = \"vobiz\"\nbatch = {}");
    let output = switchhook()
        .args(["check", "--config"])
        .arg(bench.path("switchhook.toml"))
        .output()
        .unwrap();
    let out = text(&output.stdout);
    assert!(
        out.contains("endpoint \"billing\": batch: receivers written from the guide of vobiz take one event in each request"),
        "{out}{}",
        text(&output.stderr)
    );
    assert!(
        out.contains("max_wait = \"200ms\"") && out.contains("order = \"none\""),
        "{out}"
    );
}
