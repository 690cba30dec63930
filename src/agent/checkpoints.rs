//! Checkpoints: the thread that writes the queue's side checkpoint while the agent runs.

use crate::queue::Queue;
use crate::shutdown::Shutdown;
use std::time::Duration;

/// Shortest time between two checkpoints: what a lost head costs is that many rows told again.
const PAUSE: Duration = Duration::from_secs(1);

/// Most bytes of checkpoints a second, on average: one of 20,000 remembered files takes 4 MB and is
/// then written each quarter of a minute, not each second.
const BYTES_A_SECOND: u64 = 256 << 10;

/// Writes a checkpoint at most each second, when anything was committed or settled since, until
/// the stop.
pub(super) fn run(queue: &Queue, shutdown: &Shutdown) {
    let mut pause = PAUSE;
    let mut written = None;
    let mut failing = false;
    while !shutdown.wait(pause) {
        let writes = queue.writes();
        if written == Some(writes) {
            continue;
        }
        match queue.checkpoint() {
            Ok(bytes) => {
                written = Some(writes);
                pause = pause_after(bytes);
                if std::mem::take(&mut failing) {
                    log::info!("checkpoint written again");
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    log::warn!("checkpoint not written, tried again each second error=\"{error}\"");
                }
            }
        }
    }
}

fn pause_after(bytes: u64) -> Duration {
    PAUSE.max(Duration::from_secs(bytes / BYTES_A_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_one_is_written_each_second_and_a_large_one_less_often() {
        assert_eq!(pause_after(20_000), Duration::from_secs(1));
        assert_eq!(pause_after(4 << 20), Duration::from_secs(16));
    }
}
