"""A VXLAN device whose number or port is not that of the other end: neither can be set on a device that is
there, so that it is made again, with all that stands by it. Or it is missing at the other end. Pure.

See: ip-link(8), vxlan; drivers/net/vxlan/vxlan_core.c (vxlan_changelink refuses both).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import permutations

from msgspec.structs import replace

from netprobe.diagnose.apply_bridges import NO_MAC
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import BridgePort, Command, Link, Namespace, Object, Route, Stage, Stop, Vxlan
from netprobe.model.command import inside
from netprobe.model.link import name_of
from netprobe.model.lookup import among, but, those_in, those_not_in, where
from netprobe.predict import fib, fixes, prefix
from netprobe.predict.drop import lost
from netprobe.predict.vxlan import NO_CHECKSUM, TAKES_NONE

from .before import route_words
from .sets import REFUSED
from .tunnels import devices, numbers, underlay

_MISMATCH = ("vxlan-vni-mismatch", "vxlan-port-mismatch")


def candidates(loss: Loss) -> Iterator[Repair]:
    """Either end of a tunnel made again as the other one is, or the end that is missing."""
    at = loss.snapshot.link_at(loss.stop.place)
    if at is None:
        yield from _missing(loss)
    elif loss.stop.code in _MISMATCH:
        found = list(devices(loss))
        usual = Counter(vxlan.network for _, _, vxlan in found)
        ends = [each for each in found if each[:2] == at or _meet(at, each[:2])]
        for (namespace, link, own), (there, _, other) in permutations(ends, 2):
            wanted = _fitted(own, other)
            alike = usual[wanted.network] - usual[own.network]
            agreeing = alike + (wanted.flags == other.flags)
            commands = inside(namespace.name, _again(namespace, link, wanted))
            # of three ends the one that is like no other is wrong, wherever the packet was lost
            stop = _odd(loss, (namespace, link, own), there, other) if alike > 0 else loss.stop
            merit = Merit.RESTORES if alike >= 0 else Merit.ADDS
            yield from loss.repair(replace(stop, commands=commands), merit, agreeing=agreeing)
    yield from _refused(loss)


def _refused(loss: Loss) -> Iterator[Repair]:
    """Where packets are refused: two ends that send to each other with numbers or ports that differ, of which
    neither has another end there. The rules may know the right ones.
    """
    found = [*devices(loss)] if loss.stop.code in REFUSED else []
    usual = Counter(vxlan.network for _, _, vxlan in found)
    of = {name: {vxlan.network for here, _, vxlan in found if here.name == name} for name in loss.way}
    for (here, link, own), (there, far, other) in permutations(found, 2):
        alone = own.network not in of.get(there.name, {own.network})
        unmet = other.network not in of.get(here.name, {other.network})
        if alone and unmet and _meet((here, link), (there, far)):
            stop = _odd(loss, (here, link, own), there, other)
            fix = inside(here.name, _again(here, link, _fitted(own, other)))
            agreeing = usual[other.network] - usual[own.network]
            yield from loss.repair(replace(stop, commands=fix), Merit.RESTORES, agreeing=agreeing)


def _odd(loss: Loss, end: tuple[Namespace, Link, Vxlan], there: Namespace, other: Vxlan) -> Stop:
    here, link, own = end
    set_to = f"VNI {own.vni} and port {own.port}"
    text = f"{link.name} in {here.name} has {set_to}, {there.name} {other.vni} and {other.port}"
    code = "vxlan-port-mismatch" if own.port != other.port else "vxlan-vni-mismatch"
    thing = Object("tunnel", link.name, f"{link.name} vxlan id {own.vni} dstport {own.port}")
    stop = lost(code, here.name, link, Stage.ENCAPSULATE, text, object=thing)
    return replace(stop, proof=(loss.stop.text,))


def _fitted(own: Vxlan, other: Vxlan) -> Vxlan:
    """A device as the other end needs it: its number and port, and checksums as that one sends and takes
    them.
    """
    sends = () if TAKES_NONE not in other.flags else those_in((NO_CHECKSUM,), own.flags)
    takes = (TAKES_NONE,) if NO_CHECKSUM in other.flags else those_in((TAKES_NONE,), own.flags)
    kept = those_not_in(own.flags, (NO_CHECKSUM, TAKES_NONE))
    return replace(own, vni=other.vni, port=other.port, flags=(*kept, *sends, *takes))


def _meet(one: tuple[Namespace, Link], other: tuple[Namespace, Link]) -> bool:
    """Whether two devices send to each other's addresses."""
    return _sends_to(one, other[0]) and _sends_to(other, one[0])


def _sends_to(end: tuple[Namespace, Link], there: Namespace) -> bool:
    namespace, link = end
    return bool(among(there.addresses, address=namespace.remotes_of(link)))


