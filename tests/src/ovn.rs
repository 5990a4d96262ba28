//! OVN on two hosts: its databases in the middle, and Open vSwitch in user space on each.
#![expect(clippy::indexing_slicing, reason = "what tests share fails as tests do: by a panic")]

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::hosts::{Daemon, Hosts, eventually, open_directory, tool};

/// All of it. Its hosts are called `host1` and `host2`, and `br-int` is where guests belong.
#[derive(Debug)]
pub struct Ovn {
    daemons: Vec<Daemon>,
    central: TempDir,
    hosts: [TempDir; 2],
}

const SCHEMAS: &str = "/usr/share/ovn";

impl Ovn {
    /// Starts it; the hosts' addresses between them are 192.0.2.11 and 192.0.2.12.
    pub fn start(hosts: &Hosts) -> Self {
        let mut ovn = Self {
            daemons: Vec::new(),
            central: open_directory(),
            hosts: [open_directory(), open_directory()],
        };
        for db in ["nb", "sb"] {
            let dir = ovn.central.path().to_owned();
            ovn.database(hosts, 0, &dir, db, &format!("{SCHEMAS}/ovn-{db}.ovsschema"));
        }
        let mut northd = Command::new("ovn-northd");
        northd.arg(ovn.remote("--ovnnb-db=", "nb")).arg(ovn.remote("--ovnsb-db=", "sb"));
        let dir = ovn.central.path().to_owned();
        ovn.daemon(hosts, 0, &dir, "northd", &mut northd);
        for n in 0..2 {
            ovn.host(hosts, n);
        }
        ovn
    }

    fn host(&mut self, hosts: &Hosts, n: usize) {
        let (name, ip) = (format!("host{}", n + 1), format!("192.0.2.1{}", n + 1));
        let dir = self.hosts[n].path().to_owned();
        self.database(hosts, n, &dir, "db", "/usr/share/openvswitch/vswitch.ovsschema");
        self.vsctl(n, "--no-wait init");
        let db = format!("unix:{}/db.sock", dir.display());
        self.daemon(hosts, n, &dir, "vswitchd", Command::new("ovs-vswitchd").arg(&db));
        let ids = [
            format!("system-id={name}"),
            self.remote("ovn-remote=", "sb"),
            "ovn-encap-type=geneve".into(),
            format!("ovn-encap-ip={ip}"),
            "ovn-bridge-datapath-type=netdev".into(),
        ];
        for id in ids {
            self.vsctl(n, &format!("--no-wait set Open_vSwitch . external_ids:{id}"));
        }
        self.vsctl(n, "add-br br-int -- set bridge br-int datapath_type=netdev fail-mode=secure");
        self.vsctl(n, "add-br br-ex -- set bridge br-ex datapath_type=netdev");
        self.vsctl(n, "add-port br-ex under");
        let netns = &hosts.at(n).netns;
        netns.ip(&format!("address add {ip}/24 dev br-ex"));
        netns.ip("link set br-ex up");
        self.daemon(hosts, n, &dir, "controller", Command::new("ovn-controller").arg(&db));
    }

    /// An `ovsdb-server` with an empty database of that schema.
    fn database(&mut self, hosts: &Hosts, n: usize, dir: &Path, name: &str, schema: &str) {
        let file = dir.join(format!("{name}.db"));
        tool(Command::new("ovsdb-tool").arg("create").arg(&file).arg(schema));
        let socket = dir.join(format!("{name}.sock"));
        let mut server = Command::new("ovsdb-server");
        server.arg(&file).arg(format!("--remote=punix:{}", socket.display()));
        self.daemon(hosts, n, dir, name, &mut server);
        eventually(&format!("{}", socket.display()), || socket.exists());
    }

    fn daemon(&mut self, hosts: &Hosts, n: usize, dir: &Path, name: &str, command: &mut Command) {
        command.env("OVS_RUNDIR", dir).env("OVN_RUNDIR", dir).env("OVS_LOGDIR", dir);
        let log = dir.join(format!("{name}.log"));
        self.daemons.insert(0, Daemon::start(hosts.netns(n), &log, command));
    }

    fn remote(&self, before: &str, db: &str) -> String {
        format!("{before}unix:{}/{db}.sock", self.central.path().display())
    }

    /// Where a host's Open vSwitch has its sockets.
    pub fn dir(&self, n: usize) -> PathBuf {
        self.hosts[n].path().to_owned()
    }

    /// Runs `ovs-vsctl` with a host's database.
    pub fn vsctl(&self, n: usize, words: &str) -> String {
        let db = format!("--db=unix:{}/db.sock", self.hosts[n].path().display());
        tool(Command::new("ovs-vsctl").arg("--timeout=60").arg(db).args(words.split_whitespace()))
    }

    /// Runs `ovn-nbctl`; words are separated by a single `|` so that an address can hold a space.
    pub fn nbctl(&self, words: &str) -> String {
        let db = self.remote("--db=", "nb");
        tool(Command::new("ovn-nbctl").arg("--timeout=60").arg(db).args(words.split('|')))
    }

    /// What the southbound database has in these columns of a port.
    pub fn binding(&self, port: &str, columns: &str) -> String {
        let db = self.remote("--db=", "sb");
        let columns = format!("--columns={columns}");
        tool(
            Command::new("ovn-sbctl")
                .args([&db, "--timeout=60", "--bare", &columns, "find", "Port_Binding"])
                .arg(format!("logical_port={port}")),
        )
    }

    /// The host whose chassis has that identity in the southbound database.
    pub fn chassis(&self, host: &str) -> String {
        let db = self.remote("--db=", "sb");
        let name = format!("name={host}");
        let words = [&db, "--timeout=60", "--bare", "--columns=_uuid", "find", "Chassis", &name];
        tool(Command::new("ovn-sbctl").args(words)).trim().to_owned()
    }
}
