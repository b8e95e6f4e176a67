"""Rules that would accept the packet, but for one word in the place of another, or one too many: the other
side, a word that says no, a state that lacks, how a packet was sent. Pure.

That alone does not say that it is wrong. It is where the rule as it is written is for nothing that comes
there, or where what it says makes those behind it idle.

See: iptables(8), iptables-extensions(8); nft(8), EXPRESSIONS.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain as joined

from netprobe.diagnose import nat_rules
from netprobe.model import RouteQuery, Statement
from netprobe.model.link import name_of
from netprobe.model.lookup import among, column, has, where
from netprobe.model.pattern import pattern
from netprobe.predict import fib, prefix
from netprobe.rules.naming import PORT_KEYS, SOURCE_PORT_KEYS

from . import elements
from .rows import FIELDS, RuleRow, Wording, holds_port
from .shadowed import is_for_less

_STATE = ("ct state", "xt ctstate")
# How a packet was sent, which nobody asks for to tell what it is for, and what is said of it.
_HOW = pattern(
    r"(ip ttl|ip6 hoplimit|(?:meta|ip|ip6) length|ct direction|meta pkttype|ip6? dscp|ip6? ecn)"
    r" (?:[!=<>]+ )?\S+ "
    r"|-m (?:ttl|hl|length|pkttype|dscp|tos|ecn|conntrack(?= (?:! )?--ctdir))(?: !)?( --[\w-]+) \S+ "
)
_IN, _OUT = FIELDS["iif"], FIELDS["oif"]


def other_interface(row: RuleRow) -> Iterator[Wording]:
    """The way in for the way out, or the other way round, where the rule names one of them."""
    by, out = row.packet.iif, row.packet.oif
    ins, outs = row.said("iif"), row.said("oif")
    if by in outs and not ins and by:
        idle = row.is_only_at("input") or _makes_idle(row, _OUT, by)
        yield Wording({"-o": "-i", "oifname": "iifname"}, idle)
    if out in ins and not outs and by not in ins:
        idle = row.is_only_at("output") or _makes_idle(row, _IN, out)
        yield Wording({"-i": "-o", "iifname": "oifname"}, idle)


def _makes_idle(row: RuleRow, keys: tuple[str, ...], name: str) -> bool:
    """Whether a rule behind accepts a part of what this one does as it is written."""
    behind = where(row.rule.chain.rules[row.rule.rule.number :], leads_to="")
    accepting = (each for each in behind if has(each.statements, kind="accept"))
    alike = (each for each in accepting if name in nat_rules.said(each.statements, *keys))
    return any(is_for_less(each, row.rule.rule) for each in alike)


def other_end(row: RuleRow) -> Iterator[Wording]:
    """The sender for the goal, or the other way round, where the rule names one of them."""
    senders, goals = row.networks("src"), row.networks("dst")
    one = len(row.values(*nat_rules.FROM)) + len(row.values(*nat_rules.TO)) == 1
    if one and prefix.within(senders, row.packet.flow.dst):
        yield Wording({"-s": "-d", "saddr": "daddr"}, _never_comes(row, senders[0], "iif"))
    if one and prefix.within(goals, row.packet.flow.src):
        yield Wording({"-d": "-s", "daddr": "saddr"}, _never_comes(row, goals[0], "oif"))


def _never_comes(row: RuleRow, network: str, way: str) -> bool:
    """Whether the rule names an interface behind which the network that it names is not; or an end that is
    this namespace itself, and the network of others.
    """
    here, first = row.packet.here, network.partition("/")[0]
    own = any(prefix.contains(network, each) for each in column(here.addresses, "address"))
    if row.is_only_at("output" if way == "iif" else "input") and not own:
        return True
    led = here.link_of(fib.lookup(here, RouteQuery(None, first)).leg)
    named = row.said(way)
    return bool(named) and name_of(led, "") not in named


def other_port(row: RuleRow) -> Iterator[Wording]:
    """The port of the service for that of who asks."""
    if holds_port(row.values(*SOURCE_PORT_KEYS), row.packet.flow.dport) and not row.values(*PORT_KEYS):
        new = {"sport": "dport", "--sport": "--dport", "--sports": "--dports"}
        yield Wording(new, _accepts(row, "established"))


def not_it(row: RuleRow) -> Iterator[Wording]:
    """What the rule says no to, where it does so once: likely where that is one station, and a port is asked
    for; an interface behind which the network that it names is not, or the only one of what comes there; or
    those who are beside a station, of which alone the answers go past it.
    """
    refusing = where(row.rule.statements, op="!=")
    for each in refusing if len(refusing) == 1 else ():
        likely = (_is_one, _is_elsewhere, _is_the_only_way_in, _is_beside)
        yield Wording({"!=": "==", "!": ""}, any(asked(row, each) for asked in likely))


def _is_one(row: RuleRow, test: Statement) -> bool:
    single = nat_rules.is_prefix(test.value) and _is_host(test.value)
    return single and bool(row.values(*PORT_KEYS))


def _is_host(network: str) -> bool:
    return prefix.length(network) == prefix.bits(network.partition("/")[0])


def _is_elsewhere(row: RuleRow, test: Statement) -> bool:
    """Whether a rule for senders spares another interface than the one that they are behind: who leaves those
    of a network out that stay in it spares its own.
    """
    here, firsts = row.packet.here, (each.partition("/")[0] for each in row.networks("src"))
    led = [here.link_of(fib.lookup(here, RouteQuery(None, first)).leg) for first in firsts]
    return test.key in _OUT and bool(led) and test.value not in map(name_of, led)


def _is_the_only_way_in(row: RuleRow, test: Statement) -> bool:
    """Whether a rule for a station spares the interface of which each rule speaks that leads on to others: it
    would be for nothing that is led there.
    """
    here, goal = row.packet.here, row.packet.flow.dst
    leading = nat_rules.rules_of_nat(here, "prerouting", goal, "dnat")
    doors = {tuple(nat_rules.said(each.statements, *_IN)) for each in leading}
    named = {word.partition("/")[0] for word in row.rule.rule.text.split()}
    return test.key in _IN and goal in named and doors == {(test.value,)}


def to_the_world(row: RuleRow) -> Iterator[Wording]:
    """An interface that leads to some networks alone, for that of the way to all the world, by which what a
    sender whom the rule names sends there leaves untranslated; not where the next hop leads back by here.
    """
    here = row.packet.here
    indexes = {*joined.from_iterable(column(where(here.routes, is_default=True), "indexes"))}
    doors = {*column(among(here.links, index=indexes), "name")}
    named = any(elements.holds(each, row.packet.flow.src) for each in row.values(*nat_rules.FROM))
    for _, old, new in row.others("oif") if named else ():
        told = f"translates what leaves by {old}, which leads to no more than its networks"
        likely = (old in doors) < (new in doors) and not _is_led_back(row)
        yield from (Wording({old: new}, why=told),) * likely


def _is_led_back(row: RuleRow) -> bool:
    """Whether whom the packet goes to next has a route of his own to the sender, or to a network by way of
    here.
    """
    via = "" if row.packet.routed is None else row.packet.routed.via
    beyond = map(row.loss.snapshot.at, row.loss.bearers(via))
    back = where(joined.from_iterable(column(beyond, "routes")), is_written=True, is_default=False)
    own, src = {*column(row.packet.here.addresses, "address")}, row.packet.flow.src
    return any(prefix.contains(each.dst, src) or not own.isdisjoint(each.gateways) for each in back)


def how_it_was_sent(row: RuleRow) -> Iterator[Wording]:
    """A rule that asks how the packet was sent, as no other of its table does."""
    others = "\n".join(column(row.rule.table.rules, "text"))
    for found in _HOW.finditer(row.rule.rule.text):
        told = f"would {row.does} the packet but for «{found[0].strip()}», as no other rule asks"
        yield Wording({}, others.count(found[1] or found[2]) == 1, told, without=found[0])


def _is_beside(row: RuleRow, test: Statement) -> bool:
    """Whether a rule for a station spares those of its own network, and others are answered by here."""
    goal, there = row.packet.flow.dst, map(row.loss.snapshot.at, row.loss.bearers(row.packet.flow.dst))
    one = any(map(_is_host, row.networks("dst"))) and test.key in nat_rules.FROM
    spared = one and nat_rules.is_prefix(test.value) and prefix.contains(test.value, goal)
    return spared and all(has(each.routes, is_default=True) for each in there)


def no_answers(row: RuleRow) -> Iterator[Wording]:
    """Connections that are established, where the rule accepts what is related to them, and none of its
    chain accepts the connections themselves.
    """
    states = {*map(str.lower, row.values(*_STATE))}
    if "related" in states and not _accepts(row, "established"):
        words = [each for each in row.rule.rule.text.split() if "related" in each.lower()]
        yield Wording({each: _with_established(each) for each in words}, likely=True)


def _with_established(word: str) -> str:
    return word.replace("RELATED", "RELATED,ESTABLISHED").replace("related", "related,established")


def _accepts(row: RuleRow, state: str) -> bool:
    """Whether a rule of the same chain accepts the connections of a state."""
    for rule in row.rule.chain.rules:
        of_state = among(rule.statements, key=_STATE)
        nodes = joined.from_iterable(each.nodes for each in of_state)
        if state in map(str.lower, column(nodes, "text")):
            return True
    return False
