"""Bridge ports and forwarding entries: closed, isolated, not flooded to, pointing to a wrong port. Pure.

See: bridge(8); net/bridge/br_forward.c, br_fdb.c.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice, product

from msgspec.structs import replace

from netprobe.diagnose import nat_rules
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.segment import Station
from netprobe.model import BridgePort, Command, FdbEntry, Link, Namespace, Object, Stage
from netprobe.model.lookup import among, but, has, where
from netprobe.predict import bridge, fixes
from netprobe.predict.drop import lost
from netprobe.predict.outcome import is_group

from .sets import REFUSED

# A port's switch, the word of bridge(8) for it, its ordinary value, and the cause that it makes otherwise.
_SWITCHES = (
    ("isolated", "isolated", False, "port-isolated"),
    ("unicast_flood", "flood", True, "port-flood-off"),
    ("broadcast_flood", "bcast_flood", True, "port-flood-off"),
    ("multicast_flood", "mcast_flood", True, "port-flood-off"),
    ("learning", "learning", True, "port-flood-off"),
    ("locked", "locked", False, "mac-not-allowed"),
    ("neigh_suppress", "neigh_suppress", False, "port-flood-off"),
)
_WORDS = {True: "on", False: "off"}


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each port that is not as a port is made, and each entry that somebody wrote."""
    for name in loss.way:
        namespace = loss.snapshot[name]
        for link in but(namespace.links, port=None):
            yield from _switched(loss, namespace, link)
        yield from _opened(loss, namespace)
        yield from _unwritten(loss, namespace)
        yield from _written(loss, namespace)
        yield from _calling(loss, namespace)
    yield from _not_calling(loss)
    if loss.stop.code == "macvlan-mode-isolated":
        yield from _reflecting(loss)


def _reflecting(loss: Loss) -> Iterator[Repair]:
    """The port to which the parent of macvlans is plugged, sending back what came by it, where all of them
    count on that.
    """
    found = (*filter(None, (loss.snapshot.link_at(loss.stop.place),)),)
    for parent in filter(None, (loss.far_end(namespace.name, link) for namespace, link in found)):
        modes = _modes_on(loss, parent)
        for there, port in filter(None, (loss.far_end(*parent),)):
            text = (
                f"{port.name} of {there} does not send back what came by it: the {len(modes)} macvlans"
                " behind it are of mode vepa, and reach each other so"
            )
            thing = Object("bridge-port", port.name, f"{port.name} hairpin off")
            fix = (fixes.bridge_port(port, "hairpin", "on"),)
            stop = lost("port-not-forwarding", there, port, Stage.BRIDGE_FORWARD, text, object=thing, fix=fix)
            merit = Merit.restoring({*modes} == {"vepa"}, Merit.GOES_AROUND)
            yield from loss.repair(stop, merit, agreeing=len(modes))


def _modes_on(loss: Loss, parent: Station) -> list[str | None]:
    """The modes of the macvlans on an interface."""
    spaces = loss.snapshot.namespaces.values()
    every = chain.from_iterable(product((each.name,), each.links_of("macvlan")) for each in spaces)
    return [link.macvlan_mode for name, link in every if loss.far_end(name, link) == parent]


def _calling(loss: Loss, namespace: Namespace) -> Iterator[Repair]:
    """Each bridge that hands what it bridges to the rules for what is routed, which no bridge does by itself;
    and the namespace that makes all of its bridges do so, as container engines want it.
    """
    tables = {4: "iptables", 6: "ip6tables"}[loss.version]
    key = f"net.bridge.bridge-nf-call-{tables}"
    if loss.stop.place.namespace == namespace.name and namespace.sysctl(key, "0") != "0":
        text = f"{namespace.name} hands what its bridges forward to {tables} ({key}): {loss.stop.text}"
        said = {"object": Object("sysctl", key, f"{key} = 1"), "commands": fixes.sysctl(key, 0)}
        stop = replace(loss.stop, text=text, proof=(loss.stop.text,), advice="", **said)
        yield from loss.repair(stop, Merit.ADDS, agreeing=-1)  # after any exception
    for link in but(namespace.links_of("bridge"), bridge=None):
        if loss.stop.place.namespace == namespace.name and getattr(link.bridge, f"nf_call_{tables}"):
            text = f"{link.name} of {namespace.name} hands what it bridges to {tables}: {loss.stop.text}"
            thing = Object("link", link.name, f"{link.name} nf_call_{tables} 1")
            fix = (fixes.link_set(link, "type", "bridge", f"nf_call_{tables}", "0"),)
            stop = replace(loss.stop, text=text, object=thing, commands=fix, proof=(), advice="")
            yield from loss.repair(stop, Merit.UNDOES)


_PORTS = ("xt physdev-in", "xt physdev-out", "xt physdev-is-in", "xt physdev-is-out", "xt physdev-is-bridged")
_MOST = 512  # rules that are looked through


