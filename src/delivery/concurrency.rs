//! Concurrency: how many attempts at one endpoint are under way at once, fixed or learned.
//!
//! # How it is learned
//!
//! Additive increase, multiplicative decrease, on two signs: how long answers take, and answers
//! that say "too much". Attempts are looked at in *rounds*: those that began under one limit, as
//! many as the limit allows and at least `ROUND_MIN`. What began under an earlier limit says
//! nothing about this one and is left out. A round has the *median* of the times of its delivered
//! attempts, so that a pause of the receiver now and then is no sign.
//!
//! * The **base** is what an answer takes when nothing waits for anything: the best round so far,
//!   until it is measured again.
//! * A round **suffers** when its median is more than seven quarters of the base. Of a median below
//!   `HARMLESS` most is threads and wires: that is a sign only above `ENOUGH_FROM`.
//! * A round that does not suffer, and in which the limit was reached, raises the limit: it is
//!   doubled until the first sign, and grows by a quarter, at least by one, from then on. A limit
//!   that was not reached tells nothing and stays.
//! * A round that suffers lowers the limit in proportion, by a quarter at most: a receiver
//!   that works on `c` at a time takes `n / c` times as long for `n`, so this leads to less than
//!   twice `c`, where it is never idle and nothing waits for longer than it is worked on.
//! * 429, 503 and timeouts lower the limit by a quarter as soon as there are two of them and an
//!   eighth of the limit in one round. Fewer are no sign: receivers fail at random.
//! * **Ebb**: when a round suffers and the base has not been measured for `EBB_APART` rounds, the
//!   limit is lowered to a quarter for one round, and the base is what that takes. So a base that
//!   was measured while the receiver was faster, or already too busy, is not believed for long: with
//!   each ebb a wrong one is at most a quarter as wrong. At a limit of one nothing waits for
//!   anything of ours, so the median of such a round is the base.
//! * After an outage it begins anew: what comes back may not be what went.
//!
//! A receiver that works on 64 or more at a time, however long one takes, is found after 64
//! requests. One that works on fewer is kept within nine tenths of its best after 600, if its times
//! vary by a third; if they vary wildly (exponentially), on average. The tests show both. The
//! figures above are those of a few dozen combinations that did best there.
//!
//! Pure: no clock and no network; what is told to it is all it knows.

use super::outcome::Outcome;
use std::num::NonZeroUsize;
use std::time::Duration;

/// Most attempts under way at once: each has a thread and a connection.
pub const CONCURRENCY_MAX: usize = 64;

/// Where learning begins: few enough for a small receiver, enough to see the difference to more.
const LIMIT_FIRST: usize = 4;

/// Fewest attempts of a round: a median of fewer is chance.
const ROUND_MIN: usize = 8;

/// Times that are no sign of suffering, however they compare.
const HARMLESS: Duration = Duration::from_millis(5);

/// Attempts under way that are enough for a receiver on the same machine: with 64 instead, draining a
/// backlog costs a tenth more of a CPU (measured 2026-11, x86_64) and is no faster.
const ENOUGH_FROM: usize = 16;

/// Rounds from one ebb to the next.
const EBB_APART: u32 = 24;

/// How many attempts may be under way at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Concurrency {
    /// What suits the receiver, between 1 and [`CONCURRENCY_MAX`].
    #[default]
    Learned,
    /// So many.
    Fixed(NonZeroUsize),
}

impl Concurrency {
    /// Most attempts under way at once that it comes to.
    pub fn most(self) -> usize {
        match self {
            Concurrency::Learned => CONCURRENCY_MAX,
            Concurrency::Fixed(limit) => limit.get(),
        }
    }
}

/// What an attempt tells about the receiver's load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// It was delivered, in the time it took.
    Taken,
    /// The receiver said that it is too much, or did not answer in time.
    TooMuch,
    /// Something else, which says nothing about load.
    Nothing,
}

impl Sign {
    /// What `outcome` tells.
    pub fn of(outcome: &Outcome) -> Sign {
        match outcome {
            Outcome::Delivered => Sign::Taken,
            Outcome::Unavailable { failure, .. } => match failure.status {
                Some(429 | 503) => Sign::TooMuch,
                None if failure.class == "timeout" => Sign::TooMuch,
                _ => Sign::Nothing,
            },
            Outcome::Refused(_) | Outcome::Gone(_) => Sign::Nothing,
        }
    }
}

/// The limit of one endpoint.
#[derive(Debug)]
pub struct Limit {
    is_learned: bool,
    limit: usize,
    /// No more, whatever suits the receiver: 1 to [`CONCURRENCY_MAX`].
    max: usize,
    phase: Phase,
    base: Option<Duration>,
    /// Number of the round; attempts carry that of their beginning.
    round: u32,
    /// Times of the attempts of this round: at most [`CONCURRENCY_MAX`].
    times: Vec<Duration>,
    /// Answers of this round that said "too much".
    too_much: usize,
    /// The limit was reached in this round.
    was_reached: bool,
    /// Rounds since the base was measured on purpose.
    since_ebb: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No sign yet.
    Doubling,
    /// By steps.
    Stepping,
    /// Measuring the base: what the limit was before, and the median that called for it.
    Ebb { before: usize, median: Duration },
}

