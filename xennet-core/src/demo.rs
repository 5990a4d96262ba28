//! Stand-ins for netback and for a guest's own configuration, for `xennet demo`.

use std::os::fd::BorrowedFd;

use ipnet::IpNet;

use crate::Error;
use crate::kernel::Kernel;
use crate::types::{Address, AddressFlags, IfName, LinkRef, LinkSet, MacAddr};

/// Creates the interface `vif` in the calling thread's network namespace and its peer `guest_link` in the namespace `guest`.
pub fn create_vif(vif: &IfName, guest_link: &IfName, guest: BorrowedFd<'_>) -> Result<(), Error> {
    Ok(Kernel::open()?.veth_add(vif, guest_link, guest)?)
}

/// Gives an interface of the calling thread's network namespace its hardware address and its addresses, and brings it up.
pub fn configure_link(name: IfName, mac: MacAddr, addresses: &[IpNet]) -> Result<(), Error> {
    let mut kernel = Kernel::open()?;
    let link = LinkRef { index: None, name };
    kernel.link_set(&link, &LinkSet::Address(mac))?;
    kernel.link_set(&link, &LinkSet::Up(true))?;
    addresses.iter().try_for_each(|address| add(&mut kernel, &link, *address))
}

/// Adds an address to an interface of the calling thread's network namespace.
pub fn add_address(name: IfName, address: IpNet) -> Result<(), Error> {
    add(&mut Kernel::open()?, &LinkRef { index: None, name }, address)
}

/// IPv6 skips duplicate address detection, so that the address answers at once.
fn add(kernel: &mut Kernel, link: &LinkRef, address: IpNet) -> Result<(), Error> {
    let mut address = Address::new(address);
    address.flags = AddressFlags::NODAD;
    Ok(kernel.address_add(link, &address)?)
}
