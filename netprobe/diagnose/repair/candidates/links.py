"""Interfaces: switched off, unplugged, in another namespace or bridge, with the MAC of another, too short.

Pure.

See: ip-link(8).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from functools import partial
from itertools import chain

from msgspec.structs import replace

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.segment import Station, all_addresses, meet, own_addresses
from netprobe.model import Command, Link, Namespace, Object, Place, Snapshot, Stage, Stop, Vxlan
from netprobe.model.link import name_of
from netprobe.model.lookup import all_but, but, column, gathered, has, sole, those_not_in, where
from netprobe.predict import fixes, ipv6, prefix
from netprobe.predict.drop import link_down, lost

from . import macs
from .told import waits
from .tunnels import devices

_PLUGGED = ("veth", "vxlan", "tap", "tun", "dummy", "")
_NO_MAC = "00:00:00:00:00:00"  # of a loopback, and of a bridge that has no port


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each interface of the namespaces read, as far as something about it is odd."""
    for namespace in loss.snapshot.namespaces.values():
        routed = _routed(namespace)
        for link in namespace.links:
            yield from _switched_off(loss, namespace, link)
            if link.master is not None or link.index not in routed:
                yield from _unplugged(loss, namespace, link)
            yield from _enslaved(loss, namespace, link, routed)
    yield from _of_one_mac(loss)
    yield from _too_short(loss)
    if loss.probe.version == 6:
        yield from _too_short_for_ipv6(loss)


def far_end(loss: Loss, name: str, link: Link) -> Station | None:
    """The other end of a cable; asked for where the way begins, and of one plugged nowhere where it ends."""
    asked = name in loss.way[:1] or (name == loss.stop.place.namespace and link.master is None)
    return loss.asked_end(name, link, asked)


def _switched_off(loss: Loss, namespace: Namespace, link: Link) -> Iterator[Repair]:
    """An interface that is down though it has addresses, ports or a far end: what is used is meant to be
    up. One that arrived so from a station that lacks one is not, nor one whose cable leads to where it is: of
    those a host may have thousands, of which the first are tried.
    """
    if link.up:
        return
    addressed, plugged = has(namespace.addresses_of(link), scope="global"), link.master is not None
    used = any((addressed, plugged, namespace.ports(link)))
    if not used and not (link.kind == "veth" and _is_one_of_few(loss, namespace, link)):
        return
    down = link_down(namespace.name, link, Stage.ROUTE)
    idle = not any((addressed, plugged)) and _is_of_another(loss, namespace, link)
    yield from loss.repair(down, Merit.restoring(not idle), agreeing=int(addressed))


def _is_one_of_few(loss: Loss, namespace: Namespace, link: Link) -> bool:
    """Whether a cable is one of the first of its namespace, or leads to the way."""
    far = loss.known_end(namespace.name, link)
    leads = far is not None and far[0] != namespace.name and far[0] in loss.way
    return leads or link.index in loss.first_cables(namespace.name)


def _is_of_another(loss: Loss, namespace: Namespace, link: Link) -> bool:
    """Whether an interface without an address may belong to a station that has none."""
    return _is_short(loss, namespace, link) or any(map(partial(waits, loss), loss.bare))


def _is_short(loss: Loss, namespace: Namespace, link: Link) -> bool:
    """Whether both ends of a cable are in one namespace."""
    far = loss.known_end(namespace.name, link)
    return far is not None and far[0] == namespace.name


def _unplugged(loss: Loss, namespace: Namespace, link: Link) -> Iterator[Repair]:
    """A cable that is a port of no bridge, or of another one than its far end's addresses belong to."""
    if link.kind not in _PLUGGED or all_addresses(namespace, link):
        return
    far, cable = _cable_end(loss, namespace.name, link), link.kind == "veth"
    known = far is not None and (link.master is not None or _is_one_of_few(loss, namespace, link))
    if (cable and not known) or _is_at_home(loss, namespace, link, far):
        return
    for bridge in but(namespace.links_of("bridge"), index=link.master):
        yield from _plugged_into(loss, namespace, link, bridge, far)


def _cable_end(loss: Loss, name: str, link: Link) -> Station | None:
    """The other end of a cable; None of any other interface."""
    return far_end(loss, name, link) if link.kind == "veth" else None


