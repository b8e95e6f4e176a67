"""A mark that rules give to a packet and that nothing looks at, where it is refused: the rule that accepts
what is marked so was lost. Pure.

See: iptables-extensions(8), mark; nft(8), META EXPRESSIONS; ip-rule(8), fwmark.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain
from operator import attrgetter

from msgspec.structs import replace

from netprobe.diagnose import nat_rules
from netprobe.diagnose.nat_rules import NatRule
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Namespace, Object
from netprobe.model.lookup import where
from netprobe.model.pattern import pattern
from netprobe.predict import fixes
from netprobe.rules.naming import tool

from .sets import REFUSED

_ASKS = pattern(r"(?<!set-)(?<!x)mark (?:(?:& |and )\S+ )?(?:== |!= |! )?(0x[0-9a-f]+|[0-9]+)")
_SETS = pattern(r"(?:--set-x?mark|mark set(?: meta mark (?:[|]|or))?) (0x[0-9a-f]+|[0-9]+)")


def candidates(loss: Loss) -> Iterator[Repair]:
    """A rule that accepts each such mark of the packet, before the one that refused it."""
    given = {*map(partial(int, base=0), _given(loss))} if loss.stop.code in REFUSED else set()
    for mark in sorted(given - {0} - _looked_at(loss.here) if given else ()):
        for refusing in nat_rules.from_on(loss.here, loss.stop.thing)[:1]:
            yield from _accepted(loss, refusing, f"{mark:#x}")


def _given(loss: Loss) -> Iterator[str]:
    """The marks that the rules set which matched."""
    for passed in where(loss.prediction.rules, namespace=loss.here.name, leg=loss.prediction.leg):
        for rule in filter(None, map(partial(nat_rules.found, loss.here), passed.rules)):
            yield from _SETS.findall(rule.text)


def marks_given(namespace: Namespace) -> set[int]:
    """The marks that rules of a namespace give."""
    texts = map(attrgetter("text"), chain.from_iterable(map(attrgetter("rules"), namespace.tables)))
    return {*map(partial(int, base=0), chain.from_iterable(map(_SETS.findall, texts)))}


def marks_set(text: str) -> set[int]:
    """The marks that a rule gives."""
    return {int(each, 0) for each in _SETS.findall(text)}


def _looked_at(namespace: Namespace) -> set[int]:
    """The marks for which rules of a namespace ask, those of routing as well."""
    texts = map(attrgetter("text"), chain.from_iterable(map(attrgetter("rules"), namespace.tables)))
    asked = map(partial(int, base=0), chain.from_iterable(map(_ASKS.findall, texts)))
    return {*map(attrgetter("mark"), namespace.rules), *asked}


def _accepted(loss: Loss, refusing: NatRule, mark: str) -> Iterator[Repair]:
    table, base, rule = refusing.table, refusing.chain, refusing.rule
    named = tool(table)
    words = ("-I", base.name, str(rule.number), "-m", "mark", "--mark", mark, "-j", "ACCEPT")
    fix = fixes.xtables(named, table.name, base.name, *words)
    if table.engine == "nft":
        at = (table.family, table.name, base.name, "position", str(rule.handle))
        fix = fixes.nft((table.name, base.name), "insert", "rule", *at, "meta", "mark", mark, "accept")
    text = f"rules of {loss.here.name} mark the packet with {mark}, and nothing asks for that mark"
    thing = Object("rule", f"{base.name} {mark}", f"no rule of {base.name} accepts the mark {mark}")
    stop = replace(loss.stop, text=text, object=thing, commands=fix, proof=(loss.stop.text,), advice="")
    yield from loss.repair(stop, Merit.RESTORES, agreeing=1)
