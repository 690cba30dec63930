//! Pushed: what a listener hands over, answered after its commit.
//!
//! **Crash argument.** A push is answered *kept* in [`Intake::committed`], which ingest calls after
//! the commit that holds its events returned, and nowhere else. A crash before the commit leaves
//! neither event nor answer: the sender, if it repeats, tells it again. A crash between commit and
//! answer leaves an event that the sender does not know of: its repeat is known and counted as
//! repeated, for what was told lately is committed with it ([`derive::recent`](crate::derive::recent)). A commit that fails answers busy at once, while its group is
//! kept and tried again: also that ends in an event at most twice, with one id.
//!
//! **A long list of alarms** may change more than one commit holds. Each commit then takes some of the
//! changes, and what is remembered of them with it; the list is compared again for the rest, and answered
//! after the last. A crash, or a disk that fills, between two of them leaves what was told so far: whatever
//! list comes next brings what is missing.
//!
//! **What does not fit** is set aside, durably, and then answered as if it did: the one answer
//! that the manual documents is `retCode` 0, what a switch does on another is not known, and to
//! have it repeat for ever what will never fit helps nobody. Nothing is lost by that: the row is
//! in `set-aside.jsonl` with its peer and reason, byte by byte as far as it is no longer than
//! [`PUSH_BYTES_MAX`](super::set_aside::PUSH_BYTES_MAX).

mod alarms;
mod lately;

use super::intake::{At, Came, Intake, due_with};
use super::report::Report;
use super::{GROUP_ROWS_MAX, Group};
use crate::clock::{Moment, UnixMs};
use crate::derive::{Derive, Fate, Now, Observation};
use crate::event::vos3000_push::{self, Alarms, Edge, PushMaker, Told};
use crate::event::{Event, Origin};
use crate::listen::{Answer, DATAGRAM_BYTES_MAX, Gate, Push, Refusal, Refusals};
use crate::parser::encoding::Decoder;
use crate::parser::{DocumentStep, Format, Parser, Record, Step};
use crate::queue::{Queue, QueueError};
use crate::timestamp::Timestamp;
use alarms::Standing;
use lately::Lately;
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Shortest time between two lines about pushes not taken. The first is said at once.
const REFUSALS_PAUSE: Duration = Duration::from_secs(600);

/// Most lines of one push that are set aside one by one, as many as a group of rows has: a body has room
/// for more than a hundred thousand lines. What comes behind them is one more.
const MISFITS_MAX: usize = GROUP_ROWS_MAX;

/// Most changes that a list of alarms brings in one commit, as many as a group has rows.
const EDGES_MAX: usize = GROUP_ROWS_MAX;

/// Time between two calls when nothing is pushed: for what is said in the log.
const IDLE_PAUSE: Duration = Duration::from_secs(5);

/// Under this the queue keeps what is remembered of the pushes of `source`.
pub(super) fn prefix(source: &str) -> String {
    format!("push/{source}/")
}

/// A source of pushes.
#[derive(Debug)]
pub struct Pushed {
    name: Arc<str>,
    gate: Gate,
    reading: Reader,
    derive: Derive,
    report: Report,
    refusals: Refusals,
    refusals_told_at: Option<Moment>,
    reserved: Reserved,
    /// Nothing was taken for a while, whatever came.
    was_deaf: bool,
    /// Whose push came first, and whether it was said that another's came.
    peer: Option<(IpAddr, bool)>,
    /// A list of alarms of which a part was added.
    unfinished: Option<Push>,
    /// What was added to the group that is not yet durable: at most its number of rows.
    owed: Vec<(Answer, Option<Vec<u8>>)>,
}

/// How pushes are understood.
#[derive(Debug)]
pub enum Reading {
    /// As VOS3000's pages, whose text is in an encoding.
    Pages(PushMaker, Decoder),
    /// As rows of a format; a body may hold several lines.
    ///
    /// What reads them: lines, or a document for each body.
    Rows(Box<Parser>),
}

#[derive(Debug)]
enum Reader {
    Pages(Box<Pages>),
    Rows(Box<Rows>),
}

