//! The guard at the ingress hooks of its ports, as on a bridge of Open vSwitch: what each port has there of its own, and
//! what is left of it when the port is gone, or comes back.

use xennet_core::types::NftFamily;
use xennet_tests::frames::*;
use xennet_tests::guests::{Guests, Table, guarded_at_ingress, install};
use xennet_tests::hotplug::Script;
use xennet_tests::netns::Netns;

fn own(guests: &Guests) -> bool {
    guests.passes(&mine(&ip4("10.0.0.5", tcp())))
}

fn stolen(guests: &Guests) -> bool {
    guests.passes(&mine(&ip4("10.0.0.7", tcp())))
}

/// The chains that packets enter by themselves.
fn entrances() -> Vec<String> {
    let chains = Table::of(NftFamily::Netdev).chains;
    chains.into_iter().filter(|chain| chain.hook.is_some()).map(|chain| chain.name).collect()
}

#[test]
fn nft_lists_it_in_words() {
    let netns = Netns::new();
    for name in ["vif1.0", "vif2.0"] {
        netns.ip(&format!("link add {name} type veth peer name of-{name}"));
    }
    install(&guarded_at_ingress(1, "10.0.0.5 10.1.0.0/16 2001:db8::/64"));
    install(&guarded_at_ingress(2, "10.0.0.6"));
    let text = netns.nft_text("-s list table netdev xennet");
    for words in [
        "chain port_vif1.0",
        "type filter hook ingress device \"vif1.0\" priority -300; policy accept;",
        "goto ingress",
        "iifname . ether saddr @macs goto bound comment",
        "ether daddr & ff:ff:ff:ff:ff:f0 == 01:80:c2:00:00:00 counter",
        "iifname . ip saddr & 255.255.0.0 @ip4_16 accept comment",
        "arp htype 1 arp ptype ip arp hlen 6 arp plen 4 goto arp_ip4 comment",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!text.contains("unknown"), "{text}");
}

#[test]
fn what_was_left_does_not_hold_the_next_vif_of_that_name() {
    let mut guests = Guests::new("");
    guests.port("vif1.0");
    install(&guarded_at_ingress(1, "10.0.0.9"));
    // Some kernels keep the chain, and give it the next device of that name.
    guests.unplug("vif1.0");
    let id = guests.guest(1, &[]);
    assert!(own(&guests) && stolen(&guests));
    assert!(entrances().is_empty() && Table::of(NftFamily::Netdev).elements.is_empty());
    // Nor when the vif never went, and is plugged in otherwise.
    install(&guarded_at_ingress(1, "10.0.0.9"));
    assert!(!own(&guests));
    guests.tell(id, &[("ip", "10.0.0.5"), ("hotplug-status", "connected")]);
    guests.dom0.online(Script::Ours, id).succeeded();
    assert!(own(&guests) && !stolen(&guests));
    assert!(entrances().is_empty());
}

#[test]
fn whoever_comes_back_finds_its_chain_or_gets_it_anew() {
    let mut guests = Guests::new("");
    for domid in [1, 2] {
        guests.port(&format!("vif{domid}.0"));
        guests.dom0.netns.ip(&format!("link set vif{domid}.0 master xenbr0 up"));
    }
    install(&guarded_at_ingress(2, "10.0.0.6"));
    install(&guarded_at_ingress(1, "10.0.0.5"));
    assert!(own(&guests) && !stolen(&guests));
    for damage in [
        None,
        Some("delete chain netdev xennet port_vif1.0"),
        Some("flush chain netdev xennet port_vif1.0"),
        Some("insert rule netdev xennet port_vif1.0 accept"),
        Some("delete chain netdev xennet port_vif1.0; add chain netdev xennet port_vif1.0"),
        Some("flush table netdev xennet"),
        Some(
            "add chain netdev xennet mine { type filter hook ingress device vif1.0 priority -400; }",
        ),
    ] {
        if let Some(damage) = damage {
            guests.dom0.netns.nft(damage);
        } else {
            guests.unplug("vif1.0");
            guests.port("vif1.0");
            guests.dom0.netns.ip("link set vif1.0 master xenbr0 up");
        }
        install(&guarded_at_ingress(1, "10.0.0.5"));
        assert!(own(&guests) && !stolen(&guests), "{damage:?}");
        let mut entrances = entrances();
        entrances.sort();
        assert_eq!(entrances, ["port_vif1.0", "port_vif2.0"], "{damage:?}");
    }
}

#[test]
fn unplugging_leaves_nothing_though_the_vif_is_gone() {
    for gone in [false, true] {
        let mut guests = Guests::new("");
        let id = guests.guest(1, &[]);
        guests.guest(2, &[]);
        install(&guarded_at_ingress(2, "10.0.0.6"));
        install(&guarded_at_ingress(1, "10.0.0.5"));
        if gone {
            guests.unplug("vif1.0");
        }
        guests.dom0.offline(Script::Ours, id).succeeded();
        assert_eq!(entrances(), ["port_vif2.0"]);
        let left = Table::of(NftFamily::Netdev).texts();
        assert!(left.iter().all(|text| !text.contains("vif1.0")), "{left:?}");
        assert!(left.iter().any(|text| text.contains("vif2.0")), "{left:?}");
    }
}

#[test]
fn the_command_knows_the_family() {
    let mut guests = Guests::new("");
    let id = guests.guest(1, &[]);
    install(&guarded_at_ingress(1, "10.0.0.5"));
    let run = |words: &str| guests.dom0.xennet(words);
    let shown = run("guard show").stdout;
    assert!(shown.contains("table netdev xennet: xennet guard 1"), "{shown}");
    assert!(
        shown.contains("strict vif1.0 00:16:3e:00:00:01 openvswitch ovsbr0 10.0.0.5"),
        "{shown}"
    );
    let refused = run("guard remove");
    assert!(refused.code == Some(1) && refused.stderr.contains("vif1.0"), "{refused:?}");
    // It should not be guarded where it is plugged in now, on a bridge of Linux.
    assert_eq!(run("guard check").code, Some(1));
    run("guard restore").succeeded();
    assert_eq!(run("guard check").code, Some(0));
    assert!(own(&guests) && stolen(&guests));
    install(&guarded_at_ingress(1, "10.0.0.5"));
    guests.dom0.forget(id);
    assert_eq!(run("guard check").code, Some(1), "a vif that nobody knows");
    run("guard restore").succeeded();
    assert!(entrances().is_empty() && Table::of(NftFamily::Netdev).elements.is_empty());
    run("guard remove").succeeded();
    assert_eq!(guests.dom0.netns.nft_text("list tables netdev"), "");
}
