"""Two namespaces on one wire, and a VXLAN between them."""

from __future__ import annotations

from networks import MAC, RULES, lo, local, probe, veth, via

from netprobe.model import (
    FdbEntry,
    FoundPeer,
    InterfaceAddress,
    Link,
    Namespace,
    Ruleset,
    Snapshot,
    Vxlan,
    Walk,
)
from netprobe.predict.predict import Prediction, predict


def side(name: str, number: int) -> Namespace:
    loopback, own = lo()
    tunnel = Link(3, "vx0", "vxlan", MAC.format(8, number), mtu=1450, vxlan=Vxlan(7, remote=f"192.168.0.{3 - number}"))
    addresses = (*own, InterfaceAddress(2, f"192.168.0.{number}", 24), InterfaceAddress(3, f"10.9.0.{number}", 24))
    routes = (*local(f"192.168.0.{number}", f"10.9.0.{number}"), via("192.168.0.0/24", None, 2), via("10.9.0.0/24", None, 3))
    return Namespace(name, links=(loopback, veth(2, "eth0", MAC.format(7, number), 2, 0), tunnel), addresses=addresses, routes=routes,
                     rules=RULES, ruleset=Ruleset(), fdb=(default(3, f"192.168.0.{3 - number}"),))  # fmt: skip


def default(index: int, remote: str) -> FdbEntry:
    """The entry that the kernel makes of a device's own remote end."""
    return FdbEntry(index, "00:00:00:00:00:00", state="permanent", remote=remote)


def pair() -> Snapshot:
    return Snapshot({"a": side("a", 1), "b": side("b", 2)}, (FoundPeer("a", 0, "b"), FoundPeer("b", 0, "a")))


def request(snapshot: Snapshot, **asked: object) -> Walk:
    found = predict(snapshot, probe("a", "10.9.0.2", **asked), ask=False)
    assert isinstance(found, Prediction), found
    return found.request
