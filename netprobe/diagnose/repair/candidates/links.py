"""Interfaces: switched off, unplugged, in another namespace or bridge, with the MAC of another, too short.

Pure.

See: ip-link(8).
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from hashlib import sha256

from msgspec.structs import replace

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.segment import Station, all_addresses, share
from netprobe.model import Command, Link, Namespace, Object, Place, Snapshot, Stage, Stop
from netprobe.predict import fixes, ipv6, prefix
from netprobe.predict.drop import link_down, lost

_PLUGGED = ("veth", "vxlan", "tap", "tun", "dummy", "")
_NO_MAC = "00:00:00:00:00:00"  # of a loopback, and of a bridge that has no port


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each interface of the namespaces read, as far as something about it is odd."""
    for namespace in loss.snapshot.namespaces.values():
        routed = _routed(namespace)
        for link in namespace.links:
            yield from _switched_off(loss, namespace, link)
            yield from _unplugged(loss, namespace, link)
            yield from _enslaved(loss, namespace, link, routed)
    yield from _of_one_mac(loss)
    yield from _too_short(loss)
    if loss.probe.version == 6:
        yield from _too_short_for_ipv6(loss)


def far_end(loss: Loss, name: str, link: Link) -> Station | None:
    """The other end of a cable; asked for on the way alone, and where there are few, since a host may have
    thousands.
    """
    if loss.knows(name, link) or (_is_asked_for(loss, name, link) and link.index in loss.first_cables(name)):
        return loss.far_end(name, link)
    return None


def _is_asked_for(loss: Loss, name: str, link: Link) -> bool:
    return name in loss.way[:1] or (name == loss.stop.place.namespace and link.master is None)


def _switched_off(loss: Loss, namespace: Namespace, link: Link) -> Iterator[Repair]:
    """An interface that is down though it has addresses, ports or a far end: what is used is meant to be
    up.
    """
    if link.up:
        return
    addressed = any(a.scope == "global" for a in namespace.addresses_of(link))
    used = addressed or link.master is not None or bool(namespace.ports(link)) or link.kind == "veth"
    if used:
        down = link_down(namespace.name, link, Stage.ROUTE)
        yield from loss.repair(down, Merit.RESTORES, agreeing=int(addressed))


def _unplugged(loss: Loss, namespace: Namespace, link: Link) -> Iterator[Repair]:
    """A cable that is a port of no bridge, or of another one than its far end's addresses belong to."""
    if link.kind not in _PLUGGED or all_addresses(namespace, link):
        return
    far = far_end(loss, namespace.name, link) if link.kind == "veth" else None
    if (link.kind == "veth" and far is None) or _is_at_home(loss, namespace, link, far):
        return
    for bridge in namespace.links:
        if bridge.kind == "bridge" and bridge.index != link.master:
            yield from _plugged_into(loss, namespace, link, bridge, far)


def _plugged_into(
    loss: Loss, namespace: Namespace, link: Link, bridge: Link, far: Station | None
) -> Iterator[Repair]:
    belongs = any(shares_network(loss, namespace, bridge, end) for end in _behind(loss, far))
    if link.master is None:
        stop = _loose(namespace, link, bridge, far)
    elif belongs:
        stop = _wrong_port(namespace, link, bridge, far)
    else:
        return
    merit = Merit.RESTORES if belongs or far is None else Merit.UNDOES
    here = len(namespace.ports(bridge)) + bool(all_addresses(namespace, bridge))
    yield from loss.repair(stop, merit, agreeing=here + 100 * belongs)


def _behind(loss: Loss, far: Station | None) -> tuple[Station, ...]:
    """Who is behind a cable: its far end, or those on the bridge that this is a port of."""
    if far is None:
        return ()
    bridge = loss.snapshot[far[0]].link(far[1].master)
    return loss.stations(far[0], bridge) if bridge is not None else (far,)


