"""The tutorial's network as a literal snapshot: red - veth0 - br0 of host - eth0 - internet, and c1, c2 on docker0."""

from __future__ import annotations

from msgspec.structs import replace

from netprobe.model import (
    Bridge,
    BridgePort,
    Endpoint,
    FoundPeer,
    InterfaceAddress,
    Link,
    LinkRef,
    Namespace,
    Nexthop,
    PolicyRule,
    Probe,
    Protocol,
    Route,
    Snapshot,
)
from netprobe.predict import prefix

MAC = "02:00:00:00:{:02x}:{:02x}"
RULES = tuple(PolicyRule(p, v, table=t) for v in (4, 6) for p, t in ((0, 255), (32766, 254), (32767, 253)) if (v, t) != (6, 253))


def veth(index: int, name: str, mac: str, peer: int, nsid: int | None, **more: object) -> Link:
    """One end of a pair; the other has ifindex `peer` in the namespace called `nsid`."""
    return Link(index, name, "veth", mac, link=LinkRef(peer, nsid), **more)  # type: ignore[arg-type]


def port(index: int, name: str, peer: int, nsid: int, master: int, **settings: object) -> Link:
    return veth(index, name, MAC.format(9, index), peer, nsid, master=master, port=BridgePort(**settings))  # type: ignore[arg-type]


def lo(*addresses: str) -> tuple[Link, tuple[InterfaceAddress, ...]]:
    found = [InterfaceAddress(1, "127.0.0.1", 8, scope="host")]
    found += [InterfaceAddress(1, a, 128 if ":" in a else 32) for a in addresses]
    return Link(1, "lo", "loopback", mtu=65536), tuple(found)


def local(*addresses: str) -> tuple[Route, ...]:
    """The local table's entries for these addresses and for loopback."""
    prefixes = ["127.0.0.0/8", *(f"{a}/{128 if ':' in a else 32}" for a in addresses)]
    return tuple(Route(p, "local", 255, (Nexthop(1),), scope="host") for p in prefixes)


def via(dst: str, gateway: str | None, index: int, **more: object) -> Route:
    return Route(dst, nexthops=(Nexthop(index, gateway),), **more)  # type: ignore[arg-type]


def red() -> Namespace:
    loopback, own = lo()
    eth0 = veth(2, "eth0", MAC.format(1, 2), 3, 0)
    return Namespace("red", links=(loopback, eth0), addresses=(*own, InterfaceAddress(2, "10.0.0.2", 32)), rules=RULES,
                     routes=(*local("10.0.0.2"), via("0.0.0.0/0", "10.0.0.1", 2)), sysctls={"net.ipv4.ip_forward": "0"})  # fmt: skip


def host() -> Namespace:
    loopback, own = lo()
    links = (
        loopback,
        Link(2, "br0", "bridge", MAC.format(2, 2), bridge=Bridge()),
        port(3, "veth0", 2, 1, 2),
        veth(4, "eth0", MAC.format(2, 4), 2, 2),
        Link(5, "docker0", "bridge", MAC.format(2, 5), bridge=Bridge()),
        port(6, "vethc1", 2, 3, 5),
        port(7, "vethc2", 2, 4, 5),
    )
    addresses = (*own, InterfaceAddress(2, "10.0.0.1", 16), InterfaceAddress(4, "203.0.113.2", 24), InterfaceAddress(5, "172.17.0.1", 16))
    routes = (
        *local("10.0.0.1", "203.0.113.2", "172.17.0.1"),
        via("10.0.0.0/16", None, 2),
        via("203.0.113.0/24", None, 4),
        via("172.17.0.0/16", None, 5),
        via("0.0.0.0/0", "203.0.113.1", 4),
    )
    return Namespace("host", links=links, addresses=addresses, routes=routes, rules=RULES, sysctls={"net.ipv4.ip_forward": "1"})


def internet() -> Namespace:
    loopback, own = lo("8.8.8.8")
    eth0 = veth(2, "eth0", MAC.format(3, 2), 4, 0)
    addresses = (*own, InterfaceAddress(2, "203.0.113.1", 24))
    routes = (*local("8.8.8.8", "203.0.113.1"), via("203.0.113.0/24", None, 2), via("10.0.0.0/16", "203.0.113.2", 2))
    return Namespace("internet", links=(loopback, eth0), addresses=addresses, routes=routes, rules=RULES)


def container(name: str, number: int) -> Namespace:
    loopback, own = lo()
    eth0 = veth(2, "eth0", MAC.format(4, number), 5 + number, 0)
    address = f"172.17.0.{1 + number}"
    routes = (*local(address), via("172.17.0.0/16", None, 2), via("0.0.0.0/0", "172.17.0.1", 2))
    return Namespace(name, links=(loopback, eth0), addresses=(*own, InterfaceAddress(2, address, 16)), routes=routes, rules=RULES)


def tutorial() -> Snapshot:
    """All five namespaces, wired; internet has a route back to 10.0.0.0/16, so that no translation is needed."""
    spaces = (red(), host(), internet(), container("c1", 1), container("c2", 2))
    peers = [FoundPeer("host", nsid, name) for nsid, name in ((1, "red"), (2, "internet"), (3, "c1"), (4, "c2"))]
    peers += [FoundPeer(name, 0, "host") for name in ("red", "internet", "c1", "c2")]
    return Snapshot({n.name: n for n in spaces}, tuple(peers))


def with_link_locals(snapshot: Snapshot) -> Snapshot:
    """The snapshot with the IPv6 addresses that the kernel makes of the MACs of interfaces, without which nobody is asked for."""
    for namespace in snapshot.namespaces.values():
        made = ((link.index, prefix.link_local(link.mac)) for link in namespace.links)
        own = tuple(InterfaceAddress(index, address, 64, scope="link") for index, address in made if address is not None)
        snapshot = edited(snapshot, namespace.name, addresses=(*namespace.addresses, *own))
    return snapshot


def edited(snapshot: Snapshot, name: str, **fields: object) -> Snapshot:
    """The snapshot with one namespace's fields replaced."""
    return snapshot.with_namespace(replace(snapshot[name], **fields))  # type: ignore[arg-type]


def relinked(snapshot: Snapshot, name: str, interface: str, **fields: object) -> Snapshot:
    """The snapshot with one interface's fields replaced."""
    links = tuple(replace(link, **fields) if link.name == interface else link for link in snapshot[name].links)  # type: ignore[arg-type]
    return edited(snapshot, name, links=links)


def probe(source: str = "red", dst: str = "8.8.8.8", protocol: Protocol = Protocol.ICMP, **more: object) -> Probe:
    return Probe(protocol, "00112233445566778899", Endpoint(source, source), Endpoint(dst, address=dst), icmp_id=7, **more)  # type: ignore[arg-type]
