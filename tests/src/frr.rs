//! FRR on two hosts: BGP EVPN tells each what is behind the other.
#![expect(clippy::missing_panics_doc, reason = "what tests share fails as tests do: by a panic")]

use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Command;

use nix::unistd::User;
use tempfile::TempDir;

use crate::hosts::{Daemon, Hosts, open_directory, tool};

/// zebra and bgpd of one host.
#[derive(Debug)]
pub struct Frr {
    // Before their directory goes, they do.
    _daemons: [Daemon; 2],
    dir: TempDir,
}

impl Frr {
    /// Starts them on a host, with its own address and that of the other.
    pub fn start(hosts: &Hosts, n: usize, own: &str, other: &str) -> Self {
        let dir = open_directory();
        let user = User::from_name("frr").expect("a list of users");
        let user = user.expect("there is FRR's user: run tests/setup");
        let ids = (Some(user.uid.as_raw()), Some(user.gid.as_raw()));
        chown(dir.path(), ids.0, ids.1).expect("root may give away a directory");
        let bgp = format!(
            "router bgp 65000\n bgp router-id {own}\n no bgp default ipv4-unicast\n \
             neighbor {other} remote-as 65000\n neighbor {other} timers connect 1\n \
             address-family l2vpn evpn\n  neighbor {other} activate\n  advertise-all-vni\n \
             exit-address-family\n"
        );
        for (name, text) in [("zebra.conf", ""), ("bgpd.conf", bgp.as_str())] {
            fs::write(dir.path().join(name), text).expect("our own directory");
        }
        let daemon = |name| {
            let mut command = Command::new(Path::new("/usr/lib/frr").join(name));
            let file = |name: &str| dir.path().join(name);
            command.arg("--vty_socket").arg(dir.path()).arg("-z").arg(file("zserv.api"));
            command.arg("-i").arg(file(&format!("{name}.pid")));
            command.arg("-f").arg(file(&format!("{name}.conf")));
            command.args(["--log", "stdout"]);
            Daemon::start(hosts.netns(n), &file(&format!("{name}.log")), &mut command)
        };
        let zebra = daemon("zebra");
        let bgpd = daemon("bgpd");
        Self { _daemons: [bgpd, zebra], dir }
    }

    /// What `vtysh -c` says.
    pub fn show(&self, words: &str) -> String {
        tool(Command::new("vtysh").arg("--vty_socket").arg(self.dir.path()).args(["-c", words]))
    }
}
