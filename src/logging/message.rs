//! Message: every kind of log line there is, with its lasting id and what to do about it.
//!
//! A line begins with constant words, its lead, and goes on with `key=value`: by the lead it is known
//! which kind it is. The ids stay when the words get better; one that is not said any more is not
//! given to another. `switchhook messages` prints this table, and docs/messages.md is made of it.

use log::Level;

/// A kind of log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// The id, for filters and for whoever searches: RFC 5424's MSGID.
    pub id: &'static str,
    /// How important it is.
    pub level: Level,
    /// The words every such line begins with.
    pub lead: &'static str,
    /// Who has to act.
    pub who: Who,
    /// What it means or what to do.
    pub what: &'static str,
}

/// Who has to act on a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Nobody: it is good to know.
    Nobody,
    /// Whoever runs the agent.
    Operator,
    /// Whoever runs the endpoint.
    Receiver,
    /// Whoever runs the switch that writes the files.
    Switch,
}

impl Who {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Operator => "operator",
            Self::Receiver => "receiver",
            Self::Switch => "switch",
        }
    }
}

/// The kind of line that `text` is, by its beginning; `None` for one that is not in the table.
pub fn of(text: &str) -> Option<&'static Message> {
    let begins = |message: &&Message| {
        let rest = text.strip_prefix(message.lead);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', ',', ':', ';']))
    };
    // "reading paused, rows cannot be made durable" is one of its own beside "reading paused".
    MESSAGES
        .iter()
        .filter(begins)
        .max_by_key(|message| message.lead.len())
}

/// What a library in the program says: warnings and errors only.
pub static LIBRARY: Message = Message {
    id: "SH902",
    level: Level::Warn,
    lead: "",
    who: Who::Operator,
    what: "A library in the program says this. On a healthy machine it does not; send it with a support bundle",
};

/// The id of the lines of single attempts, which have an allowance of their own.
pub const ATTEMPT: &str = "SH320";

macro_rules! messages {
    ($($id:ident $level:ident $who:ident $lead:literal $what:literal;)*) => {
        &[$(Message {
            id: stringify!($id),
            level: Level::$level,
            lead: $lead,
            who: Who::$who,
            what: $what,
        }),*]
    };
}

