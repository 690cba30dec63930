//! The pump with its threads, against an endpoint that the test holds in its hand.

use super::concurrency::Concurrency;
use super::event_queue::memory::MemoryQueue;
use super::profile::Profile;
use super::profile::samples::queued;
use super::rate::RateLimit;
use super::transport::{Answer, Response, Trouble, TroubleClass};
use super::url::Url;
use super::*;
use crate::clock::SystemClock;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Instant;

/// Answers each request with what `answer` says, given its sequence.
struct Scripted<F>(F);

impl<F> fmt::Debug for Scripted<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scripted")
    }
}

impl<F: Fn(u64) -> Answer + Send + Sync> Transport for Scripted<F> {
    fn send(&self, request: &SignedRequest<'_>) -> Answer {
        let sequence = request
            .headers
            .iter()
            .find(|(name, _)| *name == "X-Switchhook-Sequence")
            .unwrap();
        (self.0)(sequence.1.parse().unwrap())
    }

    fn abandon(&self) {}
}

fn status(status: u16) -> Answer {
    Answer::Status(Response {
        status,
        elapsed: Duration::from_millis(1),
        ..Response::default()
    })
}

fn endpoint(name: &str, concurrency: usize) -> Endpoint {
    let mut endpoint = Endpoint::new(
        name,
        Url::parse("http://127.0.0.1:9/").unwrap(),
        Profile::Standard,
    );
    endpoint.concurrency = Concurrency::Fixed(NonZeroUsize::new(concurrency).unwrap());
    endpoint
}

fn start(
    endpoint: Endpoint,
    queue: &MemoryQueue,
    transport: impl Transport + 'static,
    shutdown: &Shutdown,
) -> Delivery {
    let transport: Arc<dyn Transport> = Arc::new(transport);
    let queue = Arc::new(queue.clone());
    let clock = Arc::new(SystemClock::new());
    Delivery::start(
        vec![(endpoint, false)],
        queue,
        clock,
        &mut |_| Ok(Arc::clone(&transport)),
        shutdown,
        1,
        None,
    )
    .unwrap()
}

/// Waits until the queue has everything settled; panics after a time no test needs.
#[track_caller]
fn drained(queue: &MemoryQueue) {
    let started = Instant::now();
    let retry = Bell::default();
    loop {
        {
            let contents = queue.contents();
            if contents.cursor > contents.events.len() as u64 && contents.waiting.is_empty() {
                return;
            }
            assert!(
                started.elapsed() < Duration::from_secs(30),
                "stuck at {}",
                contents.cursor
            );
        }
        retry.wait(Duration::from_millis(1));
    }
}

#[test]
fn everything_is_delivered_once_by_all_workers_together() {
    let queue = MemoryQueue::with((1..=5_000).map(|n| queued(n, "cdr", "{}")).collect());
    let sent = Arc::new(Mutex::new(BTreeMap::new()));
    let seen = Arc::clone(&sent);
    let transport = Scripted(move |sequence| {
        *seen.lock().unwrap().entry(sequence).or_insert(0_u32) += 1;
        status(200)
    });
    let delivery = start(endpoint("a", 16), &queue, transport, &Shutdown::default());
    drained(&queue);
    let (name, counts) = delivery.counts().remove(0);
    assert_eq!(
        (&*name, counts.attempts, counts.delivered),
        ("a", 5_000, 5_000)
    );
    delivery.stop(Duration::from_secs(5));
    assert!(
        sent.lock().unwrap().len() == 5_000
            && sent.lock().unwrap().values().all(|times| *times == 1)
    );
}

#[test]
fn an_event_that_arrives_while_all_are_idle_is_sent_at_once() {
    let queue = MemoryQueue::with(Vec::new());
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let transport = Scripted(move |sequence| {
        tell.lock().unwrap().send(sequence).unwrap();
        status(200)
    });
    let delivery = start(endpoint("a", 8), &queue, transport, &Shutdown::default());
    for sequence in 1..=200 {
        queue.add(queued(sequence, "cdr", "{}"));
        // Far below the 60 s after which a worker that was not called looks by itself.
        assert_eq!(told.recv_timeout(Duration::from_secs(5)), Ok(sequence));
    }
    delivery.stop(Duration::from_secs(5));
    assert_eq!(queue.contents().cursor, 201);
}

