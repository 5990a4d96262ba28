//! Plugs and unplugs.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use xennet_tests::hotplug::{Dom0, Script, VIF};
use xennet_tests::ovs::OpenVswitch;

use super::Make;
use super::inject::{Class, Run, Scenario};

type Facts = BTreeSet<String>;

/// A plug or an unplug by one of the scripts.
struct Plug {
    dom0: Dom0,
    ovs: Option<OpenVswitch>,
    how: &'static How,
    online: bool,
    /// What there is after a plain `online`, after a plain `offline`, and before any.
    attached: Facts,
    detached: Facts,
    before: Facts,
}

/// What is plugged.
struct How {
    script: Script,
    keys: &'static [(&'static str, &'static str)],
    toml: &'static str,
    /// Whether each run begins without the guard's table.
    first: bool,
    tap: bool,
    ovs: bool,
}

const PLAIN: How =
    How { script: Script::Ours, keys: &[], toml: "", first: false, tap: false, ovs: false };
const GUARD: &[(&str, &str)] = &[("ip", "10.0.0.5 2001:db8::5")];
static BRIDGE: How = PLAIN;
static NAMED: How = How { keys: &[("vifname", "web"), ("mtu", "1400")], ..PLAIN };
static GUARDED: How = How { keys: GUARD, ..PLAIN };
static FIRST: How = How { keys: GUARD, first: true, ..PLAIN };
static ROUTE: How =
    How { script: Script::OursRoute, keys: &[("ip", "198.51.100.9 2001:db8:9::9")], ..PLAIN };
static NAT: How = How {
    script: Script::OursNat,
    toml: "[[nat]]\nname = \"n\"\nsubnets = [\"10.7.0.1/24\"]\ndhcp = true\n",
    ..PLAIN
};
static TAP: How = How { tap: true, ..PLAIN };
static SWITCH: How =
    How { script: Script::OursOpenVswitch, keys: &[("bridge", "br0.10")], ovs: true, ..PLAIN };

macro_rules! scenario {
    ($how:ident, $online:literal) => {
        || Box::new(Plug::new(&$how, $online))
    };
}

pub(crate) const SCENARIOS: [(&str, Make); 15] = [
    ("online, bridge", scenario!(BRIDGE, true)),
    ("offline, bridge", scenario!(BRIDGE, false)),
    ("online, vifname and mtu", scenario!(NAMED, true)),
    ("offline, vifname and mtu", scenario!(NAMED, false)),
    ("online, guard", scenario!(GUARDED, true)),
    ("offline, guard", scenario!(GUARDED, false)),
    ("online, first guard", scenario!(FIRST, true)),
    ("online, route", scenario!(ROUTE, true)),
    ("offline, route", scenario!(ROUTE, false)),
    ("online, nat", scenario!(NAT, true)),
    ("offline, nat", scenario!(NAT, false)),
    ("online, tap", scenario!(TAP, true)),
    ("offline, tap", scenario!(TAP, false)),
    ("online, openvswitch", scenario!(SWITCH, true)),
    ("offline, openvswitch", scenario!(SWITCH, false)),
];

impl Plug {
    fn new(how: &'static How, online: bool) -> Self {
        let dom0 = Dom0::new();
        dom0.netns.ip("link add eth0 type veth peer name far0");
        dom0.netns.ip("link set far0 up");
        dom0.netns.ip("link set eth0 up");
        dom0.netns.ip("address add 192.0.2.2/24 dev eth0");
        dom0.netns.ip("route add default via 192.0.2.1 dev eth0");
        fs::write(dom0.dir().join("xennet.toml"), how.toml).unwrap();
        let ovs = how.ovs.then(|| OpenVswitch::start(&dom0.ovs_dir(), &["br0"]));
        dom0.without_dry_run();
        let mut plug = Self {
            dom0,
            ovs,
            how,
            online,
            attached: Facts::new(),
            detached: Facts::new(),
            before: Facts::new(),
        };
        // Once, so that the tables of the guard are there.
        plug.boot();
        plug.call(true);
        plug.call(false);
        plug.boot();
        plug.before = plug.facts();
        plug.call(true);
        plug.attached = plug.facts();
        plug.call(false);
        plug.detached = plug.facts();
        plug
    }

