//! Stand-ins for netback and for a guest's own configuration, for `xennet demo`.

use std::os::fd::BorrowedFd;

use ipnet::IpNet;

use crate::Error;
use crate::kernel::Kernel;
use crate::types::{Address, AddressFlags, IfName, LinkRef, LinkSet};

/// Creates the interface `vif` in the calling thread's network namespace and its peer `guest_link` in the namespace `guest`.
pub fn create_vif(vif: &IfName, guest_link: &IfName, guest: BorrowedFd<'_>) -> Result<(), Error> {
    Ok(Kernel::open()?.veth_add(vif, guest_link, guest)?)
}

/// Brings an interface of the calling thread's network namespace up and adds addresses.
///
/// IPv6 skips duplicate address detection, so that the addresses answer at once.
pub fn configure_link(name: IfName, addresses: &[IpNet]) -> Result<(), Error> {
    let mut kernel = Kernel::open()?;
    let link = LinkRef { index: None, name };
    kernel.link_set(&link, &LinkSet::Up(true))?;
    for address in addresses {
        let mut address = Address::new(*address);
        address.flags = AddressFlags::NODAD;
        kernel.address_add(&link, &address)?;
    }
    Ok(())
}
