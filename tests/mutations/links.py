"""Links changed: switched off, resized, renumbered, unplugged, moved, deleted."""

from __future__ import annotations

from random import Random
from typing import Any

from mutations.mutation import Identity, Mutation, Step, known, shell
from mutations.restoring import far_end, handle, remade
from mutations.sight import Sight


def link_down(sight: Sight, rng: Random) -> Mutation | None:
    name, link = rng.choice([(name, link) for name, link in sight.links if "UP" in link["flags"]])
    device = link["ifname"]
    truth = _both_ends(sight, name, link)
    return Mutation("link-down", (shell(name, f"ip link set {device} down"),), (shell(name, f"ip link set {device} up"),), truth)


def link_mtu(sight: Sight, rng: Random) -> Mutation | None:
    name, link = rng.choice(sight.wires)
    size = rng.choice([1280, 1300, 1400, link["mtu"] - 50, link["mtu"] - 4, 576, 9000])
    return _set(name, link["ifname"], "link-mtu", f"mtu {size}", f"mtu {link['mtu']}")


def link_mac(sight: Sight, rng: Random) -> Mutation | None:
    """Another address, now and then that of another interface."""
    name, link = rng.choice(sight.wires)
    others = [mac for mac in sight.macs if mac != link["address"]]
    mac = rng.choice(others) if rng.random() < 0.4 and others else f"02:00:00:00:99:{rng.randrange(256):02x}"
    return _set(name, link["ifname"], "link-mac", f"address {mac}", f"address {link['address']}")


def link_noarp(sight: Sight, rng: Random) -> Mutation | None:
    name, link = rng.choice([(name, link) for name, link in sight.wires if "NOARP" not in link["flags"]])
    return _set(name, link["ifname"], "link-noarp", "arp off", "arp on")


def link_unplugged(sight: Sight, rng: Random) -> Mutation | None:
    if not sight.ports:
        return None
    name, link = rng.choice(sight.ports)
    return _set(name, link["ifname"], "link-unplugged", "nomaster", f"master {link['master']}", "link bridge-port")


def link_other_bridge(sight: Sight, rng: Random) -> Mutation | None:
    """Into another bridge, or into one that has nothing else in it."""
    if not sight.ports:
        return None
    name, link = rng.choice(sight.ports)
    others = [bridge["ifname"] for where, bridge in sight.bridges if where == name and bridge["ifname"] != link["master"]]
    new = () if others else (shell(name, "ip link add br9 type bridge"), shell(name, "ip link set br9 up"))
    gone: tuple[Step, ...] = () if others else (shell(name, "ip link del br9"),)
    other = rng.choice(others) if others else "br9"
    device = link["ifname"]
    steps = (*new, shell(name, f"ip link set {device} master {other}"))
    undo = (shell(name, f"ip link set {device} master {link['master']}"), *gone)
    return Mutation("link-other-bridge", steps, undo, (_link(name, device, "link bridge-port"),))


def link_plugged(sight: Sight, rng: Random) -> Mutation | None:
    """An interface that has its own addresses becomes a port of a bridge."""
    free = [(name, link) for name, link in sight.wires if "master" not in link and _movable(link)]
    if not free:
        return None
    name, link = rng.choice(free)
    bridges = [bridge["ifname"] for where, bridge in sight.bridges if where == name]
    new = () if bridges else (shell(name, "ip link add br9 type bridge"), shell(name, "ip link set br9 up"))
    gone = () if bridges else (shell(name, "ip link del br9"),)
    steps = (*new, shell(name, f"ip link set {link['ifname']} master {rng.choice(bridges) if bridges else 'br9'}"))
    undo = (shell(name, f"ip link set {link['ifname']} nomaster"), *gone)
    return Mutation("link-plugged", steps, undo, (_link(name, link["ifname"], "link bridge-port"),))


