//! Gunzip: the rows inside a file that gzip made, read as if it were not packed.
//!
//! It goes through the file once, forwards, with the last [`HELD_BYTES`] of what it unpacked in
//! memory; a look further back begins again at the start. Where the file ends before its last
//! member does, it may still be being written: what is there is given out, and the rest once
//! there is more. Members that follow one another are one text, and what is not a member behind
//! them (tapes are padded) is not looked at, both as gzip does it (RFC 1952, 2.2).

use flate2::{Crc, Decompress, FlushDecompress, Status};
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Bytes read from the file at a time.
const INPUT_BYTES: usize = 32 << 10;

/// Unpacked bytes that are held: beyond those asked for next, the bytes before a position and the
/// head of a file are asked for again most.
const HELD_BYTES: usize = 64 << 10;

/// Longest header of a member, in bytes: the name and the comment in it are text, the extra field
/// has a length of two bytes.
const HEADER_BYTES_MAX: usize = 128 << 10;

/// How a packed file ends, as far as it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// There is more of it.
    NotReached,
    /// After the trailer of its last member, which fits.
    Complete,
    /// In the middle of a member: cut off, or still being written.
    Short,
    /// With bytes that gzip did not write.
    Damaged(Damage),
}

/// What is wrong with a packed file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// It does not begin as a member does.
    Header,
    /// What is packed cannot be unpacked.
    Data,
    /// What was unpacked is not what was packed.
    Checksum,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "is not made by gzip",
            Self::Data => "is damaged, what follows cannot be unpacked",
            Self::Checksum => "is damaged, its checksum does not fit",
        })
    }
}

/// A packed file being read.
pub struct Gunzip {
    file: Arc<File>,
    /// Packed bytes taken from the file.
    taken: u64,
    /// Packed bytes not used yet: `input[used..]`.
    input: Vec<u8>,
    used: usize,
    part: Part,
    inflate: Decompress,
    crc: Crc,
    /// Unpacked bytes, the first of them at `held_from` of the text.
    held: Vec<u8>,
    held_from: u64,
    ending: Ending,
}

/// What of a member comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Header { is_first: bool },
    Data,
    Trailer,
}

impl Gunzip {
    /// The text of `file`.
    pub fn new(file: Arc<File>) -> Gunzip {
        Gunzip {
            file,
            taken: 0,
            input: Vec::new(),
            used: 0,
            part: Part::Header { is_first: true },
            inflate: Decompress::new(false),
            crc: Crc::new(),
            held: Vec::new(),
            held_from: 0,
            ending: Ending::NotReached,
        }
    }

    /// How it ends; [`Ending::NotReached`] until a read gave less than was asked for.
    pub fn ending(&self) -> Ending {
        self.ending
    }

    /// Offset just after the last byte unpacked so far.
    pub fn end(&self) -> u64 {
        self.held_from + self.held.len() as u64
    }

