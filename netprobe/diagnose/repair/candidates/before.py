"""What was otherwise when the probe passed, put back: an earlier run of the same question is the evidence.

Pure.

What the kernel makes by itself comes back with what it was made of, and is no candidate of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec.structs import replace

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.since import are_read
from netprobe.model import (
    Command,
    FdbEntry,
    InterfaceAddress,
    Link,
    Namespace,
    Object,
    Route,
    Stage,
    Stop,
)
from netprobe.model.lookup import but, column, holding, not_among, those_not_in, where
from netprobe.predict import fib, fixes, prefix, routing
from netprobe.predict.drop import lost

from . import before_links, before_rules, settings

Find = Callable[[Loss, Namespace, Namespace], Iterator[Stop]]

_SURE = 1000  # it worked so: more than what others on a segment agree on
_MADE = ("kernel", "ra", "redirect")  # routes that nobody typed
_METRIC6 = 1024  # IP6_RT_PRIO_USER: of an IPv6 route for which none is said


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each thing that is otherwise than it was, as it was."""
    yield from _put_back(loss, FINDERS)


def routes(loss: Loss) -> Iterator[Repair]:
    """The routes alone: those that went with something else."""
    yield from _put_back(loss, (_routes,))


def _put_back(loss: Loss, finders: tuple[Find, ...]) -> Iterator[Repair]:
    if loss.before is None:
        return
    for name, then in loss.before.namespaces.items():
        if not are_read(loss.before, loss.snapshot, name):
            continue
        for find in finders:
            for stop in _found(find, loss, then, loss.snapshot[name]):
                made = loss.repair(_placed(loss, stop), Merit.RESTORES, agreeing=_SURE)
                for each in made:
                    yield replace(each, put_back=True)


def _found(find: Find, loss: Loss, then: Namespace, now: Namespace) -> tuple[Stop, ...]:
    """What there is to put back; nothing where a saved run contradicts itself."""
    try:
        return tuple(find(loss, then, now))
    except (ValueError, KeyError, IndexError):
        return ()


def _placed(loss: Loss, stop: Stop) -> Stop:
    """At the walk's own end, where that is of the same interface and has the same name."""
    own, place = loss.stop.place, stop.place
    same = (own.namespace, own.interface) == (place.namespace, place.interface)
    if same and loss.stop.code == stop.code:
        return replace(stop, place=own)
    return stop


# ---- addresses


def _addresses(loss: Loss, then: Namespace, now: Namespace) -> Iterator[Stop]:
    for was in then.links:
        link = now.link_named(was.name)
        if link is None:
            continue
        for version in (4, 6):
            old, new = _lasting(then, was, version), _lasting(now, link, version)
            gone = not_among(old, written={*column(new, "written")})
            come = not_among(new, written={*column(old, "written")})
            yield from _of_link(loss, now, link, gone, come)


def _lasting(namespace: Namespace, link: Link, version: int) -> tuple[InterfaceAddress, ...]:
    return but(namespace.addresses_of(link, version), scope="link")


def _of_link(
    loss: Loss,
    now: Namespace,
    link: Link,
    gone: tuple[InterfaceAddress, ...],
    come: tuple[InterfaceAddress, ...],
) -> Iterator[Stop]:
    """The addresses back that are gone; where another came in the place of one, without that."""
    if len(gone) == len(come) == 1:
        yield _exchanged(now, link, gone[0], come[0])
        return
    for old in gone:
        text = f"the address {_named(old, link)} of {now.name} is gone: it was there when the probe passed"
        add = fixes.address("add", old, link)
        yield _address(_lost_code(now, link, old), now, link, old, text, (add,))
    for new in come:
        text = f"the address {_named(new, link)} of {now.name} is new: it was not there when the probe passed"
        code = "addr-duplicate" if _is_taken(loss, now, new) else "route-overlap"
        yield _address(code, now, link, new, text, (fixes.address("del", new, link),))


def _is_taken(loss: Loss, now: Namespace, own: InterfaceAddress) -> bool:
    """Whether another namespace has the address, as far as it was read."""
    others = but(loss.snapshot.namespaces.values(), name=now.name)
    return any(each.owner_of(own.address) for each in others)


def _exchanged(now: Namespace, link: Link, old: InterfaceAddress, new: InterfaceAddress) -> Stop:
    text = f"{link.name} in {now.name} has {new.written}, and had {old.written} when the probe passed"
    code = "addr-wrong-prefix" if old.address == new.address else "addr-wrong-subnet"
    fix = (fixes.address("add", old, link), fixes.address("del", new, link))
    return _address(code, now, link, new, text, fix)


def _lost_code(now: Namespace, link: Link, old: InterfaceAddress) -> str:
    others = where(now.addresses_of(link, old.version), scope="global")
    if others and link.kind != "loopback":
        return "addr-wrong-subnet"
    return "addr-missing"


def _named(address: InterfaceAddress, link: Link) -> str:
    return f"{address.written} dev {link.name}"


