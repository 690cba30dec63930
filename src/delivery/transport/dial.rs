//! Dialler: from an endpoint's host to an open connection, TLS included.

use super::connect::connect_any;
use super::head::Head;
use super::journal::{Agreed, Journal};
use super::limits::Limits;
use super::names::{LookUp, Names};
use super::tls::{self, TlsError};
use super::trust::Trust;
use super::validity::Validity;
use super::wire::{Socket, Wire};
use super::{Phase, Trouble, TroubleClass, tunnel};
use crate::clock::{Clock, UnixMs};
use crate::delivery::endpoint::Endpoint;
use crate::delivery::link::Proxy;
use crate::delivery::url::{Host, Url};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use std::fmt;
use std::io;
use std::net::{IpAddr, TcpStream};
use std::sync::{Arc, Weak};
use std::time::Duration;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{ConnectionDetails, Connector, NextTimeout, ShutdownHandle};

/// Opens the connections of one endpoint.
#[derive(Debug, Clone)]
pub(super) struct Dialler {
    target: Arc<Target>,
    /// Of the requests over a connection it opens.
    head: Head,
}

#[derive(Debug)]
struct Target {
    url: Url,
    /// Of the endpoint, or of the proxy before it.
    names: Names,
    clock: Arc<dyn Clock>,
    limits: Limits,
    source: Option<IpAddr>,
    proxy: Option<Proxy>,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    validity: Validity,
    trust: Trust,
    extra_roots: Vec<Vec<u8>>,
    /// Where phases are written down, and the extra roots to look into certificates with.
    journal: Option<(Journal, Vec<Vec<u8>>)>,
}

impl Dialler {
    /// A dialler for `endpoint`, which finds addresses by `look_up`.
    ///
    /// # Errors
    ///
    /// [`TlsError`] when its certificates cannot be used.
    pub(super) fn new(
        endpoint: &Endpoint,
        clock: Arc<dyn Clock>,
        journal: Option<Journal>,
        look_up: Arc<dyn LookUp>,
    ) -> Result<Dialler, TlsError> {
        let (url, link) = (&endpoint.url, &endpoint.link);
        let tls = match url.is_tls() {
            true => Some((
                tls::config(&endpoint.extra_roots, link)?,
                server_name(url.host()),
            )),
            false => None,
        };
        // Who writes a proxy down means it: it may be on a private address, and mostly is.
        let (dialled, allow_private) = match &link.proxy {
            Some(proxy) => (proxy.url(), true),
            None => (url, endpoint.allow_private),
        };
        let names = Names::new(dialled, allow_private, Arc::clone(&clock), look_up);
        let target = Arc::new(Target {
            url: url.clone(),
            names,
            clock,
            limits: Limits::of(endpoint),
            source: link.source_address,
            proxy: link.proxy.clone(),
            tls,
            validity: Validity::default(),
            trust: Trust::default(),
            extra_roots: endpoint.extra_roots.clone(),
            journal: journal.map(|journal| (journal, endpoint.extra_roots.clone())),
        });
        let head = Head::default();
        Ok(Dialler { target, head })
    }

    /// The same, whose connections take the header lines of their requests from `head`.
    pub(super) fn with_head(&self, head: &Head) -> Dialler {
        Dialler {
            target: Arc::clone(&self.target),
            head: head.clone(),
        }
    }

    /// Until when the receiver's certificate will verify, as far as that is known.
    pub(super) fn valid_until(&self) -> Option<UnixMs> {
        self.target.validity.until()
    }
}

fn server_name(host: &Host) -> ServerName<'static> {
    match host {
        Host::Literal(address) => ServerName::from(*address),
        Host::Name(name) => ServerName::try_from(name.trim_end_matches('.').to_string())
            .expect("a url's host has the form of a name"),
    }
}

impl Connector<()> for Dialler {
    type Out = Wire;

