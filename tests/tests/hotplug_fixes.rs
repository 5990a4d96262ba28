//! What the stock vif-bridge does wrong, a test per symptom: each has the name of what went wrong.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use xennet_core::types::VifId;
use xennet_core::xenstore::{Access, Permission, XenStore};
use xennet_tests::domain_store::DomainStore;
use xennet_tests::hotplug::{Dom0, Outcome, Script, State, VIF};
use xennet_tests::netns::Netns;
use xennet_tests::xenstored::ask;

const OTHER: VifId = VifId { domid: 2, devid: 0 };

#[test]
fn offline_fails_when_the_bridge_is_gone() {
    let dom0 = Dom0::new();
    dom0.boot(VIF, &[]);
    dom0.online(Script::Ours, VIF).succeeded();
    dom0.netns.ip("link delete xenbr0");
    for _ in 0..2 {
        dom0.offline(Script::Ours, VIF).succeeded();
        assert_eq!(dom0.links()["link vif1.0 up"], "false");
    }
}

#[test]
fn offline_leaves_the_vif_in_a_bridge_that_is_no_longer_the_configured_one() {
    let dom0 = Dom0::new();
    dom0.boot(VIF, &[]);
    dom0.online(Script::Ours, VIF).succeeded();
    dom0.netns.make_bridge("xenbr1");
    dom0.store.tool("xenstore-write", &["backend/vif/1/0/bridge", "xenbr1"]);
    dom0.offline(Script::Ours, VIF).succeeded();
    assert_eq!(dom0.links().get("link vif1.0 master"), None);
}

#[test]
fn offline_fails_when_the_guest_is_gone() {
    let dom0 = Dom0::new();
    dom0.boot(VIF, &[("vifname", "web")]);
    dom0.online(Script::Ours, VIF).succeeded();
    dom0.shut_down(VIF, "web");
    dom0.offline(Script::Ours, VIF).succeeded();
    dom0.store.tool("xenstore-rm", &["/local/domain/0/backend", "/local/domain/1"]);
    let before = dom0.state();
    dom0.offline(Script::Ours, VIF).succeeded();
    assert_eq!(before, dom0.state());
    assert_eq!(fs::read_dir(dom0.run_dir()).unwrap().count(), 0, "a lock is left");
}

#[test]
fn the_frontends_mtu_goes_to_a_nonsense_path_with_a_vifname() {
    let dom0 = Dom0::new();
    dom0.boot(VIF, &[("vifname", "web"), ("mtu", "9000")]);
    dom0.online(Script::Ours, VIF).succeeded();
    assert_eq!(dom0.read("/local/domain/1/device/vif/0/mtu").as_deref(), Some("9000"));
    assert!(!dom0.state().contains_key("store /local/domain/web"));
}

#[test]
fn a_frontend_key_that_names_another_guest_is_followed() {
    let dom0 = Dom0::new();
    dom0.boot(OTHER, &[]);
    dom0.boot(VIF, &[("mtu", "1400"), ("frontend", "/local/domain/2/device/vif/0")]);
    failed(&dom0.online(Script::Ours, VIF), "frontend \"/local/domain/2/device/vif/0\": expected");
    assert_eq!(dom0.read("/local/domain/2/device/vif/0/mtu").as_deref(), Some("1500"));
    assert_eq!(dom0.links().get("link vif1.0 master"), None);
}

#[test]
fn online_fails_when_the_kernel_has_not_made_the_vif_yet() {
    let dom0 = Dom0::new();
    dom0.fill_store(VIF, &[]);
    let mut command = dom0.command(Script::Ours, VIF, &["online", "type_if=vif"], &[]);
    let child = command.stderr(Stdio::piped()).spawn().unwrap();
    // Its lock is the first that one sees of it.
    wait_until("it holds its lock", || dom0.run_dir().join("vif1.0.lock").exists());
    dom0.make_vif(VIF);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(dom0.links()["link vif1.0 master"], "xenbr0");
    assert_eq!(dom0.key(VIF, "hotplug-status").as_deref(), Some("connected"));
}

