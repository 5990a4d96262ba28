//! `xennet demo`: xennet's main job, on real Linux, without Xen.
//!
//! Everything lives in namespaces of this process: the network of a dom0 and of two guests, and a `/run` of its own for
//! XenStore's socket and the locks. When the process ends, however it ends, the kernel takes all of it away.

mod guest;
mod namespace;
mod ping;

use std::io::{Write, stdout};
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use xennet_core::types::{Device, IfName, VifId};
use xennet_core::xenstore::{Server, XenStore};
use xennet_core::{BridgeConfig, Dom0Network, Ethernet, GuardTable, Packet, Payload};

use crate::failure::Failure;
use guest::Guest;

const BRIDGE: &str = "xenbr0";

/// An address of neither guest.
const FOREIGN: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 99);

/// Where every client looks for XenStore.
const STORE: &str = "/run/xenstored/socket";

const PICTURE: &str = "
  ┌─ dom0 ────────────────────────────────────────┐
  │                                               │
  │      ┌───────────── xenbr0 ────────────┐      │
  │      │                                 │      │
  │   vif1.0                            vif2.0    │
  └──────┼─────────────────────────────────┼──────┘
         │                                 │
  ┌─ foo ┼───────────────┐  ┌─ bar ────────┼──────┐
  │     eth0             │  │             eth0    │
  │  192.0.2.1           │  │  192.0.2.2          │
  │  2001:db8::1         │  │  2001:db8::2        │
  └──────────────────────┘  └─────────────────────┘
";

/// Plugs two guests into a bridge as xl would, lets them talk, and unplugs them.
pub(crate) fn run() -> Result<(), Failure> {
    namespace::enter().map_err(|error| {
        failed(
            "make namespaces for the demo",
            format!("{error}; run it as root, or allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns)"),
        )
    })?;
    writeln!(
        stdout(),
        "A dom0 with two guests, in network namespaces of this process.\n{PICTURE}"
    )?;

    let mut store = xenstore()?;
    let mut net = Dom0Network::with_store(None)?;
    net.bridge(name(BRIDGE)).create(&BridgeConfig::new(name(BRIDGE)))?;
    writeln!(stdout(), "dom0       bridge {BRIDGE} made")?;

    let foo = boot(&mut store, "foo", 1)?;
    let bar = boot(&mut store, "bar", 2)?;
    for guest in [&foo, &bar] {
        hotplug(guest.id, "online")?;
        expect_connected(&mut store, guest.id)?;
        let path = format!("{}/hotplug-status", guest.id.xenbus_path());
        writeln!(stdout(), "dom0       {path} is connected")?;
    }

    for (what, target) in [("IPv4", bar.v4), ("IPv6", bar.v6)] {
        let time = foo.ping(target).map_err(|error| failed("ping bar from foo", error))?;
        writeln!(
            stdout(),
            "foo        {what} ping to bar, {target}: answered in {:.3} ms",
            time.as_secs_f64() * 1e3
        )?;
    }

    spoof(&mut net, &foo, &bar)?;

    for guest in [&foo, &bar] {
        hotplug(guest.id, "offline")?;
    }
    let left = net.bridge(name(BRIDGE)).ports()?;
    if let Some(port) = left.first() {
        return Err(failed(
            "unplug the guests",
            format!("{} is still a port of {BRIDGE}", port.name),
        ));
    }
    writeln!(
        stdout(),
        "dom0       {BRIDGE} has no ports left, and nothing of this outlives the demo"
    )?;
    Ok(())
}

/// Lets foo ping bar from an address that is not its own, and shows that the guard drops it.
fn spoof(net: &mut Dom0Network, foo: &Guest, bar: &Guest) -> Result<(), Failure> {
    let answered = foo.spoof(FOREIGN.into(), bar.v4);
    if answered.map_err(|error| failed(&format!("ping bar from {FOREIGN}"), error))? {
        return Err(failed("hold foo to its addresses", format!("bar answered {FOREIGN}")));
    }
    writeln!(stdout(), "foo        IPv4 ping to bar from {FOREIGN}, not its own: no answer")?;

    let vif = foo.id.if_name(Device::Vif).map_err(xennet_core::Error::from)?;
    let header =
        Ethernet { source: foo.mac().octets(), destination: bar.mac().octets(), tags: Vec::new() };
    let packet = Packet::Ipv4 {
        source: FOREIGN,
        destination: Ipv4Addr::BROADCAST,
        payload: Payload::Icmp(8),
    };
    let verdict = net.guard().explain(vif.clone(), header.frame(&packet))?;
    let rule = verdict.deciding.unwrap_or_default();
    let tables = net.guard().tables()?;
    let mut ports = tables.iter().flat_map(GuardTable::ports);
    if !ports.any(|port| port.port == vif && port.dropped.packets > 0) {
        return Err(failed("hold foo to its addresses", format!("no drop is counted for {vif}")));
    }
    writeln!(stdout(), "dom0       the guard dropped it at {vif}: {rule}")?;
    Ok(())
}

