"""Maps made by hand: a machine with two Docker networks, a nested namespace, VXLAN to another node, and a path; and one of any size."""

from msgspec.structs import replace

from netprobe.model import Blind, Verdict
from netprobe.model.wiring import LaidPath, WayOut, Wire, WiredInterface, WiredSpace, WiredTranslation, WireEnd, Wiring

CLOSED = "entering another network namespace needs CAP_SYS_ADMIN"
FRONT, BACK = "br-a1b2c3d4e5f6", "br-0f0f0f0f0f0f"
LO = WiredInterface("lo", 1, "loopback", addresses=("127.0.0.1/8", "::1/128"))


def interface(name, kind="veth", *addresses, **more):
    return WiredInterface(name, kind=kind, addresses=addresses, **more)


def end(text):
    """host/eth0; the namespace may have slashes in it."""
    namespace, _, name = text.rpartition("/")
    return WireEnd(namespace, name)


def wire(kind, near, far):
    return Wire(kind, end(near), end(far))


def plugged(station, port, bridge):
    """A station at a bridge of the host: its cable, and the port."""
    return (wire("cable", f"{station}/eth0", f"host/{port}"), wire("port", f"host/{port}", f"host/{bridge}"))


def by_default(via, namespace=None):
    return {"gateways": (WayOut(via, namespace),)}


HOST = WiredSpace(
    "host", "host", ("host",),
    interfaces=(
        LO,
        interface(FRONT, "bridge", "172.18.0.1/16", network="front"),
        interface(BACK, "bridge", "172.19.0.1/16", network="back", detail="STP"),
        interface("docker0", "bridge", "172.17.0.1/16", network="bridge", carrier=False),
        interface("eth0", "", "192.0.2.2/24", "2001:db8::2/64", "fe80::1/64", alias="to the provider", **by_default("192.0.2.1")),
        interface("eth1", "veth", "10.0.0.1/24"),
        interface("vxlan42", "vxlan", detail="id 42, 10.0.0.1 → 10.0.0.2, port 4789"),
        interface("veth1"), interface("veth2"), interface("vethdb0"), interface("vethdb1"),
    ),
    translations=(
        WiredTranslation("MASQUERADE", True, "172.18.0.0/16", out=f"!{FRONT}", inside=(FRONT,), leaves=("eth0",),
                         rule="iptables nat POSTROUTING 1", owner="docker"),
        WiredTranslation("SNAT", True, "172.19.0.0/16", out="eth0", to="192.0.2.2", inside=(BACK,), leaves=("eth0",),
                         rule="nft ip nat post handle 4"),
        WiredTranslation("DNAT", False, into=f"!{FRONT}", service="tcp 8080", to="172.18.0.2:80", inside=("eth0",), leaves=(FRONT,),
                         rule="iptables nat DOCKER 3", owner="docker"),
    ),
)  # fmt: skip
SPACES = (
    HOST,
    WiredSpace("c1", "docker", interfaces=(LO, interface("eth0", "veth", "172.18.0.2/16", **by_default("172.18.0.1", "host")))),
    WiredSpace("c2", "docker", interfaces=(
        LO, interface("eth0", "veth", "172.18.0.3/16", **by_default("172.18.0.1", "host")), interface("inner", "veth", "10.9.0.1/24"))),
    WiredSpace("c2//red", "docker", interfaces=(LO, interface("eth0", "veth", "10.9.0.2/24", **by_default("10.9.0.1", "c2")))),
    WiredSpace("db", "docker", note="paused", interfaces=(
        LO, interface("eth0", "veth", "172.18.0.99/16", **by_default("172.18.0.1", "host")), interface("eth1", "veth", "172.19.0.2/16"))),
    WiredSpace("node2", "netns", ("netns:node2",), interfaces=(
        LO, interface("br0", "bridge", "172.18.0.254/16"), interface("eth0", "veth", "10.0.0.2/24"), interface("p1"),
        interface("vxlan42", "vxlan", detail="id 42, 10.0.0.2 → 10.0.0.1, port 4789"))),
    WiredSpace("far", "netns", interfaces=(LO, interface("eth0", "veth", "172.18.0.200/16"))),
    WiredSpace("lan", "podman", interfaces=(LO, interface("eth0", "macvlan", "192.0.2.77/24", detail="mode bridge"))),
    WiredSpace("closed", "netns", blind=CLOSED),
    WiredSpace("shut", "netns", blind=CLOSED),
    WiredSpace("empty", "netns", interfaces=(LO,)),
)  # fmt: skip
WIRES = (
    *plugged("c1", "veth1", FRONT), *plugged("c2", "veth2", FRONT), *plugged("db", "vethdb0", FRONT),
    wire("cable", "db/eth1", "host/vethdb1"), wire("port", "host/vethdb1", f"host/{BACK}"),
    wire("cable", "c2/inner", "c2//red/eth0"), wire("cable", "host/eth1", "node2/eth0"),
    wire("on", "host/vxlan42", "host/eth1"), wire("port", "host/vxlan42", f"host/{FRONT}"),
    wire("port", "node2/vxlan42", "node2/br0"), wire("port", "node2/p1", "node2/br0"), wire("cable", "node2/p1", "far/eth0"),
    wire("tunnel", "host/vxlan42", "node2/vxlan42"), wire("on", "node2/vxlan42", "node2/eth0"), wire("on", "lan/eth0", "host/eth0"),
)  # fmt: skip
WHOLE = Wiring(SPACES, WIRES, blind=(Blind("address translation of node2", "CAP_NET_ADMIN is missing"),))
STOPPED = LaidPath(
    "c1", "8.8.8.8", Verdict.UNREACHABLE, "host drops what comes from the bridge front in FORWARD",
    (end("c1/eth0"), end("host/veth1"), end(f"host/{FRONT}")), (end("host/eth0"),), end(f"host/{FRONT}"), "filtered-by-rule",
)  # fmt: skip
REACHED = LaidPath(
    "c1", "192.0.2.1", Verdict.REACHABLE, "c1 should reach 192.0.2.1",
    (end("c1/eth0"), end("host/veth1"), end(f"host/{FRONT}"), end("host/eth0")),
)  # fmt: skip


def crowd(count):
    """So many stations on one bridge of the host, which leads out."""
    host = WiredSpace("host", "host", ("host",), interfaces=(
        interface(FRONT, "bridge", "172.18.0.1/16", network="front"),
        interface("eth0", "", "192.0.2.2/24", **by_default("192.0.2.1")),
        *(interface(f"veth{n}") for n in range(1, count + 1)),
    ))  # fmt: skip
    stations = (
        WiredSpace(f"c{n}", "docker", interfaces=(LO, interface("eth0", "veth", f"172.18.{n // 250}.{n % 250 + 2}/16")))
        for n in range(1, count + 1)
    )
    wires = (each for n in range(1, count + 1) for each in plugged(f"c{n}", f"veth{n}", FRONT))
    return Wiring((host, *stations), tuple(wires))


SMALL = {"whole": WHOLE, "stopped": replace(WHOLE, path=STOPPED), "reached": replace(WHOLE, path=REACHED)}
MAPS = {**SMALL, "crowd": crowd(300)}
