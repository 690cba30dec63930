//! Reload: the whole configuration replaced while the agent runs, or nothing of it.
//!
//! Everything that can fail is done before anything is changed: the files are read and checked,
//! the new endpoints' certificates loaded, the new endpoints attached in the queue. Then the
//! sources are exchanged, between two passes of the reading pump, and last the endpoints: those
//! that differ are taken down (attempts under way finish), and put up again at the place in the
//! queue that their settlements have reached. What has not changed is not touched.
//!
//! **Crash argument.** Nothing of this is on disk but the attachment of new endpoints, which the
//! next start would make too.

use super::prepare::warn_of_backlogs;
use super::{STOP_GRACE, feed, live, route};
use crate::config::live::Kind;
use crate::config::{Config, EndpointConfig, SourceConfig};
use crate::control::protocol::{Code, Refusal};
use crate::control::{Desk, Reload};
use crate::delivery::endpoint::Endpoint;
use crate::delivery::fallback;
use crate::delivery::route::RouteTable;
use crate::delivery::route::standing::Standing;
use crate::delivery::transport::Transport;
use crate::ingest::{Exchange, MakeFeed};
use crate::queue::Queue;
use crate::source::Share;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::watch;

/// How long rows on their way into the queue may hold up a change of sources.
const EXCHANGE_WAIT: Duration = Duration::from_secs(15);

/// Replaces the configuration of the agent behind a desk.
#[derive(Debug)]
pub(super) struct Reloader {
    desk: Weak<Desk>,
    /// The first of the configuration's files.
    path: PathBuf,
    /// Tells the attendant what to watch and how often to say how things stand.
    attended: watch::Sender<Attended>,
}

/// What of the configuration the attendant goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attended {
    /// Where files may appear.
    pub(super) globs: Vec<String>,
    /// Time between two summaries.
    pub(super) summary_every: Duration,
}

impl Attended {
    /// What `config` says.
    pub(super) fn of(config: &Config) -> Attended {
        let sources = config.sources.iter();
        Attended {
            globs: sources.flat_map(live::globs).collect(),
            summary_every: config.summary_every,
        }
    }
}

impl Reloader {
    /// A reloader for the agent behind `desk`, whose configuration is at `path`.
    pub(super) fn new(
        desk: &Arc<Desk>,
        path: PathBuf,
        attended: watch::Sender<Attended>,
    ) -> Reloader {
        Reloader {
            desk: Arc::downgrade(desk),
            path,
            attended,
        }
    }
}

impl Reload for Reloader {
    fn reload(&self) -> Result<Vec<String>, Refusal> {
        let stopping = || Refusal::new(Code::Stopping, "the agent is stopping");
        let desk = self.desk.upgrade().ok_or_else(stopping)?;
        let new = Config::load(&self.path)
            .map_err(|problems| Refusal::new(Code::Configuration, problems.to_string()))?;
        let in_force = desk.in_force();
        let old = &in_force.config;
        refuse_fixed(old, &new)?;
        refuse_live(old, &new)?;
        let plan = Plan::between(old, &new);
        let transports = plan.transports(&desk)?;
        refuse_adoptions(&desk.queue, &new)?;
        let attached = attach(&desk.queue, &new)?;
        if let Err(refusal) = exchange(&desk, &plan, &new) {
            for name in attached {
                // What was attached a moment ago has had nothing yet.
                if let Err(error) = desk.queue.detach(&name) {
                    log::warn!("endpoint not detached again endpoint={name} error=\"{error}\"");
                }
            }
            return Err(refusal);
        }
        plan.post(&desk, transports, &new);
        if let Some(log) = desk.log.as_ref().filter(|_| old.log != new.log) {
            log.change(new.log.clone());
        }
        self.attended.send_replace(Attended::of(&new));
        let changes = plan.changes(old, &new);
        desk.put_in_force(new);
        Ok(changes)
    }
}

