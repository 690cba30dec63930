//! The only way to wait: for time to pass, for a signal, or for the agent to stop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Told once that the agent is to stop; every waiting thread hears of it at once.
#[derive(Clone, Debug, Default)]
pub struct Shutdown(Arc<Stopping>);

#[derive(Debug, Default)]
struct Stopping {
    /// Rung at the stop. It is asked for under this lock, and none is added afterwards.
    bells: Mutex<Vec<Bell>>,
    requested: AtomicBool,
    changed: Condvar,
}

impl Shutdown {
    /// Asks every waiting thread to stop. Safe to call twice.
    pub fn request(&self) {
        let bells = {
            let mut bells = self.bells();
            self.0.requested.store(true, Ordering::SeqCst);
            std::mem::take(&mut *bells)
        };
        self.0.changed.notify_all();
        for bell in bells {
            bell.ring();
        }
    }

    /// Whether a stop has been asked for.
    pub fn is_requested(&self) -> bool {
        self.0.requested.load(Ordering::SeqCst)
    }

    /// Waits up to `pause`; returns true, at once, when the agent is stopping.
    pub fn wait(&self, pause: Duration) -> bool {
        let goes_on = |_: &mut Vec<Bell>| !self.is_requested();
        let changed = &self.0.changed;
        drop(changed.wait_timeout_while(self.bells(), pause, goes_on));
        self.is_requested()
    }

    /// Rings `bell` when the stop is asked for; at once when it already was.
    pub fn ring_at_stop(&self, bell: &Bell) {
        let mut bells = self.bells();
        if self.is_requested() {
            drop(bells);
            bell.ring();
        } else {
            bells.retain(|bell| !bell.is_unheard());
            bells.push(bell.clone());
        }
    }

    fn bells(&self) -> MutexGuard<'_, Vec<Bell>> {
        self.0.bells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes one waiting thread: "there may be something to do". A ring is never lost; several
/// rings before the wait count as one.
#[derive(Clone, Debug, Default)]
pub struct Bell(Arc<BellState>);

#[derive(Debug, Default)]
struct BellState {
    hearing: Mutex<Hearing>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Hearing {
    is_rung: bool,
    /// Threads that wait: without one a ring costs no system call.
    waiting: usize,
}

impl Bell {
    /// Wakes the thread that waits, or lets its next wait return at once.
    pub fn ring(&self) {
        let is_heard = {
            let mut hearing = self.hearing();
            // Whoever was woken by the ring before takes this one with it.
            !std::mem::replace(&mut hearing.is_rung, true) && hearing.waiting > 0
        };
        if is_heard {
            self.0.changed.notify_one();
        }
    }

    /// Whether this is its only handle: nobody would hear it.
    pub fn is_unheard(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    /// Waits up to `pause` for a ring and takes it; returns whether there was one.
    pub fn wait(&self, pause: Duration) -> bool {
        let mut hearing = self.hearing();
        if !hearing.is_rung && !pause.is_zero() {
            hearing.waiting += 1;
            let changed = &self.0.changed;
            (hearing, _) = changed
                .wait_timeout_while(hearing, pause, |hearing| !hearing.is_rung)
                .unwrap_or_else(PoisonError::into_inner);
            hearing.waiting -= 1;
        }
        std::mem::take(&mut hearing.is_rung)
    }

    fn hearing(&self) -> MutexGuard<'_, Hearing> {
        self.0
            .hearing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_requested_stop_ends_every_wait() {
        let shutdown = Shutdown::default();
        let bell = Bell::default();
        shutdown.ring_at_stop(&bell);
        shutdown.request();
        shutdown.request();
        assert!(shutdown.wait(Duration::from_secs(60)));
        assert!(bell.wait(Duration::from_secs(60)));
    }

    #[test]
    fn bells_whose_owners_are_gone_are_not_kept() {
        let shutdown = Shutdown::default();
        for _ in 0..100 {
            shutdown.ring_at_stop(&Bell::default());
        }
        assert!(shutdown.bells().len() <= 1);
    }

    #[test]
    fn a_ring_before_the_wait_is_not_lost_and_is_taken_once() {
        let bell = Bell::default();
        bell.ring();
        bell.ring();
        assert!(bell.wait(Duration::ZERO));
        assert!(!bell.wait(Duration::ZERO));
    }

    #[test]
    fn every_ring_while_somebody_waits_wakes_and_none_is_lost() {
        let (there, back) = (Bell::default(), Bell::default());
        let other = {
            let (there, back) = (there.clone(), back.clone());
            std::thread::spawn(move || {
                for _ in 0..10_000 {
                    assert!(there.wait(Duration::from_secs(60)));
                    back.ring();
                }
            })
        };
        for _ in 0..10_000 {
            there.ring();
            assert!(back.wait(Duration::from_secs(60)));
        }
        other.join().unwrap();
    }
}
