//! Alerts: which notices about an endpoint become events of their own, and who is told.
//!
//! An alert about an endpoint goes to the one that is its `alert_to`, and to those that list its
//! type among their events by name; `"*"` does not mean it. It never goes to the endpoint that it
//! is about, so no alert can be the cause of another about the same endpoint; two endpoints that
//! are told of each other make at most one pair each in [`ALERT_EVERY`]. Where nobody is told, none
//! is made.
//!
//! Levels and the other rules of routing do not apply to alerts.
//!
//! The endpoint is in the event's `application` label: that is how its addressees know it.

use super::endpoint::{Endpoint, EventFilter};
use super::notice::Notice;
use super::window::Wants;
use crate::clock::{Clock, Moment, UnixMs};
use crate::event::alert::{Alert, KINDS, What, is_alert};
use crate::ingest::{AlertBox, Told};
use crate::queue::Queued;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Shortest time between two alerts that an endpoint is failing. One that flaps every few seconds
/// is told of once a minute.
pub const ALERT_EVERY: Duration = Duration::from_secs(60);

/// Who is told of an endpoint, and of whom it is told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AlertRoutes {
    /// The endpoint that is told of this one.
    pub to: Option<Arc<str>>,
    /// The types that other endpoints list by name.
    pub listed: Vec<Box<str>>,
    /// The endpoints of which this one is told: those whose `to` it is.
    pub about: Vec<Arc<str>>,
}

impl AlertRoutes {
    fn is_heard(&self, kind: &str) -> bool {
        self.to.is_some() || self.listed.iter().any(|listed| **listed == *kind)
    }
}

/// Which events an endpoint wants, alerts included.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    name: Arc<str>,
    about: Vec<Arc<str>>,
    /// The types it lists by name.
    listed: Vec<&'static str>,
}

impl Wanted {
    /// What `endpoint` wants.
    pub(super) fn of(endpoint: &Endpoint) -> Wanted {
        let by_name = |kind: &&str| match &endpoint.events {
            EventFilter::All => false,
            filter @ EventFilter::Kinds(_) => filter.wants(kind),
        };
        Wanted {
            name: Arc::clone(&endpoint.name),
            about: endpoint.alerts.about.clone(),
            listed: KINDS.into_iter().filter(by_name).collect(),
        }
    }

    /// Whether it wants an event, as far as that is an alert; `others` decides about all others.
    pub(super) fn wants(&self, others: &impl Wants, queued: &Queued) -> bool {
        let event = &queued.event;
        if !is_alert(&event.kind) {
            return others.wants(queued);
        }
        let about = event.labels.application.as_deref();
        let is_listed = self.listed.iter().any(|kind| **kind == *event.kind);
        let is_addressee = self.about.iter().any(|name| Some(&**name) == about);
        about != Some(&*self.name) && (is_listed || is_addressee)
    }
}

/// Raises the alerts of one endpoint.
#[derive(Debug)]
pub(super) struct Raiser {
    endpoint: Arc<Endpoint>,
    mailbox: Option<AlertBox>,
    clock: Arc<dyn Clock>,
    said: Mutex<Said>,
}

/// What was said of the endpoint.
#[derive(Debug, Default)]
struct Said {
    /// By whatever process.
    told: Told,
    /// When this one last said something.
    at: Option<Moment>,
}

impl Raiser {
    /// Raises alerts about `endpoint` into `mailbox`.
    pub(super) fn new(
        endpoint: Arc<Endpoint>,
        mailbox: Option<AlertBox>,
        clock: Arc<dyn Clock>,
    ) -> Raiser {
        let told = mailbox.as_ref().map(|it| it.told(&endpoint.name));
        let said = Said {
            told: told.unwrap_or_default(),
            at: None,
        };
        Raiser {
            endpoint,
            mailbox,
            clock,
            said: Mutex::new(said),
        }
    }

    /// Writes a notice to the log, and raises the alert it calls for.
    pub(super) fn notice(&self, notice: &Notice) {
        notice.log(&self.endpoint.name);
        let (what, told) = {
            let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
            let what = said.heard(notice, self.clock.now(), self.clock.wall());
            (what, said.told)
        };
        let Some(what) = what else { return };
        let is_end = matches!(what, What::Recovered { .. });
        let host = self.endpoint.url.host().to_string();
        let is_told = self.raise(host, what, self.clock.wall());
        // Only what is told is remembered, and after it is left: a crash between the two tells it
        // again, and who comes to listen later hears of a failure that still lasts.
        if let Some(mailbox) = self.mailbox.as_ref().filter(|_| is_told || is_end) {
            mailbox.remember(&self.endpoint.name, told);
        }
    }

