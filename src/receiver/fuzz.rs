//! A door for the fuzz targets: what a sender can put into a request, and what a file can hold.

use super::callback::Callback;
use super::content::Content;
use super::desk::BODY_BYTES_MAX;
use super::diagnosis::Diagnosis;
use super::fault::Fault;
use super::relay::Target;
use super::saved::SavedRequest;
use super::verify::{Judged, Profile, Verifier};
use crate::clock::UnixMs;
use crate::delivery::endpoint::Endpoint;
use crate::delivery::packing::{Compress, Content as Packed, Method, SignedOver};
use crate::delivery::profile;
use crate::delivery::request::SignedRequest;
use crate::delivery::signer::{Algorithm, Encoding, Part, SignatureScheme, Signer};
use crate::delivery::url::Url;
use crate::event::{Event, EventId, Labels, Sequence};
use crate::queue::Queued;
use crate::timestamp::Timestamp;
use hyper::body::Bytes;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Request};
use std::sync::{Arc, LazyLock};

/// The example of the Standard Webhooks specification.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const WALL: UnixMs = UnixMs(1_614_265_330_000);

const PROFILES: [Profile; 5] = [
    Profile::Standard,
    Profile::Vos3000,
    Profile::Vobiz,
    Profile::CloudEvents,
    Profile::Voipbin,
];

static VERIFIERS: LazyLock<Vec<Verifier>> = LazyLock::new(|| {
    let verifier = |profile| Verifier::new(profile, &[SECRET, "whsec_AAAA"]).expect("two secrets");
    let mut all: Vec<Verifier> = PROFILES.map(verifier).into();
    for scheme in [SignatureScheme::stripe(), over_everything()] {
        let verifier = Verifier::with_scheme(Profile::Custom, scheme, &[SECRET, PUBLIC]);
        all.push(verifier.expect("two secrets"));
    }
    let public = Verifier::new(Profile::Standard, &[SECRET, PUBLIC]);
    all.push(public.expect("a secret and a key"));
    all
});

/// The public key of RFC 8032, section 7.1, test 2.
const PUBLIC: &str = "whpk_PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=";

/// A template that uses every part there is.
fn over_everything() -> SignatureScheme {
    SignatureScheme {
        algorithm: Algorithm::HmacSha512,
        encoding: Encoding::Base64,
        start: "at={timestamp};".to_string(),
        prefix: "mac=".to_string(),
        separator: Some(","),
        signed: vec![
            Part::Id,
            Part::Method,
            Part::Url,
            Part::Literal("|".to_string()),
            Part::Timestamp,
            Part::Body,
        ],
        ..SignatureScheme::plain("x-signature")
    }
}

/// A request as it lies in a file, headers and body: its content, its signature by every profile, and
/// what it says. Bytes that nobody signed are never believed.
pub fn request(data: &[u8]) {
    let Ok(saved) = SavedRequest::from_dump(data) else {
        return;
    };
    for (method, uri) in [("POST", "/webhook"), ("GET", "")] {
        let query = format!("/webhook?{}", String::from_utf8_lossy(&saved.body));
        let request =
            Request::builder()
                .method(method)
                .uri(if uri.is_empty() { &query } else { uri });
        let Ok(request) = request.body(()) else {
            continue;
        };
        let (mut head, ()) = request.into_parts();
        head.headers = saved.headers.clone();
        let content = match Content::of(&head, saved.body.clone()) {
            Ok(content) => content,
            Err(error) => {
                drop(error.to_string());
                continue;
            }
        };
        assert!(content.text.len() <= BODY_BYTES_MAX || content.packed.is_none());
        for verifier in VERIFIERS.iter() {
            look(verifier, &head, &content);
        }
    }
}

fn look(verifier: &Verifier, head: &Parts, content: &Content) {
    let request = judged(head);
    let signed = content.signed_under(verifier.urls());
    let (signed, verdict) = verifier.choose(&request, &signed, WALL);
    let signed = signed.expect("there is always one");
    let is_known = verdict.is_ok();
    let request = request.with_body(signed);
    let diagnosis = Diagnosis::of(verifier, &request, WALL, false);
    assert_eq!(diagnosis.is_believed(), is_known);
    let mut told = diagnosis.to_string();
    for line in verifier.explain(&request) {
        told.push_str(&line);
    }
    assert!(!told.contains(&SECRET[6..]), "a secret was told");
    let Ok(callbacks) = Callback::of(verifier.profile(), &head.headers, &content.json) else {
        return;
    };
    assert!(!callbacks.is_empty());
    for callback in callbacks {
        assert!(!callback.id.is_empty() && !callback.kind.is_empty());
        assert_eq!(callback.clone().into_owned(), callback);
    }
}

