//! Everything an endpoint can ask for at once: a dozen endpoints with keys drawn at random, to
//! receivers that misbehave, while the agent is killed and its configuration reloaded.

use crate::support::{Agent, Bench, receiver, row, run, text, wait_until};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use switchhook::queue::Queue;
use switchhook::receiver::{Arrival, Entered, Profile, Receiver};

/// The number of the first row.
const FIRST: u64 = 330_000_000;

/// Accounts that rows are spread over.
const ACCOUNTS: u64 = 7;

/// Endpoints, beside the one that is told of the others.
const ENDPOINTS: usize = 11;

/// What a run is repeated with: `SWITCHHOOK_SEED`, `SWITCHHOOK_KILLS`.
fn number(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// What an endpoint is promised of the order of its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Promise {
    /// Nothing: its `order` changes with a reload.
    None,
    /// Those of an account are in order.
    Key,
    /// All are.
    Strict,
}

/// An endpoint with its receiver.
struct Station {
    name: String,
    promise: Promise,
    /// Keys that stay.
    keys: String,
    /// Keys that a reload may change.
    variable: String,
    receiver: Receiver,
    faults: Vec<&'static str>,
    arrivals: mpsc::Receiver<Arrival>,
    /// Sequence and line of the calls in the order in which they were first accepted.
    accepted: Vec<(u64, String)>,
    seen: BTreeSet<u64>,
}

fn one<'a>(rng: &mut fastrand::Rng, of: &[&'a str]) -> &'a str {
    of[rng.usize(..of.len())]
}

/// How a receiver misbehaves.
fn faults(rng: &mut fastrand::Rng) -> Vec<&'static str> {
    let mut faults = vec!["delay=3ms,rate=0.2"];
    faults.push(one(rng, &["status=500,rate=0.05", "status=503,rate=0.03"]));
    faults.push(one(rng, &["reset,rate=0.03", "lost,rate=0.03"]));
    faults.push(one(
        rng,
        &[
            "status=401,rate=0.02",
            "status=429,retry_after=1s,rate=0.003",
            "poison=\"330000033\"",
            "poison=\"330000150\"",
            "too-long=6000",
            "flap=700ms",
        ],
    ));
    faults
}

impl Station {
    /// One of keys drawn at random. `dead` is an address where nobody listens.
    fn at_random(place: usize, dead: &str, rng: &mut fastrand::Rng) -> Station {
        let promise = [Promise::None, Promise::Key, Promise::Strict][place % 3];
        let faults = faults(rng);
        let receiver = receiver(Profile::Vos3000, &faults, rng.u64(..));
        let url = receiver.url();
        let mut keys = "events = [\"cdr\"]\nprofile = \"vos3000\"\nprobe_max = \"250ms\"\ntimeout = \"3s\"\nbackoff_initial = \"100ms\"\nbackoff_max = \"200ms\"\n".to_string();
        keys += match rng.u8(0..4) {
            0 => "token_file = \"token\"\n",
            1 => "compress = \"gzip\"\n",
            _ => "",
        };
        keys += match rng.bool() {
            true => "alert_to = \"pager\"\n",
            false => "",
        };
        keys += match rng.u8(0..3) {
            0 => "attempts = 2\n",
            // More than there can be while it refuses all: some seconds' worth.
            _ => "attempts = 50\n",
        };
        keys += &match rng.u8(0..3) {
            0 => format!("url = \"{dead}\"\nfallback_urls = [\"{url}\"]\n"),
            1 => format!("url = \"{url}\"\nfallback_urls = [\"{dead}\"]\n"),
            _ => format!("url = \"{url}\"\n"),
        };
        let mut station = Station {
            name: format!("endpoint-{place}"),
            promise,
            keys,
            variable: String::new(),
            arrivals: receiver.arrivals(),
            receiver,
            faults,
            accepted: Vec::new(),
            seen: BTreeSet::new(),
        };
        station.draw(rng);
        station
    }

    /// Draws the keys that may change.
    fn draw(&mut self, rng: &mut fastrand::Rng) {
        let order = match self.promise {
            Promise::Key => "key",
            Promise::Strict => "strict",
            Promise::None => one(rng, &["none", "key", "strict"]),
        };
        let mut keys = format!("order = \"{order}\"\n");
        if order == "key" {
            keys += "order_key = \"account_id\"\n";
        } else if rng.bool() {
            let most = rng.u8(1..20);
            let _written = writeln!(
                keys,
                "batch = {{ max_events = {most}, max_wait = \"20ms\" }}"
            );
        }
        if order == "none" && rng.bool() {
            keys += "priority = [\"cdr\"]\n";
        }
        keys += one(
            rng,
            &[
                "",
                "concurrency = 1\n",
                "concurrency = 5\n",
                "concurrency = \"auto\"\n",
            ],
        );
        keys += one(rng, &["", "", "rate_max = \"300/s\"\n"]);
        self.variable = keys;
    }