#[test]
fn a_second_online_fails_or_does_it_all_again() {
    for keys in [&[][..], &[("vifname", "web")]] {
        let dom0 = Dom0::new();
        dom0.boot(VIF, keys);
        dom0.online(Script::Ours, VIF).succeeded();
        let before = dom0.state();
        let events = Watch::link(&dom0.netns);
        dom0.online(Script::Ours, VIF).succeeded();
        assert_eq!(before, dom0.state());
        let name = keys.first().map_or("vif1.0", |(_, name)| name);
        let seen = events.until_now(&dom0.netns);
        assert!(!seen.iter().any(|line| line.contains(name)), "it was touched: {seen:?}");
    }
}

#[test]
fn a_vif_that_the_stock_script_plugged_is_refused() {
    let dom0 = Dom0::new();
    dom0.boot(VIF, &[]);
    dom0.online(Script::Stock, VIF).succeeded();
    dom0.netns.ip("address add 2001:db8::1/64 dev vif1.0 nodad");
    dom0.online(Script::Ours, VIF).succeeded();
    assert_eq!(dom0.links()["link vif1.0 addresses"], "");
}

#[test]
fn arguments_and_values_are_evaluated() {
    for bait in ["$(touch DIR/bait)", "`touch DIR/bait`", "x;touch DIR/bait", "x\ntouch DIR/bait"] {
        let dom0 = Dom0::new();
        let dir = dom0.dir().display().to_string();
        let bait = bait.replace("DIR", &dir);
        dom0.boot(VIF, &[]);
        dom0.store.tool("xenstore-rm", &["backend/vif/1/0/bridge"]);
        let argument = format!("bridge={bait}");
        for (args, env) in [
            (&["online", "type_if=vif", &argument][..], &[][..]),
            (&["online", "type_if=vif"], &[("bridge", bait.as_str())]),
        ] {
            failed(&dom0.call(Script::Ours, VIF, args, env), "bridge");
        }
        for key in ["bridge", "vifname", "ip", "mtu", "mac", "rate"] {
            let path = format!("backend/vif/1/0/{key}");
            dom0.store.tool("xenstore-write", &[&path, &bait]);
            failed(&dom0.online(Script::Ours, VIF), &format!("{key} \""));
            dom0.store.tool("xenstore-rm", &[&path]);
        }
        assert!(!dom0.dir().join("bait").exists(), "{bait} was run");
        assert_eq!(dom0.links().get("link vif1.0 master"), None);
    }
}

#[test]
fn the_taps_of_a_driver_domain_are_looked_for_in_domain_0() {
    let (dom0, store) = (Dom0::new(), DomainStore::start(7));
    let mut toolstack = XenStore::connect(&store.dom0_socket()).unwrap();
    let (backend, frontend) = ("/local/domain/7/backend/vif/1/0", "/local/domain/1/device/vif/0");
    toolstack.mkdir("/local/domain/7").unwrap();
    let own = [Permission { domid: 7, access: Access::None }];
    toolstack.set_permissions("/local/domain/7", &own).unwrap();
    for (key, value) in [
        ("frontend", frontend),
        ("vifname", "web"),
        ("mtu", "1400"),
        ("bridge", "xenbr0"),
        ("type", "vif_ioemu"),
        ("hotplug-status", ""),
    ] {
        toolstack.write(&format!("{backend}/{key}"), value).unwrap();
    }
    toolstack.write(&format!("{frontend}/mtu"), "1500").unwrap();
    toolstack.set_permissions(&format!("{frontend}/mtu"), &own).unwrap();
    dom0.make_vif(VIF);
    dom0.make_tap(VIF);

    let socket = store.socket();
    let env = [("XENSTORED_PATH", socket.to_str().unwrap())];
    dom0.call(Script::Ours, VIF, &["online", "type_if=vif"], &env).succeeded();
    dom0.call(Script::Ours, VIF, &["add", "type_if=tap"], &env).succeeded();
    let links = dom0.links();
    for name in ["web", "web-emu"] {
        assert_eq!(links[&format!("link {name} master")], "xenbr0");
        assert_eq!(links[&format!("link {name} mtu")], "1400");
    }
    let tree = ask("xenstore-ls", &["-f", "/local/domain"], &store.dom0_socket());
    assert!(tree.contains(&format!("{backend}/hotplug-status = \"connected\"")), "{tree}");
    assert!(tree.contains(&format!("{frontend}/mtu = \"1400\"")), "{tree}");
    assert!(!tree.contains("/local/domain/0/backend"), "{tree}");

    dom0.call(Script::Ours, VIF, &["remove", "type_if=tap"], &env).succeeded();
    dom0.call(Script::Ours, VIF, &["offline", "type_if=vif"], &env).succeeded();
    let links = dom0.links();
    for name in ["web", "web-emu"] {
        assert_eq!(links.get(&format!("link {name} master")), None);
        assert_eq!(links[&format!("link {name} up")], "false");
    }
}