def _is_at_home(loss: Loss, namespace: Namespace, link: Link, far: Station | None) -> bool:
    """Whether a port's bridge is of its station's network, or without a network and a switch among others."""
    master = namespace.link(link.master)
    if master is None or far is None:
        return False
    among_others = not all_addresses(namespace, master) and len(namespace.ports(master)) > 1
    return among_others or shares_network(loss, namespace, master, far)


def shares_network(loss: Loss, namespace: Namespace, bridge: Link, far: Station) -> bool:
    """Whether an address of the far end is of a network of the bridge, or else of a station on it."""
    others = all_addresses(namespace, bridge)
    itself = far[0], far[1].index
    if not others:
        beside = (loss.beside(namespace.name, bridge, version) for version in (4, 6))
        others = [a for stations in beside for name, link, a in stations if (name, link.index) != itself]
    return any(share(own, other) for own in all_addresses(loss.snapshot[far[0]], far[1]) for other in others)


def _loose(namespace: Namespace, link: Link, bridge: Link, far: Station | None) -> Stop:
    behind = f": the segment of {far[0]}/{far[1].name} ends there" if far is not None else ""
    text = f"{link.name} in {namespace.name} is a port of no bridge{behind}"
    fix = (fixes.link_set(link, "master", bridge.name), *(() if link.up else (fixes.link_set(link, "up"),)))
    loose = Object("link", link.name, f"{link.name} has no master")
    return lost("port-not-in-bridge", namespace.name, link, Stage.BRIDGE, text, object=loose, fix=fix)


def _enslaved(loss: Loss, namespace: Namespace, link: Link, routed: Set[int]) -> Iterator[Repair]:
    """An interface with addresses of its own that is a port of a bridge: what comes in goes to the bridge."""
    bridge = namespace.link(link.master)
    addressed = any(a.scope == "global" for a in namespace.addresses_of(link))
    if bridge is None or not (addressed or link.index in routed):
        return
    text = (
        f"{link.name} in {namespace.name} has addresses or routes of its own and is a port of {bridge.name},"
        " which takes its frames"
    )
    enslaved = Object("bridge-port", link.name, f"{link.name} master {bridge.name}")
    fix = (fixes.link_set(link, "nomaster"),)
    stop = lost("port-wrong-bridge", namespace.name, link, Stage.BRIDGE, text, object=enslaved, fix=fix)
    yield from loss.repair(stop, Merit.RESTORES, agreeing=1)


def _routed(namespace: Namespace) -> frozenset[int]:
    """The interfaces, by ifindex, that routes lead out of; the link-local ones that each has do not count."""
    routes = (route for route in namespace.routes if route.type == "unicast")
    used = (route for route in routes if not prefix.needs_scope(route.dst.partition("/")[0]))
    return frozenset(leg.index for route in used for leg in route.nexthops if leg.index is not None)


def _wrong_port(namespace: Namespace, link: Link, bridge: Link, far: Station | None) -> Stop:
    master = namespace.link(link.master)
    now = master.name if master is not None else "another bridge"
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
    """Two stations with one MAC address: a bridge sends their frames to whoever spoke last."""
    bearers: dict[str, list[Station]] = {}
    for name, namespace in loss.snapshot.namespaces.items():
        for link in namespace.links:
            bare = link.mac in ("", _NO_MAC) or link.master is not None or link.kind == "ipvlan"
            if not bare and link.mac not in _of_ports(namespace, link):
                bearers.setdefault(link.mac, []).append((name, link))
    for mac, found in bearers.items():
        if len({name for name, _ in found}) < 2:
            continue
        everybody = ", ".join(f"{name}/{link.name}" for name, link in found)
        for name, link in found:
            text = f"{everybody} have the same MAC address {mac}: frames for one of them go to the other"
            stop = Stop(
                "mac-duplicate",
                Place(name, link.name, Stage.BRIDGE),
                text,
                Object("link", link.name, f"{link.name} link/ether {mac}"),
                (fixes.link_set(link, "address", _own_mac(name, loss.snapshot[name], link)),),
                (loss.stop.text,),
            )
            for repair in loss.repair(stop, Merit.RESTORES, agreeing=_meant(loss, name)):
                yield replace(repair, mended=_unlearned(repair.mended, mac))


