"""Which rules of a long chain a packet need not be compared with: those for another destination. A host of
10,000 services has as many rules in one chain, each of which begins with the address of one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from netprobe.model import Rule, Statement
from netprobe.model.lookup import indexed

from .packet import HookPacket

LONG = 256  # rules; of a shorter chain all are looked at

_FOR_ONE = {"ip daddr": ("32", "."), "ip6 daddr": ("128", ":")}  # how long one is, and what is in it
_ByDestination = tuple[list[int], dict[str, list[int]]]


def following(rules: tuple[Rule, ...], index: int, packet: HookPacket) -> int:
    """The first rule from `index` on, counted from 0, that may hold for the packet; their number where there
    is none.
    """
    if len(rules) < LONG:
        return index
    others, only = indexed(_by_destination, rules)
    return min(_next(others, index, len(rules)), _next(only.get(packet.flow.dst, ()), index, len(rules)))


def _next(places: Sequence[int], index: int, end: int) -> int:
    at = bisect_left(places, index)
    return places[at] if at < len(places) else end


def _by_destination(rules: tuple[Rule, ...]) -> _ByDestination:
    """The places of the rules that are not for one destination alone, and by destination those that are."""
    others: list[int] = []
    only: dict[str, list[int]] = {}
    for at, rule in enumerate(rules):
        address = _destination(rule)
        (others if address is None else only.setdefault(address, [])).append(at)
    return others, only


def _destination(rule: Rule) -> str | None:
    """The one address that the first test of a rule wants for the destination, as it is written. Of IPv6's,
    those that end like one of IPv4 have two spellings, and are none.
    """
    first = rule.statements[0] if rule.statements else Statement("")
    if (first.kind, first.op) != ("match", "==") or first.right is None or first.right.kind != "value":
        return None
    whole, sign = _FOR_ONE.get(first.key, ("", "\0"))
    address, _, length = first.right.text.partition("/")
    is_plain = sign in address and ("." in address) == (sign == ".")
    return address if is_plain and length in ("", whole) else None
