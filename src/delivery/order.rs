//! Order: which events of an endpoint may not pass which, and where those wait that may not yet.
//!
//! Events that must keep their order stand in one *line*: all of them where the order is strict,
//! those of one key otherwise. The first of a line is in one of the lane's usual places, be it
//! under way, a suspect or waiting for its retry; the others wait behind it, and the next one
//! steps forward when it is delivered or given up. A line is there while one of its events is in
//! hand, so the table is no bigger than what the lane holds.

use super::entry::Entry;
use crate::clock::{Moment, UnixMs};
use crate::event::{Event, Sequence};
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

/// In which order an endpoint is told events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Order {
    /// In none: as fast as it takes them.
    #[default]
    None,
    /// Events with the same key one after another; others at the same time. Events without the
    /// key are in no order.
    Key(OrderKey),
    /// One at a time, in the order of their sequence.
    Strict,
}

/// What two events have in common that keep their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderKey {
    /// A key of `data`.
    Data(Box<str>),
    /// The account it belongs to.
    Account,
    /// The gateway it came in by.
    Gateway,
    /// The gateway it went out by.
    CalleeGateway,
    /// Its application.
    Application,
}

/// What becomes of the events behind one that an attempt is counted against.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnRefused {
    /// They wait until it is delivered or given up.
    ///
    /// The default: who asks for order is told nothing out of it. What that can cost is bounded
    /// by the endpoint's attempts and waits, which can be set.
    #[default]
    Block,
    /// They go on; it comes later, by its own schedule.
    Park,
}

/// The line an event stands in. Two keys may share one: that costs speed and not order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Line(u64);

/// The one line of a strict order.
const STRICT: Line = Line(0);

impl OrderKey {
    /// The words for what is not in `data`, and what they mean.
    pub const LABELS: [(&'static str, OrderKey); 4] = [
        ("account", OrderKey::Account),
        ("gateway", OrderKey::Gateway),
        ("callee_gateway", OrderKey::CalleeGateway),
        ("application", OrderKey::Application),
    ];

    /// The key called `name` in the configuration.
    pub fn named(name: &str) -> OrderKey {
        let mut labels = OrderKey::LABELS.into_iter();
        let label = labels.find(|(own, _)| *own == name);
        label.map_or_else(|| OrderKey::Data(name.into()), |(_, key)| key)
    }

    /// Its name in the configuration.
    pub fn name(&self) -> &str {
        match self {
            OrderKey::Data(name) => name,
            OrderKey::Account => "account",
            OrderKey::Gateway => "gateway",
            OrderKey::CalleeGateway => "callee_gateway",
            OrderKey::Application => "application",
        }
    }

    fn line(&self, event: &Event) -> Option<Line> {
        let label = |label: &Option<Box<str>>| label.as_deref().map(hashed);
        match self {
            OrderKey::Data(name) => member(&event.data, name).map(hashed),
            OrderKey::Account => label(&event.labels.account),
            OrderKey::Gateway => label(&event.labels.gateway),
            OrderKey::CalleeGateway => label(&event.labels.callee_gateway),
            OrderKey::Application => label(&event.labels.application),
        }
    }
}

impl Order {
    /// Whether one event at a time is sent.
    pub fn is_strict(&self) -> bool {
        matches!(self, Order::Strict)
    }

    /// The line an event stands in; none when it keeps no order.
    pub fn line(&self, event: &Event) -> Option<Line> {
        match self {
            Order::None => None,
            Order::Key(key) => key.line(event),
            Order::Strict => Some(STRICT),
        }
    }
}

fn hashed(key: &str) -> Line {
    // The same in every process; 0 is not kept for the strict line, which never meets another.
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    Line(hasher.finish())
}

/// The value of a member of a JSON object as it is written; none where it is `null` or missing.
fn member<'d>(data: &'d [u8], name: &str) -> Option<&'d str> {
    let mut deserializer = serde_json::Deserializer::from_slice(data);
    let found = deserializer.deserialize_map(Find(name)).ok()??;
    (found.get() != "null").then(|| found.get())
}

struct Find<'n>(&'n str);

