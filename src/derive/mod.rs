//! Derive: what rows mean together, and with time: alarms that begin and end, balances that cross
//! thresholds, calls told in two lines, sources that fall silent, figures per gateway.
//!
//! State machines without I/O and without a clock: `(state, row or time) → (state, events)`. The
//! state is small state of the queue, handed over by [`Derive::take_changes`] and committed with
//! the rows and the events.
//!
//! **Crash argument.** Before that commit nothing has changed on disk: after a crash the machines
//! begin with the state they had before those rows, read the same rows and make the same events,
//! with the same ids. After it, rows, events and state are all there. What a machine makes by time
//! alone (a silence, a summary) has ids made of what it says, not of when it was noticed.
//!
//! Every table is bounded; when one is full, its oldest entry goes, of alarms the oldest one that was
//! cleared. A call or a summary that goes is told first; an alarm or an account that goes is only
//! counted: it may be told once more.

pub mod balance;
pub mod beyond;
pub mod conference;
pub mod join;
pub mod recent;
pub mod standing;
pub mod summary;
pub mod table;

use crate::clock::{Moment, UnixMs};
use crate::event::balance::{BALANCE_ALERT, BalanceAlert};
use crate::event::cdr::Call;
use crate::event::filter::Filter;
use crate::event::json::Object;
use crate::event::own;
use crate::event::report::{self, Alarm, BALANCE_ALARM, Outcome};
use crate::event::{Event, EventId, Labels, Maker, Origin, amount::Amount, general, raw_base64};
use crate::parser::encoding::Decoder;
use crate::parser::format::{ALARM, CALL};
use crate::parser::reject::shown;
use crate::parser::{self, Format, Header, Meaning, Parser, Problem, Record, Reject, Step};
use crate::queue::StateChange;
use crate::source::Gap;
use crate::timestamp::Timestamp;
use balance::{Account, Thresholds};
use beyond::Beyond;
use conference::{CONFERENCE, CONFERENCES_MAX, Conference};
use join::{Held, Kind};
use recent::Recent;
use serde::{Deserialize, Serialize};
use standing::{Report, Standing};
use std::ops::RangeInclusive;
use std::time::Duration;
use summary::{By, Cell, Counted, SummarySettings};
pub use summary::{has_in as has_in_interval, start_of as interval};
use table::Table;

/// Most alarms and the like remembered for one source, standing or cleared a while ago.
pub const STANDING_MAX: usize = 4_096;

/// Most accounts remembered for one source: those below a threshold, or told of lately.
pub const ACCOUNTS_MAX: usize = 16_384;

/// Most counters of summaries of one source: two days of quarters of an hour with 20 gateways.
pub const CELLS_MAX: usize = 4_096;

/// Most things that time alone brings in one pass: what is left waits for the next.
const EVENTS_PER_TICK_MAX: usize = 256;

/// Shortest time between two looks for what is due: each goes through all that is held.
const SWEEP_PAUSE: Duration = Duration::from_secs(1);

/// How often it is written down for how long the agent has listened in vain: an eighth of the time after
/// which that is told, within these. A machine that is booted every day must not begin anew each time.
const LISTENED_PAUSES: RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(3_600);

/// Longest key of a report, in bytes for each of its fields, as far as it is remembered.
const NAME_BYTES_MAX: usize = 256;

/// Calls of a time further ahead than this are told of without waiting for it.
const FUTURE_MAX: Duration = Duration::from_secs(86_400);

/// What a source is told beside its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Rows of an earlier time are filtered out.
    pub start: Option<UnixMs>,
    /// Which events of rows are wanted.
    pub keep: Filter,
    /// Time within which a repeated report is counted and not told, where its pattern says nothing.
    pub repeat_every: Duration,
    /// When balances are told of.
    pub thresholds: Thresholds,
    /// How long a call may wait for its BYE.
    pub bye_within: Duration,
    /// Figures by gateway.
    pub summary: Option<SummarySettings>,
    /// How long the source may bring no row before that is told.
    pub silent_after: Option<Duration>,
    /// How often it is told that the source is looked after.
    pub heartbeat_every: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            start: None,
            keep: Filter::default(),
            repeat_every: Duration::from_secs(3_600),
            thresholds: Thresholds::default(),
            bye_within: Duration::from_secs(12 * 3_600),
            summary: None,
            silent_after: None,
            heartbeat_every: None,
        }
    }
}

/// What became of a row; what it told is beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// At least one event was made of it.
    Told,
    /// It is not wanted.
    Filtered,
    /// It says what was told already.
    Repeated,
    /// It is one event together with another row.
    Joined,
    /// It does not fit after all.
    Misfit(Reject),
}

/// The instant at which something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// For waits.
    pub moment: Moment,
    /// For what is written down.
    pub wall: UnixMs,
}

/// A balance, as something tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observation<'a> {
    /// The account.
    pub account: &'a str,
    /// The balance, as written; `None` where it is not told.
    pub balance: Option<&'a str>,
    /// When it was so.
    pub at: Timestamp,
    /// The switch's own alarm about `threshold` has ended.
    pub ended: bool,
    /// The threshold that the switch itself has; counts where the configuration has none.
    pub threshold: Option<&'a str>,
    /// `prepaid` or `postpaid`, as written.
    pub account_type: Option<&'a str>,
    /// The currency, where the row tells it.
    pub currency: Option<&'a str>,
    /// How far below zero the balance may go, as written.
    pub credit_limit: Option<&'a str>,
}

