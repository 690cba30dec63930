//! `[queue]` as written → [`QueueConfig`].

use super::file::{Loaded, QueueTable};
use super::place::Place;
use super::value;
use crate::event;
use crate::queue::{DiskLimits, WhenFull};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// Least and most bytes the state directory can be allowed: below 32 MiB a few generations of the
/// queue, the rows set aside and the dead letters do not fit beside each other.
const DISK_MAX: RangeInclusive<u64> = (32 << 20)..=(1 << 40);

/// Least and most bytes to leave free in the partition. Little is sensible only in one that
/// nothing else writes to.
const FREE_MIN: RangeInclusive<u64> = (1 << 20)..=(1 << 40);

/// Least and most inodes to leave free in the partition.
const FREE_INODES_MIN: RangeInclusive<i64> = 0..=100_000_000;

/// Least bytes of dead letters: four of their smallest generations.
const DEAD_LETTERS_MIN: u64 = 4 << 20;

/// Least bytes of what is set aside of a damaged store.
const QUARANTINE_MIN: u64 = 1 << 20;

/// Shortest and longest time dead letters can be kept.
const DEAD_LETTERS_KEEP: RangeInclusive<Duration> =
    Duration::from_secs(3_600)..=Duration::from_secs(3_650 * 86_400);

/// Types of events that still fit when the rest pauses, when the configuration says nothing.
const RESERVE_FOR: [&str; 2] = ["alarm", "balance_alert"];

/// The queue's settings.
#[derive(Debug, Clone)]
pub struct QueueConfig {
    /// What it may take of the disk.
    pub disk: DiskLimits,
    /// Types of events that still fit when reading pauses for the others.
    pub reserve_for: Vec<Arc<str>>,
}

impl Default for QueueConfig {
    fn default() -> QueueConfig {
        QueueConfig {
            disk: DiskLimits::default(),
            reserve_for: RESERVE_FOR.map(Arc::from).to_vec(),
        }
    }
}

/// Checks the table of `loaded`; whatever stands in the way is noted in `place`.
pub fn queue(table: &QueueTable, place: &mut Place<'_>) -> QueueConfig {
    let default = DiskLimits::default();
    let disk_max = place.bytes("disk_max", &table.disk_max, default.disk_max, DISK_MAX);
    let scaled = DiskLimits::of(disk_max);
    // What is kept for other things must leave the events that wait at least half.
    let dead_letters_max = place.bytes(
        "dead_letters_max",
        &table.dead_letters_max,
        scaled.dead_letters_max,
        DEAD_LETTERS_MIN..=(disk_max / 4),
    );
    let quarantine_max = place.bytes(
        "quarantine_max",
        &table.quarantine_max,
        scaled.quarantine_max,
        QUARANTINE_MIN..=(disk_max / 8),
    );
    let free_min = place.bytes("free_min", &table.free_min, default.free_min, FREE_MIN);
    let inodes = i64::try_from(default.free_inodes_min).unwrap_or(i64::MAX);
    let free_inodes_min = place.number(
        "free_inodes_min",
        &table.free_inodes_min,
        inodes,
        FREE_INODES_MIN,
    );
    let when_full = place.choice(
        "when_full",
        &table.when_full,
        default.when_full,
        &[
            ("pause", WhenFull::Pause),
            ("drop_oldest", WhenFull::DropOldest),
        ],
    );
    let dead_letters_keep = place.duration(
        "dead_letters_keep",
        &table.dead_letters_keep,
        default.dead_letters_keep,
        DEAD_LETTERS_KEEP,
    );
    QueueConfig {
        disk: DiskLimits {
            disk_max,
            free_min,
            free_inodes_min: u64::try_from(free_inodes_min).unwrap_or_default(),
            when_full,
            dead_letters_max,
            dead_letters_keep,
            quarantine_max,
        },
        reserve_for: reserve_for(table, place),
    }
}

fn reserve_for(table: &QueueTable, place: &mut Place<'_>) -> Vec<Arc<str>> {
    const LIKE: &str = "[\"alarm\", \"balance_alert\"], or [] for none";
    let Some(kinds) = place.given("reserve_for", &table.reserve_for, LIKE) else {
        return QueueConfig::default().reserve_for;
    };
    for kind in kinds.iter().filter(|kind| !event::is_kind(kind)) {
        place.problem(
            "reserve_for",
            &table.reserve_for,
            format!("{kind:?} is no event type; write {LIKE}"),
        );
    }
    kinds.iter().map(|kind| kind.as_str().into()).collect()
}

/// The table of `loaded`, where it has one.
pub fn of_file(loaded: &Loaded, problems: &mut super::Problems) -> Option<QueueConfig> {
    let table = loaded.file.queue.as_ref()?;
    Some(queue(table, &mut Place::new(loaded, "queue", problems)))
}

/// The settings in force, as they would be written.
pub fn show(config: &QueueConfig) -> toml::Table {
    let mut table = toml::Table::new();
    let disk = &config.disk;
    let mut put = |key: &str, value: toml::Value| table.insert(key.to_string(), value);
    put("disk_max", value::show_bytes(disk.disk_max).into());
    put("free_min", value::show_bytes(disk.free_min).into());
    let inodes = i64::try_from(disk.free_inodes_min).unwrap_or(i64::MAX);
    put("free_inodes_min", inodes.into());
    put("when_full", disk.when_full.to_string().into());
    let kinds = config
        .reserve_for
        .iter()
        .map(|kind| kind.to_string().into());
    put("reserve_for", kinds.collect::<Vec<toml::Value>>().into());
    put(
        "dead_letters_max",
        value::show_bytes(disk.dead_letters_max).into(),
    );
    put(
        "dead_letters_keep",
        value::show_duration(disk.dead_letters_keep).into(),
    );
    put(
        "quarantine_max",
        value::show_bytes(disk.quarantine_max).into(),
    );
    table
}
