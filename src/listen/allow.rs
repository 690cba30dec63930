//! Network: whose pushes are taken.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An address, or all that share its first bits: `192.0.2.7`, `192.0.2.0/24`, `2001:db8::/32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    /// How many of the first bits count.
    bits: u8,
}

/// The text is no address and no network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotANetwork;

impl fmt::Display for NotANetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("write an address or a network, like \"192.0.2.7\" or \"192.0.2.0/24\"")
    }
}

impl std::error::Error for NotANetwork {}

impl Network {
    /// This machine by both of its names.
    pub const LOOPBACK: [Network; 2] = [
        Network {
            address: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)),
            bits: 8,
        },
        Network {
            address: IpAddr::V6(Ipv6Addr::LOCALHOST),
            bits: 128,
        },
    ];

    /// Whether `peer` is in it. An IPv4 peer that a socket for both families shows as IPv6 is
    /// taken for what it is.
    pub fn holds(&self, peer: IpAddr) -> bool {
        match (self.address, peer.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(peer)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                own.to_bits() & mask == peer.to_bits() & mask
            }
            (IpAddr::V6(own), IpAddr::V6(peer)) => {
                let mask = u128::MAX
                    .checked_shl(128 - u32::from(self.bits))
                    .unwrap_or(0);
                own.to_bits() & mask == peer.to_bits() & mask
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Network, NotANetwork> {
        let (address, bits) = text
            .split_once('/')
            .map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| NotANetwork)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits: u8 = bits.map_or(Ok(most), str::parse).map_err(|_| NotANetwork)?;
        if bits > most {
            return Err(NotANetwork);
        }
        // Peers are judged by their IPv4 address, however it came: so is what they are compared with.
        Ok(match (address.to_canonical(), bits.checked_sub(96)) {
            (canonical, Some(bits)) if canonical != address => Network {
                address: canonical,
                bits,
            },
            _ => Network { address, bits },
        })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let most = if self.address.is_ipv4() { 32 } else { 128 };
        if self.bits == most {
            return self.address.fmt(f);
        }
        write!(f, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(network: &str, peer: &str, expected: bool) {
        let parsed: Network = network.parse().unwrap();
        assert_eq!(parsed.to_string(), network);
        let peer = peer.parse().unwrap();
        assert_eq!(parsed.holds(peer), expected, "{network} {peer}");
    }

    #[test]
    fn a_network_holds_the_addresses_that_share_its_bits() {
        check("192.0.2.7", "192.0.2.7", true);
        check("192.0.2.7", "192.0.2.8", false);
        check("192.0.2.0/24", "192.0.2.255", true);
        check("192.0.2.0/24", "192.0.3.0", false);
        check("0.0.0.0/0", "203.0.113.9", true);
        check("0.0.0.0/0", "2001:db8::1", false);
        check("2001:db8::/32", "2001:db8:ffff::1", true);
        check("::/0", "2001:db8::1", true);
        check("::1", "::1", true);
    }

    #[test]
    fn a_peer_shown_as_ipv6_is_known_by_its_own_address() {
        check("192.0.2.0/24", "::ffff:192.0.2.9", true);
    }

    #[test]
    fn a_network_written_as_ipv6_of_ipv4_is_that_of_ipv4() {
        let network = |text: &str| text.parse::<Network>().unwrap();
        assert_eq!(network("::ffff:192.0.2.0/120"), network("192.0.2.0/24"));
        assert_eq!(network("::ffff:192.0.2.7"), network("192.0.2.7"));
        assert_eq!(network("::/0").to_string(), "::/0");
    }

    #[test]
    fn loopback_is_this_machine_only() {
        let allowed = |peer: &str| {
            let peer = peer.parse().unwrap();
            Network::LOOPBACK.iter().any(|network| network.holds(peer))
        };
        assert!(allowed("127.0.0.1") && allowed("127.9.9.9") && allowed("::1"));
        assert!(!allowed("128.0.0.1") && !allowed("::2") && !allowed("192.168.0.1"));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "localhost",
            "192.0.2.0/33",
            "192.0.2/24",
            "::1/129",
            "192.0.2.1/",
            "192.0.2.1/-1",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
