//! Names: from the endpoint's host to the addresses that may be dialled, within a time.
//!
//! The system's resolver cannot be interrupted, so it runs in a thread of its own, one per
//! endpoint at most; who cannot wait any longer leaves and the answer serves the next.

use super::super::url::{Host, Url};
use super::limits::Span;
use super::{Trouble, TroubleClass, guard};
use crate::clock::{Clock, Moment};
use crate::shutdown::Bell;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How long an answer serves further dials. An endpoint that closes its connection after every
/// answer would else cost one look-up per event.
const ANSWER_KEPT: Duration = Duration::from_secs(5);

/// Most addresses of one name that are tried.
pub(super) const ADDRESSES_MAX: usize = 16;

/// Stack of the look-up thread: the C library's resolver keeps packets of up to 64 KiB on it.
const STACK_BYTES: usize = 256 << 10;

/// Who knows the addresses of names.
pub trait LookUp: Send + Sync + fmt::Debug {
    /// The addresses of `name`, with `port`. May take its time.
    ///
    /// # Errors
    ///
    /// When nobody knows, or nobody answers.
    fn addresses(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// The system's resolver.
#[derive(Debug)]
pub struct SystemLookUp;

impl LookUp for SystemLookUp {
    fn addresses(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok((name, port)
            .to_socket_addrs()?
            .take(ADDRESSES_MAX)
            .collect())
    }
}

/// The addresses of one host.
#[derive(Debug)]
pub(super) struct Names {
    host: Host,
    port: u16,
    allow_private: bool,
    clock: Arc<dyn Clock>,
    look_up: Arc<dyn LookUp>,
    state: Arc<Mutex<State>>,
}

/// Addresses, or why there are none.
type Found = Result<Vec<SocketAddr>, String>;

#[derive(Debug, Default)]
struct State {
    /// The latest answer and when it came.
    answer: Option<(Moment, Found)>,
    is_asking: bool,
    /// Those who wait for the answer: at most one per attempt under way.
    waiting: Vec<Bell>,
}

impl Names {
    /// The names of `url`'s host.
    pub(super) fn new(
        url: &Url,
        allow_private: bool,
        clock: Arc<dyn Clock>,
        look_up: Arc<dyn LookUp>,
    ) -> Names {
        Names {
            host: url.host().clone(),
            port: url.port(),
            allow_private,
            clock,
            look_up,
            state: Arc::default(),
        }
    }

    /// The addresses to dial, at least one, best first.
    ///
    /// # Errors
    ///
    /// [`TroubleClass::Dns`] when there is none, [`TroubleClass::Timeout`] when nobody said so in
    /// time, [`TroubleClass::Forbidden`] when the guard objects to all of them.
    pub(super) fn addresses(&self, span: Span) -> Result<Vec<SocketAddr>, Trouble> {
        let name = match &self.host {
            // Who writes an address means it.
            Host::Literal(address) => return Ok(vec![SocketAddr::new(*address, self.port)]),
            // RFC 6761: this name is loopback and is never looked up.
            Host::Name(name) if name == "localhost" => {
                let loopback = [
                    IpAddr::from(Ipv4Addr::LOCALHOST),
                    IpAddr::from(Ipv6Addr::LOCALHOST),
                ];
                return Ok(loopback
                    .map(|address| SocketAddr::new(address, self.port))
                    .into());
            }
            Host::Name(name) => name,
        };
        let found = self
            .ask_within(name, span)?
            .map_err(|text| trouble(TroubleClass::Dns, text))?;
        if self.allow_private {
            return Ok(found);
        }
        let objection = found
            .iter()
            .find_map(|address| guard::objection(address.ip()).map(|kind| (address.ip(), kind)));
        let allowed: Vec<_> = found
            .into_iter()
            .filter(|address| guard::objection(address.ip()).is_none())
            .collect();
        match objection {
            Some((address, kind)) if allowed.is_empty() => {
                let text =
                    format!("{name} leads to {address} ({kind}); allow_private would permit it");
                Err(trouble(TroubleClass::Forbidden, text))
            }
            _ => Ok(allowed),
        }
    }

    fn ask_within(&self, name: &str, span: Span) -> Result<Found, Trouble> {
        let deadline = self.clock.now() + span.within;
        let bell = Bell::default();
        loop {
            let now = self.clock.now();
            {
                let mut state = lock(&self.state);
                if let Some((at, answer)) = &state.answer
                    && now.since(*at) <= ANSWER_KEPT
                {
                    return Ok(answer.clone());
                }
                if now >= deadline {
                    return Err(span.over(&format!("no answer about {name}")));
                }
                state.waiting.push(bell.clone());
                if !state.is_asking {
                    state.is_asking = true;
                    drop(state);
                    self.ask(name);
                }
            }
            bell.wait(deadline.since(now));
        }
    }

    fn ask(&self, name: &str) {
        let question = (name.to_string(), self.port);
        let (clock, state) = (Arc::clone(&self.clock), Arc::clone(&self.state));
        let look_up = Arc::clone(&self.look_up);
        let asking = move || {
            let (name, port) = &question;
            let answer = match look_up.addresses(name, *port) {
                Ok(found) if found.is_empty() => Err(format!("{name} has no address")),
                Ok(mut found) => {
                    found.truncate(ADDRESSES_MAX);
                    Ok(found)
                }
                Err(error) => Err(format!("{name}: {error}")),
            };
            settle(&state, clock.now(), answer);
        };
        let thread = thread::Builder::new()
            .name("resolve".into())
            .stack_size(STACK_BYTES)
            .spawn(asking);
        if let Err(error) = thread {
            settle(
                &self.state,
                self.clock.now(),
                Err(format!("cannot start a thread to resolve: {error}")),
            );
        }
    }
}

fn settle(state: &Mutex<State>, now: Moment, answer: Found) {
    let waiting = {
        let mut state = lock(state);
        state.answer = Some((now, answer));
        state.is_asking = false;
        std::mem::take(&mut state.waiting)
    };
    waiting.iter().for_each(Bell::ring);
}

fn trouble(class: TroubleClass, text: String) -> Trouble {
    Trouble {
        class,
        text,
        elapsed: Duration::ZERO,
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::Phase;
    use super::super::limits::Limits;
    use super::*;
    use crate::clock::{ManualClock, SystemClock, UnixMs};
    use crate::delivery::endpoint::Endpoint;
    use crate::delivery::profile::Profile;

    /// Answers with the first of its answers until [`Door::turn`], then with the next.
    #[derive(Debug, Default)]
    struct Door(Mutex<Vec<Vec<SocketAddr>>>);

    impl Door {
        fn answering(answers: &[&[&str]]) -> Arc<Door> {
            let parsed =
                |answer: &&[&str]| answer.iter().map(|text| text.parse().unwrap()).collect();
            Arc::new(Door(Mutex::new(answers.iter().map(parsed).collect())))
        }

        fn turn(&self) {
            self.0.lock().unwrap().remove(0);
        }
    }

    impl LookUp for Door {
        fn addresses(&self, _: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
            let answers = self.0.lock().unwrap();
            answers
                .first()
                .cloned()
                .ok_or(io::ErrorKind::NotFound.into())
        }
    }

    fn names(url: &str, allow_private: bool, door: Arc<Door>) -> Names {
        let clock = Arc::new(SystemClock::new());
        Names::new(&Url::parse(url).unwrap(), allow_private, clock, door)
    }

    fn span(within: Duration) -> Span {
        let url = Url::parse("https://a/").unwrap();
        let mut endpoint = Endpoint::new("a", url, Profile::Standard);
        endpoint.connect_timeout = within;
        Limits::of(&endpoint).span(Phase::Resolve, within)
    }

    const SEC: Duration = Duration::from_secs(1);

    #[test]
    fn a_written_address_is_dialled_as_it_stands() {
        let found = |url| {
            names(url, false, Arc::default())
                .addresses(span(SEC))
                .unwrap()
        };
        assert_eq!(
            found("http://127.0.0.1:81/"),
            ["127.0.0.1:81".parse().unwrap()]
        );
        assert_eq!(found("http://localhost/").len(), 2);
    }

    #[test]
    fn a_name_may_not_lead_inside_unless_that_is_allowed() {
        let inside = |allow_private| {
            let door = Door::answering(&[&["169.254.169.254:443"]]);
            names("https://inside.example/", allow_private, door).addresses(span(SEC * 60))
        };
        let trouble = inside(false).unwrap_err();
        assert_eq!(trouble.class, TroubleClass::Forbidden);
        assert!(trouble.text.contains("link-local"), "{}", trouble.text);
        assert_eq!(inside(true).unwrap().len(), 1);
    }

    #[test]
    fn of_mixed_addresses_only_those_outside_are_dialled() {
        let door = Door::answering(&[&["10.0.0.1:443", "[::ffff:127.0.0.1]:443", "1.1.1.1:443"]]);
        let found = names("https://mixed.example/", false, door).addresses(span(SEC * 60));
        assert_eq!(found.unwrap(), ["1.1.1.1:443".parse().unwrap()]);
    }

    #[test]
    fn d9_a_name_whose_owner_changes_his_mind_leads_inside_never() {
        let clock = Arc::new(ManualClock::at(UnixMs(0)));
        let url = Url::parse("https://rebinding.example/").unwrap();
        let door = Door::answering(&[&["1.1.1.1:443"], &["[fd00:ec2::254]:443"], &["1.1.1.1:443"]]);
        let names = Names::new(&url, false, clock.clone(), door.clone());
        let ask = || names.addresses(span(SEC * 60));
        assert_eq!(ask().unwrap(), ["1.1.1.1:443".parse().unwrap()]);
        door.turn();
        // The answer that was judged is the one that is dialled while it is kept.
        assert_eq!(ask().unwrap(), ["1.1.1.1:443".parse().unwrap()]);
        clock.advance(ANSWER_KEPT + SEC);
        let trouble = ask().unwrap_err();
        assert_eq!(trouble.class, TroubleClass::Forbidden);
        assert!(
            trouble.text.contains("fd00:ec2::254 (private)"),
            "{trouble}"
        );
        door.turn();
        clock.advance(ANSWER_KEPT + SEC);
        assert!(ask().is_ok());
        door.turn();
        clock.advance(ANSWER_KEPT + SEC);
        assert_eq!(ask().unwrap_err().class, TroubleClass::Dns);
    }

    #[test]
    fn who_cannot_wait_leaves_without_asking_twice() {
        let names = names("https://slow.example/", false, Arc::default());
        lock(&names.state).is_asking = true;
        let trouble = names.addresses(span(Duration::from_millis(1))).unwrap_err();
        assert_eq!(trouble.class, TroubleClass::Timeout(Phase::Resolve));
        assert_eq!(
            trouble.to_string(),
            "resolve: timed out: no answer about slow.example within 0.001 s (connect_timeout)"
        );
    }
}