/// What is remembered of a source as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Sundry {
    /// When the last row was read, or watching began, in ms since 1970.
    seen_at: Option<i64>,
    /// Its silence was told.
    silent: bool,
    /// The interval of the last heartbeat.
    beat: Option<i64>,
    /// Summaries told.
    summaries: u64,
    /// How long the agent has listened since then and heard nothing, in ms: kept of a source that
    /// leaves nothing behind to be read later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    listened_ms: Option<u64>,
}

/// The machines of one source.
#[derive(Debug)]
pub struct Derive {
    settings: Settings,
    maker: Maker,
    standing: Table<Standing>,
    accounts: Table<Account>,
    /// Accounts that were pushed out of the table.
    beyond: Beyond,
    held: Table<Held>,
    cells: Table<Cell>,
    conferences: Table<Conference>,
    sundry: Table<Sundry>,
    /// What was told a moment ago, where it may be repeated.
    recent: Option<Recent>,
    /// Calls of several lines that failed a moment ago: each of their branches has a line, and the whole
    /// may have one more.
    failed: Recent,
    /// What reads told calls, where lines are joined.
    joined: Option<(Format, Parser)>,
    /// How long the source had been silent, and since when that is true.
    quiet: Option<(Moment, Duration)>,
    /// When the machines first heard what time it is, and what it was.
    began: Option<(Moment, UnixMs)>,
    /// For how long a report that was told may keep the next one from being told.
    quiet_after_report: Duration,
    /// When it was last looked for what is due.
    swept_at: Option<Moment>,
    /// Entries forgotten since the last call for that.
    forgotten: u64,
}

impl Derive {
    /// The machines of `maker`'s source, whose rows have `format`, as `stored` (the queue's small
    /// state with [`Derive::prefix`]) left them.
    pub fn new(
        settings: Settings,
        maker: Maker,
        format: &Format,
        stored: &[(String, Vec<u8>)],
    ) -> Derive {
        let prefix = Derive::prefix(maker.source());
        let name = |machine: &str| format!("{prefix}{machine}");
        let joined = join::format(format).map(|format| {
            let settings = parser::Settings {
                format: format.clone(),
                decoder: Decoder::UTF_8,
                timezone: None,
                header: Header::Absent,
            };
            (format, Parser::new(settings))
        });
        Derive {
            // What is raised is still to be cleared, however long it has been so.
            standing: Table::load_ranked(name("alarm"), STANDING_MAX, stored, |it: &Standing| {
                !it.raised
            }),
            accounts: Table::load(name("balance"), ACCOUNTS_MAX, stored),
            beyond: Beyond::default(),
            // A call that is up stays, however many lines come that end none.
            held: Table::load_ranked(name("join"), join::HELD_MAX, stored, |it: &Held| it.bye),
            cells: Table::load(name("cell"), CELLS_MAX, stored),
            conferences: Table::load(name("conference"), CONFERENCES_MAX, stored),
            sundry: Table::load(name("source"), 1, stored),
            recent: None,
            failed: Recent::load(&name("failed/"), stored),
            joined,
            quiet_after_report: longest_pause(&settings, format),
            settings,
            maker,
            quiet: None,
            began: None,
            swept_at: None,
            forgotten: 0,
        }
    }

    /// The same machines, of a source whose sender repeats what was not answered: a row that was told
    /// a moment ago, as `stored` knows, is neither told nor counted again.
    pub fn expecting_repeats(mut self, stored: &[(String, Vec<u8>)]) -> Derive {
        let prefix = Derive::prefix(self.maker.source());
        self.recent = Some(Recent::load(&prefix, stored));
        self
    }

    /// Whether the event called `id` was told a moment ago; from now on it was.
    pub fn is_repeat(&mut self, id: EventId) -> bool {
        let recent = self.recent.as_mut();
        recent.is_some_and(|recent| !recent.is_new(id))
    }

    /// Machines of the same settings that know nothing yet; what becomes of them is not kept.
    pub fn afresh(&self, format: &Format) -> Derive {
        Derive::new(self.settings.clone(), self.maker.clone(), format, &[])
    }

    /// The event that tells of rows that may have been lost, noticed at `now`.
    pub fn gap(&self, gap: &Gap, now: UnixMs) -> Event {
        self.maker.gap(gap, now)
    }

    /// What the names of the small state of `source` begin with.
    pub fn prefix(source: &str) -> String {
        format!("derive/{source}/")
    }

    /// What changed since the last call: it is to be committed with what was told meanwhile.
    pub fn take_changes(&mut self, changes: &mut Vec<StateChange>) {
        self.standing.take_changes(changes);
        self.accounts.take_changes(changes);
        self.held.take_changes(changes);
        self.cells.take_changes(changes);
        self.conferences.take_changes(changes);
        self.sundry.take_changes(changes);
        self.failed.take_changes(changes);
        if let Some(recent) = &mut self.recent {
            recent.take_changes(changes);
        }
        self.forgotten += self.standing.take_evicted()
            + self.accounts.take_evicted()
            + self.held.take_evicted()
            + self.cells.take_evicted()
            + self.conferences.take_evicted();
    }

