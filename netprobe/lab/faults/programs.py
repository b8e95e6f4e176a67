"""What drops besides the rules: queues without a reader, traffic control, BPF programs, IPsec policies, locked ports."""

from __future__ import annotations

from netprobe.lab.crafted import DropByTc, DropByXdp
from netprobe.lab.tutorial import C1_PORT, C2_PORT

from .fault import Expected, Fault
from .networks import OFFICES
from .steps import iptables, port, tool

_OUT = ("trace", "red", "8.8.8.8")
_PEER = ("trace", "c1", "172.17.0.3")
_ACROSS = ("trace", "pc", "10.2.0.10")

PROGRAMS: tuple[Fault, ...] = (
    Fault(
        "inspection-engine-dead",
        "packets are queued to an intrusion detection that does not run",
        _OUT,
        (iptables("host", "-A FORWARD -i br0 -j NFQUEUE --queue-num 0"),),
        Expected("queue-no-listener", "host", None, "request", "iptables filter FORWARD 1", stage="forward"),
    ),
    Fault(
        "tc-steals",
        "a tc filter redirects what comes out of c1 to another device, a mirror that was meant to copy",
        ("trace", "c1", "8.8.8.8"),
        (
            tool("host", f"tc qdisc add dev {C1_PORT} clsact", f"tc qdisc show dev {C1_PORT}", "clsact"),
            tool(
                "host",
                f"tc filter add dev {C1_PORT} ingress protocol ip u32 match ip dst 8.8.0.0/16 action mirred egress redirect dev {C2_PORT}",
                f"tc filter show dev {C1_PORT} ingress",
                f"Egress Redirect to device {C2_PORT}",
            ),
        ),
        Expected("diverted-by-tc", "host", C1_PORT, "request", f"{C1_PORT} ingress"),
        foreseen=False,
    ),
    Fault(
        "tc-drops",
        "a traffic control program at red's port drops everything that comes in",
        _OUT,
        (tool("host", "tc qdisc add dev veth0 clsact", "tc qdisc show dev veth0", "clsact"), DropByTc("host", "veth0")),
        Expected("filtered-by-tc", "host", "veth0", "request", "veth0 ingress"),
        foreseen=False,
        privileged=True,
    ),
    Fault(
        "xdp-drops",
        "an XDP program before red's port drops everything",
        _OUT,
        (DropByXdp("host", "veth0"),),
        Expected("filtered-by-xdp", "host", "veth0", "request", "veth0 xdp"),
        foreseen=False,
        privileged=True,
    ),
    Fault(
        "queue-without-room",
        "a queue of ten bytes was put on the uplink, where a kilobyte was meant",
        _OUT,
        (tool("host", "tc qdisc add dev eth0 root bfifo limit 10", "tc qdisc show dev eth0", "bfifo .*limit 10b"),),
        Expected("qdisc-drop", "host", "eth0", "request", "eth0 bfifo"),
        foreseen=False,
    ),
    Fault(
        "xfrm-blocks",
        "an IPsec policy of the pc blocks what goes to the other office",
        _ACROSS,
        (tool("pc", "ip xfrm policy add dst 10.2.0.0/24 dir out action block", "ip xfrm policy", "action block"),),
        Expected("xfrm-policy-block", "pc", None, "request", "out src 0.0.0.0/0 dst 10.2.0.0/24"),
        OFFICES,
    ),
    Fault(
        "xfrm-without-a-key",
        "r1 wants to encrypt what goes to the other office, and there is no key",
        _ACROSS,
        (
            tool(
                "r1",
                "ip xfrm policy add dst 10.2.0.0/24 dir out tmpl src 10.9.0.1 dst 10.9.0.2 proto esp mode tunnel",
                "ip xfrm policy",
                "proto esp",
            ),
        ),
        Expected("xfrm-policy-block", "r1", None, "request", "out src 0.0.0.0/0 dst 10.2.0.0/24"),
        OFFICES,
    ),
    Fault(
        "mac-spoofing-guard",
        "ebtables lets only the MAC pass that the container had when it was started",
        _PEER,
        (
            tool(
                "host",
                f"ebtables -A FORWARD -i {C1_PORT} -s ! 02:42:ac:11:00:77 -j DROP",
                "ebtables -L FORWARD",
                "-s ! 0?2:42:ac:11:0?0:77.* -j DROP",
            ),
        ),
        Expected("filtered-by-rule", "host", None, "request", "ebtables filter FORWARD 1"),
    ),
    Fault(
        "port-locked",
        "c1's port is locked: only stations that logged in (802.1X) may send",
        _PEER,
        (
            port("host", C1_PORT, "learning off locked on", "locked on"),
            tool("host", f"bridge fdb flush dev {C1_PORT} master dynamic", "bridge fdb show br docker0", "02:42:ac:11:00:02", absent=True),
        ),
        Expected("mac-not-allowed", "host", C1_PORT, "request", C1_PORT),
    ),
)
