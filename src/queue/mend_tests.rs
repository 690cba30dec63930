//! What the ladder promises: whatever is done to the files of a store that is not open, opening
//! it succeeds, the account balances, every event is there or reported as lost, and the bytes
//! it was made of are read again.

use super::tests::{batch, delivered, events, files_of, letter, open, settled};
use super::*;
use crate::clock::UnixMs;
use crate::source::{FileKey, FilePosition};
use std::collections::BTreeSet;
use std::path::PathBuf;
use tempfile::TempDir;

/// A file of which `offset` bytes were read, in the one generation of inode numbers tests need.
fn position(inode: u64, offset: u64) -> FilePosition {
    let key = FileKey { device: 1, inode };
    FilePosition {
        offset,
        ..FilePosition::start_of(key, format!("/cdr/{inode}.txt"), 0)
    }
}

/// Commits `count` events of about 60 bytes that move file `inode` to `offset`.
fn commit(queue: &Queue, count: usize, inode: u64, offset: u64) {
    let mut batch = batch(events(count, 60));
    batch.positions.push(position(inode, offset));
    queue.commit(&[batch]).unwrap();
}

/// A store with events 1 to 5, 6 to 10 and 11 to 15 in a generation each, of bytes 0, 100, 200 to
/// 300 of file 7; the checkpoint is of the end.
fn three_generations() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let queue = open(&directory);
    queue.attach("billing", AttachFrom::Now).unwrap();
    for offset in [100, 200] {
        commit(&queue, 5, 7, offset);
        queue.roll_now().unwrap();
    }
    commit(&queue, 5, 7, 300);
    queue.close().unwrap();
    queue.checkpoint().unwrap();
    directory
}

fn generation(directory: &TempDir, number: u32) -> PathBuf {
    generation::directory(&directory.path().join("queue"), number)
}

fn sequences(queue: &Queue) -> Vec<u64> {
    let mut all = Vec::new();
    let mut from = Sequence::FIRST;
    loop {
        let read = queue.read(from, 100).unwrap();
        let Some(last) = read.last() else { return all };
        from = last.sequence.plus(1);
        all.extend(read.iter().map(|queued| queued.sequence.0));
    }
}

/// The one report of opening, and which bytes are read again.
fn only_mended(queue: &Queue) -> (Mended, Vec<(u64, u64)>) {
    let mended = &queue.opened().mended;
    assert_eq!(mended.len(), 1, "{mended:#?}");
    let again = mended[0].again.iter();
    let bytes = again.map(|covered| (covered.origin.offset, covered.to));
    (mended[0].clone(), bytes.collect())
}

fn scribble(file: &Path, from: usize, bytes: usize) {
    let mut content = fs::read(file).unwrap();
    let end = (from + bytes).min(content.len());
    content[from..end].fill(0xa5);
    fs::write(file, content).unwrap();
}

#[track_caller]
fn check_account(queue: &Queue) {
    let ledger = queue.ledger();
    assert!(ledger.balances(), "{ledger:#?}");
}

#[test]
fn a_head_that_is_gone_is_made_anew_from_the_checkpoint_and_its_bytes_are_read_again() {
    let directory = three_generations();
    fs::remove_dir_all(generation(&directory, 3)).unwrap();
    let queue = open(&directory);
    let (mended, again) = only_mended(&queue);
    assert_eq!(mended.remedy, Remedy::Checkpoint);
    assert_eq!((mended.saved, mended.lost()), (0, 5));
    assert_eq!(again, [(200, 300)]);
    assert_eq!(sequences(&queue), (1..=10).collect::<Vec<_>>());
    // The checkpoint was of an orderly stop: it is certain which sequences were given out.
    assert_eq!(queue.next_sequence(), Sequence(16));
    assert_eq!(queue.positions("cdr").unwrap(), [position(7, 300)]);
    assert_eq!(queue.to_read_again().unwrap().len(), 1);
    check_account(&queue);
    let endpoint = queue.ledger().endpoint("billing").unwrap().clone();
    assert_eq!((endpoint.added, endpoint.queued), (15, 15));
    queue.settle(delivered(1..11)).unwrap();
    let endpoint = queue.ledger().endpoint("billing").unwrap().clone();
    assert_eq!(
        (endpoint.delivered, endpoint.lost, endpoint.queued),
        (10, 5, 0)
    );
    assert_eq!(endpoint.cursor, Sequence(16));
    drop(queue);
    let queue = open(&directory);
    assert_eq!(queue.opened().mended, []);
    assert_eq!(queue.to_read_again().unwrap().len(), 1);
    check_account(&queue);
}