    /// The vif as netback and libxl make it.
    fn boot(&self) {
        let lines = [
            "link delete vif1.0",
            "link delete web",
            "link delete vif1.0-emu",
            "link add vif1.0 address fe:ff:ff:ff:ff:ff type veth peer name guest1.0",
            "link set guest1.0 address 00:16:3e:01:02:03 addrgenmode none up",
            "neighbour delete proxy 198.51.100.9 dev eth0",
            "neighbour delete proxy 2001:db8:9::9 dev eth0",
        ];
        let mut ip = Command::new("ip")
            .args(["-force", "-batch", "-"])
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        ip.stdin.take().unwrap().write_all(lines.join("\n").as_bytes()).unwrap();
        ip.wait().unwrap();
        if self.how.tap {
            self.dom0.make_tap(VIF);
        }
        if self.how.first {
            self.dom0.netns.nft("flush ruleset");
        }
        let _ = fs::remove_dir_all(self.dom0.run_dir());
        let backend = self.dom0.backend(VIF);
        self.dom0.store.tool("xenstore-write", &[&backend, ""]);
        self.dom0.store.tool("xenstore-rm", &[&backend]);
        let mut keys = self.how.keys.to_vec();
        if self.how.tap {
            keys.push(("hotplug-status", "connected"));
        }
        self.dom0.fill_store(VIF, &keys);
    }

    fn command(&self, online: bool) -> Command {
        let args = match (self.how.tap, online) {
            (false, true) => ["online", "type_if=vif"],
            (false, false) => ["offline", "type_if=vif"],
            (true, true) => ["add", "type_if=tap"],
            (true, false) => ["remove", "type_if=tap"],
        };
        self.dom0.command(self.how.script, VIF, &args, &[])
    }

    fn call(&self, online: bool) {
        let output = self.command(online).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "a plain call (online: {online}): {said}");
    }

    /// All that a vif has on this host, a line each; but not what XenStore says of its state.
    fn facts(&self) -> Facts {
        let mut facts = Facts::new();
        let netns = &self.dom0.netns;
        for link in netns.ip_json("address show").as_array().into_iter().flatten() {
            let name = link["ifname"].as_str().unwrap_or_default();
            if !["vif1.0", "web", "vif1.0-emu"].contains(&name) {
                continue;
            }
            let up = link["flags"].as_array().is_some_and(|flags| flags.contains(&"UP".into()));
            let gen_mode = &link["inet6_addr_gen_mode"];
            let (master, mtu) = (&link["master"], &link["mtu"]);
            facts.insert(format!("link {name} up {up}"));
            facts.insert(format!("link {name} master {master} mtu {mtu} addrgenmode {gen_mode}"));
            for address in link["addr_info"].as_array().into_iter().flatten() {
                facts.insert(format!("address {} dev {name}", address["local"]));
            }
        }
        if self.how.script != Script::Ours {
            for words in ["-4 route show table main", "-6 route show table main"] {
                for route in netns.ip_json(words).as_array().into_iter().flatten() {
                    let dev = route["dev"].as_str().unwrap_or_default();
                    if dev.starts_with("vif") {
                        facts.insert(format!("route {} dev {dev}", route["dst"]));
                    }
                }
            }
            for entry in netns.ip_json("neighbour show proxy").as_array().into_iter().flatten() {
                facts.insert(format!("proxy {} dev {}", entry["dst"], entry["dev"]));
            }
        }
        let texts =
            ["\"vif1.0", "\"web\"", "10.0.0.5", "2001:db8::5", "198.51.100.9", "2001:db8:9::9"];
        for line in netns.nft_text("-s list ruleset").lines() {
            if texts.iter().any(|text| line.contains(text)) {
                facts.insert(format!("nft {}", line.trim()));
            }
        }
        if let Some(ovs) = &self.ovs {
            facts.extend(ovs.ports("br0").iter().map(|port| format!("port {port}")));
        }
        let files = fs::read_dir(self.dom0.run_dir()).into_iter().flatten().flatten();
        let hosts = fs::read_dir(self.dom0.run_dir().join("dhcp-hosts")).into_iter().flatten();
        for file in files.chain(hosts.flatten()) {
            // The directory is all vifs'.
            if file.file_name() != "dhcp-hosts" {
                facts.insert(format!("file {}", file.file_name().to_string_lossy()));
            }
        }
        facts
    }

    fn key(&self, key: &str) -> Option<String> {
        self.dom0.key(VIF, key)
    }

    fn judge_online(&self, run: &Run, facts: &Facts) -> Result<(), String> {
        let status = self.key("hotplug-status").unwrap_or_default();
        match run.code() {
            Some(0) => {
                differ(
                    run,
                    "exit 0, but not attached",
                    &without_locks(&self.attached),
                    &without_locks(facts),
                )?;
                if status != "connected" {
                    return Err(run.violation(format!("exit 0, but hotplug-status is {status:?}")));
                }
                Ok(())
            }
            Some(1) => {
                if !(usize::from(!run.is_mute())..=1).contains(&run.stderr().lines().count()) {
                    return Err(run.violation("not one line"));
                }
                // Where one answer of XenStore after the other is lost, on each new connection, nothing can be written.
                let no_store = run.class == Class::Several && run.stderr().contains("xenstore");
                if status == "connected" && !self.how.tap && !no_store {
                    return Err(run.violation("exit 1, but hotplug-status is connected"));
                }
                let error = self.key("hotplug-error").unwrap_or_default();
                if run.class == Class::Errors
                    && (error.is_empty() || !run.stderr().contains(error.trim()))
                {
                    return Err(run.violation(format!("hotplug-error is {error:?}")));
                }
                if run.class == Class::Errors {
                    return differ(run, "exit 1, but changed", &self.before, &without_locks(facts));
                }
                self.is_safe(run, facts)
            }
            Some(_) => Err(run.violation("an unknown exit status")),
            None => self.is_safe(run, facts),
        }
    }

    /// A port that passes frames has its whole guard.
    fn is_safe(&self, run: &Run, facts: &Facts) -> Result<(), String> {
        let up = facts.iter().any(|fact| fact.ends_with(" up true"));
        let port = facts.iter().any(|fact| fact.contains("master \""))
            || !facts.iter().any(|fact| fact.contains("master"));
        let guard = |facts: &Facts| {
            facts.iter().filter(|fact| fact.starts_with("nft ")).cloned().collect::<Facts>()
        };
        if up && port {
            return differ(
                run,
                "passes frames without its whole guard",
                &guard(&self.attached),
                &guard(facts),
            );
        }
        Ok(())
    }

    fn judge_offline(&self, run: &Run, facts: &Facts) -> Result<(), String> {
        match run.code() {
            Some(0) if run.stderr().is_empty() => {
                // A lock file that cannot be removed locks nothing.
                let left = without_locks(facts);
                differ(run, "exit 0 without a warning, but not detached", &self.detached, &left)
            }
            Some(0) if !run.stderr().contains("`xennet vif offline") => {
                Err(run.violation("a warning without a command"))
            }
            Some(0 | 1) if run.stderr().is_empty() && !run.is_mute() => {
                Err(run.violation("exit 1 without a word"))
            }
            Some(0 | 1) | None => self.is_safe(run, facts),
            Some(_) => Err(run.violation("an unknown exit status")),
        }
    }
}

