//! `switchhook secret`: makes signing secrets.

use super::deep::SERVICE_USER;
use super::{Exit, screen};
use crate::delivery::signer::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Random bytes of a new secret: as many as HMAC-SHA256 can use.
const SECRET_BYTES: usize = 32;

/// What can be done with secrets.
#[derive(Debug, Subcommand)]
pub enum SecretCommand {
    /// Make a new random secret that every profile accepts.
    #[command(
        after_help = "Example: switchhook secret generate --output /etc/switchhook/billing.secret"
    )]
    Generate(GenerateArguments),
    /// Show the public half of an Ed25519 key, which its receivers verify with.
    #[command(after_help = "Example: switchhook secret public /etc/switchhook/billing.secret")]
    Public(PublicArguments),
}

/// The arguments of `secret generate`.
#[derive(Debug, Args)]
pub struct GenerateArguments {
    /// Write it to this new file (mode 0640, readable for the service's group) instead of the terminal.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Make an Ed25519 key instead, for profiles standard and cloudevents and for a template with
    /// that algorithm: its receivers get the public half alone, and cannot sign.
    #[arg(long)]
    ed25519: bool,
}

/// The arguments of `secret public`.
#[derive(Debug, Args)]
pub struct PublicArguments {
    /// The file the private key is in.
    file: PathBuf,
}

/// Does what `command` says.
pub fn secret(command: &SecretCommand) -> Exit {
    match command {
        SecretCommand::Generate(arguments) => generate(arguments),
        SecretCommand::Public(arguments) => public(&arguments.file),
    }
}

/// Shows the public half of the key in the file at `path`.
fn public(path: &Path) -> Exit {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            screen::complaint(format_args!("cannot read {}: {error}", path.display()));
            return Exit::Usage;
        }
    };
    match Secret::ed25519(text.trim_ascii()) {
        Ok(secret) => {
            screen::line(secret.public().unwrap_or_default());
            Exit::Success
        }
        Err(_) => {
            screen::complaint(format_args!(
                "{} holds no Ed25519 private key, and a secret has no public half; make a key with `switchhook secret generate --ed25519`",
                path.display()
            ));
            Exit::Data
        }
    }
}

fn generate(arguments: &GenerateArguments) -> Exit {
    let mut bytes = [0; SECRET_BYTES];
    if let Err(error) = getrandom::fill(&mut bytes) {
        screen::complaint(format_args!("the system gives no random bytes: {error}"));
        return Exit::Bug;
    }
    let prefix = if arguments.ed25519 { "whsk_" } else { "whsec_" };
    let text = format!("{prefix}{}", STANDARD.encode(bytes));
    let public = Secret::parse(&text).ok().and_then(|secret| secret.public());
    let Some(path) = &arguments.output else {
        screen::line(text);
        if let Some(public) = public {
            screen::complaint(format_args!("its receivers verify with {public}"));
        }
        return Exit::Success;
    };
    match write(path, &text) {
        Ok(()) => {
            let shared = match share(path) {
                Some(group) => format!(", which the group {group} can read"),
                None => String::new(),
            };
            // Written as it is, it would be sought beside the configuration.
            let whole = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            screen::line(format_args!(
                "wrote {}{shared}; name it in the configuration: secret_file = {whole:?}",
                path.display(),
            ));
            if let Some(public) = public {
                screen::line(format_args!("its receivers verify with {public}"));
            }
            Exit::Success
        }
        Err(error) => {
            let advice = match (error.kind(), path.parent()) {
                (ErrorKind::NotFound, Some(directory)) => {
                    format!("make its directory first: mkdir -p {}", directory.display())
                }
                (ErrorKind::AlreadyExists, _) => {
                    "an existing secret is never overwritten; use it, or write to another file"
                        .to_string()
                }
                (ErrorKind::PermissionDenied, _) => "run this as root".to_string(),
                _ => "name another file with --output".to_string(),
            };
            screen::complaint(format_args!(
                "cannot write {}: {error}; {advice}",
                path.display()
            ));
            Exit::Usage
        }
    }
}

/// Gives a file that root has made for itself to the service's group, if there is one: the agent
/// could not read it. Returns the group.
fn share(path: &Path) -> Option<&'static str> {
    let metadata = std::fs::metadata(path).ok()?;
    if metadata.uid() != 0 || metadata.gid() != 0 {
        return None;
    }
    let user = nix::unistd::User::from_name(SERVICE_USER).ok()??;
    std::os::unix::fs::chown(path, None, Some(user.gid.as_raw())).ok()?;
    Some(SERVICE_USER)
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o640)
        .open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}
