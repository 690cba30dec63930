//! `switchhook store`: looks into the queue on disk, takes events out of it, and mends it, while no
//! agent runs.

use super::{Exit, screen};
use crate::config::Config;
use crate::event::Event;
use crate::queue::{
    DeadLetter, Ledger, Mended, Queue, QueueError, Queued, Size, Survey, Surveyed, Whole,
};
use clap::{Args, Subcommand};
use serde_json::json;
use serde_json::value::RawValue;
use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Events read at a time while the whole queue is read through.
const READ_EVENTS: usize = 1_024;

/// What can be done with a store.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Look at everything in the store and say what is not as it was written. Changes nothing.
    #[command(after_help = "Example: switchhook store check\n\n\
        Exit code 0: whole; 65: something is wrong, `store repair` says what it would do; 75: an agent runs.")]
    Check(StoreArguments),
    /// Print the events that can be read, one JSON object a line. Changes nothing.
    #[command(
        after_help = "Examples:\n  switchhook store export --output events.jsonl\n  \
        switchhook store export --dead-letters | head\n\n\
        What it prints holds telephone numbers in full; the file is made with mode 0600."
    )]
    Export(ExportArguments),
    /// Mend a damaged store: what an agent does when it starts, by hand. Says first what it would do.
    #[command(
        after_help = "Example: switchhook store repair, then switchhook store repair --yes\n\n\
        The next `switchhook run` reads the rows again that were lost, where their files are still there."
    )]
    Repair(RepairArguments),
}

/// Which store.
#[derive(Debug, Args)]
pub struct StoreArguments {
    /// The configuration file, which names the state directory.
    #[arg(short, long, value_name = "FILE", default_value = super::CONFIG_DEFAULT)]
    config: PathBuf,
    /// The state directory itself, whatever the configuration says.
    #[arg(long, value_name = "DIRECTORY")]
    state_dir: Option<PathBuf>,
}

