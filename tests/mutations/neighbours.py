"""Neighbour entries changed: a wrong MAC for ever, entries that say "failed", proxy entries that go, all that was learned gone."""

from __future__ import annotations

from random import Random

from mutations.mutation import Mutation, known, shell
from mutations.sight import Sight


def neighbour_wrong(sight: Sight, rng: Random) -> Mutation | None:
    """A permanent entry for a station that is really asked: a MAC that nobody has, or that of somebody else."""
    found = _known(sight)
    if not found:
        return None
    name, device, address = rng.choice(found)
    mac = rng.choice(["02:00:00:00:99:01", *sight.macs])
    steps = (shell(name, f"ip neigh replace {address} lladdr {mac} dev {device} nud permanent"),)
    return Mutation("neighbour-wrong", steps, (shell(name, f"ip neigh del {address} dev {device}"),), (known(name, "neighbour", address),))


def neighbour_stale_wrong(sight: Sight, rng: Random) -> Mutation | None:
    """A wrong MAC, as if learned: the kernel finds out by itself, or nobody does."""
    found = _known(sight)
    if not found:
        return None
    name, device, address = rng.choice(found)
    state = rng.choice(["stale", "reachable", "noarp"])
    steps = (shell(name, f"ip neigh replace {address} lladdr 02:00:00:00:99:02 dev {device} nud {state}"),)
    truth = (known(name, "neighbour", address),)
    return Mutation("neighbour-stale-wrong", steps, (shell(name, f"ip neigh del {address} dev {device}"),), truth, warm=True)


def neighbour_deleted(sight: Sight, rng: Random) -> Mutation | None:
    """A permanent entry goes, of those that a daemon or a person wrote."""
    found = [(name, each) for name, each in sight.everywhere("ip -j neigh show nud permanent") if "lladdr" in each]
    if not found:
        return None
    name, each = rng.choice(found)
    steps = (shell(name, f"ip neigh del {each['dst']} dev {each['dev']}"),)
    undo = (shell(name, f"ip neigh add {each['dst']} lladdr {each['lladdr']} dev {each['dev']} nud permanent"),)
    return Mutation("neighbour-deleted", steps, undo, (known(name, "neighbour", each["dst"]),))


def proxy_deleted(sight: Sight, rng: Random) -> Mutation | None:
    found = [(name, each) for name, each in sight.everywhere("ip -j neigh show proxy") + sight.everywhere("ip -j -6 neigh show proxy")]
    if not found:
        return None
    name, each = rng.choice(found)
    steps, undo = ((shell(name, f"ip neigh {verb} proxy {each['dst']} dev {each['dev']}"),) for verb in ("del", "add"))
    truth = (known(name, "neighbour", each["dst"]), known(name, "sysctl", codes="proxy-arp-off"))
    return Mutation("proxy-deleted", steps, undo, truth)


def proxy_added(sight: Sight, rng: Random) -> Mutation | None:
    """The answer for an address of somebody else is given here as well."""
    name, link = rng.choice(sight.wires)
    _, _, address = rng.choice(sight.addresses)
    steps, undo = ((shell(name, f"ip neigh {verb} proxy {address['local']} dev {link['ifname']}"),) for verb in ("add", "del"))
    return Mutation("proxy-added", steps, undo, (known(name, "neighbour", address["local"]),))


def _known(sight: Sight) -> list[tuple[str, str, str]]:
    """Neighbours that a namespace has learned, or was told."""
    found = sight.everywhere("ip -j -4 neigh show") + sight.everywhere("ip -j -6 neigh show")
    return sorted((name, each["dev"], each["dst"]) for name, each in found if "lladdr" in each and not each["dst"].startswith("fe80:"))


KINDS = (neighbour_wrong, neighbour_stale_wrong, neighbour_deleted, proxy_deleted, proxy_added)
