//! From addresses to an open TCP connection, within a time, from an address of this machine if
//! one is given.

use super::limits::Span;
use super::names::ADDRESSES_MAX;
use super::{Trouble, TroubleClass};
use crate::clock::Clock;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrIn6, SockaddrLike, bind, connect,
    getsockopt, socket, sockopt,
};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

/// Tries the addresses in turn until one answers; each gets an even share of the time left, so
/// that a dead first address leaves time for the others.
pub(super) fn connect_any(
    addresses: &[SocketAddr],
    source: Option<IpAddr>,
    span: Span,
    clock: &dyn Clock,
) -> Result<TcpStream, Trouble> {
    let usable: Vec<&SocketAddr> = addresses
        .iter()
        .filter(|address| source.is_none_or(|source| source.is_ipv4() == address.is_ipv4()))
        .collect();
    let mut last = match source {
        Some(source) => trouble(format!(
            "no address can be dialled from source_address {source}: the other side has none of its kind"
        )),
        None => trouble("there is no address to dial".to_string()),
    };
    let deadline = clock.now() + span.within;
    for (tried, address) in usable.iter().enumerate() {
        let untried = u32::try_from((usable.len() - tried).clamp(1, ADDRESSES_MAX)).unwrap_or(1);
        let share = deadline.since(clock.now()) / untried;
        if share.is_zero() {
            return Err(span.over(&format!("no connection to {address}")));
        }
        let connected = match source {
            None => TcpStream::connect_timeout(address, share),
            Some(source) => connect_from(source, address, share),
        };
        match connected.and_then(|stream| stream.set_nodelay(true).map(|()| stream)) {
            Ok(stream) => return Ok(stream),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                last = span.over(&format!("no connection to {address}"));
            }
            Err(error) => last = trouble(format!("{address}: {error}")),
        }
    }
    Err(last)
}

/// Connects to `address` from the address `source` of this machine, any port.
fn connect_from(source: IpAddr, address: &SocketAddr, within: Duration) -> io::Result<TcpStream> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::Inet,
        SocketAddr::V6(_) => AddressFamily::Inet6,
    };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(family, SockType::Stream, flags, None)?;
    let from = for_system(SocketAddr::new(source, 0));
    bind(socket.as_raw_fd(), &*from).map_err(|error| {
        let error = io::Error::from(error);
        io::Error::new(error.kind(), format!("source_address {source}: {error}"))
    })?;
    match connect(socket.as_raw_fd(), &*for_system(*address)) {
        Ok(()) => {}
        Err(Errno::EINPROGRESS) => {
            until_writable(&socket, within)?;
            match getsockopt(&socket, sockopt::SocketError)? {
                0 => {}
                error => return Err(io::Error::from_raw_os_error(error)),
            }
        }
        Err(error) => return Err(error.into()),
    }
    let stream = TcpStream::from(socket);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

fn for_system(address: SocketAddr) -> Box<dyn SockaddrLike> {
    match address {
        SocketAddr::V4(address) => Box::new(SockaddrIn::from(address)),
        SocketAddr::V6(address) => Box::new(SockaddrIn6::from(address)),
    }
}

fn until_writable(socket: &impl AsFd, within: Duration) -> io::Result<()> {
    let deadline = Instant::now() + within;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        // Up to a whole millisecond, or the last part of one would be spun away.
        let millis = i32::try_from(left.as_micros().div_ceil(1_000)).unwrap_or(i32::MAX);
        let wait = PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX);
        let mut polled = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
        match poll(&mut polled, wait) {
            Ok(0) if left.is_zero() => return Err(io::ErrorKind::TimedOut.into()),
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

fn trouble(text: String) -> Trouble {
    Trouble {
        class: TroubleClass::Connect,
        text,
        elapsed: Duration::ZERO,
    }
}
