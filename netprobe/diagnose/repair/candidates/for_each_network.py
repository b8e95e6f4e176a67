"""A rule that accepts what goes to, or comes from, a bridge and its network, as a tool writes one for each of
its bridges; one has none. Pure.

See: iptables(8), -i, -o, -s, -d; nft(8), META EXPRESSIONS.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from msgspec import Struct
from msgspec.structs import replace

from netprobe.diagnose import nat_rules, rule_words
from netprobe.diagnose.nat_rules import NatRule
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Link, Namespace
from netprobe.model.lookup import column, sole, where
from netprobe.predict import prefix

from .sets import REFUSED


class _Side(Struct, frozen=True):
    """By what a rule names the bridge and the network of one side."""

    interface: tuple[str, str]
    network: tuple[str, str]


_SIDES = (
    _Side(("oifname", "meta oifname"), nat_rules.TO),
    _Side(("iifname", "meta iifname"), nat_rules.FROM),
)


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each rule for a bridge beside, once more for the one that the packet comes from or goes to."""
    routed = where(loss.prediction.routed, namespace=loss.here.name, leg=loss.prediction.leg)[-1:]
    refused = loss.stop.code in REFUSED
    for last, side in product(routed if refused else (), _SIDES):
        link, address = {0: (loss.out(last), last.dst), 1: (last.iif, last.src)}[_SIDES.index(side)]
        if link is not None and not _is_spoken_of(loss, link, side):
            for rule in nat_rules.of_kind(loss.here.tables, "accept"):
                yield from _once_more(loss, rule, side, link, address)


def _is_spoken_of(loss: Loss, link: Link, side: _Side) -> bool:
    """Whether what refused the packet names an interface: that one is to be kept apart."""
    refusing = nat_rules.statements(loss.here, loss.stop.thing)
    return link.name in nat_rules.said(refusing, *side.interface)


def _once_more(loss: Loss, rule: NatRule, side: _Side, link: Link, address: str) -> Iterator[Repair]:
    here = loss.here
    for one, network in _is_for(here, rule, side):
        thing = rule.decision.object
        near = prefix.covering(map(prefix.network_of, here.addresses_of(link)), address)
        for other in near if link.kind == one.kind == "bridge" else ():
            fix = rule_words.put_beside_with(thing, rule.rule, {one.name: link.name, network: other})
            text = f"{thing.id} of {here.name} accepts this for {one.name}; no rule does so for {link.name}"
            missing, proof = rule_words.missing(thing, fix), (thing.text, loss.stop.text)
            made = replace(loss.stop, text=text, object=missing, commands=fix, proof=proof, advice="")
            yield from loss.repair(made, Merit.RESTORES, agreeing=1)


def _is_for(namespace: Namespace, rule: NatRule, side: _Side) -> Iterator[tuple[Link, str]]:
    """The interface and its network for which a rule asks, one of each, and for nothing else."""
    names = sole(nat_rules.said(rule.statements, *side.interface))
    for link in filter(None, map(namespace.link_named, names)):
        asked = {*column(nat_rules.tests(rule.rule), "key")}
        own = [*map(prefix.network_of, namespace.addresses_of(link))]
        for network in sole(nat_rules.networks(rule.statements, *side.network)):
            if asked <= {*side.interface, *side.network} and network in own:
                yield link, network
