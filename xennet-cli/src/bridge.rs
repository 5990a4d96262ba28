//! `xennet bridge`

use std::io::{Write, stdout};

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use xennet_core::types::{IfName, MacAddr, Mtu};
use xennet_core::{BridgeConfig, BridgeStatus, Dom0Network};

use crate::failure::{Failure, usage};
use crate::options::Options;

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Make a bridge and bring it up; one that exists keeps its settings
    Create(Create),
    /// Delete a bridge; one that is not there is no error
    Delete {
        /// The bridge
        name: IfName,
        /// Even if it still has ports
        #[arg(long)]
        force: bool,
    },
    /// Show a bridge and its ports
    Show {
        /// The bridge
        name: IfName,
    },
    /// List every bridge
    List,
}

#[derive(Args, Debug)]
pub(crate) struct Create {
    /// The bridge
    name: IfName,
    /// Its hardware address, kept whatever its ports are; one of this machine's own by default
    #[arg(long)]
    mac: Option<MacAddr>,
    /// Its MTU in bytes
    #[arg(long)]
    mtu: Option<Mtu>,
    /// Run the spanning tree protocol
    #[arg(long)]
    stp: bool,
    /// Keep frames to their VLAN
    #[arg(long)]
    vlan_filtering: bool,
}

pub(crate) fn run(command: Command, options: &Options) -> Result<(), Failure> {
    let net = &mut Options::network(true)?;
    match command {
        Command::Create(create) => {
            let mut config = BridgeConfig::new(create.name.clone());
            config.mac = create.mac;
            config.mtu = create.mtu;
            for (key, on) in [("stp", create.stp), ("vlan_filtering", create.vlan_filtering)] {
                config.set(key, if on { b"1" } else { b"0" }).map_err(usage)?;
            }
            let mut bridge = net.bridge(create.name);
            options.planned(&if options.dry_run {
                bridge.plan_create(&config)?
            } else {
                bridge.create(&config)?
            })
        }
        Command::Delete { name, force } => {
            let mut bridge = net.bridge(name);
            options.planned(&if options.dry_run {
                bridge.plan_delete(force)?
            } else {
                bridge.delete(force)?
            })
        }
        Command::Show { name } => show(net.bridge(name.clone()).show()?.as_ref(), &name, options),
        Command::List => list(net, options),
    }
}

fn show(bridge: Option<&BridgeStatus>, name: &IfName, options: &Options) -> Result<(), Failure> {
    let Some(bridge) = bridge else {
        return Err(Failure::Failed(format!(
            "bridge {name}: no such bridge; create it with `xennet bridge create {name}`"
        )));
    };
    if options.json { Options::print_json(&as_json(bridge)) } else { text(bridge) }
}

fn list(net: &mut Dom0Network, options: &Options) -> Result<(), Failure> {
    let mut all = Vec::new();
    for link in net.bridges()? {
        all.extend(net.bridge(link.name).show()?);
    }
    if options.json {
        return Options::print_json(&all.iter().map(as_json).collect());
    }
    all.iter().try_for_each(text)
}

fn text(bridge: &BridgeStatus) -> Result<(), Failure> {
    let mut out = stdout().lock();
    let link = &bridge.link;
    let mac = link.mac.map_or("none".to_owned(), |mac| mac.to_string());
    writeln!(
        out,
        "{}: {}, mtu {}, mac {mac}, {} ports",
        link.name,
        up(link.up),
        link.mtu,
        bridge.ports.len()
    )?;
    for port in &bridge.ports {
        writeln!(out, "  {:<15} {}, mtu {}", port.name, up(port.up), port.mtu)?;
    }
    Ok(())
}

fn up(up: bool) -> &'static str {
    if up { "up" } else { "down" }
}

fn as_json(bridge: &BridgeStatus) -> Value {
    let link = &bridge.link;
    json!({
        "name": link.name.as_str(), "up": link.up, "mtu": link.mtu, "mac": link.mac.map(|mac| mac.to_string()),
        "stp": bridge.stp, "forward_delay": bridge.forward_delay, "vlan_filtering": bridge.vlan_filtering,
        "ports": bridge.ports.iter().map(|port| port.name.as_str()).collect::<Vec<_>>(),
    })
}
