//! Writes torn in every way a disk may tear them: of what was written since the last sync, any
//! part may be there after a power cut, in any order, whatever was written first.
//!
//! A file system that is shut down shows only one of these orders at a time, and a loop device
//! hardly ever the bad ones. So here the database's file is kept as it was at the last sync, and
//! as it is just before the next; out of both, files are put together as a disk could leave them,
//! and each must open to what was there before the step or after it. No rights are needed.

use super::super::Queue;
use super::super::model::Model;
use super::super::seen::Seen;
use super::number;
use super::round::see;
use super::step::{self, KEYS, NAMES, Step};
use super::worker::Point;
use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};

/// Steps in the default run; `SWITCHHOOK_TORN_STEPS` asks for more, `SWITCHHOOK_SEED` repeats one.
const STEPS: u64 = 24;

/// Steps before a queue is begun anew.
const STEPS_PER_QUEUE: u64 = 12;

/// What a disk writes whole: nothing bigger is promised, and the file system's unit is 4,096.
const SECTOR: usize = 512;

thread_local! {
    static WATCH: RefCell<Option<Watch>> = const { RefCell::new(None) };
}

/// What is watched while a step is taken.
struct Watch {
    state: PathBuf,
    /// What is seen when the step was not taken, and when it was.
    before: Seen,
    after: Seen,
    rng: fastrand::Rng,
    /// The file as of the last sync.
    synced: Vec<u8>,
    failed: Option<String>,
    torn: u64,
}

/// A write of this thread has come to `point`.
pub(super) fn reached(point: Point, directory: &Path) {
    // Taken out meanwhile: what is opened below may write too.
    let Some(mut watch) = WATCH.take() else {
        return;
    };
    let file = directory.join("db");
    match point {
        Point::Begun => watch.synced = fs::read(&file).unwrap(),
        Point::Flushed => watch.tear(&file),
        Point::Applied | Point::Synced => {}
    }
    WATCH.set(Some(watch));
}

/// Ways for a disk to tear what was written.
#[derive(Debug, Clone, Copy)]
enum Tear {
    /// What was overwritten is there, the file's new length is not.
    OldLength,
    /// The length is there, what was appended is not.
    Zeros,
    /// Any half of it, in units of this many bytes.
    Half(usize),
    /// All up to some place of the file.
    Start,
    /// All from some place of the file on.
    End,
}

impl Watch {
    fn tear(&mut self, file: &Path) {
        let now = fs::read(file).unwrap();
        for tear in [
            Tear::OldLength,
            Tear::Zeros,
            Tear::Half(SECTOR),
            Tear::Half(4_096),
            Tear::Start,
            Tear::End,
        ] {
            let torn = self.torn(&now, tear);
            let copied = tempfile::tempdir().unwrap();
            copy(&self.state, copied.path());
            fs::write(
                copied.path().join(file.strip_prefix(&self.state).unwrap()),
                torn,
            )
            .unwrap();
            self.torn += 1;
            let wrong = match see(copied.path()) {
                Err(what) => Some(what),
                Ok(seen) => match (seen.difference(&self.before), seen.difference(&self.after)) {
                    (Some(before), Some(after)) => Some(format!(
                        "neither as before ({before}) nor as after ({after})"
                    )),
                    _ => None,
                },
            };
            if let Some(what) = wrong {
                self.failed.get_or_insert(format!("{tear:?}: {what}"));
            }
        }
    }

    /// What a disk may have of the file, which held `synced` for certain and should hold `now`.
    fn torn(&mut self, now: &[u8], tear: Tear) -> Vec<u8> {
        let mut torn = self.synced.clone();
        let (old, place) = (torn.len(), self.rng.usize(..=now.len()));
        if !matches!(tear, Tear::OldLength) {
            torn.resize(now.len(), 0);
        }
        let unit = if let Tear::Half(unit) = tear {
            unit
        } else {
            SECTOR
        };
        for (number, (to, from)) in torn.chunks_mut(unit).zip(now.chunks(unit)).enumerate() {
            let at = number * unit;
            let written = match tear {
                Tear::OldLength | Tear::Zeros => at < old,
                Tear::Half(_) => self.rng.bool(),
                Tear::Start => at < place,
                Tear::End => at >= place,
            };
            if written {
                to.copy_from_slice(&from[..to.len()]);
            }
        }
        torn
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&to).unwrap();
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn a_write_torn_in_any_way_is_there_whole_or_not_at_all() {
    let steps = number("SWITCHHOOK_TORN_STEPS", STEPS);
    let seed = number("SWITCHHOOK_SEED", fastrand::u64(..1_000_000));
    let repeat = format!("repeat with SWITCHHOOK_SEED={seed} SWITCHHOOK_TORN_STEPS={steps}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let (mut taken, mut torn) = (0, 0);
    while taken < steps {
        let group = [1_024, 8, 1_024, 100][rng.usize(..4)];
        let more = STEPS_PER_QUEUE.min(steps - taken);
        torn += tear_steps(rng.u64(..), group, more, &repeat);
        taken += more;
    }
    super::say(&format!("{steps} steps, {torn} torn writes"));
    assert!(torn > steps, "{torn} torn writes; {repeat}");
}

fn tear_steps(seed: u64, group: u64, steps: u64, repeat: &str) -> u64 {
    let directory = tempfile::tempdir().unwrap();
    let queue = Queue::open(directory.path(), "node").unwrap();
    let mut model = Model::default();
    let mut torn = 0;
    for number in 0..steps {
        let before = Seen::of_model(&model, &NAMES, &KEYS);
        step::follow(&mut model, seed, number..number + 1, group);
        WATCH.set(Some(Watch {
            state: directory.path().to_owned(),
            before,
            after: Seen::of_model(&model, &NAMES, &KEYS),
            rng: fastrand::Rng::with_seed(seed ^ number),
            synced: Vec::new(),
            failed: None,
            torn: 0,
        }));
        let step = Step::at(seed, number, group, &queue);
        step.take(&queue).unwrap();
        let watch = WATCH.take().unwrap();
        torn += watch.torn;
        assert_eq!(
            watch.failed, None,
            "step {number}, commits of {group}; {repeat}"
        );
    }
    torn
}