#[test]
fn retries_and_probes_wake_workers_in_time() {
    let queue = MemoryQueue::with((1..=300).map(|n| queued(n, "cdr", "{}")).collect());
    let rng = Mutex::new(fastrand::Rng::with_seed(1));
    let transport = Scripted(move |_| {
        if rng.lock().unwrap().u8(0..5) == 0 {
            status(500)
        } else {
            status(200)
        }
    });
    let delivery = start(endpoint("a", 8), &queue, transport, &Shutdown::default());
    let started = Instant::now();
    drained(&queue);
    assert!(
        started.elapsed() < Duration::from_secs(25),
        "{:?}",
        started.elapsed()
    );
    delivery.stop(Duration::from_secs(5));
    assert!(queue.contents().dead.is_empty());
}

#[test]
fn a_stop_lets_attempts_finish_and_writes_down_what_they_came_to() {
    let queue = MemoryQueue::with((1..=100).map(|n| queued(n, "cdr", "{}")).collect());
    let (tell, told) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let (tell, released) = (Mutex::new(tell), Mutex::new(released));
    let transport = Scripted(move |sequence| {
        tell.lock().unwrap().send(sequence).unwrap();
        released.lock().unwrap().recv().unwrap();
        status(200)
    });
    let shutdown = Shutdown::default();
    let delivery = start(endpoint("a", 4), &queue, transport, &shutdown);
    let under_way: Vec<u64> = (0..4).map(|_| told.recv().unwrap()).collect();
    shutdown.request();
    (0..4).for_each(|_| release.send(()).unwrap());
    delivery.stop(Duration::from_secs(30));
    let mut delivered: Vec<u64> = queue
        .contents()
        .delivered
        .iter()
        .map(|sequence| sequence.0)
        .collect();
    delivered.sort_unstable();
    assert_eq!((under_way.len(), delivered), (4, vec![1, 2, 3, 4]));
    assert!(told.try_recv().is_err(), "nothing was begun after the stop");
}

/// A transport whose attempts end only when they are abandoned.
#[derive(Debug, Default)]
struct Hanging {
    begun: Bell,
    abandoned: Bell,
}

impl Transport for Hanging {
    fn send(&self, _: &SignedRequest<'_>) -> Answer {
        self.begun.ring();
        self.abandoned.wait(Duration::from_secs(60));
        Answer::Trouble(Trouble {
            class: TroubleClass::Closed,
            text: String::new(),
            elapsed: Duration::ZERO,
        })
    }

    fn abandon(&self) {
        self.abandoned.ring();
    }
}

#[test]
fn an_attempt_that_outlasts_the_grace_is_abandoned_and_its_event_stays_queued() {
    let queue = MemoryQueue::with(vec![queued(1, "cdr", "{}")]);
    let hanging = Arc::new(Hanging::default());
    let transport: Arc<dyn Transport> = hanging.clone();
    let clock = Arc::new(SystemClock::new());
    let make: &mut MakeTransport<'_> = &mut |_| Ok(Arc::clone(&transport));
    let shutdown = Shutdown::default();
    let delivery = Delivery::start(
        vec![(endpoint("a", 2), false)],
        Arc::new(queue.clone()),
        clock,
        make,
        &shutdown,
        1,
        None,
    )
    .unwrap();
    hanging.begun.wait(Duration::from_secs(60));
    let started = Instant::now();
    delivery.stop(Duration::from_millis(50));
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
    let contents = queue.contents();
    assert_eq!(
        (contents.cursor, contents.waiting.len(), contents.dead.len()),
        (1, 0, 0)
    );
}

#[test]
fn a_worker_s_panic_is_passed_on() {
    let queue = MemoryQueue::with(vec![queued(1, "cdr", "{}")]);
    let begun = Bell::default();
    let told = begun.clone();
    let transport = Scripted(move |_| {
        told.ring();
        panic!("a bug")
    });
    let delivery = start(endpoint("a", 1), &queue, transport, &Shutdown::default());
    begun.wait(Duration::from_secs(60));
    let stopped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        delivery.stop(Duration::from_secs(5))
    }));
    assert_eq!(*stopped.unwrap_err().downcast::<&str>().unwrap(), "a bug");
}

