//! Round: one worker from its start to its end, and what must be there then.

use super::super::Queue;
use super::super::model::Model;
use super::super::seen::Seen;
use super::step::{self, KEYS, NAMES};
use super::worker::Order;
use std::fs::{self, File};
use std::path::Path;
use std::process::Child;
use std::time::Duration;
use tempfile::TempDir;

/// One history over many rounds: what the worker did so far, and where it notes that.
pub(super) struct Drill {
    outside: TempDir,
    model: Model,
    pub(super) order: Order,
    /// Steps the worker returned from, in all rounds.
    pub(super) steps: u64,
}

impl Drill {
    /// A new history on a queue that is yet to be made at `state`.
    pub(super) fn new(state: &Path, seed: u64, group: u64) -> Drill {
        let outside = tempfile::tempdir().unwrap();
        let order = Order {
            state: state.to_owned(),
            returned: outside.path().join("returned"),
            seed,
            first: 0,
            group,
            end: None,
            cut: None,
            syncs: true,
        };
        let (model, steps) = (Model::default(), 0);
        Drill {
            outside,
            model,
            order,
            steps,
        }
    }

    /// Starts the next worker.
    pub(super) fn start(&self) -> Child {
        File::create(&self.order.returned).unwrap();
        assert!(self.outside.path().exists());
        self.order.start()
    }

    /// Compares the queue, after its worker's end, with what the worker did: as after the last
    /// step that returned, or as after the next. The history goes on from there.
    ///
    /// # Errors
    ///
    /// What is not as it must be.
    pub(super) fn check(&mut self) -> Result<(), String> {
        let returned = fs::metadata(&self.order.returned).unwrap().len();
        let (seed, group, first) = (self.order.seed, self.order.group, self.order.first);
        let under_way = first + returned;
        self.steps += returned;
        step::follow(&mut self.model, seed, first..under_way, group);
        let seen = see(&self.order.state)?;
        let before = Seen::of_model(&self.model, &NAMES, &KEYS);
        self.order.first = under_way;
        let Some(from_before) = seen.difference(&before) else {
            return Ok(());
        };
        step::follow(&mut self.model, seed, under_way..under_way + 1, group);
        let after = Seen::of_model(&self.model, &NAMES, &KEYS);
        self.order.first = under_way + 1;
        match seen.difference(&after) {
            None => Ok(()),
            Some(from_after) => Err(format!(
                "step {under_way} neither happened nor did not: it is not as before ({from_before}), nor as after ({from_after})"
            )),
        }
    }
}

/// Opens the queue at `state` and says what is seen of it, when that is possible without a loss.
pub(super) fn see(state: &Path) -> Result<Seen, String> {
    let queue =
        Queue::open(state, "node").map_err(|error| format!("it does not open: {error:?}"))?;
    // Mending would hide what went wrong: after a crash there is nothing to mend.
    let mended = &queue.opened().mended;
    if !mended.is_empty() {
        return Err(format!("mended: {mended:?}"));
    }
    // Said apart from the comparison that follows, being what everything rests on.
    for source in NAMES {
        let (read, events) = (
            step::events_read(&queue, source),
            step::Known::source_events(&queue, source),
        );
        if read != events {
            return Err(format!(
                "source {source} was read as far as event {read}, and {events} are queued"
            ));
        }
    }
    let seen = Seen::of_queue(&queue, &NAMES, &KEYS)
        .map_err(|error| format!("it does not read: {error:?}"))?;
    match set_aside(&state.join("queue")) {
        Some(name) => Err(format!("mended while it was read: {name}")),
        None => Ok(seen),
    }
}

fn set_aside(parent: &Path) -> Option<String> {
    let names = fs::read_dir(parent)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    names
        .map(|name| name.to_string_lossy().into_owned())
        .find(|name| name.contains(".bad-"))
}

/// A random moment, most of them early: of 0 to `most`.
pub(super) fn moment(rng: &mut fastrand::Rng, most: Duration) -> Duration {
    most.mul_f64(rng.f64() * rng.f64())
}