def _plugged_into(
    loss: Loss, namespace: Namespace, link: Link, bridge: Link, far: Station | None
) -> Iterator[Repair]:
    behind = loss.others(namespace.name, link) if link.kind == "vxlan" else _behind(loss, far)
    belongs = max((has_networks_of(loss, namespace, bridge, end) for end in behind), default=0)
    if link.master is not None and not belongs:
        return
    stop = (_loose if link.master is None else _wrong_port)(namespace, link, bridge, far)
    merit = Merit.restoring(belongs or far is None, Merit.UNDOES)
    here = len(namespace.ports(bridge)) + bool(all_addresses(namespace, bridge))
    named = _so_named(loss, namespace, link, bridge)
    named -= _so_named(loss, namespace, link, namespace.link(link.master))
    yield from loss.repair(stop, merit, agreeing=here + 100 * belongs + 1000 * named)


def _so_named(loss: Loss, namespace: Namespace, link: Link, bridge: Link | None) -> int:
    """How many other ends of a tunnel are ports of a bridge of this name."""
    if link.vxlan is None:
        return 0
    others = (each for each in devices(loss) if each[2].network == link.vxlan.network)
    return sum(
        name_of(there.link(end.master), "") == name_of(bridge)
        for there, end, _ in others
        if there != namespace
    )


def _behind(loss: Loss, far: Station | None) -> tuple[Station, ...]:
    """Who is behind a cable: its far end, or those on the bridge that this is a port of."""
    if far is None:
        return ()
    bridge = loss.snapshot[far[0]].link(far[1].master)
    if bridge is None:
        return (far,)
    return loss.stations(far[0], bridge)


def _is_at_home(loss: Loss, namespace: Namespace, link: Link, far: Station | None) -> bool:
    """Whether a port's bridge is of its station's network, or without a network and a switch among others."""
    master = namespace.link(link.master)
    if master is None or far is None:
        return False
    among_others = not all_addresses(namespace, master) and len(namespace.ports(master)) > 1
    return among_others or shares_network(loss, namespace, master, far)


def shares_network(loss: Loss, namespace: Namespace, bridge: Link, far: Station) -> bool:
    """Whether an address of the far end is of a network of the bridge, or else of a station on it."""
    return has_networks_of(loss, namespace, bridge, far) > 0


def has_networks_of(loss: Loss, namespace: Namespace, bridge: Link, far: Station) -> int:
    """How many addresses of the far end are of a network of the bridge, or else of a station on it."""
    others = all_addresses(namespace, bridge)
    if not others:
        beside = chain.from_iterable(loss.beside(namespace.name, bridge, version) for version in (4, 6))
        others = [a for name, link, a in beside if (name, link.index) != (far[0], far[1].index)]
    return sum(meet([each], others) for each in all_addresses(loss.snapshot[far[0]], far[1]))


def _loose(namespace: Namespace, link: Link, bridge: Link, far: Station | None) -> Stop:
    behind = f": the segment of {far[0]}/{far[1].name} ends there" if far is not None else ""
    text = f"{link.name} in {namespace.name} is a port of no bridge{behind}"
    up = () if link.up else (fixes.link_set(link, "up"),)
    fix = (fixes.link_set(link, "master", bridge.name), *up)
    loose = Object("link", link.name, f"{link.name} has no master")
    return lost("port-not-in-bridge", namespace.name, link, Stage.BRIDGE, text, object=loose, fix=fix)


def _enslaved(loss: Loss, namespace: Namespace, link: Link, routed: Set[int | None]) -> Iterator[Repair]:
    """An interface with addresses of its own that is a port of a bridge: what comes in goes to the bridge."""
    bridge = namespace.link(link.master)
    used = link.index in routed or has(namespace.addresses_of(link), scope="global")
    if bridge is None or not used:
        return
    text = (
        f"{link.name} in {namespace.name} has addresses or routes of its own and is a port of {bridge.name},"
        " which takes its frames"
    )
    enslaved = Object("bridge-port", link.name, f"{link.name} master {bridge.name}")
    fix = (fixes.link_set(link, "nomaster"),)
    stop = lost("port-wrong-bridge", namespace.name, link, Stage.BRIDGE, text, object=enslaved, fix=fix)
    empty = len(namespace.ports(bridge)) == 1 and not all_addresses(namespace, bridge)
    yield from loss.repair(stop, Merit.RESTORES, agreeing=_NOTHING_ELSE if empty else 1)
    yield from _for_the_bridge(loss, namespace, link, bridge)


