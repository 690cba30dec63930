//! `signature` of an endpoint as written → how its requests are signed.

use super::file::EndpointTable;
use super::place::Place;
use crate::delivery::endpoint::OwnHeader;
use crate::delivery::signer::{Algorithm, Encoding, Part, SignatureScheme};

/// Most parts of what is signed.
const PARTS_MAX: usize = 16;

/// How an endpoint signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signing {
    /// As its profile does.
    OfProfile,
    /// Not at all.
    Unsigned,
    /// In its own way.
    Own(SignatureScheme),
}

/// Reads the key; what is wrong with it is noted, and counts as the profile's own way.
pub fn signing(table: &EndpointTable, place: &mut Place<'_>) -> Signing {
    let like = "\"none\", \"stripe\", or { header = \"X-Signature\" }";
    match place.given("signature", &table.signature, like).map(of) {
        None => Signing::OfProfile,
        Some(Ok(signing)) => signing,
        Some(Err(what)) => {
            place.problem("signature", &table.signature, what);
            Signing::OfProfile
        }
    }
}

/// Reads what is written for it: a name, or a table of its parts.
fn of(written: &toml::Value) -> Result<Signing, String> {
    match written {
        toml::Value::String(word) => named(word),
        toml::Value::Table(parts) => template(parts).map(Signing::Own),
        _ => Err("write \"none\", \"stripe\", or { header = \"X-Signature\" }".to_string()),
    }
}

fn named(word: &str) -> Result<Signing, String> {
    if word == "none" {
        return Ok(Signing::Unsigned);
    }
    SignatureScheme::named(word)
        .map(Signing::Own)
        .ok_or_else(|| {
            let names = SignatureScheme::NAMED.map(|(name, _)| name);
            format!(
                "no scheme is called {word:?}; write one of {}, none, or a table of its parts",
                names.join(", ")
            )
        })
}

/// Reads the same from a command line: a name, or the table as it stands in a configuration.
///
/// # Errors
///
/// The text says what is wrong with it.
pub fn parse(text: &str) -> Result<Signing, String> {
    of(&value(text)?)
}

/// What a configuration would hold for such a word of a command line.
///
/// # Errors
///
/// The text says what is wrong with a table.
pub fn value(text: &str) -> Result<toml::Value, String> {
    if !text.trim_start().starts_with('{') {
        return Ok(text.into());
    }
    let written: toml::Table = toml::from_str(&format!("signature = {text}"))
        .map_err(|error| error.message().to_string())?;
    let signature = written.get("signature").cloned();
    signature.ok_or_else(|| "write a table of its parts".to_string())
}

/// Puts a scheme together from its parts.
fn template(parts: &toml::Table) -> Result<SignatureScheme, String> {
    let known = [
        "header",
        "algorithm",
        "encoding",
        "prefix",
        "start",
        "signed",
        "timestamp_header",
        "id_header",
    ];
    if let Some(unknown) = parts.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(format!(
            "no part is called {unknown:?}; the parts are {}",
            known.join(", ")
        ));
    }
    let header =
        header(parts, "header")?.ok_or("the header is missing; write header = \"X-Signature\"")?;
    let mut scheme = SignatureScheme::plain(&header);
    if let Some(word) = text(parts, "algorithm")? {
        scheme.algorithm = match word {
            "hmac-sha256" => Algorithm::HmacSha256,
            "hmac-sha512" => Algorithm::HmacSha512,
            "ed25519" => Algorithm::Ed25519,
            _ => {
                return Err(format!(
                    "algorithm = {word:?} is not known; write hmac-sha256, hmac-sha512 or ed25519"
                ));
            }
        };
    }
    if let Some(word) = text(parts, "encoding")? {
        scheme.encoding = match word {
            "hex" => Encoding::Hex,
            "base64" => Encoding::Base64,
            _ => {
                return Err(format!(
                    "encoding = {word:?} is not known; write hex or base64"
                ));
            }
        };
    }
    for (key, slot) in [("prefix", &mut scheme.prefix), ("start", &mut scheme.start)] {
        if let Some(text) = text(parts, key)? {
            if OwnHeader::new(&scheme.header, text).is_err() {
                return Err(format!("{key} = {text:?} cannot stand in a header"));
            }
            *slot = text.to_string();
        }
    }
    if let Some(signed) = parts.get("signed") {
        scheme.signed = self::signed(signed)?;
    }
    scheme.timestamp_header = self::header(parts, "timestamp_header")?;
    scheme.id_header = self::header(parts, "id_header")?;
    let tells_time = scheme.timestamp_header.is_some() || scheme.start.contains("{timestamp}");
    if scheme.signed.contains(&Part::Timestamp) && !tells_time {
        return Err("the timestamp is signed, but no header tells it, so nobody could verify; add timestamp_header = \"X-Timestamp\"".into());
    }
    Ok(scheme)
}

fn text<'p>(parts: &'p toml::Table, key: &str) -> Result<Option<&'p str>, String> {
    match parts.get(key) {
        None => Ok(None),
        Some(toml::Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(format!("{key} = {other} is no text; put it in quotes")),
    }
}

fn header(parts: &toml::Table, key: &str) -> Result<Option<String>, String> {
    match text(parts, key)? {
        None => Ok(None),
        Some(name) => match OwnHeader::new(name, "") {
            Ok(_) => Ok(Some(name.to_string())),
            Err(error) => Err(format!("{key} = {name:?}: {error}")),
        },
    }
}