    /// Unpacks into `buffer` what stands at `offset` of the text; less than fits only at its end.
    ///
    /// # Errors
    ///
    /// When the file cannot be read. That it is damaged is no error but its [`ending`](Self::ending).
    pub fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset < self.held_from {
            *self = Gunzip::new(Arc::clone(&self.file));
        }
        let mut count = 0;
        while let Some(room) = buffer.get_mut(count..).filter(|room| !room.is_empty()) {
            let at = usize::try_from(offset + count as u64 - self.held_from);
            let there = self
                .held
                .get(at.unwrap_or(usize::MAX)..)
                .unwrap_or_default();
            let part = room.len().min(there.len());
            if let (Some(room), Some(there)) = (room.get_mut(..part), there.get(..part)) {
                room.copy_from_slice(there);
            }
            count += part;
            if part == 0 && !self.unpack()? {
                break;
            }
        }
        Ok(count)
    }

    /// Unpacks some more; returns whether there may be more still.
    fn unpack(&mut self) -> io::Result<bool> {
        if matches!(self.ending, Ending::Complete | Ending::Damaged(_)) {
            return Ok(false);
        }
        self.ending = Ending::NotReached;
        let moved = match self.part {
            Part::Header { is_first } => self.header(is_first)?,
            Part::Data => self.data()?,
            Part::Trailer => self.trailer()?,
        };
        if !moved && self.ending == Ending::NotReached {
            self.ending = Ending::Short;
        }
        Ok(moved)
    }

    /// The packed bytes not used yet, `wanted` of them if the file has as many.
    fn input(&mut self, wanted: usize) -> io::Result<&[u8]> {
        while self.input.len() - self.used < wanted {
            self.input.drain(..self.used);
            self.used = 0;
            let held = self.input.len();
            self.input.resize(held + INPUT_BYTES.max(wanted - held), 0);
            let room = self.input.get_mut(held..).unwrap_or_default();
            let read = match self.file.read_at(room, self.taken) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(None),
                Err(error) => Err(error),
                Ok(count) => Ok(Some(count)),
            };
            let count = read.as_ref().map_or(0, |count| count.unwrap_or(0));
            self.input.truncate(held + count);
            self.taken += count as u64;
            if read? == Some(0) {
                break;
            }
        }
        Ok(self.input.get(self.used..).unwrap_or_default())
    }

    fn header(&mut self, is_first: bool) -> io::Result<bool> {
        let mut wanted = 10;
        loop {
            let input = self.input(wanted)?;
            let is_all = input.len() < wanted;
            match header_bytes(input) {
                Ok(Some(bytes)) => {
                    self.used += bytes;
                    self.part = Part::Data;
                    self.inflate = Decompress::new(false);
                    self.crc = Crc::new();
                    return Ok(true);
                }
                Ok(None) if is_all && (is_first || !input.is_empty()) => return Ok(false),
                Ok(None) if !is_all && wanted < HEADER_BYTES_MAX => wanted *= 2,
                // Nothing follows the last member, or nothing that gzip would read.
                _ if !is_first => self.ending = Ending::Complete,
                _ => self.ending = Ending::Damaged(Damage::Header),
            }
            if self.ending != Ending::NotReached {
                return Ok(false);
            }
        }
    }

    fn data(&mut self) -> io::Result<bool> {
        self.make_room();
        self.input(1)?;
        let before = (self.inflate.total_in(), self.held.len());
        let input = self.input.get(self.used..).unwrap_or_default();
        let unpacked = self
            .inflate
            .decompress_vec(input, &mut self.held, FlushDecompress::None);
        let used = self.inflate.total_in() - before.0;
        self.used += usize::try_from(used).unwrap_or(0);
        let added = self.held.get(before.1..).unwrap_or_default();
        self.crc.update(added);
        let has_moved = used > 0 || !added.is_empty();
        match unpacked {
            Ok(Status::StreamEnd) => {
                self.part = Part::Trailer;
                Ok(true)
            }
            Ok(_) => Ok(has_moved),
            Err(_) => {
                self.ending = Ending::Damaged(Damage::Data);
                Ok(has_moved)
            }
        }
    }

    fn trailer(&mut self) -> io::Result<bool> {
        let expected = (self.crc.sum(), self.crc.amount());
        let Some(trailer) = self.input(8)?.first_chunk::<8>() else {
            return Ok(false);
        };
        let [a, b, c, d, e, f, g, h] = *trailer;
        let found = (
            u32::from_le_bytes([a, b, c, d]),
            u32::from_le_bytes([e, f, g, h]),
        );
        self.used += 8;
        if found != expected {
            self.ending = Ending::Damaged(Damage::Checksum);
            return Ok(false);
        }
        self.part = Part::Header { is_first: false };
        Ok(true)
    }

    /// Lets go of what was unpacked longest ago, so that [`HELD_BYTES`] more fit.
    fn make_room(&mut self) {
        let excess = self.held.len().saturating_sub(HELD_BYTES);
        self.held.drain(..excess);
        self.held_from += excess as u64;
        self.held.reserve_exact(2 * HELD_BYTES - self.held.len());
    }
}

impl fmt::Debug for Gunzip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gunzip")
            .field("end", &self.end())
            .field("ending", &self.ending)
            .finish_non_exhaustive()
    }
}