impl Limit {
    /// A limit that was not tried yet.
    pub fn new(concurrency: Concurrency) -> Limit {
        let (is_learned, limit) = match concurrency {
            Concurrency::Learned => (true, LIMIT_FIRST),
            Concurrency::Fixed(limit) => (false, limit.get()),
        };
        Limit {
            is_learned,
            limit,
            max: CONCURRENCY_MAX,
            phase: Phase::Doubling,
            base: None,
            round: 0,
            times: Vec::new(),
            too_much: 0,
            was_reached: false,
            since_ebb: EBB_APART,
        }
    }

    /// The same limit, never above `max` from now on.
    pub fn at_most(mut self, max: usize) -> Limit {
        self.max = max.clamp(1, CONCURRENCY_MAX);
        if self.is_learned {
            self.limit = self.limit.min(self.max);
        }
        self
    }

    /// How many attempts may be under way now: 1 to [`CONCURRENCY_MAX`].
    pub fn now(&self) -> usize {
        self.limit.min(self.max)
    }

    /// An attempt begins, and with it `under_way` are; returns the round to hand in with what it
    /// comes to.
    pub fn begun(&mut self, under_way: usize) -> u32 {
        self.was_reached |= under_way >= self.limit;
        self.round
    }

    /// What an attempt that began in `round` came to, after `elapsed`.
    pub fn ended(&mut self, round: u32, sign: Sign, elapsed: Duration) {
        if !self.is_learned || round != self.round {
            return;
        }
        match sign {
            Sign::Nothing => {}
            Sign::TooMuch => {
                self.too_much += 1;
                if self.too_much >= (self.limit / 8).max(2) {
                    self.phase = Phase::Stepping;
                    self.begin_round(self.limit * 3 / 4);
                }
            }
            Sign::Taken => {
                self.times.push(elapsed);
                let enough = match self.phase {
                    Phase::Ebb { .. } => ROUND_MIN,
                    Phase::Doubling | Phase::Stepping => self.limit.max(ROUND_MIN),
                };
                if self.times.len() >= enough {
                    self.end_round();
                }
            }
        }
    }

    /// The endpoint was away: it is learned anew.
    pub fn restart(&mut self) {
        if self.is_learned {
            let round = self.round.wrapping_add(1);
            *self = Limit {
                round,
                ..Limit::new(Concurrency::Learned).at_most(self.max)
            };
        }
    }

    fn end_round(&mut self) {
        let middle = self.times.len() / 2;
        let (_, median, _) = self.times.select_nth_unstable(middle);
        let median = *median;
        if let Phase::Ebb {
            before,
            median: was,
        } = self.phase
        {
            self.base = Some(median);
            self.phase = Phase::Stepping;
            let limit = self.lowered(before, was).unwrap_or(before);
            return self.begin_round(limit);
        }
        self.base = Some(match self.base {
            // Not all of the way: a median of few is sometimes low by chance.
            Some(base) if self.phase == Phase::Doubling => base.min(median),
            Some(base) if self.limit > 1 && median < base => base - (base - median) / 8,
            Some(base) if self.limit > 1 => base,
            _ => median,
        });
        if !self.was_reached {
            return self.begin_round(self.limit);
        }
        match self.lowered(self.limit, median) {
            None if self.limit >= ENOUGH_FROM && median > self.bearable() => {
                self.phase = Phase::Stepping;
                self.begin_round(self.limit);
            }
            None => {
                let more = match self.phase {
                    Phase::Doubling => self.limit,
                    _ => (self.limit / 4).max(1),
                };
                self.begin_round(self.limit + more);
            }
            Some(_) if self.since_ebb >= EBB_APART => {
                let before = self.limit;
                self.phase = Phase::Ebb { before, median };
                self.begin_round(before / 4);
                self.since_ebb = 0;
            }
            Some(lowered) => {
                self.phase = Phase::Stepping;
                self.begin_round(lowered);
            }
        }
    }

    /// What is left of `limit` when a round under it had this `median`; none when it did not suffer.
    fn lowered(&self, limit: usize, median: Duration) -> Option<usize> {
        let fine = self.bearable();
        let least = if median <= HARMLESS { ENOUGH_FROM } else { 1 };
        if median <= fine || limit <= least {
            return None;
        }
        let share = fine.as_secs_f64() / median.as_secs_f64();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share of at most 64, and at least zero"
        )]
        let left = (limit as f64 * share.max(0.75)) as usize;
        Some(left.min(limit - 1).max(least))
    }

    /// The longest median that is not compared with the base to its disadvantage.
    fn bearable(&self) -> Duration {
        self.base.map_or(Duration::MAX, |base| base + base * 3 / 4)
    }

    fn begin_round(&mut self, limit: usize) {
        self.limit = limit.clamp(1, self.max);
        self.round = self.round.wrapping_add(1);
        self.times.clear();
        self.too_much = 0;
        self.was_reached = false;
        self.since_ebb = self.since_ebb.saturating_add(1);
    }
}

#[cfg(test)]
mod tests;
