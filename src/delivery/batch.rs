//! Batch: several events in one request.
//!
//! The body is a JSON array of the bodies its events would have had, in order; also of one. It is
//! signed once. Its id is made of its members' ids, so that the same events sent again have the
//! same one; each has its own inside its body, and that is what a receiver knows a repeat by:
//! after a restart, or when a batch was split, an event may come in other company.

use super::endpoint::Endpoint;
use super::entry::Entry;
use super::outcome::Failure;
use super::profile::Body;
use crate::clock::Moment;
use crate::event::Event;
use crate::queue::Queued;
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::time::Duration;

/// Most events of a batch: what a lane holds, and the queue lets wait, is a few thousand, and
/// several are under way at once.
pub const EVENTS_MAX: usize = 1_000;

/// Most bytes of a batch's body: what common servers accept unless they are told otherwise (nginx
/// 1 MiB, Express 100 KiB, IIS 28 MiB).
pub const BYTES_MAX: usize = 1 << 20;

/// Longest time an event waits for company.
pub const WAIT_MAX: Duration = Duration::from_secs(60);

/// Statuses by which a receiver says that it is something in the batch that it does not take.
const SPLIT_STATUSES: [u16; 3] = [400, 413, 422];

/// How events are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// Most events: 1 to [`EVENTS_MAX`].
    pub max_events: usize,
    /// Most bytes of the body; an event that is longer goes alone.
    pub max_bytes: usize,
    /// How long the first event waits for others.
    pub max_wait: Duration,
}

impl Default for Batch {
    fn default() -> Batch {
        Batch {
            max_events: 100,
            max_bytes: BYTES_MAX,
            max_wait: Duration::from_millis(200),
        }
    }
}

/// Bytes of a body that are not its event's data, about; the exact ones are counted when it is
/// rendered.
const FRAME_BYTES: usize = 256;

fn about(event: &Event) -> usize {
    event.data.len() + FRAME_BYTES
}

impl Batch {
    /// Whether `entry` has room for one more event, by its data, and that is `other`.
    pub(super) fn takes(&self, entry: &Entry, other: &Entry) -> bool {
        let bytes: usize = entry.events().map(about).sum();
        entry.count() < self.max_events && bytes + about(&other.queued.event) <= self.max_bytes
    }
}

/// Whether the receiver refused the batch for something in it.
pub(super) fn is_split_by(failure: &Failure) -> bool {
    failure
        .status
        .is_some_and(|status| SPLIT_STATUSES.contains(&status))
}

/// The second half of the events of a request of several.
pub(super) fn second_half(entry: &mut Entry) -> Option<Entry> {
    let half = entry.count().div_ceil(2);
    gather(entry.others.split_off(half - 1))
}

/// One request of these events.
pub(super) fn gather(entries: impl IntoIterator<Item = Entry>) -> Option<Entry> {
    let mut entries = entries.into_iter();
    let mut first = entries.next()?;
    first.others.extend(entries);
    Some(first)
}

/// The media type of a batch of such bodies.
pub fn content_type(body: &Body) -> &'static str {
    match body.content_type() {
        // The name of its specification for just this.
        "application/cloudevents+json" => "application/cloudevents-batch+json",
        own => own,
    }
}

/// The id of a batch: `bat_` and the first 128 bits of a SHA-256 over the ids of its events, in
/// their order.
pub fn id<'e>(members: impl Iterator<Item = &'e Queued>) -> String {
    let mut hash = Sha256::new();
    for member in members {
        hash.update(member.event.id.0);
    }
    let mut id = "bat_".to_string();
    for byte in hash.finalize().iter().take(16) {
        let _written = write!(id, "{byte:02x}");
    }
    id
}

/// What a request is known by: the id of its batch, or of its event. Prints it.
#[derive(Debug)]
pub(super) struct RequestId<'e>(pub(super) &'e Endpoint, pub(super) &'e Entry);

impl fmt::Display for RequestId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RequestId(endpoint, entry) = self;
        match endpoint.batch {
            None => entry.queued.event.id.fmt(f),
            Some(_) => f.write_str(&id(entry.members())),
        }
    }
}

/// Appends the body of `entry` to `body`, and takes out of it what does not fit.
pub(super) fn render(
    endpoint: &Endpoint,
    batch: &Batch,
    entry: &mut Entry,
    body: &mut Vec<u8>,
) -> Option<Entry> {
    let begin = body.len();
    body.push(b'[');
    endpoint.render(&entry.queued, body);
    let mut fitting = 0;
    for other in &entry.others {
        let before = body.len();
        body.push(b',');
        endpoint.render(&other.queued, body);
        if body.len() + 1 - begin > batch.max_bytes {
            body.truncate(before);
            break;
        }
        fitting += 1;
    }
    body.push(b']');
    gather(entry.others.split_off(fitting))
}

/// Events that wait for company.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    entries: VecDeque<Entry>,
    bytes: usize,
    /// When the first of them came.
    since: Moment,
}

impl Gathering {
    /// When they have waited long enough; none when there are none.
    pub(super) fn due(&self, batch: &Batch) -> Option<Moment> {
        (!self.entries.is_empty()).then(|| self.since + batch.max_wait)
    }

    /// Whether what waits fills a request.
    pub(super) fn is_full(&self, batch: &Batch) -> bool {
        self.entries.len() >= batch.max_events || self.bytes > batch.max_bytes
    }

