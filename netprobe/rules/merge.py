"""The ways of a packet through a hook, laid together: one ruling, and whether the doubts on the way
matter.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from netprobe.model import ChainQuery, SetQuery
from netprobe.model.lookup import among, column, first, has, where

from .ruling import Doubt, HookVerdict, Ruling


def merged(main: Ruling, others: list[Ruling]) -> Ruling:
    """The main ending with those that differ from it as alternatives.

    One that differs because of something we do not understand makes the ruling undetermined, at the rule that
    we do not understand; one that differs by chance or by a limit stays an alternative.
    """
    different = [other for other in others if _outcome(other) != _outcome(main)]
    ignorant = [other for other in different if has(other.doubts, ignorance=True)]
    if main.verdict is HookVerdict.UNDETERMINED:
        return replace(main, needs=_needs(_doubts(main, *others)))
    if ignorant:
        doubts = _distinct(where(_doubts(main, *ignorant), ignorance=True))
        return replace(
            main,
            verdict=HookVerdict.UNDETERMINED,
            decision=doubts[0].decision,
            reject=None,
            doubts=doubts,
            needs=_needs(doubts),
            alternatives=_each(main, *different),
            refused_by=_refused_by(main, *others),
        )
    kept = main.doubts if main.translations else ()  # an address that NAT would take and that is not known
    return replace(main, alternatives=_each(*different), doubts=kept)


def _refused_by(*endings: Ruling) -> Ruling | None:
    """The ending by which a packet is refused, where all that refuse it do so by the same rule."""
    refusing = among(endings, verdict=(HookVerdict.DROP, HookVerdict.REJECT))
    return refusing[0] if len({*column(refusing, "decision")}) == 1 else None


def _each(*endings: Ruling) -> tuple[Ruling, ...]:
    """Of endings that nobody could tell apart the first."""
    return tuple(first(endings, _outcome).values())


def _doubts(*endings: Ruling) -> list[Doubt]:
    return [doubt for ending in endings for doubt in ending.doubts]


def _outcome(ruling: Ruling) -> object:
    """What a later part of the path could tell apart."""
    if ruling.verdict is not HookVerdict.ACCEPT:
        return ruling.verdict, ruling.reject
    packet = ruling.packet
    marks = packet.mark, packet.connection.mark if packet.connection is not None else 0
    zones = packet.zone, packet.zone_of_replies
    return ruling.verdict, packet.flow, marks, zones, packet.state, packet.tos, _way(ruling)


def _way(ruling: Ruling) -> object:
    """What its way was looked for with, where that was done anew."""
    return None if ruling.rerouted is None else (ruling.rerouted.flow.dst, ruling.rerouted.mark)


def _distinct(doubts: Iterable[Doubt]) -> tuple[Doubt, ...]:
    return tuple(dict.fromkeys(doubts))


def _needs(doubts: Iterable[Doubt]) -> tuple[SetQuery | ChainQuery, ...]:
    return tuple(dict.fromkeys(doubt.need for doubt in doubts if doubt.need))
