//! `switchhook receive`: a receiver for development.

use super::signing::{self, Refusal, SigningArguments};
use super::{Exit, screen};
use crate::config::value;
use crate::receiver::{
    Account, Arrival, Certificate, FAULTS_HELP, Fault, FaultKind, Receiver, Relayed, Settings,
    Shown, SpoolSettings, TARGETS_MAX, Target, arrival_json, arrival_line, detail_lines,
    payload_lines, relayed_json, relayed_line,
};
use clap::Args;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// How often the command looks whether it is to stop.
const STOP_POLL: Duration = Duration::from_millis(200);

/// What is to be known beside the options.
const HELP: &str = "\
Callbacks are taken at /webhook. A signature that is not believed is answered 401, and the line says
why: a header is missing, the secret is another one, the body was altered, the timestamp is outside
the window, another scheme was used. A repeat within 24 hours is answered 200 and marked. The page at / shows the same in a
browser, headers and bodies included; it is for this machine alone unless --web says otherwise.

Example: switchhook receive --profile vos3000 --secret-file billing.secret --payload
Example: switchhook receive --endpoint billing --config switchhook.toml
Example: switchhook receive --scheme stripe --secret-file billing.secret
Example: switchhook receive --secret-file F --spool callbacks.jsonl --forward http://127.0.0.1:3000/webhook
Example: switchhook receive --secret-file F --json | jq 'select(.signature.valid | not)'

A spooled callback can be looked at again with `switchhook verify`.";

fn help() -> String {
    format!("{HELP}\n\n{FAULTS_HELP}")
}

/// The arguments of `receive`.
#[derive(Debug, Args)]
#[command(after_help = help())]
pub struct ReceiveArguments {
    /// Where to listen; port 0 takes any free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    #[command(flatten)]
    signing: SigningArguments,
    /// Answer HTTPS, with a certificate made on the spot.
    #[arg(long)]
    tls: bool,
    /// Write that certificate to this file, for the sender's ca_file.
    #[arg(long, value_name = "FILE", requires = "tls")]
    certificate_out: Option<PathBuf>,
    /// Misbehave, like status=500,rate=0.2; all faults are listed below.
    #[arg(long, value_name = "FAULT")]
    fault: Vec<Fault>,
    /// Seed of the faults' dice.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Threads to serve on.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Write each new callback durably to this file, a line of JSON each, or into this directory, a
    /// file each, and answer only then. Its ids are known again at the next start.
    #[arg(long, value_name = "FILE|DIR")]
    spool: Option<PathBuf>,
    /// Room for the spool: a file is renamed to FILE.1 at half of it, of a directory the oldest go.
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = spool_bytes)]
    spool_max: u64,
    /// Hand each new callback on to this local address, with its body and headers as they came; may
    /// be given several times.
    #[arg(long, value_name = "URL")]
    forward: Vec<Target>,
    /// Answer what the forward answers, instead of not waiting for it: of several the first answer
    /// that is no 2xx, 502 where there is none.
    #[arg(long, requires = "forward")]
    forward_answer: bool,
    /// Serve the page here instead; beyond the loopback it shows calls to whoever reaches it.
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with = "no_web")]
    web: Option<SocketAddr>,
    /// Serve no page.
    #[arg(long)]
    no_web: bool,
    /// Print a JSON object on each line.
    #[arg(long, conflicts_with = "quiet")]
    json: bool,
    /// Print headers and bodies too; they hold telephone numbers.
    #[arg(long, conflicts_with = "quiet")]
    payload: bool,
    /// Print nothing but the account at the end, and serve no page unless --web is given.
    #[arg(long)]
    quiet: bool,
}

/// Receives until SIGINT or SIGTERM, then prints the account.
pub fn receive(arguments: &ReceiveArguments) -> Exit {
    let settings = match settings(arguments) {
        Ok(settings) => settings,
        Err(refusal) => return signing::refuse(refusal),
    };
    let expected = settings.verifier.to_string();
    let mut receiver = match Receiver::start(settings) {
        Ok(receiver) => receiver,
        Err(error) => {
            screen::complaint(error);
            return Exit::Usage;
        }
    };
    if let Some((path, pem)) = arguments
        .certificate_out
        .as_ref()
        .zip(receiver.certificate_pem())
        && let Err(error) = std::fs::write(path, pem)
    {
        screen::complaint(format_args!("cannot write {}: {error}", path.display()));
        return Exit::Usage;
    }
    let stop = match stop_flag() {
        Ok(stop) => stop,
        Err(error) => {
            screen::complaint(format_args!("the system gives no signals: {error}"));
            return Exit::Bug;
        }
    };
    // Who is told that it listens may send at once.
    let news = (!arguments.quiet).then(|| (receiver.arrivals(), receiver.relayed()));
    // Scripts that read JSON lines are told nothing else.
    let say = |text: String| match arguments.json {
        true => screen::complaint(text),
        false => screen::line(text),
    };
    say(format!("listening on {}", receiver.url()));
    say(format!("signatures expected: {expected}"));
    if let Some(url) = receiver.page_url() {
        say(format!("what arrives is shown at {url}"));
    } else if !arguments.no_web && !arguments.quiet {
        say(
            "no page, since the address is not the loopback; --web 127.0.0.1:8081 serves it".into(),
        );
    }
    if arguments.web.is_some_and(|addr| !addr.ip().is_loopback()) {
        let warning = "the page shows calls to whoever reaches its address";
        screen::complaint(screen::styled(screen::WAIT, warning));
    }
    watch(news, arguments, &stop);
    receiver.stop();
    match arguments.json {
        true => screen::complaint(report(&receiver.account())),
        false => screen::line(report(&receiver.account())),
    }
    Exit::Success
}

