//! Fault: how the receiver misbehaves on request, and the dice that say when.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Longest delay that can be asked for; `hang` is there for more.
pub const DELAY_MAX: Duration = Duration::from_secs(3_600);

/// One way to misbehave and how often.
///
/// Written as `status=500,rate=0.2`, `status=429,retry_after=5s`, `delay=2s`, `hang`, `reset`,
/// `lost`, `poison=TEXT` or `too_long=BYTES`, each with an optional `rate`.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// What happens.
    pub kind: FaultKind,
    /// The share of requests it happens to, from 0 to 1.
    pub rate: f64,
}

/// A way to misbehave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// Answers this status, 300 to 599, and does not accept the callback.
    Status {
        /// The status.
        code: u16,
        /// What `Retry-After` says, in whole seconds.
        retry_after: Option<Duration>,
    },
    /// Waits before whatever else happens.
    Delay(Duration),
    /// Never answers and never accepts; the connection stays open until the sender or a stop
    /// closes it.
    Hang,
    /// Reads the request, does not accept it, and resets the connection (a TCP RST).
    Reset,
    /// Accepts the callback, then resets the connection: the sender cannot know.
    Lost,
    /// Answers 400 to a body that holds this text: a batch with one bad event.
    Poison(String),
    /// Answers 413 to a body of more than this many bytes.
    TooLong(usize),
}

impl FaultKind {
    /// Whether it can happen to a request of this body.
    fn concerns(&self, body: &[u8]) -> bool {
        match self {
            FaultKind::Poison(text) => memchr::memmem::find(body, text.as_bytes()).is_some(),
            FaultKind::TooLong(bytes) => body.len() > *bytes,
            _ => true,
        }
    }
}

/// Why a fault cannot be read. Its text says what to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultError(String);

impl fmt::Display for FaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for FaultError {}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(written: &str) -> Result<Fault, FaultError> {
        let mut items = written
            .split(',')
            .map(|item| match item.trim().split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (item.trim(), None),
            });
        let mut fault = Fault {
            kind: parse_kind(items.next().unwrap_or_default())?,
            rate: 1.0,
        };
        for item in items {
            match (item, &mut fault.kind) {
                (("rate", Some(value)), _) => fault.rate = parse_rate(value)?,
                (("retry_after", Some(value)), FaultKind::Status { retry_after, .. }) => {
                    *retry_after = Some(parse_delay("retry_after", value)?);
                }
                (("retry_after", _), _) => {
                    return Err(error(
                        "retry_after goes with status, like status=503,retry_after=5s",
                    ));
                }
                ((name, _), _) => {
                    return Err(error(format!(
                        "{name:?} is no setting of a fault; write rate=0.2"
                    )));
                }
            }
        }
        Ok(fault)
    }
}

fn parse_kind((name, value): (&str, Option<&str>)) -> Result<FaultKind, FaultError> {
    match (name, value) {
        ("status", Some(value)) => match value.parse() {
            // A 2xx would tell the sender that we have what we did not count.
            Ok(code @ 300..=599) => Ok(FaultKind::Status {
                code,
                retry_after: None,
            }),
            _ => Err(error("a fault's status is 300 to 599, like status=500")),
        },
        ("delay", Some(value)) => parse_delay(name, value).map(FaultKind::Delay),
        ("hang", None) => Ok(FaultKind::Hang),
        ("reset", None) => Ok(FaultKind::Reset),
        ("lost", None) => Ok(FaultKind::Lost),
        ("poison", Some(text)) if !text.is_empty() => Ok(FaultKind::Poison(text.to_string())),
        ("too_long", Some(bytes)) => {
            let bytes = bytes.parse().map(FaultKind::TooLong);
            bytes.map_err(|_| error("too_long is a number of bytes, like too_long=65536"))
        }
        _ => Err(error(format!(
            "{name:?} is no fault; write status=500, delay=2s, hang, reset, lost, \
             poison=TEXT or too_long=BYTES first, then perhaps rate=0.2"
        ))),
    }
}

fn parse_rate(value: &str) -> Result<f64, FaultError> {
    let rate = value.parse().ok().filter(|rate| (0.0..=1.0).contains(rate));
    rate.ok_or_else(|| error("a rate is a share from 0 to 1, like rate=0.2"))
}

fn parse_delay(name: &str, value: &str) -> Result<Duration, FaultError> {
    let parsed = value.parse::<jiff::SignedDuration>().ok();
    let delay = parsed.and_then(|delay| Duration::try_from(delay).ok());
    let delay = delay.filter(|delay| *delay <= DELAY_MAX);
    delay.ok_or_else(|| {
        error(format!(
            "{name} is a time up to 1h with its unit, like {name}=2s"
        ))
    })
}

fn error(text: impl Into<String>) -> FaultError {
    FaultError(text.into())
}

/// The faults in force and the dice that choose among them.
#[derive(Debug)]
pub struct Dice {
    faults: Vec<Fault>,
    rng: fastrand::Rng,
}

/// What the dice say about one request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Roll {
    /// Time to wait first; the delays that struck, added up.
    pub delay: Duration,
    /// The first of the other faults that struck.
    pub ending: Option<FaultKind>,
}

impl Dice {
    /// Dice without faults.
    pub fn new(rng: fastrand::Rng) -> Dice {
        Dice {
            faults: Vec::new(),
            rng,
        }
    }

