"""Rules that give packets another source, and pass over those that they are for. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain as chained
from operator import itemgetter

from netprobe.model import Chain, Link, Namespace, Rule, Statement
from netprobe.model.lookup import column, gathered, indexed
from netprobe.predict import prefix
from netprobe.rules.ruling import Decision

from .nat_rules import (
    FROM,
    SOURCE,
    TO,
    NatRule,
    is_for_interface,
    is_for_others,
    is_of,
    networks,
    rules_of_nat,
)

_WAYS = 64  # steps from rule to rule that leads there
_Way = tuple[NatRule, ...]


def meant_for(
    namespace: Namespace, out: Link | None, source: str, target: str, expected: bool
) -> Iterator[Decision]:
    """The source NAT rules of a namespace that do not speak of another of its interfaces, or of its networks,
    or what leads to one and is for other senders: those first that ask who sends.

    Where translation is expected, one that names the network of `source` itself is meant for it, whatever the
    interface.
    """
    found: list[tuple[bool, NatRule]] = []
    for each in rules_of_nat(namespace, "postrouting", source, *SOURCE):
        ways = (
            (way, tuple(chained.from_iterable(step.statements for step in way))) for way in _ways_to(each)
        )
        meant = (way for way, asked in ways if _is_meant(namespace, asked, out, source, target, expected))
        for way in (*meant,)[:1]:
            over = [step for step in way if _passes_over(step.statements, source)]
            found.append((not over, [*over, each][0]))
    # what looks at a mark, say, is for something else
    yield from (each.decision for _, each in sorted(found, key=itemgetter(0)))


def _is_meant(
    namespace: Namespace,
    asked: tuple[Statement, ...],
    out: Link | None,
    source: str,
    target: str,
    expected: bool,
) -> bool:
    """Whether what is asked on a way is there for such a packet, whatever keeps that from it."""
    if _is_turned_round(asked, source):
        return True
    own = expected and prefix.within(networks(asked, *FROM), source)
    return (own or is_for_interface(namespace, asked, out)) and not _is_for_own(
        namespace, asked, source, target
    )


def _is_turned_round(asked: tuple[Statement, ...], source: str) -> bool:
    """Whether the receiver is to be of the sender's network, and nothing is asked of the sender."""
    return not networks(asked, *FROM) and prefix.within(networks(asked, *TO), source)


def _passes_over(asked: tuple[Statement, ...], source: str) -> bool:
    """Whether a rule is for other senders, or asks of the receiver what it should of the sender."""
    return is_for_others(asked, FROM, source) or _is_turned_round(asked, source)


def _ways_to(found: NatRule) -> Iterator[_Way]:
    """Each of the first ways to a rule, itself included: by the rules that lead to its chain as well, where
    any does.
    """
    led = indexed(_leading, found.table.chains)
    ways: list[_Way] = [(found,)]
    for way in ways:  # it grows on the way, though not for ever
        before = led.get(way[0].chain.name, ())
        room = before[: _WAYS - len(ways)]
        ways += [(NatRule(found.table, other, rule, found.hook), *way) for other, rule in room]
        if not before:
            yield way


def _leading(chains: tuple[Chain, ...]) -> dict[str, tuple[tuple[Chain, Rule], ...]]:
    """For the name of one of the chains, the rules that lead there: of ten thousand most lead to others."""
    names = {*column(chains, "name")}
    leading = ((rule.leads_to, (chain, rule)) for chain in chains for rule in chain.rules)
    return gathered(each for each in leading if each[0] in names)


def _is_for_own(namespace: Namespace, asked: tuple[Statement, ...], source: str, target: str) -> bool:
    """Whether another network of the namespace is asked for than that of the source, or packets to its
    own.
    """
    others = _other_networks(asked, FROM, source)
    return any(is_of(namespace, each) for each in others) or _is_for_neighbours(namespace, asked, target)


def _is_for_neighbours(namespace: Namespace, asked: tuple[Statement, ...], target: str) -> bool:
    """Whether it is for packets to the host's own containers, which `target` is none of: the hairpin rule of
    a published port.
    """
    own = [*map(prefix.network_of, namespace.addresses)]
    others = _other_networks(asked, TO, target)
    return any(prefix.within(own, to.partition("/")[0]) for to in others)


def _other_networks(asked: tuple[Statement, ...], keys: tuple[str, ...], address: str) -> list[str]:
    """The networks that are named, and that an address is not of."""
    return [each for each in networks(asked, *keys) if not prefix.contains(each, address)]
