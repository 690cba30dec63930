//! `switchhook receive`: a receiver for development.

use super::{Exit, screen};
use crate::receiver::{
    Account, Certificate, FAULTS_HELP, Fault, FaultKind, Profile, Receiver, Settings, TOLERANCE,
    Verifier, arrival_line, payload_line,
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

/// The arguments of `receive`.
#[derive(Debug, Args)]
#[command(after_help = FAULTS_HELP)]
pub struct ReceiveArguments {
    /// Where to listen; port 0 takes any free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// How callbacks are signed: standard or vos3000.
    #[arg(long, default_value = "standard")]
    profile: Profile,
    /// A file that holds the secret; given twice, both are accepted.
    #[arg(long, value_name = "FILE", required = true)]
    secret_file: Vec<PathBuf>,
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
    /// Age in seconds beyond which a signed timestamp is refused.
    #[arg(long, value_name = "SECONDS", default_value_t = TOLERANCE.as_secs())]
    tolerance: u64,
    /// Print the bodies too; they hold telephone numbers.
    #[arg(long, conflicts_with = "quiet")]
    payload: bool,
    /// Print nothing but the account at the end.
    #[arg(long)]
    quiet: bool,
}

/// Receives until SIGINT or SIGTERM, then prints the account.
pub fn receive(arguments: &ReceiveArguments) -> Exit {
    let settings = match settings(arguments) {
        Ok(settings) => settings,
        Err(what) => {
            screen::complaint(what);
            return Exit::Usage;
        }
    };
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
    screen::line(format_args!("listening on {}", receiver.url()));
    watch(&receiver, arguments, &stop);
    receiver.stop();
    report(&receiver.account());
    Exit::Success
}

fn settings(arguments: &ReceiveArguments) -> Result<Settings, String> {
    let mut secrets = Vec::new();
    for path in &arguments.secret_file {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        secrets.push(text.trim_end_matches(['\r', '\n']).to_string());
    }
    let texts: Vec<&str> = secrets.iter().map(String::as_str).collect();
    let verifier = Verifier::new(arguments.profile, &texts).map_err(|error| error.to_string())?;
    let mut settings =
        Settings::new(verifier.with_tolerance(Duration::from_secs(arguments.tolerance)));
    settings.listen = arguments.listen;
    settings.certificate = arguments.tls.then(|| Certificate::SelfSigned {
        names: vec!["localhost".to_string()],
    });
    let mut kinds = arguments.fault.iter().map(|fault| &fault.kind);
    if !arguments.tls && kinds.any(|kind| matches!(kind, FaultKind::Tls(_))) {
        return Err("a fault of TLS goes with --tls".to_string());
    }
    settings.faults = arguments.fault.clone();
    settings.seed = arguments.seed;
    settings.threads = arguments.threads;
    Ok(settings)
}

/// Prints what arrives until the stop.
fn watch(receiver: &Receiver, arguments: &ReceiveArguments, stop: &AtomicBool) {
    let arrivals = (!arguments.quiet).then(|| receiver.arrivals());
    while !stop.load(Ordering::SeqCst) {
        let arrival = match &arrivals {
            None => {
                std::thread::park_timeout(STOP_POLL);
                continue;
            }
            Some(arrivals) => arrivals.recv_timeout(STOP_POLL),
        };
        match arrival {
            Ok(arrival) => {
                screen::line(arrival_line(&arrival));
                if arguments.payload {
                    screen::line(payload_line(&arrival));
                }
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn report(account: &Account) {
    let kinds: Vec<String> = account
        .kinds
        .iter()
        .map(|(kind, count)| format!("{kind} {count}"))
        .collect();
    screen::line(format_args!(
        "requests={} accepted={} distinct={} duplicates={} bad_signatures={} malformed={} misaddressed={} faults={} lost={} kinds: {}",
        account.requests,
        account.accepted,
        account.distinct,
        account.duplicates,
        account.bad_signatures,
        account.malformed,
        account.misaddressed,
        account.faults.refused(),
        account.faults.lost,
        kinds.join(", "),
    ));
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
