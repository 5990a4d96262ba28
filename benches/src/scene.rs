//! Where plugs are measured: a dom0 of its own, with vifs as netback presents them, and a judge of what became of them.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fmt, fs};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use serde_json::{Value, json};
use xennet_core::types::VifId;
use xennet_core::xenstore::XenStore;
use xennet_tests::hotplug::Dom0;

use crate::Result;

/// What a plug is measured under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is varied by itself")]
pub struct Setting {
    /// How many other ports the bridge has; they are down.
    pub fill: u32,
    /// Whether the vif has an `ip`, which asks for a filter.
    pub guard: bool,
    /// Whether there is a XenStore, which says what to do, and wants to be told.
    pub store: bool,
    /// Whether the guest's end is up. With netback it never is before `connected` is written.
    pub carrier: bool,
    /// Whether `br_netfilter` hands bridged packets to iptables, as in every new namespace it does.
    pub bridge_nf: bool,
    /// Whether somebody else has changed the ruleset of nftables since xennet did.
    pub changed: bool,
}

/// A vif that waits to be plugged.
#[derive(Debug, Clone)]
pub struct Port {
    /// Which one.
    pub id: VifId,
    /// `vifX.Y`
    pub name: String,
    /// The guest's Ethernet address.
    pub mac: String,
    /// Its `ip`; empty where no filter is asked for.
    pub ip: String,
    /// What it is plugged into.
    pub bridge: String,
}

/// What shall keep the vif to its addresses once it is plugged with an `ip`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// Nothing: the contender has no such thing.
    None,
    /// xennet's table.
    Guard,
    /// Rules of the stock scripts.
    Iptables,
}

/// A dom0, its vifs, and `/sys` as it looks from there.
#[derive(Debug)]
pub struct Scene {
    /// First, so that they are gone before the directories below.
    _mounted: [Mounted; 2],
    /// The network and the XenStore. Its bridge is `xenbr0`.
    pub dom0: Dom0,
    /// Under what.
    pub setting: Setting,
    /// One for each contender.
    pub ports: Vec<Port>,
    store: RefCell<XenStore>,
    made: Cell<bool>,
}

/// The bridge that everything is plugged into.
pub const BRIDGE: &str = "xenbr0";
/// What netback gives every vif, and what it must still have as a port.
pub const MAC: &str = "fe:ff:ff:ff:ff:ff";
/// Links of a group are deleted at once: each by itself would take 17 ms.
const GROUP: u32 = 77;

impl Setting {
    /// As most vifs are plugged, on a bridge without others.
    pub const USUAL: Self =
        Self { fill: 0, guard: true, store: true, carrier: false, bridge_nf: true, changed: false };

    /// As a key of the results.
    pub fn json(self) -> Value {
        let Self { fill, guard, store, carrier, bridge_nf, changed } = self;
        json!({"fill": fill, "guard": guard, "store": store, "carrier": carrier, "bridge_nf": bridge_nf, "changed": changed})
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fill, guard, store, carrier, bridge_nf, changed } = self;
        let not = |holds: &bool| if *holds { "" } else { "no " };
        write!(f, "{fill} ports, {}XenStore, {}guard", not(store), not(guard))?;
        f.write_str(if *carrier { ", carrier" } else { "" })?;
        f.write_str(if *bridge_nf { "" } else { ", br_netfilter off" })?;
        f.write_str(if *changed { ", ruleset changed" } else { "" })
    }
}

impl Scene {
    /// Makes it, for so many contenders, in namespaces that the calling thread enters.
    pub fn new(setting: Setting, contenders: usize) -> Result<Self> {
        let dom0 = Dom0::new();
        // Most hosts have no hooks, and all but the first plug after a boot find the directory of the locks.
        fs::remove_dir(dom0.hook_dir())?;
        fs::create_dir(dom0.run_dir())?;
        let mounted = [Mounted::sys()?, Mounted::run(&dom0.run_dir())?];
        let bridge_nf = if setting.bridge_nf { "1" } else { "0" };
        for key in ["iptables", "ip6tables", "arptables"] {
            fs::write(format!("/proc/sys/net/bridge/bridge-nf-call-{key}"), bridge_nf)?;
        }
        dom0.netns.fill_bridge(BRIDGE, setting.fill);
        let store = XenStore::connect(&dom0.store.socket())?;
        let ports = (1..=contenders).map(|n| Port::new(n, setting.guard)).collect();
        Ok(Self {
            _mounted: mounted,
            dom0,
            setting,
            ports,
            store: store.into(),
            made: false.into(),
        })
    }

    /// Makes every vif anew, as netback and libxl do before the script is called.
    pub fn new_vifs(&self) -> Result<()> {
        let mut lines = Vec::new();
        if self.made.replace(true) {
            lines.push(format!("link delete group {GROUP}"));
        }
        for Port { id, name, .. } in &self.ports {
            lines.push(format!(
                "link add name {name} address {MAC} group {GROUP} type veth peer name guest{id}"
            ));
            let state = if self.setting.carrier { "up" } else { "down" };
            lines.push(format!("link set guest{id} addrgenmode none {state}"));
        }
        self.dom0.netns.ip_batch(&lines);
        for port in &self.ports {
            fill_store(&mut self.store.borrow_mut(), &self.dom0, port)?;
        }
        Ok(())
    }