/// What makes nothing but reserved types of events.
#[derive(Debug, PartialEq, Eq)]
enum Reserved {
    /// Every push.
    All,
    /// Those to these pages.
    Pages(Vec<&'static str>),
}

impl Default for Reserved {
    fn default() -> Reserved {
        Reserved::Pages(Vec::new())
    }
}

impl Reserved {
    fn has(&self, page: &str) -> bool {
        match self {
            Self::All => true,
            Self::Pages(pages) => pages.contains(&page),
        }
    }
}

/// What understands VOS3000's pages.
#[derive(Debug)]
struct Pages {
    maker: PushMaker,
    decoder: Decoder,
    standing: Standing,
    lately: Lately,
}

/// What understands rows.
#[derive(Debug)]
struct Rows {
    parser: Parser,
    format: Format,
}

impl Pushed {
    /// The source called `name`, whose pushes come through `gate`, with its machines; goes on from what `queue`
    /// remembers of it.
    ///
    /// # Errors
    ///
    /// When that cannot be read.
    pub fn new(
        name: Arc<str>,
        gate: Gate,
        reading: Reading,
        derive: Derive,
        queue: &Queue,
    ) -> Result<Pushed, QueueError> {
        let stored = queue.states(&Derive::prefix(&name))?;
        let reading = match reading {
            Reading::Pages(maker, decoder) => Reader::Pages(Box::new(Pages {
                maker,
                decoder,
                standing: Standing::load(&name, queue)?,
                lately: Lately::load(&name, queue)?,
            })),
            Reading::Rows(parser) => Reader::Rows(Box::new(Rows {
                format: parser.format().clone(),
                parser: *parser,
            })),
        };
        Ok(Pushed {
            report: Report::new(&name),
            name,
            gate,
            reading,
            derive: derive.expecting_repeats(&stored),
            refusals: Refusals::default(),
            refusals_told_at: None,
            reserved: Reserved::default(),
            was_deaf: false,
            peer: None,
            unfinished: None,
            owed: Vec::new(),
        })
    }

    /// The same source; what makes only events whose types are `reserved` is taken also when
    /// reading pauses for the others.
    pub fn with_reserved(mut self, reserved: impl Fn(&str) -> bool) -> Pushed {
        self.reserved = match &self.reading {
            Reader::Rows(rows) if rows.format.events().all(&reserved) => Reserved::All,
            Reader::Rows(_) => Reserved::default(),
            Reader::Pages(_) => {
                let is_reserved = |page: &&str| {
                    vos3000_push::kinds_of(page)
                        .iter()
                        .all(|kind| reserved(kind))
                };
                Reserved::Pages(
                    vos3000_push::PAGES
                        .into_iter()
                        .filter(is_reserved)
                        .collect(),
                )
            }
        };
        self
    }

    /// Says how many pushes were not taken, when that is due.
    fn tell_refusals(&mut self, now: Moment) {
        let due = self
            .refusals_told_at
            .is_none_or(|told| now.since(told) >= REFUSALS_PAUSE);
        if due && self.say_refusals() {
            self.refusals_told_at = Some(now);
        }
    }

    /// Says once that a push came from another machine than the first: two lists of alarms clear each
    /// other's, and numbers of calls are those of one switch.
    fn mind_the_peer(&mut self, peer: IpAddr) {
        let (first, is_told) = self.peer.get_or_insert((peer, false));
        if *first != peer && !std::mem::replace(is_told, true) {
            log::warn!(
                "pushes of two machines come to one source source={} first={first} another={peer}",
                self.name
            );
        }
    }

