//! Standing: since when an endpoint's route is what it is. Durable, beside the queue.
//!
//! A lane passes by what is not its endpoint's, and that is settled. If a new or changed route
//! took events away from broader endpoints that came *before* it, nobody would get those: its own
//! lane has passed them, and the broader ones would pass them now. So a route takes events from
//! others only from the place in the sequence on where it became what it is; what waited before
//! goes where it would have gone, at worst to both.
//!
//! **Crash argument.** A record is written before the table that rests on it is in force. Without
//! it, or with that of another route, the route counts as new: its events may go to one endpoint
//! more, never to one less.

use super::{MirrorEnd, Route};
use crate::clock::UnixMs;
use crate::delivery::endpoint::{Endpoint, EventFilter};
use crate::event::Sequence;
use crate::queue::{Queue, QueueError, StateChange};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// Under this name and the endpoint's the queue remembers it.
const STATE: &str = "route/";

/// Since when an endpoint's route is what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// It takes events from broader endpoints from here on.
    pub since: Sequence,
    /// When the agent first ran with it.
    pub begun: UnixMs,
}

/// Since ever: what is looked at without an agent.
impl Default for Standing {
    fn default() -> Standing {
        Standing {
            since: Sequence(0),
            begun: UnixMs::default(),
        }
    }
}

/// The standings of `endpoints`, in their order, as of `wall`; those of new and changed routes
/// begin now. All of them are durable when `Ok`.
///
/// To be called when the endpoints are attached, and while no lane of a changed one runs.
///
/// # Errors
///
/// When the queue cannot be read or written; nothing is in force then.
pub fn note<'e>(
    queue: &Queue,
    endpoints: impl IntoIterator<Item = &'e Endpoint>,
    wall: UnixMs,
) -> Result<Vec<Standing>, QueueError> {
    let ledger = queue.ledger();
    let mut standings = Vec::new();
    let mut changes = Vec::new();
    let mut noted = BTreeSet::new();
    for endpoint in endpoints {
        let name = format!("{STATE}{}", endpoint.name);
        noted.insert(name.clone());
        let mark = mark(&endpoint.events, &endpoint.route);
        let known = queue.state_get(&name)?;
        let known = known.and_then(|bytes| read(&bytes, mark));
        let mut standing = known.unwrap_or(Standing {
            since: ledger.next,
            begun: wall,
        });
        if known.is_none() {
            changes.push(StateChange {
                name,
                value: Some(written(mark, standing)),
            });
        }
        // One that was forgotten and attached anew had nothing before that.
        if let Some(totals) = ledger.endpoint(&endpoint.name) {
            standing.since = standing.since.max(totals.since);
        }
        standings.push(standing);
    }
    // One that is taken out and comes back, a mirror for one, begins anew.
    for (name, _) in queue.states(STATE)? {
        if !noted.contains(&name) {
            changes.push(StateChange { name, value: None });
        }
    }
    if !changes.is_empty() {
        queue.commit_with(&[], &changes)?;
    }
    Ok(standings)
}

/// What tells one route from another.
fn mark(events: &EventFilter, route: &Route) -> [u8; 8] {
    let mut hash = Sha256::new();
    let mut add = |part: &str| {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    };
    match events {
        EventFilter::All => add("*"),
        EventFilter::Kinds(kinds) => {
            add(&kinds.len().to_string());
            kinds.iter().for_each(|kind| add(kind));
        }
    }
    add(route.level.word());
    add(&route.matches.len().to_string());
    route.matches.iter().for_each(|name| add(name));
    add(route.filter.written());
    let sample = route.sample.map_or(0, |sample| sample.hundredths());
    add(&sample.to_string());
    if let Some(mirror) = &route.mirror {
        add(&mirror.of);
        add(&match mirror.end {
            MirrorEnd::At(instant) => format!("at {}", instant.0),
            MirrorEnd::After(span) => format!("after {}", span.as_millis()),
        });
    }
    let hash: [u8; 32] = hash.finalize().into();
    let (mark, _) = hash.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
    *mark
}

