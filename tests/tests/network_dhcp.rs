//! Guests that are told their addresses: the real dnsmasq, by the configuration that xennet prints, and real clients.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use xennet_core::types::VifId;
use xennet_tests::hotplug::Script;
use xennet_tests::netns::within;
use xennet_tests::world::{World, ip};

const ONE: VifId = VifId { domid: 1, devid: 0 };
const OTHER: VifId = VifId { domid: 2, devid: 0 };

const ON_A_BRIDGE: &str = "[[nat]]\nname = \"n\"\nbridge = \"xennat0\"\nsubnets = [\"10.7.0.1/24\", \"fd00:7::1/64\"]\n\
    dhcp = true\nforward = [{ protocol = \"tcp\", port = 80, to = \"10.7.0.2\" }]\n[vif]\nmtu = 1400\n";

/// A dnsmasq of the test's own, by the configuration that xennet prints.
struct Dnsmasq {
    child: Child,
}

impl Dnsmasq {
    fn start(world: &World) -> Self {
        let printed = world.dom0.xennet("network dnsmasq");
        printed.succeeded();
        let file = world.dom0.dir().join("dnsmasq.conf");
        fs::write(&file, printed.stdout).unwrap();
        // Whoever it runs as by itself may not enter the test's own directory.
        let child = Command::new("dnsmasq")
            .args(["--keep-in-foreground", "--user=root", "--port=0", "--log-dhcp"])
            .arg(format!("--conf-file={}", file.display()))
            .arg(format!("--log-facility={}", world.dom0.dir().join("dnsmasq.log").display()))
            .stdin(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("dnsmasq (dnsmasq-base): {error}: run tests/setup"));
        let dnsmasq = Self { child };
        eventually("dnsmasq has read what there is", || {
            world.dom0.run_dir().join("dnsmasq.pid").exists()
        });
        dnsmasq
    }
}

impl Drop for Dnsmasq {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn eventually(what: &str, is: impl Fn() -> bool) {
    let began = Instant::now();
    while !is() {
        assert!(began.elapsed() < Duration::from_secs(30), "never: {what}");
        sleep(Duration::from_millis(20));
    }
}

/// What the guest is told: its address, the network's mask, the router and the MTU.
fn lease(world: &World, guest: &File, link: &str) -> Option<String> {
    let script = world.dom0.dir().join("udhcpc");
    let text =
        "#!/bin/sh\nif [ \"$1\" = bound ]; then echo \"$ip/$mask by $router mtu $mtu\"; fi\n";
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    within(guest, || {
        let words = format!("udhcpc -i {link} -n -q -f -O mtu -t 5 -T 1 -s {}", script.display());
        let told = Command::new("busybox").args(words.split_whitespace()).output().unwrap();
        let told = String::from_utf8(told.stdout).unwrap();
        told.lines().next_back().filter(|_| !told.is_empty()).map(str::to_owned)
    })
}

fn plug(world: &World, id: VifId, mac: u8, keys: &[(&str, &str)]) {
    let mac = format!("00:16:3e:00:00:{mac:02x}");
    let keys: Vec<_> = [("mac", mac.as_str())].into_iter().chain(keys.iter().copied()).collect();
    world.dom0.boot(id, &keys);
    world.dom0.online(Script::OursNat, id).succeeded();
}

fn unplug(world: &World, id: VifId) {
    world.dom0.shut_down(id, &format!("vif{id}"));
    world.dom0.offline(Script::OursNat, id).succeeded();
    world.dom0.forget(id);
}

fn hosts(world: &World) -> Vec<String> {
    let files = fs::read_dir(world.dom0.run_dir().join("dhcp-hosts")).unwrap();
    let mut all: Vec<String> = files
        .map(|file| {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            format!("{name} {}", fs::read_to_string(path).unwrap())
        })
        .collect();
    all.sort();
    all
}

/// Asks for an IPv6 address as DHCPv6 has it (RFC 8415), until one comes.
fn lease6(guest: &File, link: &str, mac: u8) -> String {
    use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};
    within(guest, || {
        let text = ip_here(&format!("-o link show dev {link}"));
        let index: u32 = text.split(':').next().unwrap().trim().parse().unwrap();
        let socket = UdpSocket::bind("[::]:546").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        // Solicit: who asks (its Ethernet address), what for (IA_NA number 1), and that it takes the first offer.
        let mut message = vec![1, 0, 0, 7, 0, 1, 0, 10, 0, 3, 0, 1, 0x00, 0x16, 0x3e, 0, 0, mac];
        message.extend([0, 3, 0, 12, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 14, 0, 0]);
        let to = SocketAddrV6::new("ff02::1:2".parse().unwrap(), 547, 0, index);
        let began = Instant::now();
        loop {
            socket.send_to(&message, to).unwrap();
            let mut answer = [0; 1500];
            if let Ok(length) = socket.recv(&mut answer) {
                // An IAADDR is option 5, with 24 bytes.
                let bytes = answer.get(..length).unwrap();
                if let Some(at) = bytes.windows(4).position(|head| head == [0, 5, 0, 24]) {
                    let octets: [u8; 16] = bytes.get(at + 4..at + 20).unwrap().try_into().unwrap();
                    return Ipv6Addr::from(octets).to_string();
                }
            }
            assert!(began.elapsed() < Duration::from_secs(30), "nobody answers");
        }
    })
}

