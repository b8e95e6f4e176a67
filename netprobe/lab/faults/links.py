"""Links: interfaces that are off, unplugged or gone."""

from __future__ import annotations

from netprobe.lab.tutorial import C2_PORT

from .fault import Expected, Fault
from .networks import HOME_LAN
from .steps import down, gone, tool

LINKS: tuple[Fault, ...] = (
    Fault(
        "far-bridge-down",
        "docker0 is down and its route gone: what red sends to c2 takes the default route out of the house",
        ("trace", "red", "172.17.0.3"),
        (down("host", "docker0"),),
        Expected("link-admin-down", "host", "docker0", "request", "docker0"),
    ),
    Fault(
        "container-interface-down",
        "somebody switched eth0 off inside c1",
        ("trace", "c1", "172.17.0.3"),
        (down("c1", "eth0"),),
        Expected("link-admin-down", "c1", "eth0", "request", "eth0"),
    ),
    Fault(
        "bridge-down",
        "docker0 is down: its containers have no gateway",
        ("trace", "c1", "8.8.8.8"),
        (down("host", "docker0"),),
        Expected("link-admin-down", "host", "docker0", "request", "docker0"),
    ),
    Fault(
        "bridge-port-down",
        "the host's end of c2's cable is switched off",
        ("trace", "c1", "172.17.0.3"),
        (down("host", C2_PORT),),
        Expected("link-admin-down", "host", C2_PORT, "request", C2_PORT),
    ),
    Fault(
        "uplink-down",
        "the host's uplink eth0 is down, and its default route went with it",
        ("trace", "red", "8.8.8.8"),
        (down("host", "eth0"),),
        Expected("link-admin-down", "host", "eth0", "request", "eth0"),
    ),
    Fault(
        "loopback-down",
        "c1 was made by hand and nobody switched lo on",
        ("trace", "c1", "172.17.0.2"),
        (down("c1", "lo"),),
        Expected("link-admin-down", "c1", "lo", "request", "lo"),
    ),
    Fault(
        "veth-deleted",
        "c1's veth pair was deleted from the host; c1 has nothing but lo",
        ("trace", "c1", "172.17.0.3"),
        (gone("c1", "eth0"),),
        Expected("link-missing", "c1", None, "request", "eth0"),
    ),
    Fault(
        "interface-moved-away",
        "c1's eth0 was moved into c2, where it is eth9",
        ("trace", "c1", "172.17.0.3"),
        (tool("c1", "ip link set eth0 netns c2 name eth9", "ip link show eth0", "eth0", absent=True),),
        Expected("link-missing", "c1", None, "request", "eth0"),
    ),
    Fault(
        "uplink-unplugged",
        "the far end of the uplink is off: the host's eth0 is up and has no carrier",
        ("trace", "red", "8.8.8.8"),
        (down("internet", "eth0"),),
        Expected("link-no-carrier", "host", "eth0", "request", "eth0"),
    ),
    Fault(
        "macvlan-parent-down",
        "the interface under the macvlans was switched off",
        ("trace", "nas", "192.168.1.1"),
        (down("host", "eth0"),),
        Expected("link-admin-down", "host", "eth0", "request", "eth0"),
        HOME_LAN,
    ),
)
