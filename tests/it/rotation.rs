//! Files rotated in every style while rows come in and the agent is killed at random: the count
//! is exact.

use crate::support::{Bench, receiver, row, wait_until};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};
use switchhook::receiver::Profile;

/// Rotations in the default run; `SWITCHHOOK_ROTATIONS` asks for more, `SWITCHHOOK_SEED` repeats
/// a run.
const ROTATIONS: u64 = 60;

/// How long the last rows may take to arrive: a look each 200 ms, and a second for what is doubtful.
const ARRIVAL: Duration = Duration::from_secs(30);

/// Rows a second of all files together.
const ROWS_PER_SECOND: u64 = 4_000;

/// How a switch, or the rotation it is run with, treats a file that is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// `cdr.csv` → `cdr.csv.1` → `cdr.csv.2` …
    Chain,
    /// The same, each packed at once.
    PackedChain,
    /// The same, packed one rotation later.
    PackedLater,
    /// Copied to `cdr.csv.N`, then truncated.
    CopyTruncate,
    /// The same, the copy packed at once.
    PackedCopy,
    /// A new file for each period, under a name of its own.
    Period,
    /// The old one is moved where no glob looks, and packed back later.
    MovedAway,
    /// Two files, one of which is written; they exchange their names.
    Exchange,
}

const STYLES: [Style; 8] = [
    Style::Chain,
    Style::PackedChain,
    Style::PackedLater,
    Style::CopyTruncate,
    Style::PackedCopy,
    Style::Period,
    Style::MovedAway,
    Style::Exchange,
];

/// A file being written, and what became of it before.
struct Written {
    style: Style,
    directory: PathBuf,
    name: String,
    file: File,
    rotations: u64,
}

