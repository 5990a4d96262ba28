//! Whatever happens to guests, the kernel holds what `plan::guard` says of those that are plugged.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use xennet_core::config::{GuardLevel, GuardPolicy};
use xennet_core::kernel::Nftables;
use xennet_core::plan::guard::{GuardEntry, GuardLayout};
use xennet_core::types::{MacAddr, NftFamily, VifId};
use xennet_tests::guests::{Guests, Table, key, mac};
use xennet_tests::hotplug::Script;

/// Something that happens to one of the guests.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// It is plugged in, or plugged in again.
    Online,
    /// It is unplugged, before its interface goes or after.
    Offline { gone_first: bool },
    /// The administrator gives it other addresses, without anything else.
    Ip(usize),
    /// The next time that it boots, its interface has that name.
    Name(usize),
}

const GUESTS: u16 = 3;
/// The last guest's addresses stay reserved for it.
const RESERVING: u16 = 3;
const IPS: [&str; 6] = [
    "",
    "10.0.0.5",
    "10.0.0.5 10.0.1.0/24 fd00::5",
    "10.0.1.7/24 fd00::/64",
    "10.0.0.0/16 fd00::5 fe80::99",
    "10.0.1.0/24 10.0.0.5/32 fd00::5/64 0.0.0.0/0",
];
const NAMES: [&str; 3] = ["", "web", "db"];

fn event() -> impl Strategy<Value = (u16, Event)> {
    let event = prop_oneof![
        4 => Just(Event::Online),
        2 => any::<bool>().prop_map(|gone_first| Event::Offline { gone_first }),
        3 => (0..IPS.len()).prop_map(Event::Ip),
        1 => (0..NAMES.len()).prop_map(Event::Name),
    ];
    (1..=GUESTS, event)
}

/// What the guard should hold after some events, by `plan::guard`'s own word on each guest.
#[derive(Debug, Default)]
struct Model {
    ip: BTreeMap<u16, usize>,
    name: BTreeMap<u16, usize>,
    plugged: BTreeMap<u16, GuardEntry>,
    /// Of each address, the domains that own it, and those that it is reserved for.
    owners: BTreeMap<String, [BTreeSet<u16>; 2]>,
}

impl Model {
    fn ip(&self, domid: u16) -> &'static str {
        IPS[self.ip.get(&domid).copied().unwrap_or(0)]
    }

    /// Two guests never want the same name.
    fn name(&self, domid: u16) -> String {
        match NAMES[self.name.get(&domid).copied().unwrap_or(0)] {
            "" => format!("vif{domid}.0"),
            name => format!("{name}{domid}"),
        }
    }

    fn online(&mut self, domid: u16, layout: &GuardLayout) {
        let entry = GuardEntry {
            port: self.name(domid).parse().unwrap(),
            owner: VifId { domid, devid: 0 },
            claims: true,
            bridge: Some("xenbr0".parse().unwrap()),
            switch: false,
            mac: MacAddr::from_octets(mac(domid)).unwrap(),
            ip: self.ip(domid).parse().unwrap(),
            policy: GuardPolicy {
                level: if self.ip(domid).is_empty() { GuardLevel::Off } else { GuardLevel::Strict },
                reserve: domid == RESERVING,
                ..GuardPolicy::default()
            },
        };
        let had = self.owners.iter().filter(|(_, [active, _])| active.contains(&domid));
        let had: BTreeSet<String> = had.map(|(key, _)| key.clone()).collect();
        self.release(domid, layout, false);
        for (set, element) in entry.elements(layout) {
            if set.name.starts_with("owned") {
                let key = key(&set, &element);
                let [active, reserved] = self.owners.entry(key.clone()).or_default();
                active.insert(domid);
                if !had.contains(&key) {
                    reserved.clear();
                }
            }
        }
        if entry.policy.level > GuardLevel::Off {
            self.plugged.insert(domid, entry);
        }
    }

    fn offline(&mut self, domid: u16, layout: &GuardLayout) {
        self.release(domid, layout, domid == RESERVING);
    }

    /// What the guest had, and has no more; it leaves the owners of its addresses.
    fn release(&mut self, domid: u16, layout: &GuardLayout, reserve: bool) {
        let Some(old) = self.plugged.remove(&domid) else { return };
        for (set, element) in old.elements(layout) {
            let Some([active, reserved]) = self.owners.get_mut(&key(&set, &element)) else {
                continue;
            };
            if active.remove(&domid) && reserve {
                reserved.insert(domid);
            }
        }
        self.owners.retain(|_, [active, reserved]| !active.is_empty() || !reserved.is_empty());
    }

    fn elements(&self, layout: &GuardLayout) -> BTreeSet<String> {
        let of_ports = self.plugged.values().flat_map(|entry| entry.elements(layout));
        let of_ports = of_ports.filter(|(set, _)| !set.name.starts_with("owned"));
        let owned = self.owners.iter().map(|(key, [active, reserved])| {
            let active = active.iter().map(|domid| format!("vif{domid}.0"));
            let reserved = reserved.iter().map(|domid| format!("reserved vif{domid}.0"));
            format!("{key} comment \"{}\"", active.chain(reserved).collect::<Vec<_>>().join(" "))
        });
        of_ports.map(|(set, element)| format!("{} {element}", set.name)).chain(owned).collect()
    }
}

