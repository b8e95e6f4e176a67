"""Published ports that a map leads to a chain which translates: the rule that looks them up does not get
the packet. Pure.

See: nft(8), VERDICT MAPS.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from msgspec.structs import replace

from netprobe.diagnose import dnat_rules, nat_rules
from netprobe.diagnose.nat_rules import NatRule
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Flow, Namespace, Place, Stage, Stop, Table, Term
from netprobe.model.lookup import among, column, where
from netprobe.predict import fixes

from .published import asked


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each rule that leads the port of the request to a chain that translates, for this packet as well."""
    for namespace, flow in asked(loss):
        own = namespace.owner_of(flow.dst) is not None
        for rule in nat_rules.rules_of_nat(namespace, "prerouting", flow.dst, "vmap"):
            meant = own or dnat_rules.speaks_of_address(rule.statements, flow.dst)
            for verdict in _verdicts(rule, flow) if meant else ():
                yield from _for_this(loss, namespace, flow, rule, verdict)


def _verdicts(rule: NatRule, flow: Flow) -> Iterator[str]:
    """What a rule does with the destination port of a flow, where that ends in a translation."""
    keys = (f"{flow.protocol.value} dport", "th dport")
    for each in among(where(rule.statements, kind="vmap"), key=keys):
        for pair in where(_elements(rule.table, each.right), kind="pair"):
            port, verdict = map(nat_rules.written, pair.args)
            if flow.dport in dnat_rules.numbers(port) and _translates(rule.table, verdict):
                yield verdict


def _elements(table: Table, held: Term | None) -> tuple[Term, ...]:
    """The elements of a map, or of the one of this name."""
    if held is not None and held.kind == "ref":
        return tuple(chain.from_iterable(column(where(table.sets, name=held.text), "known")))
    return held.args if held is not None else ()


def _translates(table: Table, verdict: str) -> bool:
    """Whether a verdict leads to a chain that gives another destination."""
    led = chain.from_iterable(column(where(table.chains, name=verdict.rpartition(" ")[2]), "rules"))
    return any(among(each.statements, kind=dnat_rules.PUBLISHING) for each in led)


def _for_this(loss: Loss, namespace: Namespace, flow: Flow, rule: NatRule, verdict: str) -> Iterator[Repair]:
    """What a rule does with the port, before it."""
    name, thing = namespace.name, rule.decision.object
    text = f"{name} leads port {flow.dport} on by {thing.id}, but not for this packet"
    place = Place(name, None, Stage.PREROUTING)
    stop = Stop("dnat-missing", place, text, thing, (), (thing.text, loss.stop.text))
    at = (rule.table.family, rule.table.name, rule.chain.name, "position", str(rule.rule.handle))
    words = ("insert", "rule", *at, flow.protocol.value, "dport", str(flow.dport), *verdict.split())
    added = fixes.nft((rule.table.name, rule.chain.name), *words)
    yield from loss.repair(replace(stop, commands=added), Merit.ADDS)