#[test]
fn without_a_checkpoint_the_sealed_generation_before_serves_and_its_rows_are_read_again() {
    let directory = three_generations();
    fs::remove_dir_all(generation(&directory, 3)).unwrap();
    fs::remove_file(directory.path().join("positions")).unwrap();
    let queue = open(&directory);
    let (mended, again) = only_mended(&queue);
    assert_eq!(mended.remedy, Remedy::Sealed(2));
    // Where the file stood then, so nothing has to be read beside.
    assert_eq!(again, []);
    assert_eq!(queue.positions("cdr").unwrap(), [position(7, 200)]);
    assert_eq!(sequences(&queue), (1..=10).collect::<Vec<_>>());
    // What was given out after it is not known: no sequence is given out twice.
    assert_eq!(
        queue.next_sequence(),
        Sequence(11).plus(mend::SEQUENCES_PASSED_OVER)
    );
    check_account(&queue);
    commit(&queue, 3, 7, 300);
    queue.settle(delivered(1..11)).unwrap();
    let endpoint = queue.ledger().endpoint("billing").unwrap().clone();
    assert_eq!(
        (endpoint.added, endpoint.delivered, endpoint.lost),
        (13, 10, 0)
    );
    assert_eq!(endpoint.queued, 3);
    check_account(&queue);
}

#[test]
fn with_nothing_left_the_queue_begins_anew_and_dead_letters_stay() {
    let directory = three_generations();
    let queue = open(&directory);
    let read = queue.read(Sequence(1), 1).unwrap().remove(0);
    let bury = settled(1, Settlement::Bury(letter(read)));
    queue.settle(vec![bury]).unwrap();
    drop(queue);
    for number in 1..=3 {
        scribble(&generation(&directory, number).join("db"), 0, 8 << 20);
        fs::write(generation(&directory, number).join("conf"), b"x").unwrap();
    }
    fs::write(directory.path().join("positions"), b"swpos").unwrap();
    let queue = open(&directory);
    let (mended, _) = only_mended(&queue);
    assert_eq!(mended.remedy, Remedy::Anew);
    assert_eq!(mended.set_aside.len(), 3);
    assert!(sequences(&queue).is_empty());
    assert_eq!(queue.count_dead("billing").unwrap(), 1);
    commit(&queue, 3, 7, 300);
    check_account(&queue);
}

#[test]
fn an_older_generation_that_is_gone_is_reported_passed_over_and_read_again() {
    let directory = three_generations();
    fs::remove_dir_all(generation(&directory, 2)).unwrap();
    let queue = open(&directory);
    let (mended, again) = only_mended(&queue);
    assert_eq!((mended.generation, mended.lost()), (2, 5));
    assert_eq!(again, [(100, 200)]);
    let expected: Vec<u64> = (1..=5).chain(11..=15).collect();
    assert_eq!(sequences(&queue), expected);
    queue.settle(delivered(1..6)).unwrap();
    queue.settle(delivered(11..16)).unwrap();
    let endpoint = queue.ledger().endpoint("billing").unwrap().clone();
    assert_eq!((endpoint.delivered, endpoint.lost), (10, 5));
    check_account(&queue);
    drop(queue);
    assert_eq!(open(&directory).opened().mended, []);
}

#[test]
fn a_generation_nobody_needs_any_more_may_be_gone() {
    let directory = three_generations();
    let queue = open(&directory);
    queue.settle(delivered(1..11)).unwrap();
    drop(queue);
    let queue = open(&directory);
    assert_eq!(queue.opened().mended, []);
    assert_eq!(sequences(&queue), (11..=15).collect::<Vec<_>>());
}