fn ip_here(words: &str) -> String {
    let output = Command::new("ip").args(words.split_whitespace()).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn guests_are_told(config: &str) {
    let world = World::new();
    world.configure(config);
    world.start().succeeded();
    let _dnsmasq = Dnsmasq::start(&world);
    plug(&world, ONE, 1, &[]);
    plug(&world, OTHER, 2, &[("ip", "10.7.0.77 fd00:7::77")]);
    // 10.7.0.1 is the host's, and a port of it leads to 10.7.0.2.
    assert_eq!(
        hosts(&world),
        [
            "vif1.0 00:16:3e:00:00:01,10.7.0.3,[fd00:7::2]\n",
            "vif2.0 00:16:3e:00:00:02,10.7.0.77,[fd00:7::77]\n"
        ]
    );
    let (one, other) = (world.move_in(ONE), world.move_in(OTHER));
    for (guest, name, mac, v4, v6) in [
        (&one, "guest1.0", 1, "10.7.0.3", "fd00:7::2"),
        (&other, "guest2.0", 2, "10.7.0.77", "fd00:7::77"),
    ] {
        let told = lease(&world, guest, name);
        assert_eq!(told.as_deref(), Some(format!("{v4}/24 by 10.7.0.1 mtu 1400").as_str()));
        let own = format!("address add fe80::216:3eff:fe00:{mac:x}/64 dev {name} nodad");
        ip(guest, &own);
        assert_eq!(lease6(guest, name, mac), v6);
    }
    // Plugged in again, it has what it had; and nothing is left to do.
    world.dom0.online(Script::OursNat, ONE).succeeded();
    let plan = world.dom0.xennet("vif online 1.0 --mode nat --dry-run");
    assert_eq!((plan.code, plan.stdout.as_str()), (Some(0), ""), "{plan:?}");

    // Its interface, and all that XenStore knew of it, are gone: so is what dnsmasq was told.
    unplug(&world, OTHER);
    assert_eq!(hosts(&world).len(), 1);
    let third = VifId { domid: 3, devid: 0 };
    plug(&world, third, 3, &[("ip", "10.7.0.78")]);
    let guest = world.move_in(third);
    let told = lease(&world, &guest, "guest3.0");
    assert!(told.is_some_and(|told| told.starts_with("10.7.0.78/24")));
    // Somebody else's address is nobody's: not even if another file says so, for its first owner had it.
    unplug(&world, third);
    assert_eq!(lease(&world, &guest_again(&world, third), "guest3.0"), None, "it is forgotten");
    unplug(&world, ONE);
    assert_eq!(hosts(&world), [""; 0]);
}

/// The same guest as before, on a vif that nobody plugged in by xennet.
fn guest_again(world: &World, id: VifId) -> File {
    world.dom0.make_vif(id);
    if world.dom0.netns.try_ip("link show dev xennat0") {
        world.dom0.netns.ip(&format!("link set vif{id} master xennat0"));
    } else {
        world.dom0.netns.ip(&format!("address add 10.7.0.1/32 dev vif{id}"));
    }
    world.dom0.netns.ip(&format!("link set vif{id} up"));
    let guest = world.move_in(id);
    world.dom0.fill_store(id, &[]);
    guest
}

#[test]
fn what_is_written_can_be_read_by_dnsmasq_and_goes_whatever_is_configured() {
    for umask in [0o077, 0] {
        let world = World::new();
        world.configure(ON_A_BRIDGE);
        let umask = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(umask));
        world.start().succeeded();
        plug(&world, ONE, 1, &[]);
        nix::sys::stat::umask(umask);
        let run_dir = world.dom0.run_dir();
        let dir = run_dir.join("dhcp-hosts");
        let file = dir.join("vif1.0");
        for (path, mode) in [(run_dir.as_path(), 0o755), (&dir, 0o755), (&file, 0o644)] {
            let is = fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(is & 0o777, mode, "{}", path.display());
        }
        world.configure("[[nat]]\nname =\n");
        world.dom0.offline(Script::Ours, ONE).succeeded();
        assert!(!file.exists());
    }
}

