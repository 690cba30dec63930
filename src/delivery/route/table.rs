//! RouteTable: all endpoints side by side, and who of them gets an event.

use super::standing::Standing;
use super::{Level, Mode, Route};
use crate::clock::UnixMs;
use crate::delivery::endpoint::{Endpoint, EventFilter};
use crate::event::{Event, Sequence};
use crate::queue::Queued;
use std::collections::HashMap;
use std::sync::Arc;

/// Levels at which names are looked up: all but the default.
const NAMED: usize = Level::Default as usize;

/// All endpoints side by side. Immutable: a new configuration makes a new one.
#[derive(Debug, Default)]
pub struct RouteTable {
    mode: Mode,
    rules: Vec<Rule>,
    seats: HashMap<Arc<str>, usize>,
    /// For each level but the default, who listens to a name there.
    listeners: [HashMap<Box<str>, Vec<usize>>; NAMED],
    defaults: Vec<usize>,
    /// Whose lane counts the events nobody gets.
    teller: Option<usize>,
}

/// An endpoint as the table knows it.
#[derive(Debug)]
struct Rule {
    name: Arc<str>,
    events: EventFilter,
    route: Route,
    since: Sequence,
    is_enabled: bool,
    /// Of a mirror: where the other one sits, and when it ends.
    mirrors: Option<(usize, UnixMs)>,
}

/// An endpoint that is to have a place in a table.
#[derive(Debug, Clone, Copy)]
pub struct Competitor<'e> {
    /// Its settings.
    pub endpoint: &'e Endpoint,
    /// Whether it is delivered to.
    pub is_enabled: bool,
    /// Since when its route is what it is.
    pub standing: Standing,
}

/// Whether an endpoint gets an event, and why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It gets it.
    Gets,
    /// The event's type is not among its `events`.
    Kind,
    /// The event carries nothing at its level.
    Unnamed,
    /// What the event carries at its level is not among its `matches`.
    OtherName,
    /// The event is outside its sample.
    Sample,
    /// Its `where` does not hold.
    Where,
    /// Endpoints of this more specific level take the event.
    Overridden(Level),
    /// It mirrors another one and its time is over.
    MirrorOver,
}

/// What was decided about an event for one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judgement<'t> {
    /// The endpoint.
    pub endpoint: &'t str,
    /// Its level; of a mirror that of the other one.
    pub level: Level,
    /// The endpoint it mirrors.
    pub mirrors: Option<&'t str>,
    /// Whether it is delivered to. One that is not gets its events when it is again.
    pub is_enabled: bool,
    /// Whether it gets the event.
    pub verdict: Verdict,
}

/// What events of a source can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Carried([bool; NAMED]);

impl Carried {
    /// Anything.
    pub const ANYTHING: Carried = Carried([true; NAMED]);

    /// Notes that `level` may be filled.
    pub fn add(&mut self, level: Level) {
        if let Some(carried) = self.0.get_mut(level as usize) {
            *carried = true;
        }
    }

    /// Whether an endpoint at `level` can be meant; one at the default level always is.
    pub fn has(self, level: Level) -> bool {
        self.0.get(level as usize).copied().unwrap_or(true)
    }
}

