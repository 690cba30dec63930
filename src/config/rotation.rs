//! Rotation: since when an endpoint has two secrets in force.

use super::place::Place;
use super::secret::SecretKeys;
use super::written::{Key, Written};
use crate::clock::UnixMs;
use std::env;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Two secrets are in force.
///
/// However a secret is changed over (the old file renamed and a new one written, or copied, or both
/// written anew), the younger of the two was written when the change began or later: so it tells
/// since when both are in force, at the earliest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// When the younger of the two was written; `None` where only the agent's start can tell.
    pub since: Option<UnixMs>,
    /// What tells that.
    pub told_by: ToldBy,
}

/// What tells since when two secrets are in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToldBy {
    /// The time of a secret's file.
    SecretFile,
    /// The time of the configuration file, which holds a secret itself.
    Configuration,
    /// The agent's start: secrets in its environment cannot change while it runs.
    Start,
}

impl ToldBy {
    /// In a word, for `status`.
    pub fn word(self) -> &'static str {
        match self {
            ToldBy::SecretFile => "secret file",
            ToldBy::Configuration => "configuration file",
            ToldBy::Start => "agent's start",
        }
    }
}

/// Since when both secrets are in force; `None` where there is one at most.
pub fn rotation(
    current: SecretKeys<'_>,
    previous: SecretKeys<'_>,
    place: &Place<'_>,
) -> Option<Rotation> {
    let _both = (current.written().as_ref()?, previous.written().as_ref()?);
    let told = [current, previous].map(|keys| written_at(keys, place));
    let latest = told.into_iter().flatten().max_by_key(|(at, _)| *at);
    Some(Rotation {
        since: latest.map(|(at, _)| at),
        told_by: latest.map_or(ToldBy::Start, |(_, told_by)| told_by),
    })
}

/// When the secret was written, as far as a file tells.
fn written_at(keys: SecretKeys<'_>, place: &Place<'_>) -> Option<(UnixMs, ToldBy)> {
    if let Some(path) = text(keys.file) {
        return Some((time_of(&place.resolve(path))?, ToldBy::SecretFile));
    }
    if let Some(name) = text(keys.credential) {
        let directory = PathBuf::from(env::var_os("CREDENTIALS_DIRECTORY")?);
        return Some((time_of(&directory.join(name))?, ToldBy::SecretFile));
    }
    let _literal = keys.literal.as_ref()?;
    Some((time_of(place.file())?, ToldBy::Configuration))
}

fn text(key: &Key<String>) -> Option<&str> {
    match key.as_ref()?.get_ref() {
        Written::As(text) => Some(text),
        Written::Not(_) => None,
    }
}

fn time_of(path: &Path) -> Option<UnixMs> {
    let modified = path.metadata().ok()?.modified().ok()?;
    let since = modified.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok().map(UnixMs)
}