/// Length of the member's header at the start of `input` (RFC 1952, 2.3); `None` when it goes on
/// beyond.
fn header_bytes(input: &[u8]) -> Result<Option<usize>, Damage> {
    const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
    let compared = input.len().min(MAGIC.len());
    if input.get(..compared) != MAGIC.get(..compared) {
        return Err(Damage::Header);
    }
    let Some(&flags) = input.get(3) else {
        return Ok(None);
    };
    let mut at = 10;
    if flags & 4 != 0 {
        let Some([low, high]) = input.get(at..at + 2) else {
            return Ok(None);
        };
        at += 2 + usize::from(u16::from_le_bytes([*low, *high]));
    }
    for is_there in [flags & 8 != 0, flags & 16 != 0] {
        if is_there {
            let text = input.get(at..).unwrap_or_default();
            match memchr::memchr(0, text) {
                Some(end) => at += end + 1,
                None => return Ok(None),
            }
        }
    }
    if flags & 2 != 0 {
        at += 2;
    }
    Ok((at <= input.len()).then_some(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, GzBuilder};
    use proptest::prelude::*;
    use std::io::Write;

    fn pack(text: &[u8]) -> Vec<u8> {
        let header = GzBuilder::new()
            .filename("cdr.csv")
            .comment("x")
            .extra(vec![1, 2, 3]);
        let mut packer = header.write(Vec::new(), Compression::fast());
        packer.write_all(text).unwrap();
        packer.finish().unwrap()
    }

    fn gunzip(packed: &[u8]) -> (Gunzip, File) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(packed).unwrap();
        (Gunzip::new(Arc::new(file.try_clone().unwrap())), file)
    }

    fn all(gunzip: &mut Gunzip) -> Vec<u8> {
        let mut text = vec![0; 4 << 20];
        let count = gunzip.read_at(&mut text, 0).unwrap();
        text.truncate(count);
        text
    }

    /// Text that does not pack to nothing.
    fn text(bytes: usize) -> Vec<u8> {
        let mut rng = fastrand::Rng::with_seed(7);
        (0..bytes).map(|_| b'a' + rng.u8(..8)).collect()
    }

    #[test]
    fn members_that_follow_one_another_are_one_text_and_padding_is_none() {
        let (one, two) = (text(300_000), text(10));
        for padding in [&b""[..], &[0; 512], b"tail"] {
            let packed = [pack(&one), pack(b""), pack(&two), padding.to_vec()].concat();
            let (mut gunzip, _) = gunzip(&packed);
            assert_eq!(all(&mut gunzip), [&one[..], &two].concat());
            assert_eq!(gunzip.ending(), Ending::Complete, "{padding:?}");
        }
    }

    #[test]
    fn a_file_cut_off_anywhere_gives_what_is_there_and_goes_on_when_there_is_more() {
        let text = text(2_000);
        let packed = pack(&text);
        for cut in 0..packed.len() {
            let (mut gunzip, mut file) = gunzip(&packed[..cut]);
            let first = all(&mut gunzip);
            assert!(text.starts_with(&first), "cut at {cut}");
            assert_eq!(gunzip.ending(), Ending::Short, "cut at {cut}");
            file.write_all(&packed[cut..]).unwrap();
            let mut rest = vec![0; 4_000];
            let count = gunzip.read_at(&mut rest, first.len() as u64).unwrap();
            assert_eq!([&first[..], &rest[..count]].concat(), text, "cut at {cut}");
            assert_eq!(gunzip.ending(), Ending::Complete, "cut at {cut}");
        }
    }

    #[test]
    fn a_damaged_file_gives_what_is_before_the_damage_and_says_what_it_is() {
        let text = text(200_000);
        let packed = pack(&text);
        let damaged = |at: usize| {
            let mut packed = packed.clone();
            packed[at] ^= 0xff;
            let (mut gunzip, _) = gunzip(&packed);
            (all(&mut gunzip), gunzip.ending())
        };
        assert_eq!(damaged(0).1, Ending::Damaged(Damage::Header));
        assert_eq!(
            damaged(packed.len() - 6).1,
            Ending::Damaged(Damage::Checksum)
        );
        let endings: Vec<Ending> = (40..packed.len() - 8)
            .step_by(packed.len() / 40)
            .map(|at| {
                let (before, ending) = damaged(at);
                let shared = before.iter().zip(&text).take_while(|(a, b)| a == b).count();
                assert!(
                    shared + 70_000 > at,
                    "damage at {at} of {}, {shared} read",
                    packed.len()
                );
                assert_ne!(ending, Ending::Complete, "damage at {at}");
                ending
            })
            .collect();
        assert!(
            endings.contains(&Ending::Damaged(Damage::Data)),
            "{endings:?}"
        );
    }

    #[test]
    fn memory_does_not_grow_with_the_text() {
        let packed = pack(&vec![b'x'; 64 << 20]);
        let (mut gunzip, _) = gunzip(&packed);
        let mut buffer = vec![0; 1 << 20];
        let mut at = 0;
        while let count @ 1.. = gunzip.read_at(&mut buffer, at).unwrap() {
            at += count as u64;
        }
        assert_eq!(at, 64 << 20);
        assert!(
            gunzip.held.capacity() <= 4 * HELD_BYTES,
            "{}",
            gunzip.held.capacity()
        );
        assert!(
            gunzip.input.capacity() <= 2 * INPUT_BYTES,
            "{}",
            gunzip.input.capacity()
        );
    }

    proptest! {
        #[test]
        fn any_stretch_in_any_order_is_what_was_packed(
            stretches in proptest::collection::vec((0_usize..400_000, 0_usize..100_000), 1..6),
        ) {
            let text = text(350_000);
            let (mut gunzip, _) = gunzip(&pack(&text));
            for (offset, length) in stretches {
                let mut found = vec![0; length];
                let count = gunzip.read_at(&mut found, offset as u64).unwrap();
                let end = (offset + length).min(text.len());
                let expected = text.get(offset..end).unwrap_or_default();
                prop_assert_eq!(&found[..count], expected);
            }
        }

        #[test]
        fn no_bytes_make_it_panic_or_run_for_ever(mut bytes: Vec<u8>, as_member: bool) {
            if as_member {
                bytes.splice(0..0, [0x1f, 0x8b, 8]);
            }
            let (mut gunzip, _) = gunzip(&bytes);
            let text = all(&mut gunzip);
            prop_assert!(text.len() <= 4 << 20);
            prop_assert_ne!(gunzip.ending(), Ending::NotReached);
        }
    }
}
