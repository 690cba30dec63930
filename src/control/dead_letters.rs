//! Dead letters: listed, tried again, removed.

use super::desk::{Desk, Replies, store};
use super::mask::{masked, masked_text};
use super::protocol::{Code, DeadFilter, Refusal, Reply};
use super::status::time;
use crate::clock::{Moment, UnixMs};
use crate::delivery::counts::EndpointState;
use crate::event::Sequence;
use crate::queue::{DeadLetter, DeadPlace, RECALLED_MAX};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, TryLockError};
use std::time::Duration;

/// Letters read at a time: whoever settles meanwhile waits for some milliseconds.
const PAGE: usize = 64;

/// Wait for room among the letters that are being tried, or for the last of them to be settled.
const PAUSE: Duration = Duration::from_millis(200);

/// How long a replay waits for its last letters to be settled before it leaves them to the agent.
const SETTLED_WAIT: Duration = Duration::from_secs(20);

/// Letters put back in a second, at most, whatever was asked for.
const PER_SECOND_MAX: u32 = 5_000;

/// Refuses an endpoint that there is not: nothing found would look like nothing to do. One that is
/// not configured any more may still have dead letters.
fn check(desk: &Desk, filter: &DeadFilter) -> Result<(), Refusal> {
    let Some(name) = &filter.endpoint else {
        return Ok(());
    };
    match desk.queue.ledger().endpoint(name) {
        Some(_) => Ok(()),
        None => desk.check_endpoint(name),
    }
}

/// An item for each letter that `filter` means, at most `limit`.
pub(super) fn list(
    desk: &Desk,
    filter: &DeadFilter,
    payload: bool,
    limit: usize,
    replies: &Replies,
) -> Result<Value, Refusal> {
    check(desk, filter)?;
    let (mut count, mut has_more) = (0, false);
    each(desk, filter, |endpoint, _, letter, is_tried| {
        if count >= limit {
            has_more = true;
            return false;
        }
        count += 1;
        replies.send(Reply::Item(item(endpoint, letter, is_tried, payload)))
    })?;
    Ok(json!({ "count": count, "more": has_more }))
}

/// Puts the letters that `filter` means back into their endpoints' queues, and waits a while for
/// what becomes of them.
pub(super) fn replay(
    desk: &Desk,
    filter: &DeadFilter,
    per_second: u32,
    replies: &Replies,
) -> Result<Value, Refusal> {
    check(desk, filter)?;
    let _one_at_a_time = desk.take_turn()?;
    let mut total = 0;
    let mut idle: BTreeSet<Arc<str>> = BTreeSet::new();
    let running: Vec<Arc<str>> = running(desk);
    each(desk, filter, |endpoint, _, _, is_tried| {
        if !running.contains(endpoint) {
            idle.insert(Arc::clone(endpoint));
        } else if !is_tried {
            total += 1;
        }
        true
    })?;
    if let (Some(name), 0) = (idle.first(), total) {
        let message = format!(
            "endpoint {name} is not delivered to (it is not configured, or enabled = false), so its letters stay"
        );
        return Err(Refusal::new(Code::Usage, message));
    }
    let mut replay = Replay {
        desk,
        replies,
        total,
        per_second: per_second.clamp(1, PER_SECOND_MAX),
        put_back: BTreeSet::new(),
        swept_at: desk.clock.now(),
    };
    for endpoint in endpoints(desk, filter) {
        if running.contains(&endpoint) && !replay.endpoint(&endpoint, filter)? {
            break;
        }
    }
    replay.outcome(&running)
}

/// Removes the letters that `filter` means, except those that are being tried again.
pub(super) fn purge(desk: &Desk, filter: &DeadFilter, replies: &Replies) -> Result<Value, Refusal> {
    check(desk, filter)?;
    let _one_at_a_time = desk.take_turn()?;
    let mut purged = 0;
    for endpoint in endpoints(desk, filter) {
        let mut after = None;
        loop {
            let page = desk.queue.dead_page(&endpoint, after, PAGE);
            let page = page.map_err(|error| store(&error))?;
            let Some((last, _, _)) = page.last() else {
                break;
            };
            after = Some(*last);
            let now = desk.clock.wall();
            let places: Vec<DeadPlace> = page
                .iter()
                .filter(|(_, letter, _)| is_meant(filter, letter, now))
                .map(|(place, _, _)| *place)
                .collect();
            let count = desk.queue.purge(&endpoint, &places);
            purged += count.map_err(|error| store(&error))?;
            sweep(desk)?;
            if !replies.progress(purged, None, None) || desk.shutdown.is_requested() {
                break;
            }
        }
    }
    log::warn!("dead letters purged by the operator count={purged}");
    Ok(json!({ "purged": purged }))
}

