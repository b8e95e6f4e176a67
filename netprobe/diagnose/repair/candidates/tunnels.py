"""VXLAN devices of one network whose neighbours and forwarding entries somebody writes: missing, or wrong.

Pure.

See: ip-link(8), vxlan; bridge(8), fdb; drivers/net/vxlan/vxlan_core.c.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, permutations, product, starmap

from msgspec.structs import replace

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.segment import all_addresses, meet, share
from netprobe.model import (
    Command,
    FdbEntry,
    FindOthers,
    InterfaceAddress,
    Link,
    Namespace,
    Neighbour,
    Object,
    RouteQuery,
    Stage,
    Stop,
    Vxlan,
)
from netprobe.model.link import name_of
from netprobe.model.lookup import among, but, column, find, has, not_among, those_in, those_not_in, where
from netprobe.predict import fib, fixes, prefix
from netprobe.predict.arp_reply import noarp
from netprobe.predict.drop import lost
from netprobe.predict.vxlan import group_of, without_source

from .macs import telling

_EVERYBODY = "00:00:00:00:00:00"
_NODES = 16  # of one device


def candidates(loss: Loss) -> Iterator[Repair]:
    """What each tunnel device on the way should know of the others of its network that were read."""
    _read_the_goal(loss)
    yield from _source(loss)
    yield from _bound(loss)
    yield from _of_one_group(loss)
    yield from _for_everybody(loss)
    for (here, device, _), (there, other, _) in permutations(devices(loss), 2):
        if here.name != there.name:
            yield from _between(loss, here, device, there, other)


def _between(loss: Loss, here: Namespace, device: Link, there: Namespace, other: Link) -> Iterator[Repair]:
    """What a device should know of one that is of its network, or sends to it, or is sent to by it."""
    own, its = device.tunnel, other.tunnel
    if own.network == its.network:
        yield from _neighbour(loss, here, device, there, other)
    if _sent(here, device, own) & {its.network} | _sent(there, other, its) & {own.network}:
        yield from _entry(loss, here, device, there, other)


def devices(loss: Loss) -> Iterator[tuple[Namespace, Link, Vxlan]]:
    """The VXLAN devices of the namespaces read."""
    return _devices(loss.snapshot.namespaces.values())


def _devices(spaces: Iterable[Namespace]) -> Iterator[tuple[Namespace, Link, Vxlan]]:
    return ((each, link, vxlan) for each in spaces for link, vxlan in each.vxlans)


def _sent(here: Namespace, device: Link, own: Vxlan) -> set[tuple[int, int]]:
    """The networks that a device sends to: its own, and those of its entries."""
    return {own.network, *(own.by(e.vni, e.port).network for e in where(here.fdb, index=device.index))}


def _source(loss: Loss) -> Iterator[Repair]:
    """A tunnel that sends from an address that nothing there has: another one, or that address given back;
    and one to which the others send by another address of its node than it sends from. Its node need not be
    on the way: who sends to that address does not get there.
    """
    for here, device, vxlan in devices(loss):
        for home in loss.home_of(here.name, device):
            stop = without_source(home, here.name, device)
            if stop is not None:
                yield from _another_source(loss, home, device, vxlan.local or "", stop)
            else:
                yield from _as_it_is_sought(loss, (here, device, vxlan), home)


def _as_it_is_sought(loss: Loss, tunnel: tuple[Namespace, Link, Vxlan], home: Namespace) -> Iterator[Repair]:
    """A tunnel whose packets have another source than the address of its node to which the others of its
    network send: they take what comes from there (vxlan_snoop, and filters of theirs).
    """
    here, device, vxlan = tunnel
    others = (other for other in devices(loss) if other[2].network == vxlan.network and other != tunnel)
    sent = (column(where(there.fdb, index=its.index), "end") for there, its, _ in others)
    sought = Counter(filter(home.address, chain.from_iterable(sent)))
    for remote in here.remotes_of(device):
        decision = fib.lookup(home, RouteQuery(vxlan.local, remote))
        source = vxlan.local or fib.source_for(home, decision, remote)
        for address in those_not_in(sought, sought if source in sought else ()):
            text = (
                f"{device.name} of {here.name} sends from {source}, and the others of its network send to"
                f" {address} of {home.name}"
            )
            thing = Object("tunnel", device.name, f"{device.name} vxlan id {vxlan.vni}")
            set_so = fixes.link_set(device, "type", "vxlan", "local", address)
            fix = (set_so, fixes.forget_paths(address, home.name))
            at = (here.name, device, Stage.ENCAPSULATE)
            stop = lost("route-wrong-src", *at, text, object=thing, fix=fix)
            yield from loss.repair(stop, Merit.RESTORES, agreeing=sought[address])


def _another_source(loss: Loss, here: Namespace, device: Link, local: str, told: Stop) -> Iterator[Repair]:
    for own in where(here.addresses, scope="global", version=prefix.version(local)):
        if own.index != device.index:
            right = fixes.link_set(device, "type", "vxlan", "local", own.address)
            stop = replace(told, commands=(right,))
            known, meant = _naming(loss, own.address), _naming(loss, local)
            # where others learn who sends from where, either address would do
            merit = Merit.restoring(known >= meant)
            yield from loss.repair(stop, merit, agreeing=known)
        wanted = InterfaceAddress(own.index, local, own.prefixlen)
        link = here.link(own.index)
        if link is not None and share(own, wanted):
            named = Object("address", f"{wanted.written} dev {link.name}", told.text)
            place = replace(told.place, interface=link.name, stage=Stage.ROUTE)
            put = (fixes.address("add", wanted, link),)
            stop = replace(told, place=place, object=named, commands=put)
            yield from loss.repair(stop, Merit.RESTORES, agreeing=_naming(loss, local))


def _bound(loss: Loss) -> Iterator[Repair]:
    """A tunnel that sends by one interface alone, to an end that routes lead to by another."""
    for here, device, _ in _devices(map(loss.snapshot.at, loss.way)):
        for entry in but(where(here.fdb, index=device.index), via=None):
            out = here.link_of(fib.lookup(here, RouteQuery(None, entry.end)).leg)
            bound = here.link(entry.via)
            if out != bound and None not in (out, bound):
                stop = _let_go(here, device, entry, (name_of(bound), name_of(out)))
                yield from loss.repair(stop, Merit.RESTORES)


def _let_go(here: Namespace, device: Link, entry: FdbEntry, doors: tuple[str, str]) -> Stop:
    """The end of a device that is bound to the first of two interfaces, where the second is right; the device
    itself takes no other (vxlan_changelink), its entry does.
    """
    bound, right = doors
    end = ("dev", device.name, "dst", entry.end)
    gone = Command.of("bridge", "fdb", "del", entry.mac, *end, "via", bound)
    fix = (gone, Command.of("bridge", "fdb", "append", entry.mac, *end))
    text = (
        f"{device.name} of {here.name} sends to {entry.remote} by {bound} alone, and the way there is {right}"
    )
    thing = Object("tunnel", device.name, f"{device.name} dev {bound}")
    return lost("vxlan-remote-wrong", here.name, device, Stage.ENCAPSULATE, text, object=thing, fix=fix)


def _of_one_group(loss: Loss) -> Iterator[Repair]:
    """Devices of one network that send what is for all to different groups: each in that of the others."""
    found = [each for each in devices(loss) if group_of(each[2])]
    sizes = Counter(each.remote for *_, each in found)
    for (here, device, own), (_, _, other) in permutations(found, 2):
        lower = here.link(own.lower)
        if own.network != other.network or own.remote == other.remote or lower is None:
            continue
        mine, same = sizes[own.remote], sizes[other.remote]
        text = (
            f"{device.name} of {here.name} is of the group {own.remote}, and {same} other of its network of"
            f" {other.remote}"
        )
        words = ("type", "vxlan", "id", str(own.vni), "group", other.remote or "", "dev", lower.name)
        thing = Object("tunnel", device.name, f"{device.name} vxlan id {own.vni} group {own.remote}")
        fix = (fixes.link_set(device, *words),)
        stop = lost("vxlan-remote-wrong", here.name, device, Stage.ENCAPSULATE, text, object=thing, fix=fix)
        yield from loss.repair(stop, Merit.restoring(same >= mine), agreeing=same)


def _for_everybody(loss: Loss) -> Iterator[Repair]:
    """A device that joins a bridge, and has entries for stations of nodes to which it does not send what is
    for all: who asks for a station there is not heard. All such nodes at once, each of which lacks.
    """
    for here, device, _ in _devices(map(loss.snapshot.at, loss.way)):
        known = but(where(here.fdb, index=device.index), remote=None)
        told = {*column(where(known, mac=_EVERYBODY), "remote")}
        ends = [*dict.fromkeys(column(not_among(but(known, mac=_EVERYBODY), remote=told), "end"))][:_NODES]
        if device.master is None or not ends:
            continue
        named = f"{_EVERYBODY} dev {device.name}"
        text = (
            f"{device.name} of {here.name} has entries for stations of {', '.join(ends)}, where nobody gets"
            " what is for all"
        )
        put = ("bridge", "fdb", "append", _EVERYBODY, "dev", device.name, "dst")
        fix = tuple(Command.of(*put, end) for end in ends)
        thing = Object("fdb-entry", named, f"{named} (missing)")
        stop = lost("vxlan-fdb-missing", here.name, device, Stage.ENCAPSULATE, text, object=thing, fix=fix)
        yield from loss.repair(stop, Merit.RESTORES, agreeing=len(ends))


def _naming(loss: Loss, address: str) -> int:
    """How many tunnels of others send to an address."""
    entries = chain.from_iterable(column(loss.snapshot.namespaces.values(), "fdb"))
    return len(where(entries, remote=address))


def _read_the_goal(loss: Loss) -> None:
    """Ask who is at the other end of the destination's cables: the far node; and who there is besides, where
    a tunnel's namespace was told of the destination, or answers for others itself and was not, and nobody in
    sight has it.
    """
    there = loss.snapshot.at(loss.probe.destination.namespace)
    tunnelled = [*but(map(loss.snapshot.at, loss.way), vxlans=())]
    for link in there.links if tunnelled else ():
        loss.far_end(there.name, link)
    told = [
        each.name
        for each in tunnelled
        if any(map(_answers_itself, each.links)) or has(each.neighbours, address=loss.goal, state="permanent")
    ]
    if loss.goal not in loss.owned:
        loss.needs.update(dict.fromkeys(map(FindOthers, told[:1])))


def _neighbour(loss: Loss, here: Namespace, device: Link, there: Namespace, other: Link) -> Iterator[Repair]:
    """The neighbour entry for an address of the other device, where entries are written by hand; they go when
    ARP is switched off (arp_netdev_event), which it is at the other end as well where it is meant.
    """
    written = where(here.neighbours, index=device.index, state="permanent")
    for own, mac in _to_know(loss, there, other, {*column(written, "address")}):
        right = find(written, address=own.address, mac=mac)
        asked = _answers_itself(device) and own.address == loss.goal
        if right is not None or not (asked or _is_wanted(here, device, own.address)):
            continue
        code, thing = _as_it_is(here, device, own.address)
        text = f"{here.name} does not know that {own.address} of {there.name} is {mac} on {device.name}"
        how = ("lladdr", mac, "dev", device.name, "nud", "permanent")
        fix = (Command.of("ip", "neigh", "replace", own.address, *how),)
        stop = lost(code, here.name, device, Stage.NEIGHBOUR, text, object=thing, fix=fix)
        yield from loss.repair(stop, Merit.RESTORES)
        if other.arp and not device.arp:
            asking = noarp(here.name, device, f"{text}: {device.name} asks nobody (NOARP), {other.name} does")
            whole = replace(asking, commands=(*asking.commands, *stop.commands))
            yield from loss.repair(whole, Merit.RESTORES, agreeing=1)
        old = where(written, address=own.address)[:1]
        for entry in _entries_of(here, device, old):
            # else it is the other device that has another MAC than it was given
            merit = Merit.restoring(len(telling(loss, old[0])) == 1)
            yield from loss.repair(_renewed(stop, here, device, other, entry), merit)


def _as_it_is(here: Namespace, device: Link, address: str) -> tuple[str, Object]:
    """The code of what is wrong with who has an address on a device, and what is said there: another one has
    it, or nothing.
    """
    named = f"{address} dev {device.name}"
    for entry in but(where(here.neighbours, index=device.index, address=address), mac=None):
        told = f"{named} lladdr {entry.mac}"
        return "neigh-wrong-entry", Object("neighbour", told, f"{told} {entry.state}")
    return "neigh-no-answer", Object("neighbour", named, f"{named} (missing)")


def _to_know(
    loss: Loss, there: Namespace, other: Link, told: set[str]
) -> Iterator[tuple[InterfaceAddress, str]]:
    """The addresses of a device, and the one that is asked for of a station behind it, of which nobody told,
    each with its MAC.
    """
    for own in where(there.addresses_of(other, loss.version), scope="global"):
        yield own, other.mac
    for _, (name, station) in loss.known_ends(there.name, there.ports(there.link(other.master))):
        asked = where(loss.snapshot[name].addresses_of(station), address=loss.goal)
        yield from ((own, station.mac) for own in not_among(asked, address=told))


def _entries_of(here: Namespace, device: Link, old: Sequence[Neighbour]) -> tuple[FdbEntry, ...]:
    """The forwarding entries of the MAC that a neighbour entry has: where the other node is."""
    known = chain.from_iterable(where(here.fdb, index=device.index, mac=each.mac) for each in old)
    return but(known, remote=None)


def _renewed(stop: Stop, here: Namespace, device: Link, other: Link, entry: FdbEntry) -> Stop:
    """The neighbour entry and the forwarding entry together, by the other device's present MAC."""
    text = f"{here.name} has the MAC that the other end of {device.name} had before: {entry.mac}"
    more = Command.of("bridge", "fdb", "append", other.mac, "dev", device.name, "dst", entry.end)
    return replace(stop, text=text, commands=(*stop.commands, more))