/// The arguments of `store export`.
#[derive(Debug, Args)]
pub struct ExportArguments {
    #[command(flatten)]
    store: StoreArguments,
    /// The dead letters instead of the queue.
    #[arg(long)]
    dead_letters: bool,
    /// The first sequence wanted.
    #[arg(long, value_name = "SEQUENCE", default_value_t = 0)]
    from: u64,
    /// The last sequence wanted.
    #[arg(long, value_name = "SEQUENCE", default_value_t = u64::MAX)]
    to: u64,
    /// Write to this new file instead of the terminal.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// The arguments of `store repair`.
#[derive(Debug, Args)]
pub struct RepairArguments {
    #[command(flatten)]
    store: StoreArguments,
    /// Do it, instead of saying what would be done.
    #[arg(long)]
    yes: bool,
}

/// Does what `command` says.
pub fn store(command: &StoreCommand) -> Exit {
    // What the database says of damage while it is caught would only frighten.
    std::panic::set_hook(Box::new(|_| {}));
    let done = match command {
        StoreCommand::Check(arguments) => check(arguments),
        StoreCommand::Export(arguments) => export(arguments),
        StoreCommand::Repair(arguments) => repair(arguments),
    };
    done.unwrap_or_else(|exit| exit)
}

/// The state directory, and the node the configuration names, if there is one.
fn place(arguments: &StoreArguments) -> Result<(PathBuf, Option<String>), Exit> {
    if let Some(directory) = &arguments.state_dir {
        return Ok((directory.clone(), None));
    }
    match Config::load(&arguments.config) {
        Ok(config) => Ok((config.state_dir, Some(config.node.to_string()))),
        Err(problems) => {
            screen::complaint(problems);
            screen::complaint("give the state directory by --state-dir to do without it");
            Err(Exit::Configuration)
        }
    }
}

fn begin(directory: &Path) -> Result<Survey, Exit> {
    if !directory.is_dir() {
        screen::complaint(format_args!(
            "there is no store in {} yet; the agent makes it when it runs",
            directory.display()
        ));
        return Err(Exit::Store);
    }
    Survey::begin(directory).map_err(|error| refused(directory, &error))
}

/// Says why a store cannot be used.
fn refused(directory: &Path, error: &QueueError) -> Exit {
    if let QueueError::InUse { pid, .. } = error {
        let who = pid.map_or_else(
            || "an agent".into(),
            |pid| format!("the agent, process {pid},"),
        );
        screen::complaint(format_args!(
            "{who} uses {}; stop it first: systemctl stop switchhook",
            directory.display()
        ));
        return Exit::Unavailable;
    }
    screen::complaint(format_args!(
        "the store in {} cannot be used: {}",
        directory.display(),
        super::chain(error)
    ));
    Exit::Store
}

fn check(arguments: &StoreArguments) -> Result<Exit, Exit> {
    let (directory, _) = place(arguments)?;
    let survey = begin(&directory)?;
    let found = look(&directory, &survey).map_err(|error| refused(&directory, &error))?;
    found.show();
    let problems = found.problems();
    if problems == 0 {
        screen::line(screen::styled(screen::GOOD, "the store is whole"));
        return Ok(Exit::Success);
    }
    screen::line(screen::styled(
        screen::BAD,
        format_args!(
            "{problems} problems; an agent mends them when it starts, `store repair` says how"
        ),
    ));
    Ok(Exit::Data)
}

/// All that a survey finds.
struct Found {
    directory: PathBuf,
    queue: Vec<Surveyed>,
    dead: Vec<Surveyed>,
    whole: Whole,
}

fn look(directory: &Path, survey: &Survey) -> Result<Found, QueueError> {
    let (mut queue, mut dead) = (Vec::new(), Vec::new());
    let all = survey.numbers().len() + survey.dead_numbers().len();
    let mut progress = screen::Progress::new("generations", all as u64);
    for &number in survey.numbers() {
        queue.push(survey.generation(number)?);
        progress.step(1);
    }
    for &number in survey.dead_numbers() {
        dead.push(survey.dead_generation(number)?);
        progress.step(1);
    }
    Ok(Found {
        directory: directory.to_owned(),
        queue,
        dead,
        whole: survey.whole()?,
    })
}

impl Found {
    fn problems(&self) -> usize {
        let each = self.queue.iter().chain(&self.dead);
        let headless = usize::from(self.whole.ledger.is_none() && self.queue.is_empty());
        each.map(|surveyed| surveyed.problems.len()).sum::<usize>() + headless
    }

