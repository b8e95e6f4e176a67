"""Sysctls: each that is not at the value with which packets pass. Pure.

See: ip-sysctl (kernel documentation).
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Leg, Link, Namespace, Object, Stage, Stop
from netprobe.model.link import name_of
from netprobe.model.lookup import among, but, column, find, has, where
from netprobe.predict import fib, fixes, prefix
from netprobe.predict.drop import lost
from netprobe.predict.ttl import ORDINARY, life

from .sets import REFUSED

# The last part of a name, the value with which packets pass, and the cause that another value makes.
_PER_INTERFACE = {
    "net.ipv4.conf": (
        ("forwarding", "1", "forwarding-off", Stage.FORWARD),
        ("rp_filter", "0", "rp-filter", Stage.ROUTE),
        ("src_valid_mark", "0", "rp-filter", Stage.ROUTE),
        ("arp_ignore", "0", "arp-suppressed", Stage.ARP),
        ("arp_filter", "0", "arp-suppressed", Stage.ARP),
        ("arp_announce", "0", "arp-suppressed", Stage.ARP),
        ("accept_local", "1", "martian-source", Stage.ROUTE),
        ("route_localnet", "1", "martian-destination", Stage.ROUTE),
        ("drop_unicast_in_l2_multicast", "0", "neigh-wrong-entry", Stage.ROUTE),
        ("ignore_routes_with_linkdown", "0", "no-route", Stage.ROUTE),
    ),
    "net.ipv6.conf": (
        ("forwarding", "1", "forwarding-off", Stage.FORWARD),
        ("disable_ipv6", "0", "ipv6-disabled", Stage.ROUTE),
        ("hop_limit", "64", "ttl-expired", Stage.OUTPUT),
    ),
}
_GENERAL = (
    ("net.ipv4.ip_forward", "1", "forwarding-off", Stage.FORWARD, 4),
    ("net.ipv4.ip_default_ttl", "64", "ttl-expired", Stage.OUTPUT, 4),
    ("net.ipv4.icmp_echo_ignore_all", "0", "icmp-echo-ignored", Stage.DELIVER, 4),
    ("net.ipv6.icmp.echo_ignore_all", "0", "icmp-echo-ignored", Stage.DELIVER, 6),
    ("net.ipv4.ip_nonlocal_bind", "1", "addr-missing", Stage.OUTPUT, 4),
    ("net.ipv4.fwmark_reflect", "0", "reply-wrong-path", Stage.ROUTE, 4),
    ("net.ipv6.fwmark_reflect", "0", "reply-wrong-path", Stage.ROUTE, 6),
    ("net.ipv4.tcp_fwmark_accept", "0", "reply-wrong-path", Stage.ROUTE, 4),
    ("net.ipv4.tcp_fwmark_accept", "0", "reply-wrong-path", Stage.ROUTE, 6),
)
# The causes of both, and where; of an interface's without its name.
_MEANINGS = {name: (code, stage) for name, _, code, stage, _ in _GENERAL} | {
    f"{family}.{setting}": (code, stage)
    for family, known in _PER_INTERFACE.items()
    for setting, _, code, stage in known
}
# What a machine may well have on purpose - a host that takes foreign packets -, and the end that tells that
# not.
_PURPOSES = {
    "accept_local": "martian-source",
    "route_localnet": "martian-destination",
    "ip_nonlocal_bind": "addr-missing",
}

# What the kernel leaves alone by itself, and what hardly anything else depends on.
_OF_NO_USE = {"disable_ipv6", "src_valid_mark", "fwmark_reflect", "tcp_fwmark_accept"}
_MERITS = dict.fromkeys(_PURPOSES, Merit.GOES_AROUND) | dict.fromkeys(_OF_NO_USE, Merit.RESTORES)


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each sysctl of the namespaces on the way."""
    version = loss.version
    for name in loss.around:
        namespace = loss.snapshot[name]
        for key, passing, code, stage, of in _GENERAL:
            if of == version and _may_be_what_is_wrong(loss, namespace, key, passing):
                yield from _setting(loss, namespace, _out(loss, namespace), key, passing, code, stage)
        for link in (None, *_telling(loss, namespace)):
            yield from _of_interface(loss, namespace, link, version)
    yield from _heeding_marks(loss)
    yield from _announcing(loss)
    yield from _asking_for_ecn(loss)
    yield from _saying_little(loss)
    yield from _living_short(loss)


def _telling(loss: Loss, namespace: Namespace) -> tuple[Link, ...]:
    """The interfaces whose settings may be what is wrong; of hundreds those of the way and some others: a
    host has one for each pod, and sets them alike.
    """
    links = but(namespace.receiving, kind="loopback")
    used = {*column(where(loss.hops, namespace=namespace.name), "interface")}
    some = {*column((*among(links, name=used), *links[:_FEW]), "index")}
    return among(links, index=some)