#[test]
fn the_host_gets_an_ipv6_address_on_the_vif() {
    let dom0 = Dom0::new();
    dom0.boot(VIF, &[]);
    let events = Watch::address(&dom0.netns);
    dom0.online(Script::Ours, VIF).succeeded();
    dom0.links();
    // Whoever sets it down and up later does not bring one either.
    dom0.netns.ip("link set vif1.0 down");
    dom0.netns.ip("link set vif1.0 up");
    assert_eq!(dom0.links()["link vif1.0 addresses"], "");
    let seen = events.until_now(&dom0.netns);
    assert!(!seen.iter().any(|line| line.contains("vif1.0")), "{seen:?}");
}

#[test]
fn online_fails_where_ipv6_is_disabled() {
    let dom0 = Dom0::new();
    for which in ["all", "default"] {
        // This is the calling thread's namespace.
        fs::write(format!("/proc/sys/net/ipv6/conf/{which}/disable_ipv6"), "1").unwrap();
    }
    dom0.boot(VIF, &[("ip", "10.1.0.9 fd00::9")]);
    dom0.online(Script::Ours, VIF).succeeded();
    assert_eq!(dom0.links()["link vif1.0 master"], "xenbr0");
    dom0.offline(Script::Ours, VIF).succeeded();
}

#[test]
fn online_fails_with_an_mtu_too_small_for_ipv6() {
    let dom0 = Dom0::new();
    dom0.boot(VIF, &[("mtu", "1000")]);
    for _ in 0..2 {
        dom0.online(Script::Ours, VIF).succeeded();
        let links = dom0.links();
        assert_eq!(links["link vif1.0 mtu"], "1000");
        assert_eq!(links["link vif1.0 addresses"], "");
    }
}

#[test]
fn a_vif_whose_mtu_grows_gets_ipv6_and_an_address_of_dom0() {
    let dom0 = Dom0::new();
    dom0.boot(VIF, &[]);
    for mtu in ["1000", "1500", "1200", "9000"] {
        dom0.store.tool("xenstore-write", &["backend/vif/1/0/mtu", mtu]);
        dom0.online(Script::Ours, VIF).succeeded();
        assert_eq!(dom0.links()["link vif1.0 mtu"], mtu);
        let addresses = dom0.netns.ip_json("address show dev vif1.0");
        assert_eq!(addresses[0]["addr_info"].as_array().map(Vec::len), Some(0), "{addresses}");
    }
}

#[test]
fn a_mistake_in_the_configuration_is_told_to_nobody_and_keeps_a_vif_from_leaving() {
    let dom0 = Dom0::new();
    dom0.boot(VIF, &[]);
    fs::write(dom0.dir().join("xennet.toml"), "[[bridge]]\nnam = \"xenbr0\"\n").unwrap();
    let before = dom0.state();
    assert_eq!(dom0.xennet("--dry-run hotplug online XENBUS_PATH=backend/vif/1/0").code, Some(1));
    assert_eq!(before, dom0.state(), "a dry run tells nobody");
    failed(
        &dom0.online(Script::Ours, VIF),
        "xennet.toml: line 2, column 1: unknown key nam in [[bridge]]: did you mean name?",
    );
    assert!(dom0.key(VIF, "hotplug-error").unwrap().contains("xennet.toml: line 2"));
    dom0.offline(Script::Ours, VIF).succeeded();
}

