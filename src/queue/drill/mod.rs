//! Drills: a process that works on a queue is killed, or the power of its disk is cut, and an
//! oracle says what must be there afterwards.
//!
//! The worker is this test binary started again ([`worker`]). What it does is decided, step by
//! step, by a seed and by how far things are ([`step`]), so the oracle, a [`Model`] in the parent,
//! knows each step without being told. The worker only notes that a step *returned*, outside the
//! disk whose power is cut. Afterwards the queue must be seen as after the last step that returned,
//! or as after the one that was under way, whole: nothing else. That covers all of it in one
//! comparison: events, positions, counts, settlements, what waits, dead letters and small state.

mod kill;
mod power;
mod round;
mod step;
mod torn;
mod worker;

pub(super) use worker::{Point, reached, syncs};

use std::io::Write;

/// Says on the terminal itself, past the test runner, that a test did not run.
fn skip(test: &str, why: &str) {
    let line = format!("\nSKIPPED queue::drill::{test}: {why}; .ci/run installs it\n");
    let _told = std::io::stderr().write_all(line.as_bytes());
}

/// What a drill came to, for whoever runs it with `--nocapture`.
fn say(text: &str) {
    let _told = writeln!(std::io::stderr(), "{text}");
}

/// A number from the environment.
pub(super) fn number(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(default)
}