    fn show(&self) {
        screen::line(screen::styled(
            screen::HEAD,
            format_args!("# store in {}", self.directory.display()),
        ));
        let last = self.queue.len().saturating_sub(1);
        for (at, surveyed) in self.queue.iter().enumerate() {
            let what = if at == last { "head" } else { "sealed" };
            show_generation("queue", what, "events", surveyed);
        }
        if self.queue.is_empty() {
            screen::line(screen::styled(screen::BAD, "queue  no generation is there"));
        }
        for surveyed in &self.dead {
            show_generation("dead", "letters", "letters", surveyed);
        }
        match self.whole.checkpoint {
            Some(next) => screen::line(format_args!("checkpoint  next event {next}")),
            None => screen::line("checkpoint  none that can be read"),
        }
        for (path, bytes) in &self.whole.set_aside {
            screen::line(format_args!(
                "set aside  {}  {}",
                path.display(),
                Size(*bytes)
            ));
        }
        if let Some(ledger) = &self.whole.ledger {
            show_ledger(ledger);
        }
    }
}

fn show_generation(place: &str, what: &str, unit: &str, surveyed: &Surveyed) {
    let holds = surveyed.holds.as_ref().map_or_else(String::new, |holds| {
        format!("  {}..{}", holds.start, holds.end.0.saturating_sub(1))
    });
    let verdict = if surveyed.problems.is_empty() {
        screen::styled(screen::GOOD, "whole")
    } else {
        screen::styled(screen::BAD, "damaged")
    };
    screen::line(format_args!(
        "{place}/{:08}  {what}  {}  {} {unit}{holds}  {verdict}",
        surveyed.number,
        Size(surveyed.bytes),
        surveyed.events,
    ));
    for problem in &surveyed.problems {
        screen::line(screen::styled(screen::BAD, format_args!("  {problem}")));
    }
}

/// Shows the account.
pub(super) fn show_ledger(ledger: &Ledger) {
    for (name, totals) in &ledger.sources {
        let counts = totals.counts;
        screen::line(format_args!(
            "source {name}  rows={} events={} derived={} set_aside={} filtered={} repeated={} gaps={}  {}",
            counts.rows,
            totals.events,
            counts.derived,
            counts.rejected,
            counts.filtered,
            counts.repeated,
            counts.gaps,
            balance(totals.balances()),
        ));
    }
    for endpoint in &ledger.endpoints {
        screen::line(format_args!(
            "endpoint {}  added={} delivered={} skipped={} dead={} lost={} waiting={} queued={}  {}",
            endpoint.name,
            endpoint.added,
            endpoint.delivered,
            endpoint.skipped,
            endpoint.dead,
            endpoint.lost,
            endpoint.waiting,
            endpoint.queued,
            balance(endpoint.balances()),
        ));
    }
}

fn balance(balances: bool) -> String {
    if balances {
        screen::styled(screen::GOOD, "balances")
    } else {
        screen::styled(screen::BAD, "does not balance")
    }
}

fn export(arguments: &ExportArguments) -> Result<Exit, Exit> {
    let (directory, _) = place(&arguments.store)?;
    let survey = begin(&directory)?;
    let mut out = Output::open(arguments.output.as_deref())?;
    let wanted = arguments.from..=arguments.to;
    let mut problems = Vec::new();
    if arguments.dead_letters {
        for &number in survey.dead_numbers() {
            let read = survey.dead_letters(number, |endpoint, letter| {
                if let Some((_, letter)) = letter
                    && wanted.contains(&letter.queued.sequence.0)
                {
                    out.line(&letter_line(endpoint, &letter));
                }
            });
            problems.extend(read.map_err(|error| refused(&directory, &error))?);
        }
    } else {
        for &number in survey.numbers() {
            let read = survey.events(number, |queued| {
                if wanted.contains(&queued.sequence.0) {
                    out.line(&event_line(&queued));
                }
            });
            match read {
                Err(QueueError::Damaged { what, .. }) => {
                    problems.push(format!("generation {number:08}: {what}"));
                }
                read => read.map_err(|error| refused(&directory, &error))?,
            }
        }
    }
    let written = out.finish()?;
    for problem in &problems {
        screen::complaint(problem);
    }
    screen::complaint(format_args!("{written} lines"));
    Ok(if problems.is_empty() {
        Exit::Success
    } else {
        Exit::Data
    })
}

/// Where lines of JSON go.
struct Output {
    to: Box<dyn Write>,
    lines: u64,
    failed: Option<io::Error>,
}

impl Output {
    fn open(path: Option<&Path>) -> Result<Output, Exit> {
        let to: Box<dyn Write> = match path {
            None => Box::new(io::stdout().lock()),
            Some(path) => {
                let file = OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(path);
                Box::new(BufWriter::new(file.map_err(|error| {
                    screen::complaint(format_args!("cannot make {}: {error}", path.display()));
                    Exit::Usage
                })?))
            }
        };
        Ok(Output {
            to,
            lines: 0,
            failed: None,
        })
    }

    fn line(&mut self, value: &serde_json::Value) {
        if self.failed.is_some() {
            return;
        }
        match writeln!(self.to, "{value}") {
            Ok(()) => self.lines += 1,
            Err(error) => self.failed = Some(error),
        }
    }

