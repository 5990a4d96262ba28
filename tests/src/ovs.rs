//! A real Open vSwitch of one's own, with its datapath in user space.
#![expect(clippy::missing_panics_doc, reason = "what tests share fails as tests do: by a panic")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::xenstored::unpacked;

/// `ovsdb-server` and `ovs-vswitchd`, in the network namespace of the thread that started them. Dropping it kills them.
#[derive(Debug)]
pub struct OpenVswitch {
    dir: PathBuf,
    database: Child,
    switch: Child,
}

impl OpenVswitch {
    /// Starts both in a directory that is made for them, and makes these bridges.
    pub fn start(dir: &Path, bridges: &[&str]) -> Self {
        fs::create_dir_all(dir).expect("a directory of our own");
        let here = dir.display();
        let schema = unpacked("openvswitch-switch/usr/share/openvswitch/vswitch.ovsschema");
        let mut create = Command::new(unpacked("openvswitch-common/usr/bin/ovsdb-tool"));
        create.arg("create").arg(dir.join("conf.db")).arg(schema);
        succeed(&mut create);
        let database = daemon(
            "openvswitch-common/usr/sbin/ovsdb-server",
            dir,
            &[format!("{here}/conf.db"), format!("--remote=punix:{here}/db.sock")],
            "ovsdb",
        );
        await_file(&dir.join("db.sock"));
        // The socket is there a moment before anybody listens at it.
        succeed(vsctl(dir).args(["--retry", "--timeout=60", "--no-wait", "init"]));
        let switch = daemon(
            "openvswitch-switch/usr/lib/openvswitch-switch/ovs-vswitchd",
            dir,
            &[format!("unix:{here}/db.sock")],
            "vswitchd",
        );
        let this = Self { dir: dir.to_owned(), database, switch };
        for bridge in bridges {
            let words = format!("add-br {bridge} -- set bridge {bridge} datapath_type=netdev");
            this.vsctl(&words.split_whitespace().collect::<Vec<_>>());
        }
        this
    }

    /// What `ovs-vsctl` prints.
    pub fn vsctl(&self, words: &[&str]) -> String {
        succeed(vsctl(&self.dir).arg("--timeout=60").args(words))
    }

    /// What `ovs-appctl` has `ovs-vswitchd` say.
    pub fn appctl(&self, words: &[&str]) -> String {
        let mut command = Command::new(unpacked("openvswitch-common/usr/bin/ovs-appctl"));
        succeed(command.arg("-t").arg(self.dir.join("vswitchd.ctl")).args(words))
    }

    /// One column of the row of that name, as `ovs-vsctl` prints it.
    pub fn get(&self, table: &str, name: &str, column: &str) -> String {
        self.vsctl(&["get", table, name, column]).trim().to_owned()
    }

    /// The names of a bridge's ports.
    pub fn ports(&self, bridge: &str) -> Vec<String> {
        self.vsctl(&["list-ports", bridge]).lines().map(str::to_owned).collect()
    }

    /// Every column that a person sets of a port and its interface, but those that are empty.
    pub fn port(&self, name: &str) -> BTreeMap<String, Value> {
        let mut columns = BTreeMap::new();
        for (table, own) in [
            (
                "Port",
                "tag,trunks,vlan_mode,protected,qos,other_config,external_ids,fake_bridge,mac",
            ),
            (
                "Interface",
                "type,options,mtu_request,ofport_request,external_ids,other_config,ingress_policing_rate,\
                 ingress_policing_burst",
            ),
        ] {
            let own = own.replace(' ', "");
            let text =
                self.vsctl(&["--format=json", &format!("--columns={own}"), "list", table, name]);
            let value: Value = serde_json::from_str(&text).expect("it prints JSON");
            let list =
                |key: &str| value.get(key).and_then(Value::as_array).expect("a table").clone();
            let row = list("data").remove(0);
            let row = row.as_array().expect("a row").clone();
            for (heading, value) in list("headings").iter().zip(row) {
                let empty = ["[\"set\",[]]", "[\"map\",[]]", "\"\""];
                if !empty.contains(&value.to_string().as_str()) {
                    let heading = heading.as_str().expect("a name");
                    columns.insert(format!("{table} {heading}"), value);
                }
            }
        }
        columns
    }

    /// The socket of the database.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("db.sock")
    }

    /// The process of `ovs-vswitchd`.
    pub fn switch_pid(&self) -> u32 {
        self.switch.id()
    }

    /// Has `ovs-vswitchd` stand still.
    pub fn halt(&self) {
        signal(&self.switch, Signal::SIGSTOP);
    }

    /// Has it go on.
    pub fn resume(&self) {
        signal(&self.switch, Signal::SIGCONT);
    }

    /// Ends the database, as if it were not installed.
    pub fn end_database(&mut self) {
        let _ = self.database.kill();
        let _ = self.database.wait();
        fs::remove_file(self.socket()).expect("its socket stays behind");
    }
}

impl Drop for OpenVswitch {
    fn drop(&mut self) {
        for child in [&mut self.switch, &mut self.database] {
            // It fails only when it is dead already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Where `ovs-vsctl` is.
pub fn tools() -> PathBuf {
    unpacked("openvswitch-switch/usr/bin")
}

fn vsctl(dir: &Path) -> Command {
    let mut command = Command::new(tools().join("ovs-vsctl"));
    command.arg(format!("--db=unix:{}/db.sock", dir.display()));
    command
}

fn succeed(command: &mut Command) -> String {
    let output: Output =
        command.output().unwrap_or_else(|error| panic!("{command:?}: {error}: run tests/setup"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

fn daemon(path: &str, dir: &Path, args: &[String], name: &str) -> Child {
    let file = |kind: &str| dir.join(format!("{name}.{kind}")).display().to_string();
    let stderr = fs::File::create(file("stderr")).expect("a file of our own");
    Command::new(unpacked(path))
        .args(args)
        .arg(format!("--unixctl={}", file("ctl")))
        .arg(format!("--log-file={}", file("log")))
        .arg("-vconsole:off")
        .env("OVS_RUNDIR", dir)
        .env("OVS_LOGDIR", dir)
        .env("OVS_DBDIR", dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn()
        .unwrap_or_else(|error| panic!("{path}: {error}: run tests/setup"))
}

fn await_file(path: &Path) {
    let began = Instant::now();
    while !path.exists() {
        assert!(began.elapsed() < Duration::from_mins(1), "{} does not appear", path.display());
        thread::sleep(Duration::from_millis(2));
    }
}

fn signal(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).expect("a process id");
    kill(Pid::from_raw(pid), signal).expect("our own child");
}
