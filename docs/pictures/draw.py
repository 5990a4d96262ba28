#!/usr/bin/env python3
"""Draws the layouts in README and docs: `docs/pictures/draw.py [DIRECTORY]` writes them there, by default beside this file."""

import sys
from pathlib import Path
from xml.sax.saxutils import escape

STYLE = """
  .page { fill: #ffffff }
  text { fill: #1f2328 }
  .strong { font-weight: bold }
  .small { font-size: 11px }
  .line { fill: none; stroke: #59636e; stroke-width: 1.5 }
  .dashed { stroke-dasharray: 5 4 }
  .box { stroke-width: 1.5 }
  .host { fill: none; stroke: #59636e; stroke-dasharray: 5 4 }
  .guest { fill: #eaeef2; stroke: #59636e }
  .port { fill: #ddf4ff; stroke: #0969da }
  .bridge { fill: #ddf4ff; stroke: #0969da }
  .tool { fill: #ffebe0; stroke: #bc4c00 }
  .nic { fill: #dafbe1; stroke: #1a7f37 }
  .head { fill: #59636e }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 }
    text { fill: #e6edf3 }
    .line, .host, .guest { stroke: #9198a1 }
    .guest { fill: #262c36 }
    .port, .bridge { fill: #0c2d4d; stroke: #4493f8 }
    .tool { fill: #3d1f0b; stroke: #f0883e }
    .nic { fill: #12341d; stroke: #3fb950 }
    .head { fill: #9198a1 }
  }
"""


class Picture:
    """An SVG of boxes with centred lines of text, and lines between points."""

    def __init__(self, width, height, title, description):
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
            'aria-labelledby="title desc" font-family="sans-serif" font-size="13">',
            f'<title id="title">{escape(title)}</title>',
            f'<desc id="desc">{escape(description)}</desc>',
            f"<style>{STYLE}</style>",
            f'<rect class="page" width="{width}" height="{height}"/>',
        ]

    def box(self, kind, x, y, width, height, *lines):
        self.parts.append(
            f'<rect class="box {kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="5"/>'
        )
        top = y + height / 2 - 8 * (len(lines) - 1) + 4.5
        for number, line in enumerate(lines):
            self.text(x + width / 2, top + 16 * number, line, "strong" if number == 0 else "small", "middle")

    def text(self, x, y, line, kind="small", anchor="start"):
        self.parts.append(f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(line)}</text>')

    def line(self, *points, dashed=False, arrow=False):
        path = "M" + "L".join(f"{x} {y}" for x, y in points)
        self.parts.append(f'<path class="line{" dashed" if dashed else ""}" d="{path}"/>')
        if arrow:
            x, y = points[-1]
            # It points down, or to the right.
            head = f"M{x} {y}l-4 -8h8z" if points[-2][0] == x else f"M{x} {y}l-8 -4v8z"
            self.parts.append(f'<path class="head" d="{head}"/>')

    def frame(self, x, y, width, height, title):
        self.parts.append(f'<rect class="box host" x="{x}" y="{y}" width="{width}" height="{height}" rx="8"/>')
        self.text(x + 10, y + 19, title, "strong")

    def svg(self):
        return "\n".join([*self.parts, "</svg>", ""])


def overview():
    p = Picture(
        780, 270, "What xennet connects",
        "Two guests. The interface eth0 of each is connected to its vif in dom0. The vifs and the NIC eth0 are ports of the "
        "bridge xenbr0, which has the addresses of the host. The NIC leads to the router. xennet makes the bridge and "
        "attaches the vifs.",
    )
    p.frame(170, 12, 420, 246, "dom0")
    p.line((130, 75), (195, 75))
    p.line((130, 155), (195, 155))
    p.line((275, 75), (315, 75))
    p.line((275, 155), (315, 155))
    p.line((440, 115), (490, 115))
    p.line((565, 115), (640, 115))
    p.box("guest", 15, 48, 115, 54, "guest 1", "eth0 192.0.2.11")
    p.box("guest", 15, 128, 115, 54, "guest 2", "eth0 192.0.2.12")
    p.box("port", 195, 53, 80, 44, "vif1.0", "guard")
    p.box("port", 195, 133, 80, 44, "vif2.0", "guard")
    p.box("bridge", 315, 48, 125, 134, "xenbr0", "the host's addresses", "192.0.2.2", "2001:db8::2")
    p.box("port", 490, 93, 75, 44, "eth0", "NIC")
    p.box("guest", 640, 88, 110, 54, "router", "192.0.2.1")
    p.box("tool", 195, 200, 370, 44, "xennet", "makes the bridge, attaches the vifs, guards them, verifies")
    return p


