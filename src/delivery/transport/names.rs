//! Names: from the endpoint's host to the addresses that may be dialled, within a time.
//!
//! The system's resolver cannot be interrupted, so it runs in a thread of its own, one per
//! endpoint at most; who cannot wait any longer leaves and the answer serves the next.

use super::super::url::{Host, Url};
use super::{Trouble, TroubleClass, guard};
use crate::clock::{Clock, Moment};
use crate::shutdown::Bell;
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

/// The addresses of one host.
#[derive(Debug)]
pub(super) struct Names {
    host: Host,
    port: u16,
    allow_private: bool,
    clock: Arc<dyn Clock>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// The latest answer and when it came.
    answer: Option<(Moment, Result<Vec<SocketAddr>, String>)>,
    is_asking: bool,
    /// Those who wait for the answer: at most one per attempt under way.
    waiting: Vec<Bell>,
}

impl Names {
    /// The names of `url`'s host.
    pub(super) fn new(url: &Url, allow_private: bool, clock: Arc<dyn Clock>) -> Names {
        Names {
            host: url.host().clone(),
            port: url.port(),
            allow_private,
            clock,
            state: Arc::default(),
        }
    }

    /// The addresses to dial, at least one, best first.
    ///
    /// # Errors
    ///
    /// [`TroubleClass::Dns`] when there is none in time, [`TroubleClass::Forbidden`] when the
    /// guard objects to all of them.
    pub(super) fn addresses(&self, within: Duration) -> Result<Vec<SocketAddr>, Trouble> {
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
            .look_up(name, within)
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

    fn look_up(&self, name: &str, within: Duration) -> Result<Vec<SocketAddr>, String> {
        let deadline = self.clock.now() + within;
        let bell = Bell::default();
        loop {
            let now = self.clock.now();
            {
                let mut state = lock(&self.state);
                if let Some((at, answer)) = &state.answer
                    && now.since(*at) <= ANSWER_KEPT
                {
                    return answer.clone();
                }
                if now >= deadline {
                    return Err(format!(
                        "no answer about {name} in {} s",
                        within.as_secs_f32()
                    ));
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
        let asking = move || {
            let answer = match question.to_socket_addrs() {
                Ok(found) => Ok(found.take(ADDRESSES_MAX).collect::<Vec<_>>()),
                Err(error) => Err(format!("{}: {error}", question.0)),
            };
            let answer = match answer {
                Ok(found) if found.is_empty() => Err(format!("{} has no address", question.0)),
                answer => answer,
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

fn settle(state: &Mutex<State>, now: Moment, answer: Result<Vec<SocketAddr>, String>) {
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
    use super::*;
    use crate::clock::SystemClock;

    fn names(url: &str, allow_private: bool) -> Names {
        Names::new(
            &Url::parse(url).unwrap(),
            allow_private,
            Arc::new(SystemClock::new()),
        )
    }

    #[test]
    fn a_written_address_is_dialled_as_it_stands() {
        let found = names("http://127.0.0.1:81/", false)
            .addresses(Duration::ZERO)
            .unwrap();
        assert_eq!(found, ["127.0.0.1:81".parse().unwrap()]);
        assert_eq!(
            names("http://localhost/", false)
                .addresses(Duration::ZERO)
                .unwrap()
                .len(),
            2
        );
    }

    #[test]
    fn a_name_may_not_lead_inside_unless_that_is_allowed() {
        let inside = |allow_private| {
            let names = names("https://inside.example/", allow_private);
            settle(
                &names.state,
                names.clock.now(),
                Ok(vec!["169.254.169.254:443".parse().unwrap()]),
            );
            names.addresses(Duration::from_secs(1))
        };
        let trouble = inside(false).unwrap_err();
        assert_eq!(trouble.class, TroubleClass::Forbidden);
        assert!(trouble.text.contains("link-local"), "{}", trouble.text);
        assert_eq!(inside(true).unwrap().len(), 1);
    }

    #[test]
    fn of_mixed_addresses_only_those_outside_are_dialled() {
        let names = names("https://mixed.example/", false);
        let mixed = ["10.0.0.1:443", "1.1.1.1:443"].map(|text| text.parse().unwrap());
        settle(&names.state, names.clock.now(), Ok(mixed.into()));
        assert_eq!(names.addresses(Duration::from_secs(1)).unwrap(), [mixed[1]]);
    }

    #[test]
    fn who_cannot_wait_leaves_without_asking_twice() {
        let names = names("https://slow.example/", false);
        lock(&names.state).is_asking = true;
        let trouble = names.addresses(Duration::from_millis(1)).unwrap_err();
        assert_eq!(trouble.class, TroubleClass::Dns);
    }
}
