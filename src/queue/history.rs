//! History: random sequences of everything that can happen to a queue, restarts and crashes
//! among them, against the [`Model`]. A failing one is made as short as it can be, and says the
//! one line that repeats it; `PROPTEST_CASES` in the environment asks for more of them.

use super::block::tests::any_event;
use super::drill;
use super::model::Model;
use super::position::tests::any_position;
use super::seen::Seen;
use super::*;
use crate::clock::UnixMs;
use crate::source::{FileKey, FilePosition};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use tempfile::TempDir;

/// What can happen.
#[derive(Debug, Clone)]
enum Action {
    Commit {
        source: usize,
        events: Vec<Event>,
        positions: Vec<FilePosition>,
        forgotten: Vec<FileKey>,
        rejected: u64,
    },
    Attach {
        endpoint: usize,
        from: AttachFrom,
    },
    Detach {
        endpoint: usize,
    },
    Adopt {
        old: usize,
        new: usize,
    },
    DropOldest,
    Settle(Vec<(usize, Index, Wish)>),
    /// Some of what waits for an endpoint is put off.
    PutOff {
        endpoint: usize,
        every: usize,
    },
    /// Some of it is brought back.
    BringBack {
        endpoint: usize,
        until: i64,
        count: usize,
    },
    Checkpoint,
    /// Everything an endpoint has not had is delivered.
    Drain {
        endpoint: usize,
    },
    StatePut {
        name: String,
        value: Vec<u8>,
    },
    /// Every dead letter of an endpoint is tried again.
    Recall {
        endpoint: usize,
        due: i64,
    },
    /// Every dead letter of an endpoint is removed.
    Purge {
        endpoint: usize,
    },
    Sweep,
    Roll,
    FailedWrite,
    CloseAndOpen,
    CrashAndOpen,
}

/// How an event is to be settled.
#[derive(Debug, Clone, Copy)]
enum Wish {
    Deliver,
    Skip,
    Keep { due: i64, attempts: u32 },
    Bury { attempts: u32 },
}

const NAMES: [&str; 3] = ["billing", "crm", "b"];
const KEYS: [&str; 2] = ["a", "b"];

fn any_action() -> impl Strategy<Value = Action> {
    let events = proptest::collection::vec(any_event(), 0..40);
    let positions = proptest::collection::vec(any_position(), 0..3);
    let forgotten =
        proptest::collection::vec(any_position().prop_map(|position| position.key), 0..2);
    let from = prop_oneof![Just(AttachFrom::Now), Just(AttachFrom::Oldest)];
    let wish = prop_oneof![
        4 => Just(Wish::Deliver),
        1 => Just(Wish::Skip),
        2 => (-2_i64..5, any::<u32>()).prop_map(|(due, attempts)| Wish::Keep { due, attempts }),
        1 => any::<u32>().prop_map(|attempts| Wish::Bury { attempts }),
    ];
    let settled = proptest::collection::vec((0..3_usize, any::<Index>(), wish), 1..20);
    prop_oneof![
        6 => (0..3_usize, events, positions, forgotten, 0..3_u64).prop_map(
            |(source, events, positions, forgotten, rejected)| Action::Commit { source, events, positions, forgotten, rejected }
        ),
        3 => (0..3_usize, from).prop_map(|(endpoint, from)| Action::Attach { endpoint, from }),
        1 => (0..3_usize).prop_map(|endpoint| Action::Detach { endpoint }),
        1 => (0..3_usize, 0..3_usize).prop_map(|(old, new)| Action::Adopt { old, new }),
        1 => Just(Action::DropOldest),
        6 => settled.prop_map(Action::Settle),
        4 => (0..3_usize, 1..4_usize).prop_map(|(endpoint, every)| Action::PutOff { endpoint, every }),
        2 => (0..3_usize, -2_i64..9, 0..9_usize).prop_map(
            |(endpoint, until, count)| Action::BringBack { endpoint, until, count }
        ),
        1 => Just(Action::Checkpoint),
        2 => (0..3_usize).prop_map(|endpoint| Action::Drain { endpoint }),
        2 => (0..3_usize, 0..9_i64).prop_map(|(endpoint, due)| Action::Recall { endpoint, due }),
        1 => (0..3_usize).prop_map(|endpoint| Action::Purge { endpoint }),
        1 => Just(Action::Sweep),
        1 => ("[ab]", any::<Vec<u8>>()).prop_map(|(name, value)| Action::StatePut { name, value }),
        3 => Just(Action::Roll),
        1 => Just(Action::FailedWrite),
        1 => Just(Action::CloseAndOpen),
        1 => Just(Action::CrashAndOpen),
    ]
}

