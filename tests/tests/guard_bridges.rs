//! The guard on bridges that do more than pass frames on.

use xennet_tests::frames::*;
use xennet_tests::guests::Guests;
use xennet_tests::hotplug::Script;

const THEIRS: &str = "source is another vif's (/32)";

/// The kernel hears spanning tree in its first namespace only, so that here the port's own switch is the judge.
#[test]
fn a_bridge_that_speaks_spanning_tree_does_not_hear_its_guests() {
    let mut guests = Guests::new("");
    guests.guest(1, &[("ip", "10.0.0.5")]);
    guests.guest(2, &[]);
    guests.dom0.netns.ip("link set xenbr0 type bridge forward_delay 0 stp_state 1");
    guests.guest(3, &[("ip", "10.0.0.7")]);
    let deaf =
        |name: &str| guests.dom0.netns.link(name)["linkinfo"]["info_slave_data"]["guard"].clone();
    // One that was plugged before STP was on is only put right by its next plug.
    assert_eq!([deaf("vif1.0"), deaf("vif2.0"), deaf("vif3.0")], [false, false, true]);
    guests.dom0.online(Script::Ours, "1.0".parse().expect("an id")).succeeded();
    assert_eq!([deaf("vif1.0"), deaf("vif2.0"), deaf("vif3.0")], [true, false, true]);
}

#[test]
fn an_address_of_one_bridge_on_another() {
    let mut guests = Guests::new("");
    guests.dom0.netns.ip("link add xenbr1 type bridge mcast_snooping 0");
    guests.dom0.netns.ip("link set xenbr1 up");
    guests.guest(1, &[("ip", "10.0.0.5")]);
    guests.guest(2, &[("bridge", "xenbr1")]);
    // A kernel without `meta ibrname` knows owners in the whole host only.
    let host_wide = guests.dom0.netns.nft_text("list tables bridge").contains("xennet")
        && guests.dom0.netns.nft_text("list table bridge xennet").contains("owned host-wide");
    let verdict = if host_wide { THEIRS } else { "passes" };
    let by = frame("vif2.0", xennet_tests::guests::mac(2), &[], &ip4("10.0.0.5", tcp()));
    let before = guests.counted();
    guests.send(&by);
    assert_eq!(guests.counted() == before, verdict == "passes");
}
