"""Rules and policy rules that are not for the packet, as rows: what each asks for, field by field, what the
packet has there, and the repair that writes it with other words. Pure.

See: iptables(8), -R; nft(8), replace rule; ip-rule(8).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from functools import cached_property, partial
from itertools import chain, product

from msgspec import Struct
from msgspec.structs import replace

from netprobe.diagnose import dnat_rules, nat_rules, rule_words
from netprobe.diagnose.nat_rules import NatRule
from netprobe.diagnose.repair.repair import Loss, Merit, Repair, is_special
from netprobe.diagnose.repair.segment import slips
from netprobe.model import (
    ROUTED,
    Flow,
    Leg,
    Namespace,
    Object,
    Place,
    PolicyRule,
    Protocol,
    Rule,
    Stage,
    Stop,
)
from netprobe.model.link import name_of
from netprobe.model.lookup import among, column, gathered, not_among, those_in, where
from netprobe.predict import fixes, prefix, routing
from netprobe.predict.drop import lost
from netprobe.predict.trace import Routed
from netprobe.rules.naming import PORT_KEYS

from . import hooks
from .meant import asks_for_much
from .published import asked, place_of
from .sets import REFUSED, came

# What a rule looks at, by what stands in each field.
FIELDS = {
    "iif": ("iifname", "meta iifname"), "oif": ("oifname", "meta oifname"),
    "src": nat_rules.FROM, "dst": nat_rules.TO, "dport": PORT_KEYS,
}  # fmt: skip
_FIELD_OF = {key: name for name, keys in FIELDS.items() for key in keys}
_HOOKS = {Stage.PREROUTING: "prerouting", Stage.OUTPUT: "output"}
_LEADING = (*dnat_rules.PUBLISHING, "vmap")
_PROTOCOL, _HAVE_PORTS = ("meta l4proto", "ip protocol", "ip6 nexthdr"), {"tcp", "udp", "sctp", "dccp"}
_PUT_RIGHT = 2  # things that a rule asks for, by one wording
_POLICIES = 32  # of a namespace: who has more has them made


class AskedPacket(Struct, frozen=True, dict=True):
    """The packet where rows are asked about it, and the names of the interfaces by which it comes and goes;
    `was`: what it had been there before a translation, by field. `routed`: its routing decision, if any.
    """

    loss: Loss
    here: Namespace
    flow: Flow
    iif: str = ""
    oif: str = ""
    was: tuple[tuple[str, str], ...] = ()
    routed: Routed | None = None

    @property
    def fields(self) -> dict[str, str]:
        """What it has in each field; "" where that is not known."""
        flow = self.flow
        port = "" if flow.dport is None else str(flow.dport)
        return {"iif": self.iif, "oif": self.oif, "src": flow.src, "dst": flow.dst, "dport": port}

    @cached_property
    def mistaken(self) -> frozenset[str]:
        """The ports that are one slip of the fingers from its own, and on which nobody listens."""
        spaces = self.loss.snapshot.namespaces.values()
        waiting = chain.from_iterable(each.waiting(self.flow.protocol.value) for each in spaces)
        port = self.fields["dport"]
        return frozenset(slips(port)) - {port, *map(str, column(waiting, "port"))}


class Wording(Struct, frozen=True):
    """Words in the place of others, and whether they are likely to be what was meant; `why`: what is wrong
    with those that are there, where that is not plain. `agreeing`: how many others say the same.
    `without`: what goes, as the rule says it.
    """

    new: dict[str, str]
    likely: bool = True
    why: str = ""
    agreeing: int = 1
    without: str = ""

    def shortened(self, rule: Rule) -> Rule:
        """The rule without what goes."""
        return replace(rule, text=rule.text.replace(self.without, "", 1))


class AskingRow(Struct, frozen=True, dict=True):
    """A rule or policy rule, and the packet, which it would `does` if it were for it; what it asks for, by
    field.
    """

    packet: AskedPacket
    does: str
    asks: dict[str, tuple[str, ...]]

    @abstractmethod
    def with_word(self, word: Wording) -> Iterator[Repair]:
        """The repair that writes it so."""

    @abstractmethod
    def ports_of(self, protocol: str) -> list[str]:
        """The ports of a protocol for which it asks, and ranges of them."""

    @property
    def loss(self) -> Loss:
        """What is to be repaired."""
        return self.packet.loss

    @property
    def owner(self) -> str:
        """The program that made it, where that is known."""
        return ""

    @property
    def is_particular(self) -> bool:
        """Whether it asks for so much that what does not fit in it tells something."""
        return True

    def said(self, name: str) -> tuple[str, ...]:
        """What it asks for in a field."""
        return self.asks.get(name, ())

    def networks(self, name: str) -> list[str]:
        """The addresses and networks among that."""
        return [*filter(nat_rules.is_prefix, self.said(name))]

    @property
    def is_near(self) -> bool:
        """Whether it asks for no more that the packet has not than two words can put right."""
        return True

    def others(self, *names: str) -> Iterator[tuple[str, str, str]]:
        """These fields in which it asks for something else than what the packet has: for what, and that."""
        known = self.packet.fields
        for name in filter(known.get, names):
            yield from product((name,), self.said(name), (known[name],))


class RuleRow(AskingRow, frozen=True):
    """A rule of a table, which is named as `base` is."""

    rule: NatRule
    base: Stop

    def with_word(self, word: Wording) -> Iterator[Repair]:
        """The rule in its place, where that is likely, or lets pass what the firewall refused."""
        thing, end = self.thing, self.loss.stop
        old = " ".join(those_in(word.new, self.rule.rule.text.split()))
        told = word.why or f"would {self.does} the packet but for «{old}»"
        text = f"{thing.id} of {self.base.place.namespace} {told}: {end.text}"
        rule, proof = word.shortened(self.rule.rule), (thing.text, end.text)
        fix = rule_words.reworded_all(thing, rule, word.new)
        stop = replace(self.base, text=text, object=thing, commands=fix, proof=proof, advice="")
        if word.likely or self.base is end:
            yield from self.loss.repair(
                stop, Merit.restoring(word.likely), agreeing=word.agreeing * word.likely
            )

    def once_more(self, word: Wording) -> tuple[Repair, ...]:
        """The rule once more with other words, before itself."""
        thing, end = self.thing, self.loss.stop
        fix = rule_words.put_beside_with(thing, self.rule.rule, word.new)
        text, missing = f"{thing.id} of {self.packet.here.name} {word.why}", rule_words.missing(thing, fix)
        proof = (thing.text, end.text)
        stop = replace(self.base, text=text, object=missing, commands=fix, proof=proof, advice="")
        return self.loss.repair(stop, Merit.RESTORES, agreeing=word.agreeing)

    def ports_of(self, protocol: str) -> list[str]:
        """The ports of a protocol for which the rule asks."""
        return self.values(f"{protocol} dport")

    def values(self, *keys: str) -> list[str]:
        """All values among which the rule looks for some keys."""
        tests = among(self.rule.statements, key=keys)
        return [*column(where(chain.from_iterable(each.nodes for each in tests), kind="value"), "text")]

    @property
    def is_near(self) -> bool:
        """Whether it asks for no more that the packet has not, nor had, than two words can put right: of
        hundreds of services most rules are for another one in every respect.
        """
        protocols = {*self.values(*_PROTOCOL)}
        other = (
            bool(protocols) and self.packet.flow.protocol.value not in protocols and protocols <= _HAVE_PORTS
        )
        return sum(map(self._is_for_another, FIELDS)) + other <= _PUT_RIGHT

    def _is_for_another(self, name: str) -> bool:
        """Whether the packet has, and had, something else in a field than what is asked for."""
        had = [before for field, before in self.packet.was if field == name]
        has, said = [*filter(None, (self.packet.fields[name], *had))], self.said(name)
        if name in ("src", "dst"):
            return bool(self.networks(name)) and not any(
                prefix.within(self.networks(name), each) for each in has
            )
        if name == "dport":
            return bool(said) and not any(holds_port([*said], int(each)) for each in has)
        any_of_them = any(each[-1:] in ("*", "+") for each in said)
        return bool(said and has) and not any_of_them and {*said}.isdisjoint(has)

    @property
    def hook(self) -> str:
        """The hook at which the packet was refused."""
        return self.loss.stop.place.stage.value

    def is_only_at(self, hook: str) -> bool:
        """Whether the packet was refused at a hook, and what comes to the rule comes by no other."""
        return self.hook == hook and hooks.leading_to(self.rule.table, self.rule.chain) == {hook}

    @cached_property
    def thing(self) -> Object:
        """The rule as a repair names it."""
        return self.rule.decision.object

    @property
    def owner(self) -> str:
        """The engine that made the rule."""
        return self.thing.owner or ""

    @property
    def is_particular(self) -> bool:
        """Whether the rule asks for several things, or for what is published, or marked."""
        return self.does != "accept" or asks_for_much(self.rule.statements)


class PolicyRow(AskingRow, frozen=True):
    """A rule of ip-rule(8) that somebody made."""

    routed: Routed
    rule: PolicyRule

    def with_word(self, word: Wording) -> Iterator[Repair]:
        """The policy rule so in the place of the one that is there."""
        name, dst, old = self.routed.namespace, self.routed.dst, routing.describe_rule(self.rule)
        words = word.new.get(old, " ".join(word.new.get(each, each) for each in old.split())).split()
        text = f"the policy rule «{old}» of {name} is not for the packet, as «{' '.join(words)}» would be"
        put = fixes.ip(dst, "rule", "add", "pref", words[0].removesuffix(":"), *words[1:])
        thing, fix = Object("policy-rule", old, old), (fixes.without_policy_rule(dst, old), put)
        stop = lost("rule-wrong-table", name, None, Stage.ROUTE, text, object=thing, fix=fix)
        yield from self.loss.repair(stop, Merit.restoring(word.likely), agreeing=2)

    def ports_of(self, protocol: str) -> list[str]:
        """The ports, where the rule is for this protocol."""
        return [*(self.said("dport") if protocol == str(ROUTED.get(self.rule.protocol or 0)) else ())]


def holds_port(ports: list[str], port: int | None) -> bool:
    """Whether a port is among some, and ranges of them, as rules write both."""
    return any(port in each for each in map(dnat_rules.numbers, ports))


def accepting(loss: Loss) -> Iterator[RuleRow]:
    """The rules that accept others, where the packet was refused."""
    return chain.from_iterable(map(_accepting, _refused(loss)))


def _accepting(packet: AskedPacket) -> Iterator[RuleRow]:
    rules = nat_rules.of_kind(packet.here.tables, "accept")
    return map(partial(_of_rule, packet, packet.loss.stop, "accept"), rules)


def rows(loss: Loss) -> Iterator[Iterator[AskingRow]]:
    """The rows that would accept, lead or translate the packet, if they were for it: those of each place."""
    yield from map(_accepting, _refused(loss))
    for here, flow in asked(loss):
        if loss.stop.code != "port-closed" and here.owner_of(flow.dst) is None:
            continue  # it may be for whom else it passes
        stage = [*_HOOKS][here.name == loss.probe.source.namespace]
        leading = nat_rules.rules_of_nat(here, _HOOKS[stage], flow.dst, *_LEADING)
        stop = Stop("dnat-missing", place_of(loss, here, stage), "")
        packet = AskedPacket(loss, here, flow, name_of(loss.came_in(here.name), ""))
        yield map(partial(_of_rule, packet, stop, "lead"), leading)
    for packet in map(partial(_routed, loss), loss.asked(Leg.REQUEST)):
        stop = Stop("nat-wrong-match", Place(packet.here.name, packet.oif or None, Stage.POSTROUTING), "")
        giving = nat_rules.rules_of_nat(packet.here, "postrouting", packet.flow.dst, *_GIVING)
        yield map(partial(_of_rule, packet, stop, "translate"), giving)
    for routed in loss.decisions:
        here = loss.snapshot[routed.namespace]
        made = where(here.rules, version=prefix.version(routed.dst), action="lookup")
        special = [*filter(is_special, made)]
        packet = _routed(loss, routed)
        yield map(partial(_of_policy, packet, routed), special[: _POLICIES * (len(special) <= _POLICIES)])


_GIVING = ("snat", "masquerade", "netmap")


def _refused(loss: Loss) -> Iterator[AskedPacket]:
    """The packet as it was refused, and what a tunnel's other end sends to a namespace that refuses it."""
    here = loss.here
    if loss.stop.code not in REFUSED:
        return
    at = where(loss.prediction.routed, namespace=here.name, leg=loss.prediction.leg)[-1:]
    yield from map(partial(_routed, loss), at)
    for hop in where(came(loss), namespace=here.name)[-1:] if not at else ():
        yield AskedPacket(loss, here, hop.flow)
    for link, vxlan in here.vxlans if loss.stop.place.stage is Stage.INPUT else ():
        for remote in here.remotes_of(link):
            yield AskedPacket(loss, here, Flow(remote, vxlan.local or "", Protocol.UDP, dport=vxlan.port))