def _for_the_bridge(loss: Loss, namespace: Namespace, link: Link, bridge: Link) -> Iterator[Repair]:
    """The address of a port on its bridge, which has none."""
    bare = not own_addresses(namespace, bridge, loss.version)
    for own in own_addresses(namespace, link, loss.version) if bare else ():
        text = f"{own.address} of {namespace.name} is on {link.name}, and its frames go to {bridge.name}"
        named, put = f"{own.written} dev {link.name}", replace(own, index=bridge.index)
        fix = (fixes.address("del", own, link), fixes.address("add", put, bridge))
        thing = Object("address", named, named)
        stop = lost("addr-missing", namespace.name, bridge, Stage.ROUTE, text, object=thing, fix=fix)
        yield from loss.repair(stop, Merit.RESTORES, agreeing=len(namespace.ports(bridge)))


_NOTHING_ELSE = 100  # is on the bridge: whatever stations agree on, nobody needs it


def _routed(namespace: Namespace) -> Set[int | None]:
    """The interfaces, by ifindex, that routes lead out of; the link-local ones that each has do not count."""
    routes = where(namespace.routes, type="unicast")
    used = (route.indexes for route in routes if not prefix.needs_scope(route.dst.partition("/")[0]))
    return frozenset(chain.from_iterable(used))


def _wrong_port(namespace: Namespace, link: Link, bridge: Link, far: Station | None) -> Stop:
    now = name_of(namespace.link(link.master), "another bridge")
    whose = f"{far[0]}/{far[1].name}" if far is not None else "its far end"
    text = (
        f"{link.name} in {namespace.name} is a port of {now}, but {whose} has an address of {bridge.name}'s"
        " network"
    )
    enslaved = Object("bridge-port", link.name, f"{link.name} master {now}")
    fix = (fixes.link_set(link, "master", bridge.name),)
    return lost("port-wrong-bridge", namespace.name, link, Stage.BRIDGE, text, object=enslaved, fix=fix)


def _in(name: str, command: Command) -> Command:
    return replace(command, namespace=name)


def _of_one_mac(loss: Loss) -> Iterator[Repair]:
    """Two stations with one MAC address: a bridge sends their frames to whoever spoke last; or a station and
    a port, whose frames a bridge takes for its own (br_fdb_add_local).
    """
    spaces = loss.snapshot.namespaces.items()
    stations = ((name, link) for name, namespace in spaces for link in _with_a_mac(namespace))
    for mac, found in gathered((link.mac, (name, link)) for name, link in stations).items():
        if len({name for name, _ in found}) < 2 or _is_one_gateway(loss, found):
            continue
        everybody = ", ".join(f"{name}/{link.name}" for name, link in found)
        missed = macs.missed(loss.snapshot)
        ports = [link for _, link in found if link.port is not None]
        for name, link in found:
            text = f"{everybody} have the same MAC address {mac}: frames for one of them go to the other"
            stop = Stop(
                "mac-duplicate",
                Place(name, link.name, Stage.BRIDGE),
                text,
                Object("link", link.name, f"{link.name} link/ether {mac}"),
                _of_its_own(loss.snapshot[name], link, missed),
                (loss.stop.text,),
            )
            # a station is known by its MAC, as one that is missed was; of a port's nobody makes use
            odd = missed is not None or link in (ports or (link,))
            merit = Merit.RESTORES if odd else Merit.GOES_AROUND
            for repair in loss.repair(stop, merit, agreeing=_meant(loss, name)):
                yield replace(repair, mended=_unlearned(repair.mended, mac))


def _is_one_gateway(loss: Loss, found: Sequence[Station]) -> bool:
    """Whether bridges with one MAC have the same addresses as well: a gateway that is at every node is called
    so on purpose (RFC 9135, 4.1).
    """
    own = ((link.kind, loss.snapshot[name].addresses_of(link, 4)) for name, link in found)
    held = {(kind, *column(addresses, "address")) for kind, addresses in own}
    return any(kind == "bridge" and more for kind, *more in sole(held))


def _of_its_own(namespace: Namespace, link: Link, missed: str | None) -> tuple[Command, ...]:
    """The commands that give an interface a MAC of its own, the one that is `missed`; and its bridge, which
    may have been named by it (br_stp_recalculate_bridge_id) or called so by somebody.
    """
    if missed is not None and link.port is None:
        return (fixes.link_set(link, "address", missed),)
    bridges = where(namespace.links, index=link.master, mac=link.mac)
    return tuple(
        fixes.link_set(each, "address", _own_mac(namespace.name, namespace, each))
        for each in (link, *bridges)
    )


def _with_a_mac(namespace: Namespace) -> Iterator[Link]:
    """The interfaces of a namespace that are stations by a MAC of their own, and the ports of its bridges."""
    yield from but(namespace.links, port=None)
    for link in where(namespace.links, master=None):
        others = ("", _NO_MAC, *_of_ports(namespace, link))
        if link.mac not in others and link.kind != "ipvlan":
            yield link


