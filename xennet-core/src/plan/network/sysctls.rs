//! The settings of interfaces that a bridge takes over from its uplink.

use crate::types::Family;

/// What decides which packets the host accepts, answers and sends by an interface, and which addresses and routes it
/// makes itself there.
///
/// Left out are the timers and versions of multicast protocols, `IPsec` and segment routing, which few hosts set per
/// interface. `addr_gen_mode` is a setting of the link here. The kernel resets the IPv6 `mtu` with each new MTU of the
/// link.
pub(super) const FOLLOWING: [(Family, &str); 50] = [
    // Which packets are accepted: sources, ways of a source, redirects, addresses of the loopback network.
    (Family::V4, "accept_local"),
    (Family::V4, "accept_source_route"),
    (Family::V4, "log_martians"),
    (Family::V4, "route_localnet"),
    (Family::V4, "rp_filter"),
    (Family::V4, "src_valid_mark"),
    (Family::V4, "accept_redirects"),
    (Family::V4, "secure_redirects"),
    (Family::V6, "accept_source_route"),
    (Family::V6, "accept_redirects"),
    // Whether the host forwards, and what it tells others then.
    (Family::V4, FORWARDING),
    (Family::V4, "send_redirects"),
    (Family::V4, "shared_media"),
    // How the host answers for its own addresses, and for others'.
    (Family::V4, "arp_accept"),
    (Family::V4, "arp_announce"),
    (Family::V4, "arp_filter"),
    (Family::V4, "arp_ignore"),
    (Family::V4, "arp_notify"),
    (Family::V4, "drop_gratuitous_arp"),
    (Family::V4, "proxy_arp"),
    (Family::V4, "proxy_arp_pvlan"),
    (Family::V6, "drop_unsolicited_na"),
    (Family::V6, "ndisc_notify"),
    (Family::V6, "proxy_ndp"),
    // Which addresses the interface keeps and makes.
    (Family::V4, "promote_secondaries"),
    (Family::V6, "accept_dad"),
    (Family::V6, "autoconf"),
    (Family::V6, "dad_transmits"),
    (Family::V6, DISABLE_IPV6),
    (Family::V6, "keep_addr_on_down"),
    (Family::V6, "optimistic_dad"),
    (Family::V6, "temp_prefered_lft"),
    (Family::V6, "temp_valid_lft"),
    (Family::V6, "use_oif_addrs_only"),
    (Family::V6, "use_optimistic"),
    (Family::V6, "use_tempaddr"),
    // What the host believes a router. With `forwarding`, it believes none, unless `accept_ra` is 2.
    (Family::V6, "accept_ra"),
    (Family::V6, "accept_ra_defrtr"),
    (Family::V6, "accept_ra_from_local"),
    (Family::V6, "accept_ra_min_hop_limit"),
    (Family::V6, "accept_ra_min_lft"),
    (Family::V6, "accept_ra_mtu"),
    (Family::V6, "accept_ra_pinfo"),
    (Family::V6, "accept_ra_rt_info_max_plen"),
    (Family::V6, "accept_ra_rt_info_min_plen"),
    (Family::V6, "accept_ra_rtr_pref"),
    (Family::V6, "hop_limit"),
    (Family::V6, "ra_defrtr_metric"),
    (Family::V6, SOLICITATIONS),
    (Family::V6, FORWARDING),
];

pub(super) const FORWARDING: &str = "forwarding";
pub(super) const DISABLE_IPV6: &str = "disable_ipv6";
/// With 0 the kernel refuses a token.
pub(super) const SOLICITATIONS: &str = "router_solicitations";
