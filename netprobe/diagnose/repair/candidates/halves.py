"""Rules for a port of the goal by one of the two protocols that people open together, and not by the other:
what is let in, and what gets another source on its way there. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from msgspec.structs import replace

from netprobe.diagnose import nat_rules, rule_words
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Leg, Namespace, Place, Stage
from netprobe.model.lookup import but, where
from netprobe.predict import prefix

from .sets import REFUSED

_MOST = 16  # rules of a namespace
_TO = ("ip daddr", "ip6 daddr")
_OTHER = {"tcp": "udp", "udp": "tcp"}


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each accepting rule where the packet was refused, and each translating one of those who routed it."""
    other = _OTHER.get(loss.probe.protocol.value, "")
    for routed in where(loss.prediction.routed, namespace=loss.here.name, leg=loss.prediction.leg)[-1:]:
        accepting = nat_rules.of_kind(loss.here.tables, "accept") if loss.stop.code in REFUSED else ()
        yield from _copied(loss, loss.here, accepting, routed.dst, other)
    for routed in but(loss.asked(Leg.REQUEST), iif=None):
        namespace = loss.snapshot[routed.namespace]
        translating = nat_rules.rules_of_nat(namespace, "postrouting", routed.src, "snat", "masquerade")
        yield from _copied(loss, namespace, translating, routed.dst, other)


def _copied(
    loss: Loss, namespace: Namespace, rules: Iterator[nat_rules.NatRule] | tuple[()], goal: str, other: str
) -> Iterator[Repair]:
    """Each of the rules that names the goal and the other protocol, for the packet's, beside it."""
    to_it = (each for each in rules if prefix.within(nat_rules.networks(each.statements, *_TO), goal))
    for rule in islice(to_it, _MOST * bool(other)):
        protocol, thing = loss.probe.protocol.value, rule.decision.object
        text = f"{thing.id} of {namespace.name} is for {other} to {goal}, and no rule like it for {protocol}"
        fix = rule_words.put_beside(thing, rule.rule, other, protocol)
        if fix == rule_words.put_beside(thing, rule.rule, other, other):
            continue  # it names another, or none
        missing = rule_words.missing(thing, fix, thing.kind)
        beyond = Place(namespace.name, None, Stage.POSTROUTING)
        place = {loss.here.name: loss.stop.place}.get(namespace.name, beyond)
        stop = replace(loss.stop, place=place, text=text, object=missing, commands=fix, advice="")
        yield from loss.repair(replace(stop, proof=(thing.text, loss.stop.text)), Merit.RESTORES, agreeing=1)
