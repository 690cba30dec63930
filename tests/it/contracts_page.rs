//! docs/contracts.md is what the program does: what is made there is made anew and compared.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use switchhook::clock::UnixMs;
use switchhook::delivery::endpoint::Endpoint;
use switchhook::delivery::packing::{Content, Method};
use switchhook::delivery::profile::Profile;
use switchhook::delivery::request::SignedRequest;
use switchhook::delivery::signer::Signer;
use switchhook::delivery::url::Url;
use switchhook::event::sample::sample;
use switchhook::event::shape::{self, Holds};
use switchhook::event::{EventId, Sequence};
use switchhook::queue::Queued;
use switchhook::receiver::{self, Verifier};

/// When the examples happened and were sent: the time of the guides' own.
const AT: UnixMs = UnixMs(1_775_745_045_000);

/// Secrets of the examples: the one of the Standard Webhooks specification, and the guides'.
const SECRETS: [&str; 2] = [
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "your-secret-key-here",
];

/// Set it to write the page anew.
const WRITE: &str = "SWITCHHOOK_WRITE_DOCS";

#[test]
fn the_page_for_receivers_is_what_the_program_does() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/contracts.md");
    let written = fs::read_to_string(&path).unwrap();
    let mut made = String::new();
    let mut pieces = 0;
    let mut lines = written.lines();
    while let Some(line) = lines.next() {
        writeln!(made, "{line}").unwrap();
        let Some(what) = line.strip_prefix("<!-- made: ") else {
            continue;
        };
        let words: Vec<&str> = what.strip_suffix(" -->").unwrap().split(' ').collect();
        made += &match words[..] {
            ["profiles"] => profiles(),
            ["names"] => names(),
            ["members", kind] => members(kind),
            ["example", profile, kind] => example(profile, kind, ""),
            ["example", profile, kind, packing] => example(profile, kind, packing),
            _ => panic!("{line}"),
        };
        assert!(
            lines.any(|line| line == "<!-- end -->"),
            "{line} has no end"
        );
        made += "<!-- end -->\n";
        pieces += 1;
    }
    assert!(pieces > 20, "{pieces}");
    if std::env::var_os(WRITE).is_some() {
        fs::write(&path, &made).unwrap();
    } else {
        assert!(
            made == written,
            "docs/contracts.md is not what the program does; {WRITE}=1 writes it anew"
        );
    }
}

fn profiles() -> String {
    let mut rows = String::from(
        "| profile | success | time for an answer | attempts of a refused event |\n| --- | --- | --- | --- |\n",
    );
    for (name, profile) in Profile::ALL {
        let defaults = profile.defaults();
        let success = match defaults.success.ranges()[0].clone() {
            range if range.start() == range.end() => format!("{}", range.start()),
            range => format!("{} to {}", range.start(), range.end()),
        };
        let (secs, attempts) = (defaults.timeout.as_secs(), defaults.attempts);
        writeln!(rows, "| `{name}` | {success} | {secs} s | {attempts} |").unwrap();
    }
    rows
}

