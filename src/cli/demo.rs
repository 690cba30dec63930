//! `switchhook demo`: shows the whole path, and whether the account balances.

use super::{Exit, screen};
use crate::clock::SystemClock;
use crate::demo::{self, Balance, Scene};
use crate::logging::{self, Destination, mask_number};
use crate::receiver::{Arrival, Entered};
use clap::Args;
use log::LevelFilter;
use serde_json::Value;
use std::sync::Arc;

/// The arguments of `demo`.
#[derive(Debug, Args)]
#[command(
    after_help = "Needs nothing: no configuration, no network, no privileges. Removes what it made."
)]
pub struct DemoArguments {
    /// Hide the agent's own log lines.
    #[arg(long)]
    no_log: bool,
}

/// Plays the demo; the exit code says whether the account balances.
pub fn demo(arguments: &DemoArguments) -> Exit {
    let level = if arguments.no_log {
        LevelFilter::Off
    } else {
        LevelFilter::Info
    };
    let log = logging::Settings {
        to: Destination::Stderr,
        level,
        attempts: logging::Attempts::default(),
    };
    if logging::start(log, Arc::new(SystemClock::new())).is_err() {
        screen::complaint("this process has a log already");
        return Exit::Bug;
    }
    match demo::play(&mut show) {
        Ok(balance) => report(&balance),
        Err(error) => {
            screen::complaint(error);
            Exit::Bug
        }
    }
}

fn show(scene: Scene<'_>) {
    match scene {
        Scene::Set { directory, config } => {
            heading("A small switch, the real agent, and a receiver with TLS on this machine");
            screen::line(format_args!(
                "everything lives in {} and is removed at the end",
                directory.display()
            ));
            heading("The agent's configuration");
            screen::line(screen::styled(screen::DIM, config.trim_end()));
            heading("Calls end on the switch; each arrives as a signed callback");
        }
        Scene::NewFile(path) => {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            screen::line(format_args!(
                "  the switch begins {}",
                screen::styled(screen::HEAD, name)
            ));
        }
        Scene::Arrived(arrival) => screen::line(arrived(arrival)),
        Scene::ReceiverDown => heading("The receiver goes down; calls go on"),
        Scene::Waiting { written, queued } => {
            screen::line(screen::styled(
                screen::WAIT,
                format_args!(
                    "  {written} calls written, {queued} wait in the queue, no attempts are spent"
                ),
            ));
        }
        Scene::ReceiverUp => heading("The receiver is back; what waited is delivered"),
        Scene::LastCall => heading("The switch stops; the last callbacks arrive"),
    }
}

fn heading(text: &str) {
    screen::line("");
    screen::line(screen::styled(screen::HEAD, text));
}

/// One callback in one line of less than 80 columns.
fn arrived(arrival: &Arrival) -> String {
    let body: Value = serde_json::from_slice(&arrival.body).unwrap_or_default();
    let field = |name: &str| body.get("data").and_then(|data| data.get(name));
    let text = |name: &str| field(name).and_then(Value::as_str).unwrap_or("-");
    let sequence = field("sequence").and_then(Value::as_u64).unwrap_or(0);
    let seconds = field("bill_duration").and_then(Value::as_u64).unwrap_or(0);
    let verdict = match (&arrival.signature, arrival.entered) {
        (Ok(()), Entered::New) => screen::styled(screen::GOOD, "verified"),
        (Ok(()), _) => screen::styled(screen::WAIT, "repeated"),
        (Err(_), _) => screen::styled(screen::BAD, "refused "),
    };
    let end = text("end_time").get(11..19).unwrap_or("--:--:--");
    let call = format!(
        "{} → {}",
        mask_number(text("caller_id")),
        mask_number(text("called_id"))
    );
    format!(
        "  {end}  {verdict}  cdr #{sequence:<4} {call}  {seconds:>4} s billed  {:>7} {}",
        text("cost"),
        text("currency")
    )
}

fn report(balance: &Balance) -> Exit {
    heading("The account");
    let line = |name: &str, count: u64| screen::line(format_args!("  {name:<36}{count:>6}"));
    line("rows the switch wrote", balance.written);
    line("rows the agent read", balance.read);
    line("rows set aside", balance.set_aside);
    line("events delivered", balance.delivered);
    line("events given up (dead letters)", balance.dead);
    line("events still queued", balance.queued);
    line("different events received", balance.distinct);
    line("repeats, recognised by their ids", balance.duplicates);
    line("callbacks with a bad signature", balance.bad_signatures);
    screen::line("");
    if balance.is_even() {
        screen::line(screen::styled(
            screen::GOOD,
            "every row written is an event delivered: the account balances",
        ));
        Exit::Success
    } else {
        screen::line(screen::styled(screen::BAD, "the account does not balance"));
        Exit::Data
    }
}