#[test]
fn a_worker_s_panic_has_the_agent_stop() {
    let queue = MemoryQueue::with(vec![queued(1, "cdr", "{}")]);
    let shutdown = Shutdown::default();
    let delivery = start(
        endpoint("a", 2),
        &queue,
        Scripted(|_| panic!("a bug")),
        &shutdown,
    );
    assert!(shutdown.wait(Duration::from_secs(60)));
    let stopped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        delivery.stop(Duration::from_secs(5))
    }));
    assert!(stopped.is_err());
}

#[test]
fn a_panic_of_the_settler_has_the_agent_stop() {
    let queue = MemoryQueue::with(vec![queued(1, "cdr", "{}")]);
    queue.contents().settle_panics = true;
    let shutdown = Shutdown::default();
    let delivery = start(
        endpoint("a", 2),
        &queue,
        Scripted(|_| status(200)),
        &shutdown,
    );
    assert!(shutdown.wait(Duration::from_secs(60)));
    let stopped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        delivery.stop(Duration::from_secs(5))
    }));
    assert!(stopped.is_err());
}

#[test]
fn only_threads_that_end_by_themselves_have_ended() {
    let queue = MemoryQueue::with(Vec::new());
    let shutdown = Shutdown::default();
    let delivery = start(
        endpoint("a", 2),
        &queue,
        Scripted(|_| status(200)),
        &shutdown,
    );
    assert!(!delivery.has_ended());
    // The settler ends, and nobody asked for the stop.
    delivery.outbox.close();
    let started = Instant::now();
    while !delivery.has_ended() {
        assert!(started.elapsed() < Duration::from_secs(30));
        thread::yield_now();
    }
    shutdown.request();
    assert!(!delivery.has_ended());
    delivery.stop(Duration::from_secs(5));
}

/// A transport whose attempts are answered when they are abandoned, and not before.
#[derive(Debug, Default)]
struct AnswersLate(Hanging);

impl Transport for AnswersLate {
    fn send(&self, request: &SignedRequest<'_>) -> Answer {
        let _abandoned = self.0.send(request);
        status(200)
    }

    fn abandon(&self) {
        self.0.abandon();
    }
}

#[test]
fn an_answer_that_comes_while_attempts_are_abandoned_counts() {
    let queue = MemoryQueue::with(vec![queued(1, "cdr", "{}")]);
    let transport = AnswersLate::default();
    let begun = transport.0.begun.clone();
    let delivery = start(endpoint("a", 1), &queue, transport, &Shutdown::default());
    begun.wait(Duration::from_secs(60));
    delivery.stop(Duration::from_millis(50));
    assert_eq!(queue.contents().delivered.len(), 1);
}

#[test]
fn an_endpoint_taken_down_and_put_up_again_gets_the_rest_and_nothing_twice() {
    let queue = MemoryQueue::with((1..=3_000).map(|n| queued(n, "cdr", "{}")).collect());
    let sent = Arc::new(Mutex::new(BTreeMap::new()));
    let transport = || {
        let seen = Arc::clone(&sent);
        Scripted(move |sequence| {
            *seen.lock().unwrap().entry(sequence).or_insert(0_u32) += 1;
            status(200)
        })
    };
    let delivery = start(endpoint("a", 8), &queue, transport(), &Shutdown::default());
    for part in 1..=5 {
        while sent.lock().unwrap().len() < part * 300 {
            Bell::default().wait(Duration::from_millis(1));
        }
        assert!(delivery.remove("a", Duration::from_secs(5)));
        assert!(!delivery.remove("a", Duration::ZERO));
        let settled = queue.contents().delivered.len();
        assert_eq!(
            settled,
            sent.lock().unwrap().len(),
            "all that was sent is settled"
        );
        delivery
            .add(endpoint("a", 3), vec![Arc::new(transport())], false)
            .unwrap();
    }
    drained(&queue);
    delivery.stop(Duration::from_secs(5));
    let sent = sent.lock().unwrap();
    assert!(sent.len() == 3_000 && sent.values().all(|times| *times == 1));
}

