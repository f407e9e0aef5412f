//! What counts as inside: the networks and the DNS suffixes of the enclave.

use ipnet::IpNet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// One entry of `network.enclave`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BoundaryEntry {
    /// A block of addresses: `10.0.0.0/8`.
    Addresses(IpNet),
    /// A DNS name and everything below it: `corp.example` holds `corp.example` and `vllm.corp.example`.
    Suffix(String),
}

/// Why a text is not an entry of `network.enclave`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BoundaryError {
    #[error(
        "expected a block of addresses such as `10.0.0.0/8` or a DNS suffix such as `corp.example`, found `{found}`"
    )]
    Form { found: String },
    #[error("expected a block that starts at its network address `{expected}`, found `{found}`")]
    HostBits { expected: String, found: String },
}

/// The widest block that is still an enclave: RFC 1918's largest is a /8, RFC 4193's unique local block a /7.
const PREFIX_MIN_V4: u8 = 8;
const PREFIX_MIN_V6: u8 = 7;

impl BoundaryEntry {
    /// Whether the block is so wide that it says nothing about an enclave.
    pub fn is_too_wide(&self) -> bool {
        match self {
            Self::Addresses(IpNet::V4(net)) => net.prefix_len() < PREFIX_MIN_V4,
            Self::Addresses(IpNet::V6(net)) => net.prefix_len() < PREFIX_MIN_V6,
            Self::Suffix(_) => false,
        }
    }
}

impl FromStr for BoundaryEntry {
    type Err = BoundaryError;

    fn from_str(text: &str) -> Result<Self, BoundaryError> {
        let malformed = || BoundaryError::Form { found: text.chars().take(100).collect() };
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Addresses(IpNet::from(address.to_canonical())));
        }
        if text.contains('/') {
            let net: IpNet = text.parse().map_err(|_| malformed())?;
            if net.addr() != net.network() {
                return Err(BoundaryError::HostBits {
                    expected: net.trunc().to_string(),
                    found: text.to_owned(),
                });
            }
            return Ok(Self::Addresses(net));
        }
        let suffix = text.strip_prefix('.').unwrap_or(text).to_ascii_lowercase();
        // A last label of digits would be read as an IPv4 address by some resolvers: `10.1` is 10.0.0.1.
        let numeric =
            suffix.rsplit('.').next().is_some_and(|label| label.bytes().all(|b| b.is_ascii_digit()));
        if numeric || !is_dns_name(&suffix) {
            return Err(malformed());
        }
        Ok(Self::Suffix(suffix))
    }
}

impl fmt::Display for BoundaryEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Addresses(net) => write!(f, "{net}"),
            Self::Suffix(suffix) => f.write_str(suffix),
        }
    }
}

/// RFC 1035 §2.3.1 with digits allowed first (RFC 1123 §2.1) and underscores, which container networks use.
fn is_dns_name(text: &str) -> bool {
    let label_ok = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    text.len() <= 253 && text.split('.').all(label_ok)
}

/// The enclave's edge. Loopback is always inside: nothing sent there leaves the machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EnclaveBoundary {
    entries: Vec<BoundaryEntry>,
}

impl EnclaveBoundary {
    pub fn new(entries: Vec<BoundaryEntry>) -> Self {
        Self { entries }
    }

    pub fn entries(&self) -> &[BoundaryEntry] {
        &self.entries
    }

    /// The address blocks alone, loopback among them: half of the connector's allow-list.
    pub fn networks(&self) -> Vec<IpNet> {
        let v4 = IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8);
        let v6 = IpNet::new_assert(IpAddr::V6(Ipv6Addr::LOCALHOST), 128);
        let named = self.entries.iter().filter_map(|entry| match entry {
            BoundaryEntry::Addresses(net) => Some(*net),
            BoundaryEntry::Suffix(_) => None,
        });
        [v4, v6].into_iter().chain(named).collect()
    }

    /// The DNS suffixes alone, lower-case, without a leading dot, `localhost` among them: the other half.
    pub fn suffixes(&self) -> Vec<String> {
        let named = self.entries.iter().filter_map(|entry| match entry {
            BoundaryEntry::Addresses(_) => None,
            BoundaryEntry::Suffix(suffix) => Some(suffix.clone()),
        });
        std::iter::once("localhost".to_owned()).chain(named).collect()
    }

    /// Whether an address is inside. An IPv4 address written as IPv6 (`::ffff:8.8.8.8`) is judged as IPv4.
    pub fn contains_address(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks().iter().any(|net| net.contains(&address))
    }

    /// Whether a name is inside: equal to a suffix or below it, label by label. What it resolves to is another
    /// question, which the connector asks at the time of connecting.
    pub fn contains_name(&self, name: &str) -> bool {
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let below = |suffix: &str| {
            name.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        self.suffixes().iter().any(|suffix| below(suffix))
    }

    /// Whether the host of an endpoint is inside, be it written as an address or as a name.
    pub fn contains_host(&self, host: &url::Host<&str>) -> bool {
        match host {
            url::Host::Ipv4(address) => self.contains_address(IpAddr::V4(*address)),
            url::Host::Ipv6(address) => self.contains_address(IpAddr::V6(*address)),
            url::Host::Domain(name) => self.contains_name(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn boundary(entries: &[&str]) -> EnclaveBoundary {
        EnclaveBoundary::new(entries.iter().map(|entry| entry.parse().expect(entry)).collect())
    }

    #[test]
    fn a_suffix_holds_whole_labels_only() {
        let inside = boundary(&["corp.example"]);
        assert!(inside.contains_name("corp.example") && inside.contains_name("VLLM.Corp.Example."));
        assert!(!inside.contains_name("evilcorp.example") && !inside.contains_name("corp.example.evil.com"));
    }

    #[test]
    fn an_ipv4_address_in_ipv6_clothes_is_judged_as_ipv4() {
        let inside = boundary(&["10.0.0.0/8"]);
        assert!(inside.contains_address("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!inside.contains_address("::ffff:8.8.8.8".parse().unwrap()));
        assert!(!boundary(&["::/7"]).contains_address("::ffff:8.8.8.8".parse().unwrap()));
    }

    #[test]
    fn loopback_is_inside_and_the_unspecified_address_is_not() {
        let nothing = EnclaveBoundary::default();
        assert!(nothing.contains_address("127.9.9.9".parse().unwrap()) && nothing.contains_name("localhost"));
        assert!(!nothing.contains_address("0.0.0.0".parse().unwrap()));
        assert!(!nothing.contains_name("localhost.evil.com"));
    }

    #[test]
    fn refuses_host_bits_numbers_posing_as_names_and_urls() {
        for bad in ["10.0.0.1/8", "10.1", "http://x", "", ".", "a..b", "-a.b", "*.corp", "10.0.0.0/33"] {
            assert!(bad.parse::<BoundaryEntry>().is_err(), "{bad}");
        }
        assert!("0.0.0.0/0".parse::<BoundaryEntry>().unwrap().is_too_wide());
    }

    proptest! {
        #[test]
        fn an_entry_prints_as_something_that_reads_back_the_same(text in "[a-z0-9./:-]{1,20}") {
            if let Ok(entry) = text.parse::<BoundaryEntry>() {
                prop_assert_eq!(entry.to_string().parse(), Ok(entry));
            }
        }
    }
}