def _answers_itself(device: Link) -> bool:
    """Whether a device answers for its neighbours, so that nobody else is asked (arp_reduce)."""
    return device.vxlan is not None and "proxy" in device.vxlan.flags


def _is_wanted(here: Namespace, device: Link, address: str) -> bool:
    """Whether routes of a namespace lead to this address on that device."""
    legs = chain.from_iterable(column(here.routes, "nexthops"))
    return find(legs, via=address, index=device.index) is not None


def _entry(loss: Loss, here: Namespace, device: Link, there: Namespace, other: Link) -> Iterator[Repair]:
    """The forwarding entry for the other device, for stations behind it, or for all, by the address of its
    node.
    """
    own, its = device.tunnel, other.tunnel
    known = but(where(here.fdb, index=device.index), remote=None)
    right = [each for each in known if own.by(each.vni, each.port).network == its.network]
    written = {*column(known, "mac")}
    # where what has no entry goes to everybody, the device's own MAC needs none
    direct = {other.mac} & written if _EVERYBODY in written else {other.mac}
    told = {*column(where(here.neighbours, index=device.index, state="permanent"), "mac")}
    behind = those_in(_behind(loss, there, other), written | told)
    homes = product(loss.home_of(here.name, device), loss.home_of(there.name, other))
    ends = tuple(chain.from_iterable(starmap(underlay, homes)))
    numbered = column(those_not_in(among(known, remote=ends), right), "mac")
    home = (its.local,) if its.local is not None else ends
    there_already = {*column(among(right, remote=home), "mac")}  # by another address it is a detour
    every = those_not_in((*direct, *behind, _EVERYBODY, *numbered), there_already)
    for remote, mac in product(ends, dict.fromkeys(every)):
        entries = where(known, mac=mac)
        if not has(right, mac=mac, remote=remote):
            wrong = [each for each in entries if mac != _EVERYBODY or not _is_a_node(loss, each, device)]
            stop = _without_entry(here, device, there, mac, (remote, *numbers(own, its)), wrong)
            yield from loss.repair(stop, Merit.RESTORES)


