//! That a guest is here now, for the network that knew it elsewhere.

use super::port::filters_vlans;
use super::{VifSnapshot, VifTarget};
use crate::config::VifConfig;
use crate::plan::Change;
use crate::types::{Device, Link, Mode, VlanId, VlanRange};

impl VifTarget {
    /// What tells the bridge, and the switches behind it, where the guest is: nothing for a tap, for a vif that is routed,
    /// and for one whose `mac` nobody says.
    ///
    /// The bridge itself gets an entry in its table, which EVPN tells on as any that it learnt. Switches learn from a frame,
    /// which leaves by the ports that lead to others than guests. It is not sent on the vif, for that would go to the
    /// guest; nor on the bridge, for that would go to the guest as well, and to all others. It claims no IP address: of
    /// those in `ip` the guest may share one with another, and itself says which are its own.
    pub(crate) fn arrival(&self, config: &VifConfig, facts: &VifSnapshot) -> Vec<Change> {
        let (Some(mac), Some(link), Device::Vif) = (config.mac, &facts.link, self.device) else {
            return Vec::new();
        };
        match self.mode {
            Mode::Bridge => {}
            // Its flows are between the guest and all others, and a controller may wait for the guest's word.
            Mode::OpenVswitch => {
                let name = self.final_name(config).unwrap_or_else(|_| link.name.clone());
                return vec![Change::OvsAnnounce { name, mac }];
            }
            _ => return Vec::new(),
        }
        let Ok(bridge) = self.choose_bridge(config, facts) else { return Vec::new() };
        let (aware, own) = (filters_vlans(bridge), own_vlan(config, bridge));
        // In no VLAN, a guest's untagged frames go nowhere.
        let tagged =
            |vlans: &[VlanRange]| if aware { leave_tagged(vlans, own?) } else { Some(false) };
        let outlets = facts.outlets.iter().filter_map(|outlet| {
            let tagged = tagged(&outlet.vlans)?;
            let vlan = own.filter(|_| tagged);
            Some(Change::Announce { link: outlet.link.clone(), mac, vlan })
        });
        // One entry per VLAN would be needed there, and the guest makes the right one with its first frame.
        let learn = Change::FdbLearn { link: link.reference(), mac };
        (!aware).then_some(learn).into_iter().chain(outlets).collect()
    }
}

/// The VLAN of the guest's untagged frames.
fn own_vlan(config: &VifConfig, bridge: &Link) -> Option<VlanId> {
    match config.vlans_on(&bridge.name).ok()? {
        Some(vlans) => vlans.iter().find(|range| range.pvid).map(|range| range.first),
        None => bridge.bridge.as_ref()?.vlan_default_pvid,
    }
}

/// Whether frames of a VLAN leave by a port with these tagged; none when they do not leave there at all.
fn leave_tagged(vlans: &[VlanRange], own: VlanId) -> Option<bool> {
    let range = vlans.iter().find(|range| (range.first..=range.last).contains(&own))?;
    Some(!range.untagged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_each_port_as_the_guests_own_frames_would_leave() {
        let id = |number| VlanId::new(number).unwrap();
        let range = |number, pvid, untagged| VlanRange::new(id(number), pvid, untagged);
        let own = id(10);
        for (vlans, expected) in [
            (vec![], None),
            (vec![range(1, true, true)], None),
            (vec![range(10, true, true)], Some(false)),
            (vec![range(1, true, true), range(10, false, false)], Some(true)),
            (vec![range(10, false, true)], Some(false)),
        ] {
            assert_eq!(leave_tagged(&vlans, own), expected, "{vlans:?}");
        }
    }
}