/// Refuses what only a restart can change: everything but what is named here.
///
/// A key that nobody thought of here would else count as in force without being so.
fn refuse_fixed(old: &Config, new: &Config) -> Result<(), Refusal> {
    let reached = Config {
        sources: new.sources.clone(),
        endpoints: new.endpoints.clone(),
        routing: new.routing,
        log: new.log.clone(),
        summary_every: new.summary_every,
        metrics_textfile: new.metrics_textfile.clone(),
        files: new.files.clone(),
        ..old.clone()
    };
    if reached == *new {
        return Ok(());
    }
    let changed = keys_apart(&reached.show(), &new.show());
    let what = match changed.as_slice() {
        [] => "a key that is not shown".to_string(),
        keys => keys.join(" and "),
    };
    let message = format!(
        "{what} cannot be changed while the agent runs; restart it, or write the old value again"
    );
    Err(Refusal::new(Code::Configuration, message))
}

/// Refuses changes of sources that are not lines of files: their sockets and folders are opened at
/// the start.
fn refuse_live(old: &Config, new: &Config) -> Result<(), Refusal> {
    let apart = |sources: &[SourceConfig], others: &[SourceConfig]| {
        let mut live = sources.iter().filter(|source| source.kind != Kind::Files);
        let changed = live.find(|source| !others.contains(source));
        changed.map(|source| source.files.name.to_string())
    };
    let changed = apart(&old.sources, &new.sources).or_else(|| apart(&new.sources, &old.sources));
    match changed {
        None => Ok(()),
        Some(name) => {
            let message = format!(
                "source {name:?} does not follow lines of files, so it cannot be added, changed or removed while the agent runs; restart it, or write the old value again"
            );
            Err(Refusal::new(Code::Configuration, message))
        }
    }
}

/// Refuses endpoints that are to take over from others: those would have to be taken down first,
/// and what was taken over could not be given back if something else stood in the way.
fn refuse_adoptions(queue: &Queue, new: &Config) -> Result<(), Refusal> {
    let ledger = queue.ledger();
    for config in &new.endpoints {
        let name = &config.endpoint.name;
        let old = config
            .adopt
            .as_ref()
            .filter(|old| ledger.endpoint(old).is_some());
        if let Some(old) = old.filter(|_| ledger.endpoint(name).is_none()) {
            let message = format!(
                "endpoint {name:?}: adopt is done at a start; restart the agent, or leave the key out, reload, and run `switchhook endpoints adopt {old} {name}`"
            );
            return Err(Refusal::new(Code::Configuration, message));
        }
    }
    Ok(())
}

/// The keys with different values in two configurations as they are shown.
fn keys_apart(one: &str, other: &str) -> Vec<String> {
    let parsed = |text: &str| text.parse::<toml::Table>().unwrap_or_default();
    let (one, other) = (parsed(one), parsed(other));
    let mut apart = Vec::new();
    let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    for key in keys {
        match (one.get(key), other.get(key)) {
            (one, other) if one == other => {}
            (Some(toml::Value::Table(one)), Some(toml::Value::Table(other))) => {
                let inner: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
                let differs = inner
                    .iter()
                    .filter(|name| one.get(**name) != other.get(**name));
                apart.extend(differs.map(|name| format!("{key}.{name}")));
            }
            _ => apart.push(key.clone()),
        }
    }
    apart
}

/// What differs between two configurations.
#[derive(Debug)]
struct Plan {
    /// Sources that end, or begin anew.
    sources_removed: Vec<Arc<str>>,
    /// Sources that begin.
    sources_added: Vec<SourceConfig>,
    /// Sources that go on as they are, with another share of the files held open where there are more
    /// or fewer of them now.
    sources_reshared: Vec<(Arc<str>, Share)>,
    /// Endpoints that are taken down.
    endpoints_removed: Vec<Arc<str>>,
    /// Endpoints that are put up.
    endpoints_added: Vec<Endpoint>,
    /// Endpoints that go on as they are, with another share of the memory where there are more or
    /// fewer of them now.
    endpoints_kept: Vec<Endpoint>,
}

