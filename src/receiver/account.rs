//! Account: what the receiver has seen, kept so that it balances at every moment.

use super::arrival::Entered;
use super::fault::FaultKind;
use crate::clock::UnixMs;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::time::Duration;

/// Most distinct ids remembered: about 60 MB. Beyond it the oldest is forgotten and counted, and
/// a repeat of a forgotten one counts as new; an oracle checks that none was forgotten.
pub const IDS_REMEMBERED_MAX: usize = 1_000_000;

/// How long an id is remembered, unless told otherwise: the 24 hours that the Vobiz guide asks of
/// receivers.
pub const IDS_KEEP: Duration = Duration::from_secs(24 * 3_600);

/// Most kinds counted apart; the contract names 17. Others are counted under [`OTHER_KINDS`].
pub const KINDS_MAX: usize = 64;

/// Under what name the kinds beyond [`KINDS_MAX`] are counted.
pub const OTHER_KINDS: &str = "(other)";

/// What a receiver has seen.
///
/// `requests = accepted - batched + bad_signatures + malformed + misaddressed + not_kept +
/// faults.refused()` and `accepted = distinct + duplicates`. A request counts once what becomes of it
/// is decided; one whose sender hangs up before that counts nowhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// Requests read whole.
    pub requests: u64,
    /// Callbacks verified, understood and counted; answered 200, or met by `lost`.
    pub accepted: u64,
    /// Accepted callbacks that came behind another in the same request.
    pub batched: u64,
    /// Accepted callbacks by kind.
    pub kinds: BTreeMap<String, u64>,
    /// Accepted callbacks whose id had not been seen.
    pub distinct: u64,
    /// Accepted callbacks whose id had been seen.
    pub duplicates: u64,
    /// Ids forgotten to make room. Unless 0, `distinct` may be too high.
    pub ids_forgotten: u64,
    /// Answered 401.
    pub bad_signatures: u64,
    /// Verified, but no callback of the profile: answered 400.
    pub malformed: u64,
    /// Another path, another method, or a body over the limit: answered 404, 405, 413.
    pub misaddressed: u64,
    /// Verified callbacks that could not be spooled or forwarded: answered with a status that has
    /// them repeated.
    pub not_kept: u64,
    /// Faults played.
    pub faults: FaultsPlayed,
    /// Arrivals that were not shown because too many waited; see `Receiver::arrivals`.
    pub arrivals_skipped: u64,
}

/// How often each kind of fault was played.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FaultsPlayed {
    /// Answers with a status.
    pub status: u64,
    /// Delays, counted when they begin; what becomes of the request counts apart.
    pub delay: u64,
    /// Requests never answered.
    pub hang: u64,
    /// Connections reset before the callback was accepted.
    pub reset: u64,
    /// Connections reset after it was accepted.
    pub lost: u64,
    /// Answers that were no good and told the sender nothing: the callback was not accepted.
    pub misanswers: u64,
    /// Answers that took the callback and were no good after that.
    pub spoilt: u64,
    /// Connections that came to nothing before they carried a request.
    pub connections: u64,
}

impl FaultsPlayed {
    /// Faults that kept a callback from being accepted.
    pub fn refused(&self) -> u64 {
        self.status + self.hang + self.reset + self.misanswers
    }
}

/// The account and the memory behind it.
#[derive(Debug)]
pub struct Books {
    account: Account,
    seen: Seen,
    /// Ids that are being kept: at most one per connection. A repeat that comes meanwhile is neither
    /// new nor safe.
    claimed: HashSet<ShortId>,
}

/// Whether an id may be kept now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It is new, and now ours to keep.
    Ours,
    /// It is kept already.
    Kept,
    /// Another connection is keeping it.
    Taken,
}

impl Books {
    /// Empty books that remember `ids_remembered` ids, each for `keep`.
    pub fn new(ids_remembered: usize, keep: Duration) -> Books {
        Books {
            account: Account::default(),
            seen: Seen::new(ids_remembered, keep),
            claimed: HashSet::new(),
        }
    }

    /// Remembers an id that was accepted `at` by an earlier run.
    pub fn remember(&mut self, id: ShortId, at: UnixMs) {
        self.seen.insert(id, at);
    }

    /// Claims `id` before it is kept, so that no repeat is answered before that is done.
    pub fn claim(&mut self, id: &str, at: UnixMs) -> Claim {
        let id = short_id(id);
        if self.seen.knows(&id, at) {
            Claim::Kept
        } else if self.claimed.insert(id) {
            Claim::Ours
        } else {
            Claim::Taken
        }
    }

    /// Gives up a claim: kept or not, the account says.
    pub fn release(&mut self, id: &str) {
        self.claimed.remove(&short_id(id));
    }

