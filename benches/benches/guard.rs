//! What it costs to add a vif to the guard's table, and to take it out. Needs root, for namespaces of its own.

use std::error::Error;

use xennet_benches::compare;
use xennet_core::config::{GuardLevel, GuardPolicy};
use xennet_core::kernel::Nftables;
use xennet_core::plan::Change;
use xennet_core::plan::guard::{GuardEntry, GuardLayout, GuardSnapshot};
use xennet_core::types::{IfName, IpList, NftBatch, NftFamily, VifId};
use xennet_tests::netns::Netns;

/// One batch for a vif's elements, and one to take them away, in sets that hold so many others.
fn main() -> Result<(), Box<dyn Error>> {
    for others in [0, 10, 100, 1000] {
        let _netns = Netns::new();
        let mut nft = Nftables::open()?;
        fill(&mut nft, others)?;
        let (add, delete) = batches(&entry(5000)?)?;
        let mut both = || assert!(nft.apply(&add).is_ok() && nft.apply(&delete).is_ok());
        let name = format!("add and delete one vif beside {others} others");
        compare(&name, 500, &mut [("two addresses and a prefix", &mut both)]);
    }
    Ok(())
}

/// The guard's table, with so many vifs in it.
fn fill(nft: &mut Nftables, vifs: u16) -> Result<(), Box<dyn Error>> {
    let prefix = entry(5000)?;
    let snapshot = GuardSnapshot { generation: nft.generation()?, ..GuardSnapshot::default() };
    if let Some(Change::Nft { batch, undo }) = prefix.install(&snapshot)? {
        nft.apply(&batch)?;
        nft.apply(&undo)?;
    }
    for n in 1..=vifs {
        let (add, _) = batches(&entry(n)?)?;
        nft.apply(&add)?;
    }
    Ok(())
}

/// What adds a vif to a table that is there, and what takes it away.
fn batches(entry: &GuardEntry) -> Result<(NftBatch, NftBatch), Box<dyn Error>> {
    let prefix = self::entry(5000)?;
    let layout = prefix.layout(GuardLayout::new(NftFamily::Bridge, false));
    let mut snapshot = GuardSnapshot {
        sets: layout.sets(),
        chains: layout.chains(),
        rules: layout.rules(),
        ..GuardSnapshot::default()
    };
    snapshot.table = Some(xennet_core::types::NftTable {
        family: NftFamily::Bridge,
        name: GuardLayout::TABLE.to_owned(),
        comment: Some(layout.comment()),
        dormant: false,
    });
    match entry.install(&snapshot)? {
        Some(Change::Nft { batch, undo }) => Ok((batch, undo)),
        other => Err(format!("not a batch: {other:?}").into()),
    }
}

/// The vif of guest `n`: two addresses and a prefix.
fn entry(n: u16) -> Result<GuardEntry, Box<dyn Error>> {
    let [high, low] = n.to_be_bytes();
    let port: IfName = format!("vif{n}.0").parse()?;
    let ip: IpList = format!("10.1.{high}.{low} fd00::{n:x} fd00:{n:x}::/64").parse()?;
    Ok(GuardEntry {
        port,
        owner: VifId { domid: n, devid: 0 },
        claims: true,
        bridge: Some("xenbr0".parse()?),
        switch: false,
        mac: format!("00:16:3e:00:{high:02x}:{low:02x}").parse()?,
        ip,
        policy: GuardPolicy { level: GuardLevel::Strict, ..GuardPolicy::default() },
    })
}