    /// Replaces the faults; the dice roll on.
    pub fn set_faults(&mut self, faults: Vec<Fault>) {
        self.faults = faults;
    }

    /// Rolls once for each fault, so that one fault's rate does not depend on another's.
    pub fn roll(&mut self, body: &[u8]) -> Roll {
        let mut roll = Roll::default();
        for fault in &self.faults {
            // Below 1, so that a rate of 1 always strikes and a rate of 0 never.
            if self.rng.f64() >= fault.rate || !fault.kind.concerns(body) {
                continue;
            }
            match &fault.kind {
                FaultKind::Delay(delay) => roll.delay = roll.delay.saturating_add(*delay),
                kind => {
                    roll.ending.get_or_insert_with(|| kind.clone());
                }
            }
        }
        roll
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(written: &str, kind: FaultKind, rate: f64) {
        assert_eq!(written.parse(), Ok(Fault { kind, rate }), "{written}");
    }

    #[track_caller]
    fn check_refused(written: &str, hint: &str) {
        let error = written.parse::<Fault>().unwrap_err().to_string();
        assert!(error.contains(hint), "{written}: {error}");
    }

    #[test]
    fn every_fault_can_be_written() {
        let status = |code, retry_after| FaultKind::Status { code, retry_after };
        check("status=500,rate=0.2", status(500, None), 0.2);
        let retry_after = Some(Duration::from_secs(5));
        check("status=429, retry_after=5s", status(429, retry_after), 1.0);
        check("delay=2s", FaultKind::Delay(Duration::from_secs(2)), 1.0);
        check(
            "delay=150ms,rate=1",
            FaultKind::Delay(Duration::from_millis(150)),
            1.0,
        );
        check("hang", FaultKind::Hang, 1.0);
        check("reset,rate=0.01", FaultKind::Reset, 0.01);
        check("lost,rate=0", FaultKind::Lost, 0.0);
        check("poison=call-7", FaultKind::Poison("call-7".into()), 1.0);
        check("too_long=65536", FaultKind::TooLong(65_536), 1.0);
    }

    #[test]
    fn a_fault_that_cannot_be_read_says_what_to_write() {
        check_refused("", "write status=500");
        check_refused("explode", "write status=500");
        check_refused("hang=2s", "write status=500");
        check_refused("status", "write status=500");
        check_refused("rate=0.2,status=500", "first");
        check_refused("status=200", "300 to 599");
        check_refused("status=600", "300 to 599");
        check_refused("status=500,rate=20", "from 0 to 1");
        check_refused("status=500,rate=NaN", "from 0 to 1");
        check_refused("status=500,speed=2", "rate=0.2");
        check_refused("delay=2", "delay=2s");
        check_refused("delay=-2s", "delay=2s");
        check_refused("delay=2h", "up to 1h");
        check_refused("poison=", "poison=TEXT");
        check_refused("too_long=1MiB", "too_long=65536");
        check_refused("hang,retry_after=5s", "status=503,retry_after=5s");
    }

    fn dice(faults: &[&str]) -> Dice {
        let mut dice = Dice::new(fastrand::Rng::with_seed(7));
        dice.set_faults(faults.iter().map(|fault| fault.parse().unwrap()).collect());
        dice
    }

    #[test]
    fn delays_add_up_and_the_first_of_the_others_wins() {
        let roll = dice(&["delay=2s", "reset", "delay=1s", "hang"]).roll(b"");
        assert_eq!(roll.delay, Duration::from_secs(3));
        assert_eq!(roll.ending, Some(FaultKind::Reset));
    }

    #[test]
    fn a_fault_of_a_body_strikes_no_other() {
        let mut dice = dice(&["poison=call-7", "too_long=30"]);
        let ending = |dice: &mut Dice, body: &[u8]| dice.roll(body).ending;
        assert_eq!(ending(&mut dice, br#"[{"call_id":"call-8"}]"#), None);
        let poison = ending(&mut dice, br#"[{"call_id":"call-7"}]"#);
        assert_eq!(poison, Some(FaultKind::Poison("call-7".into())));
        let long = ending(&mut dice, br#"[{"call_id":"call-8"},{"x":1}]"#);
        assert_eq!(long, None, "30 bytes");
        let long = ending(&mut dice, br#"[{"call_id":"call-8"},{"x":11}]"#);
        assert_eq!(long, Some(FaultKind::TooLong(30)));
    }

    #[test]
    fn a_fault_strikes_at_its_rate_and_the_same_seed_strikes_the_same() {
        let strikes = |dice: &mut Dice| -> Vec<bool> {
            (0..10_000)
                .map(|_| dice.roll(b"{}").ending.is_some())
                .collect()
        };
        let first = strikes(&mut dice(&["hang,rate=0.2"]));
        let count = first.iter().filter(|struck| **struck).count();
        assert!(
            (1_800..2_200).contains(&count),
            "{count} of 10000 at rate 0.2"
        );
        assert_eq!(strikes(&mut dice(&["hang,rate=0.2"])), first);
        assert!(!strikes(&mut dice(&["hang,rate=0"])).contains(&true));
        assert!(!strikes(&mut dice(&["hang,rate=1"])).contains(&false));
    }
}
