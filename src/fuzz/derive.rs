//! What rows mean together: the same whether the agent was started anew between two rows or not.

use super::parser::{PRESETS, settings};
use super::{Choices, check_event};
use crate::clock::{Moment, UnixMs};
use crate::derive::balance::{Threshold, Thresholds};
use crate::derive::summary::{By, SummarySettings};
use crate::derive::{Derive, Fate, Now, Settings};
use crate::event::{CallSettings, Event, Maker, Origin};
use crate::parser::{Format, Parser, Step};
use crate::queue::STATE_BYTES_MAX;
use std::collections::BTreeMap;
use std::time::Duration;

/// 2026-04-10T15:30:00Z.
const BEGIN: Now = Now {
    moment: Moment(Duration::ZERO),
    wall: UnixMs(1_775_835_000_000),
};

/// Machines, and what a queue would keep of them.
struct Bench<'f> {
    format: &'f Format,
    derive: Derive,
    stored: BTreeMap<String, Vec<u8>>,
}

impl Bench<'_> {
    fn new(format: &Format, stored: BTreeMap<String, Vec<u8>>) -> Bench<'_> {
        let calls = CallSettings::default();
        let pairs: Vec<_> = stored.clone().into_iter().collect();
        let maker = Maker::new("vos-1".into(), "s".into(), calls);
        Bench {
            format,
            derive: Derive::new(all_on(), maker, format, &pairs),
            stored,
        }
    }

    /// As a commit does.
    fn commit(&mut self) {
        let mut changes = Vec::new();
        self.derive.take_changes(&mut changes);
        for change in changes {
            if let Some(value) = &change.value {
                assert!(value.len() <= STATE_BYTES_MAX);
            }
            match change.value {
                Some(value) => drop(self.stored.insert(change.name, value)),
                None => drop(self.stored.remove(&change.name)),
            }
        }
    }

    /// As a stop and a start do.
    fn start_anew(&mut self) {
        *self = Bench::new(self.format, std::mem::take(&mut self.stored));
    }

    fn take(&mut self, parser: &mut Parser, rest: &[u8], at: usize, now: Now) -> Taken {
        let mut told = Vec::new();
        let (fate, bytes) = match parser.next(rest, at == 0, true) {
            Step::Record { record, bytes, .. } => {
                let origin = Origin {
                    first_row: &[7; 32],
                    offset: at as u64,
                    raw: &rest[..bytes],
                };
                let fate = self
                    .derive
                    .take(&record, self.format, origin, now, &mut told);
                (Some(fate), bytes)
            }
            Step::Skipped { bytes, .. }
            | Step::Unwanted { bytes, .. }
            | Step::Rejected { bytes, .. } => (None, bytes),
            Step::More => panic!("no more comes"),
        };
        self.commit();
        told.iter().for_each(check_event);
        (fate, told, bytes)
    }

    fn tick(&mut self, now: Now) -> Vec<Event> {
        let mut told = Vec::new();
        self.derive.tick(now, true, &mut told);
        self.commit();
        told.iter().for_each(check_event);
        told
    }
}

type Taken = (Option<Fate>, Vec<Event>, usize);

fn all_on() -> Settings {
    let threshold = |text| Threshold::parse(text).expect("an amount");
    Settings {
        thresholds: Thresholds {
            all: vec![threshold("100"), threshold("10"), threshold("0")],
            ..Thresholds::default()
        },
        summary: Some(SummarySettings {
            every: Duration::from_secs(900),
            by: By::Gateway,
            wait: Duration::from_secs(60),
        }),
        heartbeat_every: Some(Duration::from_secs(60)),
        ..Settings::default()
    }
}

/// Rows of any preset, the agent being started anew after every few of them.
pub(super) fn rows(data: &[u8]) {
    let (bytes, mut choices) = Choices::take(data, 6);
    let every = 1 + choices.next(4);
    let pause = Duration::from_secs(2 + 60 * choices.next(256) as u64);
    let format = &PRESETS[choices.next(PRESETS.len())];
    if format.reader.is_document() {
        return;
    }
    let settings = settings(format.clone(), &mut choices);
    let mut parsers = [Parser::new(settings.clone()), Parser::new(settings)];
    let mut steady = Bench::new(format, BTreeMap::new());
    let mut forgetful = Bench::new(format, BTreeMap::new());
    let (mut at, mut now, mut rows) = (0, BEGIN, 0);
    while at < bytes.len() {
        let rest = &bytes[at..];
        let taken = steady.take(&mut parsers[0], rest, at, now);
        assert_eq!(taken, forgetful.take(&mut parsers[1], rest, at, now));
        at += taken.2;
        rows += 1;
        if rows % every == 0 {
            forgetful.start_anew();
            now.moment = now.moment + pause;
            now.wall = now.wall.after(pause);
            assert_eq!(steady.tick(now), forgetful.tick(now));
        }
    }
    for _ in 0..2 {
        now.moment = now.moment + Duration::from_secs(86_400);
        now.wall = now.wall.after(Duration::from_secs(86_400));
        assert_eq!(steady.tick(now), forgetful.tick(now));
    }
    assert_eq!(steady.stored, forgetful.stored);
}

/// What the queue says the machines knew: lines of `machine {entry}`.
pub(super) fn state(data: &[u8]) {
    let format = PRESETS
        .iter()
        .find(|format| format.name == "kamailio-acc")
        .unwrap_or(&PRESETS[0]);
    let mut stored = BTreeMap::new();
    for (index, line) in data.split(|byte| *byte == b'\n').enumerate() {
        let Some(space) = memchr::memchr(b' ', line) else {
            continue;
        };
        let (machine, entry) = line.split_at(space);
        let machine = String::from_utf8_lossy(machine);
        let prefix = Derive::prefix("s");
        let name = format!("{prefix}{machine}/{index:032x}");
        stored.insert(name, entry[1..].to_vec());
    }
    let mut bench = Bench::new(format, stored);
    let mut now = BEGIN;
    for span in [2, 86_400, 365 * 86_400] {
        now.moment = now.moment + Duration::from_secs(span);
        now.wall = now.wall.after(Duration::from_secs(span));
        bench.tick(now);
    }
    // What was told is not told again.
    bench.start_anew();
    now.moment = now.moment + Duration::from_secs(2);
    bench.tick(now);
}
