//! Fault: how the receiver misbehaves on request, and the dice that say when.

use super::bad_tls::BadTls;
use super::misanswer::{self, Misanswer};
use crate::clock::{Moment, UnixMs};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Longest delay that can be asked for; `hang` is there for more.
pub const DELAY_MAX: Duration = Duration::from_secs(3_600);

/// Longest `Retry-After` that can be asked for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30 * 86_400);

/// Every fault as it is written, with what it does.
pub const FAULTS_HELP: &str = "\
Faults, each with an optional rate=0.2 (the share of requests it happens to):
  status=500            answers that status, 300 to 599
  status=503,retry_after=5s
                        … with Retry-After; also retry_after=date, past, negative, garbage
  redirect=307          answers that status and points elsewhere
  delay=2s              waits before whatever else happens
  hang                  reads the request and never answers
  reset, lost           resets the connection before, after the callback is taken
  poison=TEXT           answers 400 to a body that holds TEXT: one bad event of a batch
  too-long=BYTES        answers 413 to a longer body
  flap=7s               in turn: all is well for 7s, every connection is reset for 7s
  slow-headers=1s, slow-body=1s
                        one byte of an answer each second
  endless-body, big-body, gzip-bomb
                        a body without end, of 10 MB, of 32 MiB unpacked
  header-flood, huge-header
                        1000 header lines, a header of 1 MiB
  bad-status-line, status-line-only, interim-flood, switching
                        no HTTP, half an answer, 103 without end, 101
  torn-chunk, short-body
                        a body that ends too soon
  cut                   answers, and hears nothing more on that connection
  tls=expired, tls=not-yet-valid, tls=wrong-name, tls=unknown-ca, tls=1.1, tls=stall
                        with --tls: TLS that must not be gone on with

Example: switchhook receive --profile vos3000 --secret-file billing.secret --fault status=500,rate=0.2";

/// One way to misbehave and how often.
///
/// Written as [`FAULTS_HELP`] says: `status=500,rate=0.2`, `hang`, `tls=expired`.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// What happens.
    pub kind: FaultKind,
    /// The share of requests it happens to, from 0 to 1; of connections, where it is TLS.
    pub rate: f64,
}

/// A way to misbehave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// Answers this status, 300 to 599, and does not accept the callback.
    Status {
        /// The status.
        code: u16,
        /// What `Retry-After` says.
        retry_after: Option<RetryAfter>,
    },
    /// Answers this status, 300 to 399, and points to [`REDIRECT_PATH`].
    Redirect(u16),
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
    /// For this long all is well, then for as long every connection and request is reset, and so
    /// on.
    Flap(Duration),
    /// An answer that is no good, with the pause between two bytes of the slow ones.
    Answer(Misanswer, Duration),
    /// TLS that is no good. Strikes connections, not requests.
    Tls(BadTls),
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

/// Where a redirect points to, on the receiver itself: who follows it is seen, as misaddressed.
pub const REDIRECT_PATH: &str = "/elsewhere";

/// What `Retry-After` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    /// Whole seconds.
    Secs(Duration),
    /// The date two minutes from now.
    Date,
    /// The date two minutes ago.
    Past,
    /// Less than no seconds.
    Negative,
    /// Nothing that has a meaning.
    Garbage,
}

