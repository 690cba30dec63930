//! Bucket: how many pushes a second are taken.

use crate::clock::Moment;

/// An allowance of a second's pushes, filled with time.
#[derive(Debug)]
pub struct Bucket {
    rate: u32,
    /// Pushes that may still come, in millionths.
    left: u64,
    filled_at: Moment,
}

const MILLION: u64 = 1_000_000;

impl Bucket {
    /// A full bucket that gives `rate` a second.
    pub fn full(rate: u32, now: Moment) -> Bucket {
        Bucket {
            rate,
            left: u64::from(rate) * MILLION,
            filled_at: now,
        }
    }

    /// Takes one, when there is one.
    pub fn take(&mut self, now: Moment) -> bool {
        let micros = u64::try_from(now.since(self.filled_at).as_micros()).unwrap_or(u64::MAX);
        let rate = u64::from(self.rate);
        self.left = self
            .left
            .saturating_add(micros.saturating_mul(rate))
            .min(rate * MILLION);
        self.filled_at = now;
        match self.left.checked_sub(MILLION) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn it_gives_its_rate_at_once_and_then_as_time_goes() {
        let mut now = Moment::default();
        let mut bucket = Bucket::full(10, now);
        let taken = |bucket: &mut Bucket, now| (0..100).filter(|_| bucket.take(now)).count();
        assert_eq!(taken(&mut bucket, now), 10);
        now = now + Duration::from_millis(350);
        assert_eq!(taken(&mut bucket, now), 3);
        now = now + Duration::from_millis(50);
        assert_eq!(taken(&mut bucket, now), 1);
        now = now + Duration::from_secs(3_600);
        assert_eq!(taken(&mut bucket, now), 10);
    }
}