#[test]
fn whatever_happens_the_kernel_holds_what_the_plan_says() {
    let mut runner =
        TestRunner::new(Config { cases: 8, failure_persistence: None, ..Config::default() });
    let events = proptest::collection::vec(event(), 12..24);
    runner
        .run(&events, |events| {
            let mut guests = Guests::new(
                "[[bridge]]\nname = \"xenbr0\"\n[[guest]]\nname = \"third\"\nreserve = true\n",
            );
            guests.dom0.store.tool("xenstore-write", &["/local/domain/3/name", "third"]);
            let mut model = Model::default();
            let mut names = BTreeMap::new();
            for (domid, event) in events {
                happen(&mut guests, &mut model, &mut names, domid, event);
                let found = layout().map(|layout| (layout, Table::read().texts()));
                let Some((layout, found)) = found else {
                    prop_assert!(model.plugged.is_empty());
                    continue;
                };
                prop_assert_eq!(found, model.elements(&layout), "after {:?} of {}", event, domid);
            }
            Ok(())
        })
        .unwrap();
}

/// `names` are those of the interfaces that there are.
fn happen(
    guests: &mut Guests,
    model: &mut Model,
    names: &mut BTreeMap<u16, String>,
    domid: u16,
    event: Event,
) {
    let id = VifId { domid, devid: 0 };
    match event {
        Event::Ip(n) => {
            model.ip.insert(domid, n);
        }
        Event::Name(n) => {
            if !names.contains_key(&domid) {
                model.name.insert(domid, n);
            }
        }
        Event::Online => {
            let name = model.name(domid);
            let keys = [("ip", model.ip(domid)), ("vifname", &name)];
            if names.contains_key(&domid) {
                guests.tell(id, &keys);
            } else {
                guests.boot(domid, &keys);
            }
            guests.dom0.online(Script::Ours, id).succeeded();
            if names.insert(domid, name.clone()).is_none() && name != format!("vif{id}") {
                guests.renamed(&format!("vif{id}"), &name);
            }
            model.online(domid, &layout().unwrap_or_else(any_layout));
        }
        Event::Offline { gone_first } => {
            let Some(name) = names.remove(&domid) else { return };
            if gone_first {
                guests.unplug(&name);
            }
            guests.dom0.offline(Script::Ours, id).succeeded();
            if !gone_first {
                guests.unplug(&name);
            }
            model.offline(domid, &layout().unwrap_or_else(any_layout));
        }
    }
}

/// That of a table which is not there, and so holds nothing.
fn any_layout() -> GuardLayout {
    GuardLayout::new(NftFamily::Bridge, false)
}

fn layout() -> Option<GuardLayout> {
    let mut nft = Nftables::open().unwrap();
    let (family, name) = (NftFamily::Bridge, GuardLayout::TABLE);
    let table = nft.table(family, name).unwrap()?;
    GuardLayout::of(&table, &nft.sets(family, name).unwrap())
}