    /// Entries that were forgotten for want of room, or could not be read, since the last call.
    pub fn take_forgotten(&mut self) -> u64 {
        std::mem::take(&mut self.forgotten)
    }

    /// Whether time alone can bring events.
    pub fn needs_ticks(&self) -> bool {
        self.settings.summary.is_some()
            || self.settings.silent_after.is_some()
            || self.settings.heartbeat_every.is_some()
            || self.joined.is_some()
    }

    /// Takes in that rows were read at `now`, whatever becomes of them.
    pub fn rows_came(&mut self, now: Now, told: &mut Vec<Event>) {
        let is_asked =
            self.settings.silent_after.is_some() || self.settings.heartbeat_every.is_some();
        // One that was told ends also where nobody asks any more.
        if !is_asked && !self.sundry.get(table::key([])).is_some_and(|it| it.silent) {
            return;
        }
        self.quiet = Some((now.moment, Duration::ZERO));
        let sundry = self.sundry();
        if sundry.seen_at == Some(now.wall.0) && !sundry.silent {
            return;
        }
        let was_silent = sundry.silent;
        let since = sundry.seen_at.unwrap_or(now.wall.0);
        if was_silent {
            told.push(self.silence(since, Some(now.wall)));
        }
        self.put_sundry(Sundry {
            seen_at: Some(now.wall.0),
            silent: false,
            listened_ms: None,
            ..sundry
        });
    }

    /// Takes in that whatever the source brought since it was looked last for what is due was turned away:
    /// that is no silence of its.
    pub fn was_deaf(&mut self, now: Moment) {
        if let (Some((since, silent_for)), Some(swept)) = (self.quiet, self.swept_at) {
            self.quiet = Some((now, silent_for + swept.since(since)));
        }
    }

    /// Takes a row: adds what it tells to `told` and says what became of it.
    pub fn take(
        &mut self,
        record: &Record<'_>,
        format: &Format,
        origin: Origin<'_>,
        now: Now,
        told: &mut Vec<Event>,
    ) -> Fate {
        if record.text_of(Meaning::Method).is_some() && self.joined.is_some() {
            return self.line_of_call(record, format, origin, now, told);
        }
        let layout = record.layout();
        match &*layout.event {
            CALL => {
                let fate = self.call(record, format, origin, told);
                // All of a call was told: its beginning does not wait for a BYE any more.
                if self.joined.is_some()
                    && let Some(key) = join::key(record)
                {
                    self.held.remove(key);
                }
                fate
            }
            BALANCE_ALERT => self.balance(record, told),
            kind if kind == ALARM || layout.pairing.is_some() => self.report(record, origin, told),
            _ => {
                let event = self.maker.make(record, format, origin);
                if self.is_early(event.time) {
                    return Fate::Filtered;
                }
                if self.is_repeat(event.id) {
                    return Fate::Repeated;
                }
                self.observe_row(record, event.time, told);
                let (start, end) = self.conference(record, origin, event.time);
                let edges = start.is_some() || end.is_some();
                start.map(|start| self.keep(start, told));
                let fate = self.keep(event, told);
                end.map(|end| self.keep(end, told));
                match fate {
                    Fate::Filtered if edges => Fate::Told,
                    fate => fate,
                }
            }
        }
    }

    /// The events that a row of a member who comes or leaves makes beside its own: before it, that the
    /// conference has started, and after it, that it has ended.
    fn conference(
        &mut self,
        record: &Record<'_>,
        origin: Origin<'_>,
        at: Timestamp,
    ) -> (Option<Event>, Option<Event>) {
        let layout = record.layout();
        let text = |name: &str| {
            let place = layout.columns.iter().position(|it| it.name == name);
            place.map_or("", |index| record.text(index).trim())
        };
        // Further arguments of the application are behind the name.
        let name = text("conference").split(',').next().unwrap_or_default();
        let state = match &layout.state {
            Some(state) if &*layout.event == CONFERENCE && !name.is_empty() => state,
            _ => return (None, None),
        };
        let extra: Option<serde_json::Value> = serde_json::from_str(text("extra")).ok();
        let bridge = extra.as_ref().and_then(|it| it.get("bridge_id")?.as_str());
        let bridge = cut(bridge.unwrap_or_default());
        let key = table::key([name]);
        let (next, edge) = conference::judge(self.conferences.get(key), state, bridge);
        match next {
            Some(next) => _ = self.conferences.put(key, next, at.unix),
            None => _ = self.conferences.remove(key),
        }
        let event = edge.map(|edge| {
            let raw = raw_base64(record, origin);
            let data = general::data(record, Some(edge), raw.as_deref());
            let labels = Labels::of(record, record.text_of(Meaning::AccountId));
            let at_text = at.unix.0.to_string();
            let id = [name, bridge, edge, &at_text];
            self.maker.derived(CONFERENCE, id, at, labels, data)
        });
        match edge {
            Some(conference::STARTED) => (event, None),
            _ => (None, event),
        }
    }