    /// Says how many pushes were not taken, if there are more than were said.
    fn say_refusals(&mut self) -> bool {
        let refusals = self.gate.refusals();
        let is_news = refusals != self.refusals;
        if is_news {
            log::warn!(
                "pushes not taken since the start source={} {refusals}",
                self.name
            );
            self.refusals = refusals;
        }
        is_news
    }
}

impl Intake for Pushed {
    fn take(&mut self, at: At, group: &mut Group) {
        if std::mem::take(&mut self.was_deaf) {
            self.derive.was_deaf(at.now);
        }
        while !group.is_full()
            && let Some(push) = self.unfinished.take().or_else(|| self.gate.take())
        {
            if at.reserved_only && !self.reserved.has(&push.page) {
                // Dropped, it answers busy.
                self.gate.refused(Refusal::Full);
                self.derive.was_deaf(at.now);
                continue;
            }
            self.mind_the_peer(push.peer.ip().to_canonical());
            let place = match push.page.as_str() {
                "" => format!("push from {}", push.peer),
                page => format!("{page} from {}", push.peer),
            };
            let hands = Hands {
                source: &self.name,
                place: &place,
                push: &push,
                now: at.machine(),
                derive: &mut self.derive,
                group,
                odd: None,
                unfinished: false,
            };
            let taken = self.reading.read(hands);
            if taken.unfinished {
                self.unfinished = Some(push);
                break;
            }
            if let Some(reason) = taken.misfit {
                self.report.set_aside(&place, &reason);
            }
            self.owed.push((push.answer, taken.flowno));
        }
        // What is pushed leaves no row behind that is still to be read.
        let forgotten = group.derive(&self.name, &mut self.derive, at.machine(), true);
        self.report.forgotten(forgotten);
        self.report.tell(at.now);
        self.tell_refusals(at.now);
    }

    fn is_source(&self, name: &str) -> bool {
        *self.name == *name
    }

    fn committed(&mut self, _: Moment) {
        for (answer, acknowledgement) in self.owed.drain(..) {
            answer.kept(acknowledgement.as_deref());
        }
    }

    fn turned_away(&mut self) {
        self.was_deaf = true;
        self.gate.close();
        if self.unfinished.take().is_some() {
            self.gate.refused(Refusal::Full);
        }
        for _busy in self.owed.drain(..) {
            self.gate.refused(Refusal::Full);
        }
    }

    fn has_reserved(&self) -> bool {
        self.reserved != Reserved::default()
    }

    fn due(&self, now: Moment) -> Moment {
        let pause = match self.unfinished {
            Some(_) => Duration::ZERO,
            None => IDLE_PAUSE,
        };
        due_with(&self.derive, now + pause, now)
    }
}

impl Drop for Pushed {
    /// Whoever still waits for an answer hears that there will be none.
    fn drop(&mut self) {
        self.turned_away();
        self.say_refusals();
    }
}

/// What a push came to, for its answer and the log.
#[derive(Debug, Default)]
struct Taken {
    /// Why it, or the first row of it, does not fit.
    misfit: Option<String>,
    /// What a sender of datagrams wants to hear.
    flowno: Option<Vec<u8>>,
    /// It is to be read again after the commit, for what the group had no room for.
    unfinished: bool,
}

/// One push, and what it takes to understand it.
#[derive(Debug)]
struct Hands<'a> {
    source: &'a Arc<str>,
    place: &'a str,
    push: &'a Push,
    now: Now,
    derive: &'a mut Derive,
    group: &'a mut Group,
    /// Why a part of the push does not fit.
    odd: Option<String>,
    /// There is more to it than was told.
    unfinished: bool,
}

impl Hands<'_> {
    /// What a record of the push tells.
    fn record(&mut self, record: &Record<'_>, format: &Format, origin: Origin<'_>) -> Came {
        let mut told = Vec::new();
        let fate = self
            .derive
            .take(record, format, origin, self.now, &mut told);
        Came {
            fate,
            told,
            reason: None,
        }
    }

    /// The event, where it was not told a moment ago.
    fn news(&mut self, event: Event) -> Came {
        match self.derive.is_repeat(event.id) {
            true => Came::of(Fate::Repeated),
            false => Came::told(vec![event]),
        }
    }

    /// Adds a row of the push.
    fn add(&mut self, row: &[u8], came: Came) {
        let mut awake = Vec::new();
        self.derive.rows_came(self.now, &mut awake);
        if !awake.is_empty() {
            self.group.tell(self.source, awake);
        }
        self.group.add_pushed(self.source, self.place, row, came);
    }
}

