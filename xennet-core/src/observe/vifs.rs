//! Which vifs this domain has.

use super::Facts;
use crate::Error;
use crate::kernel::LinkFilter;
use crate::plan::VifTarget;
use crate::types::{Device, VifId};

impl Facts<'_> {
    /// Every vif that has a backend in XenStore or, without XenStore, an interface of netback's name, in order.
    pub(crate) fn vifs(&mut self) -> Result<Vec<VifId>, Error> {
        let mut vifs: Vec<VifId> = match &mut self.connections.store {
            None => {
                let links = self.links(LinkFilter::All)?;
                let vifs = links.iter().filter_map(VifTarget::of);
                vifs.filter_map(|(id, device)| (device == Device::Vif).then_some(id)).collect()
            }
            Some(store) => {
                let mut vifs = Vec::new();
                for domid in store.directory("backend/vif")?.unwrap_or_default() {
                    let devids = store.directory(&format!("backend/vif/{domid}"))?;
                    // Other nodes are no vifs.
                    vifs.extend(
                        devids
                            .into_iter()
                            .flatten()
                            .flat_map(|devid| format!("{domid}.{devid}").parse::<VifId>()),
                    );
                }
                vifs
            }
        };
        vifs.sort_unstable();
        Ok(vifs)
    }

    /// Whether a vif is gone: it has neither a backend in XenStore nor an interface.
    pub(crate) fn is_gone(&mut self, vif: VifId) -> Result<bool, Error> {
        if let Some(store) = &mut self.connections.store
            && store.read(&vif.xenbus_path())?.is_some()
        {
            return Ok(false);
        }
        // Its tap shares its addresses.
        for device in [Device::Vif, Device::Tap] {
            let target = VifTarget::new(vif, device)?;
            if self.link(&target.name)?.is_some() || self.vif_link_by_alias(&target)?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
