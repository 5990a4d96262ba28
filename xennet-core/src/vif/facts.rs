//! Facts about the bridge of a vif, as far as the kernel must be asked for them.

use crate::Error;
use crate::config::{BridgePolicy, VifConfig};
use crate::kernel::{Kernel, LinkFilter};
use crate::plan::vif::recorded_mtu;
use crate::plan::{BridgeMtu, PortMtus};
use crate::types::{Link, Mtu, VlanRange};

/// What decides the MTU of a bridge. No request while the bridge has the MTU on record.
pub(super) fn bridge_mtu(
    kernel: &mut Kernel,
    config: &VifConfig,
    bridge: &Link,
    policy: Option<&BridgePolicy>,
) -> Result<BridgeMtu, Error> {
    let mut facts = BridgeMtu::new(policy.and_then(|policy| policy.mtu));
    // A vif with an `mtu` key of its own only makes a first record.
    if config.mtu.is_some() && recorded_mtu(bridge).is_some() {
        return Ok(facts);
    }
    let uplink = policy.and_then(|policy| policy.uplink.as_ref());
    if let Some(name) = uplink.filter(|_| facts.needs_uplink(bridge)) {
        let link = kernel.link(name)?.filter(|link| link.master == Some(bridge.index));
        facts.uplink = link.and_then(|link| Mtu::new(link.mtu).ok());
    }
    if facts.needs_ports(bridge) {
        let ports = kernel.links(LinkFilter::Master(bridge.index))?;
        facts.ports = Some(PortMtus::of(&ports));
    }
    Ok(facts)
}

/// The VLANs of a port of one of these bridges. No request on a bridge that does not filter VLANs.
pub(super) fn port_vlans(
    kernel: &mut Kernel,
    port: Option<&Link>,
    bridges: &[Link],
) -> Result<Vec<VlanRange>, Error> {
    let filters = |port: &&Link| {
        let bridge = bridges.iter().find(|bridge| port.master == Some(bridge.index));
        let settings = bridge.and_then(|bridge| bridge.bridge.as_ref());
        settings.is_some_and(|settings| settings.vlan_filtering)
    };
    match port.filter(filters) {
        Some(port) => Ok(kernel.vlans(&port.reference())?),
        None => Ok(Vec::new()),
    }
}