impl Reader {
    /// Adds what the push tells to the group.
    fn read(&mut self, mut hands: Hands<'_>) -> Taken {
        let push = hands.push;
        let came = match self {
            _ if push.bytes > push.body.len() => Came::misfit(format!(
                "a datagram of {} bytes is longer than {DATAGRAM_BYTES_MAX}",
                push.bytes
            )),
            Self::Pages(pages) => pages.read(&mut hands),
            Self::Rows(rows) if rows.format.reader.is_document() => rows.document(&mut hands),
            Self::Rows(rows) => return rows.lines(hands),
        };
        if hands.unfinished {
            hands.group.tell(hands.source, came.told);
            return Taken {
                unfinished: true,
                ..Taken::default()
            };
        }
        let misfit = came.why_not().or(hands.odd.take());
        hands.add(&push.body, came);
        Taken {
            misfit,
            flowno: flowno(&push.body).map(<[u8]>::to_vec),
            unfinished: false,
        }
    }
}

impl Pages {
    /// What a push comes to.
    fn read(&mut self, hands: &mut Hands<'_>) -> Came {
        let push = hands.push;
        let body = push.body.strip_prefix(b"\xEF\xBB\xBF");
        let (body, is_flawed) = self.decoder.decode(body.unwrap_or(&push.body));
        if is_flawed {
            return Came::misfit(format!("no text in {}", self.decoder.name()));
        }
        match vos3000_push::read(&push.page, body.as_bytes()) {
            Ok(told) => self.tell(told, hands),
            Err(error) => Came::misfit(error.to_string()),
        }
    }

    /// What a page is told as; what has to be remembered of it goes with the group.
    fn tell(&mut self, page: Told, hands: &mut Hands<'_>) -> Came {
        let arrived = hands.push.arrived;
        match page {
            Told::Alarms(alarms) => self.alarms(alarms, hands),
            Told::Money(money) => {
                let (account, balance) = (&money.account, &money.money);
                if !self.lately.is_first(account, balance, arrived, hands.group) {
                    return Came::of(Fate::Repeated);
                }
                let mut told = vec![self.maker.money(&money, arrived)];
                hands
                    .derive
                    .observe(seen(account, balance, arrived), &mut told);
                Came::told(told)
            }
            Told::Call(call) => match call.word() {
                Some(word) => hands.news(self.maker.call(&call, word)),
                None => Came::of(Fate::Filtered),
            },
            Told::Phone(phone) => hands.news(self.maker.phone(&phone)),
        }
    }

    /// What a list of alarms is told as, or a part of it.
    fn alarms(&mut self, list: Alarms, hands: &mut Hands<'_>) -> Came {
        let arrived = hands.push.arrived;
        let Alarms { standing, odd } = list;
        let mut told = Vec::new();
        let mut raised = HashSet::new();
        let compared = self.standing.compare(&standing, EDGES_MAX, hands.group);
        for (alarm, edge) in compared.edges {
            told.push(self.maker.alarm(&alarm, edge, arrived));
            match (alarm.balance_of(), edge) {
                (Some(account), Edge::Raised) => drop(raised.insert(account.to_owned())),
                (Some(account), Edge::Cleared) => {
                    // What is remembered of it is what it was at the beginning.
                    let seen = Observation {
                        balance: None,
                        ended: true,
                        threshold: alarm.lower.as_deref(),
                        ..seen(account, "", arrived)
                    };
                    hands.derive.observe(seen, &mut told);
                }
                _ => {}
            }
        }
        // Also of those that stand: the balance goes on falling, through further thresholds.
        for alarm in standing.iter().filter(|alarm| self.standing.has(alarm)) {
            let (Some(account), Some(balance)) = (alarm.balance_of(), &alarm.value) else {
                continue;
            };
            let at = match raised.contains(account) {
                true => UnixMs(alarm.start_ms),
                false => arrived,
            };
            let seen = Observation {
                threshold: alarm.lower.as_deref(),
                ..seen(account, balance, at)
            };
            hands.derive.observe(seen, &mut told);
        }
        hands.unfinished = compared.more;
        if !compared.more {
            for (written, error) in odd {
                let why = error.to_string();
                hands.odd.get_or_insert_with(|| why.clone());
                hands.add(written.as_bytes(), Came::misfit(why));
            }
        }
        Came::told(told)
    }
}

