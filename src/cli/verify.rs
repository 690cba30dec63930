//! `switchhook verify`: judges a request that lies in a file, and says why.

use super::signing::{self, Refusal, SigningArguments};
use super::{Exit, screen};
use crate::clock::{Clock, SystemClock, UnixMs};
use crate::receiver::{Diagnosis, Judged, SAVED_BYTES_MAX, SavedRequest, Verifier, add_header};
use crate::timestamp::Timestamp;
use clap::Args;
use serde_json::json;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// The arguments of `verify`.
#[derive(Debug, Args)]
#[command(after_help = "\
Ends with 0 when every request is valid, with 65 when one is not. Where the profile signs a time, it is
compared with the time the request was received, which a spooled one brings along; --at says it for
others, and without it that is now.

Example: switchhook verify --profile vos3000 --secret-file billing.secret \\
           --header 'X-VOS3000-Signature: 60df0aa1…' --body-file body.json
Example: switchhook verify --profile vos3000 --secret-file billing.secret --request callbacks.jsonl
Example: switchhook verify --endpoint billing --config switchhook.toml --request callbacks.jsonl
Example: switchhook verify --secret-file F --request dump.http --at 2026-04-09T14:30:45Z --explain

--request reads what `switchhook receive --spool` writes, or an HTTP request as it goes over the wire:
headers, an empty line, the body. - is standard input.")]
pub struct VerifyArguments {
    #[command(flatten)]
    signing: SigningArguments,
    /// A header of the request, as 'Name: value'; may be given several times.
    #[arg(short = 'H', long, value_name = "HEADER", requires = "body_file")]
    header: Vec<String>,
    /// The raw body, byte for byte as it came.
    #[arg(long, value_name = "FILE", required_unless_present = "request")]
    body_file: Option<PathBuf>,
    /// A file with whole requests.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["header", "body_file"])]
    request: Option<PathBuf>,
    /// The time to judge at instead, like 2026-04-09T14:30:45Z.
    #[arg(long, value_name = "TIME")]
    at: Option<jiff::Timestamp>,
    /// Show what is signed and the signatures that the secrets make of it. Whoever has them can send
    /// this very request; the secrets are never shown.
    #[arg(long)]
    explain: bool,
    /// Print a JSON object for each request.
    #[arg(long)]
    json: bool,
}

/// Judges every request.
pub fn verify(arguments: &VerifyArguments) -> Exit {
    let (verifier, requests) = match prepare(arguments) {
        Ok(prepared) => prepared,
        Err(refusal) => return signing::refuse(refusal),
    };
    let mut all_valid = !requests.is_empty();
    if requests.is_empty() {
        screen::complaint("the file holds no request");
    }
    let mut others_were_believed = false;
    for (place, request) in requests.into_iter().enumerate() {
        let request = match request {
            Ok(request) => request,
            Err(what) => {
                screen::complaint(format_args!("not read: {what}"));
                all_valid = false;
                continue;
            }
        };
        let at = instant(arguments, &request);
        let diagnosis = Diagnosis::of(&verifier, &judged(&request), at, others_were_believed);
        others_were_believed |= diagnosis.is_believed();
        all_valid &= diagnosis.is_believed();
        match arguments.json {
            true => show_json(arguments, &verifier, &request, at, &diagnosis),
            false => show(arguments, &verifier, &request, at, &diagnosis, place + 1),
        }
    }
    match all_valid {
        true => Exit::Success,
        false => Exit::Data,
    }
}

type Read = Result<SavedRequest, String>;

fn prepare(arguments: &VerifyArguments) -> Result<(Verifier, Vec<Read>), Refusal> {
    let verifier = arguments.signing.verifier()?;
    if verifier.secrets() == 0 {
        let what = "there is no signature to judge: the endpoint does not sign".to_string();
        return Err((what, Exit::Usage));
    }
    let requests = requests(arguments).map_err(|what| (what, Exit::Usage))?;
    Ok((verifier, requests))
}

