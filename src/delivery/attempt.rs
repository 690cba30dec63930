//! Attempt: a line of its own in the log, for the attempts that `[log] attempts` asks for.

use super::outcome::Outcome;
use crate::logging;
use std::fmt::Display;
use std::time::Duration;

/// What an attempt came to in one word, and why it did not deliver; empty when it did.
pub fn words(outcome: &Outcome) -> (&'static str, &str) {
    match outcome {
        Outcome::Delivered => ("delivered", ""),
        Outcome::Refused(failure) => ("refused", &failure.reason),
        Outcome::Unavailable { failure, .. } => ("unavailable", &failure.reason),
        Outcome::Gone(failure) => ("gone", &failure.reason),
    }
}

/// Writes the line of the attempt with this `number`, where attempts like it are told.
pub fn log(
    endpoint: &str,
    id: impl Display,
    kind: &str,
    number: u32,
    outcome: &Outcome,
    elapsed: Duration,
) {
    let (word, error) = words(outcome);
    if !logging::tells_attempt(*outcome == Outcome::Delivered) {
        return;
    }
    let millis = elapsed.as_millis();
    if error.is_empty() {
        log::info!(
            "attempt endpoint={endpoint} outcome={word} number={number} ms={millis} type={kind} id={id}"
        );
    } else {
        log::info!(
            "attempt endpoint={endpoint} outcome={word} number={number} ms={millis} type={kind} id={id} error={error:?}"
        );
    }
}