#[test]
fn a_repair_that_fails_takes_the_status_of_a_working_vif() {
    let dom0 = Dom0::new();
    dom0.boot(VIF, &[]);
    dom0.online(Script::Ours, VIF).succeeded();
    let before = dom0.links();
    dom0.store.tool("xenstore-write", &["backend/vif/1/0/bridge", "typo"]);
    failed(&dom0.online(Script::Ours, VIF), "bridge typo: no such interface");
    assert_eq!(before, dom0.links());
    assert_eq!(dom0.key(VIF, "hotplug-status").as_deref(), Some("connected"));
    assert!(dom0.key(VIF, "hotplug-error").unwrap().contains("bridge typo"));
    dom0.store.tool("xenstore-write", &["backend/vif/1/0/bridge", "xenbr0"]);
    dom0.online(Script::Ours, VIF).succeeded();
    assert_eq!(dom0.key(VIF, "hotplug-error"), None);
}

#[test]
fn a_failed_move_opens_a_port_that_was_isolated() {
    let dom0 = Dom0::new();
    dom0.boot(VIF, &[]);
    dom0.online(Script::Ours, VIF).succeeded();
    dom0.netns.make_bridge("xenbr1");
    dom0.hook("fail.hook", "exit 1");
    for (isolated, up) in [("off", "true"), ("on", "false")] {
        dom0.netns.bridge(&format!("link set dev vif1.0 isolated {isolated}"));
        dom0.netns.ip("link set dev vif1.0 up");
        let outcome = dom0.xennet("vif online 1.0 bridge=xenbr1");
        assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
        let links = dom0.links();
        assert_eq!(links["link vif1.0 master"], "xenbr0");
        assert_eq!(links["link vif1.0 up"], up, "isolated {isolated}");
    }
}

#[test]
fn a_vif_is_given_the_name_of_another_vif() {
    let dom0 = Dom0::new();
    dom0.boot(VIF, &[("vifname", "vif2.0")]);
    failed(
        &dom0.online(Script::Ours, VIF),
        "vifname \"vif2.0\": expected a name that is not another vif's own",
    );
}

#[test]
fn a_vifname_that_is_taken_cuts_another_guest_off() {
    let dom0 = Dom0::new();
    dom0.boot(OTHER, &[("vifname", "web")]);
    dom0.online(Script::Ours, OTHER).succeeded();
    dom0.boot(VIF, &[("vifname", "web")]);
    let before = dom0.state();
    let unless_told = |state: &State| {
        let mut state = state.clone();
        state.retain(|fact, _| !fact.starts_with("store /local/domain/0/backend/vif/1/0/hotplug-"));
        state
    };
    failed(&dom0.online(Script::Ours, VIF), "vifname web: a veth interface of that name exists");
    dom0.offline(Script::Ours, VIF).succeeded();
    assert_eq!(unless_told(&before), unless_told(&dom0.state()));
    assert_eq!(dom0.links()["link web up"], "true");
}

#[test]
fn a_failed_online_tells_nobody_why() {
    let dom0 = Dom0::new();
    dom0.boot(VIF, &[("bridge", "uplink")]);
    let outcome = dom0.online(Script::Ours, VIF);
    let why = "bridge uplink: is a veth interface, not a Linux bridge; correct bridge=";
    failed(&outcome, why);
    assert_eq!(outcome.stderr, format!("vif-bridge: {why}\n"));
    assert_eq!(dom0.key(VIF, "hotplug-error").as_deref(), Some(why));
    assert_eq!(dom0.key(VIF, "hotplug-status").as_deref(), Some("error"));
    // The next one that works leaves no trace of it.
    dom0.store.tool("xenstore-write", &["backend/vif/1/0/bridge", "xenbr0"]);
    dom0.online(Script::Ours, VIF).succeeded();
    assert_eq!(dom0.key(VIF, "hotplug-error"), None);
    assert_eq!(dom0.key(VIF, "hotplug-status").as_deref(), Some("connected"));
}

