"""What a namespace holds, each thing by its name and as text: two such lists can be compared.

Left out is what changes by itself: counters, timers, what neighbours and bridges learn, interface numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from netprobe.model import (
    FdbEntry,
    InterfaceAddress,
    Link,
    Namespace,
    Neighbour,
    Nexthop,
    Route,
    Snapshot,
    XfrmPolicy,
)
from netprobe.predict import fib, prefix, routing
from netprobe.predict.outcome import is_group

Item = tuple[str, str, str]  # kind, name, text

_VOLATILE = ("nf_conntrack_count", ".mtu")  # the second follows the link's own
_TABLES = {fib.LOCAL: "local", fib.MAIN: "main", fib.DEFAULT: "default"}


def inventory(snapshot: Snapshot, name: str) -> dict[tuple[str, str], str]:
    """Everything that namespace `name` holds besides its rulesets: (kind, name) to text, in the order of a
    person's look.
    """
    found: dict[tuple[str, str], str] = {}
    for kind, key, text in _items(snapshot, snapshot[name]):
        found[kind, key] = f"{found[kind, key]}; {text}" if (kind, key) in found else text
    return found


def _items(snapshot: Snapshot, namespace: Namespace) -> Iterator[Item]:
    for link in namespace.links:
        yield from _of_link(snapshot, namespace, link)
    of = _namer(namespace)
    yield from (_address(of, address) for address in namespace.addresses)
    yield from (_route(of, route) for route in namespace.routes if not _automatic(route))
    yield from (
        ("policy-rule", f"IPv{rule.version} {routing.describe_rule(rule)}", "") for rule in namespace.rules
    )
    yield from (_neighbour(of, entry) for entry in namespace.neighbours if _is_told(namespace, entry))
    yield from (_fdb(of, entry) for entry in namespace.fdb if not entry.local and not _own_group(entry))
    settings = (each for each in sorted(namespace.sysctls.items()) if not each[0].endswith(_VOLATILE))
    yield from (("sysctl", key, value) for key, value in settings)
    waiting = (each for each in namespace.sockets or () if each.state != "established")
    yield from (_socket(each.protocol, each.address, each.port) for each in waiting)
    yield from map(_xfrm, namespace.xfrm or ())
    yield from (("cgroup", program, "") for program in namespace.cgroup_programs)


def _of_link(snapshot: Snapshot, namespace: Namespace, link: Link) -> Iterator[Item]:
    yield "link", link.name, _link(namespace, link)
    far = _far_end(snapshot, namespace, link)
    if far:
        yield "wire", link.name, far
    if link.port is not None:
        yield "bridge-port", link.name, _settings(link.port)


def _namer(namespace: Namespace) -> Callable[[int | None], str]:
    names = {link.index: link.name for link in namespace.links}
    return lambda index: names.get(index or 0, "?")


def _link(namespace: Namespace, link: Link) -> str:
    master = namespace.link(link.master)
    parts = [
        link.kind,
        "up" if link.up else "down",
        "" if link.carrier or not link.up else "no carrier",
        f"mtu {link.mtu}",
        link.mac,
    ]
    parts += [f"master {master.name}" if master else "", "" if link.arp else "noarp"]
    parts += [
        f"mode {link.macvlan_mode}" if link.macvlan_mode else "",
        f"vlan {link.vlan_id}" if link.vlan_id is not None else "",
    ]
    parts += [
        _settings(link.bridge) if link.bridge else "",
        _settings(link.vxlan) if link.vxlan else "",
        f"xdp {link.xdp}" if link.xdp else "",
    ]
    parts += [f"qdisc {q.parent} {q.text.removeprefix('qdisc ') or q.kind}" for q in link.qdiscs]
    parts += [f"filter {f.direction} {f.text.removeprefix(f'filter {f.direction} ')}" for f in link.filters]
    return ", ".join(filter(None, parts))


def _far_end(snapshot: Snapshot, namespace: Namespace, link: Link) -> str:
    """Where a veth leads or a stacked device stands, by names: ifindexes change with every container."""
    if link.link is None or link.link.index == 0:
        return ""
    there = snapshot.get(_called(snapshot, namespace.name, link.link.nsid))
    far = there.link(link.link.index) if there is not None else None
    return f"{there.name}/{far.name}" if there is not None and far is not None else ""


def _called(snapshot: Snapshot, name: str, nsid: int | None) -> str | None:
    """The namespace that another one calls `nsid`; None is its own."""
    if nsid is None:
        return name
    found = (each.peer for each in snapshot.peers if (each.namespace, each.nsid) == (name, nsid))
    return next(found, None)


def _settings(thing: object) -> str:
    """The fields of a settings value that are not as they are made: "state blocking, isolated"."""
    from msgspec import NODEFAULT
    from msgspec.structs import fields

    said = []
    for field in fields(thing):  # type: ignore[arg-type]
        value = getattr(thing, field.name)
        if field.name in ("state", "vni", "port") or (
            value != field.default and field.default is not NODEFAULT
        ):
            said.append(
                {True: field.name, False: f"no {field.name}"}[value]
                if isinstance(value, bool)
                else f"{field.name} {value}"
            )
    return " ".join(said)


def _address(of: Callable[[int | None], str], address: InterfaceAddress) -> Item:
    flags = [flag for flag in address.flags if flag not in ("permanent", "tentative", "deprecated")]
    peer = f"peer {address.peer} " if address.peer and address.peer != address.address else ""
    return (
        "address",
        f"{address.address}/{address.prefixlen} dev {of(address.index)}",
        f"{peer}{' '.join(flags)}".strip(),
    )


def _automatic(route: Route) -> bool:
    """A route that the kernel makes for an address: the address is compared already."""
    return route.table == fib.LOCAL and route.protocol == "kernel"


def _route(of: Callable[[int | None], str], route: Route) -> Item:
    table = "" if route.table == fib.MAIN else f" table {_TABLES.get(route.table, route.table)}"
    metric = f" metric {route.metric}" if route.metric else ""
    legs = " ".join(_leg(of, leg) for leg in route.nexthops)
    extra = [
        f"src {route.source}" if route.source else "",
        f"mtu {'lock ' if route.mtu_lock else ''}{route.mtu}" if route.mtu else "",
    ]
    kind = "" if route.type == "unicast" else route.type
    return "route", f"{route.dst}{table}{metric}", " ".join(part for part in (kind, legs, *extra) if part)


def _leg(of: Callable[[int | None], str], leg: Nexthop) -> str:
    via = f"via {leg.via} " if leg.via else ""
    flags = " ".join(flag for flag in leg.flags if flag in ("dead", "linkdown"))
    return f"{via}dev {of(leg.index)} {flags}".strip()


def _is_told(namespace: Namespace, entry: Neighbour) -> bool:
    """Whether an entry was learned or written: on a device that asks nobody the kernel makes them itself, as
    for a group (net/ipv4/arp.c, arp_constructor).
    """
    link = namespace.link(entry.index)
    asks = link is None or (link.arp and link.kind != "loopback")
    return (asks or entry.state == "permanent") and not prefix.is_multicast(entry.address)


def _neighbour(of: Callable[[int | None], str], entry: Neighbour) -> Item:
    """Learned entries come and go and are compared by their MAC alone, if both runs have one."""
    name = f"{'proxy ' if entry.proxy else ''}{entry.address} dev {of(entry.index)}"
    state = entry.state if entry.state in ("permanent", "noarp") else "learned"
    return "neighbour", name, "failed" if entry.mac is None else f"lladdr {entry.mac} {state}"


def _own_group(entry: FdbEntry) -> bool:
    """A multicast filter of the device itself, which comes with its addresses."""
    return entry.master is None and entry.remote is None and is_group(entry.mac)


def _fdb(of: Callable[[int | None], str], entry: FdbEntry) -> Item:
    vlan = f" vlan {entry.vlan}" if entry.vlan else ""
    master = f" master {of(entry.master)}" if entry.master else " self"
    remote = f" dst {entry.remote}" if entry.remote else ""
    state = entry.state if entry.state in ("permanent", "static") else "learned"
    return "fdb-entry", f"{entry.mac}{vlan}{master}", f"dev {of(entry.index)}{remote} {state}"


def _socket(protocol: str, address: str, port: int) -> Item:
    return "socket", f"{protocol} {address}:{port}", ""


def _xfrm(policy: XfrmPolicy) -> Item:
    keyed = {None: "", True: " with keys", False: " without keys"}[policy.keyed]
    return (
        "xfrm",
        f"{policy.src} {policy.dst} dir {policy.direction}",
        f"{policy.action} {' '.join(policy.templates)}{keyed}".strip(),
    )
