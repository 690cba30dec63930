//! `method`, `content`, `compress` and `signature_over` of an endpoint → how its requests carry
//! events.

use super::file::EndpointTable;
use super::place::Place;
use super::written::Written;
use crate::delivery::endpoint::Endpoint;
use crate::delivery::packing::{Compress, Content, Method, SignedOver};
use crate::delivery::profile::{Body, Profile};
use crate::delivery::signer::Part;

const CONTENTS: [(&str, Content); 2] = [("json", Content::Json), ("form", Content::Form)];

const COMPRESSIONS: [(&str, Compress); 2] = [("off", Compress::Off), ("gzip", Compress::Gzip)];

const SIGNED: [(&str, SignedOver); 2] =
    [("content", SignedOver::Content), ("sent", SignedOver::Sent)];

/// Reads the keys into `endpoint`, whose body and signature are there; what is wrong is noted.
pub fn packing(table: &EndpointTable, endpoint: &mut Endpoint, place: &mut Place<'_>) {
    let packing = &mut endpoint.packing;
    packing.method = place.choice("method", &table.method, Method::Post, &Method::ALL);
    packing.content = place.choice("content", &table.content, Content::Json, &CONTENTS);
    packing.compress = place.choice("compress", &table.compress, Compress::Off, &COMPRESSIONS);
    packing.signed = place.choice(
        "signature_over",
        &table.signature_over,
        SignedOver::Content,
        &SIGNED,
    );
    let packing = *packing;
    let is_get = packing.method == Method::Get;
    if is_get && table.content.is_some() {
        let what = "a GET has no body, and its fields are in the address; leave content out";
        place.problem("content", &table.content, what);
    }
    if table.batch.is_some() && (is_get || packing.content == Content::Form) {
        let what = "a batch is a list in JSON, which a form and an address have no room for; leave batch out, or content = \"form\" and method = \"GET\"";
        place.problem("batch", &table.batch, what);
    }
    if is_get && packing.compress == Compress::Gzip {
        let what = "a GET has no body to compress; leave compress out";
        place.problem("compress", &table.compress, what);
    }
    if table.signature_over.is_some() && packing.compress == Compress::Off {
        let what = "it says what of a compressed body is signed; write compress = \"gzip\" too, or leave it out";
        place.problem("signature_over", &table.signature_over, what);
    }
    let is_form = packing.content == Content::Form;
    if (is_get || is_form) && endpoint.body == Body::Of(Profile::CloudEvents) {
        let (key, written) = match is_form {
            true => ("content", &table.content),
            false => ("method", &table.method),
        };
        let what = "receivers of CloudEvents expect JSON; leave it out, or write another profile";
        place.problem(key, written, what);
    }
    let signed = &endpoint.signature.signed;
    let is_own = is_template(table);
    if is_own && is_get && !signed.contains(&Part::Url) {
        let what = "a GET carries its fields in the address, so a signature without it covers none of them; add \"url\" to signed";
        place.problem("signature", &table.signature, what);
    }
    if is_own && !is_get && !signed.contains(&Part::Body) {
        let what = "signed leaves the body out, so anybody could change it; add \"body\"";
        place.problem("signature", &table.signature, what);
    }
    if is_get {
        endpoint.signature = endpoint.signature.clone().over_url();
    }
}

/// Whether the signature is put together by hand, and not one of those with a name.
fn is_template(table: &EndpointTable) -> bool {
    let written = table.signature.as_ref().map(|key| key.get_ref());
    matches!(written, Some(Written::As(toml::Value::Table(_))))
}

/// The keys as they would be written, with every default.
pub fn show(endpoint: &Endpoint) -> Vec<(&'static str, toml::Value)> {
    let packing = endpoint.packing;
    let mut shown = vec![("method", packing.method.as_str().into())];
    if packing.method == Method::Get {
        return shown;
    }
    shown.push(("content", word(&CONTENTS, packing.content)));
    shown.push(("compress", word(&COMPRESSIONS, packing.compress)));
    if packing.compress != Compress::Off {
        shown.push(("signature_over", word(&SIGNED, packing.signed)));
    }
    shown
}

fn word<T: PartialEq>(words: &[(&'static str, T)], value: T) -> toml::Value {
    let found = words.iter().find(|(_, known)| *known == value);
    found.map_or("", |(word, _)| *word).into()
}