    /// Takes in that it is `now`; `caught_up` says that every row there is has been read. Adds what
    /// time alone brings to `told`.
    pub fn tick(&mut self, now: Now, caught_up: bool, told: &mut Vec<Event>) {
        self.beat(now.wall, told);
        let swept_lately = |swept: Moment| now.moment.since(swept) < SWEEP_PAUSE;
        if !caught_up || self.swept_at.is_some_and(swept_lately) {
            return;
        }
        self.swept_at = Some(now.moment);
        self.grow_silent(now, told);
        self.give_up_calls(now, told);
        self.tell_summaries(now.wall, told);
        self.forget_cleared(now.wall);
    }

    /// Judges a balance against the thresholds; gives how many alerts that made.
    ///
    /// Where the configuration has no threshold for the account, those count that the switch itself
    /// told of, and an alarm of its that ended counts as well as a balance: it has a margin of its own.
    pub fn observe(&mut self, seen: Observation<'_>, told: &mut Vec<Event>) -> usize {
        let Thresholds {
            rearm,
            repeat_every,
            ..
        } = &self.settings.thresholds;
        let configured = self.settings.thresholds.of(seen.account);
        let key = table::key([seen.account]);
        let beyond = match self.settings.thresholds.names(seen.account) {
            true => None,
            false => self.beyond.get(key, configured),
        };
        let known = self.accounts.get(key).or(beyond.as_ref());
        let told_threshold = seen.threshold.and_then(balance::Threshold::parse);
        let bound = told_threshold.as_ref().map(|told| told.amount);
        let is_own = configured.is_empty();
        let own = match is_own {
            true => balance::own(known, told_threshold),
            false => Vec::new(),
        };
        let steps = if is_own { &own } else { configured };
        let at = seen.at.unix;
        let balance = seen.balance.and_then(Amount::parse_cut);
        // What stands in the line of an alarm that ended may be the balance at its beginning.
        let is_under = |balance: &Amount| bound.is_some_and(|bound| *balance < bound);
        let balance = balance.filter(|balance| !(seen.ended && is_under(balance)));
        let is_below = |step: &balance::Threshold| match balance {
            _ if seen.ended && is_own => bound
                .is_none_or(|bound| step.amount <= bound)
                .then_some(false),
            Some(balance) => rearm.is_below(step.amount, balance),
            // All that is known is on which side of the switch's bound it is.
            None if seen.ended => (rearm.above(step.amount) <= bound?).then_some(false),
            None => (step.amount >= bound?).then_some(true),
        };
        if balance.or(bound).is_none() && !(seen.ended && is_own) {
            return 0;
        }
        let (next, alerts) = balance::judge(known, steps, is_below, at, *repeat_every);
        let currency = self.maker.settings().currency.as_deref();
        for alert in &alerts {
            let alert = BalanceAlert {
                account: seen.account,
                account_type: seen.account_type,
                balance: seen.balance.filter(|_| balance.is_some()),
                currency: seen.currency.or(currency),
                threshold: &alert.threshold.text,
                low: alert.low,
                credit_limit: seen.credit_limit,
                level: alert.level,
            };
            let at = at.0.to_string();
            let key = [seen.account, alert.threshold, alert.alert_type(), &at];
            let labels = Labels {
                account: Some(seen.account.into()),
                ..Labels::default()
            };
            let event = self
                .maker
                .derived(BALANCE_ALERT, key, seen.at, labels, alert.data());
            told.push(event);
        }
        let (has_news, count) = (known != Some(&next), alerts.len());
        if next.is_empty() {
            self.accounts.remove(key);
            self.beyond.remove(key);
        } else if has_news {
            self.remember(key, next, at);
        }
        count
    }

    /// Remembers what is known of an account from now on. Where there is no room, the account that has not
    /// changed for longest is not durable any more.
    fn remember(&mut self, key: table::Key, next: Account, at: UnixMs) {
        self.beyond.remove(key);
        if self.accounts.is_full()
            && self.accounts.get(key).is_none()
            && let Some((_, oldest, account)) = self.accounts.oldest()
            && self
                .beyond
                .put(oldest, account, &self.settings.thresholds.all)
        {
            self.accounts.remove(oldest);
        }
        self.accounts.put(key, next, at);
    }

    fn is_early(&self, time: Timestamp) -> bool {
        self.settings.start.is_some_and(|start| time.unix < start)
    }

    /// Adds `event` to `told` where it is wanted, and says what became of it.
    pub fn keep(&self, event: Event, told: &mut Vec<Event>) -> Fate {
        if !self.settings.keep.wants(&event.data) {
            return Fate::Filtered;
        }
        told.push(event);
        Fate::Told
    }

    /// A whole call.
    fn call(
        &mut self,
        record: &Record<'_>,
        format: &Format,
        origin: Origin<'_>,
        told: &mut Vec<Event>,
    ) -> Fate {
        let event = self.maker.make(record, format, origin);
        if self.is_early(event.time) {
            return Fate::Filtered;
        }
        if self.is_repeat(event.id) {
            return Fate::Repeated;
        }
        self.count(record, format, &event, told);
        self.observe_row(record, event.time, told);
        self.keep(event, told)
    }