/// Reads the room for a spool.
fn spool_bytes(text: &str) -> Result<u64, String> {
    let bytes = value::bytes(text)?;
    if bytes < crate::receiver::SPOOL_BYTES_MIN {
        return Err(format!("{text} is too little; write 16MiB or more"));
    }
    Ok(bytes)
}

fn settings(arguments: &ReceiveArguments) -> Result<Settings, Refusal> {
    if arguments.forward.len() > TARGETS_MAX {
        let what = format!("{TARGETS_MAX} forwards at most");
        return Err((what, Exit::Usage));
    }
    let mut settings = Settings::new(arguments.signing.verifier()?);
    settings.listen = arguments.listen;
    settings.certificate = arguments.tls.then(|| Certificate::SelfSigned {
        names: vec!["localhost".to_string()],
    });
    let mut kinds = arguments.fault.iter().map(|fault| &fault.kind);
    if !arguments.tls && kinds.any(|kind| matches!(kind, FaultKind::Tls(_))) {
        let what = "a fault of TLS goes with --tls".to_string();
        return Err((what, Exit::Usage));
    }
    settings.faults = arguments.fault.clone();
    settings.seed = arguments.seed;
    settings.threads = arguments.threads;
    settings.spool = arguments.spool.clone().map(|path| SpoolSettings {
        path,
        bytes_max: arguments.spool_max,
    });
    settings.forwards = arguments.forward.clone();
    settings.answers_as_forwarded = arguments.forward_answer;
    // Quiet is for measurements, which the page would cost time.
    let is_wanted = !arguments.no_web && !arguments.quiet;
    let own = Some(arguments.listen).filter(|addr| addr.ip().is_loopback() && is_wanted);
    settings.web = arguments.web.or(own);
    Ok(settings)
}

/// What arrives, and what the forwards answer.
type News = (mpsc::Receiver<Arrival>, mpsc::Receiver<Relayed>);

/// Prints what arrives until the stop.
fn watch(news: Option<News>, arguments: &ReceiveArguments, stop: &AtomicBool) {
    let Some((arrivals, relayed)) = news else {
        while !stop.load(Ordering::SeqCst) {
            std::thread::park_timeout(STOP_POLL);
        }
        return;
    };
    while !stop.load(Ordering::SeqCst) {
        let arrival = arrivals.recv_timeout(STOP_POLL);
        match arrival {
            Ok(arrival) if arguments.json => {
                let shown = match arguments.payload {
                    true => Shown::All,
                    false => Shown::Outline,
                };
                screen::line(arrival_json(&arrival, shown));
            }
            Ok(arrival) => {
                screen::line(arrival_line(&arrival));
                let payload = arguments.payload.then(|| payload_lines(&arrival));
                let details = detail_lines(&arrival).into_iter();
                details
                    .chain(payload.into_iter().flatten())
                    .for_each(screen::line);
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
        }
        for relayed in relayed.try_iter() {
            match arguments.json {
                true => screen::line(serde_json::json!({ "forward": relayed_json(&relayed) })),
                false => screen::line(relayed_line(&relayed)),
            }
        }
    }
}

fn report(account: &Account) -> String {
    let kinds: Vec<String> = account
        .kinds
        .iter()
        .map(|(kind, count)| format!("{kind} {count}"))
        .collect();
    format!(
        "requests={} accepted={} distinct={} duplicates={} bad_signatures={} malformed={} misaddressed={} not_kept={} faults={} lost={} kinds: {}",
        account.requests,
        account.accepted,
        account.distinct,
        account.duplicates,
        account.bad_signatures,
        account.malformed,
        account.misaddressed,
        account.not_kept,
        account.faults.refused(),
        account.faults.lost,
        kinds.join(", "),
    )
}

/// Set by SIGINT and SIGTERM, which are heard from the return on.
fn stop_flag() -> io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&stop);
    let (listening, heard) = mpsc::channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let hear = move || {
        runtime.block_on(async {
            let signals = signal(SignalKind::terminate())
                .and_then(|terminate| Ok((terminate, signal(SignalKind::interrupt())?)));
            let (mut terminate, mut interrupt) = match signals {
                Ok(signals) => signals,
                Err(error) => {
                    let _gone = listening.send(Err(error));
                    return;
                }
            };
            let _gone = listening.send(Ok(()));
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            set.store(true, Ordering::SeqCst);
        });
    };
    std::thread::Builder::new()
        .name("signals".to_string())
        .spawn(hear)?;
    heard.recv().map_err(io::Error::other)??;
    Ok(stop)
}