impl Plan {
    fn between(old: &Config, new: &Config) -> Plan {
        let stays = |source: &&SourceConfig, others: &[SourceConfig]| {
            others.iter().any(|other| is_same_source(source, other))
        };
        let sources_removed = old
            .sources
            .iter()
            .filter(|source| !stays(source, &new.sources))
            .map(|source| Arc::clone(&source.files.name));
        let sources_added = new
            .sources
            .iter()
            .filter(|source| !stays(source, &old.sources));
        let reshared = new.sources.iter();
        let reshared = reshared.filter(|it| stays(it, &old.sources) && !old.sources.contains(it));
        let reshared =
            reshared.map(|source| (Arc::clone(&source.files.name), source.files.share()));
        let (was, is) = (posted(&old.endpoints), posted(&new.endpoints));
        let removed = was.iter().filter(|endpoint| !stays_posted(endpoint, &is));
        let (kept, added): (Vec<&Endpoint>, Vec<&Endpoint>) =
            is.iter().partition(|endpoint| stays_posted(endpoint, &was));
        Plan {
            sources_removed: sources_removed.collect(),
            sources_added: sources_added.cloned().collect(),
            sources_reshared: reshared.collect(),
            endpoints_removed: removed.map(|endpoint| Arc::clone(&endpoint.name)).collect(),
            endpoints_added: added.into_iter().cloned().collect(),
            endpoints_kept: kept.into_iter().cloned().collect(),
        }
    }

    /// The transports of the endpoints that are put up, one for each address.
    fn transports(&self, desk: &Desk) -> Result<Vec<Vec<Arc<dyn Transport>>>, Refusal> {
        let make = |endpoint: &Endpoint| {
            fallback::transports(endpoint, &desk.clock).map_err(|error| {
                let message = format!("endpoint {:?}: ca_file: {error}", endpoint.name);
                Refusal::new(Code::Configuration, message)
            })
        };
        self.endpoints_added.iter().map(make).collect()
    }

    /// Takes endpoints down and puts others up.
    ///
    /// A system without threads left can keep one from being put up: its events then wait in the
    /// queue for a restart, which is said.
    fn post(&self, desk: &Desk, transports: Vec<Vec<Arc<dyn Transport>>>, new: &Config) {
        // Together: where one has an attempt that takes long, all others would else wait for it in turn.
        desk.delivery
            .remove_all(&self.endpoints_removed, STOP_GRACE);
        desk.delivery.reroute(routes(desk, new));
        for endpoint in &self.endpoints_kept {
            desk.delivery
                .reshare(&endpoint.name, endpoint.memory.clone());
        }
        for (endpoint, transports) in self.endpoints_added.iter().zip(transports) {
            let is_held = Desk::is_paused(&desk.queue, &endpoint.name);
            if let Err(error) = desk.delivery.add(endpoint.clone(), transports, is_held) {
                log::error!(
                    "endpoint not started, its events wait; restart the agent endpoint={} error=\"{error}\"",
                    endpoint.name
                );
            }
        }
        warn_of_backlogs(&desk.queue, new);
    }

    /// What has changed, a few words each.
    fn changes(&self, old: &Config, new: &Config) -> Vec<String> {
        let mut changes = Vec::new();
        let removed: BTreeSet<&str> = self.sources_removed.iter().map(|name| &**name).collect();
        let added: BTreeSet<&str> = self
            .sources_added
            .iter()
            .map(|source| &*source.files.name)
            .collect();
        name_changes("source", &removed, &added, &mut changes);
        let removed: BTreeSet<&str> = self.endpoints_removed.iter().map(|name| &**name).collect();
        let added: BTreeSet<&str> = self
            .endpoints_added
            .iter()
            .map(|endpoint| &*endpoint.name)
            .collect();
        name_changes("endpoint", &removed, &added, &mut changes);
        for (what, is_changed) in [
            (
                "log changed",
                old.log != new.log || old.summary_every != new.summary_every,
            ),
            ("routing changed", old.routing != new.routing),
            (
                "metrics.textfile changed",
                old.metrics_textfile != new.metrics_textfile,
            ),
        ] {
            if is_changed {
                changes.push(what.to_string());
            }
        }
        changes
    }
}

