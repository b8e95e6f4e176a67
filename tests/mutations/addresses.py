"""Addresses changed: deleted, mistyped, given another prefix length, given to somebody else as well, moved to another interface."""

from __future__ import annotations

import ipaddress
from random import Random
from typing import Any

from mutations.mutation import Identity, Mutation, Step, known, shell
from mutations.sight import Sight


def address_deleted(sight: Sight, rng: Random) -> Mutation | None:
    name, device, address = rng.choice(sight.addresses)
    return Mutation(
        "address-deleted", (_del(name, device, _text(address)),), (_add(name, device, _text(address)),), _old(name, device, address)
    )


def address_mistyped(sight: Sight, rng: Random) -> Mutation | None:
    """One bit of it is wrong, in the network or in the host's part."""
    name, device, address = rng.choice(sight.addresses)
    given = ipaddress.ip_address(address["local"])
    wrong = type(given)(int(given) ^ (1 << rng.choice([1, 2, 4, 6, 9, 17, 25] if given.version == 4 else [1, 4, 9, 65, 80])))
    text = f"{wrong}/{address['prefixlen']}"
    steps: tuple[Step, ...] = (_del(name, device, _text(address)), _add(name, device, text))
    undo = (_del(name, device, text), _add(name, device, _text(address)))
    return Mutation("address-mistyped", steps, undo, (*_old(name, device, address), known(name, "address", str(wrong))))


def address_prefix(sight: Sight, rng: Random) -> Mutation | None:
    name, device, address = rng.choice(sight.addresses)
    widths = [8, 16, 24, 28, 30, 32] if address["family"] == "inet" else [32, 48, 64, 96, 126, 128]
    width = rng.choice([each for each in widths if each != address["prefixlen"]])
    text = f"{address['local']}/{width}"
    steps = (_del(name, device, _text(address)), _add(name, device, text))
    undo = (_del(name, device, text), _add(name, device, _text(address)))
    return Mutation("address-prefix", steps, undo, (known(name, "address", device), known(name, "address", address["local"])))


def address_twice(sight: Sight, rng: Random) -> Mutation | None:
    """An address of one namespace in another one, too."""
    name, _, address = rng.choice(sight.addresses)
    others = [(where, link["ifname"]) for where, link in sight.links if where != name]
    if not others:
        return None
    where, device = rng.choice(others)
    text = f"{address['local']}/{rng.choice([address['prefixlen'], _full(address)])}"
    return _added("address-twice", where, device, text)


def address_wrong_more(sight: Sight, rng: Random) -> Mutation | None:
    """One more address, whose network covers that of somebody else, or is that of a neighbour on the way."""
    _, _, address = rng.choice(sight.addresses)
    name, link = rng.choice(sight.links)
    given = ipaddress.ip_interface(_text(address))
    width = rng.choice([given.network.prefixlen, max(given.network.prefixlen - 8, 8)])
    wrong = ipaddress.ip_address(int(given.ip) ^ (0x70 if given.version == 4 else 0x7000))
    return _added("address-wrong-more", name, link["ifname"], f"{wrong}/{width}")


def address_moved(sight: Sight, rng: Random) -> Mutation | None:
    """To another interface of the same namespace."""
    name, device, address = rng.choice(sight.addresses)
    others = [link["ifname"] for where, link in sight.links if where == name and link["ifname"] != device]
    other = rng.choice(others)
    steps = (_del(name, device, _text(address)), _add(name, other, _text(address)))
    undo = (_del(name, other, _text(address)), _add(name, device, _text(address)))
    return Mutation("address-moved", steps, undo, (*_old(name, device, address), known(name, "address", other)))


def _added(kind: str, name: str, device: str, text: str) -> Mutation:
    truth = (known(name, "address", text.partition("/")[0]),)
    return Mutation(kind, (_add(name, device, text),), (_del(name, device, text),), truth)


def _old(name: str, device: str, address: dict[str, Any]) -> tuple[Identity, ...]:
    """The address that was there: by itself, or as what its interface lacks."""
    return (known(name, "address", address["local"]), known(name, "address", device))


def _text(address: dict[str, Any]) -> str:
    return f"{address['local']}/{address['prefixlen']}"


def _full(address: dict[str, Any]) -> int:
    return 32 if address["family"] == "inet" else 128


def _add(name: str, device: str, text: str) -> Step:
    return shell(name, f"ip addr add {text} dev {device}{' nodad' if ':' in text else ''}")


def _del(name: str, device: str, text: str) -> Step:
    return shell(name, f"ip addr del {text} dev {device}")


KINDS = (address_deleted, address_mistyped, address_prefix, address_twice, address_wrong_more, address_moved)