    /// A row that tells nothing but a balance.
    fn balance(&mut self, record: &Record<'_>, told: &mut Vec<Event>) -> Fate {
        let missing = |what| Fate::Misfit(Reject::row(Problem::Missing(what)));
        let Some(at) = record.time_of(Meaning::EventTime) else {
            return missing("time");
        };
        if self.is_early(at) {
            return Fate::Filtered;
        }
        let balance = record.text_of(Meaning::Balance);
        if record.text_of(Meaning::AccountId).is_none() {
            return missing("account");
        }
        if balance.and_then(Amount::parse_cut).is_none() {
            return missing("balance that is an amount");
        }
        let mut alerts = Vec::new();
        if self.observe_row(record, at, &mut alerts) == 0 {
            return Fate::Repeated;
        }
        let is_wanted = |alert: &Event| self.settings.keep.wants(&alert.data);
        let before = told.len();
        told.extend(alerts.into_iter().filter(is_wanted));
        match told.len() > before {
            true => Fate::Told,
            false => Fate::Filtered,
        }
    }

    /// Judges the balance in a row, where it has one; gives how many alerts that made.
    fn observe_row(&mut self, record: &Record<'_>, at: Timestamp, told: &mut Vec<Event>) -> usize {
        let text = |meaning| record.text_of(meaning);
        let (Some(account), Some(balance)) = (text(Meaning::AccountId), text(Meaning::Balance))
        else {
            return 0;
        };
        let seen = Observation {
            account,
            balance: Some(balance),
            at,
            ended: false,
            threshold: text(Meaning::Threshold),
            account_type: text(Meaning::AccountType),
            currency: text(Meaning::Currency),
            credit_limit: text(Meaning::CreditLimit),
        };
        self.observe(seen, told)
    }

    /// A report of something that begins and ends, or repeats.
    fn report(&mut self, record: &Record<'_>, origin: Origin<'_>, told: &mut Vec<Event>) -> Fate {
        let Some(at) = record.time_of(Meaning::EventTime) else {
            return Fate::Misfit(Reject::row(Problem::Missing("time")));
        };
        if self.is_early(at) {
            return Fate::Filtered;
        }
        let word = record.text_of(Meaning::State);
        let Some(report) = word.map_or(Some(Report::Raised), Report::named) else {
            let word = shown(word.unwrap_or_default());
            return Fate::Misfit(Reject::row(Problem::NotState(word)));
        };
        let layout = record.layout();
        let kind = &*layout.event;
        let is_alarm = kind == ALARM;
        let mut alarm = Alarm::of(record);
        if is_alarm && alarm.alarm_type.is_empty() {
            return Fate::Misfit(Reject::row(Problem::Missing("type of the alarm")));
        }
        let pairing = layout.pairing.as_ref();
        let own = pairing.map(|pairing| {
            let text = |index: &usize| record.text(*index).trim();
            pairing.key.iter().map(text).collect::<Vec<_>>()
        });
        let subject =
            own.unwrap_or_else(|| vec![alarm.alarm_type, alarm.object.unwrap_or_default()]);
        let repeat_every = pairing.and_then(|pairing| pairing.repeat_every);
        let key = table::key(std::iter::once(kind).chain(subject.iter().copied()));
        let known = self.standing.get(key);
        let level = known.and_then(|known| known.level.clone());
        let (next, news) = standing::judge(
            known,
            report,
            at,
            record.time_of(Meaning::StartTime),
            alarm.level.map(cut),
            repeat_every.unwrap_or(self.settings.repeat_every),
        );
        // Its end is often said without it, and must pass what its beginning has passed.
        alarm.level = alarm.level.or(level.as_deref());
        self.standing.put(key, next, at.unix);
        let mut alerts = 0;
        if alarm.alarm_type == BALANCE_ALARM
            && let Some(account) = alarm.object
        {
            let seen = Observation {
                account,
                balance: alarm.value,
                at,
                ended: report == Report::Cleared,
                threshold: alarm.lower,
                account_type: record.text_of(Meaning::AccountType),
                currency: record.text_of(Meaning::Currency),
                credit_limit: record.text_of(Meaning::CreditLimit),
            };
            alerts = self.observe(seen, told);
        }
        let Some(news) = news else {
            return if alerts > 0 {
                Fate::Told
            } else {
                Fate::Repeated
            };
        };
        let outcome = Outcome {
            state: news.state,
            started_at: news.since,
            cleared_at: (report == Report::Cleared).then_some(at),
            repeats: news.repeats,
        };
        let raw = raw_base64(record, origin);
        let data = if is_alarm {
            report::alarm(&alarm, outcome, Some(record), raw.as_deref())
        } else {
            report::other(record, outcome, raw.as_deref())
        };
        let since = news.since.unwrap_or(at).unix.0.to_string();
        let again = at.unix.0.to_string();
        let (flaps, turns) = (news.flaps.to_string(), news.turns.to_string());
        let mut id = subject;
        id.extend([since.as_str(), news.state]);
        if news.state == "repeated" || news.since.is_none() || news.is_other_level {
            id.push(&again);
        }
        if news.is_other_level {
            id.extend(alarm.level);
        }
        // With the id of the first raise, one within the same second would be taken for its repeat.
        // Nor is one that changes within a second the one of the same level before: the first change is
        // told by its level.
        let is_later_turn = news.turns > 1;
        if news.flaps > 0 || is_later_turn {
            id.push(&flaps);
        }
        if is_later_turn {
            id.push(&turns);
        }
        let is_balance = alarm.alarm_type == BALANCE_ALARM;
        let account = record.text_of(Meaning::AccountId);
        let account = account.or(alarm.object.filter(|_| is_balance));
        let event = self
            .maker
            .derived(kind, id, at, Labels::of(record, account), data);
        match self.keep(event, told) {
            Fate::Filtered if alerts > 0 => Fate::Told,
            fate => fate,
        }
    }

