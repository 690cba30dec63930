//! A source as the pump goes through it: when it is looked at, what waits in it, what was said of it.

use super::continued::Continued;
use super::feed::Feed;
use super::forget::{self, is_known};
use super::group::Group;
use super::looks::Looks;
use super::mailbox::SourceStanding;
use super::report::Report;
use crate::clock::{Clock, Moment, UnixMs};
use crate::derive::Now;
use crate::queue::Queue;
use crate::source::{Chunk, FileKey, FileStatus};
use std::sync::Arc;

/// A feed, when it is looked at next, and what was said of it.
#[derive(Debug)]
pub(super) struct Following {
    pub(super) feed: Feed,
    pub(super) look_at: Moment,
    pub(super) looks: Looks,
    /// What is shown of its files, until something may be different.
    pub(super) shown: Option<Arc<[FileStatus]>>,
    /// The queue has heard of the source.
    pub(super) seen: bool,
    /// Every complete row there is has been read.
    pub(super) caught_up: bool,
    /// Records that are whole as they stand and wait for lines that may continue them.
    pub(super) continued: Continued,
    pub(super) report: Report,
}

impl Following {
    pub(super) fn new(feed: Feed, queue: &Queue, now: Moment) -> Following {
        Following {
            look_at: now,
            looks: Looks::none(now),
            shown: None,
            // Taken for known when that cannot be read: nothing is passed over then.
            seen: is_known(queue, &feed.name).unwrap_or(true),
            caught_up: false,
            continued: Continued::default(),
            report: Report::new(&feed.name),
            feed,
        }
    }

    /// Every remembered file. Taken anew only when something may be different: a year of hourly
    /// files costs some milliseconds.
    pub(super) fn statuses(&mut self, now: Moment) -> Arc<[FileStatus]> {
        let source = &mut self.feed.source;
        let shown = self
            .shown
            .get_or_insert_with(|| source.statuses(now).into());
        Arc::clone(shown)
    }

    pub(super) fn standing(&mut self, now: Moment) -> SourceStanding {
        let lag = self.feed.source.lag(now);
        SourceStanding {
            name: Arc::clone(&self.feed.name),
            files: lag.files,
            unread_bytes: lag.unread_bytes,
            partial_for: lag.partial_since.map(|since| now.since(since)),
            trouble: self.report.trouble_now().map(str::to_string),
            unreadable: self.report.unreadable_now(),
        }
    }

    /// Looks at the files, or where that would cost too much too often, at those that are open.
    pub(super) fn look_as_due(&mut self, clock: &dyn Clock, is_watched: bool, group: &mut Group) {
        let (now, wall) = (clock.now(), clock.wall());
        self.look_at = now + self.feed.poll;
        let has_grown = self.feed.source.glance(wall);
        if self
            .looks
            .are_due(now, is_watched, !has_grown && self.feed.source.is_settled())
        {
            self.look(wall, group);
            self.looks.looked(now, clock.now());
            if self.feed.source.is_in_doubt() {
                self.look_at = self.look_at.min(self.looks.call());
            }
        }
    }

    pub(super) fn look(&mut self, wall: UnixMs, group: &mut Group) {
        self.shown = None;
        match self.feed.source.look(wall) {
            Ok(looked) => {
                self.report.no_trouble();
                self.report.waiting(self.feed.source.waiting_long());
                if !self.seen && self.feed.source.is_placed() {
                    // Even with no file there: files that appear from now on are new ones.
                    self.seen = true;
                    group.batch(&self.feed.name);
                    group.state.push(forget::known(&self.feed.name));
                }
                group.note(&self.feed, looked, wall, &mut self.report);
            }
            Err(error) => self.report.trouble(&error),
        }
    }
}

impl Following {
    /// Takes in that of `chunk` only the first `at` bytes were understood: where a record waits for
    /// lines that may continue it, it does so for a while only.
    pub(super) fn note_waiting(&mut self, chunk: &Chunk, at: usize, now: Moment) {
        if !self.feed.parser.format().may_continue() {
            return;
        }
        let waits = at < chunk.bytes.len();
        self.continued.note(chunk.file, waits, at > 0, now);
    }

    /// Whether records of files that made way for a newer one have waited for more until lines of
    /// `newer` came: they are handed out now, and those lines again behind them.
    pub(super) fn goes_back_before(&mut self, newer: FileKey) -> bool {
        let source = &mut self.feed.source;
        let ended = self
            .continued
            .end_before(newer, |file| source.has_made_way(file));
        if ended.is_empty() {
            return false;
        }
        source.consumed(newer, 0, 0);
        for file in ended.into_iter().chain([newer]) {
            source.hand_out_again(file);
        }
        true
    }

    /// Has records that have waited enough handed out again.
    pub(super) fn wait_no_longer(&mut self, now: Now) {
        let source = &mut self.feed.source;
        self.continued
            .end(now.moment, |file| source.hand_out_again(file));
    }
}
