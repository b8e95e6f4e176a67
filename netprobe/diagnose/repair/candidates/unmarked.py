"""A mark for which rules ask and which nothing gives any more, neither another rule nor a connection: the
rule that marks what comes in by one way was lost. Pure.

See: iptables-extensions(8), MARK, mark; nft(8), META EXPRESSIONS.
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.diagnose import rule_words
from netprobe.diagnose.nat_rules import NatRule
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Leg, Namespace, Place, Stage, Stop
from netprobe.model.link import name_of
from netprobe.model.lookup import among, but, column, grouped, has, where
from netprobe.model.pattern import pattern
from netprobe.predict import fixes
from netprobe.rules.naming import tool

_ASKED = pattern(
    r"(?:-m mark --mark |meta mark (?:& (0x[0-9a-f]+) )?(?:== )?)(0x[0-9a-f]+)(?:/(0x[0-9a-f]+))?"
)
_SET = pattern(r"(?:--set-x?mark |--mark-(?:set|x?or) |mark set )|--restore-mark|ct mark")
_WAY = ("ip", "ip6", "inet")  # the families whose rules what is routed meets
_ALIKE = 2  # rules that ask for it: one accepts, another one translates
_MOST = 512  # rules of a namespace that are looked through


def candidates(loss: Loss) -> Iterator[Repair]:
    """The rule that gives the mark to what comes in as this packet did, where the first of them asks."""
    for routed in but(where(loss.prediction.routed, leg=Leg.REQUEST), iif=None):
        namespace = loss.snapshot[routed.namespace]
        asking = grouped(_unset(namespace), _asked)
        for mark, those in asking.items():
            if len({*column(those, "chain.name")}) >= _ALIKE:
                yield from _given(loss, namespace, name_of(routed.iif, ""), mark, those)


def _unset(namespace: Namespace) -> list[NatRule]:
    """The rules that ask for a mark in the tables that packets meet on their way through, where nothing gives
    one: no rule, those of bridges and cards among them, and no filter of tc, which may as well.
    """
    placed = [(table, *each) for table in namespace.tables for each in table.placed]
    rules = [NatRule(table, chain, rule, chain.at) for table, chain, rule in placed[: _MOST + 1]]
    given = any(map(_gives, rules)) or any(column(namespace.links, "filters"))
    if given or len(rules) > _MOST:
        return []
    return [*filter(_asked, among(rules, **{"table.family": _WAY}))]


def _gives(rule: NatRule) -> bool:
    """Whether a rule gives a mark, or gives back a connection's."""
    return has(rule.statements, kind="set", key="meta mark") or _SET.search(rule.rule.text) is not None


def _asked(rule: NatRule) -> tuple[str, str] | None:
    """The mark for which a rule asks, with the bits at which it looks."""
    found = _ASKED.search(rule.rule.text)
    before, mark, behind = found.groups() if found is not None else ("", "", "")
    return (mark, before or behind or "0xffffffff") if mark else None


def _given(
    loss: Loss, namespace: Namespace, iif: str, mark: tuple[str, str] | None, asking: tuple[NatRule, ...]
) -> Iterator[Repair]:
    """The rule in front of the first that accepts what is marked."""
    value, mask = mark or ("", "")
    for first in [each for each in asking if where(each.statements, kind="accept")][:1]:
        named, rule = tool(first.table), first.rule
        words = ("-i", iif, "-j", "MARK", "--set-xmark", f"{value}/{mask}")
        fix = fixes.xtables(
            named, first.table.name, first.chain.name, "-I", first.chain.name, str(rule.number), *words
        )
        if first.table.engine == "nft":
            at = (first.table.family, first.table.name, first.chain.name, "position", str(rule.handle))
            sets = ("iifname", f'"{iif}"', "meta", "mark", "set", "meta", "mark", "or", value)
            fix = fixes.nft((first.table.name, first.chain.name), "insert", "rule", *at, *sets)
        text = f"{len(asking)} rules of {namespace.name} ask for the mark {value}, and nothing gives it"
        place = Place(namespace.name, None, Stage.FORWARD)
        thing = rule_words.missing(first.decision.object, fix)
        stop = Stop("nat-wrong-match", place, text, thing, fix, (first.decision.object.text, loss.stop.text))
        yield from loss.repair(stop, Merit.RESTORES, agreeing=len(asking))