    /// One of the lines of a call that is told in several.
    fn line_of_call(
        &mut self,
        record: &Record<'_>,
        format: &Format,
        origin: Origin<'_>,
        now: Now,
        told: &mut Vec<Event>,
    ) -> Fate {
        let key = join::key(record);
        match join::kind(record) {
            Kind::Other => Fate::Filtered,
            Kind::Failed => match (join::failed(record), key) {
                (None, _) => Fate::Misfit(Reject::row(Problem::MissingTime)),
                // One side wanted to change a call that is up, and the other did not: told, it would have
                // the id of the call.
                (_, Some(key)) if self.held.get(key).is_some() => Fate::Repeated,
                (_, Some(key)) if !self.failed.is_new(key) => Fate::Repeated,
                (Some(row), _) => self.tell_joined(&row, told),
            },
            Kind::Whole => {
                if let Some(key) = key {
                    self.held.remove(key);
                }
                self.call(record, format, origin, told)
            }
            kind => {
                let bye = kind == Kind::Bye;
                let read_at = self.steady(now);
                let line = Held::of(record, bye, read_at.0);
                let (Some(key), Some(line)) = (key, line) else {
                    return Fate::Misfit(Reject::row(Problem::Missing("call id")));
                };
                let line = match !bye && self.failed.knows(key) {
                    true => line.retried(),
                    false => line,
                };
                match self.held.get(key) {
                    Some(held) if held.bye != bye && !held.told => {
                        let held = self.held.remove(key);
                        let (invite, bye) = if bye {
                            (held, Some(line))
                        } else {
                            (Some(line), held)
                        };
                        let fate = match invite {
                            Some(invite) => self.tell_joined(&invite.told(bye.as_ref()), told),
                            None => Fate::Repeated,
                        };
                        if let Some(mut bye) = bye.filter(|_| join::names_one_call(record)) {
                            bye.told = true;
                            self.held.put(key, bye, read_at);
                        }
                        fate
                    }
                    // A call renegotiated, or a line written twice.
                    Some(_) => Fate::Repeated,
                    None => {
                        if !self.make_room(bye, told) {
                            return Fate::Filtered;
                        }
                        if !self.held.put(key, line, read_at) {
                            return Fate::Misfit(Reject::row(Problem::TooLong));
                        }
                        if bye { Fate::Filtered } else { Fate::Joined }
                    }
                }
            }
        }
    }

    /// Makes room for another line where there is none: the oldest BYE goes, and where none is held, for a
    /// call the one held longest, which is told. False where there is still none, for a BYE.
    fn make_room(&mut self, for_bye: bool, told: &mut Vec<Event>) -> bool {
        if !self.held.is_full() {
            return true;
        }
        match self.held.oldest() {
            Some((_, _, oldest)) if for_bye && !oldest.bye => false,
            Some((_, key, _)) => {
                self.give_up_call(key, told);
                true
            }
            None => true,
        }
    }

    /// Tells a call without its end; a BYE that nothing came for is forgotten, it was counted.
    fn give_up_call(&mut self, key: table::Key, told: &mut Vec<Event>) {
        if let Some(held) = self.held.remove(key).filter(|held| !held.bye) {
            self.tell_joined(&held.told(None), told);
        }
    }

    fn give_up_calls(&mut self, now: Now, told: &mut Vec<Event>) {
        let steady = self.steady(now);
        let began = self.began.map_or(steady, |(_, wall)| wall);
        let over = |held: &Held, span: Duration| {
            let read_at = UnixMs(held.read_at);
            // Of a time that is still to come it was read by another clock, before the start.
            let since = if read_at > steady { began } else { read_at };
            steady.since(since) >= span
        };
        let within = self.settings.bye_within;
        let due = |bye: bool, span: Duration| {
            let held = self.held.entries();
            held.filter(move |(_, held)| held.bye == bye && over(held, span))
                .map(|(key, _)| key)
        };
        // Of a BYE nothing is told.
        let mut given_up: Vec<_> = due(true, join::BYE_WAITS).collect();
        given_up.extend(due(false, within).take(EVENTS_PER_TICK_MAX));
        for key in given_up {
            self.give_up_call(key, told);
        }
    }

