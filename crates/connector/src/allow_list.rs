//! Which addresses and names belong to the enclave.

use ipnet::IpNet;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// The networks and the DNS suffixes that make the enclave. Empty means: nothing may be dialled over TCP.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowList {
    networks: Vec<IpNet>,
    suffixes: Vec<DnsSuffix>,
}

impl AllowList {
    pub fn new(networks: Vec<IpNet>, suffixes: Vec<DnsSuffix>) -> Self {
        Self { networks, suffixes }
    }

    /// This machine and nothing else.
    pub fn loopback() -> Self {
        let v4 = IpNet::new_assert(IpAddr::from([127, 0, 0, 0]), 8);
        let v6 = IpNet::new_assert(IpAddr::from(std::net::Ipv6Addr::LOCALHOST), 128);
        Self { networks: vec![v4, v6], suffixes: vec![DnsSuffix("localhost".to_owned())] }
    }

    /// Whether an address lies inside the enclave. An IPv4 address written as IPv6 (`::ffff:192.0.2.1`) is judged as
    /// the IPv4 address the kernel will dial.
    pub fn allows_address(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(&address))
    }

    /// Whether a name may be resolved.
    pub fn allows_name(&self, name: &str) -> bool {
        self.suffixes.iter().any(|suffix| suffix.covers(name))
    }

    pub fn networks(&self) -> &[IpNet] {
        &self.networks
    }

    pub fn suffixes(&self) -> &[DnsSuffix] {
        &self.suffixes
    }
}

impl fmt::Display for AllowList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let networks = self.networks.iter().map(ToString::to_string);
        let all: Vec<String> = networks.chain(self.suffixes.iter().map(ToString::to_string)).collect();
        if all.is_empty() { f.write_str("nothing") } else { f.write_str(&all.join(", ")) }
    }
}

/// A DNS name under which everything, itself included, belongs to the enclave: `corp.example`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct DnsSuffix(String);

/// Why a text is not a DNS suffix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DnsSuffixError {
    #[error("expected a DNS suffix such as `corp.example`, found nothing")]
    Empty,
    #[error("expected a DNS suffix of at most 253 bytes, found {found}")]
    Long { found: usize },
    #[error("expected labels of 1 to 63 letters, digits and inner hyphens, found `{label}`")]
    Label { label: String },
}

impl DnsSuffix {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Equal, or longer by whole labels: `evilcorp.example` is not inside `corp.example`.
    fn covers(&self, name: &str) -> bool {
        let name = name.strip_suffix('.').unwrap_or(name).as_bytes();
        let suffix = self.0.as_bytes();
        let Some(head_len) = name.len().checked_sub(suffix.len()) else { return false };
        let (head, tail) = name.split_at(head_len);
        tail.eq_ignore_ascii_case(suffix) && (head.is_empty() || head.ends_with(b"."))
    }
}

impl FromStr for DnsSuffix {
    type Err = DnsSuffixError;

    fn from_str(text: &str) -> Result<Self, DnsSuffixError> {
        let name = text.strip_prefix('.').unwrap_or(text);
        let name = name.strip_suffix('.').unwrap_or(name);
        if name.is_empty() {
            return Err(DnsSuffixError::Empty);
        }
        if name.len() > 253 {
            return Err(DnsSuffixError::Long { found: name.len() });
        }
        match name.split('.').find(|label| !is_label(label)) {
            Some(label) => Err(DnsSuffixError::Label { label: label.chars().take(64).collect() }),
            None => Ok(Self(name.to_ascii_lowercase())),
        }
    }
}

/// A host name label (RFC 1123 §2.1), with the underscore that service names use.
pub(crate) fn is_label(label: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (1..=63).contains(&label.len())
        && label.bytes().all(inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

impl fmt::Display for DnsSuffix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DnsSuffix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DnsSuffix({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn list(networks: &[&str], suffixes: &[&str]) -> AllowList {
        AllowList::new(
            networks.iter().map(|n| n.parse().unwrap()).collect(),
            suffixes.iter().map(|s| s.parse().unwrap()).collect(),
        )
    }

    #[test]
    fn an_empty_list_allows_nothing() {
        let list = AllowList::default();
        assert!(!list.allows_address([127, 0, 0, 1].into()));
        assert!(!list.allows_name("localhost"));
    }

    #[test]
    fn a_suffix_covers_whole_labels_only() {
        let list = list(&[], &["corp.example"]);
        for inside in ["corp.example", "a.corp.example", "A.B.Corp.Example.", "corp.example."] {
            assert!(list.allows_name(inside), "{inside}");
        }
        for outside in ["evilcorp.example", "example", "corp.example.evil", "", ".", "corp.example.."] {
            assert!(!list.allows_name(outside), "{outside}");
        }
    }

    #[test]
    fn an_ipv4_address_in_ipv6_clothes_is_judged_as_ipv4() {
        let list = list(&["10.0.0.0/8", "::/0"], &[]);
        assert!(list.allows_address("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!list.allows_address("::ffff:192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn suffixes_that_are_not_names_are_refused() {
        for bad in ["", ".", "a..b", "-a.b", "a-.b", "a b", "a/b", "*.corp.example"] {
            assert!(bad.parse::<DnsSuffix>().is_err(), "{bad:?}");
        }
        assert_eq!(".Corp.Example.".parse::<DnsSuffix>().unwrap().as_str(), "corp.example");
    }

    proptest! {
        #[test]
        fn only_names_that_end_in_the_suffix_are_covered(name in "[a-c.]{0,12}") {
            let covered = list(&[], &["a.b"]).allows_name(&name);
            let trimmed = name.strip_suffix('.').unwrap_or(&name);
            prop_assert_eq!(covered, trimmed == "a.b" || trimmed.ends_with(".a.b"));
        }
    }
}
