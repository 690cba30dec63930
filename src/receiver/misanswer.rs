//! Misanswer: answers that are no good HTTP, or far too much of it, written to the connection
//! byte by byte, past the HTTP library that would not send them.
//!
//! Whatever a sender does with them, the receiver holds no more of one than [`CHUNK`].

use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::sync::LazyLock;
use std::time::Duration;
use tokio::io::{self, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time;

/// Pause between two bytes of the slow ones, unless another is asked for.
pub const PAUSE: Duration = Duration::from_secs(1);

/// What is written at a time of the long ones.
static CHUNK: [u8; 16 << 10] = [b'x'; 16 << 10];

/// Bytes of the big body: 10 MB.
const BIG_BYTES: usize = 10_000_000;

/// Lines of the header flood.
const FLOOD_LINES: usize = 1_000;

/// Bytes of the huge header.
const HUGE_BYTES: usize = 1 << 20;

/// Bytes the bomb unpacks to: a thousand times its size.
const BOMB_BYTES: usize = 32 << 20;

/// The bomb, packed: it is made once, by the first who throws it.
static BOMB: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = [0; 64 << 10];
    for _ in 0..BOMB_BYTES / zeros.len() {
        // Into memory, which takes everything.
        let _written = packer.write_all(&zeros);
    }
    packer.finish().unwrap_or_default()
});

/// How an answer is no good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misanswer {
    /// A status line, then a header line without end, a byte at a time.
    SlowHeaders,
    /// Whole headers, then the body a byte at a time.
    SlowBody,
    /// Whole headers, then a body without end.
    EndlessBody,
    /// A body of 10 MB.
    BigBody,
    /// A small body that unpacks to 32 MiB.
    GzipBomb,
    /// A thousand header lines.
    HeaderFlood,
    /// One header of 1 MiB.
    HugeHeader,
    /// A first line that is no status line.
    BadStatusLine,
    /// Interim answers (103) without end.
    InterimFlood,
    /// 101, which nobody asked for.
    Switching,
    /// A chunked body that ends within a chunk.
    TornChunk,
    /// A body shorter than its length says.
    ShortBody,
    /// The status line, then the end of the connection.
    StatusLineOnly,
    /// A good answer, after which the connection stays open and nothing on it is heard: a firewall
    /// has forgotten it.
    Cut,
}

impl Misanswer {
    /// The kinds, as a fault is written.
    pub const ALL: [(&'static str, Misanswer); 14] = [
        ("slow-headers", Misanswer::SlowHeaders),
        ("slow-body", Misanswer::SlowBody),
        ("endless-body", Misanswer::EndlessBody),
        ("big-body", Misanswer::BigBody),
        ("gzip-bomb", Misanswer::GzipBomb),
        ("header-flood", Misanswer::HeaderFlood),
        ("huge-header", Misanswer::HugeHeader),
        ("bad-status-line", Misanswer::BadStatusLine),
        ("interim-flood", Misanswer::InterimFlood),
        ("switching", Misanswer::Switching),
        ("torn-chunk", Misanswer::TornChunk),
        ("short-body", Misanswer::ShortBody),
        ("status-line-only", Misanswer::StatusLineOnly),
        ("cut", Misanswer::Cut),
    ];

    /// Its name, as a fault is written.
    pub fn name(self) -> &'static str {
        let named = Misanswer::ALL.iter().find(|(_, kind)| *kind == self);
        named.map_or("misanswer", |(name, _)| name)
    }

    /// Whether a pause can be given with it.
    pub fn is_slow(self) -> bool {
        matches!(self, Misanswer::SlowHeaders | Misanswer::SlowBody)
    }

    /// Whether the sender is told that its callback was taken: a whole head with the status 200.
    /// What is wrong comes after, and the receiver has entered the callback.
    pub fn accepts(self) -> bool {
        matches!(
            self,
            Misanswer::SlowBody
                | Misanswer::EndlessBody
                | Misanswer::BigBody
                | Misanswer::GzipBomb
                | Misanswer::TornChunk
                | Misanswer::ShortBody
                | Misanswer::Cut
        )
    }