def nat():
    p = Picture(
        780, 200, "Guests behind the host's address",
        "Two vifs are ports of the bridge xennat0, which has the address 10.0.0.1 and no uplink. dom0 forwards and translates "
        "packets between xennat0 and eth0, which keeps the host's address.",
    )
    p.frame(170, 12, 420, 176, "dom0")
    p.line((130, 75), (195, 75))
    p.line((130, 145), (195, 145))
    p.line((275, 75), (310, 75))
    p.line((275, 145), (310, 145))
    p.line((405, 110), (425, 110))
    p.line((470, 110), (490, 110))
    p.line((570, 110), (640, 110))
    p.box("guest", 15, 48, 115, 54, "guest 1", "eth0 10.0.0.5")
    p.box("guest", 15, 118, 115, 54, "guest 2", "eth0 10.0.0.6")
    p.box("port", 195, 53, 80, 44, "vif1.0")
    p.box("port", 195, 123, 80, 44, "vif2.0")
    p.box("bridge", 310, 48, 95, 124, "xennat0", "10.0.0.1/24")
    p.box("tool", 425, 85, 45, 50, "NAT")
    p.box("port", 490, 85, 80, 50, "eth0", "192.0.2.2")
    p.box("guest", 640, 83, 110, 54, "router", "192.0.2.1")
    return p


def routed():
    p = Picture(
        780, 200, "Routed guests",
        "No bridge: dom0 has a route to each guest's address by its vif, and forwards packets to and from eth2. It answers ARP "
        "and neighbour discovery for the guests there.",
    )
    p.frame(170, 12, 420, 176, "dom0")
    p.line((130, 75), (195, 75))
    p.line((130, 145), (195, 145))
    p.line((275, 75), (330, 75))
    p.line((275, 145), (330, 145))
    p.line((450, 110), (490, 110))
    p.line((570, 110), (640, 110))
    p.box("guest", 15, 48, 115, 54, "guest 1", "198.51.100.5")
    p.box("guest", 15, 118, 115, 54, "guest 2", "198.51.100.6")
    p.box("port", 195, 53, 80, 44, "vif1.0", "proxy_arp")
    p.box("port", 195, 123, 80, 44, "vif2.0", "proxy_arp")
    p.box("tool", 330, 48, 120, 124, "routes", "198.51.100.5", "dev vif1.0", "198.51.100.6", "dev vif2.0")
    p.box("port", 490, 85, 80, 50, "eth2", "uplink")
    p.box("guest", 640, 83, 110, 54, "router")
    return p


def two_hosts(title, description, bridge, above, tunnel, below):
    """Two hosts, mirrored: what runs above and below their bridges, and what connects them."""
    p = Picture(780, 330, title, description)
    for side, (x, host, guests) in enumerate([(12, "host A", ["guest 1", "guest 3"]), (468, "host B", ["guest 2"])]):
        p.frame(x, 82, 300, 236, host)
        width = 110
        for number, guest in enumerate(guests):
            gx = x + 25 + number * 140 if len(guests) > 1 else x + 95
            p.line((gx + width / 2, 144), (gx + width / 2, 240))
            p.box("guest", gx, 110, width, 34, guest)
            p.box("port", gx + 15, 164, width - 30, 30, "vif1.0" if guest != "guest 3" else "vif3.0")
        p.box("bridge", x + 20, 214, 260, 36, bridge)
        p.box("tool", x + 20, 268, 260, 40, *below[side])
    p.line((292, 232), (488, 232))
    p.text(390, 222, tunnel, "small", "middle")
    p.box("tool", 220, 12, 340, 44, *above)
    p.line((262, 56), (262, 82), dashed=True)
    p.line((518, 56), (518, 82), dashed=True)
    return p


def evpn():
    return two_hosts(
        "EVPN on two hosts",
        "Each host has the bridge xenbr0 with the vifs of its guests and a VXLAN port vx100. The VXLAN ports exchange frames "
        "in UDP. FRR on each host exchanges by BGP which MAC address is on which host.",
        "xenbr0, port vx100",
        ("BGP EVPN", "which MAC address is on which host"),
        "VXLAN 100 in UDP",
        [("FRR: zebra, bgpd", "192.0.2.11"), ("FRR: zebra, bgpd", "192.0.2.12")],
    )


def ovn():
    return two_hosts(
        "OVN on two hosts",
        "Each host has the Open vSwitch bridge br-int with the vifs of its guests. The bridges exchange frames by Geneve. "
        "ovn-controller on each host installs flows from OVN's southbound database, which ovn-northd fills from the "
        "northbound database.",
        "br-int (Open vSwitch)",
        ("northbound db, ovn-northd, southbound db", "logical switch ls0, port UUID-0, its addresses"),
        "Geneve in UDP",
        [("ovn-controller", "installs flows")] * 2,
    )


