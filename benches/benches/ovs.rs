//! A port of Open vSwitch, added and deleted: by its database directly, and by forking `ovs-vsctl`; and a whole plug and
//! unplug, beside Xen's own script. Needs root, for a namespace of its own; `XENNET_BIN` is the xennet to measure.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::{Duration, Instant};

use xennet_benches::compare;
use xennet_core::ovsdb::Ovsdb;
use xennet_core::types::{OvsPort, OvsVlans, Policing};
use xennet_tests::hotplug::{Dom0, Script, VIF};
use xennet_tests::ovs::OpenVswitch;

fn main() -> Result<(), Box<dyn Error>> {
    for others in [0, 300] {
        let dom0 = Dom0::without_bridge();
        let ovs = OpenVswitch::start(&dom0.ovs_dir(), &["br0"]);
        fill(&dom0, &ovs, others);
        ports(&dom0, &ovs, others)?;
        plugs(&dom0, others);
    }
    Ok(())
}

/// So many other ports, of veth pairs.
fn fill(dom0: &Dom0, ovs: &OpenVswitch, others: u32) {
    let pair = |n| format!("link add name a{n} type veth peer name b{n}");
    dom0.netns.ip_batch(&(0..others / 2).map(pair).collect::<Vec<_>>());
    let names = (0..others / 2).flat_map(|n| [format!("a{n}"), format!("b{n}")]);
    let mut words = vec!["--no-wait".to_owned(), "set".into(), "bridge".into(), "br0".into()];
    words.push("mcast_snooping_enable=false".into());
    for name in names {
        words.extend(["--".into(), "add-port".into(), "br0".into(), name]);
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    ovs.vsctl(&words);
    // Waits until the switch has them all.
    ovs.vsctl(&["set", "bridge", "br0", "other_config:filled=true"]);
}

fn ports(dom0: &Dom0, ovs: &OpenVswitch, others: u32) -> Result<(), Box<dyn Error>> {
    dom0.netns.veth("port", "peer");
    let port = OvsPort {
        bridge: "br0".parse()?,
        name: "port".parse()?,
        vlans: OvsVlans::default(),
        protected: false,
        mtu: None,
        policing: Policing::default(),
        external_ids: BTreeMap::from([("xen-vm-name".to_owned(), "web".to_owned())]),
    };
    let soon = || Instant::now() + Duration::from_secs(30);
    let both = |database: &mut Ovsdb| {
        assert!(database.port_add(&port, soon()).is_ok());
        assert!(database.port_delete(&port.name, soon()).is_ok());
    };
    let mut kept = Ovsdb::connect(&ovs.socket())?;
    let mut direct = || both(&mut kept);
    let mut anew = || Ovsdb::connect(&ovs.socket()).iter_mut().for_each(both);
    let mut forked = || {
        let id = "external_ids:xen-vm-name=web";
        ovs.vsctl(&["add-port", "br0", "port", "--", "set", "interface", "port", id]);
        ovs.vsctl(&["--if-exists", "del-port", "port"]);
    };
    compare(
        &format!("a port added and deleted beside {others} others"),
        50,
        &mut [
            ("on a kept connection", &mut direct),
            ("on a new one each", &mut anew),
            ("ovs-vsctl, twice", &mut forked),
        ],
    );
    Ok(())
}

fn plugs(dom0: &Dom0, others: u32) {
    dom0.boot(VIF, &[("bridge", "br0")]);
    let vm = "/vm/6a5b8e1c-0f3d-4c55-9d3e-2b1f0a9c8d7e";
    let (uuid, name) = (format!("{vm}/uuid"), format!("{vm}/name"));
    let words =
        ["/local/domain/1/vm", vm, &uuid, "6a5b8e1c-0f3d-4c55-9d3e-2b1f0a9c8d7e", &name, "web"];
    dom0.store.tool("xenstore-write", &words);
    let both = |script| {
        dom0.online(script, VIF).succeeded();
        dom0.offline(script, VIF).succeeded();
    };
    compare(
        &format!("a vif plugged and unplugged beside {others} others"),
        15,
        &mut [
            ("xennet", &mut || both(Script::OursOpenVswitch)),
            ("Xen's own script", &mut || both(Script::StockOpenVswitch)),
        ],
    );
}