/// A replay under way.
struct Replay<'d> {
    desk: &'d Desk,
    replies: &'d Replies,
    total: u64,
    per_second: u32,
    /// What has been put back: one that is given up again meanwhile is not taken twice.
    put_back: BTreeSet<(Arc<str>, u64)>,
    swept_at: Moment,
}

impl Replay<'_> {
    /// Puts back the letters of one endpoint; false when nobody listens any more.
    fn endpoint(&mut self, endpoint: &Arc<str>, filter: &DeadFilter) -> Result<bool, Refusal> {
        let mut after = None;
        loop {
            let page = self.desk.queue.dead_page(endpoint, after, PAGE);
            let page = page.map_err(|error| store(&error))?;
            let Some((last, _, _)) = page.last() else {
                return Ok(true);
            };
            after = Some(*last);
            let now = self.desk.clock.wall();
            let mut letters: Vec<(DeadPlace, DeadLetter)> = page
                .into_iter()
                .filter(|(place, letter, is_tried)| {
                    let key = (Arc::clone(endpoint), place.sequence.0);
                    !is_tried && !self.put_back.contains(&key) && is_meant(filter, letter, now)
                })
                .map(|(place, letter, _)| (place, letter))
                .collect();
            // Some each tenth of a second, so that a receiver sees an even stream.
            let step = usize::try_from(self.per_second.div_ceil(10)).unwrap_or(PAGE);
            while !letters.is_empty() {
                let rest = letters.split_off(step.min(PAGE).min(letters.len()));
                if !self.put_back(endpoint, &letters)? {
                    return Ok(false);
                }
                letters = rest;
            }
        }
    }

    /// Puts letters back as soon as there is room for them.
    fn put_back(
        &mut self,
        endpoint: &Arc<str>,
        letters: &[(DeadPlace, DeadLetter)],
    ) -> Result<bool, Refusal> {
        let desk = self.desk;
        loop {
            let waiting = desk.queue.count_recalled(endpoint);
            if waiting.map_err(|error| store(&error))? + letters.len() <= RECALLED_MAX {
                break;
            }
            if !self.pause(PAUSE, Some(&why_waiting(desk, endpoint)))? {
                return Ok(false);
            }
        }
        let recalled = desk.queue.recall(endpoint, letters, desk.clock.wall());
        let recalled = recalled.map_err(|error| store(&error))?;
        for waiting in &recalled {
            let key = (Arc::clone(endpoint), waiting.queued.sequence.0);
            self.put_back.insert(key);
        }
        let count = u32::try_from(recalled.len()).unwrap_or(u32::MAX);
        let places: Vec<(UnixMs, Sequence)> = recalled
            .iter()
            .map(|waiting| (waiting.due, waiting.queued.sequence))
            .collect();
        desk.delivery.recall(endpoint, &places);
        let span = Duration::from_secs(1) * count / self.per_second;
        self.pause(span, None)
    }

    /// Waits and tells how far it has come; false when nobody listens any more.
    fn pause(&mut self, span: Duration, waiting_for: Option<&str>) -> Result<bool, Refusal> {
        let is_stopping = self.desk.shutdown.wait(span);
        let now = self.desk.clock.now();
        if now.since(self.swept_at) >= Duration::from_secs(1) {
            self.swept_at = now;
            sweep(self.desk)?;
        }
        let done = self.put_back.len() as u64;
        Ok(!is_stopping && self.replies.progress(done, Some(self.total), waiting_for))
    }

    /// What has become of the letters, once they are settled or patience is over.
    fn outcome(mut self, running: &[Arc<str>]) -> Result<Value, Refusal> {
        let deadline = self.desk.clock.now() + SETTLED_WAIT;
        let touched: BTreeSet<Arc<str>> = self
            .put_back
            .iter()
            .map(|(name, _)| Arc::clone(name))
            .collect();
        while self.desk.clock.now() < deadline {
            let mut waiting = 0;
            for endpoint in &touched {
                let count = self.desk.queue.count_recalled(endpoint);
                waiting += count.map_err(|error| store(&error))?;
            }
            if waiting == 0 || !self.pause(PAUSE, Some("their answers"))? {
                break;
            }
        }
        sweep(self.desk)?;
        let (mut waiting, mut given_up) = (0_u64, 0_u64);
        for endpoint in running.iter().filter(|name| touched.contains(*name)) {
            let only = DeadFilter {
                endpoint: Some(endpoint.to_string()),
                ..DeadFilter::default()
            };
            each(self.desk, &only, |endpoint, place, _, is_tried| {
                let key = (Arc::clone(endpoint), place.sequence.0);
                if self.put_back.contains(&key) {
                    *(if is_tried {
                        &mut waiting
                    } else {
                        &mut given_up
                    }) += 1;
                }
                true
            })?;
        }
        let count = self.put_back.len() as u64;
        let delivered = count.saturating_sub(waiting + given_up);
        log::info!(
            "dead letters replayed by the operator count={count} delivered={delivered} given_up_again={given_up} waiting={waiting}"
        );
        Ok(json!({
            "put_back": count,
            "delivered": delivered,
            "given_up_again": given_up,
            "waiting": waiting,
        }))
    }
}

