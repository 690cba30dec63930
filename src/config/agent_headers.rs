//! `agent_headers` of an endpoint as written → by which headers a request says what the agent knows.

use super::file::EndpointTable;
use super::place::Place;
use crate::delivery::agent_headers::{AgentHeaders, Told};
use crate::delivery::endpoint::{Endpoint, OwnHeader};

const LIKE: &str = "{ id = \"X-Request-Id\", node = \"off\" }";

const OFF: &str = "off";

/// What every request has, beside the names that nobody can give a header.
const ALWAYS_SENT: [&str; 3] = ["Content-Type", "User-Agent", "Accept-Encoding"];

/// Reads the key into `endpoint`, whose signature and own headers are there, and notes where two
/// headers would have one name: receivers do not agree on which of the two counts.
pub fn agent_headers(table: &EndpointTable, endpoint: &mut Endpoint, place: &mut Place<'_>) {
    if let Some(written) = place.given("agent_headers", &table.agent_headers, LIKE) {
        match read(written, endpoint) {
            Ok(headers) => endpoint.agent_headers = headers,
            Err(what) => place.problem("agent_headers", &table.agent_headers, what),
        }
    }
    one_of_a_name(table, endpoint, place);
}

fn one_of_a_name(table: &EndpointTable, endpoint: &Endpoint, place: &mut Place<'_>) {
    let scheme = &endpoint.signature;
    let mut seen = ALWAYS_SENT.to_vec();
    seen.extend(endpoint.agent_headers.iter().map(|(_, name)| name));
    for name in scheme.names() {
        if is_among(&seen, name) {
            let what = format!("{name:?} is sent already; write another name");
            place.problem("signature", &table.signature, what);
        }
        seen.push(name);
    }
    // An operator's header takes the place of what is always sent, and of the agent's.
    let mut seen = Vec::new();
    for name in endpoint.headers.iter().map(OwnHeader::name) {
        if endpoint.secret.is_some() && scheme.makes(name) {
            let what = format!("{name:?}: the signature makes this header; leave it out here");
            place.problem("headers", &table.headers, what);
        } else if is_among(&seen, name) {
            let what = format!(
                "{name:?} is here twice, for upper and lower case are one in names of headers; keep one of the two"
            );
            place.problem("headers", &table.headers, what);
        }
        seen.push(name);
    }
}

fn read(written: &toml::Value, endpoint: &Endpoint) -> Result<AgentHeaders, String> {
    let names = match written {
        toml::Value::Boolean(true) => return Ok(AgentHeaders::default()),
        toml::Value::Boolean(false) => return Ok(AgentHeaders::none()),
        toml::Value::String(word) if word == OFF => return Ok(AgentHeaders::none()),
        toml::Value::Table(names) => names,
        _ => return Err(format!("write true, false, or names like {LIKE}")),
    };
    let mut headers = AgentHeaders::default();
    for (word, name) in names {
        let Some((_, told, _)) = Told::ALL.into_iter().find(|(own, ..)| own == word) else {
            let words = Told::ALL.map(|(word, ..)| word).join(", ");
            return Err(format!("{word:?} means nothing; the agent tells {words}"));
        };
        let Some(name) = name.as_str() else {
            return Err(format!("{word} = {name} is no name; write {LIKE}"));
        };
        if name == OFF {
            headers.call(told, None);
            continue;
        }
        let checked = OwnHeader::new(name, "").map_err(|error| format!("{name:?}: {error}"))?;
        headers.call(told, Some(checked.name().to_string()));
    }
    let mut seen = ALWAYS_SENT.to_vec();
    seen.extend(endpoint.headers.iter().map(OwnHeader::name));
    for (_, name) in headers.iter() {
        if endpoint.signature.makes(name) || is_among(&seen, name) {
            return Err(format!("{name:?} is sent already; write another name"));
        }
        seen.push(name);
    }
    Ok(headers)
}

fn is_among(seen: &[&str], name: &str) -> bool {
    seen.iter().any(|it| it.eq_ignore_ascii_case(name))
}

/// As it would be written.
pub fn show(headers: &AgentHeaders) -> toml::Value {
    if *headers == AgentHeaders::default() {
        return true.into();
    }
    if *headers == AgentHeaders::none() {
        return false.into();
    }
    let name = |told| headers.iter().find(|(own, _)| *own == told);
    let names = Told::ALL.into_iter().map(|(word, told, _)| {
        let name = name(told).map_or(OFF, |(_, name)| name);
        (word.to_string(), name.into())
    });
    toml::Value::Table(names.collect())
}