    fn connect(
        &self,
        details: &ConnectionDetails,
        _before: Option<()>,
    ) -> Result<Option<Wire>, ureq::Error> {
        let target = &*self.target;
        let whole = target.limits.left(*details.timeout.after);
        let deadline = target.clock.now() + whole;
        let span = |phase| {
            target
                .limits
                .span(phase, deadline.since(target.clock.now()))
        };
        let mut began = target.clock.now();
        let mut lap = || {
            let now = target.clock.now();
            now.since(std::mem::replace(&mut began, now))
        };
        let addresses = target
            .names
            .addresses(span(Phase::Resolve))
            .map_err(carried)?;
        let resolve = lap();
        if let Some((journal, _)) = &target.journal {
            journal.note(|phases| phases.resolved = Some((addresses.clone(), resolve)));
        }
        // Who is to stop by now is told so: connecting cannot be broken off.
        (details.register_shutdown)(Weak::<TcpStream>::new() as Weak<dyn ShutdownHandle>)?;
        let stream = connect_any(
            &addresses,
            target.source,
            span(Phase::Connect),
            &*target.clock,
        )
        .map_err(|trouble| carried(target.of_proxy(trouble)))?;
        let connect = lap();
        if let Some((journal, _)) = &target.journal
            && let Ok(address) = stream.peer_addr()
        {
            journal.note(|phases| phases.connected = Some((address, connect)));
        }
        let mut socket = Socket::new(stream, target.limits.whole());
        // From here on `abandon` can end what blocks on this connection.
        (details.register_shutdown)(Arc::downgrade(socket.stream()) as Weak<dyn ShutdownHandle>)?;
        let Some((config, name)) = &target.tls else {
            let prefix = target
                .proxy
                .as_ref()
                .map(|_| format!("http://{}", target.url.authority()));
            let trust = target.trust.in_new();
            let wire = Wire::new(socket, None, target.limits, self.head.clone(), trust);
            return Ok(Some(wire.with_prefix(prefix)));
        };
        if let Some(proxy) = &target.proxy {
            let span = span(Phase::Proxy);
            socket.end_after(span.within);
            tunnel::open(&mut socket, proxy, &target.url, &|what| span.over(what))
                .map_err(carried)?;
            let elapsed = lap();
            if let Some((journal, _)) = &target.journal {
                journal.note(|phases| phases.tunnelled = Some(elapsed));
            }
        }
        let mut connection = ClientConnection::new(Arc::clone(config), name.clone())
            .map_err(|error| carried(trouble(TroubleClass::Tls, tls::explained(&error))))?;
        let span = span(Phase::Tls);
        socket.end_after(span.within);
        connection.complete_io(&mut socket).map_err(|error| {
            carried(match error.kind() {
                io::ErrorKind::TimedOut => span.over("no handshake"),
                _ => trouble(TroubleClass::Tls, tls::explained_io(&error)),
            })
        })?;
        if let Some((journal, extra_roots)) = &target.journal {
            let agreed = agreed(&connection, name, extra_roots, lap(), target.clock.wall());
            journal.note(|phases| phases.agreed = Some(agreed));
        }
        let clocks = (target.clock.now(), target.clock.wall());
        target
            .validity
            .look(&connection, name, &target.extra_roots, clocks);
        Ok(Some(Wire::new(
            socket,
            Some(connection),
            target.limits,
            self.head.clone(),
            target.trust.in_new(),
        )))
    }
}

impl Target {
    /// A connection that is not made is the proxy's matter where there is one.
    fn of_proxy(&self, trouble: Trouble) -> Trouble {
        match (&self.proxy, trouble.class) {
            (Some(_), TroubleClass::Connect) => Trouble {
                class: TroubleClass::Proxy,
                ..trouble
            },
            _ => trouble,
        }
    }
}

/// What was agreed on over `connection`.
fn agreed(
    connection: &ClientConnection,
    name: &ServerName<'_>,
    extra_roots: &[Vec<u8>],
    elapsed: Duration,
    wall: UnixMs,
) -> Agreed {
    let certificates = connection.peer_certificates().unwrap_or_default();
    let version = connection.protocol_version();
    let suite = connection.negotiated_cipher_suite();
    Agreed {
        elapsed,
        version: version.map_or(String::new(), |version| format!("{version:?}")),
        suite: suite.map_or(String::new(), |suite| format!("{:?}", suite.suite())),
        certificates: certificates.len(),
        valid_until: tls::valid_until(extra_roots, certificates, name, wall),
        pin: certificates.first().and_then(tls::pin),
    }
}

/// The client resolves before it looks whether a connection is open already: with the system's
/// resolver a thread and a look-up per request. So its resolver does nothing and the dialler
/// resolves.
#[derive(Debug)]
pub(super) struct ResolvesLater;

impl Resolver for ResolvesLater {
    fn resolve(
        &self,
        _: &Uri,
        _: &Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        Ok(self.empty())
    }
}

/// A trouble on its way through the client.
#[derive(Debug)]
pub(super) struct Carried(pub(super) Trouble);

impl fmt::Display for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Carried {}

/// `trouble` as an error of the client.
pub(super) fn carried(trouble: Trouble) -> ureq::Error {
    ureq::Error::Other(Box::new(Carried(trouble)))
}

fn trouble(class: TroubleClass, text: String) -> Trouble {
    Trouble {
        class,
        text,
        elapsed: Duration::ZERO,
    }
}