def _behind(loss: Loss, there: Namespace, device: Link) -> Iterator[str]:
    """The MACs of the stations on the bridge that a device is a port of, as far as they were read."""
    ports = there.ports(there.link(device.master))
    return (station.mac for _, (_, station) in loss.known_ends(there.name, ports))


def _is_a_node(loss: Loss, entry: FdbEntry, device: Link) -> bool:
    """Whether another node of the tunnel's network is where an entry leads: of those that get what is for
    everybody there are several.
    """
    nodes = chain.from_iterable(column(map(loss.snapshot.at, loss.bearers(entry.remote)), "vxlans"))
    own = device.tunnel
    return any(vxlan.network == own.by(entry.vni, entry.port).network for _, vxlan in nodes)


def numbers(own: Vxlan, sent: Vxlan) -> tuple[str, ...]:
    """What an entry says beside its end where it sends by another port or number than its device."""
    port = ("port", str(sent.port)) if sent.port != own.port else ()
    return (*port, "vni", str(sent.vni)) if sent.vni != own.vni else port


def _without_entry(
    here: Namespace,
    device: Link,
    there: Namespace,
    mac: str,
    end: tuple[str, ...],
    entries: Sequence[FdbEntry],
) -> Stop:
    """The end of a device that does not send what is for a MAC to a node: `entries` has what it does with
    it.
    """
    named = f"{mac} dev {device.name}"
    to = " ".join(end)
    text = f"{device.name} of {here.name} does not send what is for {mac} to {to}, where {there.name} is"
    put, own = ("dev", device.name, "dst"), device.tunnel
    if mac == _EVERYBODY:  # of which there may be several, so that none can be replaced
        old = ((each.end, *numbers(own, own.by(each.vni, each.port))) for each in entries[:1])
        gone = tuple(Command.of("bridge", "fdb", "del", mac, *put, *each) for each in old)
        fix = (*gone, Command.of("bridge", "fdb", "append", mac, *put, *end))
    else:
        how = "replace" if len(entries) == 1 else "append"
        fix = (Command.of("bridge", "fdb", how, mac, *put, *end),)
    code, thing = "vxlan-fdb-missing", Object("fdb-entry", named, f"{named} (missing)")
    for entry in entries[:1]:
        known_as = f"{named} dst {entry.remote}"
        code, thing = "vxlan-remote-wrong", Object("fdb-entry", known_as, known_as)
    return lost(code, here.name, device, Stage.ENCAPSULATE, text, object=thing, fix=fix)


def underlay(here: Namespace, there: Namespace) -> Iterator[str]:
    """The addresses by which one node reaches the other: of a network that both are on; where routers are
    between them, those from which the other's tunnels send.
    """
    own = _outer(here)
    near = [each.address for each in _outer(there) if meet([each], own)]
    yield from near or filter(None, (vxlan.local for _, vxlan in there.vxlans))


def _outer(namespace: Namespace) -> list[InterfaceAddress]:
    """The addresses of a node that are on no tunnel, and on no bridge of one."""
    inner = {link.master for link, _ in namespace.vxlans}
    links = not_among(where(namespace.links, vxlan=None), index=inner)
    return [a for link in links for a in all_addresses(namespace, link)]