impl RouteTable {
    /// The table of `endpoints`, whose names are unique. A mirror of one that is not among them
    /// gets nothing.
    pub fn new<'e>(mode: Mode, endpoints: impl IntoIterator<Item = Competitor<'e>>) -> RouteTable {
        let mut table = RouteTable {
            mode,
            ..RouteTable::default()
        };
        let competitors: Vec<Competitor<'_>> = endpoints.into_iter().collect();
        for (seat, competitor) in competitors.iter().enumerate() {
            let name = Arc::clone(&competitor.endpoint.name);
            table.seats.insert(name, seat);
        }
        for (seat, competitor) in competitors.iter().enumerate() {
            table.seat(seat, competitor);
        }
        let tells = |rule: &Rule| rule.is_enabled && rule.route.mirror.is_none();
        table.teller = table.rules.iter().position(tells);
        table
    }

    fn seat(&mut self, seat: usize, competitor: &Competitor<'_>) {
        let Competitor {
            endpoint,
            is_enabled,
            standing,
        } = *competitor;
        let route = &endpoint.route;
        let mirrors = route.mirror.as_ref().map(|mirror| {
            // A seat that is not there takes nothing.
            let other = self.seats.get(&mirror.of).copied().unwrap_or(usize::MAX);
            (other, mirror.ends_at(standing))
        });
        if mirrors.is_none() {
            match self.listeners.get_mut(route.level as usize) {
                None => self.defaults.push(seat),
                Some(listeners) => {
                    for name in &route.matches {
                        listeners.entry(name.clone()).or_default().push(seat);
                    }
                }
            }
        }
        self.rules.push(Rule {
            name: Arc::clone(&endpoint.name),
            events: endpoint.events.clone(),
            route: route.clone(),
            since: standing.since,
            is_enabled,
            mirrors,
        });
    }

    /// Where an endpoint sits.
    pub fn seat_of(&self, endpoint: &str) -> Option<usize> {
        self.seats.get(endpoint).copied()
    }

    /// Who gets an event that several levels take.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Of the mirror at `seat`, the name of the other endpoint, and when it ends.
    pub fn mirror(&self, seat: usize) -> Option<(&Arc<str>, UnixMs)> {
        let (other, ends_at) = self.rules.get(seat)?.mirrors?;
        Some((&self.rules.get(other)?.name, ends_at))
    }

    /// Whether the endpoint at `seat` counts the events nobody gets.
    pub fn is_teller(&self, seat: usize) -> bool {
        self.teller == Some(seat)
    }

    /// Whether the endpoint at `seat` gets an event, as things stand at `wall`.
    ///
    /// Nothing is allocated where nobody concerned has a `where`; the cost is a look-up for each
    /// name the event carries.
    pub fn judge(&self, seat: usize, queued: &Queued, wall: UnixMs) -> Verdict {
        let Some(mut rule) = self.rules.get(seat) else {
            return Verdict::Unnamed;
        };
        if let Some((other, ends_at)) = rule.mirrors {
            if ends_at <= wall {
                return Verdict::MirrorOver;
            }
            match self.rules.get(other) {
                Some(other) => rule = other,
                None => return Verdict::Unnamed,
            }
        }
        let verdict = rule.takes(&queued.event);
        if verdict != Verdict::Gets || self.mode == Mode::All {
            return verdict;
        }
        match self.taken_above(rule.route.level, queued.sequence, &queued.event) {
            Some(level) => Verdict::Overridden(level),
            None => Verdict::Gets,
        }
    }

    /// Whether any endpoint that is no mirror takes an event.
    pub fn is_taken(&self, event: &Event) -> bool {
        let takes = |seat: &usize| self.takes(*seat, event);
        let any_time = Sequence(u64::MAX);
        self.defaults.iter().any(takes)
            || self.taken_above(Level::Default, any_time, event).is_some()
    }

    /// What is decided about an event for every endpoint, in their order.
    pub fn explain<'t>(&'t self, queued: &Queued, wall: UnixMs) -> Vec<Judgement<'t>> {
        let judged = self.rules.iter().enumerate().map(|(seat, rule)| {
            let other = rule.mirrors.and_then(|(other, _)| self.rules.get(other));
            Judgement {
                endpoint: &rule.name,
                level: other.unwrap_or(rule).route.level,
                mirrors: other.map(|other| &*other.name),
                is_enabled: rule.is_enabled,
                verdict: self.judge(seat, queued, wall),
            }
        });
        judged.collect()
    }

    /// Whether some endpoint may get events of `kind` from a source whose events can carry
    /// `carried`.
    pub fn may_take(&self, kind: &str, carried: Carried) -> bool {
        let lasting = self.rules.iter().filter(|rule| rule.mirrors.is_none());
        let mut wanting = lasting.filter(|rule| rule.events.wants(kind));
        wanting.any(|rule| carried.has(rule.route.level))
    }

    /// Whether every event of `kind` goes to some endpoint, whatever it carries and says.
    pub fn takes_all(&self, kind: &str) -> bool {
        let mut defaults = self
            .defaults
            .iter()
            .filter_map(|seat| self.rules.get(*seat));
        defaults.any(|rule| {
            let is_whole = rule.route.sample.is_none() && rule.route.filter.written().is_empty();
            rule.events.wants(kind) && is_whole
        })
    }

    /// The most specific level above `level` of which an endpoint takes the event.
    fn taken_above(&self, level: Level, sequence: Sequence, event: &Event) -> Option<Level> {
        let above = self.listeners.iter().zip(Level::ALL);
        let mut above = above.take_while(|(_, (_, above))| *above < level);
        let taken = above.find(|(listeners, (_, above))| {
            // Most tables have most levels empty, and need no hash there.
            !listeners.is_empty()
                && above.names(&event.labels).any(|name| {
                    let listening = listeners.get(name).into_iter().flatten();
                    listening
                        .copied()
                        .any(|seat| self.counts_for(seat, sequence, event))
                })
        });
        taken.map(|(_, (_, level))| level)
    }

    /// Whether the endpoint at `seat`, whose name the event carries, takes it from broader ones:
    /// not what came before its route was what it is, for its own lane may have passed that by.
    fn counts_for(&self, seat: usize, sequence: Sequence, event: &Event) -> bool {
        let rule = self.rules.get(seat);
        rule.is_some_and(|rule| rule.since <= sequence && rule.wants(event) == Verdict::Gets)
    }

    fn takes(&self, seat: usize, event: &Event) -> bool {
        let rule = self.rules.get(seat);
        rule.is_some_and(|rule| rule.takes(event) == Verdict::Gets)
    }
}

impl Rule {
    /// Whether the endpoint would take the event, were it alone.
    fn takes(&self, event: &Event) -> Verdict {
        let Route { level, matches, .. } = &self.route;
        if *level != Level::Default {
            let mut names = level.names(&event.labels).peekable();
            if names.peek().is_none() {
                return Verdict::Unnamed;
            }
            let is_mine = |name: &str| {
                matches
                    .binary_search_by(|known| (**known).cmp(name))
                    .is_ok()
            };
            if !names.any(is_mine) {
                return Verdict::OtherName;
            }
        }
        self.wants(event)
    }

    /// The same for an event that is known to carry one of its names. What costs most comes last.
    fn wants(&self, event: &Event) -> Verdict {
        if !self.events.wants(&event.kind) {
            return Verdict::Kind;
        }
        if self
            .route
            .sample
            .is_some_and(|sample| !sample.has(event.id))
        {
            return Verdict::Sample;
        }
        if !self.route.filter.wants(&event.data) {
            return Verdict::Where;
        }
        Verdict::Gets
    }
}
