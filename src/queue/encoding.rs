//! Encoding: the few shapes every value of the queue is written in, and how they are read back.
//!
//! Fixed numbers are big-endian. A count is LEB128: seven bits a byte, low bits first, the high
//! bit set on all but the last. Bytes and texts are their length as a count, then themselves.
//! Reading never trusts a length: whatever does not fit what is there is `None`.

use crate::event::Sequence;

/// Appends a count.
pub(super) fn put_count(out: &mut Vec<u8>, mut count: u64) {
    loop {
        let low = (count & 0x7f) as u8;
        count >>= 7;
        if count == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

/// Appends bytes behind their length.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_count(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends whether there is a value, then the value as `put` writes it.
pub(super) fn put_option<T>(
    out: &mut Vec<u8>,
    value: Option<T>,
    put: impl FnOnce(&mut Vec<u8>, T),
) {
    out.push(u8::from(value.is_some()));
    if let Some(value) = value {
        put(out, value);
    }
}

/// The longest start of `text` that takes at most `bytes_max` bytes and ends between characters.
pub(super) fn truncated(text: &str, bytes_max: usize) -> &str {
    let ends = (0..=bytes_max.min(text.len())).rev();
    ends.into_iter()
        .find_map(|end| text.get(..end))
        .unwrap_or_default()
}

/// Greatest number of rows or events that is believed, and the greatest place in the sequence: a
/// million a second for 36,000 years. Sums of a few of them cannot overflow.
const TALLY_MAX: u64 = 1 << 60;

/// What is left to read of a value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    /// The next `length` bytes.
    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// The next `N` bytes.
    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// One byte.
    pub(super) fn byte(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    /// A fixed 16-bit number.
    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// A fixed 32-bit number.
    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// A fixed 64-bit number.
    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// A fixed signed 64-bit number.
    pub(super) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }

    /// A count.
    pub(super) fn count(&mut self) -> Option<u64> {
        let mut count = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return None;
            }
            count |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(count);
            }
        }
        None
    }

    /// A count of rows or events.
    pub(super) fn tally(&mut self) -> Option<u64> {
        self.count().filter(|&tally| tally <= TALLY_MAX)
    }

    /// A place in the sequence, as a fixed 64-bit number.
    pub(super) fn sequence(&mut self) -> Option<Sequence> {
        let place = self.u64().filter(|&place| place <= TALLY_MAX);
        place.map(Sequence)
    }

    /// Bytes behind their length.
    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.count()?).ok()?;
        self.take(length)
    }

    /// Text behind its length.
    pub(super) fn text(&mut self) -> Option<&'a str> {
        str::from_utf8(self.bytes()?).ok()
    }

    /// A value that may be absent, read by `take`; the outer `None` is a damaged one.
    pub(super) fn option<T>(
        &mut self,
        take: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.byte()? {
            0 => Some(None),
            1 => take(self).map(Some),
            _ => None,
        }
    }

    /// Nothing may be left.
    pub(super) fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn counts_and_bytes_come_back_as_they_were(count: u64, bytes: Vec<u8>) {
            let mut out = Vec::new();
            put_count(&mut out, count);
            put_bytes(&mut out, &bytes);
            let mut fields = Fields(&out);
            prop_assert_eq!(fields.count(), Some(count));
            prop_assert_eq!(fields.bytes(), Some(&bytes[..]));
            prop_assert_eq!(fields.end(), Some(()));
        }

        #[test]
        fn no_bytes_make_reading_panic(bytes: Vec<u8>) {
            let _ = Fields(&bytes).count();
            let _ = Fields(&bytes).bytes();
            let _ = Fields(&bytes).option(Fields::text);
        }
    }

    #[test]
    fn a_length_beyond_what_is_there_is_refused() {
        assert_eq!(Fields(&[5, 1, 2]).bytes(), None);
        assert_eq!(Fields(&[0xff; 11]).count(), None);
    }

    #[test]
    fn a_number_nobody_can_have_reached_is_refused() {
        let mut most = Vec::new();
        put_count(&mut most, TALLY_MAX);
        assert_eq!(Fields(&most).tally(), Some(TALLY_MAX));
        let mut more = Vec::new();
        put_count(&mut more, TALLY_MAX + 1);
        assert_eq!(Fields(&more).tally(), None);
        assert_eq!(Fields(&[0xff; 8]).sequence(), None);
        assert_eq!(
            Fields(&[0, 0, 0, 0, 0, 0, 0, 7]).sequence(),
            Some(Sequence(7))
        );
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(truncated("aé", 2), "a");
        assert_eq!(truncated("aé", 3), "aé");
    }
}