def _unlearned(snapshot: Snapshot, mac: str) -> Snapshot:
    """The snapshot without what bridges learned of a MAC: its next frame teaches them anew."""
    for namespace in snapshot.namespaces.values():
        kept = all_but(namespace.fdb, where(namespace.fdb, mac=mac, static=False))
        snapshot = snapshot.with_namespace(replace(namespace, fdb=kept))
    return snapshot


def _of_ports(namespace: Namespace, bridge: Link) -> list[str]:
    """The MACs of a bridge's ports, of which it takes one for its own; none of any other interface."""
    ports = namespace.ports(bridge) if bridge.kind == "bridge" else ()
    return [*column(ports, "mac")]


def _own_mac(name: str, namespace: Namespace, link: Link) -> str:
    """A bridge's is the lowest of its ports', where nobody has set another (br_stp_recalculate_bridge_id)."""
    others = those_not_in(_of_ports(namespace, link), (link.mac,))
    return min(others, default="") or made_up(name, link)


def _meant(loss: Loss, name: str) -> int:
    """The sender's own interface rather than the destination's, and that one rather than a bystander's."""
    if name == loss.probe.source.namespace:
        return 2
    return int(loss.snapshot[name].owner_of(loss.goal) is not None)


def made_up(name: str, link: Link) -> str:
    """A MAC of nobody's, locally administered (IEEE 802, 8.2), always the same for an interface."""
    from hashlib import sha256  # and OpenSSL with it, for what few search for

    digest = sha256(f"{name}/{link.name}/{link.mac}".encode()).digest()
    return ":".join(f"{byte:02x}" for byte in (0x02, *digest[:5]))


def _of_its_network(loss: Loss, own: Vxlan) -> list[int]:
    """The MTUs of the tunnel devices of one network."""
    return [link.mtu for _, link, vxlan in devices(loss) if vxlan.vni == own.vni]


def _other_mtu(loss: Loss, name: str, link: Link) -> int:
    """The MTU of the other end of a cable, or the longest of other hosts at the network between them; 0 of
    any other interface.
    """
    far = _cable_end(loss, name, link)
    if far is not None:
        return far[1].mtu
    hosts = loss.stations(name, link) if name in loss.snapshot.homes and link.vxlan is None else ()
    return max((each.mtu for there, each in hosts if there in loss.snapshot.homes), default=0)


def _too_short_for_ipv6(loss: Loss) -> Iterator[Repair]:
    """A link without IPv6 for its MTU, as long again as its far end."""
    for namespace in map(loss.snapshot.at, loss.around):
        for link in but(where(namespace.links, up=True), kind="loopback"):
            if link.mtu < ipv6.MTU:
                wanted = max(ipv6.MTU, _other_mtu(loss, namespace.name, link))
                fix = (fixes.link_set(link, "mtu", str(wanted)),)
                stop = replace(ipv6.too_short(namespace, link), commands=fix)
                yield from loss.repair(stop, Merit.RESTORES)


def _too_short(loss: Loss) -> Iterator[Repair]:
    """A link with a smaller MTU than the one at its other end, where the packet was too long for one."""
    if not loss.stop.code.startswith("mtu-"):
        return
    for name in loss.way:
        links = but(loss.snapshot[name].links, kind="loopback")
        longest = max(column(links, "mtu"), default=0)
        for link in links:
            wanted = max(_other_mtu(loss, name, link), longest)
            if link.vxlan is not None:  # no longer than what carries it leaves room for
                wanted = max(_of_its_network(loss, link.vxlan), default=0)
            if wanted > link.mtu:
                yield from _lengthened(loss, name, link, wanted)


def _lengthened(loss: Loss, name: str, link: Link, wanted: int) -> Iterator[Repair]:
    """A link made longer, and the other end of its cable where that is as short."""
    both, far = [(name, link)], _cable_end(loss, name, link)
    if far is not None and far[1].mtu < wanted:
        both.append(far)
    fix = tuple(_in(there, fixes.link_set(each, "mtu", str(wanted))) for there, each in both)
    text = f"{link.name} in {name} has an MTU of {link.mtu}, where its neighbours have {wanted}"
    thing = Object("link", link.name, f"{link.name} mtu {link.mtu}")
    place = loss.stop.place
    stop = lost(loss.stop.code, name, link, place.stage, text, object=thing, fix=fix)
    named = (name, link.name) == (place.namespace, place.interface)
    yield from loss.repair(stop, Merit.RESTORES, agreeing=int(named))
