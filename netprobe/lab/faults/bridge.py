"""Bridges: ports that are out, elsewhere, isolated or silent; entries that point the wrong way."""

from __future__ import annotations

from netprobe.lab.changes import Unplug
from netprobe.lab.tutorial import C1_PORT, C2_PORT

from .fault import Expected, Fault
from .networks import OVERLAY
from .steps import forgotten, mac, plugged, port, tool

_PEER = ("trace", "c1", "172.17.0.3")

BRIDGES: tuple[Fault, ...] = (
    Fault(
        "veth-out-of-bridge",
        "veth0 is no port of br0 any more: requests still get out, replies do not come back in",
        ("trace", "red", "8.8.8.8"),
        (Unplug("host", "veth0"),),
        Expected("port-not-in-bridge", "host", "veth0", "reply", "veth0"),
    ),
    Fault(
        "peer-out-of-bridge",
        "c2's port was taken out of docker0",
        _PEER,
        (Unplug("host", C2_PORT),),
        Expected("port-not-in-bridge", "host", C2_PORT, "request", C2_PORT),
    ),
    Fault(
        "peer-in-wrong-bridge",
        "c2's port was plugged into br0 instead of docker0",
        _PEER,
        (plugged("host", C2_PORT, "br0"),),
        Expected("port-wrong-bridge", "host", C2_PORT, "request", C2_PORT),
    ),
    Fault(
        "ports-isolated",
        "both containers' ports are isolated: each reaches the gateway, none the other",
        _PEER,
        (port("host", C1_PORT, "isolated on", "isolated on"), port("host", C2_PORT, "isolated on", "isolated on")),
        Expected("port-isolated", "host", C2_PORT, "request", C2_PORT),
    ),
    Fault(
        "stp-listening",
        "c2's port was plugged into a bridge with spanning tree: for 30 seconds it forwards nothing",
        _PEER,
        (
            tool(
                "host",
                f"sh -c 'ip link set docker0 type bridge stp_state 1 forward_delay 1500; ip link set {C2_PORT} nomaster;"
                f" ip link set {C2_PORT} master docker0'",
                f"bridge link show dev {C2_PORT}",
                "state (listening|learning)",
            ),
        ),
        Expected("port-not-forwarding", "host", C2_PORT, "request", C2_PORT),
    ),
    Fault(
        "broadcast-not-flooded",
        "broadcasts are not flooded to c2's port, so no ARP question reaches it",
        ("arping", "c1", "172.17.0.3"),
        (port("host", C2_PORT, "bcast_flood off", "bcast_flood off"),),
        Expected("port-flood-off", "host", C2_PORT, "request", C2_PORT),
    ),
    Fault(
        "static-entry-at-the-wrong-port",
        "a sticky FDB entry holds c2's MAC at the port of c1",
        _PEER,
        (
            tool(
                "host",
                f"bridge fdb replace 02:42:ac:11:00:03 dev {C1_PORT} master static sticky",
                "bridge fdb show br docker0",
                rf"02:42:ac:11:00:03 dev {C1_PORT} sticky master docker0 static",
            ),
        ),
        Expected("fdb-wrong-entry", "host", C1_PORT, "request", f"02:42:ac:11:00:03 dev {C1_PORT} master"),
    ),
    Fault(
        "cloned-mac",
        "c1 was cloned from c2, MAC address and all",
        _PEER,
        (mac("c1", "eth0", "02:42:ac:11:00:03"),),
        Expected("mac-duplicate", "c1", "eth0", "request", "eth0"),
    ),
    Fault(
        "red-in-wrong-bridge",
        "veth0 was plugged into docker0: its ARP is answered there too, but replies go to br0",
        ("trace", "red", "8.8.8.8"),
        (plugged("host", "veth0", "docker0"),),
        Expected("port-wrong-bridge", "host", "veth0", "reply", "veth0"),
    ),
    Fault(
        "port-disabled",
        "c1's port was set to the state disabled by hand",
        _PEER,
        (port("host", C1_PORT, "state 0", "state disabled"),),
        Expected("port-not-forwarding", "host", C1_PORT, "request", C1_PORT),
    ),
    Fault(
        "unknown-unicast-not-flooded",
        "c2's port neither learns nor takes floods, and its entry is gone",
        _PEER,
        (
            port("host", C2_PORT, "learning off flood off", "learning off flood off"),
            tool("host", f"bridge fdb flush dev {C2_PORT} master dynamic", "bridge fdb show br docker0", "02:42:ac:11:00:03", absent=True),
        ),
        Expected("port-flood-off", "host", C2_PORT, "request", C2_PORT),
    ),
    Fault(
        "entry-for-the-bridge-itself",
        "c2's MAC stands in the FDB as if it were the bridge's own",
        _PEER,
        (
            tool(
                "host",
                f"bridge fdb replace 02:42:ac:11:00:03 dev {C2_PORT} master local",
                "bridge fdb show br docker0",
                rf"02:42:ac:11:00:03 dev {C2_PORT} master docker0 permanent",
            ),
        ),
        Expected("fdb-wrong-entry", "host", None, "request", f"02:42:ac:11:00:03 dev {C2_PORT} master"),
    ),
    Fault(
        "pod-out-of-the-far-bridge",
        "pod2's port is no port of node2's bridge any more",
        ("trace", "pod1", "10.42.0.2"),
        (Unplug("node2", "vpod"), *forgotten(("pod1", "eth0"), ("pod2", "eth0"))),
        Expected("port-not-in-bridge", "node2", "vpod", "request", "vpod"),
        OVERLAY,
    ),
    Fault(
        "tunnel-out-of-bridge",
        "the VXLAN of node2 is no port of its bridge any more",
        ("trace", "pod1", "10.42.0.2"),
        (Unplug("node2", "vx0"),),
        Expected("port-not-in-bridge", "node2", "vx0", "request", "vx0"),
        OVERLAY,
    ),
)
