//! Noise: generations that are wiped before they are deleted.
//!
//! `shred`, as logrotate calls it where `shred` is set, writes random bytes over the whole of a generation,
//! some times over, and then deletes it. None of that is a row, and nothing is lost with it.

use super::identity;
use super::tail::Content;
use std::io;

/// Bytes at the start of a file that are looked at.
const LOOKED_AT: u64 = 4 << 10;

/// Fewest of them that say something: in fewer, text may look like noise.
const FEWEST: usize = 512;

/// Whether `content` begins with random bytes.
///
/// # Errors
///
/// When the file cannot be read.
pub fn is_noise(content: &mut Content<'_>) -> io::Result<bool> {
    Ok(are_random(&identity::bytes_at(content, 0, LOOKED_AT)?))
}

/// Whether all values come about equally often. In rows of any encoding some come much more often than others:
/// digits and separators, zeros in UTF-16, the first bytes of the characters of GBK; and what gzip or
/// another program has packed begins with a mark and is the same from then on, which is no row either.
fn are_random(bytes: &[u8]) -> bool {
    let mut counts = [0_usize; 256];
    for &byte in bytes {
        if let Some(count) = counts.get_mut(usize::from(byte)) {
            *count += 1;
        }
    }
    let of = |range: std::ops::Range<usize>| counts.get(range).map_or(0, |it| it.iter().sum());
    let (control, high): (usize, usize) = (of(0..0x20), of(0x80..0x100));
    let most = counts.iter().copied().max().unwrap_or(0);
    // Of random ones an eighth is below 0x20, half above 0x7f, and each value one of 256.
    let is_even = most <= 8 + bytes.len() / 64;
    bytes.len() >= FEWEST && is_even && control * 25 >= bytes.len() && high * 10 >= bytes.len() * 3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(seed: u64, count: usize) -> Vec<u8> {
        let mut rng = fastrand::Rng::with_seed(seed);
        (0..count).map(|_| rng.u8(..)).collect()
    }

    #[test]
    fn random_bytes_are_noise() {
        for seed in 0..2_000 {
            for count in [FEWEST, 700, 4_096] {
                assert!(are_random(&random(seed, count)), "{seed}, {count}");
            }
        }
    }

    #[test]
    fn rows_are_none_in_any_encoding() {
        let words = [
            "2026-04-10 14:30:45",
            "张三",
            "北京市朝阳区",
            "+8613800138000",
            "Привет",
            "ANSWERED",
            "中国移动通信集团",
            "不在服务区",
            "余额不足",
            "网关一号",
            "\u{1}",
            "\u{1e}",
            "héllo",
            "0",
        ];
        for seed in 0..500 {
            let mut rng = fastrand::Rng::with_seed(seed);
            for separator in [",", "|", "\t", "\u{1}", ""] {
                let mut text = String::new();
                while text.len() < 3_000 {
                    text.push_str(words[rng.usize(..words.len())]);
                    text.push_str(if rng.u8(..8) == 0 { "\n" } else { separator });
                }
                let wide = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
                let (gbk, _, _) = encoding_rs::GB18030.encode(&text);
                for (name, bytes) in [
                    ("UTF-8", text.clone().into_bytes()),
                    ("UTF-16", wide),
                    ("GBK", gbk.into_owned()),
                ] {
                    for count in [FEWEST, 700, 4_096] {
                        let bytes = bytes.get(..count).unwrap_or(&bytes);
                        assert!(!are_random(bytes), "{seed}, {name}, {separator:?}, {count}");
                    }
                }
            }
        }
    }

    #[test]
    fn little_is_not_enough_to_tell() {
        assert!(!are_random(&random(1, FEWEST - 1)));
        assert!(!are_random(&[]));
    }
}
