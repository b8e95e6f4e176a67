"""What a namespace holds, each thing by its name and as text: two such lists can be compared.

Left out is what changes by itself: counters, timers, what neighbours and bridges learn, interface numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any

from netprobe.model import (
    Bridge,
    BridgePort,
    FdbEntry,
    InterfaceAddress,
    Link,
    LinkRef,
    Namespace,
    Neighbour,
    Nexthop,
    PolicyRule,
    Route,
    Snapshot,
    Socket,
    Vxlan,
    XfrmPolicy,
)
from netprobe.model.link import name_of
from netprobe.model.lookup import find, those_in, those_not_in, where
from netprobe.predict import fib, prefix, routing
from netprobe.predict.outcome import is_group

Item = tuple[str, str, str]  # kind, name, text

_VOLATILE = ("nf_conntrack_count", ".mtu")  # the second follows the link's own
_TABLES = {fib.LOCAL: "local", fib.MAIN: "", fib.DEFAULT: "default"}


def inventory(snapshot: Snapshot, name: str, beside: Namespace | None = None) -> dict[tuple[str, str], str]:
    """Everything that namespace `name` holds besides its rulesets: (kind, name) to text, in the order of a
    person's look. What `beside` holds just so may be left out.
    """
    namespace = snapshot[name]
    other = beside if beside is not None and _named(beside) == _named(namespace) else Namespace("")
    found: dict[tuple[str, str], str] = {}
    for kind, key, text in chain(_links(snapshot, namespace, other), _items(namespace, other)):
        found[kind, key] = f"{found[kind, key]}; {text}" if (kind, key) in found else text
    return found


def _named(namespace: Namespace) -> list[tuple[int, str]]:
    """The names by which other things speak of interfaces."""
    return [(link.index, link.name) for link in namespace.links]


def _items(namespace: Namespace, other: Namespace) -> Iterator[Item]:
    parts: dict[str, Callable[[Namespace, Any], Iterator[Item]]] = {
        "addresses": _address, "routes": _route, "rules": _policy_rule, "neighbours": _neighbour, "fdb": _fdb,
        "sysctls": _sysctl, "sockets": _socket, "xfrm": _xfrm, "cgroup_programs": _program,
    }  # fmt: skip
    for part, told in parts.items():
        things = getattr(namespace, part)
        if things != getattr(other, part):
            yield from chain.from_iterable(told(namespace, thing) for thing in things or ())


def _links(snapshot: Snapshot, namespace: Namespace, other: Namespace) -> Iterator[Item]:
    for link in namespace.links:
        known = other.link(link.index)
        if link != known:
            yield "link", link.name, _link(namespace, link)
        far = _far_end(snapshot, namespace, link)
        if far:
            yield "wire", link.name, far
        if link.port is not None and link != known:
            yield "bridge-port", link.name, _settings(link.port)


def _name(namespace: Namespace, index: int | None, unknown: str = "?") -> str:
    return name_of(namespace.link(index), unknown)


def _link(namespace: Namespace, link: Link) -> str:
    states = {(True, True): ("up",), (True, False): ("up", "no carrier")}
    return joined(
        link.kind,
        *states.get((link.up, link.carrier), ("down",)),
        f"mtu {link.mtu}",
        link.mac,
        said("master", _name(namespace, link.master, "")),
        "" if link.arp else "noarp",
        said("mode", link.macvlan_mode),
        said("vlan", link.vlan_id),
        _settings(link.bridge),
        _settings(link.vxlan),
        said("xdp", link.xdp),
        *(f"qdisc {q.parent} {q.text.removeprefix('qdisc ') or q.kind}" for q in link.qdiscs),
        *(f"filter {f.direction} {f.text.removeprefix(f'filter {f.direction} ')}" for f in link.filters),
        by=", ",
    )


def _far_end(snapshot: Snapshot, namespace: Namespace, link: Link) -> str:
    """Where a veth leads or a stacked device stands, by names: ifindexes change with every container."""
    ref = link.link or LinkRef(0)
    there = snapshot.at(_called(snapshot, namespace.name, ref.nsid))
    far = there.link(ref.index)
    return f"{there.name}/{far.name}" if far is not None else ""


def _called(snapshot: Snapshot, name: str, nsid: int | None) -> str | None:
    """The namespace that another one calls `nsid`; None is its own."""
    if nsid is None:
        return name
    found = find(snapshot.peers, namespace=name, nsid=nsid)
    return found.peer if found is not None else None


def _settings(thing: BridgePort | Bridge | Vxlan | None) -> str:
    """The fields of a settings value that are not as they are made: "state blocking, isolated"."""
    from msgspec.structs import fields

    values = ((field, getattr(thing, field.name)) for field in (fields(thing) if thing is not None else ()))
    return " ".join(
        _setting(field.name, value)
        for field, value in values
        if field.name in ("state", "vni", "port") or value != field.default
    )


def _setting(name: str, value: object) -> str:
    if isinstance(value, bool):
        return name if value else f"no {name}"
    return f"{name} {value}"


def _address(namespace: Namespace, address: InterfaceAddress) -> Iterator[Item]:
    flags = those_not_in(address.flags, ("permanent", "tentative", "deprecated"))
    peer = address.peer if address.peer != address.address else None
    name = f"{address.address}/{address.prefixlen} dev {_name(namespace, address.index)}"
    yield "address", name, joined(said("peer", peer), *flags)


def _route(namespace: Namespace, route: Route) -> Iterator[Item]:
    """A route; of one that the kernel makes for an address, the address is compared already."""
    if (route.table, route.protocol) == (fib.LOCAL, "kernel"):
        return
    table = said("table", _TABLES.get(route.table, str(route.table)))
    name = joined(route.dst, table, said("metric", route.metric))
    yield (
        "route",
        name,
        joined(
            "" if route.type == "unicast" else route.type,
            *(_leg(namespace, leg) for leg in route.nexthops),
            said("src", route.source),
            said("mtu lock" if route.mtu_lock else "mtu", route.mtu),
        ),
    )


def _leg(namespace: Namespace, leg: Nexthop) -> str:
    flags = those_in(leg.flags, ("dead", "linkdown"))
    return joined(said("via", leg.via), f"dev {_name(namespace, leg.index)}", *flags)


def _policy_rule(_namespace: Namespace, rule: PolicyRule) -> Iterator[Item]:
    yield "policy-rule", f"IPv{rule.version} {routing.describe_rule(rule)}", ""


def _neighbour(namespace: Namespace, entry: Neighbour) -> Iterator[Item]:
    """An entry that was learned or written: on a device that asks nobody the kernel makes them itself, as for
    a group (net/ipv4/arp.c, arp_constructor).

    Learned entries come and go and are compared by their MAC alone, if both runs have one.
    """
    silent = where(namespace.links, index=entry.index, asks=False)
    if prefix.is_multicast(entry.address) or (silent and entry.state != "permanent"):
        return
    name = joined("proxy" if entry.proxy else "", f"{entry.address} dev {_name(namespace, entry.index)}")
    state = _WRITTEN.get(entry.state, "learned")
    yield "neighbour", name, f"lladdr {entry.mac} {state}" if entry.mac else "failed"


_WRITTEN = {"permanent": "permanent", "noarp": "noarp"}


def _fdb(namespace: Namespace, entry: FdbEntry) -> Iterator[Item]:
    """A forwarding entry; none of the bridge's own, and no multicast filter of the device itself, which comes
    with its addresses.
    """
    if entry.local or (is_group(entry.mac) and (entry.master, entry.remote) == (None, None)):
        return
    master = f"master {_name(namespace, entry.master)}" if entry.master else "self"
    name = joined(entry.mac, said("vlan", entry.vlan), master)
    state = entry.state if entry.static else "learned"
    yield (
        "fdb-entry",
        name,
        joined(f"dev {_name(namespace, entry.index)}", said("dst", entry.remote), state),
    )


def _sysctl(namespace: Namespace, name: str) -> Iterator[Item]:
    if not name.endswith(_VOLATILE):
        yield "sysctl", name, namespace.sysctls[name]


def _socket(_namespace: Namespace, socket: Socket) -> Iterator[Item]:
    if socket.state != "established":
        yield "socket", f"{socket.protocol} {socket.address}:{socket.port}", ""


_KEYED = {None: "", True: "with keys", False: "without keys"}


def _xfrm(_namespace: Namespace, policy: XfrmPolicy) -> Iterator[Item]:
    name = f"{policy.src} {policy.dst} dir {policy.direction}"
    yield "xfrm", name, joined(policy.action, *policy.templates, _KEYED[policy.keyed])


def _program(_namespace: Namespace, program: str) -> Iterator[Item]:
    yield "cgroup", program, ""


def said(label: str, value: object) -> str:
    """A value with what it is called; nothing where there is none."""
    return f"{label} {value}" if value else ""


def joined(*parts: str, by: str = " ") -> str:
    """Those of the parts that say something."""
    return by.join(filter(None, parts))


def some(parts: Sequence[str], most: int) -> str:
    """The first of the parts, and how many there are more."""
    shown = ", ".join(parts[:most])
    if len(parts) > most:
        return f"{shown} and {len(parts) - most} more"
    return shown