    /// The account as it stands.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Enters the accepted callbacks of one request, each with its kind and id; returns as what, new
    /// if one of them is.
    pub fn accept<'a>(
        &mut self,
        callbacks: impl IntoIterator<Item = (&'a str, &'a str)>,
        at: UnixMs,
    ) -> Entered {
        let mut entered = Entered::Duplicate;
        let mut count = 0;
        for (kind, id) in callbacks {
            count += 1;
            if self.accept_one(kind, id, at) == Entered::New {
                entered = Entered::New;
            }
        }
        self.account.requests += 1;
        self.account.batched += u64::saturating_sub(count, 1);
        entered
    }

    fn accept_one(&mut self, kind: &str, id: &str, at: UnixMs) -> Entered {
        let is_new = self.seen.insert(short_id(id), at);
        let account = &mut self.account;
        account.accepted += 1;
        account.ids_forgotten = self.seen.forgotten;
        count_kind(&mut account.kinds, kind);
        if is_new {
            account.distinct += 1;
            Entered::New
        } else {
            account.duplicates += 1;
            Entered::Duplicate
        }
    }

    /// Enters a request with a bad signature.
    pub fn refuse_signature(&mut self) {
        self.account.requests += 1;
        self.account.bad_signatures += 1;
    }

    /// Enters a verified request that is no callback.
    pub fn refuse_malformed(&mut self) {
        self.account.requests += 1;
        self.account.malformed += 1;
    }

    /// Enters a request that is none of ours.
    pub fn refuse_misaddressed(&mut self) {
        self.account.requests += 1;
        self.account.misaddressed += 1;
    }

    /// Enters a callback that could not be kept.
    pub fn refuse_unkept(&mut self) {
        self.account.requests += 1;
        self.account.not_kept += 1;
    }

    /// Enters a delay as it begins.
    pub fn delay(&mut self) {
        self.account.faults.delay += 1;
    }

    /// Enters a fault that ends a request. `lost`, and an answer that takes the callback, come on
    /// top of [`Books::accept`].
    pub fn fault(&mut self, kind: &FaultKind) {
        let faults = &mut self.account.faults;
        match kind {
            FaultKind::Status { .. }
            | FaultKind::Redirect(_)
            | FaultKind::Poison(_)
            | FaultKind::TooLong(_) => faults.status += 1,
            FaultKind::Hang => faults.hang += 1,
            FaultKind::Reset | FaultKind::Flap(_) => faults.reset += 1,
            FaultKind::Answer(kind, _) if kind.accepts() => {
                faults.spoilt += 1;
                return;
            }
            FaultKind::Answer(..) => faults.misanswers += 1,
            FaultKind::Lost => {
                faults.lost += 1;
                return;
            }
            FaultKind::Delay(_) | FaultKind::Tls(_) => return,
        }
        self.account.requests += 1;
    }

    /// Enters a connection that comes to nothing.
    pub fn fault_of_connection(&mut self) {
        self.account.faults.connections += 1;
    }

    /// Enters an arrival that could not be shown.
    pub fn skip_arrival(&mut self) {
        self.account.arrivals_skipped += 1;
    }
}

fn count_kind(kinds: &mut BTreeMap<String, u64>, kind: &str) {
    match kinds.get_mut(kind) {
        Some(count) => *count += 1,
        None => {
            let name = if kinds.len() < KINDS_MAX {
                kind
            } else {
                OTHER_KINDS
            };
            *kinds.entry(name.to_string()).or_default() += 1;
        }
    }
}

/// An id in 16 bytes.
pub type ShortId = [u8; 16];

/// An id in 16 bytes: the digits of `evt_…` as they are, any other id by its hash.
pub fn short_id(id: &str) -> ShortId {
    let digits = id.strip_prefix("evt_").filter(|digits| digits.len() == 32);
    // `from_str_radix` would take a sign.
    let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    match digits.map(|digits| u128::from_str_radix(digits, 16)) {
        Some(Ok(number)) => number.to_be_bytes(),
        _ => {
            let hash: [u8; 32] = Sha256::digest(id).into();
            let (short, _) = hash
                .split_first_chunk()
                .expect("a SHA-256 has more than 16 bytes");
            *short
        }
    }
}

/// The ids seen last.
#[derive(Debug)]
struct Seen {
    ids: HashSet<ShortId>,
    /// Oldest first, with the time each was first seen; the same ids.
    order: VecDeque<(ShortId, UnixMs)>,
    max: usize,
    keep: Duration,
    forgotten: u64,
}

impl Seen {
    fn new(max: usize, keep: Duration) -> Seen {
        Seen {
            ids: HashSet::new(),
            order: VecDeque::new(),
            max,
            keep,
            forgotten: 0,
        }
    }

    /// Whether `id` is still remembered at `at`.
    fn knows(&mut self, id: &ShortId, at: UnixMs) -> bool {
        self.expire(at);
        self.ids.contains(id)
    }

