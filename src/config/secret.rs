//! Where a secret comes from: a file, the environment, a systemd credential, or the configuration.

use super::place::Place;
use super::written::Key;
use std::env;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Most bytes of a secret's file: the longest secret of the Standard Webhooks specification is
/// 64 bytes before Base64; anything longer than this is the wrong file.
const SECRET_BYTES_MAX: u64 = 4 << 10;

/// Most bytes of a private key's file: an RSA key of 16384 bits, with its certificate beside it.
const KEY_BYTES_MAX: u64 = 32 << 10;

/// The four ways to give one secret.
#[derive(Debug, Clone, Copy)]
pub struct SecretKeys<'a> {
    /// The secret itself.
    pub literal: &'a Key<String>,
    /// A file that holds it.
    pub file: &'a Key<String>,
    /// An environment variable that holds it.
    pub env: &'a Key<String>,
    /// A systemd credential (`LoadCredential=`) that holds it.
    pub credential: &'a Key<String>,
    /// What their names begin with: empty or `previous_`.
    pub prefix: &'static str,
}

impl<'a> SecretKeys<'a> {
    /// The key that is there, if one is; for the line of a problem.
    pub fn written(&self) -> &'a Key<String> {
        let keys = [self.literal, self.file, self.env, self.credential];
        keys.into_iter()
            .find(|key| key.is_some())
            .unwrap_or(self.literal)
    }
}

/// What became of looking for a secret.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// None of the four keys is there.
    Nothing,
    /// A key is there, and what it names cannot be used; the problem is noted.
    Unusable,
    /// The secret, without the line end of its file. Never to be printed.
    Secret(String),
}

/// Fetches the secret that `keys` name.
pub fn fetch(keys: SecretKeys<'_>, place: &mut Place<'_>) -> Found {
    let named = |suffix: &str| format!("{}secret{suffix}", keys.prefix);
    let given = [
        (named(""), keys.literal),
        (named("_file"), keys.file),
        (named("_env"), keys.env),
        (named("_credential"), keys.credential),
    ];
    let given: Vec<_> = given
        .into_iter()
        .filter(|(_, written)| written.is_some())
        .collect();
    let [(key, written)] = given.as_slice() else {
        let Some((key, written)) = given.get(1) else {
            return Found::Nothing;
        };
        place.problem(
            key,
            written,
            "the secret is given twice; keep one of the two",
        );
        return Found::Unusable;
    };
    let like = "\"…\"";
    let Some(text) = place.given(key, written, like) else {
        return Found::Unusable;
    };
    let fetched = match key.strip_prefix(keys.prefix).unwrap_or(key) {
        "secret" => Ok(text.clone()),
        "secret_env" => env::var(text).map_err(|_| format!("the environment has no variable {text} with text in it; set it for the service, or use {}", named("_file"))),
        "secret_credential" => credential(text),
        _ => {
            let path = place.resolve(text);
            read(&path, SECRET_BYTES_MAX).map_err(|what| match path.exists() {
                true => what,
                false => format!(
                    "{what}; make one with `switchhook secret generate --output {}`",
                    path.display()
                ),
            })
        }
    };
    match fetched.map(|secret| secret.trim_end_matches(['\r', '\n']).to_string()) {
        Ok(secret) if secret.is_empty() => {
            place.problem(
                key,
                written,
                "the secret is empty; make one with `switchhook secret generate`",
            );
            Found::Unusable
        }
        Ok(secret) => Found::Secret(secret),
        Err(what) => {
            place.problem(key, written, what);
            Found::Unusable
        }
    }
}

fn credential(name: &str) -> Result<String, String> {
    let Some(directory) = env::var_os("CREDENTIALS_DIRECTORY") else {
        return Err(format!(
            "systemd gave no credentials; add LoadCredential={name}:/path to the unit"
        ));
    };
    read(&Path::new(&directory).join(name), SECRET_BYTES_MAX)
}

/// The one line of the file at `path`, which must not be open to every user of the machine.
///
/// # Errors
///
/// What is wrong with the file; never its text.
pub fn text_of(path: &Path) -> Result<String, String> {
    let text = read(path, SECRET_BYTES_MAX)?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(format!("{} is empty", path.display())),
        text => Ok(text.to_string()),
    }
}

/// The text of a private key's file at `path`, which must not be open to every user either.
///
/// # Errors
///
/// What is wrong with the file; never its text.
pub fn key_of(path: &Path) -> Result<String, String> {
    read(path, KEY_BYTES_MAX)
}

/// Reads the secret in the file at `path`, which must not be open to every user of the machine.
fn read(path: &Path, bytes_max: u64) -> Result<String, String> {
    let shown = path.display();
    let failed = |error: io::Error| format!("cannot read {shown}: {error}");
    let file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => format!(
            "cannot read {shown}: {error}; let the agent's group read it: chgrp switchhook {shown}"
        ),
        _ => failed(error),
    })?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(format!("{shown} is not a file"));
    }
    let mode = metadata.permissions().mode();
    if mode & 0o007 != 0 {
        return Err(format!(
            "{shown} is open to every user of this machine (mode {:04o}); run chmod 0640 on it",
            mode & 0o7777
        ));
    }
    let mut text = String::new();
    file.take(bytes_max + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    if text.len() as u64 > bytes_max {
        return Err(format!(
            "{shown} is longer than {bytes_max} bytes: no secret is"
        ));
    }
    Ok(text)
}