impl<'d> Visitor<'d> for Find<'_> {
    type Value = Option<&'d RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'d>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(Key(name)) = map.next_key()? {
            if name == self.0 {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

#[derive(serde::Deserialize)]
struct Key<'d>(#[serde(borrow)] Cow<'d, str>);

/// The lines that have an event in hand.
#[derive(Debug, Default)]
pub(super) struct Lines {
    busy: HashMap<Line, Queue>,
    /// How many wait behind others, in all lines.
    behind: usize,
    /// Of these, with their event in memory and not written down as waiting.
    unwritten: usize,
}

/// A line with its events.
#[derive(Debug)]
struct Queue {
    /// The one that is tried.
    first: Sequence,
    /// It waits in the queue too, as far as is known.
    is_first_written: bool,
    behind: BTreeMap<Sequence, Behind>,
}

/// An event that waits behind another.
#[derive(Debug)]
pub(super) enum Behind {
    /// In hand.
    Held {
        /// The event, or several of one request.
        entry: Entry,
        /// Not before this.
        due: Moment,
        /// It waits in the queue too: the cursor has gone on, and its memory can be given back.
        is_written: bool,
    },
    /// It waits in the queue only, due there at this time.
    Stored(UnixMs),
}

impl Lines {
    /// Whether any line has an event in hand.
    pub(super) fn is_busy(&self) -> bool {
        !self.busy.is_empty()
    }

    /// How many events wait behind others.
    pub(super) fn behind(&self) -> usize {
        self.behind
    }

    /// The places of those that wait behind others, each by its first event.
    pub(super) fn sequences_behind(&self) -> impl Iterator<Item = Sequence> {
        let lines = self.busy.values();
        lines.flat_map(|line| line.behind.keys().copied())
    }

    /// Those of them that are in hand.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        let behind = self.busy.values().flat_map(|line| line.behind.values());
        behind.filter_map(|behind| match behind {
            Behind::Held { entry, .. } => Some(entry),
            Behind::Stored(_) => None,
        })
    }

    /// The lines, each with its first.
    pub(super) fn firsts(&self) -> impl Iterator<Item = (Line, Sequence)> {
        self.busy.iter().map(|(line, queue)| (*line, queue.first))
    }

    /// The line whose first is the event at `sequence`. Goes through all of them.
    pub(super) fn line_of(&self, sequence: Sequence) -> Option<Line> {
        let mut lines = self.busy.iter();
        let found = lines.find(|(_, line)| line.first == sequence);
        found.map(|(line, _)| *line)
    }

    /// Puts an event at its place of its line: it comes back when it is the first one there, or
    /// stands in none.
    pub(super) fn admit(&mut self, entry: Entry, is_written: bool) -> Option<Entry> {
        let Some(line) = entry.line else {
            return Some(entry);
        };
        let sequence = entry.queued.sequence;
        if self.is_first(line, sequence) {
            self.note_written(line, is_written);
            return Some(entry);
        }
        self.insert(
            line,
            sequence,
            Behind::Held {
                entry,
                due: Moment::default(),
                is_written,
            },
        );
        None
    }

    /// The same for one that waits in the queue, due there at `due`: whether it is the first.
    pub(super) fn admit_stored(&mut self, line: Line, sequence: Sequence, due: UnixMs) -> bool {
        let is_first = self.is_first(line, sequence);
        if is_first {
            self.note_written(line, true);
        } else {
            self.insert(line, sequence, Behind::Stored(due));
        }
        is_first
    }

    /// Puts an event behind the first of its line, not to be sent before `due`.
    pub(super) fn follow(&mut self, line: Line, entry: Entry, due: Moment, is_written: bool) {
        let sequence = entry.queued.sequence;
        if self.is_first(line, sequence) {
            return;
        }
        self.insert(
            line,
            sequence,
            Behind::Held {
                entry,
                due,
                is_written,
            },
        );
    }

    /// The first of a line is delivered, given up or set aside: the one that steps forward.
    pub(super) fn release(
        &mut self,
        line: Option<Line>,
        sequence: Sequence,
    ) -> Option<(Sequence, Behind)> {
        let line = line?;
        let queue = self.busy.get_mut(&line)?;
        if queue.first != sequence {
            return None;
        }
        let Some(next) = queue.behind.pop_first() else {
            self.busy.remove(&line);
            return None;
        };
        queue.first = next.0;
        queue.is_first_written = !is_unwritten(&next.1);
        self.left(&next.1);
        Some(next)
    }

    /// Takes the next event of a line along with its first, if it is a single one in hand and
    /// `wanted`.
    pub(super) fn accompany(
        &mut self,
        line: Line,
        wanted: impl FnOnce(&Entry) -> bool,
    ) -> Option<Entry> {
        let next = self.busy.get_mut(&line)?.behind.first_entry()?;
        let is_wanted = match next.get() {
            Behind::Held { entry, .. } => entry.others.is_empty() && wanted(entry),
            Behind::Stored(_) => false,
        };
        if !is_wanted {
            return None;
        }
        let next = next.remove();
        self.left(&next);
        match next {
            Behind::Held { entry, .. } => Some(entry),
            Behind::Stored(_) => None,
        }
    }

    /// The events in front of those that [`write_down`](Lines::write_down) hands out, that are not
    /// written down as waiting either; they are from now on.
    pub(super) fn write_down_firsts(&mut self) -> Vec<Sequence> {
        if self.unwritten == 0 {
            return Vec::new();
        }
        let lines = self
            .busy
            .values_mut()
            .filter(|line| !line.is_first_written && line.behind.values().any(is_unwritten));
        lines
            .map(|line| {
                line.is_first_written = true;
                line.first
            })
            .collect()
    }

    /// The events in hand that are not written down as waiting; they are from now on.
    pub(super) fn write_down(&mut self, mut write: impl FnMut(&Entry)) {
        if self.unwritten == 0 {
            return;
        }
        for behind in self
            .busy
            .values_mut()
            .flat_map(|line| line.behind.values_mut())
        {
            if let Behind::Held {
                entry, is_written, ..
            } = behind
                && !*is_written
            {
                *is_written = true;
                write(entry);
            }
        }
        self.unwritten = 0;
    }

    /// Whether one is held in memory that waits in the queue too.
    pub(super) fn has_written(&self) -> bool {
        let mut all = self.busy.values().flat_map(|line| line.behind.values());
        all.any(|behind| {
            matches!(
                behind,
                Behind::Held {
                    is_written: true,
                    ..
                }
            )
        })
    }

    /// Leaves those that wait in the queue too to the queue: `due` is when, there. Each is handed
    /// to `left`.
    pub(super) fn let_go(
        &mut self,
        due: impl Fn(Sequence) -> Option<UnixMs>,
        mut left: impl FnMut(&Entry),
    ) {
        for line in self.busy.values_mut() {
            for (sequence, behind) in &mut line.behind {
                if let Behind::Held {
                    entry,
                    is_written: true,
                    ..
                } = behind
                    && entry.others.is_empty()
                    && let Some(due) = due(*sequence)
                {
                    left(entry);
                    *behind = Behind::Stored(due);
                }
            }
        }
    }

    fn is_first(&mut self, line: Line, sequence: Sequence) -> bool {
        let queue = self.busy.entry(line).or_insert_with(|| Queue {
            first: sequence,
            is_first_written: false,
            behind: BTreeMap::new(),
        });
        queue.first == sequence
    }

    fn note_written(&mut self, line: Line, is_written: bool) {
        if let Some(queue) = self.busy.get_mut(&line) {
            queue.is_first_written |= is_written;
        }
    }

    fn insert(&mut self, line: Line, sequence: Sequence, behind: Behind) {
        self.behind += 1;
        self.unwritten += usize::from(is_unwritten(&behind));
        let Some(queue) = self.busy.get_mut(&line) else {
            return;
        };
        if let Some(before) = queue.behind.insert(sequence, behind) {
            self.left(&before);
        }
    }

    fn left(&mut self, behind: &Behind) {
        self.behind = self.behind.saturating_sub(1);
        let unwritten = usize::from(is_unwritten(behind));
        self.unwritten = self.unwritten.saturating_sub(unwritten);
    }
}

