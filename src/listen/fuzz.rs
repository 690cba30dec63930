//! A door for the fuzz targets: what a connection of a switch, or of somebody else, can say.

use super::bucket::Bucket;
use super::http::{Crowd, Desk, HEAD_TIME_MAX, KEPT, PAGE_BYTES_MAX, converse};
use super::{Gate, Pages};
use crate::clock::{Clock, SystemClock};
use crate::shutdown::Bell;
use std::cell::RefCell;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use tokio::task::yield_now;

const NAMES: [&str; 2] = ["CallStateReport", "PhoneOnline"];

/// Everything a connection sends: what is taken as a push was posted to a page there is and is not
/// too long, and only what was kept is said to be.
pub fn http(data: &[u8]) {
    thread_local! {
        static RUNTIME: RefCell<Runtime> = RefCell::new(
            Builder::new_current_thread().enable_time().build().expect("a runtime"),
        );
    }
    RUNTIME.with_borrow(|runtime| runtime.block_on(connection(data)));
}

async fn connection(data: &[u8]) {
    let peer = SocketAddr::from(([127, 0, 0, 1], 5060));
    let gate = Gate::new(Bell::default());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let desk = Arc::new(Desk {
        gate: gate.clone(),
        pages: Pages {
            path: "/vos".to_string(),
            names: NAMES.map(str::to_string).to_vec(),
        },
        bucket: Mutex::new(Bucket::full(1_000, clock.now())),
        clock,
        head_time: HEAD_TIME_MAX,
        crowd: Crowd::default(),
        long: Semaphore::new(1),
    });
    let (mut own, theirs) = duplex(data.len() + 4_096);
    let mut kept = 0;
    let mut take = || {
        while let Some(push) = gate.take() {
            assert!(NAMES.contains(&push.page.as_str()));
            assert!(push.bytes == push.body.len() && push.bytes <= PAGE_BYTES_MAX);
            assert_eq!(push.peer, peer);
            push.answer.kept(None);
            kept += 1;
        }
    };
    let client = async {
        own.write_all(data).await.expect("there is room");
        // Hanging up ends a request that is not answered yet.
        for _ in 0..32 {
            take();
            yield_now().await;
        }
        own.shutdown().await.expect("it is open");
        let mut answers = Vec::new();
        let read = read_while(&mut own, &mut answers, &mut take);
        read.await;
        answers
    };
    let ((), answers) = tokio::join!(converse(theirs, peer, desk), client);
    assert!(answers.is_empty() || answers.starts_with(b"HTTP/1."));
    let told = memchr::memmem::find_iter(&answers, KEPT).count();
    assert!(told <= kept, "{told} kept of {kept}");
}

/// Reads to the end, taking pushes meanwhile.
async fn read_while(
    own: &mut tokio::io::DuplexStream,
    answers: &mut Vec<u8>,
    take: &mut impl FnMut(),
) {
    let mut read = std::pin::pin!(own.read_to_end(answers));
    std::future::poll_fn(|context| {
        take();
        let polled = read.as_mut().poll(context);
        if polled.is_pending() {
            context.waker().wake_by_ref();
        }
        polled.map(drop)
    })
    .await;
}