    /// Writes what is left; how many lines were written.
    fn finish(mut self) -> Result<u64, Exit> {
        let failed = self.failed.take().or_else(|| self.to.flush().err());
        match failed {
            // Whoever read has seen enough.
            Some(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(self.lines),
            Some(error) => {
                screen::complaint(format_args!("cannot write: {error}"));
                Err(Exit::Store)
            }
            None => Ok(self.lines),
        }
    }
}

fn event_line(queued: &Queued) -> serde_json::Value {
    let Event {
        id,
        kind,
        time,
        node,
        labels,
        data,
    } = &*queued.event;
    json!({
        "sequence": queued.sequence.0,
        "id": id.to_string(),
        "type": **kind,
        "time": time.to_string(),
        "node": **node,
        "account": labels.account,
        "gateway": labels.gateway,
        "callee_gateway": labels.callee_gateway,
        "application": labels.application,
        "route_tag": labels.route_tag,
        "data": object(data),
    })
}

fn letter_line(endpoint: &str, letter: &DeadLetter) -> serde_json::Value {
    json!({
        "endpoint": endpoint,
        "at": crate::timestamp::Timestamp::from_millis(letter.at.0).to_string(),
        "attempts": letter.attempts,
        "status": letter.status,
        "reason": letter.reason,
        "answer_start": String::from_utf8_lossy(&letter.answer_start),
        "event": event_line(&letter.queued),
    })
}

/// An event's data as JSON; what is none, as its text.
fn object(data: &[u8]) -> serde_json::Value {
    let text = String::from_utf8_lossy(data);
    match serde_json::from_str::<Box<RawValue>>(&text) {
        Ok(raw) => serde_json::from_str(raw.get()).unwrap_or_else(|_| json!(text)),
        Err(_) => json!(text),
    }
}

fn repair(arguments: &RepairArguments) -> Result<Exit, Exit> {
    let (directory, node) = place(&arguments.store)?;
    let survey = begin(&directory)?;
    let found = look(&directory, &survey).map_err(|error| refused(&directory, &error))?;
    drop(survey);
    found.show();
    if found.problems() == 0 {
        screen::line(screen::styled(
            screen::GOOD,
            "the store is whole, there is nothing to mend",
        ));
        return Ok(Exit::Success);
    }
    if !arguments.yes {
        plan(&found);
        return Ok(Exit::Data);
    }
    let node = node.or(found.whole.node.clone()).unwrap_or_default();
    let mended = mend(&directory, &node).map_err(|error| refused(&directory, &error))?;
    screen::line("");
    for line in mended.iter().flat_map(Mended::lines) {
        screen::line(line);
    }
    screen::line(screen::styled(
        screen::GOOD,
        "mended; the next `switchhook run` reads the lost rows again where their files are still there",
    ));
    Ok(Exit::Success)
}

/// Says what mending would do.
fn plan(found: &Found) {
    screen::line("");
    screen::line(screen::styled(
        screen::HEAD,
        "# what `store repair --yes` would do",
    ));
    let head = found.queue.last().map(|head| head.number);
    for surveyed in found.queue.iter().filter(|one| !one.problems.is_empty()) {
        let events = surveyed.events;
        let from = match (Some(surveyed.number) == head, found.whole.checkpoint) {
            (false, _) => "",
            (true, Some(_)) => ", file positions from itself or the checkpoint",
            (true, None) => ", file positions from itself or the generation before it",
        };
        screen::line(format_args!(
            "queue/{:08}: copy {events} events into a new generation{from}; set the damaged one aside; \
             have the rows of what is lost read again",
            surveyed.number
        ));
    }
    if head.is_none() {
        screen::line(
            "queue: begin a new one, with the file positions of the checkpoint if there is one",
        );
    }
    for surveyed in found.dead.iter().filter(|one| !one.problems.is_empty()) {
        screen::line(format_args!(
            "dead/{:08}: copy {} dead letters into a new generation; set the damaged one aside",
            surveyed.number, surveyed.events
        ));
    }
    screen::line(screen::styled(
        screen::WAIT,
        "nothing was changed; copy the state directory first if you can spare the room",
    ));
}

/// Opens the store, which mends its head, and reads all of it, which mends the rest.
fn mend(directory: &Path, node: &str) -> Result<Vec<Mended>, QueueError> {
    let queue = Queue::open(directory, node)?;
    let mut from = crate::event::Sequence::FIRST;
    while let Some(last) = queue.read(from, READ_EVENTS)?.last() {
        from = last.sequence.plus(1);
    }
    let endpoints: Vec<String> = queue
        .ledger()
        .endpoints
        .iter()
        .map(|endpoint| endpoint.name.to_string())
        .collect();
    for endpoint in endpoints {
        queue.count_dead(&endpoint)?;
    }
    let mended = queue.mended()?;
    queue.close()?;
    queue.checkpoint()?;
    Ok(mended)
}
