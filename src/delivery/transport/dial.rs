//! Dialler: from an endpoint's host to an open connection, TLS included.

use super::journal::{Agreed, Journal};
use super::names::{ADDRESSES_MAX, Names};
use super::tls::{self, TlsError};
use super::validity::Validity;
use super::wire::{Socket, Wire};
use super::{Phase, Trouble, TroubleClass};
use crate::clock::{Clock, UnixMs};
use crate::delivery::endpoint::Endpoint;
use crate::delivery::url::Host;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Weak};
use std::time::Duration;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{ConnectionDetails, Connector, NextTimeout, ShutdownHandle};

/// Opens the connections of one endpoint.
#[derive(Debug, Clone)]
pub(super) struct Dialler(Arc<Target>);

#[derive(Debug)]
struct Target {
    names: Names,
    clock: Arc<dyn Clock>,
    /// Time of a whole attempt.
    timeout: Duration,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    validity: Validity,
    extra_roots: Vec<Vec<u8>>,
    /// Where phases are written down, and the extra roots to look into certificates with.
    journal: Option<(Journal, Vec<Vec<u8>>)>,
}

impl Dialler {
    /// A dialler for `endpoint`.
    ///
    /// # Errors
    ///
    /// [`TlsError`] when its extra certificates cannot be used.
    pub(super) fn new(
        endpoint: &Endpoint,
        clock: Arc<dyn Clock>,
        journal: Option<Journal>,
    ) -> Result<Dialler, TlsError> {
        let tls = match endpoint.url.is_tls() {
            true => Some((
                tls::config(&endpoint.extra_roots)?,
                server_name(endpoint.url.host()),
            )),
            false => None,
        };
        let names = Names::new(&endpoint.url, endpoint.allow_private, Arc::clone(&clock));
        Ok(Dialler(Arc::new(Target {
            names,
            clock,
            timeout: endpoint.timeout,
            tls,
            validity: Validity::default(),
            extra_roots: endpoint.extra_roots.clone(),
            journal: journal.map(|journal| (journal, endpoint.extra_roots.clone())),
        })))
    }
}

impl Dialler {
    /// Until when the receiver's certificate will verify, as far as that is known.
    pub(super) fn valid_until(&self) -> Option<UnixMs> {
        self.0.validity.until()
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
        let target = &*self.0;
        let deadline = target.clock.now() + (*details.timeout.after).min(target.timeout);
        let left = || deadline.since(target.clock.now());
        let mut began = target.clock.now();
        let mut lap = || {
            let now = target.clock.now();
            now.since(std::mem::replace(&mut began, now))
        };
        let addresses = target.names.addresses(left()).map_err(carried)?;
        let resolve = lap();
        if let Some((journal, _)) = &target.journal {
            journal.note(|phases| phases.resolved = Some((addresses.clone(), resolve)));
        }
        let stream = connect_any(&addresses, left).map_err(carried)?;
        let connect = lap();
        if let Some((journal, _)) = &target.journal
            && let Ok(address) = stream.peer_addr()
        {
            journal.note(|phases| phases.connected = Some((address, connect)));
        }
        let mut socket = Socket::new(stream, target.timeout);
        // From here on `abandon` can end what blocks on this connection.
        (details.register_shutdown)(Arc::downgrade(socket.stream()) as Weak<dyn ShutdownHandle>)?;
        let Some((config, name)) = &target.tls else {
            return Ok(Some(Wire::new(socket, None)));
        };
        let mut connection = ClientConnection::new(Arc::clone(config), name.clone())
            .map_err(|error| carried(trouble(TroubleClass::Tls, error.to_string())))?;
        socket.within(&NextTimeout {
            after: left().into(),
            ..NextTimeout::default()
        });
        connection
            .complete_io(&mut socket)
            .map_err(|error| carried(handshake_trouble(&error)))?;
        if let Some((journal, extra_roots)) = &target.journal {
            let agreed = agreed(&connection, name, extra_roots, lap(), target.clock.wall());
            journal.note(|phases| phases.agreed = Some(agreed));
        }
        let clocks = (target.clock.now(), target.clock.wall());
        target
            .validity
            .look(&connection, name, &target.extra_roots, clocks);
        Ok(Some(Wire::new(socket, Some(connection))))
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
    }
}

/// Tries the addresses in turn until one answers; each gets an even share of the time left, so
/// that a dead first address leaves time for the others.
fn connect_any(
    addresses: &[SocketAddr],
    left: impl Fn() -> Duration,
) -> Result<TcpStream, Trouble> {
    let mut last = trouble(
        TroubleClass::Connect,
        "there is no address to dial".to_string(),
    );
    for (tried, address) in addresses.iter().enumerate() {
        let untried = u32::try_from((addresses.len() - tried).clamp(1, ADDRESSES_MAX)).unwrap_or(1);
        let share = left() / untried;
        if share.is_zero() {
            return Err(trouble(
                TroubleClass::Timeout(Phase::Connect),
                format!("no time left for {address}"),
            ));
        }
        let connected = TcpStream::connect_timeout(address, share)
            .and_then(|stream| stream.set_nodelay(true).map(|()| stream));
        match connected {
            Ok(stream) => return Ok(stream),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                last = trouble(TroubleClass::Timeout(Phase::Connect), address.to_string());
            }
            Err(error) => last = trouble(TroubleClass::Connect, format!("{address}: {error}")),
        }
    }
    Err(last)
}

fn handshake_trouble(error: &io::Error) -> Trouble {
    match error.kind() {
        io::ErrorKind::TimedOut => trouble(
            TroubleClass::Timeout(Phase::Connect),
            "tls handshake".to_string(),
        ),
        io::ErrorKind::InvalidData => trouble(TroubleClass::Tls, error.to_string()),
        _ => trouble(TroubleClass::Tls, format!("handshake: {error}")),
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

fn carried(trouble: Trouble) -> ureq::Error {
    ureq::Error::Other(Box::new(Carried(trouble)))
}

fn trouble(class: TroubleClass, text: String) -> Trouble {
    Trouble {
        class,
        text,
        elapsed: Duration::ZERO,
    }
}