#[test]
fn a_damaged_block_costs_its_own_events_and_is_mended_when_it_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let queue = open(&directory);
    queue.attach("billing", AttachFrom::Now).unwrap();
    commit(&queue, 48, 7, 100);
    queue.roll_now().unwrap();
    commit(&queue, 2, 7, 110);
    drop(queue);
    damage_block(&directory, 1, 17);
    let queue = open(&directory);
    assert_eq!(
        queue.opened().mended,
        [],
        "it is not looked at before it is read"
    );
    let expected: Vec<u64> = (1..=16).chain(33..=50).collect();
    assert_eq!(sequences(&queue), expected);
    let again = queue.to_read_again().unwrap();
    assert_eq!((again[0].1.origin.offset, again[0].1.to), (0, 100));
    assert_eq!(queue.saved_ids().unwrap().len(), 32);
    assert_eq!(quarantine::list(&directory.path().join("queue")).len(), 1);
    check_account(&queue);
    queue.settle(delivered(1..17)).unwrap();
    assert_eq!(queue.cursor("billing"), Sequence(33));
    drop(queue);
    let queue = open(&directory);
    assert_eq!(sequences(&queue), expected);
    let ledger = queue.ledger();
    assert_eq!(ledger.endpoint("billing").unwrap().lost, 16);
    check_account(&queue);
}

/// Changes one byte of the block at `sequence`, through the database.
fn damage_block(directory: &TempDir, number: u32, sequence: u64) {
    let generation = generation::Generation::open(&directory.path().join("queue"), number).unwrap();
    let at = key::block(Sequence(sequence));
    let mut value = generation.get(&at).unwrap().unwrap();
    value[20] ^= 1;
    let mut writes = generation::Writes::default();
    writes.put(&at, &value);
    generation.write(writes).unwrap();
}

/// Makes what generation `number` of the store in `state` says about itself unreadable, through the
/// database; its blocks stay.
pub(crate) fn damage_meta(state: &Path, number: u32) {
    let generation = generation::Generation::open(&state.join("queue"), number).unwrap();
    let mut writes = generation::Writes::default();
    writes.put(key::META, b"?");
    generation.write(writes).unwrap();
}

#[test]
fn a_damaged_block_in_the_head_is_found_when_it_is_opened() {
    let directory = tempfile::tempdir().unwrap();
    let queue = open(&directory);
    queue.attach("billing", AttachFrom::Now).unwrap();
    commit(&queue, 48, 7, 100);
    drop(queue);
    damage_block(&directory, 1, 17);
    let queue = open(&directory);
    let (mended, again) = only_mended(&queue);
    assert_eq!(mended.remedy, Remedy::Copied);
    assert_eq!((mended.saved, mended.lost()), (32, 16));
    let report = mended.lines();
    assert!(
        report
            .iter()
            .any(|line| line.contains("what was pushed (http, udp)")),
        "{report:?}"
    );
    assert_eq!(again, [(0, 100)]);
    assert_eq!(
        queue.next_sequence(),
        Sequence(49),
        "its meta says what was given out"
    );
    let expected: Vec<u64> = (1..=16).chain(33..=48).collect();
    assert_eq!(sequences(&queue), expected);
    check_account(&queue);
}