/// What is signed: words for what goes out, and text that starts with `=`.
fn signed(written: &toml::Value) -> Result<Vec<Part>, String> {
    let advice = "write a list like [\"timestamp\", \"=.\", \"body\"] of id, timestamp, body, url, method and =text";
    let items = written.as_array().ok_or(advice)?;
    let part = |item: &toml::Value| match item.as_str() {
        Some("id") => Ok(Part::Id),
        Some("timestamp") => Ok(Part::Timestamp),
        Some("body") => Ok(Part::Body),
        Some("url") => Ok(Part::Url),
        Some("method") => Ok(Part::Method),
        Some(text) if text.starts_with('=') => Ok(Part::Literal(text.replacen('=', "", 1))),
        _ => Err(format!(
            "signed holds {item}, which means nothing; {advice}"
        )),
    };
    let parts = items.iter().map(part).collect::<Result<Vec<_>, _>>()?;
    if parts.len() > PARTS_MAX {
        return Err(format!(
            "signed has {} parts; {PARTS_MAX} at most",
            parts.len()
        ));
    }
    // Which of the two it has to be depends on the method.
    if !parts.contains(&Part::Body) && !parts.contains(&Part::Url) {
        return Err("signed leaves the body out, so anybody could change it; add \"body\"".into());
    }
    Ok(parts)
}

/// A scheme as it would be written.
pub fn show(scheme: &SignatureScheme) -> toml::Value {
    if let Some(name) = scheme.name() {
        return name.into();
    }
    let mut table = toml::Table::new();
    let mut put = |key: &str, value: toml::Value| table.insert(key.to_string(), value);
    put("header", scheme.header.as_str().into());
    let algorithm = match scheme.algorithm {
        Algorithm::HmacSha256 => "hmac-sha256",
        Algorithm::HmacSha512 => "hmac-sha512",
        Algorithm::Ed25519 => "ed25519",
    };
    put("algorithm", algorithm.into());
    let encoding = match scheme.encoding {
        Encoding::Hex => "hex",
        Encoding::Base64 => "base64",
    };
    put("encoding", encoding.into());
    put("start", scheme.start.as_str().into());
    put("prefix", scheme.prefix.as_str().into());
    let part = |part: &Part| match part {
        Part::Id => "id".into(),
        Part::Timestamp => "timestamp".into(),
        Part::Body => "body".into(),
        Part::Url => "url".into(),
        Part::Method => "method".into(),
        Part::Literal(text) => format!("={text}").into(),
    };
    let signed: Vec<toml::Value> = scheme.signed.iter().map(part).collect();
    put("signed", signed.into());
    for (key, header) in [
        ("timestamp_header", &scheme.timestamp_header),
        ("id_header", &scheme.id_header),
    ] {
        if let Some(header) = header {
            put(key, header.as_str().into());
        }
    }
    table.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<SignatureScheme, String> {
        template(&toml::from_str(text).unwrap())
    }

    #[test]
    fn a_scheme_of_one_s_own_is_put_together_and_shown_as_it_was_written() {
        let scheme = parse(
            "header = \"X-Sign\"\nalgorithm = \"hmac-sha512\"\nencoding = \"base64\"\nprefix = \"v1,\"\n\
             signed = [\"method\", \"=.\", \"url\", \"=.\", \"timestamp\", \"=.\", \"body\"]\ntimestamp_header = \"X-Time\"",
        )
        .unwrap();
        assert_eq!(scheme.signed.len(), 7);
        assert_eq!(scheme.signed[1], Part::Literal(".".into()));
        let shown = show(&scheme).as_table().unwrap().clone();
        assert_eq!(template(&shown), Ok(scheme));
    }

    #[test]
    fn every_scheme_with_a_name_is_shown_by_a_name_that_means_the_same() {
        for (name, scheme) in SignatureScheme::NAMED {
            let scheme = scheme();
            assert_eq!(SignatureScheme::named(name).as_ref(), Some(&scheme));
            let shown = show(&scheme);
            assert_eq!(
                SignatureScheme::named(shown.as_str().unwrap()),
                Some(scheme)
            );
        }
    }

    #[test]
    fn a_command_line_says_a_scheme_in_the_words_of_the_configuration() {
        assert_eq!(super::parse("none"), Ok(Signing::Unsigned));
        let stripe = Signing::Own(SignatureScheme::stripe());
        assert_eq!(super::parse("stripe"), Ok(stripe));
        let own = super::parse("{ header = \"X-Sign\", prefix = \"v=\" }");
        let scheme = SignatureScheme {
            prefix: "v=".to_string(),
            ..SignatureScheme::plain("X-Sign")
        };
        assert_eq!(own, Ok(Signing::Own(scheme)));
        for (text, part) in [
            ("strip", "no scheme is called \"strip\""),
            ("{ headr = \"X\" }", "no part is called"),
            ("{ header = ", "expected"),
        ] {
            let error = super::parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn what_could_not_protect_a_body_is_refused() {
        for (text, part) in [
            ("", "header is missing"),
            ("header = \"Host\"", "header"),
            (
                "header = \"X\"\nsigned = [\"timestamp\"]",
                "leaves the body out",
            ),
            ("header = \"X\"\nsigned = [\"query\"]", "means nothing"),
            ("header = \"X\"\nalgorithm = \"md5\"", "not known"),
            ("header = \"X\"\nencoding = \"hex2\"", "not known"),
            (
                "header = \"X\"\nprefix = \"a\\r\\nb\"",
                "cannot stand in a header",
            ),
            ("header = \"X\"\nheadr = \"Y\"", "no part is called"),
            ("header = 7", "no text"),
            (
                "header = \"X\"\nsigned = [\"timestamp\", \"body\"]",
                "no header tells it",
            ),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