    /// Raises an alert about the address at `host`; whether anyone is told.
    pub(super) fn raise(&self, host: String, what: What, at: UnixMs) -> bool {
        let Some(mailbox) = &self.mailbox else {
            return false;
        };
        let alert = Alert {
            endpoint: Arc::clone(&self.endpoint.name),
            host,
            at,
            what,
        };
        let kind = alert.kind();
        if !self.endpoint.alerts.is_heard(kind) {
            return false;
        }
        let is_put = mailbox.put(alert);
        if !is_put {
            log::warn!(
                "alert not queued, too many wait endpoint={} type={kind}",
                self.endpoint.name
            );
        }
        is_put
    }
}

impl Said {
    /// What a notice calls for.
    fn heard(&mut self, notice: &Notice, now: Moment, wall: UnixMs) -> Option<What> {
        let lately = self.at.is_some_and(|at| now.since(at) < ALERT_EVERY);
        let told = &mut self.told;
        let notice = match notice {
            Notice::StillSo(notice) => notice,
            notice => notice,
        };
        match notice {
            Notice::Failing { error, .. }
                if told.failing.is_none() && (!lately || told.on_fallback.is_some()) =>
            {
                (told.failing, self.at) = (Some(wall), Some(now));
                let (error, fallback) = (error.clone(), None);
                Some(What::Failing { error, fallback })
            }
            Notice::Recovered { failing_for, .. } => {
                told.failing.take()?;
                let failing_for = *failing_for;
                Some(What::Recovered { failing_for })
            }
            Notice::Switched { to: 0, .. } => {
                let failing_for = wall.since(told.on_fallback.take()?);
                Some(What::Recovered { failing_for })
            }
            Notice::Switched { host, error, .. } if !lately && told.on_fallback.is_none() => {
                (told.on_fallback, self.at) = (Some(wall), Some(now));
                let (error, fallback) = (error.clone(), Some(host.clone()));
                Some(What::Failing { error, fallback })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::delivery::profile::Profile;
    use crate::delivery::url::Url;
    use crate::shutdown::Bell;

    fn endpoint(name: &str) -> Endpoint {
        let url = Url::parse("https://api.example.com/hook").unwrap();
        Endpoint::new(name, url, Profile::Standard)
    }

    fn alert(about: &str) -> Queued {
        let alert = Alert {
            endpoint: about.into(),
            host: "a".to_string(),
            at: UnixMs(0),
            what: What::ClockSkew { ahead_secs: 61 },
        };
        Queued {
            event: Arc::new(alert.event(&"vos-1".into(), None)),
            ..crate::delivery::profile::samples::queued(1, "cdr", "{}")
        }
    }

    fn failing() -> Notice {
        Notice::Failing {
            attempts: 3,
            error: "status 503".to_string(),
        }
    }

    fn recovered() -> Notice {
        Notice::Recovered {
            failing_for: Duration::from_secs(9),
            probes: 4,
        }
    }

    fn switched(to: usize) -> Notice {
        Notice::Switched {
            to,
            host: "b".to_string(),
            error: "status 503".to_string(),
        }
    }

    /// One that wants every event it is asked about.
    struct Everything;

    impl Wants for Everything {
        fn wants(&self, _: &Queued) -> bool {
            true
        }
    }

    fn wants(endpoint: &Endpoint, about: &str) -> bool {
        Wanted::of(endpoint).wants(&Everything, &alert(about))
    }

    fn by_name() -> EventFilter {
        EventFilter::Kinds(vec!["switchhook.clock_skew".into()])
    }

    #[test]
    fn an_alert_goes_to_its_addressee_and_to_those_that_name_it() {
        let mut pager = endpoint("pager");
        pager.alerts.about = vec!["billing".into()];
        assert!(wants(&pager, "billing"));
        assert!(!wants(&pager, "crm"), "* does not mean alerts");
        let mut ops = endpoint("ops");
        assert!(!wants(&ops, "billing"));
        ops.events = by_name();
        assert!(wants(&ops, "billing"));
    }

    #[test]
    fn no_endpoint_is_told_of_itself() {
        let mut ops = endpoint("ops");
        ops.events = by_name();
        ops.alerts.about = vec!["ops".into()];
        assert!(!wants(&ops, "ops"));
        assert!(wants(&ops, "billing"));
    }

    /// The types of the alerts that come of these notices, each so many seconds after the last.
    fn raised(notices: &[(u64, Notice)], routes: AlertRoutes) -> Vec<&'static str> {
        let clock = Arc::new(ManualClock::at(UnixMs(1_775_745_045_000)));
        let mailbox = AlertBox::new(Bell::default());
        let mut about = endpoint("billing");
        about.alerts = routes;
        let raiser = Raiser::new(Arc::new(about), Some(mailbox.clone()), clock.clone());
        for (secs, notice) in notices {
            clock.advance(Duration::from_secs(*secs));
            raiser.notice(notice);
        }
        mailbox.take().iter().map(Alert::kind).collect()
    }

    fn to_pager() -> AlertRoutes {
        AlertRoutes {
            to: Some("pager".into()),
            ..AlertRoutes::default()
        }
    }

    #[test]
    fn an_endpoint_that_flaps_is_told_of_once_a_minute() {
        let mut notices = Vec::new();
        for _ in 0..60 {
            notices.push((3, failing()));
            notices.push((4, recovered()));
        }
        let raised = raised(&notices, to_pager());
        // 420 seconds.
        assert!((12..=16).contains(&raised.len()), "{}", raised.len());
        let pairs = raised.chunks(2);
        for pair in pairs {
            assert_eq!(
                pair,
                [
                    "switchhook.endpoint_failing",
                    "switchhook.endpoint_recovered"
                ]
            );
        }
    }

    #[test]
    fn a_failure_soon_after_another_is_told_when_it_lasts() {
        let still = |notice: Notice| Notice::StillSo(Box::new(notice));
        let notices = [
            (1, failing()),
            (5, recovered()),
            (5, failing()),
            (60, still(failing())),
            (900, recovered()),
            (5, switched(1)),
            (60, still(switched(1))),
        ];
        let kinds = raised(&notices, to_pager());
        let (begun, over) = (
            "switchhook.endpoint_failing",
            "switchhook.endpoint_recovered",
        );
        assert_eq!(kinds, [begun, over, begun, over, begun]);
    }

    #[test]
    fn a_fallback_in_use_is_told_and_so_is_its_failure_and_the_way_back() {
        let notices = [
            (1, switched(1)),
            (5, failing()),
            (5, recovered()),
            (90, switched(0)),
        ];
        let raised = raised(&notices, to_pager());
        assert_eq!(
            raised,
            [
                "switchhook.endpoint_failing",
                "switchhook.endpoint_failing",
                "switchhook.endpoint_recovered",
                "switchhook.endpoint_recovered"
            ]
        );
    }

    #[test]
    fn what_was_told_before_the_endpoint_was_made_anew_is_not_told_again_and_ends() {
        let clock = Arc::new(ManualClock::at(UnixMs(1_775_745_045_000)));
        let mailbox = AlertBox::new(Bell::default());
        let anew = || {
            let mut about = endpoint("billing");
            about.alerts = to_pager();
            Raiser::new(Arc::new(about), Some(mailbox.clone()), clock.clone())
        };
        anew().notice(&failing());
        clock.advance(Duration::from_secs(600));
        anew().notice(&failing());
        anew().notice(&recovered());
        anew().notice(&recovered());
        let kinds: Vec<&str> = mailbox.take().iter().map(Alert::kind).collect();
        let pair = [
            "switchhook.endpoint_failing",
            "switchhook.endpoint_recovered",
        ];
        assert_eq!(kinds, pair);
        anew().notice(&switched(1));
        clock.advance(Duration::from_secs(77));
        anew().notice(&switched(0));
        let last = mailbox.take().pop().unwrap();
        let failing_for = Duration::from_secs(77);
        assert_eq!(last.what, What::Recovered { failing_for });
    }

    #[test]
    fn who_comes_to_listen_while_an_endpoint_fails_is_told_that_it_does() {
        let clock = Arc::new(ManualClock::at(UnixMs(1_775_745_045_000)));
        let mailbox = AlertBox::new(Bell::default());
        let anew = |alerts| {
            let mut about = endpoint("billing");
            about.alerts = alerts;
            Raiser::new(Arc::new(about), Some(mailbox.clone()), clock.clone())
        };
        anew(AlertRoutes::default()).notice(&failing());
        assert!(mailbox.take().is_empty());
        anew(to_pager()).notice(&failing());
        let kinds: Vec<&str> = mailbox.take().iter().map(Alert::kind).collect();
        assert_eq!(kinds, ["switchhook.endpoint_failing"]);
    }

    #[test]
    fn where_nobody_is_told_nothing_is_queued() {
        assert!(raised(&[(1, failing())], AlertRoutes::default()).is_empty());
        let listed = AlertRoutes {
            listed: vec!["switchhook.endpoint_recovered".into()],
            ..AlertRoutes::default()
        };
        let raised = raised(&[(1, failing()), (1, recovered())], listed);
        assert_eq!(raised, ["switchhook.endpoint_recovered"]);
    }
}