def _routed(loss: Loss, routed: Routed) -> AskedPacket:
    """The packet of a routing decision: its ports as it was seen there, its ends as it is routed by them."""
    way = {Leg.REQUEST: loss.prediction.request.hops}.get(routed.leg, loss.hops)
    hops = where(way, namespace=routed.namespace)
    port = {Leg.REQUEST: loss.probe.destination.port}.get(routed.leg)
    sent = Flow(routed.src, routed.dst, loss.probe.protocol, dport=port)
    flow = replace(next(column(hops[-1:], "flow"), sent), src=routed.src, dst=routed.dst)
    changes = chain.from_iterable(column(nat_rules.rewriting(hops, "dst", "dport"), "changes"))
    was = tuple((each.field, each.before) for each in changes)
    here, out = loss.snapshot[routed.namespace], name_of(loss.out(routed), "")
    return AskedPacket(loss, here, flow, name_of(routed.iif, ""), out, was, routed)


def _of_rule(packet: AskedPacket, base: Stop, does: str, rule: NatRule) -> RuleRow:
    tests = where(among(rule.statements, key=_FIELD_OF), kind="match")
    plain = not_among(among(tests, op=nat_rules.IS), **{"right.kind": ("ref", "set")})
    said = ((_FIELD_OF[each.key], each.value) for each in plain)
    return RuleRow(packet, does, gathered(said), rule, base)


def _of_policy(packet: AskedPacket, routed: Routed, rule: PolicyRule) -> PolicyRow:
    ports = "{}-{}".format(*rule.dports) if rule.dports else None
    said = {"iif": rule.iif, "src": rule.src, "dst": rule.dst, "dport": ports}
    return PolicyRow(packet, "route", {name: (text,) for name, text in said.items() if text}, routed, rule)
