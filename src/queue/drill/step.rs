//! Step: what a worker does next, decided by a seed and by how far things are.

use super::super::model::Model;
use super::super::{
    AttachFrom, DeadLetter, Queue, QueueError, Queued, Settled, Settlement, SourceBatch,
    SourceCounts, WINDOW, Waiting,
};
use crate::clock::UnixMs;
use crate::event::{Event, EventId, Labels, Sequence};
use crate::source::{FileKey, FilePosition};
use crate::timestamp::Timestamp;

/// Sources and endpoints alike.
pub(super) const NAMES: [&str; 2] = ["billing", "crm"];

/// The piece of state that goes with every commit: the number of its step.
pub(super) const KEYS: [&str; 1] = ["step"];

/// Bytes a row would have: a position is that many for each event of its source.
pub(super) const ROW_BYTES: u64 = 500;

/// One call of the queue, which happens whole or not at all.
#[derive(Debug)]
pub(super) enum Step {
    Attach(&'static str),
    Commit {
        number: u64,
        batches: Vec<SourceBatch>,
    },
    Settle(Vec<Settled>),
    Roll,
    Read {
        from: Sequence,
    },
}

/// How far things are: the same in the worker's queue and in the oracle's model.
pub(super) trait Known {
    fn next(&self) -> Sequence;
    fn cursor(&self, endpoint: &str) -> Sequence;
    fn source_events(&self, source: &str) -> u64;
    fn waiting(&self, endpoint: &str) -> Vec<Waiting>;
    fn event(&self, sequence: Sequence) -> Queued;
}

impl Known for Queue {
    fn next(&self) -> Sequence {
        self.next_sequence()
    }

    fn cursor(&self, endpoint: &str) -> Sequence {
        Queue::cursor(self, endpoint)
    }

    fn source_events(&self, source: &str) -> u64 {
        self.ledger()
            .source(source)
            .map_or(0, |totals| totals.events)
    }

    fn waiting(&self, endpoint: &str) -> Vec<Waiting> {
        Queue::waiting(self, endpoint, usize::MAX).unwrap()
    }

    fn event(&self, sequence: Sequence) -> Queued {
        self.read(sequence, 1).unwrap().remove(0)
    }
}

impl Known for Model {
    fn next(&self) -> Sequence {
        Model::next(self)
    }

    fn cursor(&self, endpoint: &str) -> Sequence {
        self.endpoints
            .get(endpoint)
            .map_or(self.next(), |endpoint| endpoint.cursor())
    }

    fn source_events(&self, source: &str) -> u64 {
        self.sources.get(source).map_or(0, |totals| totals.events)
    }

    fn waiting(&self, endpoint: &str) -> Vec<Waiting> {
        self.endpoints
            .get(endpoint)
            .map_or_else(Vec::new, |endpoint| endpoint.waiting())
    }

