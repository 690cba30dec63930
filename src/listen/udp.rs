//! The pushes that come as datagrams.

use super::bucket::Bucket;
use super::gate::{Gate, Refusal};
use super::{Answer, Owed, Push, Settings};
use crate::clock::Clock;
use nix::libc;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt,
    sockopt,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::task::yield_now;

/// Longest datagram taken for a row, in bytes: the widest row known is 1.1 KiB. Of a longer one
/// the first bytes are set aside.
pub const DATAGRAM_BYTES_MAX: usize = 8 << 10;

/// Longest datagram there is.
const UDP_BYTES_MAX: usize = 64 << 10;

/// Bytes of datagrams the system is asked to hold while the listener is elsewhere; it gives less
/// where `net.core.rmem_max` is less.
const RECEIVE_BYTES: usize = 4 << 20;

/// Datagrams read at a time, so that a flood does not keep other listeners waiting.
const DATAGRAMS_PER_TURN: usize = 256;

/// Reads datagrams until the system refuses; `gate` hears when it begins.
pub(super) async fn listen(
    source: &str,
    settings: &Settings,
    gate: &Gate,
    clock: &Arc<dyn Clock>,
) -> io::Result<()> {
    let socket = std::net::UdpSocket::bind(settings.listen)?;
    socket.set_nonblocking(true)?;
    // A smaller buffer only loses more in a flood.
    let _smaller = setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BYTES);
    // Without it what the system drops is only not counted.
    let _uncounted = setsockopt(&socket, sockopt::RxqOvfl, &1);
    // Without it an answer leaves from the address that the way back begins at.
    let _from_any = match settings.listen {
        SocketAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4PacketInfo, &true),
        SocketAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true),
    };
    let owing = Arc::new(socket.try_clone()?);
    let socket = UdpSocket::from_std(socket)?;
    gate.listens();
    log::info!("listening source={source} udp={}", socket.local_addr()?);
    let mut bucket = Bucket::full(settings.rate_max, clock.now());
    let mut buffer = vec![0; UDP_BYTES_MAX];
    let mut lost_before = 0;
    loop {
        socket.readable().await?;
        for _ in 0..DATAGRAMS_PER_TURN {
            let (bytes, way, lost) = match receive(&socket, &mut buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // An answer that met no listener comes back as an error of the next read.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
                Err(error) => return Err(error),
            };
            if let Some(lost) = lost {
                let more = lost.wrapping_sub(std::mem::replace(&mut lost_before, lost));
                gate.refused_many(Refusal::Lost, u64::from(more));
            }
            let peer = way.peer;
            if !settings
                .allow
                .iter()
                .any(|network| network.holds(peer.ip()))
            {
                gate.refused(Refusal::Peer);
                continue;
            }
            if !bucket.take(clock.now()) {
                gate.refused(Refusal::Rate);
                continue;
            }
            let kept = bytes.min(DATAGRAM_BYTES_MAX);
            gate.offer(Push {
                page: String::new(),
                body: buffer.get(..kept).unwrap_or_default().to_vec(),
                bytes,
                peer,
                arrived: clock.wall(),
                answer: Answer(Owed::Udp(Arc::clone(&owing), way)),
            });
        }
        yield_now().await;
    }
}

/// The way of a datagram.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    peer: SocketAddr,
    /// The address of this machine that it was sent to, where the system says so.
    own: Option<IpAddr>,
}

/// Sends `text` the way back: a sender may listen to nobody but the address it has asked, and this
/// machine may have several.
pub(super) fn answer(socket: &std::net::UdpSocket, text: &[u8], way: Way) -> io::Result<()> {
    let (v4, v6);
    let own = match way.own {
        Some(IpAddr::V4(own)) => {
            let s_addr = u32::from_ne_bytes(own.octets());
            v4 = libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: libc::in_addr { s_addr },
                ipi_addr: libc::in_addr { s_addr: 0 },
            };
            Some(ControlMessage::Ipv4PacketInfo(&v4))
        }
        Some(IpAddr::V6(own)) => {
            let s6_addr = own.octets();
            v6 = libc::in6_pktinfo {
                ipi6_addr: libc::in6_addr { s6_addr },
                ipi6_ifindex: 0,
            };
            Some(ControlMessage::Ipv6PacketInfo(&v6))
        }
        None => None,
    };
    let peer = SockaddrStorage::from(way.peer);
    let text = [IoSlice::new(text)];
    sendmsg(
        socket.as_raw_fd(),
        &text,
        own.as_slice(),
        MsgFlags::empty(),
        Some(&peer),
    )?;
    Ok(())
}

/// The next datagram: how much of `buffer` it takes, the way it came, and, once there are any, how many
/// the system has dropped since the socket was opened, which wraps around.
fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<(usize, Way, Option<u32>)> {
    let mut space = nix::cmsg_space!(u32, libc::in_pktinfo, libc::in6_pktinfo);
    socket.try_io(Interest::READABLE, || {
        let mut parts = [IoSliceMut::new(buffer)];
        let received = recvmsg::<SockaddrStorage>(
            socket.as_raw_fd(),
            &mut parts,
            Some(&mut space),
            MsgFlags::empty(),
        )?;
        let peer = received.address.and_then(|peer| {
            let v4 = peer.as_sockaddr_in();
            let v4 = v4.map(|peer| SocketAddr::V4(SocketAddrV4::from(*peer)));
            let v6 = peer.as_sockaddr_in6();
            v4.or(v6.map(|peer| SocketAddr::V6(SocketAddrV6::from(*peer))))
        });
        let (mut lost, mut own) = (None, None);
        for message in received.cmsgs()? {
            match message {
                ControlMessageOwned::RxqOvfl(dropped) => lost = Some(dropped),
                ControlMessageOwned::Ipv4PacketInfo(info) => {
                    own = Some(IpAddr::from(info.ipi_spec_dst.s_addr.to_ne_bytes()));
                }
                ControlMessageOwned::Ipv6PacketInfo(info) => {
                    own = Some(IpAddr::from(info.ipi6_addr.s6_addr));
                }
                _ => {}
            }
        }
        let peer = peer.ok_or(io::ErrorKind::InvalidData)?;
        Ok((received.bytes, Way { peer, own }, lost))
    })
}
