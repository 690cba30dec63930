//! Route: which events an endpoint is for.
//!
//! An event knows where it comes from: a tag its row carries, the application that handled the
//! call, its gateways, its account. An endpoint says at which of these **levels** it listens, and to
//! which names there. [`RouteTable`] puts all endpoints side by side and is the one place where it
//! is decided who gets an event: the lanes, `check` and `routes try` ask it, so they cannot differ.
//!
//! # The rule
//!
//! An endpoint *takes* an event when the event carries one of its names at its level, is of one of
//! its types, meets its `where` and falls into its sample. Of all that take it,
//! [`Mode::Override`] picks those of the most specific level, [`Mode::All`] everybody.
//!
//! So an endpoint that does not want an event never keeps it from a broader one: an account's own
//! alarm receiver leaves that account's calls to the default endpoint, and a sample of 10 % at one
//! account leaves the other 90 % there. An endpoint that is paused, or not enabled, keeps its
//! place: its events wait for it in the queue, and are not somebody else's meanwhile.

mod chooser;
pub mod standing;
mod table;

pub use chooser::{Chooser, Routes};
pub use table::{Carried, Competitor, Judgement, RouteTable, Verdict};

use crate::clock::UnixMs;
use crate::event::filter::Filter;
use crate::event::{EventId, Labels};
use standing::Standing;
use std::sync::Arc;
use std::time::Duration;

/// Most names an endpoint may list at its level: the accounts of a large switch. Each takes about
/// 100 bytes, once for all endpoints.
pub const MATCHES_MAX: usize = 10_000;

/// Longest time an endpoint may mirror another: a look at something that happens once a week. What
/// is to last is an endpoint of its own.
pub const MIRROR_MAX: Duration = Duration::from_secs(7 * 86_400);

/// Where in an event an endpoint looks for its names; the most specific first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Level {
    /// The tag that the row itself carries.
    Call,
    /// Context or service.
    Application,
    /// The gateway on either side.
    Trunk,
    /// The customer's account.
    Account,
    /// Nowhere: every event.
    #[default]
    Default,
}

impl Level {
    /// All of them with their words, the most specific first.
    pub const ALL: [(&'static str, Level); 5] = [
        ("call", Level::Call),
        ("application", Level::Application),
        ("trunk", Level::Trunk),
        ("account", Level::Account),
        ("default", Level::Default),
    ];

    /// Its word in the configuration.
    pub fn word(self) -> &'static str {
        Level::ALL.get(self as usize).map_or("", |(word, _)| word)
    }

    /// What an event carries at this level: none, one, or two for the trunks of both sides.
    pub fn names(self, labels: &Labels) -> impl Iterator<Item = &str> {
        let (one, other) = match self {
            Level::Call => (&labels.route_tag, &None),
            Level::Application => (&labels.application, &None),
            Level::Trunk => (&labels.gateway, &labels.callee_gateway),
            Level::Account => (&labels.account, &None),
            Level::Default => (&None, &None),
        };
        one.iter().chain(other).map(|name| &**name)
    }
}

/// Who gets an event that endpoints of several levels take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Those of the most specific level.
    #[default]
    Override,
    /// All of them.
    All,
}

impl Mode {
    /// Both, with their words.
    pub const ALL: [(&'static str, Mode); 2] = [("override", Mode::Override), ("all", Mode::All)];

    /// Its word in the configuration.
    pub fn word(self) -> &'static str {
        Mode::ALL.get(self as usize).map_or("", |(word, _)| word)
    }
}

/// Which events an endpoint is for, beside their types.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Route {
    /// Where it looks for its names.
    pub level: Level,
    /// The names, sorted; at most [`MATCHES_MAX`], and empty at the default level only.
    pub matches: Vec<Box<str>>,
    /// What has to hold of the event's data.
    pub filter: Filter,
    /// The share of these events it gets.
    pub sample: Option<Sample>,
    /// It gets what another endpoint gets; nothing above counts then.
    pub mirror: Option<Mirror>,
}

/// A share of all events, chosen by their ids: the same ones at every attempt, after every restart
/// and at every endpoint with this share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// In hundredths of a percent, 1 to 10,000.
    hundredths: u16,
}

impl Sample {
    /// All events.
    const WHOLE: u16 = 10_000;

    /// A share of `hundredths` hundredths of a percent, if that is 0.01 % to 100 %.
    pub fn of(hundredths: u16) -> Option<Sample> {
        (1..=Sample::WHOLE)
            .contains(&hundredths)
            .then_some(Sample { hundredths })
    }

    /// In hundredths of a percent.
    pub fn hundredths(self) -> u16 {
        self.hundredths
    }

    /// Whether the event with this id is in it. Ids are hashes, so their beginnings are spread
    /// evenly.
    pub fn has(self, id: EventId) -> bool {
        let (beginning, _) = id.0.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
        let drawn = (u128::from(u64::from_be_bytes(*beginning)) * u128::from(Sample::WHOLE)) >> 64;
        drawn < u128::from(self.hundredths)
    }
}

/// That an endpoint gets exactly what another one gets, for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// The other one.
    pub of: Arc<str>,
    /// Until when.
    pub end: MirrorEnd,
}

/// When a mirror ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MirrorEnd {
    /// At this instant.
    At(UnixMs),
    /// This long after the agent first ran with it; a restart does not begin it anew.
    After(Duration),
}

impl Mirror {
    /// The instant from which it gets nothing any more.
    pub fn ends_at(&self, standing: Standing) -> UnixMs {
        match self.end {
            MirrorEnd::At(instant) => instant,
            MirrorEnd::After(span) => standing.begun.after(span),
        }
    }
}

#[cfg(test)]
mod tests;
