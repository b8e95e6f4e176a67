"""Rules and policy rules that would be for the packet, but for one value that is of nothing here: an
interface that is not there, a network that nobody is of, a port on which nobody listens, what the packet had
before it was translated. What it has in its place is meant. Pure.

That does not say that it is wrong: a rule may be for servers that nobody sees, or for one that does not run.
More likely mistyped is a port of nothing, where the rule can mean the packet's own end alone, or the packet's
is one that everybody knows. An engine types no ports.

See: iptables(8), -R; nft(8), replace rule; ip-rule(8); services(5).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from functools import partial
from itertools import chain as joined
from itertools import islice
from typing import Any

from netprobe.diagnose import dnat_rules, nat_rules
from netprobe.diagnose.nat_rules import NatRule
from netprobe.diagnose.repair.repair import Loss, Repair
from netprobe.diagnose.repair.segment import slips
from netprobe.model import Namespace, RouteQuery, Stage, Table
from netprobe.model.config import is_particular
from netprobe.model.lookup import among, column, gathered, indexed, where
from netprobe.predict import fib, prefix
from netprobe.rules.naming import PORT_KEYS

from . import policy_values, words
from .meant import network_of
from .rows import AskingRow, RuleRow, Wording, holds_port, rows

_MOST = 24  # of a kind, at one place
_LOOKED_AT = 64  # networks that are asked for
_OTHER = {"tcp": "udp", "udp": "tcp"}
_SYSTEM = 1024  # ports below are assigned to services
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
    """Each such rule, with what the packet has, or with the word that was meant."""
    for some in filter(None, map(list, rows(loss))):
        near = [row for row in some if row.is_near]
        for row, word in (*_odd(loss, some), *_each(_KINDS[some[0].does], near)):
            yield from row.with_word(word)


def _each(kinds: Sequence[_Kind], some: Sequence[Any]) -> Iterator[tuple[AskingRow, Wording]]:
    """The first words of each kind, with their rows."""
    for kind in kinds:
        yield from islice(((row, word) for row in some for word in kind(row)), _MOST)


def _odd(loss: Loss, some: Sequence[AskingRow]) -> Sequence[tuple[AskingRow, Wording]]:
    """What rules ask for that is not here, where most of what they name is somebody's: where they speak of
    more that nobody sees here, that one more is nobody's tells nothing.
    """
    found = [*_each((_gone, _of_nobody), [row for row in some if row.is_particular])]
    said = joined.from_iterable((*row.networks("src"), *row.networks("dst")) for row in some if found)
    named = [*islice(dict.fromkeys(said), _LOOKED_AT)]
    strange = sum(_is_of_nobody(loss, some[0].packet.here, each) for each in named)
    return found if strange < 2 or 3 * strange <= len(named) else ()


def _gone(row: AskingRow) -> Iterator[Wording]:
    """An interface that is not there."""
    for _, old, new in row.others("iif", "oif"):
        if old[-1:] not in ("*", "+") and row.packet.here.link_named(old) is None:
            yield Wording({old: new}, why=f"{row.does}s what has {old}, an interface that is not there")


def _of_nobody(row: AskingRow) -> Iterator[Wording]:
    """A network that nobody is of."""
    here = row.packet.here
    # who may be led on need be nobody in sight
    for name, old, address in row.others(*{"lead": ("dst",)}.get(row.does, ("src", "dst"))):
        if old not in row.networks(name) or prefix.version(old) != prefix.version(address):
            continue
        new = instead(here, old, address)
        meant = row.does == "accept" or nat_rules.is_private(old.partition("/")[0]) or old in slips(new)
        if meant and _is_of_nobody(row.loss, here, old):
            yield Wording({old: new}, why=f"{row.does}s what has {old}, {_NOBODY}")


_NOBODY = "which is nobody's"


def instead(namespace: Namespace, old: str, address: str) -> str:
    """What a rule is to name in the place of one address, or of a network: that of the packet's; one as long,
    where routes lead to several parts of it.
    """
    length, near = prefix.bits(address), network_of(namespace, address)
    wide = prefix.network(address, prefix.length(old))
    if near == address and prefix.length(old) < length and len({*_written_in(namespace, wide)}) > 1:
        return wide
    return f"{address}/{length}" if prefix.length(old) == length else near


def _written_in(namespace: Namespace, network: str) -> Iterator[str]:
    """The destinations of routes, as somebody wrote them, that are in a network."""
    routes = where(namespace.routes, version=prefix.version(network), is_written=True)
    yield from (each.dst for each in routes if prefix.contains(network, each.dst.partition("/")[0]))


def _is_of_nobody(loss: Loss, here: Namespace, network: str) -> bool:
    """Whether a network is that of no address in sight, and of no route but that of all the world; or the one
    address of nobody on a segment. A group is nobody's in any case.
    """
    first = network.partition("/")[0]
    if prefix.is_multicast(first):
        return False
    several = loss.owned if prefix.length(network) < prefix.bits(first) else ()
    if first in loss.owned or any(map(partial(prefix.contains, network), several)):
        return False
    sought = fib.lookup(here, RouteQuery(None, first))
    if not is_particular(sought.route):
        return True
    return prefix.length(network) == prefix.bits(first) and _is_missed(loss, here, sought)


def _is_missed(loss: Loss, here: Namespace, sought: fib.FibResult) -> bool:
    """Whether an address would be right beside, where all stations were read: none of them has it."""
    near = filter(None, map(here.link_of, where(filter(None, (sought.leg,)), via=None)))
    return any(loss.others(here.name, each) for each in near)


def _former(row: AskingRow) -> Iterator[Wording]:
    """What the packet had before its destination was translated: FORWARD and POSTROUTING come behind that
    (net/netfilter/nf_nat_core.c).
    """
    for name, old, new in row.others("dst", "dport"):
        for field, before in row.packet.was:
            if field == name and old in (before, f"{before}/32", f"{before}/128"):
                made = f"{new}{old.removeprefix(before)}"
                told = f"asks for {old}, which the packet had before it was translated to {made}"
                yield Wording({old: made}, why=told)


def _port(row: AskingRow) -> Iterator[Wording]:
    """A port that is one slip of the fingers from the packet's, and on which nobody listens."""
    for _, old, new in row.others("dport"):
        low, _, high = old.partition("-")
        if high in ("", low) and low in row.packet.mistaken:
            told = f"is for port {low}, on which nobody listens, and the packet is for {new}"
            yield Wording({old: new}, _is_likely(row, int(low)), told)