#[test]
fn on_a_bridge() {
    guests_are_told(ON_A_BRIDGE);
}

#[test]
fn on_links_of_their_own() {
    guests_are_told(&ON_A_BRIDGE.replace("bridge = \"xennat0\"\n", ""));
}

#[test]
fn nothing_that_a_guest_is_called_ends_a_line() {
    let world = World::new();
    world.configure(ON_A_BRIDGE);
    world.start().succeeded();
    for (key, value) in [
        ("mac", "00:16:3e:00:00:01\n00:16:3e:00:00:02,10.7.0.9"),
        ("ip", "10.7.0.5,ignore"),
        ("ip", "10.7.0.5\u{b}#"),
        ("vifname", "../../evil"),
    ] {
        world.dom0.boot(ONE, &[("mac", "00:16:3e:00:00:01"), ("ip", "10.7.0.5"), (key, value)]);
        assert_eq!(world.dom0.online(Script::OursNat, ONE).code, Some(1), "{key}");
        unplug(&world, ONE);
        assert!(!world.dom0.run_dir().join("dhcp-hosts").join("evil").exists());
        let left = fs::read_dir(world.dom0.run_dir().join("dhcp-hosts")).unwrap().count();
        assert_eq!(left, 0, "{key}");
    }
    // A name of its own is not the file's.
    plug(&world, ONE, 1, &[("ip", "10.7.0.5"), ("vifname", "web")]);
    assert_eq!(hosts(&world), ["vif1.0 00:16:3e:00:00:01,10.7.0.5\n"]);
}

#[test]
fn a_bridges_guest_is_one_by_whichever_script() {
    let world = World::new();
    world.configure(ON_A_BRIDGE);
    world.start().succeeded();
    world.dom0.boot(ONE, &[("mac", "00:16:3e:00:00:01"), ("bridge", "xennat0")]);
    world.dom0.online(Script::Ours, ONE).succeeded();
    assert_eq!(hosts(&world), ["vif1.0 00:16:3e:00:00:01,10.7.0.3,[fd00:7::2]\n"]);
    let guard = world.dom0.netns.nft_text("list table bridge xennet");
    assert!(guard.contains("10.7.0.3"), "it is held to what it was given: {guard}");
}