    /// Tells a joined call from its row.
    fn tell_joined(&mut self, row: &[u8], told: &mut Vec<Event>) -> Fate {
        let Some((format, mut parser)) = self.joined.take() else {
            return Fate::Filtered;
        };
        let origin = Origin {
            first_row: &[0; 32],
            offset: 0,
            raw: row,
        };
        let fate = match parser.next(row, false, true) {
            Step::Record { record, .. } => self.call(&record, &format, origin, told),
            Step::Rejected { reject, .. } => Fate::Misfit(reject),
            _ => Fate::Misfit(Reject::row(Problem::Empty)),
        };
        self.joined = Some((format, parser));
        fate
    }

    /// Counts a call for its gateway's summary.
    fn count(
        &mut self,
        record: &Record<'_>,
        format: &Format,
        event: &Event,
        told: &mut Vec<Event>,
    ) {
        let Some(summary) = self.settings.summary.clone() else {
            return;
        };
        let counted = {
            let call = Call::new(record, format, self.maker.settings());
            Counted {
                answered: call.is_connected(),
                bill_secs: call.bill_secs().unwrap_or(0),
                pdd_ms: record.whole_of(Meaning::PddMs),
                cost: record.text_of(Meaning::Cost),
            }
        };
        let of = match summary.by {
            By::Gateway => event.labels.gateway.as_deref(),
            By::CalleeGateway => event.labels.callee_gateway.as_deref(),
            By::Account => event.labels.account.as_deref(),
        };
        let of = cut(of.unwrap_or_default());
        let start = summary::start_of(event.time.unix, summary.every);
        // Those of other settings, before a reload, are counters of their own.
        let length = summary.every.as_millis().to_string();
        let key = table::key([start.0.to_string().as_str(), of, summary.by.word(), &length]);
        let mut cell = match self.cells.get(key) {
            Some(cell) => cell.clone(),
            None => {
                if self.cells.is_full()
                    && let Some((_, oldest, _)) = self.cells.oldest()
                {
                    self.tell_summary(oldest, &summary, told);
                }
                Cell::new(start, of, &summary)
            }
        };
        cell.count(counted);
        self.cells.put(key, cell, start);
    }

    fn tell_summaries(&mut self, wall: UnixMs, told: &mut Vec<Event>) {
        let Some(summary) = self.settings.summary.clone() else {
            return;
        };
        let is_over = |cell: &Cell| {
            let start = UnixMs(cell.start);
            let (_, every) = cell.counted(&summary);
            let end = start.after(every).after(summary.wait);
            wall >= end || start > wall.after(FUTURE_MAX)
        };
        let mut due: Vec<_> = self
            .cells
            .entries()
            .filter(|(_, cell)| is_over(cell))
            .map(|(key, cell)| (cell.start, cell.of.clone(), key))
            .collect();
        due.sort_unstable();
        for (_, _, key) in due.into_iter().take(EVENTS_PER_TICK_MAX) {
            self.tell_summary(key, &summary, told);
        }
    }

    fn tell_summary(&mut self, key: table::Key, summary: &SummarySettings, told: &mut Vec<Event>) {
        let Some(cell) = self.cells.remove(key) else {
            return;
        };
        let mut sundry = self.sundry();
        sundry.summaries += 1;
        let number = sundry.summaries;
        self.put_sundry(sundry);
        let (by, every) = cell.counted(summary);
        let (from, to) = (UnixMs(cell.start), UnixMs(cell.start).after(every));
        let whole = |count: u64| i64::try_from(count).ok();
        let of = Some(cell.of.as_str()).filter(|of| !of.is_empty());
        let mut data = Object::shaped(&own::SUMMARY, 384);
        data.text("source", Some(self.maker.source()));
        data.text("from", Some(&instant(from).to_string()));
        data.text("to", Some(&instant(to).to_string()));
        data.text("by", Some(by.word()));
        data.text("of", of);
        data.whole("number", whole(number));
        data.whole("calls", whole(cell.calls));
        data.whole("answered", cell.answered().and_then(whole));
        data.text("asr_percent", cell.asr_percent().as_deref());
        data.whole("acd", cell.acd_secs().and_then(whole));
        data.whole("pdd_ms", cell.pdd_mean_ms().and_then(whole));
        data.whole("bill_duration", cell.answered().map(|_| cell.bill_secs));
        data.text("minutes", cell.minutes().as_deref());
        data.text("cost", cell.cost());
        data.text("currency", self.maker.settings().currency.as_deref());
        let label = of.map(Box::from);
        let mut labels = Labels::default();
        match by {
            By::Gateway => labels.gateway = label,
            By::CalleeGateway => labels.callee_gateway = label,
            By::Account => labels.account = label,
        }
        let (start, number) = (cell.start.to_string(), number.to_string());
        let key = [start.as_str(), &cell.of, &number];
        let event = self
            .maker
            .derived(own::SUMMARY_KIND, key, instant(to), labels, data.finish());
        told.push(event);
    }

    /// Forgets what was cleared so long ago that its next report is news in any case.
    fn forget_cleared(&mut self, wall: UnixMs) {
        for _ in 0..EVENTS_PER_TICK_MAX {
            let Some((at, key, _)) = self
                .standing
                .oldest()
                .filter(|(_, _, standing)| !standing.raised)
            else {
                return;
            };
            if wall.since(at) < self.quiet_after_report.max(FUTURE_MAX) {
                return;
            }
            self.standing.remove(key);
        }
    }