    /// Answers on `stream`, with `pause` between two bytes of the slow ones, until there is no
    /// more to say or the sender has left.
    ///
    /// # Errors
    ///
    /// When the sender has left.
    pub async fn play<S>(self, pause: Duration, stream: &mut S) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        stream.write_all(self.beginning().as_bytes()).await?;
        match self {
            Misanswer::SlowHeaders => trickle(pause, None, stream).await?,
            Misanswer::SlowBody => trickle(pause, Some(1_000), stream).await?,
            Misanswer::EndlessBody => loop {
                stream.write_all(b"4000\r\n").await?;
                stream.write_all(&CHUNK).await?;
                stream.write_all(b"\r\n").await?;
            },
            Misanswer::BigBody => flood(BIG_BYTES, stream).await?,
            Misanswer::GzipBomb => {
                let length = format!("Content-Length: {}\r\n\r\n", BOMB.len());
                stream.write_all(length.as_bytes()).await?;
                stream.write_all(&BOMB).await?;
            }
            Misanswer::HeaderFlood => {
                for line in 0..FLOOD_LINES {
                    let line = format!("X-Flood-{line}: 1\r\n");
                    stream.write_all(line.as_bytes()).await?;
                }
                stream.write_all(b"Content-Length: 0\r\n\r\n").await?;
            }
            Misanswer::HugeHeader => {
                flood(HUGE_BYTES, stream).await?;
                stream.write_all(b"\r\nContent-Length: 0\r\n\r\n").await?;
            }
            Misanswer::InterimFlood => loop {
                stream
                    .write_all(b"HTTP/1.1 103 Early Hints\r\n\r\n")
                    .await?;
            },
            Misanswer::BadStatusLine
            | Misanswer::Switching
            | Misanswer::TornChunk
            | Misanswer::ShortBody
            | Misanswer::StatusLineOnly
            | Misanswer::Cut => {}
        }
        stream.flush().await?;
        if self == Misanswer::Cut {
            // Until the sender gives up; what it sends meanwhile is heard by nobody.
            let mut unheard = [0; 4 << 10];
            while stream.read(&mut unheard).await? > 0 {}
        }
        Ok(())
    }

    fn beginning(self) -> &'static str {
        match self {
            Misanswer::SlowHeaders => "HTTP/1.1 200 OK\r\nX-Slow: ",
            Misanswer::SlowBody => "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
            Misanswer::EndlessBody => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            Misanswer::BigBody => "HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n",
            Misanswer::GzipBomb => {
                // Said, so that nobody sends the next request into the end of this connection.
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Encoding: gzip\r\n"
            }
            Misanswer::HeaderFlood => "HTTP/1.1 200 OK\r\n",
            Misanswer::HugeHeader => "HTTP/1.1 200 OK\r\nX-Huge: ",
            Misanswer::BadStatusLine => "220 mail.example ESMTP\r\n\r\n",
            Misanswer::InterimFlood => "",
            Misanswer::Switching => {
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: irc\r\nConnection: Upgrade\r\n\r\n"
            }
            Misanswer::TornChunk => {
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\ntorn"
            }
            Misanswer::ShortBody => "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
            Misanswer::StatusLineOnly => "HTTP/1.1 200 OK\r\n",
            Misanswer::Cut => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        }
    }
}

/// Writes one byte at a time; `bytes` of them, or without end.
async fn trickle<S: AsyncWrite + Unpin>(
    pause: Duration,
    bytes: Option<usize>,
    stream: &mut S,
) -> io::Result<()> {
    let mut written = 0;
    while bytes.is_none_or(|bytes| written < bytes) {
        stream.write_all(b"x").await?;
        stream.flush().await?;
        written += 1;
        time::sleep(pause).await;
    }
    Ok(())
}

async fn flood<S: AsyncWrite + Unpin>(bytes: usize, stream: &mut S) -> io::Result<()> {
    let mut left = bytes;
    while left > 0 {
        let now = CHUNK.get(..left).unwrap_or(&CHUNK);
        stream.write_all(now).await?;
        left -= now.len();
    }
    Ok(())
}