def _address(
    code: str, now: Namespace, link: Link, own: InterfaceAddress, text: str, fix: tuple[Command, ...]
) -> Stop:
    named = _named(own, link)
    return lost(code, now.name, link, Stage.ROUTE, text, object=Object("address", named, named), fix=fix)


# ---- routes

_REFUSING = {
    "blackhole": "route-blackhole",
    "unreachable": "route-unreachable",
    "prohibit": "route-prohibit",
    "throw": "no-route",
}


def _routes(loss: Loss, then: Namespace, now: Namespace) -> Iterator[Stop]:
    old, new = typed_routes(then), typed_routes(now)
    places = {_place(route): route for route in new.values()}
    kept = {_place(route) for route in old.values()}
    for words, route in old.items():
        if words in new:
            continue
        instead = places.get(_place(route))
        verb = "replace" if instead is not None else "add"
        fix = (fixes.ip(route.dst, "route", verb, *words),)
        yield _back(loss, then, now, route, instead, fix)
    for words, route in new.items():
        if words in old or _place(route) in kept:
            continue
        named = " ".join(_short(now, route))
        text = f"the route {named} of {now.name} is new: it was not there when the probe passed"
        fix = (fixes.ip(route.dst, "route", "del", *_short(now, route), *_metric(route)),)
        yield _route(now, _REFUSING.get(route.type, "route-overlap"), named, text, fix)


def _back(
    loss: Loss, then: Namespace, now: Namespace, route: Route, instead: Route | None, fix: tuple[Command, ...]
) -> Stop:
    """A route that is gone, or that has another in its place."""
    was = " ".join(_short(then, route))
    if instead is None:
        text = f"the route {was} of {now.name} is gone: it was there when the probe passed"
        return _route(now, "no-route", was, text, fix)
    named = " ".join(_short(now, instead))
    code = _REFUSING.get(instead.type, "route-wrong-nexthop")
    if named == was:  # it differs in what does not name it
        was, named = " ".join(route_words(then, route)), " ".join(route_words(now, instead))
        code = "route-wrong-src" if route.source != instead.source else loss.stop.code
    text = f"the route {named} of {now.name} was {was} when the probe passed"
    return _route(now, code, named, text, fix)


def typed_routes(namespace: Namespace) -> dict[tuple[str, ...], Route]:
    """The routes that somebody made, by the words of ip-route(8); multipath ones have no such words here."""
    found = {}
    for route in namespace.routes:
        made = route.table == fib.LOCAL or route.protocol in _MADE
        if not made and len(route.nexthops) <= 1:
            found[route_words(namespace, route)] = route
    return found


def route_words(namespace: Namespace, route: Route) -> tuple[str, ...]:
    """How ip-route(8) is told of a route, with its metric, source and MTU."""
    more = [*_metric(route)]
    if route.source:
        more += ["src", route.source]
    if route.mtu and not route.mtu_lock:
        more += ["mtu", str(route.mtu)]
    if holding(route.nexthops, flags="onlink"):
        more += ["onlink"]
    return (*_short(namespace, replace(route, nhid=None)), *more)  # its object may be gone with it


def _short(namespace: Namespace, route: Route) -> tuple[str, ...]:
    """The words by which a cause names a route."""
    leg = route.nexthops[0] if route.nexthops and route.type in ("unicast", "local") else None
    link = namespace.link_of(leg)
    return fib.words(route, leg, link)


def _metric(route: Route) -> tuple[str, ...]:
    own = _METRIC6 if prefix.version(route.dst) == 6 else 0
    return ("metric", str(route.metric)) if route.metric != own else ()


def _place(route: Route) -> tuple[object, ...]:
    """What one route alone may have (fib_table_insert)."""
    return route.dst, route.table, route.metric, route.tos


def _route(now: Namespace, code: str, named: str, text: str, fix: tuple[Command, ...]) -> Stop:
    return lost(code, now.name, None, Stage.ROUTE, text, object=Object("route", named, named), fix=fix)


# ---- policy rules, neighbours, forwarding entries, sysctls


def _policy_rules(_: Loss, then: Namespace, now: Namespace) -> Iterator[Stop]:
    for rule in those_not_in(then.rules, now.rules):
        text = routing.describe_rule(rule)
        words = text.partition(": ")[2].split()
        fix = (fixes.ip(prefix.WHOLE[rule.version], "rule", "add", "pref", str(rule.priority), *words),)
        code = "rule-local-missing" if rule.table == fib.LOCAL else "rule-wrong-table"
        said = f"the policy rule «{text}» of {now.name} is gone: it was there when the probe passed"
        yield _policy_rule(now, code, text, said, fix)
    for rule in those_not_in(now.rules, then.rules):
        text = routing.describe_rule(rule)
        fix = (fixes.without_policy_rule(prefix.WHOLE[rule.version], text),)
        code = "rule-wrong-table" if rule.action == "lookup" else "rule-prohibit"
        said = f"the policy rule «{text}» of {now.name} is new: it was not there when the probe passed"
        yield _policy_rule(now, code, text, said, fix)


