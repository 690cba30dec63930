//! Listen: what a switch pushes to this machine → [`Push`], answered once its row is durable.
//!
//! ```text
//! POST or datagram ─allow, rate, size→ Push ─gate→ ingest ─commit→ answer
//! ```
//!
//! A listener understands nothing: it takes bytes from peers it may take them from, within
//! bounds, and hands them over by a [`Gate`]. Whoever takes a push out of the gate answers it:
//! *kept* after the commit that made its row durable, *busy* when there will be none for now. A
//! push that is dropped unanswered is answered busy too, so no path leads to an acknowledgement
//! that was not earned.
//!
//! | what | HTTP | UDP |
//! |---|---|---|
//! | kept | 200 `{"retCode":0}` | the acknowledgement, as one datagram |
//! | busy: full, paused, too fast | 503, no body | silence |
//! | wrong path, method or size | 404, 405, 413, no body | - |
//! | a peer not allowed | the connection is closed | silence |
//!
//! All listeners share one thread.

mod allow;
mod bucket;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
mod gate;
mod http;
mod udp;

pub use allow::{Network, NotANetwork};
pub use gate::{BYTES_WAITING_MAX, Gate, PUSHES_WAITING_MAX, Refusal, Refusals};
pub use http::{
    BODY_BYTES_MAX, BODY_TIME_MAX, CONNECTIONS_MAX, HEAD_TIME_MAX, KEPT, PAGE_BYTES_MAX,
};
pub use udp::DATAGRAM_BYTES_MAX;

use crate::clock::{Clock, UnixMs};
use crate::shutdown::Shutdown;
use std::fmt;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::time::sleep;

/// Pushes a second that are taken from all peers together, unless the configuration says
/// otherwise: five times the highest rate of calls planned for, over minutes.
pub const RATE_MAX_DEFAULT: u32 = 5_000;

/// Pause before an address that cannot be listened on is tried again.
const BIND_PAUSE: Duration = Duration::from_secs(5);

/// How soon the listeners hear of a stop.
const STOP_POLL: Duration = Duration::from_millis(100);

/// Stack of the listeners' thread: buffers are on the heap.
const STACK_BYTES: usize = 1 << 20;

/// Where to listen, and to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The address.
    pub listen: SocketAddr,
    /// Peers that are listened to; never empty.
    pub allow: Vec<Network>,
    /// Pushes a second taken from all peers together; as many may come at once.
    pub rate_max: u32,
    /// How pushes come.
    pub protocol: Protocol,
}

/// How pushes come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protocol {
    /// As bodies of POST requests to pages.
    Http(Pages),
    /// As datagrams.
    Udp,
}

/// Which paths are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pages {
    /// What comes before the page; empty segments do not count.
    pub path: String,
    /// The pages, each the last segment of a path; without any, the path itself is the page.
    pub names: Vec<String>,
}

/// One body or datagram, and how it is to be answered.
#[derive(Debug)]
pub struct Push {
    /// The page it was posted to; empty where there are none.
    pub page: String,
    /// Its bytes; of a datagram beyond [`DATAGRAM_BYTES_MAX`], only the first.
    pub body: Vec<u8>,
    /// How many bytes it had.
    pub bytes: usize,
    /// Who sent it.
    pub peer: SocketAddr,
    /// When it came.
    pub arrived: UnixMs,
    /// Its answer.
    pub answer: Answer,
}

/// An answer that is still owed. Dropped, it says busy.
#[derive(Debug)]
pub struct Answer(Owed);

#[derive(Debug)]
enum Owed {
    Http(oneshot::Sender<()>),
    Udp(Arc<UdpSocket>, udp::Way),
    #[cfg(test)]
    Nobody,
}

impl Answer {
    /// Says that the push is durable. `acknowledgement` is what a sender of datagrams wants to
    /// hear; without one it hears nothing.
    ///
    /// An answer that cannot be sent is as one that is lost on the way: the sender repeats.
    pub fn kept(self, acknowledgement: Option<&[u8]>) {
        match self.0 {
            Owed::Http(owed) => {
                let _gone_away = owed.send(());
            }
            Owed::Udp(socket, way) => {
                if let Some(text) = acknowledgement {
                    let _lost = udp::answer(&socket, text, way);
                }
            }
            #[cfg(test)]
            Owed::Nobody => {}
        }
    }

    /// An answer that nobody waits for.
    #[cfg(test)]
    pub fn to_nobody() -> Answer {
        Answer(Owed::Nobody)
    }
}

/// One listener: its source's name, where it listens, and where its pushes go.
#[derive(Debug)]
pub struct Listener {
    /// The source's name.
    pub source: Arc<str>,
    /// Where, and to whom.
    pub settings: Settings,
    /// Where pushes go.
    pub gate: Gate,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http(_) => "http",
            Self::Udp => "udp",
        })
    }
}

/// Starts the thread that listens until `shutdown` is requested.
///
/// An address that cannot be listened on is said once and tried again: what else the agent does
/// goes on.
///
/// # Errors
///
/// When the system refuses the thread or its runtime.
pub fn start(
    listeners: Vec<Listener>,
    clock: Arc<dyn Clock>,
    shutdown: Shutdown,
) -> io::Result<JoinHandle<()>> {
    let runtime = Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()?;
    thread::Builder::new()
        .name("listen".to_string())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            runtime.block_on(async {
                for listener in listeners {
                    tokio::spawn(listen(listener, Arc::clone(&clock)));
                }
                while !shutdown.is_requested() {
                    sleep(STOP_POLL).await;
                }
            });
        })
}

/// Listens for ever, beginning again after each failure.
async fn listen(listener: Listener, clock: Arc<dyn Clock>) {
    let Listener {
        source,
        settings,
        gate,
    } = listener;
    loop {
        let ended = match &settings.protocol {
            Protocol::Http(pages) => http::listen(&source, &settings, pages, &gate, &clock).await,
            Protocol::Udp => udp::listen(&source, &settings, &gate, &clock).await,
        };
        if let Err(error) = ended
            && gate.cannot_listen(format!("cannot listen on {}: {error}", settings.listen))
        {
            log::error!(
                "cannot listen, tried again source={source} {}={} error=\"{error}\"",
                settings.protocol,
                settings.listen
            );
        }
        sleep(BIND_PAUSE).await;
    }
}
