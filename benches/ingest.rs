//! Rows taken in durably, parsed and committed, without an endpoint to deliver to; beside it a bare
//! append of the same bytes with `fdatasync`, in the same run, in turns.
//!
//! ```text
//! cargo bench --bench ingest [-- --group 1024 --rounds 5 --rows 102400 --dir /var/tmp]
//! cargo bench --bench ingest --features slow-syncs -- --sync-takes-us 2800
//! ```
//!
//! Prints a line for each group size: medians of the rounds, and the median of their ratios. It
//! judges nothing. The rows come from a real file through the whole of ingest; a group is what is
//! there when a pass begins, and full groups are a backlog: all of the rows are there from the start,
//! for both. Rows are of 350 bytes, as a VOS3000 billing server writes them.
//!
//! With `--sync-takes-us` every sync takes at least so long, for both: a disk that is in no hurry, as
//! those of most switches are.

#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on fails")]
#![allow(clippy::print_stdout, reason = "the figures are its output")]
#![allow(missing_docs, reason = "a program")]

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use switchhook::clock::SystemClock;
use switchhook::derive::{self, Derive};
use switchhook::event::{CallSettings, Maker};
use switchhook::ingest::{Feed, GROUP_ROWS_MAX, Ingest};
use switchhook::parser::encoding::Decoder;
use switchhook::parser::{self, Header, Parser, presets};
use switchhook::queue::{AttachFrom, DiskLimits, Queue};
use switchhook::source::{self, Changed, Source, Start};

const GROUPS: [usize; 3] = [64, 256, GROUP_ROWS_MAX];

struct Wish {
    groups: Vec<usize>,
    rounds: usize,
    rows: usize,
    dir: PathBuf,
    sync_takes: Duration,
}

fn main() {
    let wish = wish();
    for &group in &wish.groups {
        let (mut durable, mut raw) = (Vec::new(), Vec::new());
        for round in 0..wish.rounds {
            let chunks = chunks(group, wish.rows / group, round);
            let dir = tempfile::tempdir_in(&wish.dir).unwrap();
            // Whoever goes first has the emptier disk cache.
            let order: [bool; 2] = if round % 2 == 0 {
                [true, false]
            } else {
                [false, true]
            };
            for is_raw in order {
                let took = if is_raw {
                    append(dir.path(), &chunks, wish.sync_takes)
                } else {
                    ingest(dir.path(), &chunks)
                };
                let rate = (chunks.len() * group) as f64 / took.as_secs_f64();
                if is_raw {
                    raw.push(rate)
                } else {
                    durable.push(rate)
                }
            }
        }
        let ratio = median(
            durable
                .iter()
                .zip(&raw)
                .map(|(durable, raw)| durable / raw)
                .collect(),
        );
        println!(
            "groups of {group:5}: {:9.0} rows/s durable, {:9.0} rows/s appended and synced, ratio {ratio:.2} (medians of {} rounds of {} rows)",
            median(durable),
            median(raw),
            wish.rounds,
            wish.rows
        );
    }
}

fn wish() -> Wish {
    let mut wish = Wish {
        groups: GROUPS.to_vec(),
        rounds: 5,
        rows: 100 * GROUP_ROWS_MAX,
        dir: std::env::temp_dir(),
        sync_takes: Duration::ZERO,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--group" => wish.groups = vec![arguments.next().unwrap().parse().unwrap()],
            "--rounds" => wish.rounds = arguments.next().unwrap().parse().unwrap(),
            "--rows" => wish.rows = arguments.next().unwrap().parse().unwrap(),
            "--dir" => wish.dir = arguments.next().unwrap().into(),
            "--sync-takes-us" => {
                let micros = arguments.next().unwrap().parse().unwrap();
                wish.sync_takes = slow_syncs(Duration::from_micros(micros));
            }
            // What cargo adds.
            _ => {}
        }
    }
    wish
}

/// Has the queue's syncs take at least `takes`, and gives that.
#[cfg(feature = "slow-syncs")]
fn slow_syncs(takes: Duration) -> Duration {
    switchhook::queue::slow::let_syncs_take(takes);
    takes
}

#[cfg(not(feature = "slow-syncs"))]
fn slow_syncs(_: Duration) -> Duration {
    panic!("--sync-takes-us needs --features slow-syncs");
}

/// The rows, in the pieces a switch would have written by the time of each pass.
fn chunks(group: usize, count: usize, round: usize) -> Vec<Vec<u8>> {
    let rows = |chunk: usize| {
        let first = (round * count + chunk) * group;
        (first..first + group)
            .flat_map(|number| row(number as u64))
            .collect()
    };
    (0..count).map(rows).collect()
}

