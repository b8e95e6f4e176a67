"""Rules that would accept the packet, or lead it on, but for a port that is one slip of the fingers from its
own, and on which nobody listens. Pure.

That does not say that it is wrong: a rule may be for servers that nobody sees, or for one that does not run,
and nobody listens on a port that is published. More likely mistyped is a port of nothing, where the rule can
mean the packet's own end alone, or the packet's is one that everybody knows. An engine types no ports.

See: iptables(8), -R; nft(8), replace rule; services(5).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from msgspec.structs import replace

from netprobe.diagnose import dnat_rules, nat_rules, rule_words
from netprobe.diagnose.nat_rules import NatRule
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.segment import slips
from netprobe.model import Flow, Place, Protocol, Stage, Stop
from netprobe.model.lookup import column, has, where
from netprobe.rules.naming import PORT_KEYS

from .published import asked
from .sets import REFUSED, came

_HOOKS = {Stage.PREROUTING: "prerouting", Stage.OUTPUT: "output"}
# Where servers are that everybody knows, as IANA or their manuals have it.
_PORTS = (
    "20 22 25 53 67 69 80 110 123 143 161 179 389 443 445 465 514 587 631 636 853 873 993 995 1194"
    " 1433 1521 1812 1883 2049 2222 2375 2379 3000 3128 3306 3389 3478 4443 4789 5000 5060 5222 5353"
    " 5432 5672 5900 6379 6443 8000 8080 8443 8472 8883 9000 9090 9100 9200 9300 10250 15672 27017"
    " 51820"
)
_KNOWN = frozenset(map(int, _PORTS.split()))
_BESIDE = 10  # numbers from there on are taken where that one is not free


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each such rule, with the port of the packet."""
    refused = loss.stop.code in REFUSED
    for flow in _refused(loss) if refused else ():
        accepting = nat_rules.of_kind(loss.here.tables, "accept")
        yield from _with_its_port(loss, loss.stop, flow, accepting)
    for namespace, flow in asked(loss) if loss.stop.code == "port-closed" else ():
        sent = namespace.name == loss.probe.source.namespace
        stage = Stage.OUTPUT if sent else Stage.PREROUTING
        stop = Stop("dnat-missing", Place(namespace.name, None, stage), "")
        rules = nat_rules.rules_of_nat(namespace, _HOOKS[stage], flow.dst, *dnat_rules.PUBLISHING)
        yield from _with_its_port(loss, stop, flow, rules)


def _refused(loss: Loss) -> Iterator[Flow]:
    """The packet as it was refused, and what a tunnel's other end sends to a namespace that refuses it."""
    yield from column(where(came(loss), namespace=loss.here.name)[-1:], "flow")
    for _, vxlan in loss.here.vxlans if loss.stop.place.stage is Stage.INPUT else ():
        yield Flow("", vxlan.local or "", Protocol.UDP, dport=vxlan.port)


def _with_its_port(loss: Loss, base: Stop, flow: Flow, rules: Iterable[NatRule]) -> Iterator[Repair]:
    port = "" if flow.dport is None else str(flow.dport)
    free = {*slips(port)} - {port} - _heard(loss, flow)
    for rule in rules if port else ():
        said = nat_rules.said(rule.statements, *PORT_KEYS)
        for old in filter(str.isdecimal, free.intersection(said)):
            thing = rule.decision.object
            what = f"{thing.id} of {base.place.namespace} is for port {old}, on which nobody listens"
            text = f"{what}, and the packet is for {port}: {loss.stop.text}"
            fix = rule_words.reworded(thing, rule.rule, old, port)
            proof = (thing.text, loss.stop.text)
            stop = replace(base, text=text, object=thing, commands=fix, proof=proof, advice="")
            likely = _is_likely(rule, flow, int(old), loss.stop.place.stage)
            if likely or base is loss.stop:  # without such a rule nothing listens, which says it all
                yield from loss.repair(stop, Merit.restoring(likely), agreeing=int(likely))


def _is_likely(rule: NatRule, flow: Flow, old: int, stage: Stage) -> bool:
    """Whether a rule's port is more likely to be meant for the packet's than for another one's."""
    if _is_known(old) or rule.decision.object.owner in dnat_rules.ENGINES:
        return False
    accepts = has(rule.statements, kind="accept")
    alone = stage is Stage.INPUT or dnat_rules.is_for_one(flow.dst, rule.rule)
    return (accepts and alone) or _is_known(flow.dport or 0)


def _is_known(port: int) -> bool:
    """Whether servers are on a port as a rule, or are where the usual one is not free."""
    return not _KNOWN.isdisjoint(range(port - _BESIDE + 1, port + 1))


def _heard(loss: Loss, flow: Flow) -> set[str]:
    """The ports on which a program that was seen takes what comes."""
    spaces = loss.snapshot.namespaces.values()
    waiting = chain.from_iterable(each.waiting(flow.protocol.value) for each in spaces)
    return {*map(str, column(waiting, "port"))}
