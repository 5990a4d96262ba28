//! A network of two hosts by OVN: bound, held to its addresses, bound elsewhere, and awake only where the guest runs.

use std::fs;

use xennet_core::types::VifId;
use xennet_tests::hosts::{Guest, Hosts, eventually};
use xennet_tests::hotplug::{Outcome, Script};
use xennet_tests::ovn::Ovn;

const MAC1: &str = "00:16:3e:00:00:01";
const MAC2: &str = "00:16:3e:00:00:02";
const UUID1: &str = "6a5b8e1c-0f3d-4c55-9d3e-2b1f0a9c8d71";
const UUID2: &str = "6a5b8e1c-0f3d-4c55-9d3e-2b1f0a9c8d72";

/// The two hosts, and a network `ls0` with a port for each guest's first vif.
struct Cloud {
    hosts: Hosts,
    ovn: Ovn,
}

impl Cloud {
    fn new() -> Self {
        let hosts = Hosts::new();
        let ovn = Ovn::start(&hosts);
        for n in 0..2 {
            let config = "[[bridge]]\nname = \"br-int\"\nmode = \"openvswitch\"\nguard = \"off\"\nwait_ovn = 20\n";
            let dom0 = hosts.at(n);
            fs::write(dom0.dir().join("xennet.toml"), config).expect("our own directory");
        }
        ovn.nbctl("ls-add|ls0");
        for (uuid, mac, n) in [(UUID1, MAC1, 1), (UUID2, MAC2, 2)] {
            let port = format!("{uuid}-0");
            let addresses = format!("{mac} 10.0.0.{n} fd00::{n}");
            ovn.nbctl(&format!("lsp-add|ls0|{port}"));
            ovn.nbctl(&format!("lsp-set-addresses|{port}|{addresses}"));
            ovn.nbctl(&format!("lsp-set-port-security|{port}|{addresses}"));
        }
        Self { hosts, ovn }
    }

    /// Boots the guest of that number on a host, and plugs it in as libxl does.
    fn plug(&self, n: usize, domid: u16, guest: u8) -> Guest {
        let (uuid, mac) = if guest == 1 { (UUID1, MAC1) } else { (UUID2, MAC2) };
        let id = VifId { domid, devid: 0 };
        let keys = [("bridge", "br-int"), ("mtu", "1400")];
        let booted = self.hosts.boot(n, id, mac, &keys);
        let dom0 = self.hosts.at(n);
        dom0.store.tool(
            "xenstore-write",
            &[&format!("/local/domain/{domid}/vm"), &format!("/vm/{uuid}")],
        );
        dom0.store.tool("xenstore-write", &[&format!("/vm/{uuid}/uuid"), uuid]);
        self.call(n, id, "online").succeeded();
        booted.ip("link set eth0 mtu 1400");
        booted.address(&[&format!("10.0.0.{guest}/24"), &format!("fd00::{guest}/64")]);
        booted
    }

    fn call(&self, n: usize, id: VifId, command: &str) -> Outcome {
        let dir = self.ovn.dir(n).display().to_string();
        let args = [command, "type_if=vif"];
        self.hosts.at(n).call(Script::Ours, id, &args, &[("OVS_RUNDIR", &dir)])
    }

    /// Tells where the guest is now.
    fn announce(&self, n: usize, id: VifId) {
        let dir = self.ovn.dir(n).display().to_string();
        let output =
            self.hosts.at(n).xennet_with(&format!("vif announce {id}"), &[("OVS_RUNDIR", &dir)]);
        output.succeeded();
    }
}

#[test]
fn a_plug_is_complete_when_ovn_has_it_and_binds_elsewhere_later() {
    let cloud = Cloud::new();
    let first = VifId { domid: 1, devid: 0 };
    let one = cloud.plug(0, 1, 1);
    // No later than that: the plug has waited.
    let told = cloud.ovn.vsctl(0, "get Interface vif1.0 external_ids:ovn-installed");
    assert_eq!(told.trim(), "\"true\"");
    let two = cloud.plug(1, 2, 2);
    one.reaches("10.0.0.2");
    one.reaches("fd00::2");

    // Another's addresses pass only where nobody holds the guest to its own.
    let pings = "-c3 -i0.2 -W1";
    let port = format!("{UUID1}-0");
    one.ip("address add 10.0.0.66/24 dev eth0");
    assert!(!one.pings("10.0.0.2", &format!("{pings} -I 10.0.0.66")), "a spoofed address");
    one.ip("link set eth0 address 00:16:3e:00:00:66");
    assert!(!one.pings("10.0.0.2", pings), "a spoofed MAC");
    cloud.ovn.nbctl(&format!("lsp-set-port-security|{port}"));
    cloud.ovn.nbctl(&format!("lsp-set-addresses|{port}|unknown"));
    one.ip("neighbour flush dev eth0");
    two.ip("neighbour flush dev eth0");
    eventually("the control", || one.pings("10.0.0.2", &format!("{pings} -I 10.0.0.66")));

    // The guest of that port goes to the other host.
    let addresses = format!("{MAC1} 10.0.0.1 fd00::1");
    cloud.ovn.nbctl(&format!("lsp-set-addresses|{port}|{addresses}"));
    cloud.call(0, first, "offline").succeeded();
    let moved = cloud.plug(1, 5, 1);
    moved.reaches("10.0.0.2");
    assert_eq!(cloud.ovn.binding(&port, "chassis").trim(), cloud.ovn.chassis("host2"));
}

#[test]
fn a_guest_that_migrates_is_awake_on_one_host_until_it_is_announced() {
    let cloud = Cloud::new();
    let port = format!("{UUID1}-0");
    let one = cloud.plug(0, 1, 1);
    let two = cloud.plug(0, 2, 2);
    two.reaches("10.0.0.1");
    cloud.ovn.nbctl(&format!(
        "lsp-set-options|{port}|requested-chassis=host1,host2|activation-strategy=rarp"
    ));
    let target = VifId { domid: 5, devid: 0 };
    let moved = cloud.plug(1, 5, 1);
    // Both are plugged. Only the source speaks, whatever the target says.
    assert!(!moved.pings("10.0.0.2", "-c3 -i0.2 -W1"), "the target is awake too early");
    two.reaches("10.0.0.1");
    one.ip("link set eth0 down");
    assert!(!moved.pings("10.0.0.2", "-c3 -i0.2 -W1"), "the target is awake too early");
    cloud.announce(1, target);
    moved.reaches("10.0.0.2");
    moved.reaches("fd00::2");
    // The last step: the source goes.
    cloud.ovn.nbctl(&format!("lsp-set-options|{port}|requested-chassis=host2"));
    cloud.call(0, VifId { domid: 1, devid: 0 }, "offline").succeeded();
    let there = cloud.ovn.chassis("host2");
    eventually("bound to host2", || cloud.ovn.binding(&port, "chassis").trim() == there);
    moved.reaches("10.0.0.2");
}