impl RetryAfter {
    const WORDS: [(&'static str, RetryAfter); 4] = [
        ("date", RetryAfter::Date),
        ("past", RetryAfter::Past),
        ("negative", RetryAfter::Negative),
        ("garbage", RetryAfter::Garbage),
    ];

    /// The header's text at `wall`.
    pub fn text(self, wall: UnixMs) -> String {
        const APART_MS: i64 = 120_000;
        match self {
            RetryAfter::Secs(pause) => pause.as_secs().to_string(),
            RetryAfter::Date => http_date(wall.0.saturating_add(APART_MS)),
            RetryAfter::Past => http_date(wall.0.saturating_sub(APART_MS)),
            RetryAfter::Negative => "-120".to_string(),
            RetryAfter::Garbage => "in a while".to_string(),
        }
    }
}

/// A date as HTTP writes it (RFC 9110 section 5.6.7).
fn http_date(unix_ms: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(unix_ms).unwrap_or_default();
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
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
                    *retry_after = Some(parse_retry_after(value)?);
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
        ("redirect", Some(value)) => match value.parse() {
            Ok(code @ 300..=399) => Ok(FaultKind::Redirect(code)),
            _ => Err(error("a redirect is 300 to 399, like redirect=307")),
        },
        ("delay", Some(value)) => parse_span(name, value, DELAY_MAX).map(FaultKind::Delay),
        ("flap", Some(value)) => match parse_span(name, value, DELAY_MAX)? {
            Duration::ZERO => Err(error("flap wants a time above nothing, like flap=7s")),
            span => Ok(FaultKind::Flap(span)),
        },
        ("hang", None) => Ok(FaultKind::Hang),
        ("reset", None) => Ok(FaultKind::Reset),
        ("lost", None) => Ok(FaultKind::Lost),
        ("poison", Some(text)) if !text.is_empty() => Ok(FaultKind::Poison(text.to_string())),
        ("too-long", Some(bytes)) => {
            let bytes = bytes.parse().map(FaultKind::TooLong);
            bytes.map_err(|_| error("too-long is a number of bytes, like too-long=65536"))
        }
        ("tls", Some(value)) => match BadTls::ALL.iter().find(|(name, _)| *name == value) {
            Some((_, kind)) => Ok(FaultKind::Tls(*kind)),
            None => {
                let names = BadTls::ALL.map(|(name, _)| name).join(", ");
                Err(error(format!(
                    "{value:?} is no fault of TLS; write one of {names}"
                )))
            }
        },
        (name, pause) => match Misanswer::ALL.iter().find(|(known, _)| *known == name) {
            Some((_, kind)) if pause.is_none() => Ok(FaultKind::Answer(*kind, misanswer::PAUSE)),
            Some((_, kind)) if kind.is_slow() => {
                let pause = parse_span(name, pause.unwrap_or_default(), DELAY_MAX)?;
                Ok(FaultKind::Answer(*kind, pause))
            }
            Some(_) => Err(error(format!("{name} takes no value"))),
            None => Err(error(format!(
                "{name:?} is no fault; write status=500, delay=2s, hang, reset, lost or another of \
                 `switchhook receive --help` first, then perhaps rate=0.2"
            ))),
        },
    }
}

fn parse_retry_after(value: &str) -> Result<RetryAfter, FaultError> {
    match RetryAfter::WORDS.iter().find(|(word, _)| *word == value) {
        Some((_, word)) => Ok(*word),
        None => parse_span("retry_after", value, RETRY_AFTER_MAX).map(RetryAfter::Secs),
    }
}

fn parse_rate(value: &str) -> Result<f64, FaultError> {
    let rate = value.parse().ok().filter(|rate| (0.0..=1.0).contains(rate));
    rate.ok_or_else(|| error("a rate is a share from 0 to 1, like rate=0.2"))
}

