//! Staff: the threads that send to one endpoint, taken on one by one.

use super::{STACK_BYTES, StartError};
use crate::progress::{Progress, Pulse};
use crate::shutdown::{Bell, Shutdown};
use std::any::Any;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// What a thread panicked with.
pub(super) type Panicked = Box<dyn Any + Send>;

/// The threads of one endpoint.
#[derive(Debug)]
pub(super) struct Staff {
    /// Who has not left yet.
    pub(super) leaving: Arc<Leaving>,
    workers: Mutex<Vec<JoinHandle<()>>>,
    /// What one that has gone home panicked with, if one did.
    panicked: Mutex<Option<Panicked>>,
    /// How many were taken on so far: the next one's number.
    number: AtomicUsize,
    progress: Progress,
}

impl Staff {
    /// Nobody yet.
    pub(super) fn new(progress: Progress) -> Staff {
        Staff {
            leaving: Arc::default(),
            workers: Mutex::default(),
            panicked: Mutex::default(),
            number: AtomicUsize::new(0),
            progress,
        }
    }

    /// Starts one more, who does `work` for `endpoint`.
    ///
    /// # Errors
    ///
    /// [`StartError::Thread`]; nobody was taken on.
    pub(super) fn take_on(
        &self,
        endpoint: &str,
        shutdown: &Shutdown,
        work: impl FnOnce(usize, &Present, &Pulse) + Send + 'static,
    ) -> Result<(), StartError> {
        let worker = self.number.fetch_add(1, Ordering::Relaxed) + 1;
        let present = Present::enter(&self.leaving, shutdown);
        let name = format!("send-{endpoint}-{worker}");
        let pulse = self.progress.pulse(name.clone());
        let started = spawn(name, move || work(worker, &present, &pulse))?;
        let gone = {
            let mut workers = lock(&self.workers);
            workers.push(started);
            let (gone, there) = std::mem::take(&mut *workers)
                .into_iter()
                .partition(JoinHandle::is_finished);
            *workers = there;
            gone
        };
        self.part_with(gone);
        Ok(())
    }

    /// Whether all have ended: nobody sends.
    pub(super) fn has_ended(&self) -> bool {
        let workers = lock(&self.workers);
        !workers.is_empty() && workers.iter().all(JoinHandle::is_finished)
    }

    /// Waits for the end of all; what one of them panicked with, if one did.
    pub(super) fn join(&self) -> Option<Panicked> {
        loop {
            // One that is about to end may just have taken on another.
            let workers = std::mem::take(&mut *lock(&self.workers));
            if workers.is_empty() {
                return lock(&self.panicked).take();
            }
            self.part_with(workers);
        }
    }

    fn part_with(&self, workers: Vec<JoinHandle<()>>) {
        for worker in workers {
            if let Err(payload) = worker.join() {
                *lock(&self.panicked) = Some(payload);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a thread of delivery.
///
/// # Errors
///
/// [`StartError::Thread`].
pub(super) fn spawn(
    name: String,
    run: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, StartError> {
    let builder = thread::Builder::new()
        .name(name.clone())
        .stack_size(STACK_BYTES);
    builder
        .spawn(run)
        .map_err(|source| StartError::Thread { name, source })
}

/// Who has not left yet.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    present: AtomicUsize,
    /// Attempts under way have been ended by the agent itself.
    pub(super) is_abandoned: AtomicBool,
    /// Rung by each who leaves.
    pub(super) bell: Bell,
}

impl Leaving {
    /// How many that are.
    pub(super) fn count(&self) -> usize {
        self.present.load(Ordering::SeqCst)
    }
}

/// Has the agent stop when the thread that holds it panics: with a worker missing, its event is
/// not sent again; without the settler, nothing is written down any more.
#[derive(Debug)]
pub(super) struct Alarm(pub(super) Shutdown);

impl Drop for Alarm {
    fn drop(&mut self) {
        if thread::panicking() {
            log::error!(
                "thread of delivery panicked, stopping thread={}",
                thread::current().name().unwrap_or_default()
            );
            self.0.request();
        }
    }
}

/// A worker counts as present while it holds this, also when it panics.
#[derive(Debug)]
pub(super) struct Present {
    pub(super) leaving: Arc<Leaving>,
    _alarm: Alarm,
}

impl Present {
    /// One more is there.
    pub(super) fn enter(leaving: &Arc<Leaving>, shutdown: &Shutdown) -> Present {
        leaving.present.fetch_add(1, Ordering::SeqCst);
        Present {
            leaving: Arc::clone(leaving),
            _alarm: Alarm(shutdown.clone()),
        }
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.leaving.present.fetch_sub(1, Ordering::SeqCst);
        self.leaving.bell.ring();
    }
}