#[test]
fn an_address_that_another_has_is_refused() {
    for config in [ON_A_BRIDGE.to_owned(), ON_A_BRIDGE.replace("bridge = \"xennat0\"\n", "")] {
        let world = World::new();
        world.configure(&config);
        world.start().succeeded();
        plug(&world, ONE, 1, &[]);
        plug(&world, OTHER, 2, &[("ip", "10.7.0.77")]);
        let before = hosts(&world);
        assert_eq!(before[0], "vif1.0 00:16:3e:00:00:01,10.7.0.3,[fd00:7::2]\n");
        let third = VifId { domid: 7, devid: 0 };
        for ip in
            ["10.7.0.3", "10.7.0.77", "10.7.0.9 fd00:7::2", "10.7.0.1", "fd00:7::1", "10.7.0.0/30"]
        {
            world.dom0.boot(third, &[("mac", "00:16:3e:00:00:07"), ("ip", ip)]);
            assert_eq!(world.dom0.online(Script::OursNat, third).code, Some(1), "{ip}");
            let error = world.dom0.key(third, "hotplug-error").unwrap();
            assert!(error.contains("has it already"), "{error}");
            unplug(&world, third);
            assert_eq!(hosts(&world), before);
        }
        // Again, and as the same guest on its way to another domain of this host.
        world.dom0.online(Script::OursNat, OTHER).succeeded();
        if config.contains("bridge") {
            plug(&world, third, 2, &[("ip", "10.7.0.77")]);
        }
    }
}

#[test]
fn the_only_bridge_is_one_without_its_name() {
    let world = World::new();
    world.configure(ON_A_BRIDGE);
    world.start().succeeded();
    world.dom0.boot(ONE, &[("mac", "00:16:3e:00:00:01"), ("bridge", "")]);
    world.dom0.online(Script::Ours, ONE).succeeded();
    assert_eq!(world.dom0.netns.link("vif1.0")["master"], "xennat0");
    assert_eq!(hosts(&world), ["vif1.0 00:16:3e:00:00:01,10.7.0.3,[fd00:7::2]\n"]);
    let guard = world.dom0.netns.nft_text("list table bridge xennet");
    assert!(guard.contains("10.7.0.3"), "it is held to what it was given: {guard}");
    let plan = world.dom0.xennet("vif online 1.0 --dry-run");
    assert_eq!((plan.code, plan.stdout.as_str()), (Some(0), ""), "{plan:?}");

    // Beside another one it must be named.
    world.dom0.netns.make_bridge("xenbr1");
    world.dom0.boot(OTHER, &[("mac", "00:16:3e:00:00:02"), ("bridge", "")]);
    assert_eq!(world.dom0.online(Script::Ours, OTHER).code, Some(1));
    let error = world.dom0.key(OTHER, "hotplug-error").unwrap();
    assert!(error.starts_with("bridge: none is set and there are several"), "{error}");
}

/// Each has an address of its own, whoever came first.
fn all_at_once(config: &str) {
    const GUESTS: u16 = 12;
    let world = World::new();
    world.configure(config);
    world.start().succeeded();
    let ids: Vec<VifId> = (0..GUESTS).map(|n| VifId { domid: 1 + n * 61, devid: 0 }).collect();
    for (n, id) in ids.iter().enumerate() {
        world.dom0.boot(*id, &[("mac", &format!("00:16:3e:00:00:{n:02x}"))]);
    }
    let call = |id: &VifId| {
        let mut command = world.dom0.command(Script::OursNat, *id, &["online", "type_if=vif"], &[]);
        command.stderr(Stdio::inherit()).spawn().unwrap()
    };
    let calls: Vec<Child> = ids.iter().map(call).collect();
    for mut call in calls {
        assert!(call.wait().unwrap().success());
    }
    let mut addresses: Vec<String> = hosts(&world)
        .iter()
        .map(|line| line.trim().split(',').nth(1).unwrap().to_owned())
        .collect();
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), usize::from(GUESTS), "{addresses:?}");
}

#[test]
fn all_at_once_on_a_bridge() {
    // 61 apart in a network of 62: all of them want much the same.
    all_at_once(&ON_A_BRIDGE.replace("10.7.0.1/24", "10.7.0.1/26"));
}

#[test]
fn all_at_once_on_links_of_their_own() {
    let config = ON_A_BRIDGE.replace("bridge = \"xennat0\"\n", "");
    all_at_once(&config.replace("10.7.0.1/24", "10.7.0.1/26"));
}
