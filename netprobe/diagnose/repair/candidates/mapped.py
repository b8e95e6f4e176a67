"""A network that leaves as another one, address for address, and is not led back; or the other way round.
Pure.

See: iptables-extensions(8), NETMAP; nft(8), NAT STATEMENTS, prefix; RFC 6296.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from msgspec import Struct

from netprobe.diagnose import nat_rules, rule_words
from netprobe.diagnose.nat_rules import NatRule
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Chain, Flow, Hop, Namespace, Place, Stage, Statement, Stop, Term
from netprobe.model.lookup import among, first, where
from netprobe.model.pattern import pattern
from netprobe.predict import fixes, prefix
from netprobe.rules import naming


class _Direction(Struct, frozen=True):
    """One of the two ways: where its rules stand, what they look at and do; the words for an interface and
    for the address, of nft and of iptables.
    """

    stage: Stage
    field: str
    verb: str
    interface: tuple[str, str]
    code: str

    @property
    def keys(self) -> tuple[str, str]:
        """By what its rules name the network."""
        return _SAID[self.field]

    def address(self, flow: Flow) -> str:
        """The address that its rules change."""
        return {"s": flow.src, "d": flow.dst}[self.field]


_SAID = {"s": ("ip saddr", "ip6 saddr"), "d": ("ip daddr", "ip6 daddr")}
_OUT = _Direction(Stage.POSTROUTING, "s", "snat", ("oifname", "-o"), "nat-missing")
_IN = _Direction(Stage.PREROUTING, "d", "dnat", ("iifname", "-i"), "dnat-missing")
_TOLD = {
    Stage.PREROUTING: "{name} lets {old} leave as {new}, and does not lead back what comes for that",
    Stage.POSTROUTING: "{name} leads what comes for {old} to {new}, and does not let that leave as it",
}


def candidates(loss: Loss) -> Iterator[Repair]:
    """The rule of the other way, where a router has one of one way."""
    hops = first(among(loss.prediction.request.hops, namespace=loss.snapshot), _namespace).values()
    for hop, (there, lacking) in product(hops, ((_OUT, _IN), (_IN, _OUT))):
        namespace, address = loss.snapshot[hop.namespace], lacking.address(hop.flow)
        for rule in nat_rules.rules_of_nat(namespace, there.stage.value, address, "netmap", there.verb):
            for old, new in _mapped(rule.statements, there.keys):
                if prefix.contains(new, address):
                    yield from _led_back(loss, namespace, rule, lacking, old, new)


def _namespace(hop: Hop) -> str:
    return hop.namespace


def _mapped(statements: tuple[Statement, ...], keys: tuple[str, str]) -> Iterator[tuple[str, str]]:
    """The networks that a rule maps to others, each with that."""
    for each in among(statements, kind=("netmap", "snat", "dnat")):
        onto = each.right
        if onto is not None and onto.kind == "map":
            pairs = map(_pair, where(onto.args[1].args, kind="pair"))
            yield from filter(_is_of_networks, pairs)
        elif "/" in each.value:
            yield from product(nat_rules.networks(statements, *keys), (each.value,))


def _pair(element: Term) -> tuple[str, str]:
    return nat_rules.written(element.args[0]), nat_rules.written(element.args[1])


def _is_of_networks(pair: tuple[str, str]) -> bool:
    """Whether both are networks, and not an address, or one with a port."""
    return all(map(nat_rules.is_prefix, pair)) and all(map(_SLASH.search, pair))


_SLASH = pattern("/")


def _led_back(
    loss: Loss, namespace: Namespace, known: NatRule, way: _Direction, old: str, new: str
) -> Iterator[Repair]:
    """The rule of the other way that is for another network, for this one; or a new one."""
    there = [*nat_rules.rules_of_nat(namespace, way.stage.value, new.partition("/")[0], "netmap", way.verb)]
    if any((new, old) in _mapped(each.statements, way.keys) for each in there):
        yield from _passed_over(loss, namespace, way, new)
        return
    found = [(known.decision.object, fix) for fix in _added(known, way, old, new)]
    for back in nat_rules.rules_of_nat(namespace, way.stage.value, new.partition("/")[0], "netmap"):
        for other in nat_rules.networks(back.statements, *way.keys):
            if where(back.statements, kind="netmap")[0].value == old:
                thing = back.decision.object
                found.insert(0, (thing, rule_words.reworded(thing, back.rule, other, new)))
    for thing, fix in found[:1]:
        text = _TOLD[way.stage].format(name=namespace.name, old=old, new=new)
        place = Place(namespace.name, None, way.stage)
        proof = (known.decision.object.text, loss.stop.text)
        yield from loss.repair(Stop(way.code, place, text, thing, fix, proof), Merit.RESTORES)


def _passed_over(loss: Loss, namespace: Namespace, way: _Direction, network: str) -> Iterator[Repair]:
    """The rules that end the search before the one that maps a network."""
    address, place = network.partition("/")[0], Place(namespace.name, None, way.stage)
    for each in nat_rules.exempting(namespace, address, address, way.stage.value):
        thing = each.object
        text = f"{thing.id} of {namespace.name} ends the search before what maps {network}"
        stop = Stop(way.code, place, text, thing, fixes.without(thing), (thing.text, loss.stop.text))
        yield from loss.repair(stop, Merit.UNDOES)


def _added(known: NatRule, way: _Direction, old: str, new: str) -> Iterator[fixes.Fix]:
    """The rule that is lacking, in the words of the tool of the one that is there: for the same interface."""
    table, tool = known.table, naming.tool(known.table)
    named = nat_rules.said(known.statements, *(f"meta {key}" for key in ("iifname", "oifname")))[:1]
    family = nat_rules.family(new)
    if tool != "nft":
        chain = way.stage.value.upper()
        on = [word for name in named for word in (way.interface[1], name)]
        yield fixes.xtables(
            tool, "nat", chain, "-I", chain, f"-{way.field}", new, *on, "-j", "NETMAP", "--to", old
        )
    for base in _bases(known, way) if tool == "nft" else ():
        on = [word for name in named for word in (way.interface[0], f'"{name}"')]
        match = (*on, family, f"{way.field}addr", new, way.verb, family, "prefix", "to", old)
        words = ("insert", "rule", table.family, table.name, base.name, *match)
        yield fixes.nft((table.name, base.name), *words)


def _bases(known: NatRule, way: _Direction) -> tuple[Chain, ...]:
    return where(known.table.chains, type="nat", hook=way.stage.value)[:1]