fn is_unwritten(behind: &Behind) -> bool {
    let Behind::Held { is_written, .. } = behind else {
        return false;
    };
    !is_written
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::profile::samples::queued;

    fn line(order: &Order, data: &str) -> Option<Line> {
        order.line(&queued(1, "cdr", data).event)
    }

    #[test]
    fn a_line_is_that_of_the_key_s_value() {
        let order = Order::Key(OrderKey::named("call_id"));
        let a = line(&order, r#"{"x":{"call_id":"b"},"call_id":"a","y":1}"#);
        assert!(a.is_some());
        assert_eq!(a, line(&order, r#"{"call_id":"a"}"#));
        assert_ne!(a, line(&order, r#"{"call_id":"b"}"#));
        for none in [r#"{"call_id":null}"#, "{}", r#"{"x":{"call_id":"a"}}"#, "7"] {
            assert_eq!(line(&order, none), None, "{none}");
        }
        assert_eq!(line(&Order::None, r#"{"call_id":"a"}"#), None);
        let strict = line(&Order::Strict, "{}");
        assert!(strict.is_some() && strict == line(&Order::Strict, r#"{"call_id":"a"}"#));
    }

    #[test]
    fn a_label_s_word_means_the_label_and_any_other_a_key_of_data() {
        for (name, key) in OrderKey::LABELS {
            assert_eq!((OrderKey::named(name), key.name()), (key.clone(), name));
        }
        let key = OrderKey::named("account_id");
        assert_eq!(key, OrderKey::Data("account_id".into()));
        let mut event = queued(1, "cdr", "{}");
        let event = std::sync::Arc::get_mut(&mut event.event).unwrap();
        let order = Order::Key(OrderKey::Account);
        assert_eq!(order.line(event), None);
        event.labels.account = Some("a".into());
        assert!(order.line(event).is_some());
    }

    fn entry(sequence: u64) -> Entry {
        let mut entry = Entry::new(queued(sequence, "cdr", "{}"));
        entry.line = Some(STRICT);
        entry
    }

    #[test]
    fn one_of_a_line_is_tried_and_the_next_one_follows_in_order() {
        let mut lines = Lines::default();
        assert!(lines.admit(entry(5), false).is_some());
        assert!(lines.admit(entry(5), false).is_some(), "it is the first");
        assert!(lines.admit(entry(9), false).is_none());
        assert!(!lines.admit_stored(STRICT, Sequence(7), UnixMs(3)));
        assert_eq!((lines.behind(), lines.unwritten), (2, 1));
        assert!(lines.release(Some(STRICT), Sequence(9)).is_none());
        let next = lines.release(Some(STRICT), Sequence(5));
        assert!(matches!(
            next,
            Some((Sequence(7), Behind::Stored(UnixMs(3))))
        ));
        let next = lines.release(Some(STRICT), Sequence(7));
        assert!(matches!(next, Some((Sequence(9), Behind::Held { .. }))));
        assert!(lines.is_busy());
        assert!(lines.release(Some(STRICT), Sequence(9)).is_none());
        assert!(!lines.is_busy());
        assert_eq!((lines.behind(), lines.unwritten), (0, 0));
    }

    #[test]
    fn what_is_written_down_is_written_once_and_can_be_let_go() {
        let mut lines = Lines::default();
        lines.admit(entry(1), false);
        lines.admit(entry(2), false);
        lines.admit(entry(3), true);
        let mut written = Vec::new();
        for _ in 0..2 {
            lines.write_down(|entry| written.push(entry.queued.sequence.0));
        }
        assert_eq!(written, [2]);
        assert!(lines.has_written());
        let mut left = Vec::new();
        let due = |sequence| (sequence == Sequence(3)).then_some(UnixMs(8));
        lines.let_go(due, |entry| left.push(entry.queued.sequence.0));
        assert_eq!((left, lines.behind()), (vec![3], 2));
        assert!(lines.sequences_behind().eq([2, 3].map(Sequence)));
        assert!(lines.firsts().eq([(STRICT, Sequence(1))]));
        let held = lines.entries().map(|entry| entry.queued.sequence.0);
        assert_eq!(held.collect::<Vec<_>>(), [2]);
    }
}