    fn grow_silent(&mut self, now: Now, told: &mut Vec<Event>) {
        let Some(after) = self.settings.silent_after else {
            return;
        };
        let sundry = self.sundry();
        let Some(seen_at) = sundry.seen_at else {
            self.put_sundry(Sundry {
                seen_at: Some(now.wall.0),
                ..sundry
            });
            return;
        };
        // How long it had been silent at the start is only known by the wall clock; from then on
        // a clock that is set must not make a silence. What is pushed while the agent is down reaches
        // nobody, so that this is no silence either.
        let is_pushed = self.recent.is_some();
        let listened = Duration::from_millis(sundry.listened_ms.unwrap_or(0));
        let before = match is_pushed {
            true => (now.moment, listened),
            false => (now.moment, now.wall.since(UnixMs(seen_at))),
        };
        let (since, silent_for) = *self.quiet.get_or_insert(before);
        let silent_for = now.moment.since(since) + silent_for;
        if sundry.silent {
            return;
        }
        if silent_for < after {
            let pause = (after / 8).clamp(*LISTENED_PAUSES.start(), *LISTENED_PAUSES.end());
            if is_pushed && silent_for >= listened + pause {
                self.put_sundry(Sundry {
                    listened_ms: u64::try_from(silent_for.as_millis()).ok(),
                    ..sundry
                });
            }
            return;
        }
        told.push(self.silence(seen_at, None));
        self.put_sundry(Sundry {
            silent: true,
            ..sundry
        });
    }

    /// The event of a silence since `since`, or of its end.
    fn silence(&self, since: i64, ended: Option<UnixMs>) -> Event {
        let after = self.settings.silent_after.unwrap_or_default();
        let since = UnixMs(since);
        let state = if ended.is_some() { "cleared" } else { "raised" };
        let mut data = Object::shaped(&own::SOURCE_SILENT, 192);
        data.text("source", Some(self.maker.source()));
        data.text("state", Some(state));
        data.text("silent_since", Some(&instant(since).to_string()));
        data.whole("silent_after", i64::try_from(after.as_secs()).ok());
        data.text(
            "ended_at",
            ended.map(|at| instant(at).to_string()).as_deref(),
        );
        let since_text = since.0.to_string();
        self.maker.derived(
            own::SOURCE_SILENT_KIND,
            [state, &since_text],
            instant(ended.unwrap_or(since.after(after))),
            Labels::default(),
            data.finish(),
        )
    }

    fn beat(&mut self, wall: UnixMs, told: &mut Vec<Event>) {
        let Some(every) = self.settings.heartbeat_every else {
            return;
        };
        let sundry = self.sundry();
        let slot = summary::start_of(wall, every);
        // One of another length, before a reload, is as good as its own.
        let is_told = |beat: i64| summary::has_in(slot, every, UnixMs(beat));
        if sundry.beat.is_some_and(is_told) {
            return;
        }
        let mut data = Object::shaped(&own::HEARTBEAT, 160);
        let seen_at = sundry.seen_at.map(|at| instant(UnixMs(at)).to_string());
        data.text("source", Some(self.maker.source()));
        data.whole("every", i64::try_from(every.as_secs()).ok());
        data.text("last_row_at", seen_at.as_deref());
        data.truth("silent", sundry.silent);
        let key = slot.0.to_string();
        told.push(self.maker.derived(
            own::HEARTBEAT_KIND,
            [key.as_str()],
            instant(slot),
            Labels::default(),
            data.finish(),
        ));
        self.put_sundry(Sundry {
            beat: Some(slot.0),
            ..sundry
        });
    }

    /// The wall clock as it would be had it not been set since the machines began: a machine that starts
    /// in 1970 and hears of the year later must not make calls that are up hours old.
    fn steady(&mut self, now: Now) -> UnixMs {
        let (moment, wall) = *self.began.get_or_insert((now.moment, now.wall));
        wall.after(now.moment.since(moment))
    }

    fn sundry(&self) -> Sundry {
        self.sundry.get(table::key([])).cloned().unwrap_or_default()
    }

    fn put_sundry(&mut self, sundry: Sundry) {
        self.sundry.put(table::key([]), sundry, UnixMs(0));
    }
}

/// The longest `repeat_every` of the source and of its patterns.
fn longest_pause(settings: &Settings, format: &Format) -> Duration {
    let pairings = format.layouts.iter().filter_map(|it| it.pairing.as_ref());
    let pauses = pairings.filter_map(|pairing| pairing.repeat_every);
    pauses.max().unwrap_or_default().max(settings.repeat_every)
}

/// A wall-clock instant as it is told.
fn instant(at: UnixMs) -> Timestamp {
    if at.0 % 1_000 == 0 {
        Timestamp::from_secs(at.unix_secs())
    } else {
        Timestamp::from_millis(at.0)
    }
}

/// The start of a name, as far as it is remembered.
fn cut(name: &str) -> &str {
    let ends = (0..=NAME_BYTES_MAX.min(name.len())).rev();
    ends.into_iter()
        .find_map(|end| name.get(..end))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