    /// Fails unless the vif is what a plugged one is.
    pub fn assert_online(&self, port: &Port, filter: Filter) -> Result<()> {
        let name = &port.name;
        let master = fs::read_link(format!("/sys/class/net/{name}/master"))?;
        require(master.ends_with(&port.bridge), name, "is not on the bridge")?;
        require(up(name)?, name, "is not up")?;
        require(attribute(name, "mtu")? == "1500", name, "has another MTU")?;
        require(attribute(name, "address")? == MAC, name, "has another address")?;
        if self.setting.store {
            let key = format!("{}/hotplug-status", self.dom0.backend(port.id));
            let status = self.store.borrow_mut().read(&key)?;
            require(status.as_deref() == Some(b"connected"), name, "is not connected")?;
        }
        self.assert_filtered(port, filter, true)
    }

    /// Fails unless the vif is as it was before.
    pub fn assert_offline(&self, port: &Port, filter: Filter) -> Result<()> {
        let name = &port.name;
        let master = fs::read_link(format!("/sys/class/net/{name}/master"));
        require(master.is_err(), name, "is still on a bridge")?;
        require(!up(name)?, name, "is still up")?;
        self.assert_filtered(port, filter, false)?;
        if self.setting.guard && filter == Filter::Iptables {
            // Or the next contender would find a chain of another's to look at.
            self.dom0.netns.nft("delete table ip filter");
        }
        Ok(())
    }

    /// Adds a vif that stays.
    pub fn new_neighbour(&self) -> Result<Port> {
        let port = Port::new(9000, self.setting.guard);
        self.dom0.make_vif(port.id);
        fill_store(&mut self.store.borrow_mut(), &self.dom0, &port)?;
        Ok(port)
    }

    fn assert_filtered(&self, port: &Port, filter: Filter, wanted: bool) -> Result<()> {
        if !self.setting.guard {
            return Ok(());
        }
        let netns = &self.dom0.netns;
        let named = match filter {
            Filter::None => return Ok(()),
            Filter::Guard => {
                netns.nft_text("list ruleset bridge").contains(&format!("\"{}\"", port.name))
            }
            Filter::Iptables => {
                let rules = Command::new("iptables").args(["-w", "-S", "FORWARD"]).output()?;
                String::from_utf8_lossy(&rules.stdout)
                    .contains(&format!("--physdev-in {} ", port.name))
            }
        };
        require(named == wanted, &port.name, "is not in the filter as it should be")
    }
}

impl Port {
    /// The vif of guest `n`, with one address where it shall be filtered.
    pub fn new(n: usize, guard: bool) -> Self {
        let domid = u16::try_from(n).unwrap_or(u16::MAX);
        let [high, low] = domid.to_be_bytes();
        Self {
            id: VifId { domid, devid: 0 },
            name: format!("vif{domid}.0"),
            mac: format!("00:16:3e:00:{high:02x}:{low:02x}"),
            ip: if guard { format!("10.1.{high}.{low}") } else { String::new() },
            bridge: BRIDGE.to_owned(),
        }
    }
}

/// Both ends' keys, as libxl writes them.
fn fill_store(store: &mut XenStore, dom0: &Dom0, port: &Port) -> Result<()> {
    let (backend, frontend) = (dom0.backend(port.id), dom0.frontend(port.id));
    let guest = port.id.domid.to_string();
    let keys = [
        ("frontend", frontend.as_str()),
        ("frontend-id", &guest),
        ("online", "1"),
        ("state", "2"),
        ("script", "/etc/xen/scripts/vif-bridge"),
        ("mac", &port.mac),
        ("ip", &port.ip),
        ("bridge", &port.bridge),
        ("handle", "0"),
        ("type", "vif"),
        ("hotplug-status", ""),
        ("feature-sg", "1"),
    ];
    let mut values: Vec<_> =
        keys.iter().map(|(key, value)| (format!("{backend}/{key}"), *value)).collect();
    for (key, value) in [
        ("backend", backend.as_str()),
        ("backend-id", "0"),
        ("state", "1"),
        ("handle", "0"),
        ("mac", &port.mac),
        ("trusted", "1"),
        ("mtu", "1500"),
    ] {
        values.push((format!("{frontend}/{key}"), value));
    }
    Ok(store.write_many(&values)?)
}

/// Lets this process have mounts of its own. Once, before the first scene.
pub fn own_mounts() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    Ok(mount(None::<&str>, "/", None::<&str>, flags, None::<&str>)?)
}

/// A file system of our own, over what is there, until it is dropped.
#[derive(Debug)]
pub struct Mounted(PathBuf);

impl Mounted {
    /// `/sys` of the network namespace that the thread is in; the stock scripts look there.
    pub fn sys() -> Result<Self> {
        Self::new("sysfs", Path::new("/sys"))
    }

    /// A directory in memory, as `/run` is, where locks are.
    pub fn run(path: &Path) -> Result<Self> {
        Self::new("tmpfs", path)
    }

    fn new(kind: &str, path: &Path) -> Result<Self> {
        mount(Some(kind), path, Some(kind), MsFlags::empty(), None::<&str>)?;
        Ok(Self(path.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // A namespace of mounts ends with its last process anyway.
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

fn up(name: &str) -> Result<bool> {
    const IFF_UP: u32 = 1;
    let flags = attribute(name, "flags")?;
    Ok(u32::from_str_radix(flags.trim_start_matches("0x"), 16)? & IFF_UP != 0)
}

fn attribute(name: &str, key: &str) -> Result<String> {
    Ok(fs::read_to_string(format!("/sys/class/net/{name}/{key}"))?.trim().to_owned())
}

fn require(holds: bool, name: &str, otherwise: &str) -> Result<()> {
    if holds { Ok(()) } else { Err(format!("{name} {otherwise}").into()) }
}