    /// One more event, that came at `now`.
    pub(super) fn add(&mut self, entry: Entry, now: Moment) {
        if self.entries.is_empty() {
            self.since = now;
        }
        self.bytes += about(&entry.queued.event) + 1;
        self.entries.push_back(entry);
    }

    /// The next event alone.
    pub(super) fn take_one(&mut self) -> Option<Entry> {
        let entry = self.entries.pop_front()?;
        self.bytes = self.bytes.saturating_sub(about(&entry.queued.event) + 1);
        Some(entry)
    }

    /// A request of what waits, as much as fits.
    pub(super) fn take(&mut self, batch: &Batch) -> Option<Entry> {
        let mut first = self.take_one()?;
        let mut bytes = about(&first.queued.event) + 1;
        let room = batch.max_events.saturating_sub(1).min(self.entries.len());
        first.others.reserve_exact(room);
        while first.count() < batch.max_events
            && let Some(next) = self.entries.front()
        {
            bytes += about(&next.queued.event) + 1;
            if bytes > batch.max_bytes {
                break;
            }
            first.others.extend(self.take_one());
        }
        Some(first)
    }

    /// The events that wait.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::profile::Profile;
    use crate::delivery::profile::samples::queued;
    use crate::delivery::url::Url;

    fn entry(sequence: u64, data: &str) -> Entry {
        Entry::new(queued(sequence, "cdr", data))
    }

    fn of(count: u64, data: &str) -> Entry {
        gather((1..=count).map(|n| entry(n, data))).unwrap()
    }

    fn places(entry: &Entry) -> Vec<u64> {
        let others = entry.others.iter();
        std::iter::once(entry)
            .chain(others)
            .map(|entry| entry.queued.sequence.0)
            .collect()
    }

    fn endpoint() -> Endpoint {
        Endpoint::new("a", Url::parse("https://a/").unwrap(), Profile::Vos3000)
    }

    #[test]
    fn the_body_is_an_array_of_the_bodies_also_of_one() {
        for count in [1, 3] {
            let mut entry = of(count, r#"{"call_id":"1"}"#);
            let mut body = Vec::new();
            assert!(render(&endpoint(), &Batch::default(), &mut entry, &mut body).is_none());
            let mut alone = Vec::new();
            endpoint().render(&entry.queued, &mut alone);
            let array: Vec<serde_json::Value> = serde_json::from_slice(&body).unwrap();
            assert_eq!(array.len() as u64, count);
            assert!(body[1..].starts_with(&alone));
        }
    }

    #[test]
    fn no_body_is_longer_than_asked_for_but_that_of_one_event() {
        let data = format!("{{\"x\":\"{}\"}}", "y".repeat(1_000));
        for max_bytes in [100, 2_500, 5_000, 9_000] {
            let batch = Batch {
                max_bytes,
                ..Batch::default()
            };
            let mut left = Some(of(9, &data));
            let mut sent = Vec::new();
            while let Some(mut entry) = left.take() {
                let mut body = Vec::new();
                left = render(&endpoint(), &batch, &mut entry, &mut body);
                assert!(body.len() <= max_bytes || entry.count() == 1);
                sent.extend(places(&entry));
            }
            assert_eq!(sent, (1..=9).collect::<Vec<_>>());
        }
    }

    #[test]
    fn halves_hold_the_same_events_in_order_and_the_first_is_no_smaller() {
        for count in 2..=9 {
            let mut first = of(count, "{}");
            let second = second_half(&mut first).unwrap();
            assert!(first.count() == second.count() || first.count() == second.count() + 1);
            let both = [places(&first), places(&second)].concat();
            assert_eq!(both, (1..=count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_same_events_have_the_same_id_and_others_another() {
        let id_of = |places: &[u64]| {
            let members: Vec<Queued> = places.iter().map(|n| queued(*n, "cdr", "{}")).collect();
            id(members.iter())
        };
        assert_eq!(id_of(&[1, 2]), id_of(&[1, 2]));
        assert_ne!(id_of(&[1, 2]), id_of(&[2, 1]));
        assert_ne!(id_of(&[1]), id_of(&[1, 2]));
        assert!(id_of(&[1, 2]).starts_with("bat_") && id_of(&[1, 2]).len() == 36);
    }

    #[test]
    fn what_waits_is_full_by_count_or_bytes_and_due_after_its_time() {
        let batch = Batch {
            max_events: 3,
            max_bytes: 1_000,
            max_wait: Duration::from_millis(200),
        };
        let mut gathering = Gathering::default();
        assert_eq!(gathering.due(&batch), None);
        gathering.add(entry(1, "{}"), Moment(Duration::from_secs(1)));
        gathering.add(entry(2, "{}"), Moment(Duration::from_secs(2)));
        let due = Moment(Duration::from_millis(1_200));
        assert_eq!(
            (gathering.due(&batch), gathering.is_full(&batch)),
            (Some(due), false)
        );
        gathering.add(entry(3, &"x".repeat(600)), Moment(Duration::from_secs(2)));
        assert!(gathering.is_full(&batch));
        assert_eq!(places(&gathering.take(&batch).unwrap()), [1, 2]);
        assert_eq!(places(&gathering.take(&batch).unwrap()), [3]);
        assert!(gathering.take(&batch).is_none() && gathering.bytes == 0);
    }
}