impl Scenario for Plug {
    fn prepare(&self) -> Command {
        if self.online && !self.how.first {
            self.call(false);
        }
        self.boot();
        if !self.online {
            self.call(true);
        }
        self.command(self.online)
    }

    fn judge(&self, run: &Run) -> Result<(), String> {
        let facts = self.facts();
        if self.online {
            self.judge_online(run, &facts)?;
            if facts == self.attached {
                return Ok(());
            }
            self.call(true);
            let now = without_locks(&self.facts());
            differ(run, "after a plain online", &without_locks(&self.attached), &now)?;
            let status = self.key("hotplug-status");
            if status.as_deref() != Some("connected") {
                return Err(run.violation(format!("after a plain online: {status:?}")));
            }
        } else {
            self.judge_offline(run, &facts)?;
            if facts == self.detached {
                return Ok(());
            }
        }
        self.call(false);
        // The lock of the guard's table locks nothing once its holder is dead, and goes with the next one.
        let left = self.facts().into_iter().filter(|fact| fact != "file guard.lock").collect();
        differ(run, "after a plain offline", &self.detached, &left)
    }
}

/// A lock that could not be taken is not ours to remove.
fn without_locks(facts: &Facts) -> Facts {
    let is_lock = |fact: &String| fact.rsplit_once('.').is_some_and(|(_, suffix)| suffix == "lock");
    facts.iter().filter(|fact| !is_lock(fact)).cloned().collect()
}

fn differ(run: &Run, what: &str, wanted: &Facts, facts: &Facts) -> Result<(), String> {
    let missing: Vec<_> = wanted.difference(facts).collect();
    let more: Vec<_> = facts.difference(wanted).collect();
    if missing.is_empty() && more.is_empty() {
        return Ok(());
    }
    Err(run.violation(format!("{what}: missing {missing:?}, left {more:?}")))
}
