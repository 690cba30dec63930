//! The guard on the address really dialled: a host name in a configuration must not become a way
//! into the switch or its network.
//!
//! It looks at addresses after resolution, because a name's owner can point it anywhere, and at
//! every dial, because they can change their mind.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why a name may not lead to `address`; nothing when it may.
///
/// The ranges are those of the IANA special-purpose registries that are not globally reachable
/// (RFC 6890), and multicast. Addresses that carry an IPv4 address inside (mapped, translated,
/// compatible, 6to4, NAT64, ISATAP) are judged by it; where a translator's own prefix hides it (RFC
/// 8215), or a tunnel does (Teredo), all of the range is refused.
pub(super) fn objection(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => objection_v4(address),
        IpAddr::V6(address) => match embedded_v4(address) {
            Some(inside) => objection_v4(inside),
            None => objection_v6(address),
        },
    }
}

fn objection_v4(address: Ipv4Addr) -> Option<&'static str> {
    match address.octets() {
        [127, ..] => Some("loopback"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Some("private"),
        // The metadata service of the clouds, 169.254.169.254, is in here.
        [169, 254, ..] => Some("link-local"),
        [100, 64..=127, ..] => Some("carrier-grade nat"),
        [0, ..] | [192, 0, 0, _] | [192, 88, 99, _] | [198, 18..=19, ..] | [240..=255, ..] => {
            Some("reserved")
        }
        [224..=239, ..] => Some("multicast"),
        _ => None,
    }
}

fn objection_v6(address: Ipv6Addr) -> Option<&'static str> {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Some("loopback"),
        [0xfc00..=0xfdff, ..] => Some("private"),
        [0xfe80..=0xfebf, ..] => Some("link-local"),
        [0xfec0..=0xfeff, ..] => Some("site-local"),
        [0xff00..=0xffff, ..] => Some("multicast"),
        [0, 0, 0, 0, 0, 0, _, _] | [0x100, 0, 0, 0, ..] | [0x5f00, ..] => Some("reserved"),
        [0x64, 0xff9b, 1, ..] => Some("behind a translator"),
        [0x2001, 0, ..] => Some("behind a tunnel"),
        // Of the rest of 2001::/23 nothing takes callbacks: it serves protocols and tests.
        [0x2001, 1..=0x1ff, ..] => Some("reserved"),
        // An interface of ISATAP, whatever the network before it.
        [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => objection_v4(joined(high, low)),
        _ => None,
    }
}

fn joined(high: u16, low: u16) -> Ipv4Addr {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Ipv4Addr::new(a, b, c, d)
}

fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => Some(joined(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(address: &str, expected: Option<&str>) {
        assert_eq!(objection(address.parse().unwrap()), expected, "{address}");
    }

    #[test]
    fn s1_addresses_inside_are_refused_in_every_spelling() {
        for (kind, addresses) in [
            (
                "loopback",
                &[
                    "127.0.0.1",
                    "127.255.0.9",
                    "::1",
                    "::ffff:127.0.0.1",
                    "::ffff:7f00:1",
                    "::ffff:0:127.0.0.1",
                    "2002:7f00:1::",
                    "2002:7f00:1:1::9",
                    "64:ff9b::7f00:1",
                    "64:ff9b::127.0.0.1",
                    "2606:4700::5efe:127.0.0.1",
                    "2606:4700::200:5efe:127.0.0.1",
                ][..],
            ),
            (
                "private",
                &[
                    "10.0.0.1",
                    "10.255.255.255",
                    "172.16.0.1",
                    "172.31.255.255",
                    "192.168.1.1",
                    "fc00::1",
                    "fd00::1",
                    "fd00:ec2::254",
                    "::ffff:10.0.0.1",
                    "2002:c0a8:101::1",
                    "64:ff9b::10.0.0.1",
                ],
            ),
            (
                "link-local",
                &[
                    "169.254.169.254",
                    "169.254.0.1",
                    "fe80::1",
                    "febf::1",
                    "::ffff:169.254.169.254",
                    "64:ff9b::a9fe:a9fe",
                    "2002:a9fe:a9fe::",
                ],
            ),
            ("site-local", &["fec0::1"]),
            (
                "carrier-grade nat",
                &["100.64.0.1", "100.127.255.255", "::ffff:100.64.0.1"],
            ),
            (
                "multicast",
                &[
                    "224.0.0.1",
                    "239.255.255.250",
                    "ff02::1",
                    "::ffff:224.0.0.1",
                ],
            ),
            (
                "reserved",
                &[
                    "0.0.0.0",
                    "0.1.2.3",
                    "255.255.255.255",
                    "240.0.0.1",
                    "192.0.0.1",
                    "192.88.99.1",
                    "198.18.0.1",
                    "::",
                    "::127.0.0.1",
                    "::10.0.0.1",
                    "::ffff:0.0.0.0",
                    "100::1",
                    "2001:1::1",
                    "2001:20::1",
                    "5f00::1",
                ],
            ),
            (
                "behind a translator",
                &["64:ff9b:1::7f00:1", "64:ff9b:1:ffff::1"],
            ),
            ("behind a tunnel", &["2001::1", "2001:0:7f00:1::"]),
        ] {
            for address in addresses {
                check(address, Some(kind));
            }
        }
    }

    #[test]
    fn addresses_outside_pass() {
        for address in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "126.255.255.255",
            "128.0.0.1",
            "172.15.255.255",
            "172.32.0.1",
            "169.253.0.1",
            "192.167.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "192.0.2.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:200::1",
            "2a00:1450:4001::200e",
            "2002:101:101::",
            "64:ff9b::1.1.1.1",
            "::ffff:1.1.1.1",
            "2606:4700::5efe:1.1.1.1",
        ] {
            check(address, None);
        }
    }
}