_FEW = 32


def _living_short(loss: Loss) -> Iterator[Repair]:
    """A sender whose route gives its packets few hops; what all routes give is a sysctl."""
    for routed in (each for leg in Leg for each in loss.asked(leg)[:1]):
        namespace, out = loss.snapshot[routed.namespace], loss.out(routed)
        own = life(namespace, prefix.version(routed.dst), routed.decision)
        if own.object.kind == "route" and own.ttl < ORDINARY:
            text = f"the route {own.object.text} of {namespace.name} lets its packets go {own.ttl} hops"
            name = namespace.name
            stop = lost("ttl-expired", name, out, Stage.OUTPUT, text, object=own.object, fix=own.fix)
            yield from loss.repair(stop, Merit.RESTORES)


def _heeding_marks(loss: Loss) -> Iterator[Repair]:
    """What looks at the mark of a packet, where policy rules tell ways apart by marks: answers that get that
    of their question, and the source check (ip-sysctl, fwmark_reflect, tcp_fwmark_accept, src_valid_mark).
    """
    version, connects = loss.version, loss.probe.protocol.connects
    answering = (f"net.ipv{version}.fwmark_reflect", *_OF_CONNECTIONS[connects])
    heeding = [("reply-wrong-path", each.namespace, loss.out(each)) for each in loss.asked(Leg.REPLY)[:1]]
    heeding += [("rp-filter", loss.here.name, loss.here.link_named(hop.interface)) for hop in loss.refused]
    for code, name, link in heeding:
        namespace = loss.snapshot[name]
        by_mark = but(where(namespace.rules, version=version), mark=0)
        keys = {"reply-wrong-path": answering}.get(code, ("net.ipv4.conf.all.src_valid_mark",))
        for key in keys if by_mark else ():
            named = f"{key} = {namespace.sysctl(key, '0')}"
            text = f"{name} marks what comes in, and {_UNHEEDED[code]}: {named}"
            thing, fix = Object("sysctl", key, named), fixes.sysctl(key, 1)
            stop = lost(code, name, link, Stage.ROUTE, text, object=thing, fix=fix)
            yield from loss.repair(stop, Merit.RESTORES, agreeing=1)


_UNHEEDED = {
    "reply-wrong-path": "answers do not get the mark",
    "rp-filter": "the way back is looked for without the mark",
}


def _asking_for_ecn(loss: Loss) -> Iterator[Repair]:
    """A connection that asks for ECN, where something on the way refuses it: the kernel only grants it to
    others by default (ip-sysctl, tcp_ecn).
    """
    namespace, key = loss.snapshot.at(loss.probe.source.namespace), "net.ipv4.tcp_ecn"
    if loss.probe.ecn and loss.stop.code in REFUSED:
        text = f"{namespace.name} asks for ECN where it connects ({key} = 1): {loss.stop.text}"
        place = replace(loss.stop.place, namespace=namespace.name, interface=None, stage=Stage.OUTPUT)
        thing, fix = Object("sysctl", key, f"{key} = 1"), fixes.sysctl(key, 2)
        stop = replace(loss.stop, place=place, text=text, object=thing, commands=fix, proof=(loss.stop.text,))
        yield from loss.repair(stop, Merit.RESTORES)


def _saying_little(loss: Loss) -> Iterator[Repair]:
    """A connection that takes only short segments, for its route says so, where something refuses it: such
    were an attack once (CVE-2019-11477).
    """
    for routed in loss.asked(Leg.REQUEST)[:1] if loss.stop.code in REFUSED else ():
        namespace, route, leg = loss.snapshot[routed.namespace], routed.decision.route, routed.decision.leg
        if route is None or leg is None or loss.probe.mss is None:
            continue
        words = fib.words(route, leg, namespace.link_of(leg))
        named = f"{' '.join(words)} advmss {route.advmss}"
        text = f"the route {named} of {namespace.name} has it take short segments alone: {loss.stop.text}"
        place = replace(loss.stop.place, namespace=namespace.name, interface=None, stage=Stage.ROUTE)
        whole = fib.in_full(replace(route, advmss=None), leg, namespace.link_of(leg))
        fix = (fixes.ip(route.dst, "route", "replace", *whole),)
        thing, proof = Object("route", named, named), (loss.stop.text,)
        stop = replace(loss.stop, place=place, text=text, object=thing, commands=fix, proof=proof)
        yield from loss.repair(stop, Merit.RESTORES)


_OF_CONNECTIONS = {True: ("net.ipv4.tcp_fwmark_accept",), False: ()}


_IN_WHOSE_NAME = {"arp-filtered", "arp-suppressed", "neigh-no-answer"}  # ends of a question