def link_moved(sight: Sight, rng: Random) -> Mutation | None:
    """Into another namespace."""
    movable = [(name, link) for name, link in sight.wires if _movable(link)]
    name, link = rng.choice(movable)
    taken = {where for where, other in sight.links if other["ifname"] == link["ifname"]}
    free = [space for space in sight.spaces if space not in taken]
    if not free:
        return None
    target, device = rng.choice(free), link["ifname"]
    back = [shell(target, f"ip link set {device} netns {handle(name)}"), shell(name, f"ip link set {device} up")]
    if "master" in link:
        back.append(shell(name, f"ip link set {device} master {link['master']}"))
    steps = (shell(name, f"ip link set {device} netns {handle(target)}"),)
    truth = (_link(name, device), _link(target, device), known(name, "", codes="link-missing"))
    return Mutation("link-moved", steps, tuple(back), truth)


def link_renamed(sight: Sight, rng: Random) -> Mutation | None:
    """Another name: routes stay, rules that speak of the old one do not match any more."""
    name, link = rng.choice(sight.wires)
    old = link["ifname"]
    steps, undo = (
        tuple(shell(name, f"ip link set {line}") for line in lines) for lines in (_renaming(old, "new9"), _renaming("new9", old))
    )
    truth = (_link(name, old), _link(name, "new9"), known(name, "", codes="link-missing"))
    return Mutation("link-renamed", steps, undo, truth, renamed=(name, old, "new9"))


def link_deleted(sight: Sight, rng: Random) -> Mutation | None:
    name, link = rng.choice(sight.wires)
    return Mutation(
        "link-deleted", (shell(name, f"ip link del {link['ifname']}"),), remade(sight, name, link), _both_ends(sight, name, link)
    )


def link_vlan(sight: Sight, rng: Random) -> Mutation | None:
    """Addresses of an interface move to a tagged interface upon it: the far end does not speak of tags."""
    found = [(name, device, address) for name, device, address in sight.addresses if address["family"] == "inet" and device != "lo"]
    name, device, address = rng.choice(found)
    text = f"{address['local']}/{address['prefixlen']}"
    steps = (
        shell(name, f"ip link add link {device} name tag9 type vlan id {rng.randrange(2, 100)}"),
        shell(name, "ip link set tag9 up"),
        shell(name, f"ip addr del {text} dev {device}"),
        shell(name, f"ip addr add {text} dev tag9"),
    )
    undo = (shell(name, "ip link del tag9"), shell(name, f"ip addr add {text} dev {device}"))
    return Mutation("link-vlan", steps, undo, (known(name, "link address", "tag9"), known(name, "link address", device)))


def _set(name: str, device: str, kind: str, done: str, undone: str | None, kinds: str = "link") -> Mutation:
    undo = (shell(name, f"ip link set {device} {undone}"),) if undone else ()
    return Mutation(kind, (shell(name, f"ip link set {device} {done}"),), undo, (_link(name, device, kinds),))


def _link(name: str, device: str, kinds: str = "link") -> Identity:
    return known(name, kinds, device)


def _renaming(old: str, new: str) -> tuple[str, ...]:
    return (f"{old} down", f"{old} name {new}", f"{new} up")


def _both_ends(sight: Sight, name: str, link: dict[str, Any], kinds: str = "link") -> tuple[Identity, ...]:
    """A cable is one object with two ends."""
    if link.get("linkinfo", {}).get("info_kind") != "veth" or (far := far_end(sight, name, link)) is None:
        return (_link(name, link["ifname"], kinds),)
    return (_link(name, link["ifname"], kinds), _link(far[0], far[1]["ifname"], kinds))


def _movable(link: dict[str, Any]) -> bool:
    return link.get("linkinfo", {}).get("info_kind") in ("veth", "macvlan", "dummy")


KINDS = (link_down, link_mtu, link_mac, link_noarp, link_unplugged, link_other_bridge, link_plugged, link_moved, link_renamed,
         link_deleted, link_vlan)  # fmt: skip