/// Serves an empty XenStore where every client looks for one.
fn xenstore() -> Result<XenStore, Failure> {
    let socket = Path::new(STORE);
    let serve = || -> std::io::Result<Server> {
        std::fs::create_dir_all("/run/xenstored")?;
        Server::bind(socket)
    };
    let mut server =
        serve().map_err(|error| failed(&format!("serve XenStore on {STORE}"), error))?;
    // It ends with the process.
    std::thread::spawn(move || while server.poll(Duration::from_mins(1)).is_ok() {});
    Ok(XenStore::connect(socket).map_err(xennet_core::Error::from)?)
}

/// Starts a guest, does what netback does (`vifD.0` here, `eth0` there), and what libxl tells XenStore.
fn boot(store: &mut XenStore, who: &'static str, domid: u16) -> Result<Guest, Failure> {
    let id = VifId { domid, devid: 0 };
    let vif = id.if_name(Device::Vif).map_err(xennet_core::Error::from)?;
    let guest = Guest::start(id).map_err(|error| failed("start a guest", error))?;

    xennet_core::demo::create_vif(&vif, &name("eth0"), guest.network())?;
    guest.configure().map_err(|error| failed("configure a guest's eth0", error))?;

    let (backend, frontend) = (id.xenbus_path(), format!("/local/domain/{domid}/device/vif/0"));
    let keys = [
        (format!("{backend}/frontend"), frontend.clone()),
        (format!("{backend}/frontend-id"), domid.to_string()),
        (format!("{backend}/online"), "1".to_owned()),
        (format!("{backend}/state"), "2".to_owned()),
        (format!("{backend}/script"), "/etc/xen/scripts/vif-bridge".to_owned()),
        (format!("{backend}/mac"), guest.mac().to_string()),
        (format!("{backend}/ip"), format!("{} {}", guest.v4, guest.v6)),
        (format!("{backend}/bridge"), BRIDGE.to_owned()),
        (format!("{backend}/handle"), "0".to_owned()),
        (format!("{backend}/type"), "vif".to_owned()),
        (format!("{backend}/hotplug-status"), String::new()),
        (format!("{frontend}/backend"), format!("/local/domain/0/{backend}")),
        (format!("{frontend}/state"), "1".to_owned()),
        (format!("{frontend}/mtu"), "1500".to_owned()),
    ];
    store
        .transaction(|transaction| {
            keys.iter().try_for_each(|(path, value)| transaction.write(path, value.as_bytes()))
        })
        .map_err(xennet_core::Error::from)?;
    writeln!(
        stdout(),
        "{who:<10} domain {domid} started; netback made {vif}, libxl wrote {backend}"
    )?;
    Ok(guest)
}

/// Runs this program as xl runs a hotplug script: by its name, its two arguments, and its environment.
fn hotplug(id: VifId, command: &str) -> Result<(), Failure> {
    let began = Instant::now();
    let status = Command::new("/proc/self/exe")
        .arg0("/etc/xen/scripts/vif-bridge")
        .args([command, "type_if=vif"])
        // Whatever the caller's environment says is about another XenStore, or another vif.
        .env_clear()
        .env("XENSTORED_PATH", STORE)
        .env("script", "/etc/xen/scripts/vif-bridge")
        .env("XENBUS_TYPE", "vif")
        .env("XENBUS_PATH", id.xenbus_path())
        .env("XENBUS_BASE_PATH", "backend")
        .env("netdev", "")
        .env("vif", format!("vif{id}"))
        // The host's own configuration and hooks know nothing of the demo.
        .env("XENNET_CONFIG", "/run/no-config")
        .env("XENNET_HOOK_DIR", "/run/no-hooks")
        .stdin(Stdio::null())
        .status()
        .map_err(|error| failed("run the hotplug script", error))?;
    let took = began.elapsed().as_secs_f64() * 1e3;
    if !status.success() {
        return Err(failed(
            "plug",
            format!("vif-bridge {command} for vif{id} ended with {status}"),
        ));
    }
    writeln!(
        stdout(),
        "xl         vif-bridge {command} type_if=vif for vif{id}: {took:.1} ms, process and all"
    )?;
    Ok(())
}

/// What netback waits for.
fn expect_connected(store: &mut XenStore, id: VifId) -> Result<(), Failure> {
    let path = format!("{}/hotplug-status", id.xenbus_path());
    match store.read(&path).map_err(xennet_core::Error::from)?.as_deref() {
        Some(b"connected") => Ok(()),
        other => Err(failed("plug", format!("{path} is {other:?} instead of connected"))),
    }
}

fn name(name: &str) -> IfName {
    name.parse().expect("a literal that is a valid interface name")
}

fn failed(doing: &str, answer: impl std::fmt::Display) -> Failure {
    Failure::Failed(format!("demo: {doing}: {answer}"))
}