/// Every kind of line the program says, in the order of the ids.
pub static MESSAGES: &[Message] = messages! {
    // The agent.
    SH001 Info Nobody "starting" "The agent begins, with so many sources and endpoints";
    SH002 Info Nobody "started" "Reading and delivering";
    SH003 Info Nobody "stopping" "It was asked to; attempts under way get 20 s";
    SH004 Info Nobody "stopped" "In order; what is queued waits for the next start";
    SH005 Warn Operator "idle" "Nothing is configured: write a source and an endpoint, `switchhook check`, restart";
    SH006 Error Operator "cannot start" "Mend what the error names; exit code 74 is the queue's disk, 70 a bug";
    SH007 Error Operator "start waits for the disk" "Make room on the disk of state_dir, or mount it to be written; it goes on by itself";
    SH008 Error Operator "stopping, the system gives no signals or no events" "Restart; if it comes again, send a support bundle";
    SH009 Error Operator "bug" "A bug, or damage that the store found: the agent ends and is started again. Send a support bundle";
    SH010 Info Nobody "summary" "How a source or an endpoint stands, every summary_every";
    SH011 Error Operator "no progress" "A pump hangs; the service manager restarts the agent. If it comes again, send a support bundle";
    SH012 Warn Nobody "progress again" "It does not hang any more";
    SH013 Warn Operator "no control socket" "Commands do not work until the directory of control_socket can be written; the agent does";
    SH014 Warn Operator "metrics not written" "The file of [metrics] cannot be written: make its directory, or give the agent's user the right";
    SH015 Warn Operator "found by polling only" "Too few inotify watches: raise fs.inotify.max_user_watches; rows come up to `poll` later";
    SH016 Warn Operator "service manager not told of anything" "NOTIFY_SOCKET cannot be reached: systemd may take the agent for hung";
    SH017 Warn Operator "checkpoint not written" "The copy of the positions beside the queue is old; look at the disk of state_dir";
    SH018 Info Nobody "checkpoint written again" "The copy is up to date";
    SH019 Error Operator "thread of delivery panicked, stopping" "A bug: the agent stops and is started again. Send a support bundle";

    // Sources.
    SH101 Warn Operator "lines set aside" "Rows do not fit their format: `set-aside.jsonl` has them; `switchhook formats try FILE`, correct, replay the file";
    SH102 Warn Operator "file cannot be read" "Where its rights are why, put the agent's user into the file's group, then restart it";
    SH103 Info Nobody "file readable again" "Reading goes on where it was";
    SH104 Warn Switch "file truncated or rewritten, read from its start" "Rows not read before may be gone; rotate by renaming instead of copytruncate";
    SH105 Info Nobody "rows taken off the end of a file" "Somebody shortened a file; what was told stays told";
    SH106 Error Switch "rows lost before they could be read" "A file was cut or deleted too early: have the switch keep more files; ask it for those calls";
    SH107 Info Nobody "copy read on" "A rotated copy was found and read from where its original was left";
    SH108 Info Nobody "files passed over" "They are not followed, for the reason given";
    SH109 Warn Operator "too many files, the oldest are not followed" "Narrow `files`, or have old files removed";
    SH110 Warn Operator "files wait long to be read, the switch's own rotation may delete them first" "Reading is behind: see `switchhook status`; have the switch keep more files";
    SH111 Info Nobody "files no longer wait long" "Reading has caught up";
    SH112 Error Operator "source paused" "The source cannot go on for the error named";
    SH113 Info Nobody "source resumed" "It goes on";
    SH114 Warn Operator "directory cannot be listed" "Check the directory's name; let the agent's user read it and enter those above it";
    SH115 Info Nobody "directory listed again" "It can be listed";
    SH116 Warn Operator "clock set back, files may be read again" "Set the clock by NTP; receivers know repeats by their ids";
    SH117 Warn Switch "local times in the hour that summer time repeats or leaves out, the earlier reading is taken" "Times of that hour may be an hour off; have the switch write UTC";
    SH118 Warn Operator "too many alarms, accounts or calls are open, the oldest are forgotten" "More than the table holds: check `key` of the patterns, or who never clears";
    SH119 Warn Operator "files read, but after_read fails" "Let the agent's user write into the directory, and allow it in the unit";
    SH120 Warn Switch "files gone before they were read" "Somebody else removes them; let the agent do it with after_read";
    SH121 Info Nobody "listening" "The address takes pushes or datagrams";
    SH122 Error Operator "cannot listen, tried again" "Another program has the address, or it is not this machine's";
    SH123 Warn Operator "pushes not taken since the start" "Of peers that are not in `allow`, too many at once, or not understood: the counts say";
    SH124 Warn Nobody "alarm not remembered" "An old note of an alarm cannot be read; it may be told once more";
    SH125 Debug Nobody "file appeared" "A new file matches";
    SH126 Debug Nobody "file gone" "A file was removed";

    // The queue and its disk.
    SH201 Error Operator "reading paused" "The limit named is reached: make room, raise it, or mend the endpoint. The switch's files are the backlog";
    SH202 Error Operator "reading paused, rows cannot be made durable" "Look at the disk of state_dir: full, read-only or broken; it goes on by itself";
    SH203 Info Nobody "reading resumed" "Reading goes on";
    SH204 Error Operator "queue full, oldest events are dropped" "As when_full says: raise disk_max, or see why the endpoint is behind";
    SH205 Error Operator "more events dropped" "It goes on; the counts are since the last such line";
    SH206 Info Nobody "no more events are dropped" "There is room again";
    SH207 Error Operator "store mended" "The queue was damaged and was mended; the lines say what was lost and what is read again. Check the disk";
    SH208 Info Nobody "rows read again" "Rows that damage took were read from their files once more";
    SH209 Error Operator "rows lost, they cannot be read again" "Damage took them and their file is gone: ask the switch for those calls";
    SH210 Warn Operator "rows read again cannot be made durable, tried again" "Look at the disk of state_dir; it goes on by itself";
    SH211 Error Operator "settlements not written" "Deliveries may be repeated after a crash: look at the disk of state_dir";
    SH212 Info Nobody "settlements written again" "What was delivered is on disk";
    SH213 Warn Nobody "settlements not written in time, events may be repeated" "The disk was slow at the stop; receivers know repeats by their ids";
    SH214 Error Operator "queue unreadable" "It cannot be read for this endpoint: look at the disk; the next start mends it";
    SH215 Info Nobody "queue readable" "It can be read";
    SH216 Info Nobody "queue written again, opened after a failed write" "The disk takes writes again";
    SH217 Warn Nobody "next generation not begun" "Tried again with the next row; if it goes on, look at the disk";
    SH218 Warn Nobody "settled generation not removed" "Its room is not free yet; tried again";
    SH219 Warn Nobody "half-made generation removed" "A crash had left it; nothing was in it";
    SH220 Warn Operator "generation set aside, the head does not know it" "Something was put back into state_dir/queue; it is kept as *.bad-…";
    SH221 Warn Nobody "generation not closed in order" "The next start goes through it once more";
    SH222 Warn Operator "damaged generation removed, quarantine_max reached" "The oldest set-aside damage is gone; raise quarantine_max to keep more";
    SH223 Error Operator "queue not closed in order" "The next start mends it; look at the disk";
    SH224 Warn Operator "ballast released, the partition is full" "The reserve for settlements is in use: make room";
    SH225 Info Nobody "ballast restored" "The reserve is there again";
    SH226 Debug Nobody "ballast not made" "No room for the reserve yet";
    SH227 Warn Operator "dead letters removed" "Older than dead_letters_keep, or more than dead_letters_max";
    SH228 Debug Nobody "dead letters not removed" "Tried again";
    SH229 Info Nobody "burials cut short by a crash undone" "Those events are queued again";
    SH230 Error Operator "dead letters mended, those beside the saved ones are lost" "Check the disk; replay the files of that time";
    SH231 Error Operator "events put off cannot be read, they are lost" "Damage under state_dir/later took events that waited for their retries; check the disk, and replay the files of that time";
    SH232 Debug Nobody "events not put off" "Tried again";
    SH233 Warn Nobody "events put off, done with, not removed" "Its room is not free yet; the next start removes it";
    SH234 Info Nobody "files read again" "Documents or recordings whose events damage took were read once more";
    SH235 Error Operator "files lost, they cannot be read again" "Damage took what they told, and they are gone: ask the switch for those calls";
    SH236 Error Operator "events put off cannot be read, the others go on" "The disk does not give what waits for its retries under state_dir/later; an endpoint with an order tells what comes after it first: look at the disk";
    SH237 Warn Nobody "source forgotten, it has not been configured for long" "After thirty days without its table, what was kept of the source is given up; under that name it begins anew";
    SH238 Debug Nobody "sources not configured are not counted" "Tried again an hour later";

    // Endpoints.
    SH301 Warn Receiver "endpoint failing" "It does not take events: `switchhook test NAME`. Events wait, no attempts are spent, probes go on";
    SH302 Info Nobody "endpoint recovered" "What waited is being delivered";
    SH303 Warn Receiver "endpoint paused" "It asked for that by Retry-After, or answered 410 once; it goes on by itself";
    SH304 Warn Receiver "endpoint holds back, too many events wait for their own retry" "It refuses many single events: see `switchhook tail` for its answers";
    SH305 Info Nobody "endpoint takes new events again" "It does not refuse so many any more";
    SH306 Warn Receiver "events buried" "Given up after their attempts: `switchhook dead-letters list`, mend the receiver, then replay";
    SH307 Error Receiver "endpoint stopped" "It answered twice that it is gone: correct the url, then `switchhook endpoints resume NAME`";
    SH308 Warn Nobody "attempts abandoned" "Under way when it had to stop; they are made again";
    SH309 Warn Operator "endpoint without a secret, receivers cannot verify" "As signature = \"none\" says; anybody can post to such a receiver";
    SH310 Warn Operator "endpoint not configured any more, its backlog is kept" "Configure it again, or `switchhook endpoints forget NAME`";
    SH311 Warn Operator "endpoint not enabled, its backlog grows" "Enable it, or remove it and forget it";
    SH312 Info Nobody "endpoint adopted" "It has the place, backlog and dead letters of its old name";
    SH313 Warn Operator "endpoint not adopted" "It had events of its own: deliver those of the old name first, or forget them";
    SH314 Error Operator "endpoint not started, its events wait; restart the agent" "The system gave no thread: see its limits, then restart";
    SH315 Warn Operator "endpoint not detached again" "A reload was undone and the queue remembers the endpoint: `switchhook endpoints forget NAME`";
    SH316 Info Nobody "mirror" "The endpoint gets what another gets, until the time named";
    SH317 Warn Operator "mirror fell behind, events passed it by" "A mirror holds nothing up: it misses what it was too slow for";
    SH318 Warn Operator "mirror over, nothing more is sent" "Its time is up: take its table out of the configuration";
    SH319 Error Operator "routes not noted, they count as new" "Which events an endpoint had before the change is not on disk: look at the disk of state_dir";
    SH320 Info Receiver "attempt" "One attempt and what came of it: [log] attempts says which are told";
    SH321 Warn Receiver "endpoint uses a fallback" "Its own address fails, or asked for a pause: see what is wrong there. It is probed, and used again as soon as it answers";
    SH322 Info Nobody "endpoint back at its own address" "It is sent to there again";
    SH323 Warn Receiver "certificate expires soon" "In the days named no request will go there any more: have the receiver's certificate renewed";
    SH324 Warn Operator "clock skew" "This machine's clock and the receiver's differ by more than a minute: set both by NTP, signatures carry the time";
    SH325 Warn Operator "alert not queued, too many wait" "The queue cannot be written, or endpoints flap: this alert is in the log alone";
    SH326 Debug Nobody "worker not started" "The system gave no thread; those that are there do the work";
    SH327 Warn Operator "fewer attempts at once than the endpoint wants, memory_max has no room" "Each attempt takes 56 KiB of it, and all of them half of what rows and events leave: raise memory_max, or lower concurrency";
    SH328 Warn Operator "pushes of two machines come to one source" "Two switches would clear each other's alarms, and take each other's calls for repeats: give each a source of its own, by another port. A standby that took over needs nothing";
    SH329 Info Nobody "generation written over with noise, not read" "shred wipes what a rotation is about to delete; what was told stays told";

    // What operators do.
    SH401 Warn Operator "endpoint paused by the operator" "Until `switchhook endpoints resume NAME`, also after a restart";
    SH402 Info Nobody "endpoint resumed by the operator" "It is sent to again";
    SH403 Warn Nobody "endpoint forgotten by the operator" "Its backlog was given up";
    SH404 Warn Nobody "endpoint adopted by the operator" "The new name has the backlog of the old";
    SH405 Warn Nobody "dead letters purged by the operator" "They are gone for good";
    SH406 Info Nobody "dead letters replayed by the operator" "What came of them is in the line";
    SH407 Info Nobody "rows told again by the operator" "The events have their old ids";
    SH408 Info Nobody "rows counted by the operator" "A dry run: nothing was told";
    SH409 Info Nobody "configuration reloaded" "All of it is in force; the changes are in the line";
    SH410 Error Operator "configuration not reloaded, the old one stays" "Correct what is named, `switchhook check`, then reload";
    SH411 Warn Operator "control refused" "Somebody who is neither root nor the agent's user asked";
    SH412 Debug Nobody "control connection refused by the system" "Tried again";
    SH413 Warn Nobody "source forgotten by the operator" "What was kept of it is given up; its counts stay";

    // The log itself.
    SH901 Warn Operator "log lines dropped" "More than the bound, or syslog did not take them: mend syslog, or look at what repeats";
};

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    #[test]
    fn ids_are_unique_in_order_and_short_enough_for_a_header() {
        let ids: Vec<&str> = MESSAGES.iter().map(|message| message.id).collect();
        assert!(ids.windows(2).all(|two| two[0] < two[1]), "{ids:?}");
        assert!(ids.iter().all(|id| id.len() == 5 && id.starts_with("SH")));
        assert!(!ids.contains(&LIBRARY.id));
        assert_eq!(
            of("attempt endpoint=a").map(|message| message.id),
            Some(ATTEMPT)
        );
        let leads: BTreeSet<&str> = MESSAGES.iter().map(|message| message.lead).collect();
        assert_eq!(leads.len(), MESSAGES.len());
    }

    #[test]
    fn the_longest_lead_counts_and_ends_where_a_word_does() {
        let id = |text: &str| of(text).map(|message| message.id);
        assert_eq!(id("reading paused limit=\"disk_max\""), Some("SH201"));
        assert_eq!(
            id("reading paused, rows cannot be made durable error=\"x\""),
            Some("SH202")
        );
        assert_eq!(id("started"), Some("SH002"));
        assert_eq!(id("startedly"), None);
        assert_eq!(id("bug: panicked at x"), Some("SH009"));
    }

    /// The code of the program without its tests, by file.
    fn code() -> Vec<(PathBuf, String)> {
        let mut left = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
        let mut found = Vec::new();
        while let Some(directory) = left.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    left.push(path);
                } else if path.extension().is_some_and(|ending| ending == "rs") {
                    let text = fs::read_to_string(&path).unwrap();
                    let before = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or("");
                    found.push((path, before.to_string()));
                }
            }
        }
        found
    }

    /// Every call of a macro of `log`: the file, the level and the beginning of what follows it.
    fn calls() -> Vec<(PathBuf, String, String)> {
        let mut calls = Vec::new();
        for (path, text) in code() {
            let lines = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            let text = lines.collect::<Vec<_>>().join("\n");
            for piece in text.split("log::").skip(1) {
                let Some((level, rest)) = piece.split_once("!(") else {
                    continue;
                };
                if matches!(level, "error" | "warn" | "info" | "debug" | "trace") {
                    let rest = rest.trim_start().to_string();
                    calls.push((path.clone(), level.to_string(), rest));
                }
            }
        }
        calls
    }

    #[test]
    fn every_line_the_program_logs_has_an_id_and_its_level() {
        let calls = calls();
        assert!(calls.len() > 90, "{} calls", calls.len());
        for (path, level, rest) in calls {
            let path = path.display();
            let literal = rest.strip_prefix('"').unwrap_or_else(|| {
                panic!(
                    "{path}: a log line begins with constant words, this one does not: {rest:.60}"
                )
            });
            let words = literal
                .split(['{', '"', '\\', '='])
                .next()
                .unwrap_or_default();
            let message = of(words).or_else(|| of(words.trim_end())).unwrap_or_else(|| {
                panic!("{path}: {words:?} is no message; add it to src/logging/message.rs with an id of its own")
            });
            assert_eq!(
                message.level.to_string().to_lowercase(),
                level,
                "{path}: {words:?}"
            );
        }
    }

    #[test]
    fn every_message_of_the_table_is_said_somewhere() {
        let words = |rest: &str| {
            let literal = rest.strip_prefix('"').unwrap_or_default();
            let words = literal.split(['{', '"', '\\', '=']).next();
            words.unwrap_or_default().to_string()
        };
        let mut said: BTreeSet<&str> = calls()
            .iter()
            .filter_map(|(_, _, rest)| Some(of(&words(rest))?.id))
            .collect();
        // The logger's own line goes past the macros.
        said.extend(of("log lines dropped").map(|message| message.id));
        for message in MESSAGES {
            assert!(said.contains(message.id), "nobody says {:?}", message.lead);
        }
    }
}