fn names() -> String {
    let cases = [
        ("cdr", "answered, or not said", r#"{"connected":true}"#),
        ("cdr", "not answered", r#"{"connected":false}"#),
        ("call", "ringing", ""),
        ("call", "answered", ""),
        ("call", "hangup", ""),
        ("recording", "", "{}"),
        ("conference", "started", ""),
        ("conference", "ended", ""),
        ("conference", "join", ""),
        ("conference", "leave", ""),
        ("queue", "join", ""),
        ("queue", "connect", ""),
        ("queue", "abandon", ""),
        ("queue", "timeout", ""),
        ("agent_state", "pause", ""),
        ("agent_state", "unpause", ""),
        ("account", "", "{}"),
        ("alarm", "", "{}"),
        ("balance_alert", "", "{}"),
        ("payment", "", "{}"),
    ];
    let mut rows = String::from(
        "| event | `state` | `vobiz` | `vobiz-voice` | `voipbin` |\n| --- | --- | --- | --- | --- |\n",
    );
    for (kind, state, data) in cases {
        let data = match data {
            "" => format!("{{\"state\":\"{state}\"}}"),
            data => data.to_string(),
        };
        let mut queued = event(kind);
        Arc::get_mut(&mut queued.event).unwrap().data = data.into_bytes().into();
        let name = |profile: Profile, key: &str| {
            let mut body = Vec::new();
            profile.render(&queued, &mut body);
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            body[key].as_str().unwrap().to_string()
        };
        let (vobiz, voice) = (
            name(Profile::Vobiz, "event"),
            name(Profile::VobizVoice, "Event"),
        );
        let voipbin = name(Profile::Voipbin, "type");
        writeln!(
            rows,
            "| `{kind}` | {state} | `{vobiz}` | `{voice}` | `{voipbin}` |"
        )
        .unwrap();
    }
    rows
}

fn members(kind: &str) -> String {
    let shapes = shape::all();
    let shape = shapes.iter().find(|shape| shape.kind == kind).unwrap();
    let mut rows = format!("`{kind}`:\n\n| key | value | what it says |\n| --- | --- | --- |\n");
    for field in &shape.fields {
        let mut value = match field.holds {
            Holds::Text | Holds::Level | Holds::Word(_) => "text",
            Holds::Amount => "decimal as text",
            Holds::Time => "time",
            Holds::Whole => "whole number",
            Holds::Truth => "true or false",
            Holds::Texts => "list of texts",
            Holds::Columns => "object",
        }
        .to_string();
        if field.is_nullable {
            value += " or null";
        }
        if field.is_optional {
            value += "; not always there";
        }
        writeln!(rows, "| `{}` | {value} | {} |", field.key, field.about).unwrap();
    }
    rows
}

fn event(kind: &str) -> Queued {
    let id = EventId(0x8f2c_5a70_11d4_4b6e_9a3d_52c1_7e08_b4f6_u128.to_be_bytes());
    Queued {
        sequence: Sequence(48_213),
        event: Arc::new(sample(kind, &"vos-1".into(), id, AT, &[]).unwrap()),
    }
}

/// A whole request; the receiver of the project, which has another signer's code, verifies it.
fn example(profile: &str, kind: &str, packing: &str) -> String {
    let url = "http://crm.example/webhook";
    let own = Profile::named(profile).unwrap();
    let secret = match own {
        Profile::Standard | Profile::CloudEvents => SECRETS[0],
        _ => SECRETS[1],
    };
    let mut endpoint = Endpoint::new("crm", Url::parse(url).unwrap(), own);
    endpoint.secret = Some(own.secret(secret).unwrap());
    match packing {
        "" => {}
        "form" => endpoint.packing.content = Content::Form,
        "get" => {
            endpoint.packing.method = Method::Get;
            endpoint.signature = endpoint.signature.clone().over_url();
        }
        _ => panic!("{packing}"),
    }
    let queued = event(kind);
    let mut body = Vec::new();
    endpoint.body.render(&queued, &mut body);
    let signer = Signer::new(endpoint.signature.clone(), &endpoint.secret);
    let request = SignedRequest::new(&endpoint, &signer, &queued, 1, AT, &body);
    let address = request.url.as_deref().unwrap_or(url);
    let mut headers = hyper::HeaderMap::new();
    let mut text = format!(
        "Secret `{secret}`:\n\n```http\n{} {} HTTP/1.1\nHost: crm.example\n",
        request.method.as_str(),
        address.strip_prefix("http://crm.example").unwrap(),
    );
    for (name, value) in &request.headers {
        let name = hyper::header::HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, value.parse().unwrap());
    }
    for (name, value) in &request.headers {
        // The page must not change with every release.
        let value = value.replace(env!("CARGO_PKG_VERSION"), "VERSION");
        writeln!(text, "{name}: {value}").unwrap();
    }
    let signed = match packing {
        "get" => address.as_bytes(),
        _ => &request.body,
    };
    let verifier = Verifier::new(profile.parse::<receiver::Profile>().unwrap(), &[secret]);
    assert_eq!(
        verifier.unwrap().verify(&headers, signed, AT),
        Ok(()),
        "{profile}"
    );
    if packing != "get" {
        let length = request.body.len();
        let body = std::str::from_utf8(&request.body).unwrap();
        write!(text, "Content-Length: {length}\n\n{body}\n").unwrap();
    }
    text += "```\n";
    text
}