    /// Remembers `id` from `at` on; false when it was known.
    fn insert(&mut self, id: ShortId, at: UnixMs) -> bool {
        self.expire(at);
        if !self.ids.insert(id) {
            return false;
        }
        self.order.push_back((id, at));
        if self.order.len() > self.max
            && let Some((oldest, _)) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
            self.forgotten += 1;
        }
        true
    }

    /// Forgets the ids whose time is over. Where the clock was set back they stay longer.
    fn expire(&mut self, at: UnixMs) {
        while let Some((id, since)) = self.order.front()
            && at.since(*since) >= self.keep
        {
            self.ids.remove(id);
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: UnixMs = UnixMs(1_775_736_000_000);

    fn accept(books: &mut Books, kind: &str, id: &str) -> Entered {
        books.accept([(kind, id)], NOON)
    }

    #[test]
    fn an_id_is_known_for_its_time_and_new_again_after_it() {
        let mut books = Books::new(10, IDS_KEEP);
        assert_eq!(books.accept([("cdr", "a")], NOON), Entered::New);
        let late = NOON.after(IDS_KEEP - Duration::from_millis(1));
        assert_eq!(books.accept([("cdr", "a")], late), Entered::Duplicate);
        let over = NOON.after(IDS_KEEP);
        assert_eq!(books.accept([("cdr", "a")], over), Entered::New);
        assert_eq!(
            books.account().ids_forgotten,
            0,
            "it was not for want of room"
        );
    }

    #[test]
    fn an_id_is_claimed_once_until_it_is_kept_or_given_up() {
        let mut books = Books::new(10, IDS_KEEP);
        assert_eq!(books.claim("a", NOON), Claim::Ours);
        assert_eq!(books.claim("a", NOON), Claim::Taken);
        books.release("a");
        assert_eq!(books.claim("a", NOON), Claim::Ours);
        accept(&mut books, "cdr", "a");
        books.release("a");
        assert_eq!(books.claim("a", NOON), Claim::Kept);
    }

    #[test]
    fn a_batch_is_one_request_of_several_callbacks() {
        let mut books = Books::new(10, IDS_KEEP);
        let batch = [("cdr", "a"), ("cdr", "b"), ("alarm", "a")];
        assert_eq!(books.accept(batch, NOON), Entered::New);
        assert_eq!(books.accept(batch, NOON), Entered::Duplicate);
        let account = books.account();
        assert_eq!((account.requests, account.accepted), (2, 6));
        assert_eq!((account.batched, account.distinct), (4, 2));
    }

    #[test]
    fn a_repeated_id_is_a_duplicate_and_the_account_balances() {
        let mut books = Books::new(10, IDS_KEEP);
        let id = "evt_00112233445566778899aabbccddeeff";
        assert_eq!(accept(&mut books, "cdr", id), Entered::New);
        assert_eq!(accept(&mut books, "cdr", id), Entered::Duplicate);
        let other = accept(&mut books, "alarm", "msg_p5jXN8AQM9LWM0D4loKWxJek");
        assert_eq!(other, Entered::New);
        books.refuse_signature();
        books.refuse_malformed();
        books.refuse_misaddressed();
        books.fault(&FaultKind::Hang);
        books.fault(&FaultKind::Lost);
        let account = books.account();
        assert_eq!((account.requests, account.accepted), (7, 3));
        assert_eq!((account.distinct, account.duplicates), (2, 1));
        assert_eq!(account.faults.refused(), 1);
        let kinds = [("alarm".to_string(), 1), ("cdr".to_string(), 2)];
        assert_eq!(account.kinds, BTreeMap::from(kinds));
    }

    #[test]
    fn beyond_its_memory_the_oldest_id_is_forgotten_and_counted() {
        let mut books = Books::new(2, IDS_KEEP);
        for id in ["a", "b", "c"] {
            assert_eq!(accept(&mut books, "cdr", id), Entered::New);
        }
        assert_eq!(accept(&mut books, "cdr", "b"), Entered::Duplicate);
        assert_eq!(books.account().ids_forgotten, 1);
        assert_eq!(accept(&mut books, "cdr", "a"), Entered::New);
    }

    #[test]
    fn endless_kinds_do_not_grow_the_account() {
        let mut books = Books::new(10, IDS_KEEP);
        for number in 0..1_000 {
            accept(&mut books, &format!("kind{number}"), "a");
        }
        let kinds = &books.account().kinds;
        assert_eq!(kinds.len(), KINDS_MAX + 1);
        assert_eq!(kinds[OTHER_KINDS], 1_000 - KINDS_MAX as u64);
    }

    #[test]
    fn ids_of_any_form_are_told_apart() {
        let digits = "00112233445566778899aabbccddeeff";
        let ours = format!("evt_{digits}");
        let signed = format!("evt_+{}", &digits[1..]);
        let ids = [ours.as_str(), digits, &signed, "evt_", "", "a"];
        let short: HashSet<_> = ids.iter().map(|id| short_id(id)).collect();
        assert_eq!(short.len(), ids.len());
        assert_eq!(short_id(&ours)[..3], [0x00, 0x11, 0x22]);
    }
}
