//! Worker: one thread that accepts connections and serves them.
//!
//! Each has a runtime and a listener of its own. Stopping drops the runtime and with it every
//! connection, so nothing that hangs can outlive its worker.

use super::ReceiverError;
use super::desk::{Break, Desk, Door};
use super::fault::ConnectionFault;
use super::tls::Acceptors;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, oneshot};
use tokio::time;
use tokio_rustls::server::TlsStream;

/// Most connections a worker holds open; further ones wait in the system's queue. Sixteen
/// agents at the 64 connections that one endpoint may have.
pub const CONNECTIONS_MAX: usize = 1_024;

/// Most connections that wait to be accepted.
const BACKLOG: u32 = 1_024;

/// Longest time a TLS handshake may take: a sender that stalls in it holds a place.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// Pause after a failed accept, which usually means that descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A thread at work.
#[derive(Debug)]
pub struct Worker {
    addr: SocketAddr,
    /// Dropping it ends the thread's work.
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Worker {
    /// Listens on `addr` and starts a thread that serves what comes.
    ///
    /// The port may be taken over from a listener that has just closed and, if `shares_port`,
    /// shared with workers that said so too.
    ///
    /// # Errors
    ///
    /// When the address cannot be listened on, or the system refuses a thread.
    pub fn start(
        addr: SocketAddr,
        shares_port: bool,
        acceptors: Option<Acceptors>,
        desk: &Arc<Desk>,
        door: Door,
    ) -> Result<Worker, ReceiverError> {
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build();
        let runtime = runtime.map_err(ReceiverError::Thread)?;
        let failed = |cause| ReceiverError::Listen { addr, cause };
        let listener = listen(&runtime, addr, shares_port).map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        let (stop, stopped) = oneshot::channel();
        let desk = Arc::clone(desk);
        let thread = thread::Builder::new().name("receiver".to_string());
        let thread = thread.spawn(move || {
            runtime.block_on(async {
                tokio::spawn(accept(listener, acceptors, desk, door));
                // Only ever ends by the other end's drop.
                let _dropped = stopped.await;
            });
        });
        Ok(Worker {
            addr,
            stop,
            thread: thread.map_err(ReceiverError::Thread)?,
        })
    }

    /// The address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Ends its work at once; the thread is to be joined.
    pub fn stop(self) -> JoinHandle<()> {
        drop(self.stop);
        self.thread
    }
}

fn listen(runtime: &Runtime, addr: SocketAddr, shares_port: bool) -> io::Result<TcpListener> {
    let _entered = runtime.enter();
    let socket = match addr {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(shares_port)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

async fn accept(listener: TcpListener, acceptors: Option<Acceptors>, desk: Arc<Desk>, door: Door) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let Ok((stream, _peer)) = listener.accept().await else {
            time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (acceptors, desk) = (acceptors.clone(), Arc::clone(&desk));
        tokio::spawn(async move {
            welcome(stream, acceptors, desk, door).await;
            drop(place);
        });
    }
}

async fn welcome(stream: TcpStream, acceptors: Option<Acceptors>, desk: Arc<Desk>, door: Door) {
    // An answer is one small packet; where the option is refused it only comes later.
    let _later = stream.set_nodelay(true);
    let is_struck = door != Door::Page;
    let fault = is_struck.then(|| desk.strike_connection(acceptors.is_some()));
    let fault = fault.flatten();
    if fault == Some(ConnectionFault::Reset) {
        // A zero linger turns the close that follows into a reset.
        let _closed = stream.set_zero_linger();
        return;
    }
    match acceptors {
        None => serve(stream, desk, door).await,
        Some(acceptors) => {
            let acceptor = match fault {
                Some(ConnectionFault::Tls(kind)) => match acceptors.bad(kind) {
                    Some(acceptor) => acceptor,
                    None => return kind.meet(stream).await,
                },
                _ => acceptors.good(),
            };
            let handshake = time::timeout(HANDSHAKE_MAX, acceptor.accept(stream));
            if let Ok(Ok(stream)) = handshake.await {
                serve(stream, desk, door).await;
            }
        }
    }
}

/// Serves one connection to its end.
async fn serve<S: Stream>(stream: S, desk: Arc<Desk>, door: Door) {
    let service = service_fn(|request| Box::pin(Arc::clone(&desk).answer(door, request)));
    // No limit on idle time: the agent's own idle timeout is what is to be seen.
    let mut connection = http1::Builder::new()
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(stream), service);
    // Not the plain future: it would close the stream in order, and keep it.
    let ended = poll_fn(|cx| connection.poll_without_shutdown(cx)).await;
    let mut stream = connection.into_parts().io.into_inner();
    let broken = ended.as_ref().err().and_then(Error::source);
    match broken.and_then(|cause| cause.downcast_ref::<Break>()) {
        Some(Break::Reset) => {
            // A zero linger turns the close that follows into a reset.
            let _closed = stream.tcp().set_zero_linger();
        }
        Some(Break::Answer(kind, pause)) => {
            // Whether the sender takes it is its own affair, as is the farewell.
            let _left = kind.play(*pause, &mut stream).await;
            drop(stream.shutdown().await);
        }
        None => drop(stream.shutdown().await),
    }
}

/// A stream with TCP under it.
trait Stream: AsyncRead + AsyncWrite + Unpin {
    fn tcp(&self) -> &TcpStream;
}

impl Stream for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Stream for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}