#[test]
fn an_endpoint_s_rate_holds_through_a_change_of_its_settings() {
    let queue = MemoryQueue::with((1..=9).map(|n| queued(n, "cdr", "{}")).collect());
    let sent = Arc::new(Mutex::new(0_u32));
    let seen = Arc::clone(&sent);
    let limited = |limit| Endpoint {
        rate_max: RateLimit::parse(limit),
        ..endpoint("a", 3)
    };
    let transport = move || {
        let seen = Arc::clone(&seen);
        Scripted(move |_| {
            *seen.lock().unwrap() += 1;
            status(200)
        })
    };
    let delivery = start(limited("1/m"), &queue, transport(), &Shutdown::default());
    let waits = Bell::default();
    while *sent.lock().unwrap() == 0 {
        waits.wait(Duration::from_millis(1));
    }
    for _ in 0..3 {
        assert!(delivery.remove("a", Duration::from_secs(5)));
        delivery
            .add(limited("2/m"), vec![Arc::new(transport())], false)
            .unwrap();
        waits.wait(Duration::from_millis(20));
        assert_eq!(*sent.lock().unwrap(), 1, "one in half a minute");
    }
    delivery.stop(Duration::from_secs(5));
}

#[test]
fn endpoints_that_are_taken_down_together_share_their_grace() {
    const GRACE: Duration = Duration::from_millis(500);
    let names = ["a", "b", "c", "d", "e", "f"];
    let queue = MemoryQueue::with(vec![queued(1, "cdr", "{}")]);
    let hanging: Vec<Arc<Hanging>> = names.iter().map(|_| Arc::default()).collect();
    let mut transports = hanging
        .iter()
        .map(|it| Arc::clone(it) as Arc<dyn Transport>);
    let make: &mut MakeTransport<'_> = &mut |_| Ok(transports.next().unwrap());
    let delivery = Delivery::start(
        names
            .iter()
            .map(|name| (endpoint(name, 1), false))
            .collect(),
        Arc::new(queue),
        Arc::new(SystemClock::new()),
        make,
        &Shutdown::default(),
        1,
        None,
    )
    .unwrap();
    for transport in &hanging {
        assert!(transport.begun.wait(Duration::from_secs(60)));
    }
    let started = Instant::now();
    let all: Vec<Arc<str>> = names.iter().map(|name| Arc::from(*name)).collect();
    delivery.remove_all(&all[..5], GRACE);
    let took = started.elapsed();
    assert!((GRACE..GRACE * 4).contains(&took), "{took:?}");
    assert_eq!(delivery.counts().len(), 1);
    delivery.stop(Duration::ZERO);
}

#[test]
fn a_held_endpoint_is_sent_nothing_until_it_is_resumed() {
    let queue = MemoryQueue::with((1..=10).map(|n| queued(n, "cdr", "{}")).collect());
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let transport: Arc<dyn Transport> = Arc::new(Scripted(move |sequence| {
        tell.lock().unwrap().send(sequence).unwrap();
        status(200)
    }));
    let delivery = Delivery::start(
        vec![(endpoint("a", 2), true)],
        Arc::new(queue.clone()),
        Arc::new(SystemClock::new()),
        &mut |_| Ok(Arc::clone(&transport)),
        &Shutdown::default(),
        1,
        None,
    )
    .unwrap();
    queue.add(queued(11, "cdr", "{}"));
    assert!(told.recv_timeout(Duration::from_millis(100)).is_err());
    assert_eq!(delivery.counts()[0].1.state, counts::EndpointState::Held);
    assert!(delivery.resume("a") && !delivery.resume("b"));
    drained(&queue);
    assert!(delivery.hold("a"));
    queue.add(queued(12, "cdr", "{}"));
    assert_eq!(told.try_iter().count(), 11);
    delivery.stop(Duration::from_secs(5));
}

#[test]
fn attempts_can_be_watched() {
    let queue = MemoryQueue::with(Vec::new());
    let transport = Scripted(|_| status(422));
    let mut endpoint = endpoint("a", 1);
    endpoint.retries.attempts = 1;
    let delivery = start(endpoint, &queue, transport, &Shutdown::default());
    let mut watcher = delivery.tap().watch();
    queue.add(queued(1, "cdr", "{}"));
    drained(&queue);
    let recent = delivery.recent("a");
    assert_eq!((recent.len(), recent[0].outcome), (1, "refused"));
    assert!(delivery.recent("b").is_empty());
    delivery.stop(Duration::from_secs(5));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let Ok(Seen::Attempt(attempt)) = runtime.block_on(watcher.next()) else {
        panic!("an attempt");
    };
    assert_eq!(
        (attempt.outcome, &*attempt.error, attempt.number),
        ("refused", "status 422", 1)
    );
}
