//! Everything that reads bytes from outside.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use socket2::{Domain, Protocol, Socket, Type};
use xennet_core::config::{Import, NetworkConfig, VifConfig};
use xennet_core::hotplug::Call;
use xennet_core::types::VlanSpec;
use xennet_core::xenstore::wire::{Decoder, PAYLOAD_MAX, check_path, strings};
use xennet_core::{kernel, ovsdb};
use xennet_tests::netns::Netns;

pub(crate) struct Target {
    pub(crate) name: &'static str,
    /// The directory of its corpus below tests/fuzz.
    pub(crate) corpus: &'static str,
    pub(crate) run: fn(&[u8]),
    /// What a text of its grammar has.
    pub(crate) words: &'static [&'static str],
}

pub(crate) const TARGETS: [Target; 8] = [
    Target {
        name: "netlink and nftables",
        corpus: "netlink",
        run: kernel::fuzz_netlink,
        words: &[],
    },
    Target { name: "XenStore wire", corpus: "xenstore", run: xenstore, words: &["/", "\0", "@"] },
    Target {
        name: "OVSDB",
        corpus: "ovsdb",
        run: ovsdb::fuzz,
        words: &["[", "]", "{", "}", "\"", "\\", "[\"set\",[]]", "[\"map\",[]]", "null", "-1e9"],
    },
    Target {
        name: "xend-config.sxp",
        corpus: "sxp",
        run: import,
        words: &["(", ")", "'", "network-script", "vif-script", "network-bridge", "netdev=", "#"],
    },
    Target {
        name: "xl.conf",
        corpus: "xl",
        run: import,
        words: &["=", "\"", "[", "]", "vif.default.bridge", "vif.default.script", ";", "#"],
    },
    Target {
        name: "xennet.toml",
        corpus: "toml",
        run: toml,
        words: &[
            "[[bridge]]",
            "[[nat]]",
            "[[routed]]",
            "[[bond]]",
            "[[vlan]]",
            "=",
            "\"",
            "name",
            "[",
            "]",
        ],
    },
    Target {
        name: "key=value",
        corpus: "arguments",
        run: arguments,
        words: &[
            "=",
            "online",
            "offline",
            "type_if=vif",
            "type_if=tap",
            "\n",
            "ip=",
            "mac=",
            "rate=",
        ],
    },
    Target {
        name: "vlan",
        corpus: "vlan",
        run: vlan,
        words: &["-", ",", "u", "p", "4094", " ", ":", "/"],
    },
];

fn xenstore(bytes: &[u8]) {
    let mut decoder = Decoder::new(PAYLOAD_MAX);
    for piece in bytes.chunks(7) {
        decoder.push(piece);
        while let Ok(Some(packet)) = decoder.packet() {
            let _ = (check_path(&packet.payload), strings(&packet.payload).count());
        }
    }
}

fn import(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut import = Import::new("eth0".parse().ok());
    if import.read("file", &text).is_ok() {
        // What is imported is a valid file.
        NetworkConfig::from_toml(&import.to_toml()).expect("an import that is no xennet.toml");
    }
}

fn toml(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(config) = NetworkConfig::from_toml(&text) {
        let again = NetworkConfig::from_toml(&config.to_toml()).expect("what is written is read");
        assert_eq!(config, again, "it is not what it was");
    }
}

fn arguments(bytes: &[u8]) {
    let lines =
        || bytes.split(|byte| *byte == b'\n').map(|line| OsStr::from_bytes(line).to_owned());
    let env = |key: &str| {
        lines().find_map(|line| {
            Some(
                OsStr::from_bytes(
                    line.as_bytes().strip_prefix(key.as_bytes())?.strip_prefix(b"=")?,
                )
                .to_owned(),
            )
        })
    };
    let _ = Call::parse(lines(), env);
    for line in lines() {
        let line = line.as_bytes();
        for key in VifConfig::KEYS {
            let _ = VifConfig::default().set(key, line);
        }
    }
}

fn vlan(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = text.parse::<VlanSpec>();
    let _ = VifConfig::default().set("vlan", bytes);
    let _ = VifConfig::default().set("bridge", bytes);
}

