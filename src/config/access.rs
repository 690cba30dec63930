//! What an endpoint is shown beside a signature: a user and password, a bearer token, a token in
//! the address, headers of the operator's own.

use super::file::EndpointTable;
use super::place::Place;
use super::secret;
use super::written::{Key, Written};
use crate::delivery::endpoint::OwnHeader;
use crate::delivery::login::{Login, LoginError};
use crate::delivery::url::{Host, Url};
use std::fmt;

/// Most headers of the operator's own, so that a request's head stays below the 8 KiB that
/// common servers accept.
const HEADERS_MAX: usize = 32;

/// Longest name of a token's parameter, in bytes.
const PARAM_BYTES_MAX: usize = 64;

/// What a token's parameter is called unless configured.
const PARAM: &str = "token";

/// The name of the header that carries user and password, or a bearer token.
const AUTHORIZATION: &str = "Authorization";

/// An address and what is shown there.
#[derive(Debug)]
pub struct Access {
    /// Where requests go, the token in its query.
    pub url: Option<Url>,
    /// The token in it, for further addresses of the same receiver.
    pub token: Option<Token>,
    /// Headers, `Authorization` first.
    pub headers: Vec<OwnHeader>,
    /// What `check` says of it.
    pub shown: Shown,
}

/// A token that goes into the query of an address. Prints without it.
#[derive(Clone)]
pub struct Token {
    param: String,
    text: String,
}

impl Token {
    /// `url` with the token in its query.
    pub fn at(&self, url: Url) -> Url {
        url.with_query(&self.param, &self.text)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=..", self.param)
    }
}

/// What `check` says of an [`Access`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown {
    /// The key that `Authorization` comes from.
    authorization: Option<&'static str>,
    /// What the token's parameter is called, where there is a token.
    token_param: Option<String>,
}

/// Reads the keys of `table` that say what an endpoint is shown.
pub fn access(table: &EndpointTable, place: &mut Place<'_>) -> Access {
    let mut shown = Shown::default();
    let (url, login) = match url(table, place) {
        Some((url, login)) => (Some(url), login),
        None => (None, None),
    };
    let mut headers = Vec::new();
    if let Some((key, value)) = authorization(table, login, place) {
        shown.authorization = Some(key);
        match OwnHeader::new(AUTHORIZATION, &value) {
            Ok(header) => headers.push(header.secret()),
            Err(error) => place.problem(key, written(table, key), error.to_string()),
        }
    }
    let token = token(table, place);
    let url = match &token {
        Some(token) => {
            shown.token_param = Some(token.param.clone());
            url.map(|url| token.at(url))
        }
        None => url,
    };
    own_headers(table, shown.authorization, &mut headers, place);
    Access {
        url,
        token,
        headers,
        shown,
    }
}

impl Shown {
    /// Adds the keys in force, without what is secret.
    pub fn put(&self, headers: &[OwnHeader], table: &mut toml::Table) {
        let hidden = || toml::Value::from("(hidden)");
        if let Some(key) = self.authorization {
            table.insert(key.to_string(), hidden());
        }
        if let Some(param) = &self.token_param {
            table.insert("token".to_string(), hidden());
            table.insert("token_param".to_string(), param.as_str().into());
        }
        let own: toml::Table = headers
            .iter()
            .skip(usize::from(self.authorization.is_some()))
            .map(|header| (header.name().to_string(), hidden()))
            .collect();
        if !own.is_empty() {
            table.insert("headers".to_string(), own.into());
        }
    }
}

fn url(table: &EndpointTable, place: &mut Place<'_>) -> Option<(Url, Option<Login>)> {
    let text = place.required("url", &table.url, "\"https://api.example.com/webhook\"")?;
    let plain_allowed = place.truth("allow_plain_http", &table.allow_plain_http, false);
    match checked_url(text, plain_allowed) {
        Ok(found) => Some(found),
        Err(refused) => {
            place.problem("url", &table.url, refused);
            None
        }
    }
}

/// An address that may be sent to, or why not and what to write.
pub fn checked_url(text: &str, plain_allowed: bool) -> Result<(Url, Option<Login>), String> {
    match Url::parse_with_login(text) {
        Ok((url, login)) if url.is_tls() || plain_allowed || is_loopback(url.host()) => {
            Ok((url, login))
        }
        Ok(_) => Err("http:// would send call records in the clear; write https://, or allow_plain_http = true if you must".to_string()),
        Err(error) => Err(format!("{error}; write it like \"https://api.example.com/webhook\"")),
    }
}

fn is_loopback(host: &Host) -> bool {
    match host {
        Host::Name(name) => name == "localhost",
        Host::Literal(address) => address.is_loopback(),
    }
}