/// Whether a source is to go on as it is: begun anew it would close files that are deleted and not
/// read to their end, which nobody could open again.
fn is_same_source(one: &SourceConfig, other: &SourceConfig) -> bool {
    let mut same = one.clone();
    same.files.set_share(other.files.share());
    same == *other
}

/// The new table of who gets which event.
///
/// Where the queue cannot note since when routes are what they are, every route counts as new from
/// here on: at worst an event goes to one endpoint more. The next start notes it then.
fn routes(desk: &Desk, new: &Config) -> RouteTable {
    route::table(new, &desk.queue, &*desk.clock).unwrap_or_else(|error| {
        log::error!("routes not noted, they count as new error=\"{error}\"");
        let standing = Standing {
            since: desk.queue.next_sequence(),
            begun: desk.clock.wall(),
        };
        new.route_table(|_| standing)
    })
}

fn name_changes(
    kind: &str,
    removed: &BTreeSet<&str>,
    added: &BTreeSet<&str>,
    changes: &mut Vec<String>,
) {
    let say = |verb: &str, name: &str| format!("{kind} {name} {verb}");
    changes.extend(removed.difference(added).map(|name| say("removed", name)));
    changes.extend(added.difference(removed).map(|name| say("added", name)));
    changes.extend(removed.intersection(added).map(|name| say("changed", name)));
}

/// The endpoints that are delivered to.
fn posted(endpoints: &[EndpointConfig]) -> Vec<&Endpoint> {
    let enabled = endpoints.iter().filter(|endpoint| endpoint.enabled);
    enabled.map(|endpoint| &endpoint.endpoint).collect()
}

/// Whether `endpoint` is among the `others` as it is. Its share of the memory, which is another one when
/// endpoints come or go, is no change of it: nothing has to stop for that.
fn stays_posted(endpoint: &Endpoint, others: &[&Endpoint]) -> bool {
    let other = others.iter().find(|other| other.name == endpoint.name);
    other.is_some_and(|other| {
        let mut endpoint = endpoint.clone();
        endpoint.memory = other.memory.clone();
        endpoint == **other
    })
}

/// Attaches the endpoints that the queue does not know; their names.
fn attach(queue: &Queue, new: &Config) -> Result<Vec<Arc<str>>, Refusal> {
    let ledger = queue.ledger();
    let mut attached = Vec::new();
    for config in &new.endpoints {
        let name = &config.endpoint.name;
        if ledger.endpoint(name).is_none() {
            queue.attach(name, config.from).map_err(|error| {
                Refusal::new(Code::Store, format!("the store cannot be used: {error}"))
            })?;
            attached.push(Arc::clone(name));
        }
    }
    Ok(attached)
}

/// Exchanges the sources.
fn exchange(desk: &Desk, plan: &Plan, new: &Config) -> Result<(), Refusal> {
    let are_same = plan.sources_removed.is_empty() && plan.sources_added.is_empty();
    if are_same && plan.sources_reshared.is_empty() {
        return Ok(());
    }
    let make = |source: &SourceConfig| -> MakeFeed {
        let (source, node) = (source.clone(), Arc::clone(&new.node));
        let (queue, reserve_for) = (desk.queue.clone(), new.queue.reserve_for.clone());
        Box::new(move || feed(source, &node, &queue, &reserve_for))
    };
    let exchange = Exchange {
        removed: plan.sources_removed.clone(),
        added: plan.sources_added.iter().map(make).collect(),
        reshared: plan.sources_reshared.clone(),
    };
    let exchanged = desk.mailbox.exchange(exchange, EXCHANGE_WAIT);
    exchanged.map_err(|why| Refusal::new(Code::Store, why))
}
