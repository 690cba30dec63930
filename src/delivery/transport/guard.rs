//! The guard on the address really dialled: a host name in a configuration must not become a way
//! into the switch or its network.
//!
//! It looks at addresses after resolution, because a name's owner can point it anywhere, and at
//! every dial, because they can change their mind.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why a name may not lead to `address`; nothing when it may.
///
/// The ranges are those of the IANA special-purpose registries that are not globally reachable
/// (RFC 6890), and multicast. Addresses that carry an IPv4 address inside (mapped, 6to4, NAT64)
/// are judged by it.
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
        [0, ..] | [192, 0, 0, _] | [198, 18..=19, ..] | [240..=255, ..] => Some("reserved"),
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
        [0, 0, 0, 0, 0, 0, _, _] => Some("reserved"),
        _ => None,
    }
}

fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let joined = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Some(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => joined(high, low),
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
    fn addresses_inside_are_refused_in_every_spelling() {
        for address in [
            "127.0.0.1",
            "127.255.0.9",
            "::1",
            "::ffff:127.0.0.1",
            "2002:7f00:1::",
            "64:ff9b::7f00:1",
        ] {
            check(address, Some("loopback"));
        }
        for address in [
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "fd00::1",
            "::ffff:10.0.0.1",
        ] {
            check(address, Some("private"));
        }
        for address in ["169.254.169.254", "fe80::1", "64:ff9b::a9fe:a9fe"] {
            check(address, Some("link-local"));
        }
        check("100.64.0.1", Some("carrier-grade nat"));
        check("224.0.0.1", Some("multicast"));
        check("ff02::1", Some("multicast"));
        for address in ["0.0.0.0", "255.255.255.255", "198.18.0.1", "::", "::7f00:1"] {
            check(address, Some("reserved"));
        }
    }

    #[test]
    fn addresses_outside_pass() {
        for address in [
            "1.1.1.1",
            "172.32.0.1",
            "100.128.0.1",
            "192.0.2.1",
            "2606:4700::1111",
            "2002:101:101::",
        ] {
            check(address, None);
        }
    }
}