fn parse_span(name: &str, value: &str, max: Duration) -> Result<Duration, FaultError> {
    let parsed = value.parse::<jiff::SignedDuration>().ok();
    let span = parsed.and_then(|span| Duration::try_from(span).ok());
    span.filter(|span| *span <= max).ok_or_else(|| {
        error(format!(
            "{name} is a time up to {}h with its unit, like {name}=2s",
            max.as_secs() / 3_600
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
    /// When they came into force.
    since: Moment,
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
            since: Moment::default(),
            rng,
        }
    }

    /// Replaces the faults at `now`; the dice roll on.
    pub fn set_faults(&mut self, faults: Vec<Fault>, now: Moment) {
        self.faults = faults;
        self.since = now;
    }

    /// Rolls at `now` for a request, once for each fault, so that one fault's rate does not depend
    /// on another's.
    pub fn roll(&mut self, now: Moment, body: &[u8]) -> Roll {
        let mut roll = Roll::default();
        for fault in &self.faults {
            // Below 1, so that a rate of 1 always strikes and a rate of 0 never.
            if self.rng.f64() >= fault.rate || !fault.kind.concerns(body) {
                continue;
            }
            match &fault.kind {
                FaultKind::Delay(delay) => roll.delay = roll.delay.saturating_add(*delay),
                FaultKind::Tls(_) => {}
                FaultKind::Flap(span) if is_up(now.since(self.since), *span) => {}
                kind => {
                    roll.ending.get_or_insert_with(|| kind.clone());
                }
            }
        }
        roll
    }

    /// Rolls at `now` for a connection that is opened, to speak TLS or not. The dice are left alone where no fault
    /// strikes connections, so that the same requests meet the same faults.
    pub fn roll_connection(&mut self, now: Moment, is_tls: bool) -> Option<ConnectionFault> {
        self.faults.iter().find_map(|fault| match fault.kind {
            FaultKind::Tls(kind) if is_tls && self.rng.f64() < fault.rate => {
                Some(ConnectionFault::Tls(kind))
            }
            FaultKind::Flap(span)
                if !is_up(now.since(self.since), span) && self.rng.f64() < fault.rate =>
            {
                Some(ConnectionFault::Reset)
            }
            _ => None,
        })
    }
}

/// What strikes a connection before it carries a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionFault {
    /// It is reset.
    Reset,
    /// Its TLS is no good.
    Tls(BadTls),
}

/// Whether one that flaps is up after `elapsed`.
fn is_up(elapsed: Duration, span: Duration) -> bool {
    let turns = elapsed.as_nanos().checked_div(span.as_nanos());
    turns.is_none_or(|turns| turns.is_multiple_of(2))
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
        let secs = |secs| Some(RetryAfter::Secs(Duration::from_secs(secs)));
        check("status=429, retry_after=5s", status(429, secs(5)), 1.0);
        check("status=503,retry_after=24h", status(503, secs(86_400)), 1.0);
        for (word, form) in RetryAfter::WORDS {
            check(
                &format!("status=503,retry_after={word}"),
                status(503, Some(form)),
                1.0,
            );
        }
        check("redirect=308", FaultKind::Redirect(308), 1.0);
        check("flap=7s", FaultKind::Flap(Duration::from_secs(7)), 1.0);
        for (name, kind) in Misanswer::ALL {
            check(name, FaultKind::Answer(kind, misanswer::PAUSE), 1.0);
            assert_eq!(kind.name(), name);
        }
        let slow = FaultKind::Answer(Misanswer::SlowBody, Duration::from_millis(10));
        check("slow-body=10ms,rate=0.5", slow, 0.5);
        for (name, kind) in BadTls::ALL {
            check(&format!("tls={name}"), FaultKind::Tls(kind), 1.0);
        }
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
        check("too-long=65536", FaultKind::TooLong(65_536), 1.0);
    }

    #[test]
    fn a_fault_that_cannot_be_read_says_what_to_write() {
        check_refused("", "write status=500");
        check_refused("explode", "write status=500");
        check_refused("hang=2s", "write status=500");
        check_refused("cut=2s", "cut takes no value");
        check_refused("slow-body=2", "slow-body=2s");
        check_refused("redirect=200", "redirect=307");
        check_refused("flap=0s", "flap=7s");
        check_refused("tls=0.9", "not-yet-valid");
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
        check_refused("poison=", "receive --help");
        check_refused("too-long=1MiB", "too-long=65536");
        check_refused("hang,retry_after=5s", "status=503,retry_after=5s");
    }

    const NOW: Moment = Moment(Duration::ZERO);

    #[test]
    fn every_fault_is_in_the_help() {
        let misanswers = Misanswer::ALL.map(|(name, _)| name.to_string());
        let tls = BadTls::ALL.map(|(name, _)| format!("tls={name}"));
        let words = RetryAfter::WORDS.map(|(word, _)| word.to_string());
        for name in misanswers.into_iter().chain(tls).chain(words) {
            assert!(FAULTS_HELP.contains(&name), "{name}");
        }
    }

    #[test]
    fn a_date_is_written_as_http_does() {
        let wall = UnixMs(1_775_745_045_000);
        assert_eq!(RetryAfter::Date.text(wall), "Thu, 09 Apr 2026 14:32:45 GMT");
        assert_eq!(RetryAfter::Past.text(wall), "Thu, 09 Apr 2026 14:28:45 GMT");
    }

    #[test]
    fn one_that_flaps_is_up_first_and_then_in_turn() {
        let mut dice = dice(&["flap=7s"]);
        for (secs, is_down) in [
            (0, false),
            (6, false),
            (7, true),
            (13, true),
            (14, false),
            (21, true),
        ] {
            let now = Moment(Duration::from_secs(secs));
            assert_eq!(dice.roll(now, b"{}").ending.is_some(), is_down, "{secs} s");
            let connection = dice.roll_connection(now, false);
            assert_eq!(
                connection == Some(ConnectionFault::Reset),
                is_down,
                "{secs} s"
            );
        }
    }

    #[test]
    fn bad_tls_strikes_connections_and_no_requests() {
        let mut dice = dice(&["tls=expired"]);
        assert_eq!(dice.roll(NOW, b"{}"), Roll::default());
        let struck = Some(ConnectionFault::Tls(BadTls::Expired));
        assert_eq!(dice.roll_connection(NOW, true), struck);
        assert_eq!(dice.roll_connection(NOW, false), None);
    }

    fn dice(faults: &[&str]) -> Dice {
        let mut dice = Dice::new(fastrand::Rng::with_seed(7));
        let faults = faults.iter().map(|fault| fault.parse().unwrap());
        dice.set_faults(faults.collect(), NOW);
        dice
    }

    #[test]
    fn delays_add_up_and_the_first_of_the_others_wins() {
        let roll = dice(&["delay=2s", "reset", "delay=1s", "hang"]).roll(NOW, b"");
        assert_eq!(roll.delay, Duration::from_secs(3));
        assert_eq!(roll.ending, Some(FaultKind::Reset));
    }

    #[test]
    fn a_fault_of_a_body_strikes_no_other() {
        let mut dice = dice(&["poison=call-7", "too-long=30"]);
        let ending = |dice: &mut Dice, body: &[u8]| dice.roll(NOW, body).ending;
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
                .map(|_| dice.roll(NOW, b"{}").ending.is_some())
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