/// Records what the kernel answers about a namespace with some of everything.
pub(crate) fn record(dir: &Path) {
    let netns = Netns::new();
    for words in [
        "link add xenbr0 type bridge",
        "link set xenbr0 type bridge vlan_filtering 1",
        "link add vif1.0 type veth peer name guest1.0",
        "link set vif1.0 master xenbr0 up",
        "link set xenbr0 up",
        "link add bond0 type bond",
        "link add vlan7 link vif1.0 type vlan id 7",
        "link add vx0 type vxlan id 5 dstport 4789 local 192.0.2.2",
        "link property add dev vif1.0 altname enxaltname",
        "link set vif1.0 alias text",
        "address add 192.0.2.2/24 brd + dev xenbr0",
        "address add 2001:db8::2/64 dev xenbr0 nodad",
        "route add 198.51.100.0/24 via 192.0.2.1 dev xenbr0 metric 7",
        "route add 203.0.113.0/24 nexthop via 192.0.2.1 dev xenbr0 nexthop via 192.0.2.3 dev xenbr0",
        "neighbour add 192.0.2.9 lladdr 02:00:00:00:00:09 dev xenbr0 nud permanent",
        "neighbour add proxy 192.0.2.10 dev xenbr0",
        "rule add from 192.0.2.0/24 lookup 77",
    ] {
        // A kernel without a kind of interface has the others.
        netns.try_ip(words);
    }
    netns.nft(
        "table bridge xennet {
          set m { type ifname . ether_addr . ipv4_addr; counter; }
          chain forward {
            type filter hook forward priority 0; policy accept;
            iifname \"vif1.0\" ether saddr 02:00:00:00:00:01 ip saddr 10.0.0.5 counter drop
          }
        }
        table inet t { chain d { }
          chain c { iifname { \"vif1.0\", \"eth0\" } accept
            jump d
          }
        }
        add element bridge xennet m { \"vif1.0\" . 02:00:00:00:00:01 . 10.0.0.5 comment \"x\" }",
    );
    fs::create_dir_all(dir).expect("a directory of the sources");
    // RTM_GETLINK, GETADDR, GETROUTE, GETNEIGH, GETRULE of rtnetlink; tables, chains, rules, sets and elements of nftables.
    for (n, (protocol, kind, body)) in [
        (0, 18, vec![0; 16]),
        (0, 22, vec![0; 8]),
        (0, 26, vec![0; 12]),
        (0, 30, vec![0; 12]),
        (0, 34, vec![0; 12]),
        (0, 18, [&[7][..], &[0; 15], &[8, 0, 29, 0, 6, 0, 0, 0]].concat()),
        (12, 0xa01, vec![0; 4]),
        (12, 0xa04, vec![0; 4]),
        (12, 0xa07, vec![0; 4]),
        (12, 0xa0a, vec![0; 4]),
        (
            12,
            0xa0d,
            [&[7, 0, 0, 0, 11, 0, 1, 0][..], b"xennet\0\0", &[6, 0, 2, 0], b"m\0\0\0"].concat(),
        ),
        (12, 0xa10, vec![0; 4]),
    ]
    .into_iter()
    .enumerate()
    {
        let socket =
            Socket::new(Domain::from(libc::AF_NETLINK), Type::RAW, Some(Protocol::from(protocol)));
        let mut socket = socket.expect("a netlink socket");
        let length = u32::try_from(16 + body.len()).expect("short");
        // NLM_F_REQUEST, and NLM_F_DUMP but for the generation.
        let flags: u16 = if kind == 0xa10 { 1 } else { 0x301 };
        let mut request = length.to_ne_bytes().to_vec();
        request.extend(u16::try_from(kind).expect("a type").to_ne_bytes());
        request.extend(flags.to_ne_bytes());
        request.extend([1, 0, 0, 0, 0, 0, 0, 0]);
        request.extend(body);
        socket.send(&request).expect("the kernel hears");
        let mut answer = vec![0; 64 * 1024];
        let length = socket.read(&mut answer).expect("the kernel answers");
        fs::write(dir.join(format!("{n:02}")), &answer[..length]).expect("a file of the sources");
    }
}
