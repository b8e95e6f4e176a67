"""A rule that asks for the address or port that a packet had before its destination was translated: behind
that it has another. Pure.

See: iptables(8), TABLES; net/netfilter/nf_nat_core.c: FORWARD and POSTROUTING come behind PREROUTING.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from msgspec.structs import replace

from netprobe.diagnose import nat_rules, rule_words
from netprobe.diagnose.nat_rules import NatRule
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Change, Namespace, Place, Stage, Stop
from netprobe.model.lookup import among
from netprobe.rules.naming import PORT_KEYS

from .sets import REFUSED

_TO = {"dport": PORT_KEYS, "dst": ("ip daddr", "ip6 daddr")}


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each rule behind a translation that would give the packet a source, or accept it, if it asked for what
    the packet has there.
    """
    for hop in nat_rules.rewriting(loss.prediction.request.hops, *_TO):
        namespace = loss.snapshot.at(hop.namespace)
        changes = among(hop.changes, field=_TO)
        for rule in nat_rules.rules_of_nat(namespace, "postrouting", hop.flow.dst, "snat", "masquerade"):
            place = Place(namespace.name, None, Stage.POSTROUTING)
            thing = rule.decision.object
            stop = Stop("nat-wrong-match", place, "", thing, (), (thing.text, loss.stop.text))
            yield from _corrected(loss, namespace, rule, changes, stop)
        refused = loss.here == namespace and loss.stop.code in REFUSED
        for rule in nat_rules.of_kind(namespace.tables, "accept") if refused else ():
            thing = rule.decision.object
            stop = replace(loss.stop, object=thing, proof=(thing.text, loss.stop.text), advice="")
            yield from _corrected(loss, namespace, rule, changes, stop)


def _corrected(
    loss: Loss, namespace: Namespace, rule: NatRule, changes: tuple[Change, ...], stop: Stop
) -> Iterator[Repair]:
    for change, alone in product(changes, ("", "/32", "/128")):  # as the tool may write it
        old, new = change.before + alone, change.after + alone
        if old in nat_rules.said(rule.statements, *_TO[change.field]):
            text = (
                f"{stop.thing.id} of {namespace.name} asks for {old}, which the packet had before it was"
                f" translated to {new}"
            )
            fix = rule_words.reworded(stop.thing, rule.rule, old, new)
            yield from loss.repair(replace(stop, text=text, commands=fix), Merit.RESTORES, agreeing=1)