def _of_each_other(row: RuleRow) -> Iterator[Wording]:
    """A port for the packet's, which another accepting rule has in the place of this one: each has the
    other's.
    """
    own = row.ports_of(row.packet.flow.protocol.value)
    for _, old, new in row.others("dport"):
        key = f"{row.packet.flow.protocol.value} dport"
        accepting = row.loss.once(_accepting, row.packet.here.name, key, new)
        mistaken = (each for each, heard in accepting if {old, new} & heard == {old})
        for other in islice(mistaken, own.count(old)):
            told = f"is for port {old}, and {other.decision.object.id} for {new}, where nobody listens on it"
            yield Wording({old: new}, why=told)


def _accepting(loss: Loss, name: str, key: str, port: str) -> tuple[tuple[NatRule, Set[str]], ...]:
    """The rules of a namespace that accept what is for a port of a protocol, with the ports on which those
    listen whom they are for.
    """
    here = loss.snapshot.at(name)
    asking = indexed(_by_port, here.tables).get((key, port), ())
    return tuple((rule, _heard_by(loss, here, rule, key)) for rule in asking)


def _by_port(tables: tuple[Table, ...]) -> dict[tuple[str, str], tuple[NatRule, ...]]:
    """The rules that accept, by the key by which each asks for a port, and that."""
    rules = ((each, among(each.statements, key=PORT_KEYS)) for each in nat_rules.of_kind(tables, "accept"))
    return gathered(((asked.key, asked.value), each) for each, ports in rules for asked in ports)


def _heard_by(loss: Loss, here: Namespace, rule: NatRule, key: str) -> Set[str]:
    """The ports on which those listen whom a rule is for: who bears what it names, else who has the rule."""
    goals, spaces = nat_rules.networks(rule.statements, *nat_rules.TO), loss.snapshot.namespaces.values()
    there = [*filter(partial(_is_of, goals), spaces)] or [here] * (not goals)
    waiting = joined.from_iterable(each.waiting(key.split()[0]) for each in there)
    return {*map(str, column(waiting, "port"))}


def _is_of(networks: list[str], namespace: Namespace) -> bool:
    """Whether any address of a namespace is in some networks."""
    return any(map(partial(prefix.within, networks), column(namespace.addresses, "address")))


def _is_likely(row: AskingRow, old: int) -> bool:
    """Whether a rule's port is more likely to be meant for the packet's than for another one's."""
    if _is_known(old) or row.owner in dnat_rules.ENGINES:
        return False
    flow, to = row.packet.flow, {each.partition("/")[0] for each in row.networks("dst")}
    alone = to == {flow.dst} or (row.does == "accept" and row.loss.stop.place.stage is Stage.INPUT)
    return (alone and row.does != "lead") or _is_known(flow.dport or 0)


def _is_known(port: int) -> bool:
    """Whether servers are on a port as a rule, or are where the usual one is not free."""
    return not _KNOWN.isdisjoint(range(port - _BESIDE + 1, port + 1))


def _protocol(row: AskingRow) -> Iterator[Wording]:
    """The packet's protocol for the other one that has ports; on a system port (RFC 6335, 6) a service of
    either may be meant.
    """
    flow = row.packet.flow
    own = flow.protocol.value
    other = _OTHER.get(own, "")
    ports = row.ports_of(other)
    if holds_port(ports, flow.dport):
        heard = [_is_heard(row.loss, each, ports) for each in (own, other)]
        assigned = any(each.start < _SYSTEM for each in map(dnat_rules.numbers, ports))
        yield Wording({other: own}, heard == [True, False] and not assigned)


def _is_heard(loss: Loss, protocol: str, ports: list[str]) -> bool:
    """Whether any program in sight listens on one of some ports."""
    waiting = joined.from_iterable(each.waiting(protocol) for each in loss.snapshot.namespaces.values())
    return any(holds_port(ports, port) for port in {*column(waiting, "port")})


_Kind = Callable[[Any], Iterator[Wording]]
_SIDES: tuple[_Kind, ...] = (
    words.other_interface, words.other_end, words.other_port, words.not_it, words.no_answers,
    words.how_it_was_sent,
)  # fmt: skip
_KINDS: dict[str, tuple[_Kind, ...]] = {
    "accept": (_port, _of_each_other, _protocol, _former, *_SIDES),
    "lead": (_port, _protocol, words.how_it_was_sent),
    "translate": (_former, words.not_it, words.to_the_world, words.how_it_was_sent),
    "route": (_port, _protocol, *policy_values.KINDS),
}