fn judged(request: &SavedRequest) -> Judged<'_> {
    Judged {
        headers: &request.headers,
        method: request.method(),
        target: request.target(),
        body: &request.body,
    }
}

fn requests(arguments: &VerifyArguments) -> Result<Vec<Read>, String> {
    if let Some(path) = &arguments.request {
        let all = SavedRequest::all(&read(path)?).into_iter();
        let all = all.map(|request| request.map_err(|error| error.to_string()));
        return Ok(all.collect());
    }
    let mut request = SavedRequest::default();
    for header in &arguments.header {
        let (name, value) = header
            .split_once(':')
            .ok_or_else(|| format!("{header:?} is no header; write 'Name: value'"))?;
        let (name, value) = (name.trim(), value.trim());
        add_header(&mut request.headers, name.as_bytes(), value.as_bytes())?;
    }
    let path = arguments.body_file.as_deref().unwrap_or(Path::new("-"));
    request.body = read(path)?.into();
    Ok(vec![Ok(request)])
}

/// Reads all of `path`, within bounds.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let opened: io::Result<Box<dyn io::Read>> = if path == Path::new("-") {
        Ok(Box::new(io::stdin()))
    } else {
        File::open(path).map(|file| Box::new(file) as Box<dyn io::Read>)
    };
    let taken = opened.and_then(|file| file.take(SAVED_BYTES_MAX + 1).read_to_end(&mut bytes));
    taken.map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    if bytes.len() as u64 > SAVED_BYTES_MAX {
        return Err(format!("{} is longer than 64 MiB", path.display()));
    }
    Ok(bytes)
}

/// When the request is judged: as asked for, when it was received, or now.
fn instant(arguments: &VerifyArguments, request: &SavedRequest) -> UnixMs {
    let asked = arguments.at.map(|at| UnixMs(at.as_millisecond()));
    let at = asked.or(request.at);
    at.unwrap_or_else(|| SystemClock::new().wall())
}

fn show(
    arguments: &VerifyArguments,
    verifier: &Verifier,
    request: &SavedRequest,
    at: UnixMs,
    diagnosis: &Diagnosis,
    place: usize,
) {
    let id = request.ids.first();
    let name = id.map_or_else(
        || format!("request {place}"),
        |id| crate::logging::one_line(id, 64),
    );
    let verdict = match diagnosis.is_believed() {
        true => screen::styled(screen::GOOD, "valid"),
        false => screen::styled(screen::BAD, "invalid"),
    };
    screen::line(format_args!("{verdict}  {name}  {diagnosis}"));
    if let Some(announced) = request.announced_bytes() {
        screen::line(format_args!(
            "         Content-Length says {announced} bytes, the body here has {}",
            request.body.len()
        ));
    }
    if arguments.explain {
        let at = Timestamp::from_millis(at.0);
        screen::line(format_args!(
            "         judged at {at}, expected: {verifier}"
        ));
        for line in verifier.explain(&judged(request)) {
            let line = crate::logging::one_line(line, 512);
            screen::line(format_args!("         {line}"));
        }
    }
}

fn show_json(
    arguments: &VerifyArguments,
    verifier: &Verifier,
    request: &SavedRequest,
    at: UnixMs,
    diagnosis: &Diagnosis,
) {
    let cause = match diagnosis {
        Diagnosis::Believed { .. } | Diagnosis::Unsigned => None,
        Diagnosis::Refused { cause, .. } => Some(cause.to_string()),
    };
    let explained = arguments
        .explain
        .then(|| verifier.explain(&judged(request)));
    screen::line(json!({
        "ids": request.ids,
        "valid": diagnosis.is_believed(),
        "cause": cause,
        "words": diagnosis.to_string(),
        "judged_at": Timestamp::from_millis(at.0).to_string(),
        "explain": explained,
    }));
}