fn written(mark: [u8; 8], standing: Standing) -> Vec<u8> {
    let since = standing.since.0.to_be_bytes();
    [mark, since, standing.begun.0.to_be_bytes()].concat()
}

/// A record, if it is whole and of the route with this mark.
fn read(bytes: &[u8], mark: [u8; 8]) -> Option<Standing> {
    let (known, rest) = bytes.split_first_chunk::<8>()?;
    let (since, rest) = rest.split_first_chunk::<8>()?;
    let begun = rest.first_chunk::<8>()?;
    (*known == mark).then(|| Standing {
        since: Sequence(u64::from_be_bytes(*since)),
        begun: UnixMs(i64::from_be_bytes(*begun)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::profile::Profile;
    use crate::delivery::route::{Level, Mirror};
    use crate::delivery::url::Url;
    use crate::queue::AttachFrom;
    use std::time::Duration;

    fn endpoint(name: &str) -> Endpoint {
        let url = Url::parse("https://a.example/").unwrap();
        Endpoint::new(name, url, Profile::Standard)
    }

    #[test]
    fn a_route_keeps_its_beginning_until_it_is_another_one() {
        let dir = tempfile::tempdir().unwrap();
        let queue = Queue::open(dir.path(), "vos-1").unwrap();
        let mut acme = endpoint("acme");
        acme.route.level = Level::Account;
        acme.route.matches = vec!["ACME".into()];
        queue.attach("acme", AttachFrom::Now).unwrap();
        let at = |wall| note(&queue, [&acme], UnixMs(wall)).unwrap()[0];
        let first = Standing {
            since: Sequence::FIRST,
            begun: UnixMs(1_000),
        };
        assert_eq!([at(1_000), at(2_000)], [first, first]);
        queue.close().unwrap();
        drop(queue);
        let queue = Queue::open(dir.path(), "vos-1").unwrap();
        // A timeout is no route.
        acme.timeout = Duration::from_secs(1);
        assert_eq!(note(&queue, [&acme], UnixMs(3_000)).unwrap(), [first]);
        acme.route.matches.push("B".into());
        let second = note(&queue, [&acme], UnixMs(4_000)).unwrap()[0];
        assert_eq!(second.begun, UnixMs(4_000));
        // Out of the configuration, and back again.
        assert_eq!(note(&queue, [], UnixMs(5_000)).unwrap(), []);
        let third = note(&queue, [&acme], UnixMs(6_000)).unwrap()[0];
        assert_eq!(third.begun, UnixMs(6_000));
    }

    #[test]
    fn what_is_attached_anew_begins_where_it_was_attached() {
        let dir = tempfile::tempdir().unwrap();
        let queue = Queue::open(dir.path(), "vos-1").unwrap();
        let name = format!("{STATE}acme");
        let acme = endpoint("acme");
        let old = Standing {
            since: Sequence(0),
            begun: UnixMs(7),
        };
        let mark = mark(&acme.events, &acme.route);
        let change = StateChange {
            name,
            value: Some(written(mark, old)),
        };
        queue.commit_with(&[], &[change]).unwrap();
        queue.attach("acme", AttachFrom::Now).unwrap();
        let standing = note(&queue, [&acme], UnixMs(8)).unwrap()[0];
        assert_eq!((standing.since, standing.begun), (Sequence(1), UnixMs(7)));
    }

    #[test]
    fn every_part_of_a_route_tells_it_from_others() {
        let plain = endpoint("a");
        let mut others = vec![plain.clone(); 4];
        others[0].events = EventFilter::Kinds(vec!["cdr".into()]);
        others[1].route.sample = crate::delivery::route::Sample::of(1);
        others[2].route.level = Level::Call;
        others[3].route.mirror = Some(Mirror {
            of: "b".into(),
            end: MirrorEnd::At(UnixMs(1)),
        });
        for other in &others {
            assert_ne!(
                mark(&plain.events, &plain.route),
                mark(&other.events, &other.route)
            );
        }
        assert_eq!(read(&[0; 23], [0; 8]), None);
    }
}