def _unlearned(snapshot: Snapshot, mac: str) -> Snapshot:
    """The snapshot without what bridges learned of a MAC: its next frame teaches them anew."""
    for namespace in snapshot.namespaces.values():
        kept = tuple(entry for entry in namespace.fdb if entry.mac != mac or entry.static)
        snapshot = snapshot.with_namespace(replace(namespace, fdb=kept))
    return snapshot


def _of_ports(namespace: Namespace, bridge: Link) -> list[str]:
    """The MACs of a bridge's ports, of which it takes one for its own; none of any other interface."""
    return [each.mac for each in namespace.links if bridge.kind == "bridge" and each.master == bridge.index]


def _own_mac(name: str, namespace: Namespace, link: Link) -> str:
    """A bridge's is the lowest of its ports', where nobody has set another (br_stp_recalculate_bridge_id)."""
    return min(_of_ports(namespace, link), default="") or made_up(name, link)


def _meant(loss: Loss, name: str) -> int:
    """The sender's own interface rather than the destination's, and that one rather than a bystander's."""
    if name == loss.probe.source.namespace:
        return 2
    return int(loss.snapshot[name].owner_of(loss.goal) is not None)


def made_up(name: str, link: Link) -> str:
    """A MAC of nobody's, locally administered (IEEE 802, 8.2), always the same for an interface."""
    digest = sha256(f"{name}/{link.name}/{link.mac}".encode()).digest()
    return ":".join(f"{byte:02x}" for byte in (0x02, *digest[:5]))


def _of_its_network(loss: Loss, device: Link) -> list[int]:
    """The MTUs of the tunnel devices of one network."""
    others = (link for each in loss.snapshot.namespaces.values() for link in each.links)
    return [
        o.mtu for o in others if o.vxlan is not None and o.vxlan.vni == getattr(device.vxlan, "vni", None)
    ]


def _too_short_for_ipv6(loss: Loss) -> Iterator[Repair]:
    """A link without IPv6 for its MTU, as long again as its far end."""
    for name in loss.around:
        namespace = loss.snapshot[name]
        for link in namespace.links:
            if link.kind == "loopback" or not link.up or link.mtu >= ipv6.MTU:
                continue
            far = far_end(loss, name, link) if link.kind == "veth" else None
            stop = ipv6.too_short(namespace, link)
            wanted = max(ipv6.MTU, far[1].mtu if far is not None else 0)
            fix = (fixes.link_set(link, "mtu", str(wanted)),)
            yield from loss.repair(replace(stop, commands=fix), Merit.RESTORES)


def _too_short(loss: Loss) -> Iterator[Repair]:
    """A link with a smaller MTU than the one at its other end, where the packet was too long for one."""
    if not loss.stop.code.startswith("mtu-"):
        return
    for name in loss.way:
        for link in loss.snapshot[name].links:
            far = far_end(loss, name, link) if link.kind == "veth" else None
            longest = max(
                (each.mtu for each in loss.snapshot[name].links if each.kind != "loopback"), default=0
            )
            wanted = max(far[1].mtu if far is not None else 0, longest)
            if link.vxlan is not None:  # no longer than what carries it leaves room for
                wanted = max(_of_its_network(loss, link), default=0)
            if wanted <= link.mtu or link.kind == "loopback":
                continue
            both = [(name, link), *([far] if far is not None and far[1].mtu < wanted else [])]
            fix = tuple(_in(there, fixes.link_set(each, "mtu", str(wanted))) for there, each in both)
            text = f"{link.name} in {name} has an MTU of {link.mtu}, where its neighbours have {wanted}"
            thing = Object("link", link.name, f"{link.name} mtu {link.mtu}")
            stop = lost(loss.stop.code, name, link, loss.stop.place.stage, text, object=thing, fix=fix)
            yield from loss.repair(
                stop,
                Merit.RESTORES,
                agreeing=int((name, link.name) == (loss.stop.place.namespace, loss.stop.place.interface)),
            )
