//! Page: a small web page that shows what arrives, for a browser on the same machine.
//!
//! One embedded file, which fetches news from where it came from and nothing from anywhere else; the
//! policy sent with it forbids it to. On a loopback address only requests that name one are answered:
//! a tunnel that lets the sender in, or a foreign page whose name leads here, does not see the calls.

use super::desk::Reply;
use super::history::History;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderName, HeaderValue,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// The page; below 20 KiB.
const HTML: &str = include_str!("page.html");

/// Sent by the page's own script with what changes something. Another site's script cannot send it
/// without asking first, which is not answered.
const CHANGE_HEADER: HeaderName = HeaderName::from_static("x-switchhook-page");

/// The page and what it shows.
#[derive(Debug)]
pub struct Page {
    /// What it shows.
    pub history: Mutex<History>,
    is_loopback: bool,
    policy: HeaderValue,
}

impl Page {
    /// A page served on `addr`, of the run that began at `run` in milliseconds; `judged_by` says what
    /// requests are looked at for.
    pub fn new(addr: IpAddr, run: i64, judged_by: String) -> Page {
        let policy = format!(
            "default-src 'none'; connect-src 'self'; style-src {}; script-src {}; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            digest_of("style"),
            digest_of("script"),
        );
        Page {
            history: Mutex::new(History::new(run, judged_by)),
            is_loopback: addr.is_loopback(),
            policy: HeaderValue::try_from(policy).expect("Base64 and words are a header's value"),
        }
    }

    /// Answers what the page is made of; none where the request is for something else.
    pub fn answer(&self, head: &Parts) -> Option<Reply> {
        let is_change = head.method == Method::POST;
        let is_look = head.method == Method::GET || head.method == Method::HEAD;
        let part = match head.uri.path() {
            "/" if is_look => Page::html,
            "/arrivals" if is_look => Page::news,
            "/clear" if is_change => Page::clear,
            _ => return None,
        };
        if self.is_loopback && !names_loopback(head) {
            let text =
                "this page is for this machine alone; open it under 127.0.0.1 or localhost\n";
            return Some(plain(StatusCode::FORBIDDEN, text));
        }
        Some(part(self, head))
    }

    fn html(&self, _head: &Parts) -> Reply {
        let mut reply = reply(
            "text/html; charset=utf-8",
            Bytes::from_static(HTML.as_bytes()),
        );
        reply
            .headers_mut()
            .insert(CONTENT_SECURITY_POLICY, self.policy.clone());
        reply
    }

    fn news(&self, head: &Parts) -> Reply {
        let query = head.uri.query().unwrap_or_default();
        let after = query.strip_prefix("after=").unwrap_or_default();
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let news = history.since(after.parse().unwrap_or(0));
        drop(history);
        reply("application/json", news.to_string().into())
    }

    fn clear(&self, head: &Parts) -> Reply {
        if !head.headers.contains_key(CHANGE_HEADER) {
            return plain(StatusCode::FORBIDDEN, "only the page itself clears\n");
        }
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        history.clear();
        reply("application/json", Bytes::from_static(b"{}"))
    }
}

/// Whether the request was sent to a name of this machine's loopback.
fn names_loopback(head: &Parts) -> bool {
    let host = head.headers.get(HOST).and_then(|host| host.to_str().ok());
    let authority = host.and_then(|host| host.parse::<hyper::http::uri::Authority>().ok());
    let name = authority.as_ref().map(|authority| authority.host());
    let name = name.unwrap_or_default().trim_matches(['[', ']']);
    let addr: Option<IpAddr> = name.parse().ok();
    name.eq_ignore_ascii_case("localhost") || addr.is_some_and(|addr| addr.is_loopback())
}

/// The policy's word for the page's only element `name`.
fn digest_of(name: &str) -> String {
    let (begin, end) = (format!("<{name}>"), format!("</{name}>"));
    let inside = HTML
        .split_once(&begin)
        .and_then(|(_, rest)| rest.split_once(&end))
        .map_or("", |(inside, _)| inside);
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(inside)))
}

fn plain(status: StatusCode, text: &'static str) -> Reply {
    let mut reply = reply(
        "text/plain; charset=utf-8",
        Bytes::from_static(text.as_bytes()),
    );
    *reply.status_mut() = status;
    reply
}

fn reply(kind: &'static str, body: Bytes) -> Reply {
    let mut reply = Response::new(Full::new(body));
    for (name, value) in [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ] {
        reply
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    reply
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Request;
    use std::net::Ipv4Addr;

    fn ask(page: &Page, method: &str, path: &str, headers: &[(&str, &str)]) -> Option<Reply> {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        page.answer(&head)
    }

    #[track_caller]
    fn check(addr: IpAddr, host: &str, expected: u16) {
        let page = Page::new(addr, 1, String::new());
        let reply = ask(&page, "GET", "/", &[("host", host)]).unwrap();
        assert_eq!(reply.status().as_u16(), expected, "{host}");
    }

    #[test]
    fn on_the_loopback_only_its_own_names_are_answered() {
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        for host in ["127.0.0.1:8080", "localhost", "LOCALHOST:1", "[::1]:8080"] {
            check(here, host, 200);
        }
        for host in [
            "abc.ngrok.example",
            "192.0.2.1:8080",
            "",
            "localhost.evil.example",
        ] {
            check(here, host, 403);
        }
        check(IpAddr::V4(Ipv4Addr::UNSPECIFIED), "pc.example:8080", 200);
    }

    #[test]
    fn the_page_is_small_and_carries_nothing_from_outside() {
        assert!(HTML.len() < 20 << 10, "{}", HTML.len());
        for word in [
            "src=",
            "href=",
            "http://",
            "https://",
            "@import",
            "innerHTML",
            "eval(",
        ] {
            assert!(!HTML.contains(word), "{word}");
        }
        assert_eq!(HTML.matches("<script>").count(), 1);
        assert_eq!(HTML.matches("<style>").count(), 1);
        assert_eq!(HTML.matches(" style=").count(), 0, "the policy forbids it");
    }

    #[test]
    fn its_policy_allows_its_own_script_and_nothing_else() {
        let page = Page::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1, String::new());
        let reply = ask(&page, "GET", "/", &[("host", "localhost")]).unwrap();
        let policy = reply.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; connect-src 'self'; style-src 'sha256-"));
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(
            !policy.contains(&STANDARD.encode(Sha256::digest(""))),
            "{policy}"
        );
    }

    #[test]
    fn what_is_no_part_of_the_page_is_left_to_others() {
        let page = Page::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1, String::new());
        for (method, path) in [("POST", "/"), ("GET", "/webhook"), ("GET", "/clear")] {
            assert!(ask(&page, method, path, &[]).is_none(), "{method} {path}");
        }
    }

    #[test]
    fn only_its_own_script_clears() {
        let page = Page::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1, String::new());
        let local = ("host", "localhost");
        let own = ("x-switchhook-page", "clear");
        let status = |headers: &[(&str, &str)]| {
            let reply = ask(&page, "POST", "/clear", headers).unwrap();
            reply.status().as_u16()
        };
        assert_eq!(status(&[local]), 403);
        assert_eq!(status(&[("host", "evil.example"), own]), 403);
        assert_eq!(status(&[local, own]), 200);
    }
}