/// The queue and its model, side by side.
struct Pair {
    directory: TempDir,
    queue: Option<Queue>,
    model: Model,
}

impl Pair {
    fn new() -> Pair {
        let directory = tempfile::tempdir().unwrap();
        let queue = Some(Queue::open(directory.path(), "node").unwrap());
        Pair {
            directory,
            queue,
            model: Model::default(),
        }
    }

    fn queue(&self) -> &Queue {
        self.queue.as_ref().unwrap()
    }

    fn act(&mut self, action: Action) {
        let name = |at: usize| -> Arc<str> { NAMES[at].into() };
        match action {
            Action::Commit {
                source,
                events,
                positions,
                forgotten,
                rejected,
            } => {
                let rows = events.len() as u64 + rejected;
                let counts = SourceCounts {
                    rows,
                    rejected,
                    ..SourceCounts::default()
                };
                let batch = SourceBatch {
                    source: name(source),
                    events,
                    positions,
                    forgotten,
                    counts,
                };
                let first = self.model.next();
                let committed = self.queue().commit(std::slice::from_ref(&batch)).unwrap();
                assert_eq!(
                    committed,
                    Committed {
                        first,
                        events: batch.events.len() as u64
                    }
                );
                self.model.commit(&batch);
            }
            Action::Attach { endpoint, from } => {
                self.queue().attach(&name(endpoint), from).unwrap();
                let since = self
                    .queue()
                    .ledger()
                    .endpoint(&name(endpoint))
                    .unwrap()
                    .since;
                let known = self.model.endpoints.contains_key(&name(endpoint));
                let needed = self
                    .model
                    .endpoints
                    .values()
                    .map(model::ModelEndpoint::cursor)
                    .min();
                assert!(
                    known || from == AttachFrom::Now || needed.is_none_or(|needed| since <= needed)
                );
                self.model.attach(&name(endpoint), from, since);
            }
            Action::Detach { endpoint } => {
                let stood = self.queue().forget(&name(endpoint)).unwrap();
                let known = self.model.endpoints.contains_key(&name(endpoint));
                assert_eq!(stood.is_some(), known);
                self.model.detach(&name(endpoint));
            }
            Action::Adopt { old, new } => {
                let adopted = self.queue().adopt(&name(old), &name(new)).unwrap();
                let expected = self.model.adopt(&name(old), &name(new));
                assert_eq!(matches!(adopted, Adopted::Done(_)), expected, "{adopted:?}");
            }
            Action::DropOldest => {
                let before = self.queue().ledger();
                if let Some(dropped) = self.queue().drop_oldest().unwrap() {
                    let oldest = self.queue().oldest();
                    self.model.drop_before(oldest);
                    for (name, count) in &dropped.endpoints {
                        let totals = self.queue().ledger().endpoint(name).unwrap().clone();
                        let was = before.endpoint(name).unwrap().dropped;
                        assert_eq!(totals.dropped, was + count);
                    }
                }
            }
            Action::Settle(wishes) => {
                let settled: Vec<Settled> = wishes
                    .into_iter()
                    .filter(|_| !self.model.events.is_empty())
                    .map(|(endpoint, at, wish)| {
                        self.settled(name(endpoint), at.index(self.model.events.len()), wish)
                    })
                    .collect();
                self.settle(settled);
            }
            Action::Drain { endpoint } => {
                let all = (0..self.model.events.len())
                    .map(|at| self.settled(name(endpoint), at, Wish::Deliver));
                self.settle(all.collect());
            }
            Action::PutOff { endpoint, every } => {
                let places = self.queue().waiting_places(&name(endpoint)).unwrap();
                let places: Vec<_> = places.into_iter().step_by(every).collect();
                let gone = self.queue().put_off(&name(endpoint), &places).unwrap();
                assert_eq!(gone.len(), places.len());
            }
            Action::BringBack {
                endpoint,
                until,
                count,
            } => self.bring_back(&name(endpoint), until, count),
            Action::Checkpoint => {
                self.queue().checkpoint().unwrap();
            }
            Action::StatePut { name, value } => {
                self.queue().state_put(&name, &value).unwrap();
                self.model.state_put(&name, &value);
            }
            Action::Recall { endpoint, due } => {
                let name = name(endpoint);
                let page = self.queue().dead_page(&name, None, usize::MAX).unwrap();
                let letters: Vec<(DeadPlace, DeadLetter)> = page
                    .into_iter()
                    .filter(|(place, _, _)| self.model.is_dead(&name, place.sequence))
                    .map(|(place, letter, _)| (place, letter))
                    .collect();
                let recalled = self.queue().recall(&name, &letters, UnixMs(due)).unwrap();
                assert_eq!(recalled.len(), letters.len());
                self.model.recall(&name, recalled);
            }
            Action::Purge { endpoint } => {
                let name = name(endpoint);
                let page = self.queue().dead_page(&name, None, usize::MAX).unwrap();
                let places: Vec<DeadPlace> = page.iter().map(|(place, _, _)| *place).collect();
                self.queue().purge(&name, &places).unwrap();
                self.model.purge(&name);
            }
            Action::Sweep => while self.queue().sweep_dead().unwrap() {},
            Action::Roll => self.queue().roll_now().unwrap(),
            Action::FailedWrite => self.queue().fail_now().unwrap(),
            Action::CloseAndOpen => {
                self.queue().close().unwrap();
                assert!(self.open_again().clean);
            }
            Action::CrashAndOpen => {
                self.open_again();
            }
        }
    }

