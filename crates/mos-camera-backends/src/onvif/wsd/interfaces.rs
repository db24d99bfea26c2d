//! The network interfaces to look for cameras on, and word of their changes.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::{InterfaceFlags, if_nametoindex};
use nix::sys::socket::SockaddrLike as _;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

/// What an interface has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::onvif) struct Interface {
    /// Its name, for messages.
    pub(in crate::onvif) name: String,
    /// It has an IPv4 address.
    pub(in crate::onvif) ipv4: bool,
    /// It has an IPv6 address.
    pub(in crate::onvif) ipv6: bool,
    /// Its addresses: a change of them is a reason to look again.
    addresses: Vec<String>,
}

/// By index: those that are up and can multicast. `names` keeps to some of them; none are all.
///
/// The loopback interface has no multicast flag, so it is left out.
pub(in crate::onvif) fn list(names: &[String]) -> io::Result<BTreeMap<u32, Interface>> {
    let wanted = InterfaceFlags::IFF_UP | InterfaceFlags::IFF_MULTICAST;
    let mut found: BTreeMap<u32, Interface> = BTreeMap::new();
    for entry in getifaddrs()? {
        let name = entry.interface_name;
        if !entry.flags.contains(wanted) || !(names.is_empty() || names.contains(&name)) {
            continue;
        }
        let Some(address) = entry.address else {
            continue;
        };
        let (ipv4, ipv6) = (
            address.as_sockaddr_in().is_some(),
            address.as_sockaddr_in6().is_some(),
        );
        // It may go between the two calls.
        let Ok(index) = if_nametoindex(name.as_str()) else {
            continue;
        };
        if address.family().is_none() || !(ipv4 || ipv6) {
            continue;
        }
        let interface = found.entry(index).or_default();
        interface.name = name;
        interface.ipv4 |= ipv4;
        interface.ipv6 |= ipv6;
        interface.addresses.push(address.to_string());
    }
    Ok(found)
}

/// A socket that is readable when an interface or an address came, went or changed (rtnetlink(7)).
pub(in crate::onvif) fn changes() -> io::Result<OwnedFd> {
    const LINK: u32 = 1;
    const IPV4_ADDRESS: u32 = 0x10;
    const IPV6_ADDRESS: u32 = 0x100;
    let socket = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        // Protocol 0 is NETLINK_ROUTE.
        None,
    )?;
    let groups = LINK | IPV4_ADDRESS | IPV6_ADDRESS;
    rustix::net::bind(&socket, &SocketAddrNetlink::new(0, groups))?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_interfaces_are_used_and_never_loopback() {
        let all = list(&[]).unwrap();
        assert!(all.values().all(|interface| interface.name != "lo"));
        assert!(all.values().all(|i| i.ipv4 || i.ipv6));
        assert!(list(&["no-such-interface".to_owned()]).unwrap().is_empty());
    }

    #[test]
    fn changes_can_be_waited_for_and_none_are_pending() {
        let socket = changes().unwrap();
        let mut buffer = [0; 64];
        let pending = rustix::io::read(&socket, &mut buffer[..]);
        assert_eq!(pending, Err(rustix::io::Errno::AGAIN));
    }
}