/// The key that `Authorization` comes from, and its value.
fn authorization(
    table: &EndpointTable,
    login: Option<Login>,
    place: &mut Place<'_>,
) -> Option<(&'static str, String)> {
    let mut given = Vec::new();
    if login.is_some() {
        given.push("url");
    }
    for (key, written) in [
        ("basic_auth", &table.basic_auth),
        ("basic_auth_file", &table.basic_auth_file),
        ("bearer_file", &table.bearer_file),
    ] {
        if written.is_some() {
            given.push(key);
        }
    }
    if let [first, second, ..] = given.as_slice() {
        let what = format!("{first} already says who the agent is; keep one of the two");
        place.problem(second, written(table, second), what);
        return None;
    }
    let key = *given.first()?;
    if key == "url" {
        // Shown as what it is now: it was taken out of the address.
        return Some(("basic_auth", login?.header()));
    }
    let text = match key {
        "basic_auth" => match table.basic_auth.as_ref()?.get_ref() {
            Written::As(text) => text.clone(),
            Written::Not(_) => {
                place.problem(
                    key,
                    &table.basic_auth,
                    "this does not belong here; write basic_auth = \"user:password\"",
                );
                return None;
            }
        },
        _ => file(key, written(table, key), place)?,
    };
    if key == "bearer_file" {
        return Some((key, format!("Bearer {text}")));
    }
    match Login::parse(&text) {
        Ok(login) => Some((key, login.header())),
        Err(error) => {
            let like = match error {
                LoginError::NoColon | LoginError::Colon => "; write user:password",
                _ => "",
            };
            place.problem(key, written(table, key), format!("{error}{like}"));
            None
        }
    }
}

fn written<'t>(table: &'t EndpointTable, key: &str) -> &'t Key<String> {
    match key {
        "basic_auth" => &table.basic_auth,
        "basic_auth_file" => &table.basic_auth_file,
        "bearer_file" => &table.bearer_file,
        _ => &table.url,
    }
}

/// The text of a file that is not open to every user.
fn file(key: &str, written: &Key<String>, place: &mut Place<'_>) -> Option<String> {
    let path = place.path(key, written, "\"/etc/switchhook/crm.token\"")?;
    match secret::text_of(&path) {
        Ok(text) => Some(text),
        Err(what) => {
            place.problem(key, written, what);
            None
        }
    }
}

fn token(table: &EndpointTable, place: &mut Place<'_>) -> Option<Token> {
    let param = place.given("token_param", &table.token_param, "\"token\"");
    let param = param.map_or(PARAM, String::as_str);
    if table.token_file.is_none() && table.token_param.is_some() {
        place.problem(
            "token_param",
            &table.token_param,
            "there is no token; write token_file = \"/etc/switchhook/crm.token\" too",
        );
    }
    if !(1..=PARAM_BYTES_MAX).contains(&param.len()) {
        let what = format!("write the name of a parameter, at most {PARAM_BYTES_MAX} bytes");
        place.problem("token_param", &table.token_param, what);
    }
    let token = file("token_file", &table.token_file, place)?;
    if token.chars().any(char::is_control) {
        let what = "the token has a line end or another control character in it; it is one line";
        place.problem("token_file", &table.token_file, what);
        return None;
    }
    Some(Token {
        param: param.to_string(),
        text: token,
    })
}

fn own_headers(
    table: &EndpointTable,
    authorization: Option<&str>,
    headers: &mut Vec<OwnHeader>,
    place: &mut Place<'_>,
) {
    const LIKE: &str = "{ X-API-Key = \"…\", X-Other = { file = \"/etc/switchhook/other.key\" } }";
    let written = match table.headers.as_ref().map(toml::Spanned::get_ref) {
        None => return,
        Some(Written::As(written)) => written,
        // What stands there may be a secret: it is not shown.
        Some(Written::Not(_)) => {
            let what = format!("this does not belong here; write headers = {LIKE}");
            return place.problem("headers", &table.headers, what);
        }
    };
    if written.len() > HEADERS_MAX {
        let what = format!(
            "{} headers are too many; write {HEADERS_MAX} at most",
            written.len()
        );
        place.problem("headers", &table.headers, what);
    }
    for (name, value) in written {
        let found = header(name, value, authorization, place);
        match found {
            Ok(header) => headers.push(header),
            // The value may be a secret: it is never shown.
            Err(what) => place.problem("headers", &table.headers, format!("{name:?}: {what}")),
        }
    }
}

fn header(
    name: &str,
    value: &toml::Value,
    authorization: Option<&str>,
    place: &Place<'_>,
) -> Result<OwnHeader, String> {
    if let Some(key) = authorization
        && name.eq_ignore_ascii_case(AUTHORIZATION)
    {
        return Err(format!(
            "{key} makes this header already; keep one of the two"
        ));
    }
    let (text, is_file) = match value {
        toml::Value::String(text) => (text.clone(), false),
        toml::Value::Table(table) => match (table.len(), table.get("file")) {
            (1, Some(toml::Value::String(path))) => (secret::text_of(&place.resolve(path))?, true),
            _ => return Err("a table here has one key; write { file = \"/etc/…\" }".to_string()),
        },
        _ => return Err("write a text, or { file = \"/etc/…\" }".to_string()),
    };
    let header = OwnHeader::new(name, &text).map_err(|error| error.to_string())?;
    let is_login = name.eq_ignore_ascii_case(AUTHORIZATION);
    Ok(if is_file || is_login {
        header.secret()
    } else {
        header
    })
}