/// A balance as a page tells it.
fn seen<'a>(account: &'a str, balance: &'a str, at: UnixMs) -> Observation<'a> {
    Observation {
        account,
        balance: Some(balance),
        at: Timestamp::from_millis(at.0),
        ended: false,
        threshold: None,
        account_type: None,
        currency: None,
        credit_limit: None,
    }
}

impl Rows {
    /// What a document tells.
    fn document(&mut self, hands: &mut Hands<'_>) -> Came {
        let push = hands.push;
        let record = match self.parser.document(&push.body, &push.page, true) {
            DocumentStep::Record(record) => record,
            DocumentStep::Rejected(reject) => return Came::of(Fate::Misfit(reject)),
            DocumentStep::Incomplete => return Came::misfit("it breaks off".to_string()),
        };
        let origin = Origin {
            first_row: &Sha256::digest(&push.body).into(),
            offset: 0,
            raw: &push.body,
        };
        hands.record(&record, &self.format, origin)
    }

    /// Adds the lines of a push.
    fn lines(&mut self, mut hands: Hands<'_>) -> Taken {
        let body = &hands.push.body;
        // The bytes of the push take the place of a file's first row: a row that has no key of
        // its own is known by what came with it.
        let first_row: [u8; 32] = Sha256::digest(body).into();
        let (mut at, mut rows, mut taken) = (0, 0, Taken::default());
        let mut misfits = 0;
        while at < body.len() {
            let rest = body.get(at..).unwrap_or_default();
            if misfits == MISFITS_MAX {
                let what = "the lines before it do not fit either, all of the rest is left";
                hands.add(rest, Came::misfit(what.to_string()));
                break;
            }
            let (came, bytes) = match self.parser.next(rest, false, true) {
                Step::Skipped { bytes, .. } => {
                    at += bytes.max(1);
                    continue;
                }
                Step::Unwanted { bytes, .. } => (Came::of(Fate::Filtered), bytes),
                Step::Record { record, bytes, .. } => {
                    let mut columns = record.layout().columns.iter();
                    if let Some(index) = columns.position(|column| column.name == "flowno") {
                        let flowno = record.text(index).trim().as_bytes().to_vec();
                        taken.flowno.get_or_insert(flowno);
                    }
                    let origin = Origin {
                        first_row: &first_row,
                        offset: at as u64,
                        raw: rest.get(..bytes).unwrap_or_default(),
                    };
                    (hands.record(&record, &self.format, origin), bytes)
                }
                Step::Rejected { reject, bytes, .. } => (Came::of(Fate::Misfit(reject)), bytes),
                // Nothing follows what was pushed.
                Step::More => (Came::misfit("it breaks off".to_string()), rest.len()),
            };
            let misfit = came.why_not();
            misfits += usize::from(misfit.is_some());
            taken.misfit = taken.misfit.or(misfit);
            hands.add(rest.get(..bytes).unwrap_or_default(), came);
            (at, rows) = (at + bytes.max(1), rows + 1);
        }
        if rows == 0 {
            let reason = "it is empty".to_string();
            hands.add(body, Came::misfit(reason.clone()));
            taken.misfit = Some(reason);
        }
        taken.flowno = taken
            .flowno
            .or_else(|| flowno(body).map(<[u8]>::to_vec))
            .filter(|flowno| !flowno.is_empty());
        taken
    }
}

/// What a sender of datagrams wants to hear of a row that does not fit: its flowno.
///
/// *observed* in one public receiver of VOS3000's report, of one release: the acknowledgement is
/// that number as text and nothing else, and the receiver finds it before the text that begins
/// with `"MBX`, because commas inside names shift the columns of a plain split. A row in which it
/// cannot be found so is not acknowledged.
fn flowno(row: &[u8]) -> Option<&[u8]> {
    let at = memchr::memmem::find(row, b",\"MBX")?;
    let before = row.get(..at)?;
    let begin = memchr::memrchr(b',', before).map_or(0, |comma| comma + 1);
    let digits = before.get(begin..)?;
    let is_number =
        !digits.is_empty() && digits.len() <= 20 && digits.iter().all(u8::is_ascii_digit);
    is_number.then_some(digits)
}

#[cfg(test)]
mod tests;