fn judged(head: &Parts) -> Judged<'_> {
    let target = head.uri.path_and_query();
    Judged {
        headers: &head.headers,
        method: head.method.as_str(),
        target: target.map_or("", |target| target.as_str()),
        body: b"",
    }
}

/// A file of saved requests: each is written in both forms as it is read again.
pub fn saved(data: &[u8]) {
    for saved in SavedRequest::all(data) {
        let saved = match saved {
            Ok(saved) => saved,
            Err(error) => {
                drop(error.to_string());
                continue;
            }
        };
        let _ = saved.announced_bytes();
        let line = SavedRequest::from_line(&saved.to_line()).expect("it was just written");
        assert_eq!(line.body, saved.body);
        assert_eq!(line.ids, saved.ids);
        assert_eq!(line.target(), saved.target());
        let dump = SavedRequest::from_dump(&saved.to_dump()).expect("it was just written");
        assert_eq!(dump.ids, saved.ids);
        assert_eq!(dump.target(), saved.target());
        if saved.announced_bytes().is_none() {
            assert_eq!(dump.body, saved.body);
        }
    }
}

/// What the command line of `receive` is asked for: faults, and where to hand on.
pub fn fault(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match text.parse::<Fault>() {
        Ok(fault) => assert!((0.0..=1.0).contains(&fault.rate)),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    match text.parse::<Target>() {
        Ok(target) => assert!(target.to_string().starts_with("http://")),
        Err(what) => assert!(!what.is_empty()),
    }
}

/// The `data` of an event: whatever way an endpoint of any profile gets it, the signature is right,
/// and event and sequence are found again.
pub fn body(data: &[u8]) {
    let Ok(object) = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(data)
    else {
        return;
    };
    let queued = Queued {
        sequence: Sequence(7),
        event: Arc::new(Event {
            id: EventId([7; 16]),
            kind: "cdr".into(),
            time: Timestamp::from_secs(WALL.unix_secs()),
            node: "vos-1".into(),
            labels: Labels::default(),
            data: serde_json::Value::Object(object)
                .to_string()
                .into_bytes()
                .into(),
        }),
    };
    for (name, profile) in profile::Profile::ALL {
        let url = Url::parse("http://127.0.0.1/webhook").expect("an address");
        let mut endpoint = Endpoint::new("a", url, profile);
        endpoint.secret = profile.secret(SECRET).ok();
        let mut body = Vec::new();
        endpoint.render(&queued, &mut body);
        let read: serde_json::Value = serde_json::from_slice(&body).expect("a body is JSON");
        assert!(read.is_object());
        let signer = Signer::new(endpoint.signature.clone(), &endpoint.secret);
        let own: Profile = name.parse().expect("a profile of both sides");
        let verifier = VERIFIERS.iter().find(|known| known.profile() == own);
        let verifier = verifier.expect("one for each profile");
        for (method, content, compress, signed) in [
            (
                Method::Post,
                Packed::Json,
                Compress::Off,
                SignedOver::Content,
            ),
            (Method::Put, Packed::Form, Compress::Gzip, SignedOver::Sent),
            (
                Method::Post,
                Packed::Json,
                Compress::Gzip,
                SignedOver::Content,
            ),
        ] {
            endpoint.packing.method = method;
            endpoint.packing.content = content;
            endpoint.packing.compress = compress;
            endpoint.packing.signed = signed;
            let request = SignedRequest::new(&endpoint, &signer, &queued, 1, WALL, &body);
            let mut head = Request::new(()).into_parts().0;
            head.method = method.as_str().parse().expect("a method");
            head.headers = headers(&request);
            let content = Content::of(&head, Bytes::from(request.body.to_vec()));
            let content = content.expect("what we pack can be unpacked");
            let (_, verdict) = verifier.choose(&judged(&head), &content.signed, WALL);
            assert_eq!(verdict, Ok(()), "{name}");
            if endpoint.packing.content == Packed::Json {
                let found = Callback::parse(own, &content.json).expect("a callback");
                assert_eq!(found.id, queued.event.id.to_string());
                assert!(found.sequence.is_none_or(|sequence| sequence == 7));
            }
        }
    }
}

fn headers(request: &SignedRequest<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        let added = super::add_header(&mut headers, name.as_bytes(), value.as_bytes());
        added.expect("we send headers");
    }
    headers
}