def host_layouts():
    p = Picture(
        760, 520, "VLANs of a bond",
        "xenbr0 is on bond0, with frames without a tag. xenbr100 and xenbr200 are on VLAN interfaces of bond0. The ports eth0 "
        "and eth1 of the bond lead to a switch.",
    )
    bridges = [("xenbr0", "192.0.2.2/24, the host"), ("xenbr100", "no address"), ("xenbr200", "no address")]
    for number, (bridge, note) in enumerate(bridges):
        x = 30 + 240 * number
        for vif in range(2):
            p.line((x + 50 + 100 * vif, 56), (x + 50 + 100 * vif, 100))
            p.box("port", x + 10 + 100 * vif, 20, 80, 36, f"vif{2 * number + vif + 1}.0")
        p.line((x + 100, 150), (x + 100, 300))
        p.box("bridge", x, 100, 200, 50, bridge, note)
        if number:
            p.box("tool", x + 30, 196, 140, 50, f"bond0.{number}00", f"VLAN {number}00")
    p.text(138, 230, "frames without a tag")
    for number in range(2):
        p.line((230 + 300 * number, 350), (230 + 300 * number, 462))
        p.box("nic", 170 + 300 * number, 390, 120, 40, f"eth{number}")
    p.box("tool", 60, 300, 640, 50, "bond0", "active-backup: one port carries the frames, the other one waits")
    p.box("guest", 60, 462, 640, 40, "switch: untagged, VLAN 100, VLAN 200")
    return p


def engine():
    p = Picture(
        700, 470, "The engine of xennet",
        "Seven steps from top to bottom: lock, observe, resolve, diff, apply, verify, publish. A dry run ends after diff. Diff, "
        "apply and verify can lead back to observe: that is a retry. A failure of apply, verify or publish leads to undo.",
    )
    steps = [
        ("tool", "lock", "takes lock files: one order for all", "operations, at most 30 s in total"),
        ("port", "observe", "asks the kernel, XenStore, Open", "vSwitch and files; changes nothing"),
        ("guest", "resolve", "mode, bridge and addresses that the", "configured keys mean on this host"),
        ("guest", "diff", "Plan: ordered Changes from the facts", "to the wanted state; may be empty"),
        ("tool", "apply", "makes each Change and", "remembers how to undo it"),
        ("port", "verify", "observes and diffs again:", "the plan must be empty"),
        ("tool", "publish", "hooks, then XenStore in one transaction", "(connected is last), then announcements"),
    ]
    for number, (kind, name, *notes) in enumerate(steps):
        y = 14 + 56 * number
        p.line((220, y + 40), (220, y + 55), arrow=True)
        p.box(kind, 170, y, 100, 40, name)
        for line, note in enumerate(notes):
            p.text(310, y + 16 + 17 * line, note)
    p.text(220, 422, "return the", anchor="middle")
    p.text(220, 438, "changes made", anchor="middle")
    p.line((546, 70), (556, 70), (556, 222), (546, 222))
    p.line((556, 146), (566, 146))
    for y, kind, note in [(133, "strong", "dry run"), (150, "small", "also status, check:"), (167, "small", "ends after diff")]:
        p.text(572, y, note, kind)
    p.line((170, 314), (130, 314), (130, 90), (169, 90), arrow=True)
    p.line((170, 258), (130, 258))
    p.line((170, 202), (130, 202))
    p.text(122, 95, "retry", "strong", "end")
    for y, *notes in [(198, "a lock or time", "is needed first"), (254, "overtaken, or", "the reply is lost"), (310, "a Change is", "still missing")]:
        for line, note in enumerate(notes):
            p.text(122, y + 16 * line, note, anchor="end")
    p.line((270, 258), (290, 258), (290, 426), (309, 426), arrow=True)
    p.line((270, 314), (290, 314))
    p.line((270, 370), (290, 370))
    p.box("tool", 310, 406, 70, 40, "undo")
    p.text(392, 423, "last Change first, unless the operation is")
    p.text(392, 440, "best effort; the first error is reported")
    for y, kind, note in [(388, "port", "reads"), (408, "guest", "pure"), (428, "tool", "has effects")]:
        p.parts.append(f'<rect class="box {kind}" x="14" y="{y}" width="12" height="12"/>')
        p.text(32, y + 10, note)
    return p


def main():
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    for draw in (overview, nat, routed, host_layouts, evpn, ovn, engine):
        (directory / f"{draw.__name__}.svg").write_text(draw().svg())


if __name__ == "__main__":
    main()