    /// From now on the receiver misbehaves like this.
    fn misbehave(&self, faults: &[&str]) {
        let faults = faults.iter().map(|fault| fault.parse().unwrap());
        self.receiver.set_faults(faults.collect());
    }

    /// Whether no event of it has been given up for good reason.
    fn is_sound(&self) -> bool {
        let harms = ["401", "poison", "flap"];
        let mut harmful = self.faults.iter();
        let is_harmless = !harmful.any(|fault| harms.iter().any(|harm| fault.contains(harm)));
        is_harmless && self.keys.contains("attempts = 50")
    }

    /// Takes note of what has arrived.
    fn look(&mut self) {
        for arrival in self.arrivals.try_iter() {
            assert_eq!(arrival.signature, Ok(()), "{}", self.name);
            if arrival.entered == Entered::No {
                continue;
            }
            let body: serde_json::Value = serde_json::from_slice(&arrival.body).unwrap();
            let all = match body {
                serde_json::Value::Array(all) => all,
                alone => vec![alone],
            };
            for event in all {
                let sequence = event["sequence"]
                    .as_u64()
                    .or_else(|| event["data"]["sequence"].as_u64());
                let sequence = sequence.or_else(|| event["sequence"].as_str()?.parse().ok());
                let account = event["data"]["account_id"].as_str().unwrap_or_default();
                let sequence = sequence.unwrap();
                if self.seen.insert(sequence) {
                    self.accepted.push((sequence, account.to_string()));
                }
            }
        }
    }

    /// No event came for the first time after a later one of its line, unless it was given up.
    #[track_caller]
    fn check_order(&self, dead: &BTreeSet<u64>, seed: u64) {
        let mut latest: BTreeMap<&str, u64> = BTreeMap::new();
        for (sequence, account) in &self.accepted {
            let line = match self.promise {
                Promise::None => return,
                Promise::Key => account.as_str(),
                Promise::Strict => "",
            };
            if dead.contains(sequence) {
                continue;
            }
            let before = latest.insert(line, *sequence).unwrap_or(0);
            assert!(
                before < *sequence,
                "seed {seed}: {} got {sequence} after {before}\n{}{}",
                self.name,
                self.keys,
                self.variable
            );
        }
    }
}

/// Rows of the calls from `FIRST + from` on.
fn write_rows(bench: &Bench, rows: std::ops::Range<u64>) {
    let name = format!("cdr/cdr_{:06}.csv", rows.start);
    let account = |number: u64| format!("CLIENT{:03}", number % ACCOUNTS);
    let text: String = rows
        .map(|number| row(FIRST + number).replace("CLIENT002", &account(number)))
        .collect();
    fs::write(bench.path(&name), text).unwrap();
}

/// The configuration with everything as it is.
fn configure(bench: &Bench, stations: &[Station], pager: &Receiver) {
    let mut config = format!(
        "node = \"vos-1\"\nstate_dir = \"state\"\ncontrol_socket = \"control.sock\"\n[log]\nto = \"stderr\"\n\n\
         [[source]]\nname = \"cdr\"\nformat = \"vos3000-csv\"\nfiles = [\"{}/cdr/*.csv\"]\nstart = \"beginning\"\npoll = \"200ms\"\ncurrency = \"USD\"\n",
        bench.dir.path().display()
    );
    let mut table = |name: &str, keys: &str| {
        let _written = writeln!(
            config,
            "\n[[endpoint]]\nname = \"{name}\"\nsecret_file = \"secret\"\nfrom = \"oldest\"\n{keys}"
        );
    };
    for station in stations {
        table(
            &station.name,
            &format!("{}{}", station.keys, station.variable),
        );
    }
    let keys = "events = [\"switchhook.clock_skew\"]\npriority = [\"switchhook.clock_skew\"]\nprofile = \"vos3000\"\nprobe_max = \"250ms\"\norder = \"none\"\nbatch = { max_events = 5 }";
    table("pager", &format!("url = \"{}\"\n{keys}", pager.url()));
    fs::write(bench.path("switchhook.toml"), config).unwrap();
}

/// Has the running agent do something.
fn ask(bench: &Bench, what: &[&str]) {
    let path = bench.path("switchhook.toml");
    let config = ["--config", path.to_str().unwrap()];
    wait_until(&what.join(" "), || {
        let output = run(&[what, &config].concat());
        let code = output.status.code();
        assert!(
            matches!(code, Some(0 | 69 | 75)),
            "{code:?} {}",
            text(&output.stderr)
        );
        code == Some(0)
    });
}

/// The sequences of an endpoint's dead letters.
fn dead(queue: &Queue, endpoint: &str) -> BTreeSet<u64> {
    let letters = queue.dead_letters(endpoint, None, 100_000).unwrap();
    let sequences = letters.iter().map(|(_, letter)| letter.queued.sequence.0);
    sequences.collect()
}