#[test]
fn only_one_of_its_names_works() {
    let dom0 = Dom0::new();
    dom0.boot(VIF, &[]);
    dom0.online(Script::OursByItsOwnName, VIF).succeeded();
    assert_eq!(dom0.key(VIF, "hotplug-status").as_deref(), Some("connected"));
    dom0.offline(Script::OursByItsOwnName, VIF).succeeded();
    assert_eq!(dom0.links()["link vif1.0 up"], "false");
}

#[test]
fn syslog_is_told_nothing_or_waited_for() {
    let dom0 = Dom0::new();
    dom0.boot(VIF, &[]);
    let path = dom0.dir().join("syslog");
    let syslog = UnixDatagram::bind(&path).unwrap();
    let call = |command: &str| {
        // A private /dev, so that the machine's own syslog hears nothing of it.
        let script = dom0.command(Script::Ours, VIF, &[], &[]);
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "--propagation", "private", "--", "sh", "-c"]);
        unshare.arg(
            "mount -t tmpfs tmpfs /dev && ln -s \"$1\" /dev/log && exec \"$0\" \"$2\" type_if=vif",
        );
        unshare.arg(script.get_program()).arg(&path).arg(command).env_clear();
        unshare.envs(script.get_envs().filter_map(|(name, value)| Some((name, value?))));
        assert!(unshare.status().unwrap().success(), "{command}");
    };
    let mut line = [0; 512];
    call("online");
    let length = syslog.recv(&mut line).unwrap();
    let text = String::from_utf8_lossy(&line[..length]).into_owned();
    assert!(text.starts_with("<30>vif-bridge: vif 1.0 online: "), "{text}");

    let flood = UnixDatagram::unbound().unwrap();
    flood.set_nonblocking(true).unwrap();
    while flood.send_to(b"nobody reads", &path).is_ok() {}
    call("offline");
    assert_eq!(dom0.links()["link vif1.0 up"], "false");
}

fn failed(outcome: &Outcome, why: &str) {
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    assert!(outcome.stderr.contains(why), "{}", outcome.stderr);
    assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
}

fn wait_until(what: &str, mut there: impl FnMut() -> bool) {
    let began = Instant::now();
    while !there() {
        assert!(began.elapsed() < Duration::from_mins(1), "not until now: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// `ip monitor`, listening from the moment when this exists.
struct Watch {
    monitor: Child,
    lines: Receiver<String>,
}

impl Watch {
    fn address(netns: &Netns) -> Self {
        Self::start(netns, "address")
    }

    fn link(netns: &Netns) -> Self {
        Self::start(netns, "link")
    }

    fn start(netns: &Netns, what: &str) -> Self {
        let mut monitor = Command::new("ip")
            .args(["-oneline", "monitor", what, "address"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(monitor.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let this = Self { monitor, lines };
        wait_until("ip monitor hears something", || {
            netns.ip("address add 192.0.2.1/32 dev lo");
            netns.ip("address delete 192.0.2.1/32 dev lo");
            this.lines.try_iter().any(|line| line.contains("192.0.2.1"))
        });
        this
    }

    /// What happened meanwhile.
    fn until_now(self, netns: &Netns) -> Vec<String> {
        netns.ip("address add 192.0.2.99/32 dev lo");
        let mut seen = Vec::new();
        while !seen.last().is_some_and(|line: &String| line.contains("192.0.2.99")) {
            seen.push(self.lines.recv_timeout(Duration::from_mins(1)).unwrap());
        }
        seen
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.monitor.kill();
        let _ = self.monitor.wait();
    }
}
