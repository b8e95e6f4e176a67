"""Which of two ends is mistyped: who else names the addresses that a repair brings, and those that it takes
away. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable

from netprobe.model import Command, Namespace
from netprobe.model.command import words_of
from netprobe.model.lookup import but, column, those_not_in, where

from .repair import Loss, Repair
from .segment import pointing_at

# What gives an address, sends to another one, or makes an interface again that had one.
_CONTESTED = {"addr-missing", "addr-wrong-subnet", "route-wrong-nexthop", "link-missing"}


def voices(loss: Loss, repair: Repair) -> int:
    """How many more of the others name what comes than what goes; of a length, how many have it."""
    if repair.stop.code == "addr-wrong-prefix":
        return repair.agreeing
    if repair.stop.code not in _CONTESTED:
        return 0
    name = repair.stop.place.namespace
    before, after = _named(loss.snapshot.at(name)), _named(repair.mended.at(name))
    come = after - before - _supposed(repair)
    gone = [each for each in before - after if not _others_with(loss, name, each)]
    theirs = sum(_naming(loss, name, each) + _is_numbered_so(repair, each) for each in come)
    return theirs - sum(_naming(loss, name, each) for each in gone)


def _named(namespace: Namespace) -> set[str]:
    """The addresses that a namespace has, or sends to."""
    return {*column(namespace.addresses, "address"), *filter(None, namespace.gateways)}


def _supposed(repair: Repair) -> set[str]:
    """The addresses that stand in for a word that only the reader knows."""
    if not repair.is_to_fill_in:
        return set()
    return spoken_of(repair.done) - spoken_of(repair.stop.commands)


def spoken_of(commands: Iterable[Command]) -> set[str]:
    """The words of commands, addresses among them, without the lengths of their prefixes."""
    return {word.partition("/")[0] for word in words_of(commands)}


def _naming(loss: Loss, name: str | None, address: str) -> int:
    """How many others than a namespace send to an address, have it, or ask for it."""
    bearers = _others_with(loss, name, address)
    return pointing_at(loss.snapshot, address, name) + len(bearers) + int(address == loss.goal)


def _others_with(loss: Loss, name: str | None, address: str) -> tuple[str, ...]:
    return those_not_in(loss.bearers(address), (name,))


def _is_numbered_so(repair: Repair, address: str) -> bool:
    """Whether the other sides of its bearer have the same number."""
    for there in repair.mended.namespaces.values():
        own = there.address(address)
        if own is not None:
            sides = where(there.addresses, scope="global", version=own.version)
            return _last(address) in map(_last, column(but(sides, index=own.index), "address"))
    return False


def _last(address: str) -> str:
    """The last number of an address, as it is written."""
    return address.replace(":", ".").rpartition(".")[2]