def _policy_rule(now: Namespace, code: str, named: str, text: str, fix: tuple[Command, ...]) -> Stop:
    thing = Object("policy-rule", named, named)
    return lost(code, now.name, None, Stage.ROUTE, text, object=thing, fix=fix)


def _neighbours(_: Loss, then: Namespace, now: Namespace) -> Iterator[Stop]:
    """The permanent entries, which somebody made."""
    old, new = _permanent(then), _permanent(now)
    for name in dict.fromkeys((*old, *new)):
        was, mac = old.get(name), new.get(name)
        address, device = name
        link = now.link_named(device)
        if link is None or was == mac:
            continue
        fix, said = (fixes.forget_neighbour(address, link),), "no permanent one"
        if was is not None:
            fix, said = (with_neighbour(address, was, link),), f"lladdr {was}, permanent,"
        text = f"the neighbour entry of {now.name} for {address} on {device} was {said} when the probe passed"
        id = f"{address} dev {device} lladdr {mac or was}"
        code = "neigh-wrong-entry" if mac is not None else "neigh-no-answer"
        yield lost(code, now.name, link, Stage.NEIGHBOUR, text, object=Object("neighbour", id, id), fix=fix)


def _permanent(namespace: Namespace) -> dict[tuple[str, str], str]:
    """The MACs that somebody wrote, by address and interface."""
    found = {}
    for entry in where(namespace.neighbours, state="permanent", proxy=False):
        link = namespace.link(entry.index)
        if entry.mac and link is not None:
            found[entry.address, link.name] = entry.mac
    return found


def with_neighbour(address: str, mac: str, link: Link) -> Command:
    """`ip neigh replace ADDRESS lladdr MAC dev IFACE nud permanent`."""
    words = (address, "lladdr", mac, "dev", link.name, "nud", "permanent")
    return Command.of("ip", "neigh", "replace", *words)


def _entries(_: Loss, then: Namespace, now: Namespace) -> Iterator[Stop]:
    """The forwarding entries that somebody made, where both times all were read, or the same."""
    if then.forwarded != now.forwarded:
        return
    old, new = _static(then), _static(now)
    for words in those_not_in(old, new):
        named = " ".join(words)
        text = f"the forwarding entry {named} of {now.name} is gone: it was there when the probe passed"
        yield from _entry(now, words, "append" if "dst" in words else "replace", text)
    for words in those_not_in(new, old):
        named = " ".join(words)
        text = f"the forwarding entry {named} of {now.name} is new: it was not there before"
        yield from _entry(now, words, "del", text)


def _static(namespace: Namespace) -> dict[tuple[str, ...], FdbEntry]:
    """By the words of bridge(8)."""
    found = {}
    for entry in where(namespace.fdb, static=True, local=False, vlan=None):
        link = namespace.link(entry.index)
        if link is None:
            continue
        side = ("master", "static") if entry.master is not None else ("self", "permanent")
        remote = fixes.option("dst", entry.remote)
        found[entry.mac, "dev", link.name, *remote, *side] = entry
    return found


def _entry(now: Namespace, words: tuple[str, ...], verb: str, text: str) -> Iterator[Stop]:
    link = now.link_named(words[2])
    if link is None:
        return
    code, named = ("vxlan-fdb-missing", words[:5]) if "dst" in words else ("port-flood-off", words[:4])
    kept, id = words, " ".join(named)
    if verb == "del":
        code, kept = "fdb-wrong-entry", words[:-1]  # the side, and not the state
    fix = (Command.of("bridge", "fdb", verb, *kept),)
    yield lost(code, now.name, link, Stage.BRIDGE, text, object=Object("fdb-entry", id, text), fix=fix)


_MEANINGS = {  # of sysctls that have candidates of their own kind
    "proxy_arp": ("proxy-arp-off", Stage.ARP),
    "proxy_ndp": ("proxy-arp-off", Stage.ARP),
    "accept_ra": ("ra-not-accepted", Stage.ROUTE),
    "nf_conntrack_max": ("conntrack-full", Stage.PREROUTING),
}


def _sysctls(loss: Loss, then: Namespace, now: Namespace) -> Iterator[Stop]:
    for key, was in then.sysctls.items():
        value = now.sysctls.get(key, was)
        if value == was:
            continue
        link = next((link for link in now.links if f".{link.key}." in key), None)
        own = (loss.stop.code, Stage.ROUTE)
        code, stage = settings.meaning(key) or _MEANINGS.get(key.rpartition(".")[2], own)
        code = loss.stop.code if (code, was) == ("forwarding-off", "0") else code  # it is on
        text = f"{key} is {value} in {now.name}, and was {was} when the probe passed"
        thing = Object("sysctl", key, f"{key} = {value}")
        yield lost(code, now.name, link, stage, text, object=thing, fix=fixes.sysctl(key, was))


FINDERS: tuple[Find, ...] = (
    before_links.changed,
    _addresses,
    _routes,
    _policy_rules,
    _neighbours,
    _entries,
    _sysctls,
    before_rules.changed,
)