    fn bring_back(&self, endpoint: &str, until: i64, count: usize) {
        let put_off = self.queue().put_off_now(endpoint).unwrap();
        let due = (UnixMs(until), UnixMs(i64::MAX));
        let back = self.queue().bring_back(endpoint, due, count).unwrap();
        assert!(back.iter().all(|(due, _)| due.0 <= until) && back.len() <= count);
        let left = self.queue().put_off_now(endpoint).unwrap();
        assert_eq!(left.count + back.len() as u64, put_off.count);
        let is_due = left.next.is_some_and(|next| next.0 <= until);
        assert!(back.len() == count || !is_due, "{left:?}");
    }

    /// What is put off is settled by nobody before it is brought back.
    fn settle(&mut self, settled: Vec<Settled>) {
        for name in NAMES {
            self.bring_back(name, i64::MAX, usize::MAX);
        }
        self.queue().settle(settled.clone()).unwrap();
        self.model.settle(settled);
    }

    fn settled(&self, endpoint: Arc<str>, at: usize, wish: Wish) -> Settled {
        let sequence = Sequence::FIRST.plus(at as u64);
        let queued = Queued {
            sequence,
            event: Arc::clone(&self.model.events[at]),
        };
        let settlement = match wish {
            Wish::Deliver => Settlement::Delivered,
            Wish::Skip => Settlement::Skipped,
            Wish::Keep { due, attempts } => Settlement::Keep {
                due: UnixMs(due),
                attempts,
                reason: "busy".into(),
                event: queued,
            },
            Wish::Bury { attempts } => Settlement::Bury(DeadLetter {
                queued,
                attempts,
                status: Some(400),
                answer_start: b"no".to_vec(),
                reason: "refused".into(),
                at: UnixMs(i64::from(attempts)),
            }),
        };
        Settled {
            endpoint,
            sequence,
            settlement,
        }
    }

    fn open_again(&mut self) -> Opened {
        self.queue = None;
        self.model.end();
        let queue = Queue::open(self.directory.path(), "node").unwrap();
        let opened = queue.opened().clone();
        assert_eq!(
            (&opened.half_made, &opened.mended),
            (&Vec::new(), &Vec::new())
        );
        self.queue = Some(queue);
        opened
    }

    fn compare(&self) {
        let seen = Seen::of_queue(self.queue(), &NAMES, &KEYS).unwrap();
        assert_eq!(seen, Seen::of_model(&self.model, &NAMES, &KEYS));
        for name in NAMES {
            let known = self.model.sources.contains_key(name);
            assert_eq!(self.queue().seen(name), known);
        }
    }
}

#[test]
fn whatever_happens_the_queue_knows_what_the_model_knows() {
    let seed = drill::number("SWITCHHOOK_SEED", fastrand::u64(..1_000_000));
    // A quarter of what is usual: each of them opens and syncs real files.
    let cases = ProptestConfig::default().cases / 4;
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let histories = proptest::collection::vec(any_action(), 1..24);
    let ran = TestRunner::new_with_rng(config, rng).run(&histories, |actions| {
        live(actions);
        Ok(())
    });
    if let Err(failed) = ran {
        panic!(
            "{failed}\nrepeat with SWITCHHOOK_SEED={seed} PROPTEST_CASES={}",
            cases * 4
        );
    }
}

fn live(actions: Vec<Action>) {
    let mut pair = Pair::new();
    for action in actions {
        pair.act(action);
        pair.compare();
    }
    pair.act(Action::Commit {
        source: 0,
        events: Vec::new(),
        positions: Vec::new(),
        forgotten: Vec::new(),
        rejected: 0,
    });
    pair.act(Action::CrashAndOpen);
    pair.compare();
}