fn append(dir: &Path, chunks: &[Vec<u8>], sync_takes: Duration) -> Duration {
    let mut file = File::create(dir.join("raw")).unwrap();
    let began = Instant::now();
    for chunk in chunks {
        file.write_all(chunk).unwrap();
        let syncing = Instant::now();
        file.sync_data().unwrap();
        std::thread::sleep(sync_takes.saturating_sub(syncing.elapsed()));
    }
    began.elapsed()
}

fn ingest(dir: &Path, chunks: &[Vec<u8>]) -> Duration {
    let (state, cdr) = (dir.join("state"), dir.join("cdr"));
    fs::create_dir(&cdr).unwrap();
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(cdr.join("cdr.csv"))
        .unwrap();
    let queue = Queue::open(&state, "bench").unwrap();
    queue.attach("billing", AttachFrom::Oldest).unwrap();
    let clock = Arc::new(SystemClock::default());
    let mut ingest = Ingest::new(
        vec![feed(&cdr, &queue)],
        queue.clone(),
        &state,
        &DiskLimits::of(u64::MAX),
        clock,
    )
    .unwrap();
    // The file is found empty; from then on it only grows.
    ingest.pass(Changed::Names);
    let is_backlog = chunks
        .first()
        .is_some_and(|chunk| rows_in(chunk) == GROUP_ROWS_MAX);
    let (mut took, mut written) = (Duration::ZERO, 0);
    let committed = || {
        queue
            .ledger()
            .source("cdr")
            .map_or(0, |source| source.events)
    };
    for (number, chunk) in (1..).zip(chunks) {
        file.write_all(chunk).unwrap();
        written += rows_in(chunk) as u64;
        if is_backlog && number < chunks.len() {
            continue;
        }
        let began = Instant::now();
        while committed() < written {
            ingest.pass(Changed::Content);
        }
        took += began.elapsed();
    }
    took
}

fn rows_in(chunk: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', chunk).count()
}

fn feed(cdr: &Path, queue: &Queue) -> Feed {
    let settings = parser::Settings {
        format: presets::find("vos3000-csv").unwrap(),
        decoder: Decoder::UTF_8,
        timezone: Some(jiff::tz::TimeZone::UTC),
        header: Header::Absent,
    };
    let files = source::Settings {
        name: "cdr".into(),
        files: vec![format!("{}/*.csv", cdr.display())],
        exclude: Vec::new(),
        start: Start::Beginning,
        line_max: 64 << 10,
        open_files_max: 8,
        ..source::Settings::of("", Vec::new())
    };
    let positions = queue.positions("cdr").unwrap();
    let format = settings.format.clone();
    let maker = Maker::new("bench".into(), "cdr".into(), CallSettings::default());
    let derive = Derive::new(derive::Settings::default(), maker, &format, &[]);
    Feed {
        name: "cdr".into(),
        source: Source::open(files, Arc::new(|_, _| false), positions, queue.seen("cdr")),
        derive,
        format,
        parser: Parser::new(settings),
        poll: Duration::from_secs(3_600),
        reserved: false,
    }
}

fn row(number: u64) -> Vec<u8> {
    let start = 1_775_800_888_533 + number * 37;
    let (stop, flowno) = (
        start + 60_000 + number * 7_919 % 240_000,
        330_000_000 + number,
    );
    let (caller, called) = (
        12_025_550_000 + number * 104_729 % 10_000_000,
        447_700_900_000 + number * 15_485_863 % 1_000_000,
    );
    format!(
        "\"{caller}\",\"{caller}\",\"{called}\",\"900{called}\",\"192.0.2.12\",\"g729\",\"GW-IN-CLIENT002\",\
         \"Asterisk PBX\",\"{caller}\",1,\"203.0.113.22\",\"g729\",\"GW-OUT-UK-B\",\"\",\"{called}\",1,1,5,0,{start},{stop},\
         8802,8502,147,\"\",180,0.0368,0.0,0.0,0,0.0,0.0,\"CLIENT002\",\"Client Two GmbH\",\"44\",0.0,0.0,0.0,0,\"\",\"\",{flowno},\
         \"MBX3000\",6288012166477870001,\"13b258a1@192.0.2.12\",\"13b258a8@203.0.113.5\",1,1,200,0,0,-1\n"
    )
    .into_bytes()
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
