"""A rule that spares some packets a source of the translator's own, which led them to another station: that
one's answer goes past it. Pure.

What stays in a node is spared so, and what is for another node's is not. See: iptables(8), RETURN.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain, islice, product
from operator import attrgetter

from msgspec.structs import replace

from netprobe.diagnose import nat_rules, rule_words
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Flow, Namespace, Object, Place, Rule, Stage, Stop
from netprobe.model.lookup import column, gathered, where
from netprobe.predict import fixes, prefix


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each such rule for the network that is behind the translator in the place of the target's, and without
    it.
    """
    hops = loss.prediction.request.hops
    for made in islice(nat_rules.rewriting(hops, "dst"), loss.stop.code == "nat-not-reversed"):
        namespace, target = loss.snapshot.at(made.namespace), hops[-1].flow.dst
        for decision in nat_rules.exempting(namespace, made.flow.src, target):
            yield from _without(loss, namespace, decision.object, target)
        yield from _excluding(loss, namespace, made.flow)
    for made in nat_rules.rewriting(hops[:-1], "src"):
        yield from _sparing_nobody(loss, loss.snapshot.at(made.namespace), hops[0].flow.src)


def _without(loss: Loss, namespace: Namespace, thing: Object, target: str) -> Iterator[Repair]:
    text = f"{thing.id} of {namespace.name} spares what is led to {target}, whose answer goes past it"
    place, proof = Place(namespace.name, None, Stage.POSTROUTING), (thing.text, loss.stop.text)
    stop = Stop("nat-wrong-match", place, text, thing, fixes.without(thing, namespace.ruleset), proof)
    for rule in filter(None, (nat_rules.found(namespace, thing),)):
        for old, new in instead(namespace, rule, target):
            fix, why = rule_words.reworded(thing, rule, old, new), f"{text}: {old} is not here, and {new} is"
            yield from loss.repair(replace(stop, text=why, commands=fix), Merit.RESTORES, agreeing=1)
    yield from loss.repair(stop, Merit.UNDOES, agreeing=1)


def instead(namespace: Namespace, rule: Rule, target: str) -> Iterable[tuple[str, ...]]:
    """The network of the target that a rule names and that is elsewhere, and each beside the namespace that
    is as long, of one larger network that other rules name.
    """
    routes = where(namespace.routes, protocol="kernel", is_to_a_network=True)
    beside, named = {*map(_goal, routes)}, {*nat_rules.networks(rule.statements, *nat_rules.TO)}
    rules = nat_rules.rules_of_nat(namespace, "postrouting", target)
    pools = {*chain.from_iterable(nat_rules.networks(each.statements, *nat_rules.TO) for each in rules)}
    return filter(partial(_are_of_one, pools), product(sorted(named - beside), sorted(beside - named)))


def _excluding(loss: Loss, namespace: Namespace, flow: Flow) -> Iterator[Repair]:
    """The rule that is for all but a network of which the sender is, and would be for it were that the
    smaller one that others of its kind name: those alone are spared whose answers come back by here.
    """
    rules = [*nat_rules.rules_of_nat(namespace, "prerouting", flow.src)]
    said = [(each, network) for each in rules for network in _excluded(each.rule, flow.src)]
    by_kind = gathered((each.rule.leads_to, network) for each, network in said)
    kinds = {leads_to: Counter(networks) for leads_to, networks in by_kind.items()}
    for rule, wide in said:
        if prefix.contains(wide, flow.src):
            kind = kinds[rule.rule.leads_to]
            for narrow in filter(partial(_is_smaller, wide, flow.src), kind):
                name = f"{rule.decision.object.id} of {namespace.name}"
                text = f"{name} spares all of {wide}, others of its kind {narrow} alone"
                yield from _worded(loss, namespace, rule, (wide, narrow), text, kind[narrow])


def _sparing_nobody(loss: Loss, namespace: Namespace, source: str) -> Iterator[Repair]:
    """The rule that is for all but a network that is nobody's and to which the translator has no route, for
    all but that of the sender's: the stations' network is another one than was written there.
    """
    routes = chain.from_iterable(column(loss.snapshot.namespaces.values(), "routes"))
    known = {*column(where(routes, is_to_a_network=True), "dst")}
    ours = sorted(prefix.covering(known, source), key=prefix.length)
    rules = nat_rules.rules_of_nat(namespace, "prerouting", source)
    for rule, own in product(rules, ours[:1]):
        for wide in _excluded(rule.rule, source):
            thing = rule.decision.object
            text = f"{thing.id} of {namespace.name} spares {wide}, which is nobody's, and not {own}"
            if not _is_known(loss, namespace, wide):
                yield from _worded(loss, namespace, rule, (wide, own), text, 2)


def _is_known(loss: Loss, namespace: Namespace, network: str) -> bool:
    """Whether anybody has an address of a network, or a namespace a route into it."""
    led = column(where(namespace.routes, is_default=False), "dst")
    parts = (*loss.owned, *led)
    return any(prefix.contains(network, each.partition("/")[0]) for each in parts)


def _excluded(rule: Rule, address: str) -> list[str]:
    """The networks whose packets a rule is not for, of the IP version of an address."""
    return prefix.of_version(
        nat_rules.spared(nat_rules.tests(rule), *nat_rules.FROM), prefix.version(address)
    )


def _is_smaller(wide: str, address: str, narrow: str) -> bool:
    inside = prefix.contains(wide, narrow.partition("/")[0]) and prefix.length(narrow) > prefix.length(wide)
    return inside and not prefix.contains(narrow, address)


def _worded(
    loss: Loss,
    namespace: Namespace,
    rule: nat_rules.NatRule,
    words: tuple[str, str],
    text: str,
    times: int,
) -> Iterator[Repair]:
    """The rule with one network in the place of another."""
    thing = rule.decision.object
    fix = rule_words.reworded(thing, rule.rule, *words)
    place, proof = Place(namespace.name, None, Stage.PREROUTING), (thing.text, loss.stop.text)
    stop = Stop("nat-wrong-match", place, text, thing, fix, proof)
    yield from loss.repair(stop, Merit.RESTORES, agreeing=times)


_goal = attrgetter("dst")


def _are_of_one(pools: set[str], networks: tuple[str, ...]) -> bool:
    """Whether networks are as long as each other, and in the same larger one."""
    around = [{*filter(partial(_holds, each), pools)} for each in networks]
    return len({*map(prefix.length, networks)}) == 1 and bool(set.intersection(*around))


def _holds(network: str, pool: str) -> bool:
    return prefix.contains(pool, network.partition("/")[0])