/// Visits the letters that `filter` means, until `visit` says that it is enough.
fn each(
    desk: &Desk,
    filter: &DeadFilter,
    mut visit: impl FnMut(&Arc<str>, DeadPlace, &DeadLetter, bool) -> bool,
) -> Result<(), Refusal> {
    let now = desk.clock.wall();
    for endpoint in endpoints(desk, filter) {
        let mut after = None;
        loop {
            let page = desk.queue.dead_page(&endpoint, after, PAGE);
            let page = page.map_err(|error| store(&error))?;
            let Some((last, _, _)) = page.last() else {
                break;
            };
            after = Some(*last);
            for (place, letter, is_tried) in &page {
                if is_meant(filter, letter, now) && !visit(&endpoint, *place, letter, *is_tried) {
                    return Ok(());
                }
            }
            if desk.shutdown.is_requested() {
                return Err(Refusal::new(Code::Stopping, "the agent is stopping"));
            }
        }
    }
    Ok(())
}

/// The endpoints whose letters are meant: the one named, or all that the queue knows.
fn endpoints(desk: &Desk, filter: &DeadFilter) -> Vec<Arc<str>> {
    match &filter.endpoint {
        Some(name) => vec![name.as_str().into()],
        None => desk
            .queue
            .ledger()
            .endpoints
            .into_iter()
            .map(|totals| totals.name)
            .collect(),
    }
}

/// The endpoints that are delivered to, paused or not.
fn running(desk: &Desk) -> Vec<Arc<str>> {
    let counts = desk.delivery.counts();
    counts.into_iter().map(|(name, _)| name).collect()
}

fn why_waiting(desk: &Desk, endpoint: &str) -> String {
    let counts = desk.delivery.counts();
    let found = counts.iter().find(|(name, _)| **name == *endpoint);
    match found.map(|(_, counts)| counts.state) {
        Some(EndpointState::Held) => format!("endpoint {endpoint} to be resumed"),
        Some(EndpointState::Working) | None => format!("the answers of endpoint {endpoint}"),
        Some(state) => format!("endpoint {endpoint}, which is {state}"),
    }
}

fn is_meant(filter: &DeadFilter, letter: &DeadLetter, now: UnixMs) -> bool {
    let age = now.since(letter.at).as_secs();
    let DeadFilter {
        endpoint: _,
        id,
        reason,
        older_than_secs,
        newer_than_secs,
    } = filter;
    id.as_ref()
        .is_none_or(|id| *id == letter.queued.event.id.to_string())
        && reason
            .as_ref()
            .is_none_or(|reason| letter.reason.contains(reason.as_str()))
        && older_than_secs.is_none_or(|secs| age >= secs)
        && newer_than_secs.is_none_or(|secs| age <= secs)
}

fn item(endpoint: &str, letter: &DeadLetter, is_tried: bool, payload: bool) -> Value {
    let event = &letter.queued.event;
    let answer = String::from_utf8_lossy(&letter.answer_start);
    let (data, answer) = if payload {
        let data = serde_json::from_slice(&event.data).unwrap_or_default();
        (data, answer.into_owned())
    } else {
        (masked(&event.data), masked_text(&answer))
    };
    json!({
        "endpoint": endpoint,
        "id": event.id.to_string(),
        "sequence": letter.queued.sequence.0,
        "type": &*event.kind,
        "time": event.time.to_string(),
        "given_up_at": time(letter.at),
        "attempts": letter.attempts,
        "status": letter.status,
        "reason": letter.reason,
        "answer": answer,
        "being_tried": is_tried,
        "data": data,
    })
}

fn sweep(desk: &Desk) -> Result<(), Refusal> {
    while desk.queue.sweep_dead().map_err(|error| store(&error))? {}
    Ok(())
}

impl Desk {
    /// The right to change dead letters or to tell rows again, which one client has at a time.
    pub(super) fn take_turn(&self) -> Result<std::sync::MutexGuard<'_, ()>, Refusal> {
        match self.replaying.try_lock() {
            Ok(turn) => Ok(turn),
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => {
                let message = "another replay or purge is under way; wait for its end";
                Err(Refusal::new(Code::Busy, message))
            }
        }
    }
}
