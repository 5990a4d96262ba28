//! The damages, a row each: by the administrator, by other programs, by drivers and by routers.

use crate::cells::{ROW, Row};

pub(crate) const ROWS: &[Row] = &[
    // Nothing is damaged; `check` has nothing to say.
    Row { name: "no damage", noticed: None, ..ROW },
    Row { name: "bridge deleted", damage: &["ip link delete xenbr0"], ..ROW },
    Row { name: "uplink taken out of the bridge", damage: &["ip link set eth0 nomaster"], ..ROW },
    Row {
        name: "bridge deleted, uplink down",
        damage: &["ip link delete xenbr0", "ip link set eth0 down"],
        ..ROW
    },
    Row {
        name: "default route deleted",
        damage: &["ip route delete default"],
        noticed: Some("default via 192.0.2.1"),
        ..ROW
    },
    Row {
        name: "IPv6 default route deleted",
        damage: &["ip -6 route delete default"],
        noticed: Some("::/0 via 2001:db8::1"),
        ..ROW
    },
    Row {
        name: "a router advertises itself in place of the IPv6 default route",
        damage: &["ip -6 route delete default", "advertise 1800", "wait 2001:db8:9:"],
        noticed: Some("::/0 via 2001:db8::1"),
        ignored: &["2001:db8:9:", "fe80::1"],
        ..ROW
    },
    Row {
        name: "both default routes deleted",
        damage: &["ip route delete default", "ip -6 route delete default"],
        ..ROW
    },
    Row {
        name: "another route deleted",
        damage: &["ip route delete 10.0.0.0/8"],
        noticed: Some("10.0.0.0/8"),
        ..ROW
    },
    Row {
        name: "a route of another table deleted",
        damage: &["ip route delete 10.7.0.0/16 table 77"],
        noticed: Some("10.7.0.0/16"),
        ..ROW
    },
    Row {
        name: "addresses flushed",
        damage: &["ip address flush dev xenbr0"],
        noticed: Some("192.0.2.2/24"),
        ..ROW
    },
    Row {
        name: "IPv4 addresses flushed",
        damage: &["ip -4 address flush dev xenbr0"],
        noticed: Some("192.0.2.2/24"),
        ..ROW
    },
    Row {
        name: "IPv6 addresses flushed",
        damage: &["ip -6 address flush dev xenbr0"],
        noticed: Some("2001:db8::2/64"),
        ..ROW
    },
    Row {
        name: "first address deleted",
        damage: &["ip address delete 192.0.2.2/24 dev xenbr0"],
        noticed: Some("192.0.2.2/24"),
        ..ROW
    },
    Row {
        name: "an IPv6 address deleted",
        damage: &["ip address delete 2001:db8::3/64 dev xenbr0"],
        noticed: Some("2001:db8::3/64"),
        ..ROW
    },
    Row { name: "bridge down", damage: &["ip link set xenbr0 down"], ..ROW },
    Row {
        name: "bridge down and up",
        damage: &["ip link set xenbr0 down", "ip link set xenbr0 up"],
        ..ROW
    },
    Row {
        name: "IPv6 enabled on the uplink",
        damage: &["sysctl ipv6/conf/eth0/disable_ipv6 0"],
        ..ROW
    },
    Row {
        name: "IPv6 disabled and enabled on all interfaces",
        damage: &["sysctl ipv6/conf/all/disable_ipv6 1", "sysctl ipv6/conf/all/disable_ipv6 0"],
        ..ROW
    },
    Row { name: "NIC made anew", damage: &["reload 02:00:00:00:00:02"], ..ROW },
    Row {
        name: "NIC made anew with another MAC",
        damage: &["reload 02:00:00:00:00:42"],
        // The kernel makes the link-local address of the new MAC, beside the old one.
        ignored: &["fe80::ff:fe00:42"],
        ..ROW
    },
    Row {
        name: "NIC made anew and up",
        damage: &["reload 02:00:00:00:00:02", "ip link set eth0 up"],
        ..ROW
    },
    Row {
        name: "bridge deleted and NIC made anew",
        damage: &["ip link delete xenbr0", "reload 02:00:00:00:00:02"],
        ..ROW
    },
    Row {
        name: "bridge deleted and made by another program",
        damage: &[
            "ip link delete xenbr0",
            "ip link add xenbr0 address 02:00:00:00:00:43 type bridge",
            "ip link set xenbr0 up",
        ],
        ignored: &["fe80::ff:fe00:43"],
        ..ROW
    },
    Row {
        name: "port configured by a DHCP client",
        damage: &[
            "ip address add 192.0.2.2/24 brd + dev eth0",
            "ip route append default via 192.0.2.1 dev eth0",
        ],
        start_says: "warning",
        ..ROW
    },
    Row {
        name: "NIC configured by a DHCP client, with a metric",
        damage: &[
            "ip link set eth0 nomaster",
            "ip address add 192.0.2.2/24 brd + dev eth0",
            "ip route append default via 192.0.2.1 dev eth0 proto dhcp metric 100",
        ],
        start_says: "warning",
        // A route of another program's, wherever it is.
        ignored: &["metric 100 protocol dhcp"],
        ..ROW
    },
    Row {
        name: "NIC configured with another address",
        damage: &[
            "ip link set eth0 nomaster",
            "ip address add 192.0.2.9/24 brd + dev eth0",
            "ip route append default via 192.0.2.1 dev eth0",
        ],
        start_says: "warning",
        // The new address may stay. It came first, so that the kernel prefers it.
        ignored: &["192.0.2.9", "local 192.0.2.2 ", "dst 192.0.2.0/24"],
        ..ROW
    },
    Row {
        name: "a default route by another NIC",
        setup: &["nic eth1", "ip address add 203.0.113.2/24 dev eth1"],
        damage: &["ip route append default via 203.0.113.1 dev eth1"],
        noticed: None,
        ..ROW
    },
    Row {
        name: "a better default route by another NIC",
        setup: &["nic eth1", "ip address add 203.0.113.2/24 dev eth1"],
        damage: &["ip route append default via 203.0.113.1 dev eth1 metric 5"],
        noticed: None,
        ..ROW
    },
    Row {
        name: "a route with realms on the bridge",
        damage: &["ip route add 10.9.0.0/16 via 192.0.2.1 dev xenbr0 realms 5"],
        noticed: None,
        ignored: &["10.9.0.0/16"],
        // It cannot move to the uplink, and goes with the bridge.
        stop_status: 3,
        ..ROW
    },
    Row {
        name: "a route with an encapsulation on the bridge",
        damage: &[
            "ip -6 route add 2001:db8:e::/48 encap seg6 mode encap segs 2001:db8::1 dev xenbr0",
        ],
        noticed: None,
        ignored: &["2001:db8:e::"],
        // It cannot move to the uplink, and goes with the bridge.
        stop_status: 3,
        ..ROW
    },
    Row {
        name: "a route and an address of the administrator's on the bridge",
        damage: &[
            "ip address add 10.44.0.1/24 dev xenbr0",
            "ip route add 10.45.0.0/16 via 10.44.0.2 dev xenbr0",
        ],
        noticed: None,
        ignored: &["10.44.0", "10.45.0"],
        ..ROW
    },
    Row {
        name: "proxy neighbours",
        setup: &[
            "ip neighbour add proxy 192.0.2.66 dev eth0",
            "ip neighbour add proxy 2001:db8::66 dev eth0",
        ],
        noticed: None,
        ..ROW
    },
    Row {
        name: "proxy neighbours, bridge deleted",
        setup: &[
            "ip neighbour add proxy 192.0.2.66 dev eth0",
            "ip neighbour add proxy 2001:db8::66 dev eth0",
        ],
        damage: &["ip link delete xenbr0"],
        ..ROW
    },
    Row { name: "settings of the uplink", setup: SETTINGS, noticed: None, ..ROW },
    Row {
        name: "settings of the uplink, bridge deleted",
        setup: SETTINGS,
        damage: &["ip link delete xenbr0"],
        ..ROW
    },
    Row {
        name: "an address that failed duplicate address detection",
        setup: DUPLICATE,
        noticed: None,
        ..ROW
    },
    Row {
        name: "an address that failed duplicate address detection, bridge deleted",
        setup: DUPLICATE,
        damage: &["ip link delete xenbr0"],
        ..ROW
    },
    Row {
        name: "a neighbour deleted",
        damage: &["ip neighbour delete 192.0.2.77 dev xenbr0"],
        ..ROW
    },
    Row { name: "uplink down", damage: &["ip link set eth0 down"], ..ROW },
    Row {
        name: "IPv6 disabled on the bridge",
        damage: &["sysctl ipv6/conf/xenbr0/disable_ipv6 1"],
        ..ROW
    },
    Row {
        name: "NIC configured by another program",
        damage: &[
            "ip link set eth0 nomaster",
            "sysctl ipv6/conf/eth0/disable_ipv6 0",
            "ip address add 192.0.2.2/24 brd + dev eth0",
            "ip route append default via 192.0.2.1 dev eth0",
            "ip address add 2001:db8::2/64 dev eth0",
            "ip -6 route append default via 2001:db8::1 dev eth0",
        ],
        start_says: "warning",
        ..ROW
    },
    Row {
        name: "IPv4 routes flushed",
        damage: &["ip -4 route flush dev xenbr0"],
        noticed: Some("192.0.2.0/24"),
        ..ROW
    },
    Row {
        name: "IPv6 routes flushed",
        damage: &["ip -6 route flush dev xenbr0"],
        noticed: Some("2001:db8::/64"),
        ..ROW
    },
    Row {
        name: "two default routes, bridge deleted",
        setup: &["ip route append default via 192.0.2.9 dev eth0"],
        damage: &["ip link delete xenbr0"],
        ..ROW
    },
];

const SETTINGS: &[&str] = &[
    "sysctl ipv4/conf/eth0/forwarding 1",
    "sysctl ipv4/conf/eth0/accept_redirects 0",
    "sysctl ipv4/conf/eth0/send_redirects 0",
    "sysctl ipv4/conf/eth0/proxy_arp 1",
    "sysctl ipv4/conf/eth0/route_localnet 1",
    "sysctl ipv4/conf/eth0/rp_filter 2",
    "sysctl ipv6/conf/eth0/proxy_ndp 1",
    "sysctl ipv6/conf/eth0/accept_redirects 0",
];

const DUPLICATE: &[&str] = &[
    "router ip address add 2001:db8::66/64 dev lan0 nodad",
    "sysctl ipv6/conf/eth0/dad_transmits 1",
    "ip address add 2001:db8::66/64 dev eth0",
    "wait dadfailed",
];