def _announcing(loss: Loss) -> Iterator[Repair]:
    """Questions that bear the source of a packet, which is no address of the interface that asks: they are to
    bear one that is (ip-sysctl, arp_announce).
    """
    for routed in loss.prediction.routed[-1:] if loss.stop.code in _IN_WHOSE_NAME else ():
        namespace, out = loss.snapshot[routed.namespace], loss.out(routed)
        owner = namespace.owner_of(routed.src)
        if out is None or owner in (None, out):
            continue
        key = f"net.ipv4.conf.{out.key}.arp_announce"
        text = (
            f"{namespace.name} asks by {out.name} in the name of {routed.src}, which is an address of"
            f" {name_of(owner)}: {key} = {namespace.sysctl(key, '0')}"
        )
        thing = Object("sysctl", key, f"{key} = {namespace.sysctl(key, '0')}")
        stop = lost(
            "arp-suppressed", namespace.name, out, Stage.ARP, text, object=thing, fix=fixes.sysctl(key, 2)
        )
        yield from loss.repair(stop, Merit.RESTORES)


def _may_be_what_is_wrong(loss: Loss, namespace: Namespace, key: str, passing: str) -> bool:
    """Whether a sysctl has another value than the one that lets packets pass; of a station that the packet
    never comes to, not that which would make a router of it.
    """
    beside = namespace.name not in loss.way and _makes_a_router(namespace, key)
    return not beside and _is_otherwise(namespace, key, passing)


def _is_otherwise(namespace: Namespace, key: str, passing: str) -> bool:
    """Whether a sysctl has another value than the one that lets packets pass."""
    ordinary = "0" if key.rpartition(".")[2] in _PURPOSES else passing
    return namespace.sysctl(key, ordinary) != passing


def _out(loss: Loss, namespace: Namespace) -> Link | None:
    """The interface by which a namespace sends first, as the place of a setting that has none."""
    first = find(loss.hops, namespace=namespace.name)
    if first is not None:
        return namespace.link_named(first.interface)
    return None


def _of_interface(loss: Loss, namespace: Namespace, link: Link | None, version: int) -> Iterator[Repair]:
    family = f"net.ipv{version}.conf"
    scope = link.key if link is not None else "all"
    for setting, passing, code, stage in _PER_INTERFACE[family]:
        key = f"{family}.{scope}.{setting}"
        if _may_be_what_is_wrong(loss, namespace, key, passing):
            yield from _setting(loss, namespace, link, key, passing, code, stage)


def _setting(
    loss: Loss, namespace: Namespace, link: Link | None, key: str, passing: str, code: str, stage: Stage
) -> Iterator[Repair]:
    now = namespace.sysctl(key, "0")
    stop = lost(
        code,
        namespace.name,
        link,
        stage,
        f"{key} is {now} in {namespace.name}",
        object=Object("sysctl", key, f"{key} = {now}"),
        fix=fixes.sysctl(key, passing),
    )
    if _PURPOSES.get(key.rpartition(".")[2], loss.stop.code) == loss.stop.code:
        returning = link is not None and _comes_home(loss, stop)
        odd = [Merit.UNDOES] * (key.endswith(".src_valid_mark") and _has_a_way_back(loss))
        yield from loss.repair(stop, Merit.ADDS if returning else max([merit(namespace, key), *odd]))


def _has_a_way_back(loss: Loss) -> bool:
    """Whether the table of the mark has a route of its own to the sender's network, wherever that leads:
    marks are meant for the way back as well then.
    """
    return has(loss.checked, **{"decision.found.is_default": False})


def _comes_home(loss: Loss, setting: Stop) -> bool:
    """Whether the sender's own packet comes back to it, sent round by it, at the very interface of a
    setting: then nobody else has its address.
    """
    own = loss.probe.source.namespace == setting.place.namespace and loss.prediction.leg is Leg.REQUEST
    here, there = loss.stop.place, setting.place
    return own and setting.code == "martian-source" and here.interface == there.interface


def meaning(key: str) -> tuple[str, Stage] | None:
    """The cause that a sysctl at another value makes, and where; None for one that is not known here."""
    family, setting = ".".join(key.split(".")[:3]), key.rpartition(".")[2]
    return _MEANINGS.get(key) or _MEANINGS.get(f"{family}.{setting}")


def merit(namespace: Namespace, key: str) -> Merit:
    """To make a router of a station with one interface, or a proxy of a host, changes what it is for."""
    if _makes_a_router(namespace, key):
        return Merit.GOES_AROUND
    return _MERITS.get(key.rpartition(".")[2], Merit.UNDOES)


def _makes_a_router(namespace: Namespace, key: str) -> bool:
    """Whether a sysctl is the one that would make a router of a station with one interface."""
    is_station = len(but(namespace.links, kind="loopback")) < 2
    return is_station and key.rpartition(".")[2] in ("forwarding", "ip_forward")
