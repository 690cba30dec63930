//! Sources: every file that is remembered, and how far it has been read; of a directory of files
//! that are wholes, how many.

use super::desk::{Desk, Replies, store};
use super::protocol::{Code, Refusal, Reply};
use crate::clock::{Moment, UnixMs};
use crate::ingest::{self, InFolder, SourceStatus};
use crate::queue::SourceTotals;
use crate::source::FileStatus;
use crate::timestamp::Timestamp;
use serde_json::{Value, json};

/// Tells the files of one source, or of all: an item for each.
///
/// What is told is a second old at most; the pump is not asked and does not wait.
pub(super) fn list(desk: &Desk, source: Option<&str>, replies: &Replies) -> Result<Value, Refusal> {
    let in_force = desk.in_force();
    let mut names = in_force.config.sources.iter().map(|it| &it.files.name);
    if let Some(name) = source.filter(|name| !names.any(|own| **own == **name)) {
        let message = format!("there is no source {name:?}; `switchhook status` lists them");
        return Err(Refusal::new(Code::Usage, message));
    }
    let (now, moment) = (desk.clock.wall(), desk.clock.now());
    let mut files = 0_u64;
    for (name, pushes) in desk.pushes() {
        if source.is_none_or(|source| *source == **name)
            && !replies.send(Reply::Item(json!({
                "source": &**name,
                "pushes": pushes,
                "shown": pushes.to_string(),
            })))
        {
            return Ok(json!({ "files": files }));
        }
    }
    for standing in desk.sources.latest() {
        if source.is_some_and(|name| *name != *standing.name) {
            continue;
        }
        if let Some(folder) = &standing.folder {
            let totals = desk.queue.ledger().source(&standing.name).copied();
            let item = directory(folder, totals.unwrap_or_default(), standing.taken_at);
            if !replies.send(Reply::Item(item)) {
                return Ok(json!({ "files": files }));
            }
        }
        for file in standing.files.iter() {
            files += 1;
            if !replies.send(Reply::Item(item(&standing, file, now, moment))) {
                return Ok(json!({ "files": files }));
            }
        }
    }
    Ok(json!({ "files": files }))
}

fn item(standing: &SourceStatus, file: &FileStatus, now: UnixMs, moment: Moment) -> Value {
    let behind = file.behind_since.map(|since| now.since(since));
    let behind = behind.filter(|_| file.unread_bytes > 0);
    json!({
        "source": &*standing.name,
        "path": file.path.to_string_lossy(),
        "state": file.state.word(),
        "device": file.key.device,
        "inode": file.key.inode,
        "life": file.life,
        "offset": file.offset,
        "lines": file.lines,
        "size_bytes": file.size_bytes,
        "unread_bytes": file.unread_bytes,
        "unread_rows": file.unread_rows,
        "behind_secs": behind.map(|behind| behind.as_secs()),
        "partial_bytes": file.partial.map(|partial| partial.bytes),
        "partial_secs": file.partial.map(|partial| moment.since(partial.since).as_secs()),
        "taken_at": Timestamp::from_millis(standing.taken_at.0).to_string(),
    })
}

fn directory(it: &InFolder, totals: SourceTotals, taken_at: UnixMs) -> Value {
    let folder = &it.folder;
    let time = |ns: i64| Timestamp::from_millis(ns.div_euclid(1_000_000)).to_string();
    json!({
        "source": &*it.source,
        "path": folder.directory.to_string_lossy(),
        "state": "directory",
        "files_read": totals.counts.rows,
        "files_set_aside": totals.counts.rejected,
        "files_gone_unread": totals.counts.gaps,
        "files_remembered": folder.remembered,
        "files_unread": folder.unread,
        "files_incomplete": folder.incomplete,
        "last_file": folder.last.as_ref().map(|(path, _)| path.to_string_lossy()),
        "last_file_changed_at": folder.last.as_ref().map(|(_, ns)| time(*ns)),
        "last_set_aside": it.last_set_aside,
        "unreadable": it.unreadable,
        "trouble": folder.trouble,
        "taken_at": Timestamp::from_millis(taken_at.0).to_string(),
    })
}

/// Gives up what is kept of a source that is not configured any more.
pub(super) fn forget(desk: &Desk, name: &str) -> Result<Value, Refusal> {
    let in_force = desk.in_force();
    let mut configured = in_force.config.sources.iter();
    if configured.any(|it| *it.files.name == *name) {
        let message =
            format!("source {name} is configured; take its table out of the configuration first");
        return Err(Refusal::new(Code::Usage, message));
    }
    let forgotten = ingest::forget(&desk.queue, name).map_err(|error| store(&error))?;
    let Some(forgotten) = forgotten else {
        let message = format!("the queue knows no source {name}; `switchhook status` lists them");
        return Err(Refusal::new(Code::Usage, message));
    };
    log::warn!("source forgotten by the operator source={name} what=\"{forgotten}\"");
    let told = format!("source {name} forgotten: {forgotten} given up; its counts and events stay");
    Ok(json!({ "source": name, "told": told }))
}
