//! How the requests that `receive` and `verify` judge are signed: said by flags, or by the endpoint of
//! the agent's own configuration.

use super::{CONFIG_DEFAULT, Exit, screen};
use crate::config::signature::{self, Signing};
use crate::config::{Config, EndpointConfig};
use crate::delivery::profile::{self, Body};
use crate::receiver::{Profile, TOLERANCE, Verifier};
use clap::Args;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What to judge by.
#[derive(Debug, Args)]
pub struct SigningArguments {
    /// Take profile, signature and secrets from this endpoint of the agent's configuration.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["profile", "scheme", "secret_file"])]
    endpoint: Option<String>,
    /// The configuration that --endpoint is in.
    #[arg(short, long, value_name = "FILE", default_value = CONFIG_DEFAULT, requires = "endpoint")]
    config: PathBuf,
    /// The endpoint's profile: standard, cloudevents, vos3000, vobiz, vobiz-voice, voipbin, or custom
    /// for a body of its own.
    #[arg(long, default_value = "standard")]
    profile: Profile,
    /// Its signature, where that is not its profile's, in the words of the configuration: standard,
    /// vos3000, vobiz, voipbin, stripe, github, none, or a template like
    /// '{ header = "X-Sign", prefix = "sha256=" }'.
    #[arg(long, value_name = "SCHEME", value_parser = signature::parse)]
    scheme: Option<Signing>,
    /// A file that holds a secret, or several while one is being replaced, one a line; may be given
    /// several times, each is believed. For Ed25519 the public key, whpk_….
    #[arg(long, value_name = "FILE")]
    secret_file: Vec<PathBuf>,
    /// The address the sender has this receiver under; it counts where the scheme signs it.
    #[arg(long, value_name = "URL")]
    url: Vec<String>,
    /// Age in seconds beyond which a signed timestamp is refused.
    #[arg(long, value_name = "SECONDS", default_value_t = TOLERANCE.as_secs())]
    tolerance: u64,
}

/// Why there is nothing to judge by: what to say, and how to end.
pub type Refusal = (String, Exit);

impl SigningArguments {
    /// The verifier they ask for.
    ///
    /// # Errors
    ///
    /// [`Refusal`]; it holds no secret.
    pub fn verifier(&self) -> Result<Verifier, Refusal> {
        let verifier = match &self.endpoint {
            Some(name) => of_endpoint(&endpoint(&self.config, name)?),
            None => self.of_flags(),
        };
        let verifier = verifier.map_err(|what| (what, Exit::Usage))?;
        let verifier = verifier.with_tolerance(Duration::from_secs(self.tolerance));
        Ok(match self.url.as_slice() {
            [] => verifier,
            urls => verifier.with_urls(urls.to_vec()),
        })
    }

    fn of_flags(&self) -> Result<Verifier, String> {
        let texts = secrets(&self.secret_file)?;
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let is_without = self.scheme == Some(Signing::Unsigned);
        if is_without && texts.is_empty() {
            return Ok(Verifier::unsigned(self.profile));
        }
        if is_without || texts.is_empty() {
            return Err(match is_without {
                true => "--scheme none has no secret; keep one of --scheme none and --secret-file",
                false => {
                    "there is no secret to verify with; give --secret-file FILE, or --endpoint NAME to take everything from the agent's configuration, or --scheme none"
                }
            }
            .to_string());
        }
        let verifier = match &self.scheme {
            Some(Signing::Own(scheme)) => {
                Verifier::with_scheme(self.profile, scheme.clone(), &texts)
            }
            _ => Verifier::new(self.profile, &texts),
        };
        verifier.map_err(|error| error.to_string())
    }
}

/// The endpoint called `name` in the configuration at `path`.
fn endpoint(path: &Path, name: &str) -> Result<EndpointConfig, Refusal> {
    let config = Config::load(path).map_err(|problems| {
        let what = problems.to_string();
        (what, Exit::Configuration)
    })?;
    match configured(&config, name) {
        Ok(endpoint) => Ok(endpoint.clone()),
        Err(names) => {
            let path = path.display();
            let what = format!("no endpoint is called {name:?} in {path}; there are: {names}");
            Err((what, Exit::Usage))
        }
    }
}

/// The endpoint called `name`; where there is none, the names of those there are.
pub fn configured<'c>(config: &'c Config, name: &str) -> Result<&'c EndpointConfig, String> {
    let names = || config.endpoints.iter().map(|it| &*it.endpoint.name);
    let place = names().position(|own| own == name);
    place
        .and_then(|place| config.endpoints.get(place))
        .ok_or_else(|| {
            let names: Vec<&str> = names().collect();
            names.join(", ")
        })
}

/// A verifier for what the agent sends to `config`'s endpoint.
fn of_endpoint(config: &EndpointConfig) -> Result<Verifier, String> {
    let endpoint = &config.endpoint;
    let profile = match &endpoint.body {
        Body::Of(profile) => of_profile(*profile),
        Body::Fields(_) => Profile::Custom,
    };
    let secrets = endpoint.secret.iter().chain(&endpoint.previous_secret);
    if endpoint.secret.is_none() {
        return Ok(Verifier::unsigned(profile));
    }
    let verifier = Verifier::of_endpoint(profile, endpoint.signature.clone(), secrets);
    let verifier = verifier.map_err(|error| error.to_string())?;
    Ok(verifier.with_urls(vec![endpoint.url.as_str().to_string()]))
}

/// The receiver's word for a profile of the agent's.
fn of_profile(profile: profile::Profile) -> Profile {
    match profile {
        profile::Profile::Standard => Profile::Standard,
        profile::Profile::Vos3000 => Profile::Vos3000,
        profile::Profile::Vobiz | profile::Profile::VobizVoice => Profile::Vobiz,
        profile::Profile::Voipbin => Profile::Voipbin,
        profile::Profile::CloudEvents => Profile::CloudEvents,
    }
}

/// The secrets in these files, one a line.
fn secrets(files: &[PathBuf]) -> Result<Vec<String>, String> {
    let mut secrets = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let lines = text.split(['\r', '\n']).filter(|line| !line.is_empty());
        let before = secrets.len();
        secrets.extend(lines.map(str::to_string));
        if secrets.len() == before {
            return Err(format!(
                "{} is empty; put the endpoint's secret in it",
                path.display()
            ));
        }
    }
    Ok(secrets)
}

/// Says why there is nothing to judge by.
pub fn refuse((what, exit): Refusal) -> Exit {
    screen::complaint(what);
    exit
}
