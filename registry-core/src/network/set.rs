//! Many ranges of addresses, among which one is found fast.

use std::net::IpAddr;

use super::Network;

/// The addresses of any number of networks. A lookup takes the logarithm of their number.
///
/// ```
/// use registry_core::{Network, NetworkSet};
/// let set: NetworkSet = ["10.0.0.0/8", "fd00::/8"].into_iter().filter_map(Network::parse).collect();
/// assert!(set.contains("::ffff:10.1.2.3".parse().unwrap()));
/// assert!(!set.contains("192.0.2.1".parse().unwrap()));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkSet {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl NetworkSet {
    /// Whether `address` is in one of the networks. An IPv4 address that is written as an IPv6 one counts as
    /// what it is.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => within(&self.v4, u32::from(address)),
            IpAddr::V6(address) => within(&self.v6, u128::from(address)),
        }
    }

    /// Whether there is no address in it.
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }
}

impl FromIterator<Network> for NetworkSet {
    fn from_iter<I: IntoIterator<Item = Network>>(networks: I) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for Network { address, bits } in networks {
            match address {
                IpAddr::V4(address) => {
                    let rest = u32::MAX.checked_shr(bits.into()).unwrap_or(0);
                    v4.push((u32::from(address) & !rest, u32::from(address) | rest));
                }
                IpAddr::V6(address) => {
                    let rest = u128::MAX.checked_shr(bits.into()).unwrap_or(0);
                    v6.push((u128::from(address) & !rest, u128::from(address) | rest));
                }
            }
        }
        Self { v4: joined(v4), v6: joined(v6) }
    }
}

/// In order, and none within another: networks overlap only by one containing the other.
fn joined<T: Ord + Copy>(mut ranges: Vec<(T, T)>) -> Vec<(T, T)> {
    ranges.sort_unstable_by(|one, other| one.0.cmp(&other.0).then(other.1.cmp(&one.1)));
    ranges.dedup_by(|inner, outer| inner.1 <= outer.1);
    ranges.shrink_to_fit();
    ranges
}

fn within<T: Ord>(ranges: &[(T, T)], address: T) -> bool {
    let after = ranges.partition_point(|(first, _)| *first <= address);
    after.checked_sub(1).and_then(|at| ranges.get(at)).is_some_and(|(_, last)| address <= *last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(networks: &[&str]) -> NetworkSet {
        networks.iter().map(|text| Network::parse(text).unwrap()).collect()
    }

    #[test]
    fn a_set_has_what_its_networks_have() {
        let networks = [
            "10.1.0.0/16",
            "10.0.0.0/8",
            "10.2.3.4",
            "192.168.4.0/22",
            "255.255.255.255",
            "2001:db8::/32",
            "2001:db8:1::/48",
            "fe80::1",
        ];
        let (all, apart) = (set(&networks), networks.map(|text| Network::parse(text).unwrap()));
        assert_eq!((all.v4.len(), all.v6.len()), (3, 2), "what is within another is left out: {all:?}");
        for address in [
            "9.255.255.255",
            "10.0.0.0",
            "10.2.3.4",
            "10.255.255.255",
            "11.0.0.0",
            "192.168.3.255",
            "192.168.4.0",
            "192.168.7.255",
            "192.168.8.0",
            "255.255.255.254",
            "255.255.255.255",
            "::ffff:10.0.0.1",
            "2001:db7:ffff::",
            "2001:db8::",
            "2001:db8:ffff:ffff::1",
            "2001:db9::",
            "fe80::",
            "fe80::1",
            "fe80::2",
        ] {
            let address = address.parse().unwrap();
            assert_eq!(all.contains(address), apart.iter().any(|one| one.contains(address)), "{address}");
        }
    }

    #[test]
    fn nothing_and_everything_are_sets() {
        let (v4, v6) = ("8.8.8.8".parse().unwrap(), "::1".parse().unwrap());
        assert!(set(&[]).is_empty() && !set(&[]).contains(v4) && !set(&[]).contains(v6));
        assert!(set(&["0.0.0.0/0"]).contains(v4) && !set(&["0.0.0.0/0"]).contains(v6));
        assert!(set(&["::/0"]).contains(v6) && !set(&["::/0"]).contains(v4));
    }
}
