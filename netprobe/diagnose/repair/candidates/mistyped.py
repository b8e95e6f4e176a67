"""Rules that would accept the packet, or lead it on, but for a port that is one slip of the fingers from its
own, and on which nobody listens. Pure.

See: iptables(8), -R; nft(8), replace rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain

from msgspec.structs import replace

from netprobe.diagnose import dnat_rules, nat_rules, rule_words
from netprobe.diagnose.nat_rules import NatRule
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.segment import slips
from netprobe.model import Flow, Place, Stage, Stop
from netprobe.model.lookup import has, where
from netprobe.rules.naming import PORT_KEYS

from .published import asked
from .sets import REFUSED, came

_HOOKS = {Stage.PREROUTING: "prerouting", Stage.OUTPUT: "output"}


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each such rule, with the port of the packet."""
    refused = loss.stop.code in REFUSED
    for hop in where(came(loss), namespace=loss.here.name)[-1:] if refused else ():
        accepting = nat_rules.of_kind(loss.here.tables, "accept")
        yield from _with_its_port(loss, loss.stop, hop.flow, accepting)
    for namespace, flow in asked(loss) if loss.stop.code == "port-closed" else ():
        sent = namespace.name == loss.probe.source.namespace
        stage = Stage.OUTPUT if sent else Stage.PREROUTING
        stop = Stop("dnat-missing", Place(namespace.name, None, stage), "")
        rules = nat_rules.rules_of_nat(namespace, _HOOKS[stage], flow.dst, *dnat_rules.PUBLISHING)
        yield from _with_its_port(loss, stop, flow, rules)


def _with_its_port(loss: Loss, base: Stop, flow: Flow, rules: Iterable[NatRule]) -> Iterator[Repair]:
    port = "" if flow.dport is None else str(flow.dport)
    meant = {*slips(port)} - {port}
    for rule in rules if port else ():
        said = nat_rules.said(rule.statements, *PORT_KEYS)
        for old in filter(partial(_is_of_nobody, loss, flow), meant.intersection(said)):
            thing = rule.decision.object
            what = f"{thing.id} of {base.place.namespace} is for port {old}, on which nobody listens"
            text = f"{what}, and the packet is for {port}: {loss.stop.text}"
            fix = rule_words.reworded(thing, rule.rule, old, port)
            proof = (thing.text, loss.stop.text)
            stop = replace(base, text=text, object=thing, commands=fix, proof=proof, advice="")
            yield from loss.repair(stop, Merit.RESTORES, agreeing=1)


def _is_of_nobody(loss: Loss, flow: Flow, port: str) -> bool:
    """Whether no program that was seen takes what comes for a port."""
    spaces = loss.snapshot.namespaces.values()
    waiting = chain.from_iterable(each.waiting(flow.protocol.value) for each in spaces)
    return port.isdigit() and not has(waiting, port=int(port))