#[test]
fn a_store_that_is_older_than_its_checkpoint_gives_no_sequence_out_twice() {
    let directory = three_generations();
    let old: Vec<(PathBuf, Vec<u8>)> = files_of(&directory.path().join("queue"))
        .into_iter()
        .collect();
    let queue = open(&directory);
    commit(&queue, 4, 7, 400);
    queue.settle(delivered(1..6)).unwrap();
    queue.checkpoint().unwrap();
    drop(queue);
    for (path, bytes) in old {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let queue = open(&directory);
    let mended = &queue.opened().mended[0];
    assert_eq!(mended.remedy, Remedy::Checkpoint);
    assert_eq!(mended.lost(), 4);
    let again: Vec<(u64, u64)> = mended
        .again
        .iter()
        .map(|covered| (covered.origin.offset, covered.to))
        .collect();
    assert_eq!(again, [(200, 400)]);
    assert_eq!(
        queue.cursor("billing"),
        Sequence(6),
        "what was delivered stays so"
    );
    assert!(queue.next_sequence() >= Sequence(20));
    let commit = queue.commit(&[batch(events(1, 60))]).unwrap();
    assert!(commit.first >= Sequence(20));
    check_account(&queue);
}

#[test]
fn an_event_that_waited_and_is_gone_is_lost_in_the_account() {
    let directory = three_generations();
    let queue = open(&directory);
    let read = queue.read(Sequence(1), 1).unwrap().remove(0);
    let keep = Settlement::Keep {
        due: UnixMs(5),
        attempts: 1,
        reason: "busy".into(),
        event: read,
    };
    queue.settle(vec![settled(1, keep)]).unwrap();
    queue.checkpoint().unwrap();
    drop(queue);
    // As a checkpoint that had no room for what waits.
    let mut rows = checkpoint::Rows::read(directory.path()).unwrap();
    rows.0.retain(|key, _| !key.starts_with(key::WAITING));
    rows.write(directory.path()).unwrap();
    fs::remove_dir_all(generation(&directory, 3)).unwrap();
    let queue = open(&directory);
    let (mended, _) = only_mended(&queue);
    assert_eq!((mended.lost(), mended.waiting_lost), (5, 1));
    check_account(&queue);
}

#[test]
fn dead_letters_that_can_be_read_outlive_damage() {
    let directory = three_generations();
    let queue = open(&directory);
    let read = queue.read(Sequence(1), 4).unwrap();
    let bury = |at: u64| {
        let queued = read[usize::try_from(at).unwrap() - 1].clone();
        settled(at, Settlement::Bury(letter(queued)))
    };
    queue.settle((1..5).map(bury).collect()).unwrap();
    drop(queue);
    let dead = directory.path().join("dead");
    let generation = generation::Generation::open(&dead, 1).unwrap();
    let mut writes = generation::Writes::default();
    writes.put(&key::dead("billing", Sequence(2)), b"garbage");
    generation.write(writes).unwrap();
    drop(generation);
    let queue = open(&directory);
    let letters = queue.dead_letters("billing", None, 9).unwrap();
    let sequences: Vec<u64> = letters.iter().map(|(place, _)| place.sequence.0).collect();
    assert_eq!(sequences, [1, 3, 4]);
    drop(queue);
    scribble(&dead.join("00000002/db"), 0, 8 << 20);
    let queue = open(&directory);
    assert_eq!(queue.count_dead("billing").unwrap(), 0);
    let read = queue.read(Sequence(5), 1).unwrap().remove(0);
    queue
        .settle(vec![settled(5, Settlement::Bury(letter(read)))])
        .unwrap();
    assert_eq!(queue.count_dead("billing").unwrap(), 1);
    assert_eq!(quarantine::list(&dead).len(), 2);
    check_account(&queue);
}

#[test]
fn bytes_are_read_again_until_that_is_done() {
    let directory = three_generations();
    fs::remove_dir_all(generation(&directory, 3)).unwrap();
    let queue = open(&directory);
    let (task, covered) = queue.to_read_again().unwrap().remove(0);
    assert_eq!((covered.origin.offset, covered.to), (200, 300));
    queue
        .commit_again(&[batch(events(2, 60))], task, Some(position(7, 250)))
        .unwrap();
    drop(queue);
    let queue = open(&directory);
    let (task, covered) = queue.to_read_again().unwrap().remove(0);
    assert_eq!((covered.origin.offset, covered.to), (250, 300));
    queue
        .commit_again(&[batch(events(3, 60))], task, None)
        .unwrap();
    assert!(queue.to_read_again().unwrap().is_empty());
    assert_eq!(queue.positions("cdr").unwrap(), [position(7, 300)]);
    drop(queue);
    assert!(open(&directory).to_read_again().unwrap().is_empty());
}

#[test]
fn a_mending_cut_short_at_any_step_is_finished() {
    // The copy is there, the damaged one too: the voids may not be on disk.
    let directory = three_generations();
    let copy = generation(&directory, 2).with_extension("mended");
    fs::create_dir(&copy).unwrap();
    let queue = open(&directory);
    assert!(!copy.exists());
    assert_eq!(sequences(&queue).len(), 15);
    drop(queue);
    // The damaged one is set aside, the copy has not taken its place.
    fs::rename(generation(&directory, 2), &copy).unwrap();
    let queue = open(&directory);
    assert_eq!(queue.opened().mended, []);
    assert_eq!(sequences(&queue).len(), 15);
    drop(queue);
    // A head was made anew, the damaged one is still there.
    let parent = directory.path().join("queue");
    drop(generation::Generation::create(&parent, 9).unwrap());
    fs::rename(generation(&directory, 9), generation(&directory, 4)).unwrap();
    let queue = open(&directory);
    assert_eq!(queue.opened().half_made, [4]);
    assert_eq!(sequences(&queue).len(), 15);
}

/// What may befall a file.
#[derive(Debug, Clone, Copy)]
enum Harm {
    Garbage,
    Truncated,
    Emptied,
    Removed,
}

#[test]
fn whatever_is_done_to_its_files_the_store_opens_and_the_account_balances() {
    let seed = std::env::var("SWITCHHOOK_SEED").map_or(41, |seed| seed.parse().unwrap());
    let rounds = std::env::var("SWITCHHOOK_HARMS").map_or(60, |rounds| rounds.parse().unwrap());
    let mut random = fastrand::Rng::with_seed(seed);
    let mut mended = 0;
    for round in 0..rounds {
        let directory = tempfile::tempdir().unwrap();
        let told = grown(&directory, &mut random);
        let files: Vec<PathBuf> = files_of(directory.path())
            .into_keys()
            .filter(|path| !path.ends_with("lock") && !path.ends_with("version"))
            .collect();
        let mut harms = Vec::new();
        for _ in 0..random.usize(1..4) {
            let path = &files[random.usize(..files.len())];
            let all = [Harm::Garbage, Harm::Truncated, Harm::Emptied, Harm::Removed];
            let harm = all[random.usize(..4)];
            harms.push((path.clone(), harm));
            do_harm(path, harm, &mut random);
        }
        let context = format!("SWITCHHOOK_SEED={seed} round {round}: {harms:?}");
        let queue = Queue::open(directory.path(), "node").expect(&context);
        let there: BTreeSet<u64> = sequences(&queue).into_iter().collect();
        let ledger = queue.ledger();
        assert!(ledger.balances(), "{context}: {ledger:#?}");
        // Every event that was told to be there is there, or every byte since is read again.
        let again = queue.to_read_again().unwrap();
        let positions = queue.positions("cdr").unwrap();
        for &(sequence, offset) in &told {
            let is_again = again
                .iter()
                .any(|(_, covered)| covered.origin.offset <= offset && offset < covered.to);
            let position = positions.first().map_or(0, |position| position.offset);
            assert!(
                there.contains(&sequence) || is_again || position <= offset,
                "{context}: event {sequence} of byte {offset} is gone, position {position}, {again:?}"
            );
        }
        mended += usize::from(!queue.opened().mended.is_empty());
        // And it goes on working.
        commit(&queue, 3, 7, 1_000_000);
        queue.roll_now().expect(&context);
        drop(queue);
        let queue = Queue::open(directory.path(), "node").expect(&context);
        assert_eq!(queue.opened().mended, [], "{context}");
        assert!(queue.ledger().balances(), "{context}");
    }
    assert!(
        mended * 4 > rounds,
        "many harms are seen at opening: {mended} of {rounds}"
    );
}

/// Lets a store grow by chance; returns the sequences no endpoint has had, each with the byte of
/// file 7 its row began at.
fn grown(directory: &TempDir, random: &mut fastrand::Rng) -> Vec<(u64, u64)> {
    let queue = open(directory);
    queue.attach("billing", AttachFrom::Now).unwrap();
    let mut told = Vec::new();
    let mut settled = 1;
    for _ in 0..random.usize(2..12) {
        let count = random.usize(1..60);
        let first = queue.next_sequence().0;
        told.extend((first..first + count as u64).map(|sequence| (sequence, sequence * 10)));
        commit(&queue, count, 7, (first + count as u64) * 10);
        if random.u8(..4) == 0 {
            queue.roll_now().unwrap();
        }
        if random.u8(..3) == 0 {
            let end = random.u64(settled..=queue.next_sequence().0);
            queue.settle(delivered(settled..end)).unwrap();
            settled = end;
        }
        if random.bool() {
            queue.checkpoint().unwrap();
        }
    }
    told.retain(|&(sequence, _)| sequence >= settled);
    told
}

fn do_harm(path: &Path, harm: Harm, random: &mut fastrand::Rng) {
    let Ok(mut bytes) = fs::read(path) else {
        return; // Removed already.
    };
    match harm {
        Harm::Garbage if !bytes.is_empty() => {
            for _ in 0..random.usize(1..4) {
                let at = random.usize(..bytes.len());
                let end = (at + random.usize(1..4_096)).min(bytes.len());
                bytes[at..end]
                    .iter_mut()
                    .for_each(|byte| *byte = random.u8(..));
            }
        }
        Harm::Truncated if !bytes.is_empty() => bytes.truncate(random.usize(..bytes.len())),
        Harm::Removed => {
            fs::remove_file(path).unwrap();
            return;
        }
        _ => bytes.clear(),
    }
    fs::write(path, bytes).unwrap();
}