#[test]
fn endpoints_of_every_kind_get_everything_through_faults_kills_and_reloads() {
    let kills = number("SWITCHHOOK_KILLS", 4);
    let seed = number("SWITCHHOOK_SEED", fastrand::u64(..1_000_000));
    println!("repeat with SWITCHHOOK_SEED={seed} SWITCHHOOK_KILLS={kills}");
    let rows = kills * 100;
    let mut rng = fastrand::Rng::with_seed(seed);
    let bench = Bench::new();
    let mut token = fs::OpenOptions::new();
    let token = token.write(true).create_new(true).mode(0o600);
    std::io::Write::write_all(&mut token.open(bench.path("token")).unwrap(), b"hush\n").unwrap();
    let mut nobody = receiver(Profile::Vos3000, &[], 0);
    nobody.stop();
    let pager = receiver(Profile::Vos3000, &["status=500,rate=0.2"], 1);
    let mut stations: Vec<Station> = (0..ENDPOINTS)
        .map(|place| Station::at_random(place, &nobody.url(), &mut rng))
        .collect();
    configure(&bench, &stations, &pager);
    let look = |stations: &mut [Station]| stations.iter_mut().for_each(Station::look);
    let mut left_paused = BTreeSet::new();
    for round in 0..kills {
        let agent = bench.agent();
        wait_until("the agent to begin", || {
            let log = agent.log();
            assert!(!log.contains("switchhook.toml:"), "{log}");
            log.matches(" started").count() as u64 == round + 1
        });
        write_rows(&bench, round * 100..(round + 1) * 100);
        // One is paused until the next round, and one takes nothing at all.
        let (paused, refusing) = (rng.usize(..ENDPOINTS), rng.usize(..ENDPOINTS));
        ask(&bench, &["endpoints", "pause", &stations[paused].name]);
        stations[refusing].misbehave(&[one(&mut rng, &["status=401", "status=404"])]);
        thread::sleep(Duration::from_millis(rng.u64(100..500)));
        look(&mut stations);
        for _ in 0..3 {
            let place = rng.usize(..stations.len());
            stations[place].draw(&mut rng);
        }
        configure(&bench, &stations, &pager);
        if rng.bool() {
            ask(&bench, &["reload"]);
            thread::sleep(Duration::from_millis(rng.u64(50..400)));
        }
        if rng.bool() {
            ask(&bench, &["endpoints", "resume", &stations[paused].name]);
        } else {
            left_paused.insert(paused);
        }
        agent.kill();
        stations[refusing].misbehave(&stations[refusing].faults);
        look(&mut stations);
    }
    let agent: Agent = bench.agent();
    for place in left_paused {
        ask(&bench, &["endpoints", "resume", &stations[place].name]);
    }
    // The faults end: what is left has to come.
    thread::sleep(Duration::from_millis(rng.u64(0..1_000)));
    stations.iter().for_each(|station| station.misbehave(&[]));
    wait_until("everything to be settled", || {
        look(&mut stations);
        let is_begun = stations.iter().all(|it| it.receiver.account().requests > 0);
        is_begun && bench.is_drained()
    });
    assert_eq!(agent.stop(), 0);
    look(&mut stations);
    let queue = Queue::open(&bench.path("state"), "vos-1").unwrap();
    assert_eq!(queue.opened().mended, []);
    let ledger = queue.ledger();
    assert!(ledger.balances(), "seed {seed}: {ledger:?}");
    let calls = ledger.source("cdr").unwrap().events;
    assert_eq!(calls, rows, "seed {seed}");
    let mut all = BTreeSet::new();
    for station in &stations {
        all.extend(&station.seen);
        all.extend(dead(&queue, &station.name));
    }
    assert_eq!(all.len() as u64, rows, "seed {seed}");
    for station in &stations {
        let name = &station.name;
        let what = format!("seed {seed}: {name}\n{}{}", station.keys, station.variable);
        let account = station.receiver.account();
        let wrong = (
            account.bad_signatures,
            account.malformed,
            account.misaddressed,
        );
        assert_eq!(wrong, (0, 0, 0), "{what}");
        assert_eq!(account.arrivals_skipped, 0, "{what}");
        let dead = dead(&queue, name);
        let missing: Vec<u64> = all
            .iter()
            .filter(|it| !station.seen.contains(it) && !dead.contains(it))
            .copied()
            .collect();
        assert!(missing.is_empty(), "{what} has not got {missing:?}");
        let totals = ledger.endpoint(name).unwrap();
        let left = (totals.queued, totals.waiting, totals.dropped);
        assert_eq!(left, (0, 0, 0), "{what} {totals:?}");
        assert_eq!(totals.delivered + totals.dead, rows, "{what} {totals:?}");
        station.check_order(&dead, seed);
        assert!(dead.is_empty() || !station.is_sound(), "{what} {dead:?}");
    }
    assert_eq!(pager.account().bad_signatures, 0);
}
