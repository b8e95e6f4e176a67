"""A chain to which rules lead what is for one service, and that leads it on for some senders alone: that of
the packet is none of them. Pure.

A load balancer's source ranges are written so. See: iptables(8), -j; nft(8), jump.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain as joined
from operator import attrgetter

from netprobe.diagnose import nat_rules, rule_words
from netprobe.diagnose.nat_rules import NatRule
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.routers import network_behind
from netprobe.model import Chain, Leg, Namespace, Object, Place, Rule, Stage, Stop
from netprobe.model.lookup import among, column, has, where
from netprobe.predict import prefix
from netprobe.rules.naming import rule_decision

_HOOKS = (Stage.PREROUTING, Stage.OUTPUT)


def candidates(loss: Loss) -> Iterator[Repair]:
    """An entry for the sender's network in each such chain that the request was led to."""
    for passed in among(where(loss.prediction.rules, leg=Leg.REQUEST), stage=_HOOKS):
        namespace = loss.snapshot.at(passed.namespace)
        for came in where(loss.prediction.request.hops, namespace=namespace.name)[:1]:
            for leading in _leading(namespace, passed.rules):
                yield from _led_on(loss, namespace, leading, came.flow.src)


def _leading(namespace: Namespace, things: tuple[Object, ...]) -> Iterator[NatRule]:
    """The rules of translation among those that matched."""
    for thing in things:
        for rule in nat_rules.from_on(namespace, thing)[:1]:
            if rule.rule.leads_to and has(rule.table.chains, type="nat"):
                yield rule


def _led_on(loss: Loss, namespace: Namespace, leading: NatRule, source: str) -> Iterator[Repair]:
    chain = leading.table.chain(leading.rule.leads_to) or Chain("")
    entries = _entries(chain)
    goals = {*map(attrgetter("leads_to"), entries)}
    senders = [*nat_rules.said_by(entries, "ip saddr"), *nat_rules.said_by(entries, "ip6 saddr")]
    if len(goals) != 1 or prefix.within(senders, source):
        return
    first = entries[0]
    thing = rule_decision(leading.table, chain, first, Stage.PREROUTING.value).object
    network, meant = _network(namespace, source, leading)
    text = (
        f"{chain.name} of {namespace.name} leads on what comes from {', '.join(senders[:3])}, and not from"
        f" {network}"
    )
    missing = Object("nat-rule", rule_words.chain_id(thing), f"no rule of {chain.name} is for {network}")
    fix = rule_words.put_beside(thing, first, senders[0], network)
    place = Place(namespace.name, None, Stage.PREROUTING)
    stop = Stop("dnat-missing", place, text, missing, fix, (thing.text, loss.stop.text))
    yield from loss.repair(stop, Merit.restoring(meant), agreeing=len(entries))


def _entries(chain: Chain) -> list[Rule]:
    """The rules of a chain, where all that lead on, or translate, ask for a sender and nothing else."""
    leading = [*filter(attrgetter("leads_to"), chain.rules)]
    does = {*column(joined.from_iterable(column(chain.rules, "statements")), "kind")}
    return leading if all(map(_asks_for_one, leading)) and does <= _HARMLESS else []


def _asks_for_one(rule: Rule) -> bool:
    """Whether a rule is for what comes from one network, and asks for nothing else."""
    tests = nat_rules.tests(rule)
    return len(tests) == len(nat_rules.networks(tests, *nat_rules.FROM)) == 1


_HARMLESS = {*nat_rules.TESTS, "jump", "goto", "note", "counter"}


def _network(namespace: Namespace, source: str, rule: NatRule) -> tuple[str, bool]:
    """The network of a sender: the largest that rules of the table name, or that from which it comes; and
    whether they name it.
    """
    rules = nat_rules.of_kind((rule.table,), "match")
    named = {each for other in rules for each in _said(other)}
    holding = sorted(prefix.covering(named, source), key=prefix.length)
    if holding:
        return holding[0], True
    return network_behind(namespace, source), False


def _said(rule: NatRule) -> list[str]:
    """The networks of which a rule speaks as those of senders, for them or for all others."""
    named = column(among(rule.statements, key=nat_rules.FROM), "value")
    return [each for each in filter(None, named) if nat_rules.is_prefix(each)]
