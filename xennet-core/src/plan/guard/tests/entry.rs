//! What a port's elements are, and how they are found again by its record.

use proptest::prelude::*;

use super::fixture::*;
use crate::config::{GuardLevel, GuardPolicy};
use crate::plan::guard::{GuardEntry, GuardLayout};
use crate::types::{NftFamily, VifId};

const MAC: &str = "00:16:3e:00:00:01";

fn layout() -> GuardLayout {
    GuardLayout::new(NftFamily::Bridge, true)
}

fn shown(entry: &GuardEntry) -> Vec<String> {
    let elements = entry.elements(&entry.layout(layout()));
    elements.iter().map(|(set, element)| format!("{} {element}", set.name)).collect()
}

#[test]
fn a_strict_port() {
    let policy = GuardPolicy { level: GuardLevel::Strict, dhcp_server: true, ..Default::default() };
    let ip = "10.0.0.5/24 10.0.0.5 10.0.1.0/24 2001:db8::/64".parse().unwrap();
    let entry = GuardEntry { ip, policy, ..entry(GuardLevel::Strict) };
    assert_eq!(
        shown(&entry),
        [
            "ports \"vif1.0\"",
            "records \"vif1.0\" comment \"strict vif1.0 00:16:3e:00:00:01 bridge xenbr0 dhcp-server 10.0.0.5 10.0.1.0/24 \
              2001:db8::/64\"",
            "macs \"vif1.0\" . 00:16:3e:00:00:01",
            "dhcp_servers \"vif1.0\"",
            "owned_macs \"xenbr0\" . 00:16:3e:00:00:01 comment \"vif1.0\"",
            "own4 \"vif1.0\" . 00:16:3e:00:00:01 . 10.0.0.5",
            "ip4_24 \"vif1.0\" . 10.0.1.0",
            "ip6_64 \"vif1.0\" . 2001:db8::",
            "own6 \"vif1.0\" . 00:16:3e:00:00:01 . fe80::216:3eff:fe00:1",
            "owned4_32 \"xenbr0\" . 10.0.0.5 comment \"vif1.0\"",
            "owned4_24 \"xenbr0\" . 10.0.1.0 comment \"vif1.0\"",
            "owned6_64 \"xenbr0\" . 2001:db8:: comment \"vif1.0\"",
            "owned6_128 \"xenbr0\" . fe80::216:3eff:fe00:1 comment \"vif1.0\"",
        ]
    );
}

#[test]
fn the_other_levels() {
    assert_eq!(shown(&entry(GuardLevel::Off)), [""; 0]);
    assert_eq!(
        shown(&entry(GuardLevel::Mac)),
        [
            "ports \"vif1.0\"",
            "records \"vif1.0\" comment \"mac vif1.0 00:16:3e:00:00:01 bridge xenbr0\"",
            "macs \"vif1.0\" . 00:16:3e:00:00:01",
            "any_address \"vif1.0\"",
            "owned_macs \"xenbr0\" . 00:16:3e:00:00:01 comment \"vif1.0\"",
        ]
    );
    let (ip, strict) = (shown(&entry(GuardLevel::Ip)), shown(&entry(GuardLevel::Strict)));
    assert_eq!(ip.len(), strict.len() + 1);
    assert!(ip.contains(&"any_protocol \"vif1.0\"".to_owned()));
}

#[test]
fn what_everybody_needs_is_nobodys() {
    let ip = "0.0.0.0/0 ::/0 fe80::/10 fe80::/64 f000::/4".parse().unwrap();
    let entry = GuardEntry { ip, ..entry(GuardLevel::Strict) };
    assert!(
        shown(&entry).iter().all(|line| !line.starts_with("owned")
            || line.contains(MAC)
            || line.contains(LINK_LOCAL)),
        "{:?}",
        shown(&entry)
    );
    // The guest itself may use any address all the same, but that of no address.
    let table = Table::new(&entry);
    assert_eq!(table.verdict(&mine(&ip4("192.0.2.1", tcp()))), "passes");
    assert_eq!(table.verdict(&mine(&ip4("10.0.0.6", tcp()))), "source is another vif's (/32)");
    assert_eq!(table.verdict(&mine(&ip4("0.0.0.0", tcp()))), "no source");
    assert_eq!(table.verdict(&mine(&ip6("::", tcp()))), "no source");
}

#[test]
fn a_record_that_is_too_long_says_so() {
    let ip = (1..40).map(|n| format!("10.0.0.{n}")).collect::<Vec<_>>().join(" ").parse().unwrap();
    let entry = GuardEntry { ip, ..entry(GuardLevel::Ip) };
    let record = entry.record();
    assert!(record.len() <= 127 && record.len() > 115, "{} bytes", record.len());
    assert!(record.starts_with("ip vif1.0 00:16:3e:00:00:01 bridge xenbr0 10.0.0.1 "), "{record}");
    assert!(record.ends_with(" …"), "{record}");
    let error = GuardEntry::from_record(entry.port, &record).unwrap_err().to_string();
    assert!(error.contains("expected a record that was not cut"), "{error}");
}

#[test]
fn what_is_no_record_is_refused() {
    for text in [
        "",
        "strict",
        "strict vif1.0",
        "on vif1.0 00:16:3e:00:00:01",
        "strict vif1.0 00:16:3e:00:00:01 bridge",
        "strict vif1.0 00:16:3e:00:00:01 nonsense",
        "strict vif1.0 00:16:3e:00:00:01 10.0.0.5 router",
    ] {
        assert!(GuardEntry::from_record("vif1.0".parse().unwrap(), text).is_err(), "{text:?}");
    }
}

fn entries() -> impl Strategy<Value = GuardEntry> {
    let ip = prop::sample::subsequence(
        vec![
            "10.0.0.5",
            "10.0.1.0/24",
            "10.0.0.9/16",
            "2001:db8::5",
            "2001:db8:1::/64",
            "::/0",
            "fe80::9",
        ],
        0..=7,
    );
    let bridge = prop::option::of(prop::sample::select(vec![
        "xenbr0", "10.0.0.5", "router", "bridge", "brücke",
    ]));
    let level = prop::sample::select(vec![GuardLevel::Mac, GuardLevel::Ip, GuardLevel::Strict]);
    let flags: [_; 4] = std::array::from_fn(|_| any::<bool>());
    (level, ip, bridge, flags, any::<(u16, u32)>()).prop_map(
        |(level, ip, bridge, [claims, dhcp_server, router, reserve], (domid, devid))| GuardEntry {
            owner: VifId { domid, devid },
            claims,
            bridge: bridge.map(|name| name.parse().unwrap()),
            ip: ip.join(" ").parse().unwrap(),
            policy: GuardPolicy { level, dhcp_server, router, reserve },
            ..entry(level)
        },
    )
}

proptest! {
    #[test]
    fn a_record_read_back_has_the_same_elements(entry in entries()) {
        let record = entry.record();
        prop_assert!(record.len() <= 127);
        match GuardEntry::from_record(entry.port.clone(), &record) {
            Ok(back) => {
                let layout = entry.layout(GuardLayout::new(entry.family(), true));
                prop_assert_eq!(back.layout(layout.clone()), layout.clone());
                prop_assert_eq!(back.elements(&layout), entry.elements(&layout));
                prop_assert_eq!(back.policy, entry.policy);
            }
            Err(_) => prop_assert!(record.ends_with('…'), "{}", record),
        }
    }

    #[test]
    fn no_record_panics(text in ".*|strict vif1.0 00:16:3e:00:00:01 .*") {
        let _ = GuardEntry::from_record("vif1.0".parse().unwrap(), &text);
    }
}
