//! A vif's backend in XenStore.

use super::{Facts, Tables};
use crate::Error;
use crate::config::VifConfig;
use crate::plan::VifTarget;
use crate::types::{Mode, NftFamily};
use crate::xenstore::{self, Values, XenStore};

/// The keys that are set, with their values.
type KeyValues = Vec<(&'static str, Vec<u8>)>;

/// What XenStore has of one vif.
#[derive(Debug, Clone, Default)]
pub(crate) struct Backend {
    values: KeyValues,
    /// The guest can write around it, so it is only ever compared.
    pub(crate) frontend_mtu: Option<Vec<u8>>,
}

/// The keys that say what is wanted of the vif; `script` says in which mode.
pub(crate) const CONFIG_KEYS: [&str; 10] = {
    let [a, b, c, d, e, f, g, h, i] = VifConfig::KEYS;
    [a, b, c, d, e, f, g, h, i, "script"]
};
const STATUS_KEYS: [&str; 2] = ["hotplug-status", "hotplug-error"];

impl Backend {
    /// The value of a key.
    pub(crate) fn value(&self, key: &str) -> Option<&Vec<u8>> {
        self.values.iter().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// Every key that is set, with its value.
    pub(crate) fn values(&self) -> impl Iterator<Item = (&'static str, &Vec<u8>)> {
        self.values.iter().map(|(key, value)| (*key, value))
    }
}

impl Facts<'_> {
    /// What XenStore has of a vif; none without XenStore.
    ///
    /// While XenStore prepares its answer, what the kernel knows of the vif in this mode is read ahead.
    ///
    /// An error (`ENOENT`) when XenStore has no such backend.
    pub(crate) fn backend(
        &mut self,
        target: &VifTarget,
        mode: Option<Mode>,
    ) -> Result<Option<Backend>, Error> {
        if self.connections.store.is_none() {
            return Ok(None);
        }
        if let Some(backend) = self.wanted.backends.get(&target.backend) {
            return Ok(Some(backend.clone()));
        }
        let missing = || Error::NoBackend { path: target.backend.clone() };
        let backend = self.read_backend(target, mode)?.ok_or_else(missing)?;
        self.wanted.backends.insert(target.backend.clone(), backend.clone());
        Ok(Some(backend))
    }

    fn read_backend(
        &mut self,
        target: &VifTarget,
        mode: Option<Mode>,
    ) -> Result<Option<Backend>, Error> {
        // Speculative read of the conventional path; used only if the backend names the same frontend.
        let frontend = target.id.frontend_path();
        let elsewhere = [format!("{frontend}/mtu")];
        let families = mode.filter(|mode| *mode != Mode::OpenVswitch).map(|mode| {
            let own = if mode.is_routed() { NftFamily::Inet } else { NftFamily::Bridge };
            [own, NftFamily::Netdev]
        });
        let publishes = self.publishes;
        let (store, mut kernel) = self.connections.split_store();
        let Some(store) = store else { return Ok(None) };
        let (mut link, mut tables) = (None, None);
        let meanwhile = || {
            link = kernel.kernel().and_then(|kernel| kernel.link(&target.name)).ok();
            let nft = families.and_then(|families| Some((families, kernel.nft().ok()?)));
            tables =
                nft.and_then(|(families, nft)| Tables::read_with_base_chains(nft, &families).ok());
        };
        let keys: Vec<&'static str> = CONFIG_KEYS.into_iter().chain(STATUS_KEYS).collect();
        let (values, mtu) = ask(store, &target.backend, &keys, &elsewhere, publishes, meanwhile)?;
        let (tables, chains) = tables.unzip();
        // A failure is reported when the question is asked.
        self.state.links.extend(link.map(|link| (target.name.clone(), link)));
        self.state.guard_tables = tables;
        self.wanted.base_chains = chains;
        let Some(values) = values else { return Ok(None) };
        let mut backend = Backend { values, frontend_mtu: None };
        let path = backend.value("frontend").and_then(|path| String::from_utf8(path.clone()).ok());
        backend.frontend_mtu = match (path, &mut self.connections.store) {
            (Some(path), _) if path == frontend => mtu.into_iter().next().flatten(),
            (Some(path), Some(store)) if !path.is_empty() => {
                store.read(&format!("{path}/mtu")).ok().flatten()
            }
            _ => None,
        };
        Ok(Some(backend))
    }
}

/// The values of those keys of a backend that are set, none when there is no backend, and the values at other paths.
///
/// Keys that most vifs have are asked for at once, with a list of all keys that are set, and the others once they are in
/// that list: xenstored takes as long for a key that is not set.
fn ask(
    store: &mut XenStore,
    backend: &str,
    keys: &[&'static str],
    elsewhere: &[String],
    publishes: bool,
    meanwhile: impl FnOnce(),
) -> Result<(Option<KeyValues>, Values), xenstore::Error> {
    const USUAL: [&str; 6] = ["bridge", "mac", "ip", "script", "frontend", "hotplug-status"];
    let path = |key: &&str| format!("{backend}/{key}");
    let (usual, mut rare): (Vec<_>, Vec<_>) =
        keys.iter().copied().partition(|key| USUAL.contains(key));
    let paths: Vec<String> = elsewhere.iter().cloned().chain(usual.iter().map(path)).collect();
    let (names, mut values) = store.list_and_read_while(backend, &paths, publishes, meanwhile)?;
    let first = values.split_off(elsewhere.len());
    match names {
        Ok(None) => return Ok((None, values)),
        Ok(Some(names)) => rare.retain(|key| names.iter().any(|name| name == key)),
        // A list that cannot be had, as one that is too long for oxenstored, says nothing of the keys.
        Err(_) => {}
    }
    let paths: Vec<String> = rare.iter().map(path).collect();
    let later = store.read_many(&paths)?;
    let values_of_keys = usual.into_iter().chain(rare).zip(first.into_iter().chain(later));
    Ok((Some(values_of_keys.filter_map(|(key, value)| Some((key, value?))).collect()), values))
}
