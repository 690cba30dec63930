//! Rows written while a rotation copies and truncates: what can be saved is saved, and the rest is
//! told with about its size.

use super::*;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

/// Rotations of one run; `SWITCHHOOK_TRUNCATIONS` asks for more, `SWITCHHOOK_SEED` repeats a run.
const CUTS: u64 = 12;

/// Rows a second: five in a millisecond, as in T5.
const ROWS_PER_SECOND: u64 = 5_000;

fn row(number: u64) -> String {
    format!("{number:08}|{}\n", "x".repeat(60))
}

/// Writes rows into `path` until `stop`, each with one call; returns how many.
fn write_rows(path: PathBuf, stop: &AtomicBool) -> u64 {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    let (began, mut rows) = (Instant::now(), 0);
    while !stop.load(Ordering::Relaxed) {
        let due = began.elapsed().as_micros() * u128::from(ROWS_PER_SECOND) / 1_000_000;
        while u128::from(rows) < due {
            file.write_all(row(rows).as_bytes()).unwrap();
            rows += 1;
        }
        thread::sleep(Duration::from_micros(500));
    }
    rows
}

/// What a run came to.
#[derive(Debug, Default)]
struct Run {
    written: u64,
    /// Runs of rows that were not handed out: the first, and how many.
    lost: Vec<(u64, u64)>,
    repeated: u64,
    /// The gaps told: rows seen and unseen.
    told: Vec<u64>,
}

fn run(seed: u64, cuts: u64) -> Run {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut scene = Scene::new();
    let path = scene.path("cdr.txt");
    let (stop, is_rotated) = (AtomicBool::new(false), AtomicBool::new(false));
    let mut numbers: HashMap<u64, u64> = HashMap::new();
    let mut told = Vec::new();
    let written = thread::scope(|scope| {
        let writer = scope.spawn(|| write_rows(path.clone(), &stop));
        let pauses: Vec<(u64, u64)> = (0..cuts)
            .map(|_| (rng.u64(150..300), rng.u64(..15)))
            .collect();
        let (path, is_rotated) = (&path, &is_rotated);
        scope.spawn(move || {
            for (cut, (before, between)) in pauses.into_iter().enumerate() {
                thread::sleep(Duration::from_millis(before));
                let copy = path.with_file_name(format!("cdr.txt.{cut}"));
                fs::copy(path, copy).unwrap();
                thread::sleep(Duration::from_millis(between));
                let file = OpenOptions::new().write(true).open(path).unwrap();
                file.set_len(0).unwrap();
            }
            is_rotated.store(true, Ordering::Relaxed);
        });
        let mut ended_at = None;
        while ended_at.is_none_or(|at: Instant| at.elapsed() < Duration::from_secs(1)) {
            if is_rotated.load(Ordering::Relaxed) && ended_at.is_none() {
                ended_at = Some(Instant::now());
                stop.store(true, Ordering::Relaxed);
            }
            scene.now = SystemClock::new().wall();
            if rng.u8(..) < 200 && scene.source.glance(scene.now) {
                // As when the directory watch says that something was written.
            } else {
                let looked = scene.look();
                told.extend(looked.changes.iter().filter_map(|change| match change {
                    Change::Gap(gap) => gap.rows(),
                    _ => None,
                }));
            }
            for line in scene.drain() {
                let (_, row) = line.split_once(": ").unwrap();
                let number = row.split('|').next().unwrap().parse().unwrap();
                *numbers.entry(number).or_default() += 1;
            }
            thread::sleep(Duration::from_millis(rng.u64(1..15)));
        }
        writer.join().unwrap()
    });
    let mut lost: Vec<(u64, u64)> = Vec::new();
    for number in (0..written).filter(|number| !numbers.contains_key(number)) {
        match lost.last_mut() {
            Some((first, count)) if *first + *count == number => *count += 1,
            _ => lost.push((number, 1)),
        }
    }
    Run {
        written,
        lost,
        repeated: numbers.values().map(|count| count - 1).sum(),
        told,
    }
}

#[test]
fn rows_written_while_a_file_is_copied_and_cut_off_are_read_or_told_as_about_so_many() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seed = number("SWITCHHOOK_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000));
    let cuts = number("SWITCHHOOK_TRUNCATIONS").unwrap_or(CUTS);
    let run = run(seed, cuts);
    assert_eq!(run.repeated, 0, "seed {seed}: {run:?}");
    let lost: u64 = run.lost.iter().map(|(_, count)| count).sum();
    let told: u64 = run.told.iter().sum();
    // Below a row by the estimate, nothing is told.
    let small = run.lost.iter().filter(|(_, count)| *count < 10).count();
    assert!(
        run.told.len() + small >= run.lost.len(),
        "seed {seed}: {run:?}"
    );
    // Ten rows are 2 ms of the writer, whose own pace is no steadier.
    let slack = 10 * cuts;
    assert!(lost <= 2 * told + slack, "seed {seed}: {run:?}");
    assert!(told <= 2 * lost + slack, "seed {seed}: {run:?}");
    assert!(lost <= run.written / 10, "seed {seed}: {run:?}");
}
