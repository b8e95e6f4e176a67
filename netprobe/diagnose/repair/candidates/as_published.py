"""Rules that accept what is led to others, one by one, and none what is led here. Pure.

See: iptables(8), TABLES; net/netfilter/nf_nat_core.c: FORWARD and POSTROUTING come behind PREROUTING.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from operator import methodcaller

from msgspec.structs import replace

from netprobe.diagnose import dnat_rules, nat_rules, rule_words
from netprobe.diagnose.nat_rules import NatRule
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Hop, Stop
from netprobe.model.lookup import where
from netprobe.rules.naming import PORT_KEYS

from .sets import REFUSED

_TO = {"dport": PORT_KEYS, "dst": ("ip daddr", "ip6 daddr")}


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each rule that accepts what a translation leads to another one, for what the packet has behind it."""
    for hop in nat_rules.rewriting(loss.prediction.request.hops, *_TO):
        namespace = loss.snapshot.at(hop.namespace)
        refused = loss.here == namespace and loss.stop.code in REFUSED
        for rule in nat_rules.of_kind(namespace.tables, "accept") if refused else ():
            thing = rule.decision.object
            stop = replace(loss.stop, object=thing, proof=(thing.text, loss.stop.text), advice="")
            yield from _as_another(loss, hop, rule, stop)


def _as_another(loss: Loss, hop: Hop, rule: NatRule, stop: Stop) -> Iterator[Repair]:
    """The rule that accepts what another translation leads on, once more for this one."""
    port, ports = str(hop.flow.dport), nat_rules.said(rule.statements, *PORT_KEYS)
    networks = nat_rules.networks(rule.statements, *_TO["dst"])
    for old, (before, end) in product(ports[:1], _single(networks) if networks else ((hop.flow.dst, ""),)):
        alone = len(ports) == 1 and old.isdigit() and (before, old) != (hop.flow.dst, port)
        if alone and dnat_rules.leads_to(loss.here, replace(hop.flow, dst=before), int(old)):
            text = (
                f"{stop.thing.id} of {loss.here.name} accepts what is led to {before}; no rule does so here"
            )
            new = {**_out(loss, rule), f"{before}{end}": f"{hop.flow.dst}{end}", old: port}
            fix = rule_words.put_beside_with(stop.thing, rule.rule, new)
            missing = rule_words.missing(stop.thing, fix)
            made = replace(stop, text=text, commands=fix, object=missing)
            same = {rule.chain.name} & {*hop.thing.line}  # whose chain leads it on lets it pass as well
            yield from loss.repair(made, Merit.RESTORES, agreeing=1 + len(same))


def _single(networks: list[str]) -> Iterator[tuple[str, str]]:
    """The one address that a rule names, and its length as it is written."""
    for address, slash, length in map(methodcaller("partition", "/"), networks[: len(networks) == 1]):
        if length in ("", "32", "128"):
            yield address, f"{slash}{length}"


def _out(loss: Loss, rule: NatRule) -> dict[str, str]:
    """The interface by which a rule lets packets out, and that by which this one goes."""
    said = nat_rules.said(rule.statements, "oifname", "meta oifname")
    routed = where(loss.prediction.routed, namespace=loss.here.name, leg=loss.prediction.leg)[-1:]
    links = filter(None, map(loss.out, routed))
    return {old: link.name for old, link in product(said, links)}