def _not_calling(loss: Loss) -> Iterator[Repair]:
    """A namespace whose rules ask by which port of a bridge a packet came, and that hands them nothing of
    what comes by a bridge: no packet has a port then, and they pass over all (xt_physdev.c).
    """
    here, tables = loss.here, {4: "iptables", 6: "ip6tables"}[loss.version]
    key = f"net.bridge.bridge-nf-call-{tables}"
    off = loss.stop.code in REFUSED and here.sysctl(key) == "0"
    families = where(here.tables, family={4: "ip", 6: "ip6"}[loss.version]) if off else ()
    every = islice(nat_rules.of_kind(families, "match"), _MOST)
    asking = [each for each in every if among(each.statements, key=_PORTS)]
    for first in asking[:1]:
        text = (
            f"rules of {here.name} ask by which port of a bridge packets came, and {here.name} does not tell"
            f" {tables} ({key}): {loss.stop.text}"
        )
        said = {"object": Object("sysctl", key, f"{key} = 0"), "commands": fixes.sysctl(key, 1)}
        proof = (first.decision.object.text, loss.stop.text)
        stop = replace(loss.stop, text=text, proof=proof, advice="", **said)
        yield from loss.repair(stop, Merit.RESTORES, agreeing=len(asking))


def _opened(loss: Loss, namespace: Namespace) -> Iterator[Repair]:
    """Each port that works, in a state that passes nothing: what it stands in for may be what is down."""
    for master in where(namespace.links, kind="bridge", up=True):
        for port in but(where(namespace.ports(master), runs=True), port_state="forwarding"):
            stop = bridge.not_forwarding(namespace, master, port, Stage.BRIDGE_POSTROUTING)
            yield from loss.repair(stop, Merit.UNDOES)


def _switched(loss: Loss, namespace: Namespace, link: Link) -> Iterator[Repair]:
    for field, word, ordinary, code in _SWITCHES:
        if getattr(link.port, field) is ordinary:
            continue
        now, then = _WORDS[not ordinary], _WORDS[ordinary]
        text = f"the bridge port {link.name} of {namespace.name} has {word} {now}"
        stop = lost(
            code,
            namespace.name,
            link,
            Stage.BRIDGE_FORWARD,
            text,
            object=Object("bridge-port", link.name, f"{link.name} {word} {now}"),
            fix=(fixes.bridge_port(link, word, then),),
        )
        yield from loss.repair(stop, Merit.UNDOES)


def _unwritten(loss: Loss, namespace: Namespace) -> Iterator[Repair]:
    """A station behind a port that neither learns nor is flooded to, and that has no entry, as those behind
    other such ports have one.
    """
    ends = [*loss.known_ends(namespace.name, filter(_is_told_by_hand, namespace.links))]
    known = {link.index for link, (_, far) in ends if has(namespace.fdb, index=link.index, mac=far.mac)}
    for link, (there, far) in ends if known else ():
        if link.index not in known:
            named = f"{far.mac} dev {link.name}"
            text = (
                f"{namespace.name} has no forwarding entry for {there} behind {link.name}, which neither"
                f" learns nor is flooded to, as it has for {len(known)} others"
            )
            fix = (Command.of("bridge", "fdb", "add", far.mac, "dev", link.name, "master", "static"),)
            thing = Object("fdb-entry", named, f"{named} (missing)")
            stop = lost(
                "port-flood-off", namespace.name, link, Stage.BRIDGE_FORWARD, text, object=thing, fix=fix
            )
            yield from loss.repair(stop, Merit.RESTORES, agreeing=len(known))


def _is_told_by_hand(link: Link) -> bool:
    return has([link.port or BridgePort()], learning=False, unicast_flood=False)


def _written(loss: Loss, namespace: Namespace) -> Iterator[Repair]:
    """A forwarding entry made by hand for a station that is behind another port."""
    for entry in where(namespace.fdb, static=True):
        link = namespace.link(entry.index)
        if link is None or is_group(entry.mac) or not _leads_astray(loss, namespace, entry, link):
            continue
        named = f"{entry.mac} dev {link.name}"
        text = f"the forwarding entry {named} of {namespace.name} leads to where that station is not"
        words = ("bridge", "fdb", "del", entry.mac, "dev", link.name)
        fix = (Command.of(*words, *(("master",) if entry.master is not None else ())),)
        thing = Object("fdb-entry", named, f"{named} {entry.state}")
        stop = lost(
            "fdb-wrong-entry", namespace.name, link, Stage.BRIDGE_FORWARD, text, object=thing, fix=fix
        )
        yield from loss.repair(stop, Merit.restoring(link.kind == "vxlan", Merit.UNDOES))


def _leads_astray(loss: Loss, namespace: Namespace, entry: FdbEntry, link: Link) -> bool:
    """Whether an entry leads to where its station is not; one that leads into a tunnel, whether the station
    is behind another port of the bridge.
    """
    tunnel = link.kind == "vxlan"
    ports = but(where(namespace.links, master=link.master), index=link.index) if tunnel else [link]
    ends = {far.mac for _, (_, far) in loss.known_ends(namespace.name, ports)}
    return entry.master is not None and entry.mac in ends if tunnel else entry.mac not in {link.mac, *ends}
