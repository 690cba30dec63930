//! A door for the fuzz targets: what a file's bytes and names can do to a source.

use super::gunzip::{Ending, Gunzip};
use super::lines::{Then, complete};
use super::order::Age;
use super::{FileKey, rotated};
use flate2::read::MultiGzDecoder;
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

/// Unpacked bytes that are looked at.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// A packed file: it gives what gzip makes of it, in pieces of any length, and also where it was not
/// all there when it was read first.
pub fn gunzip(data: &[u8]) {
    let Some((&cut, packed)) = data.split_first() else {
        return;
    };
    let step = 1 + 37 * usize::from(cut);
    let (text, ending) = unpacked(packed, packed.len(), step);
    assert_eq!(unpacked(packed, packed.len(), TEXT_BYTES_MAX).0, text);
    let first = packed.len() * usize::from(cut) / 256;
    assert_eq!(unpacked(packed, first, step), (text.clone(), ending));
    let mut expected = Vec::new();
    let mut other = MultiGzDecoder::new(packed).take(TEXT_BYTES_MAX as u64);
    let whole = other.read_to_end(&mut expected);
    let shared = expected.len().min(text.len());
    assert_eq!(text[..shared], expected[..shared]);
    if whole.is_ok() && !packed.is_empty() && expected.len() < TEXT_BYTES_MAX {
        assert_eq!((text, ending), (expected, Ending::Complete));
    }
}

/// The text of a file that is `first` bytes long when it is read first, read `step` bytes at a time.
fn unpacked(packed: &[u8], first: usize, step: usize) -> (Vec<u8>, Ending) {
    let mut file: File = memfd_create(c"packed", MFdFlags::empty())
        .expect("memory")
        .into();
    file.write_all(&packed[..first]).expect("memory");
    let read = Arc::new(file.try_clone().expect("a descriptor"));
    let mut gunzip = Gunzip::new(Arc::clone(&read));
    let (mut text, mut piece) = (Vec::new(), vec![0; step]);
    let mut is_whole = first == packed.len();
    while text.len() < TEXT_BYTES_MAX {
        let room = step.min(TEXT_BYTES_MAX - text.len());
        let at = text.len() as u64;
        let count = gunzip.read_at(&mut piece[..room], at).expect("memory");
        text.extend_from_slice(&piece[..count]);
        if count < room {
            if is_whole {
                break;
            }
            file.write_all(&packed[first..]).expect("memory");
            is_whole = true;
            // As a source does with a file that has changed after its end.
            if matches!(gunzip.ending(), Ending::Complete | Ending::Damaged(_)) {
                gunzip = Gunzip::new(Arc::clone(&read));
            }
        }
    }
    // Back to the start, as for a file that is looked at again.
    let mut head = vec![0; text.len().min(64)];
    let ending = gunzip.ending();
    assert_eq!(gunzip.read_at(&mut head, 0).expect("memory"), head.len());
    assert_eq!(head, text[..head.len()]);
    (text, ending)
}

/// Where complete lines end in a buffer: none is cut, none is too long, none is left out.
pub fn lines(data: &[u8]) {
    let &[limit, line_max, ref buffer @ ..] = data else {
        return;
    };
    let (limit, line_max) = (usize::from(limit), 1 + usize::from(line_max));
    let run = complete(buffer, limit, line_max);
    let (taken, rest) = buffer.split_at(run.bytes);
    assert!(taken.is_empty() || taken.ends_with(b"\n"));
    let mut lines = taken.split_inclusive(|byte| *byte == b'\n');
    assert!(lines.all(|line| line.len() <= line_max));
    let count = taken.iter().filter(|byte| **byte == b'\n').count();
    assert!(taken.len() <= limit || count == 1);
    let next = rest.split_inclusive(|byte| *byte == b'\n').next();
    let next = next.unwrap_or_default();
    match run.then {
        Then::Partial => assert!(!next.ends_with(b"\n") && next.len() < line_max),
        Then::Long => assert!(next.len() >= line_max),
        // What comes then is not looked at where the first line alone is beyond the limit.
        Then::More if taken.len() > limit => {}
        Then::More => {
            let fits = next.ends_with(b"\n") && next.len() <= line_max;
            assert!(fits && taken.len() + next.len() > limit && !taken.is_empty());
        }
    }
}

/// Names of files, one a line: they have one order, and rotated generations are looked for by globs
/// that mean something.
pub fn names(data: &[u8]) {
    let ages: Vec<Age> = data
        .split(|byte| *byte == b'\n')
        .take(8)
        .map(|name| Age {
            modified_ns: 1,
            is_listed: true,
            path: Path::new(std::ffi::OsStr::from_bytes(name)).into(),
            key: FileKey {
                device: 1,
                inode: 1,
            },
        })
        .collect();
    for one in &ages {
        for other in &ages {
            assert_eq!(one.cmp(other), other.cmp(one).reverse());
            for third in &ages {
                if one <= other && other <= third {
                    assert!(one <= third, "{one:?} {other:?} {third:?}");
                }
            }
        }
        if let Some(glob) = one.path.to_str()
            && glob::Pattern::new(glob).is_ok()
        {
            for derived in rotated::derive(glob) {
                assert!(glob::Pattern::new(&derived).is_ok(), "{derived}");
            }
        }
        let _ = rotated::is_packed(&one.path);
    }
}