def _missing(loss: Loss) -> Iterator[Repair]:
    """Where a tunnel ends at a node without such a device: one as the other node's is, plugged into the
    bridge of the same name, or with the address that is asked for where nobody has it.
    """
    there = loss.here
    for here, link, vxlan in devices(loss) if loss.stop.code == "link-missing" else ():
        for name, wanted in other_end(there, here, link, vxlan):
            made = Command.of("ip", "link", "add", name, *type_words(there, wanted))
            up = Command.of("ip", "link", "set", "dev", name, "up")
            for more in _given(loss, here, link, there, name):
                commands = inside(there.name, (made, *more[:1], up, *more[1:]))
                yield from loss.repair(replace(loss.stop, commands=commands), Merit.RESTORES)


def other_end(node: Namespace, other: Namespace, link: Link, vxlan: Vxlan) -> Iterator[tuple[str, Vxlan]]:
    """What a node's device would be called, and be set to, as the end of a tunnel of another node; nothing
    where that one does not send to this node.
    """
    back = next(underlay(node, other), None)
    for end in among(node.addresses, address=other.remotes_of(link))[:1]:
        if back is not None:
            name = link.name if node.link_named(link.name) is None else f"vxlan{vxlan.vni}"
            lower = end.index if vxlan.lower else 0
            yield name, replace(vxlan, local=end.address, remote=back, lower=lower)


def _given(
    loss: Loss, here: Namespace, link: Link, there: Namespace, name: str
) -> Iterator[tuple[Command, ...]]:
    bridge = same_name(here, link.master, there)
    if bridge is not None:
        yield (Command.of("ip", "link", "set", "dev", name, "master", bridge.name),)
    for own in here.addresses_of(link, loss.version):
        if loss.goal not in loss.owned and prefix.contains(own.written, loss.goal):
            mtu = Command.of("ip", "link", "set", "dev", name, "mtu", str(link.mtu))
            yield (mtu, Command.of("ip", "address", "add", f"{loss.goal}/{own.prefixlen}", "dev", name))


def same_name(here: Namespace, index: int | None, there: Namespace) -> Link | None:
    """The bridge there that is called as one here."""
    bridge = here.link(index)
    if bridge is not None:
        return there.link_named(bridge.name)
    return None


def _again(namespace: Namespace, link: Link, wanted: Vxlan) -> Iterator[Command]:
    """A tunnel's device made with what is wanted."""
    yield from again(namespace, link, type_words(namespace, wanted), wanted)


def again(
    namespace: Namespace, link: Link, how: tuple[str, ...], wanted: Vxlan | None = None
) -> Iterator[Command]:
    """A device made anew by the words of ip-link(8) behind its name and MAC, and all that was on it. Settings
    of a port that differ from the usual ones are not told: then it is nothing.
    """
    if link.port is not None and replace(link.port, state="forwarding", vlans=None) != BridgePort():
        return
    yield Command.of("ip", "link", "del", link.name)
    yield Command.of("ip", "link", "add", link.name, "address", link.mac, *how)
    yield fixes.link_set(link, "mtu", str(link.mtu))
    master = namespace.link(link.master)
    if master is not None:
        yield fixes.link_set(link, "master", master.name)
    if link.up:
        yield fixes.link_set(link, "up")
    yield from _on_it(namespace, link, wanted or link.tunnel)


def _on_it(namespace: Namespace, link: Link, wanted: Vxlan) -> Iterator[Command]:
    """What goes with the device: addresses, routes, forwarding entries and neighbours that somebody made."""
    for own in but(namespace.addresses_of(link), scope="link"):
        yield fixes.address("add", own, link)
    for route in namespace.routes_by(link):
        if not _of_the_kernel(route):
            yield fixes.ip(route.dst, "route", "add", *route_words(namespace, route))
    for entry in where(namespace.fdb, index=link.index, static=True):
        if entry.remote and (entry.mac, entry.remote) != (NO_MAC, wanted.remote):
            more = numbers(wanted, wanted.by(entry.vni, entry.port))
            yield Command.of(
                "bridge", "fdb", "append", entry.mac, "dev", link.name, "dst", entry.remote, *more
            )
    for each in but(where(namespace.neighbours, index=link.index, state="permanent"), mac=None):
        how = ("lladdr", each.mac or "", "dev", link.name, "nud", "permanent")
        yield Command.of("ip", "neigh", "replace", each.address, *how)


def _of_the_kernel(route: Route) -> bool:
    return route.table == fib.LOCAL or route.protocol in ("kernel", "ra")


def type_words(namespace: Namespace, wanted: Vxlan) -> tuple[str, ...]:
    """`type vxlan …` as ip-link(8) is told of it."""
    return (
        *("type", "vxlan", "id", str(wanted.vni)),
        *fixes.option("local", wanted.local),
        *fixes.option("remote", wanted.remote),
        *("dstport", str(wanted.port)),
        *fixes.option("dev", name_of(namespace.link(wanted.lower), "")),
        *fixes.option("ttl", wanted.ttl),
        *(("nolearning",) if not wanted.learning else ()),
        *wanted.flags,
    )
