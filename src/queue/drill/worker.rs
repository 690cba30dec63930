//! Worker: the process that works on a queue until it is killed or its disk is gone.

use super::super::Queue;
use super::super::image;
use super::number;
use super::step::Step;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// What a worker is told to do, through its environment.
#[derive(Debug, Clone)]
pub(super) struct Order {
    /// The state directory.
    pub(super) state: PathBuf,
    /// Where it adds a byte for each step that returned.
    pub(super) returned: PathBuf,
    /// The history.
    pub(super) seed: u64,
    /// The step to begin with.
    pub(super) first: u64,
    /// Most events of a commit.
    pub(super) group: u64,
    /// Ends itself where the write of this number, from 0, has come to.
    pub(super) end: Option<(u64, Point)>,
    /// The file system to cut when it ends itself.
    pub(super) cut: Option<PathBuf>,
    /// Whether writes are synced, as they should be.
    pub(super) syncs: bool,
}

/// How far a write has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Point {
    /// Nothing was given to the database yet.
    Begun,
    /// The batch is in the database's memory, part of it perhaps in its file.
    Applied,
    /// It was written to the file.
    Flushed,
    /// It was synced.
    Synced,
}

impl Point {
    pub(super) const ALL: [Point; 4] =
        [Point::Begun, Point::Applied, Point::Flushed, Point::Synced];
}

impl Order {
    /// Starts a worker.
    pub(super) fn start(&self) -> Child {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args([
                "--exact",
                "queue::drill::worker::works_until_it_is_ended",
                "--ignored",
                "--test-threads=1",
            ])
            .env("SWITCHHOOK_DRILL_STATE", &self.state)
            .env("SWITCHHOOK_DRILL_RETURNED", &self.returned)
            .env("SWITCHHOOK_DRILL_SEED", self.seed.to_string())
            .env("SWITCHHOOK_DRILL_FIRST", self.first.to_string())
            .env("SWITCHHOOK_DRILL_GROUP", self.group.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if let Some((write, point)) = self.end {
            let point = Point::ALL.iter().position(|other| *other == point).unwrap();
            command.env(
                "SWITCHHOOK_DRILL_END",
                (write * 4 + point as u64).to_string(),
            );
        }
        if let Some(root) = &self.cut {
            command.env("SWITCHHOOK_DRILL_CUT", root);
        }
        if !self.syncs {
            command.env("SWITCHHOOK_DRILL_NO_SYNC", "1");
        }
        command.spawn().unwrap()
    }
}

/// The worker itself; run by hand without an order it does nothing.
#[test]
#[ignore = "the drills start it as a process of its own"]
fn works_until_it_is_ended() {
    let Some(state) = std::env::var_os("SWITCHHOOK_DRILL_STATE") else {
        return;
    };
    let queue = Queue::open(Path::new(&state), "node").unwrap();
    let mut returned = OpenOptions::new()
        .append(true)
        .open(std::env::var_os("SWITCHHOOK_DRILL_RETURNED").unwrap())
        .unwrap();
    let (seed, group) = (
        number("SWITCHHOOK_DRILL_SEED", 0),
        number("SWITCHHOOK_DRILL_GROUP", 1),
    );
    for at in number("SWITCHHOOK_DRILL_FIRST", 0).. {
        let step = Step::at(seed, at, group, &queue);
        if step.take(&queue).is_err() {
            // The disk is gone. What this returned was never believed.
            std::process::abort();
        }
        returned.write_all(b".").unwrap();
    }
}

/// Whether writes are synced: always, but in a drill that shows what happens otherwise.
pub(in super::super) fn syncs() -> bool {
    static SYNCS: OnceLock<bool> = OnceLock::new();
    *SYNCS.get_or_init(|| std::env::var_os("SWITCHHOOK_DRILL_NO_SYNC").is_none())
}

/// A write to the generation in `directory` has come to `point`.
pub(in super::super) fn reached(point: Point, directory: &Path) {
    super::torn::reached(point, directory);
    end_at(point);
}

/// Ends a worker that was told to end here.
fn end_at(point: Point) {
    static END: OnceLock<Option<u64>> = OnceLock::new();
    static PASSED: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let end = END.get_or_init(|| std::env::var("SWITCHHOOK_DRILL_END").ok()?.parse().ok());
    let Some(end) = *end else { return };
    let passed = PASSED.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    if passed / 4 < end / 4 || passed % 4 != end % 4 {
        return;
    }
    assert_eq!(Point::ALL[usize::try_from(end % 4).unwrap()], point);
    if let Some(root) = std::env::var_os("SWITCHHOOK_DRILL_CUT") {
        image::cut(Path::new(&root)).unwrap();
    }
    let _ended = nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL);
}
