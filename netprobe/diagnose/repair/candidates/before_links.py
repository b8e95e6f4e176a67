"""Interfaces as they were when the probe passed: up, plugged in, as long, without a filter. Pure.

See: ip-link(8), bridge(8), tc(8).
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter

from netprobe.diagnose.repair.repair import Loss
from netprobe.model import Command, Link, Namespace, Object, Stage, Stop
from netprobe.model.lookup import column, first
from netprobe.predict import fixes
from netprobe.predict.drop import link_down, lost

_WHEN = "when the probe passed"
_WORDS = {True: "on", False: "off"}
_FLAGS = {  # of a port: the word of bridge(8), and the cause that another value makes
    "isolated": ("isolated", "port-isolated"),
    "unicast_flood": ("flood", "port-flood-off"),
    "multicast_flood": ("mcast_flood", "port-flood-off"),
    "broadcast_flood": ("bcast_flood", "port-flood-off"),
    "hairpin": ("hairpin", ""),
    "guard": ("guard", ""),
    "learning": ("learning", ""),
    "locked": ("locked", ""),
    "neigh_suppress": ("neigh_suppress", ""),
}


def changed(loss: Loss, then: Namespace, now: Namespace) -> Iterator[Stop]:
    """Each interface that both know, as far as it was otherwise."""
    for was in then.links:
        link = now.link_named(was.name)
        if link is None or link == was:
            continue
        yield from _switched(now, was, link)
        yield from _plugged(then, now, was, link)
        yield from _set(loss, now, was, link)
        yield from _port(loss, now, was, link)
        yield from _traffic(now, was, link)


def _switched(now: Namespace, was: Link, link: Link) -> Iterator[Stop]:
    if was.up and not link.up:
        yield link_down(now.name, link, Stage.ROUTE)


_NONE = Link(0, "no bridge")  # what an interface is plugged into that is a port of none


def _plugged(then: Namespace, now: Namespace, was: Link, link: Link) -> Iterator[Stop]:
    old, new = then.link(was.master) or _NONE, now.link(link.master) or _NONE
    gone = old is not _NONE and now.link_named(old.name) is None
    if old.name == new.name or gone:
        return
    words = ("nomaster",) if old is _NONE else ("master", old.name)
    text = f"{link.name} in {now.name} is a port of {new.name}, and was one of {old.name} {_WHEN}"
    code, thing = "port-wrong-bridge", Object("bridge-port", link.name, f"{link.name} master {new.name}")
    if new is _NONE:
        code, thing = "port-not-in-bridge", Object("link", link.name, f"{link.name} has no master")
    yield lost(code, now.name, link, Stage.BRIDGE, text, object=thing, fix=(fixes.link_set(link, *words),))


def _set(loss: Loss, now: Namespace, was: Link, link: Link) -> Iterator[Stop]:
    """What `ip link set` sets by a word."""
    short = loss.stop.code if loss.stop.code.startswith("mtu-") else "mtu-exceeded"
    mode = ("type", "macvlan", "mode", was.macvlan_mode or "")
    pairs = (
        (was.mtu, link.mtu, "an MTU of", ("mtu", str(was.mtu)), short),
        (was.mac, link.mac, "the MAC address", ("address", was.mac), "mac-duplicate"),
        (_WORDS[was.arp], _WORDS[link.arp], "arp", ("arp", _WORDS[was.arp]), "arp-disabled"),
        (was.macvlan_mode, link.macvlan_mode, "the macvlan mode", mode, "macvlan-mode-isolated"),
    )
    for before, value, what, words, code in pairs:
        if before == value or not before:
            continue
        text = f"{link.name} in {now.name} has {what} {value}, and had {before} {_WHEN}"
        thing = Object("link", link.name, f"{link.name} {words[-2]} {value}")
        fix = (fixes.link_set(link, *words),)
        yield lost(code, now.name, link, Stage.TRANSMIT, text, object=thing, fix=fix)
    if was.bridge and link.has_stp and not was.has_stp:
        text = f"{link.name} in {now.name} runs a spanning tree, and had none {_WHEN}"
        thing = Object("link", link.name, f"{link.name} stp_state 1")
        fix = (fixes.link_set(link, "type", "bridge", "stp_state", "0"),)
        yield lost("port-not-forwarding", now.name, link, Stage.BRIDGE, text, object=thing, fix=fix)


def _port(loss: Loss, now: Namespace, was: Link, link: Link) -> Iterator[Stop]:
    """The settings of a bridge port."""
    if was.port is None or link.port is None:
        return
    for field, (word, code) in _FLAGS.items():
        before, value = getattr(was.port, field), getattr(link.port, field)
        if before == value:
            continue
        named = f"{word} of the bridge port {link.name} in {now.name}"
        text = f"{named} is {_WORDS[value]}, and was {_WORDS[before]} {_WHEN}"
        thing = Object("bridge-port", link.name, f"{link.name} {word} {_WORDS[value]}")
        fix = (fixes.bridge_port(link, word, _WORDS[before]),)
        yield lost(code or loss.stop.code, now.name, link, Stage.BRIDGE, text, object=thing, fix=fix)
    if was.port.state == "forwarding" and link.port.state != "forwarding" and link.runs:
        text = f"the bridge port {link.name} in {now.name} is {link.port.state}, and was forwarding {_WHEN}"
        thing = Object("bridge-port", link.name, f"{link.name} state {link.port.state}")
        fix = (fixes.bridge_port(link, "state", "3"),)
        yield lost("port-not-forwarding", now.name, link, Stage.BRIDGE, text, object=thing, fix=fix)


def _traffic(now: Namespace, was: Link, link: Link) -> Iterator[Stop]:
    """Queueing disciplines, filters and programs that are new."""
    known = {(q.parent, q.kind, q.text) for q in was.qdiscs}
    for each in link.qdiscs:
        if (each.parent, each.kind, each.text) not in known:
            named = each.text or each.kind
            text = f"the qdisc {named} on {link.name} in {now.name} was not there {_WHEN}"
            thing = Object("qdisc", f"{link.name} {each.kind}", named)
            fix = (Command.of("tc", "qdisc", "del", "dev", link.name, *each.parent.split()),)
            yield lost("qdisc-drop", now.name, link, Stage.QDISC, text, object=thing, fix=fix)
    new = first(link.filters, attrgetter("direction"))
    for side in sorted(new.keys() - {*column(was.filters, "direction")}):
        text = f"the {side} filter of {link.name} in {now.name} was not there {_WHEN}"
        code = "filtered-by-tc" if new[side].target is None else "diverted-by-tc"
        fix = (Command.of("tc", "filter", "del", "dev", link.name, side),)
        thing = Object("tc-filter", f"{link.name} {side}", new[side].text)
        yield lost(code, now.name, link, Stage(side), text, object=thing, fix=fix)
    if link.xdp and not was.xdp:
        text = f"the XDP program on {link.name} in {now.name} was not there {_WHEN}"
        thing = Object("xdp", f"{link.name} xdp", link.xdp)
        fix = (fixes.xdp_off(link),)
        yield lost("filtered-by-xdp", now.name, link, Stage.RECEIVE, text, object=thing, fix=fix)