impl Written {
    fn new(directory: &Path, style: Style) -> Written {
        fs::create_dir_all(directory.join("away")).unwrap();
        let name = match style {
            Style::Period => "cdr_000000.csv",
            _ => "cdr.csv",
        };
        Written {
            style,
            directory: directory.to_owned(),
            name: name.to_owned(),
            file: append(&directory.join(name)),
            rotations: 0,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Moves every `cdr.csv.N` with `ending` on by one.
    fn shift(&self, ending: &str) {
        let mut last = 1;
        while self.path(&format!("cdr.csv.{last}{ending}")).exists() {
            last += 1;
        }
        for n in (1..last).rev() {
            let to = self.path(&format!("cdr.csv.{}{ending}", n + 1));
            fs::rename(self.path(&format!("cdr.csv.{n}{ending}")), to).unwrap();
        }
    }

    fn rename(&self, to: &str) -> PathBuf {
        let to = self.path(to);
        fs::rename(self.path(&self.name), &to).unwrap();
        to
    }

    fn rotate(&mut self) {
        self.rotations += 1;
        match self.style {
            Style::Chain => {
                self.shift("");
                self.rename("cdr.csv.1");
            }
            Style::PackedChain => {
                self.shift(".gz");
                gzip(&self.rename("cdr.csv.1"));
            }
            Style::PackedLater => {
                let before = self.path("cdr.csv.1");
                if before.exists() {
                    gzip(&before);
                    self.shift(".gz");
                }
                self.rename("cdr.csv.1");
            }
            Style::CopyTruncate | Style::PackedCopy => {
                let is_packed = self.style == Style::PackedCopy;
                self.shift(if is_packed { ".gz" } else { "" });
                let copy = self.path("cdr.csv.1");
                fs::copy(self.path(&self.name), &copy).unwrap();
                self.file.set_len(0).unwrap();
                if is_packed {
                    gzip(&copy);
                }
                return; // The file stays open and is written on.
            }
            Style::Period => self.name = format!("cdr_{:06}.csv", self.rotations),
            Style::MovedAway => {
                let away = self.rename("away/cdr.csv");
                gzip(&away);
                let to = self.path(&format!("cdr.csv-{:06}.gz", self.rotations));
                fs::rename(self.path("away/cdr.csv.gz"), to).unwrap();
            }
            Style::Exchange => {
                let (one, other) = (self.path("cdr.csv"), self.path("cdr2.csv"));
                if other.exists() {
                    let between = self.path("away/between");
                    fs::rename(&one, &between).unwrap();
                    fs::rename(&other, &one).unwrap();
                    fs::rename(&between, &other).unwrap();
                } else {
                    fs::rename(&one, &other).unwrap();
                }
            }
        }
        self.file = append(&self.path(&self.name));
    }
}

fn append(path: &Path) -> File {
    let mut options = OpenOptions::new();
    options.create(true).append(true).open(path).unwrap()
}

/// What gzip does: the packed file beside the other, with its times, and the other removed.
fn gzip(path: &Path) {
    let to = PathBuf::from(format!("{}.gz", path.display()));
    let mut packer = GzEncoder::new(File::create(&to).unwrap(), Compression::fast());
    std::io::copy(&mut File::open(path).unwrap(), &mut packer).unwrap();
    let packed = packer.finish().unwrap();
    let modified = fs::metadata(path).unwrap().modified().unwrap();
    packed.set_modified(modified).unwrap();
    fs::remove_file(path).unwrap();
}

/// Writes rows, torn at random places, into one file of each style, and rotates them; returns how
/// many rows it wrote, and how many of each style.
fn switch(directory: PathBuf, rotations: u64, seed: u64) -> thread::JoinHandle<(u64, Vec<u64>)> {
    thread::spawn(move || {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut files: Vec<Written> = (0..)
            .zip(STYLES)
            .map(|(n, style)| Written::new(&directory.join(format!("{n}")), style))
            .collect();
        let began = Instant::now();
        let (mut rows, mut rotated) = (0, 0);
        let mut each = vec![0; STYLES.len()];
        while rotated < rotations {
            let at = rng.usize(..files.len());
            let written = &mut files[at];
            for _ in 0..rng.u64(1..60) {
                let row = row(330_000_000 + rows);
                let cut = if rng.u8(..) < 16 {
                    rng.usize(1..row.len())
                } else {
                    row.len()
                };
                written.file.write_all(&row.as_bytes()[..cut]).unwrap();
                written.file.write_all(&row.as_bytes()[cut..]).unwrap();
                rows += 1;
                each[at] += 1;
            }
            if rng.u8(..) < 40 {
                written.rotate();
                rotated += 1;
            }
            let due = Duration::from_micros(rows * 1_000_000 / ROWS_PER_SECOND);
            thread::sleep(due.saturating_sub(began.elapsed()));
        }
        (rows, each)
    })
}

fn configure(bench: &Bench, url: &str) {
    let mut config = "node = \"vos-1\"\nstate_dir = \"state\"\ncontrol_socket = \"control.sock\"\n[log]\nto = \"stderr\"\n".to_owned();
    for (n, style) in (0..).zip(STYLES) {
        let directory = bench.path(&format!("cdr/{n}")).display().to_string();
        let files = match style {
            Style::Period | Style::Exchange => format!("{directory}/*.csv"),
            _ => format!("{directory}/cdr.csv"),
        };
        config.push_str(&format!(
            "[[source]]\nname = \"{style:?}\"\nformat = \"vos3000-csv\"\nfiles = [\"{files}\"]\n\
             start = \"beginning\"\npoll = \"200ms\"\ncurrency = \"USD\"\n\n"
        ));
    }
    config.push_str(&format!(
        "[[endpoint]]\nname = \"billing\"\nevents = [\"cdr\"]\nsecret_file = \"secret\"\nurl = \"{url}\"\n\
         profile = \"vos3000\"\nprobe_max = \"500ms\"\n"
    ));
    fs::write(bench.path("switchhook.toml"), config).unwrap();
}

#[test]
fn no_row_is_missing_after_rotations_of_every_style_and_kills() {
    let number = |name: &str, default: u64| {
        let text = std::env::var(name).ok();
        text.and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let rotations = number("SWITCHHOOK_ROTATIONS", ROTATIONS);
    let seed = number("SWITCHHOOK_SEED", fastrand::u64(..1_000_000));
    println!("repeat with SWITCHHOOK_SEED={seed} SWITCHHOOK_ROTATIONS={rotations}");
    let mut bench = Bench::new();
    bench
        .dir
        .disable_cleanup(std::env::var("SWITCHHOOK_KEEP").is_ok());
    let receiver = receiver(Profile::Vos3000, &[], seed);
    configure(&bench, &receiver.url());
    let switch = switch(bench.path("cdr"), rotations, seed);
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut kills = 0;
    while !switch.is_finished() {
        let agent = bench.agent();
        thread::sleep(Duration::from_millis(rng.u64(50..1_500)));
        agent.kill();
        kills += 1;
        thread::sleep(Duration::from_millis(rng.u64(..300)));
    }
    let (rows, each) = switch.join().unwrap();
    let starts = || {
        let log = fs::read_to_string(bench.path("agent.log")).unwrap_or_default();
        log.matches(" started").count()
    };
    let starts_before = starts();
    let agent = bench.agent();
    // Before it has started, a signal ends it as any other program.
    wait_until("the last agent to start", || starts() > starts_before);
    let began = Instant::now();
    while receiver.account().distinct < rows && began.elapsed() < ARRIVAL {
        thread::sleep(Duration::from_millis(20));
    }
    // Until nothing comes any more: a commit that a kill undid is made once more.
    let mut arrived = 0;
    while std::mem::replace(&mut arrived, receiver.account().requests) != arrived {
        thread::sleep(Duration::from_secs(1));
    }
    assert_eq!(agent.stop(), 0, "{}", bench.path("agent.log").display());
    let account = receiver.account();
    let ledger = bench.ledger();
    assert!(ledger.balances(), "seed {seed}: {ledger:?}");
    let totals: Vec<String> = ledger
        .sources
        .iter()
        .map(|(name, source)| {
            let counts = source.counts;
            let style = STYLES
                .iter()
                .position(|style| format!("{style:?}") == **name);
            let written = each[style.unwrap()];
            format!(
                "{name}: {written} written, {} read, {} gaps",
                counts.rows, counts.gaps
            )
        })
        .collect();
    let read: u64 = ledger
        .sources
        .iter()
        .map(|(_, source)| source.counts.rows)
        .sum();
    println!(
        "{rows} rows, {kills} kills, {} repeats, {} read twice",
        account.duplicates,
        read.saturating_sub(rows)
    );
    // A copy that was made and missed around a kill may be read whole: the same rows, the same ids.
    assert!(read >= rows, "seed {seed}: {totals:?}");
    assert!(read - rows <= rows / 20, "seed {seed}: {totals:?}");
}