    fn event(&self, sequence: Sequence) -> Queued {
        self.read_one(sequence)
    }
}

impl Step {
    /// Step `number` of the history called `seed`, with commits of up to `group` events.
    pub(super) fn at(seed: u64, number: u64, group: u64, known: &dyn Known) -> Step {
        let mut rng = fastrand::Rng::with_seed(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        match (number, rng.u8(..100)) {
            (0 | 1, _) => Step::Attach(NAMES[usize::try_from(number).unwrap()]),
            (_, 0..50) => commit(number, group, known, &mut rng),
            (_, 50..90) => settle(group, known, &mut rng),
            (_, 90..93) => Step::Roll,
            _ => Step::Read {
                from: known.cursor(NAMES[rng.usize(..2)]),
            },
        }
    }

    /// Takes the step. What it takes is durable when this returns `Ok`.
    pub(super) fn take(self, queue: &Queue) -> Result<(), QueueError> {
        match self {
            Step::Attach(endpoint) => queue.attach(endpoint, AttachFrom::Oldest),
            Step::Commit { number, batches } => {
                queue.state_put(KEYS[0], &number.to_be_bytes())?;
                queue.commit(&batches).map(drop)
            }
            Step::Settle(settled) => queue.settle(settled),
            Step::Roll => queue.roll_now(),
            Step::Read { from } => queue.read(from, 300).map(drop),
        }
    }

    /// What the step makes of the model.
    pub(super) fn note(self, model: &mut Model) {
        match self {
            Step::Attach(endpoint) => {
                model.attach(&endpoint.into(), AttachFrom::Oldest, Sequence::FIRST)
            }
            Step::Commit { number, batches } => {
                model.state_put(KEYS[0], &number.to_be_bytes());
                batches.iter().for_each(|batch| model.commit(batch));
            }
            Step::Settle(settled) => model.settle(settled),
            Step::Roll | Step::Read { .. } => {}
        }
    }
}

/// Often a full group, else fewer: by one source or by both.
fn commit(number: u64, group: u64, known: &dyn Known, rng: &mut fastrand::Rng) -> Step {
    // As many bytes as a group may have: several segments of the database's log.
    let wide = rng.u8(..3) == 0;
    let events = if rng.bool() {
        group
    } else {
        rng.u64(1..=group)
    };
    let sources = rng.usize(1..=2);
    let each = (events / sources as u64).max(1);
    let batches = NAMES[..sources].iter().zip(1..).map(|(&source, inode)| {
        let rejected = rng.u64(..3);
        let counts = SourceCounts {
            rows: each + rejected,
            rejected,
            ..SourceCounts::default()
        };
        let offset = (known.source_events(source) + each) * ROW_BYTES;
        SourceBatch {
            source: source.into(),
            events: (0..each).map(|_| event(wide, rng)).collect(),
            positions: vec![position(inode, offset)],
            forgotten: Vec::new(),
            counts,
        }
    });
    Step::Commit {
        number,
        batches: batches.collect(),
    }
}

/// What an endpoint has next, most of it delivered; some of what waits for it too. Twice the
/// size of a commit, so that the endpoints keep up and generations go.
fn settle(group: u64, known: &dyn Known, rng: &mut fastrand::Rng) -> Step {
    let endpoint = NAMES[rng.usize(..2)];
    let from = known.cursor(endpoint);
    let most = known
        .next()
        .0
        .saturating_sub(from.0)
        .min(group * 3)
        .min(WINDOW);
    let mut settled = Vec::new();
    let mut add = |sequence, settlement| {
        settled.push(Settled {
            endpoint: endpoint.into(),
            sequence,
            settlement,
        });
    };
    for ahead in 0..if rng.u8(..4) == 0 {
        most
    } else {
        rng.u64(..=most)
    } {
        let sequence = from.plus(ahead);
        match rng.u16(..1_000) {
            // It stays open, and what is beyond it is settled all the same.
            0..3 => {}
            3..8 => add(sequence, Settlement::Skipped),
            8..16 => add(sequence, keep(known.event(sequence), 1, rng)),
            16..20 => add(sequence, bury(known.event(sequence), rng)),
            _ => add(sequence, Settlement::Delivered),
        }
    }
    for waiting in known.waiting(endpoint).into_iter().take(rng.usize(..40)) {
        let sequence = waiting.queued.sequence;
        match rng.u8(..4) {
            0 => add(sequence, keep(waiting.queued, waiting.attempts + 1, rng)),
            1 => add(sequence, bury(waiting.queued, rng)),
            _ => add(sequence, Settlement::Delivered),
        }
    }
    Step::Settle(settled)
}

fn keep(event: Queued, attempts: u32, rng: &mut fastrand::Rng) -> Settlement {
    Settlement::Keep {
        due: UnixMs(rng.i64(..1_000)),
        attempts,
        reason: "busy".into(),
        event,
    }
}

fn bury(queued: Queued, rng: &mut fastrand::Rng) -> Settlement {
    Settlement::Bury(DeadLetter {
        queued,
        attempts: rng.u32(..9),
        status: Some(400),
        answer_start: vec![b'x'; rng.usize(..1_024)],
        reason: "refused".into(),
        at: UnixMs(rng.i64(..1_000)),
    })
}

/// An event in half of which lz4 finds nothing to shorten, as in a real call's, or in none of it;
/// now and then one that takes further pieces.
fn event(wide: bool, rng: &mut fastrand::Rng) -> Event {
    let length = match rng.u16(..2_000) {
        0 => 20_000,
        _ if wide => rng.usize(1_000..3_000),
        _ => rng.usize(200..900),
    };
    let mut data = vec![b'x'; length];
    let random = if wide { length } else { length / 2 };
    rng.fill(&mut data[..random]);
    Event {
        id: EventId(rng.u128(..).to_be_bytes()),
        kind: "cdr".into(),
        time: Timestamp::from_secs(1_775_745_045),
        node: "node".into(),
        labels: Labels::default(),
        data: data.into(),
    }
}

fn position(inode: u64, offset: u64) -> FilePosition {
    FilePosition {
        key: FileKey { device: 1, inode },
        path: format!("/cdr/{inode}.csv"),
        offset,
        lines: None,
        first_row: None,
        head_bytes: 0,
        head: 0,
        tail: offset,
        tail_bytes: 0,
        life: 1,
        finished: None,
        unread_bytes: 0,
    }
}

/// How far the files of a source were read, in events.
pub(super) fn events_read(queue: &Queue, source: &str) -> u64 {
    let positions = queue.positions(source).unwrap();
    positions
        .iter()
        .map(|position| position.offset / ROW_BYTES)
        .sum()
}

/// Steps the model through what the worker did.
pub(super) fn follow(model: &mut Model, seed: u64, numbers: std::ops::Range<u64>, group: u64) {
    for number in numbers {
        let step = Step::at(seed, number, group, model);
        step.note(model);
    }
}
