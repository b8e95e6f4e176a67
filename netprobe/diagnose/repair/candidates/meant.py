"""Rules that would accept the packet, but for an interface that is not there any more, or a network that
nobody here is of: they were written for what these were before; or but for what refuses it before. Pure.

See: iptables(8), -R; nft(8), replace rule.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain as joined
from itertools import islice, product

from msgspec import Struct
from msgspec.structs import replace

from netprobe.diagnose import nat_rules, rule_words
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Chain, Namespace, RouteQuery, Rule, Statement
from netprobe.model.command import words_of
from netprobe.model.config import is_particular
from netprobe.model.link import name_of
from netprobe.model.lookup import among, column, has, indexed, sole, those_in, where
from netprobe.predict import fib, prefix
from netprobe.predict.trace import Routed
from netprobe.rules.naming import PORT_KEYS

from .renamed import missing_names

_REFUSED = {"policy-drop", "rejected-by-rule", "filtered-by-rule"}
_MOST = 16  # rules of a table: who has more of them has left them for others
_LOOKED_AT = 64  # networks that are asked for
_IN, _OUT = ("iifname", "meta iifname"), ("oifname", "meta oifname")
_FROM, _TO = ("ip saddr", "ip6 saddr"), ("ip daddr", "ip6 daddr")
_MARKS = ("meta mark", "ct mark")
_STATUS = ("ct status", "xt ctstatus", "xt ctstate", "ct state")
_ASKED = (*_IN, *_OUT, *_FROM, *_TO, *PORT_KEYS)


class _Odd(Struct, frozen=True):
    """What a rule asks for that is not there, what the packet has in its place, and what is wrong with it."""

    old: str
    new: str
    why: str


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each rule of the firewall that refused the packet which would have accepted it so."""
    lost_at = where(loss.prediction.routed, namespace=loss.here.name, leg=loss.prediction.leg)[-1:]
    refused = lost_at if loss.stop.code in _REFUSED else ()
    gone = {*missing_names(loss.here)} if refused else set()
    for routed, table in product(refused, loss.here.tables):
        rules = (nat_rules.NatRule(table, *each) for each in indexed(_particular, table.chains))
        every = [*rules]
        corrected = map(partial(_corrected, loss, routed, gone), every if _fits(loss, every) else ())
        before = map(partial(_of_before, loss, routed), every)
        late = map(partial(_moved_up, loss), filter(partial(_is_for, loss, routed), every))
        yield from islice(joined.from_iterable(corrected), _MOST)
        yield from islice(joined.from_iterable(late), _MOST)
        yield from islice(joined.from_iterable(before), _MOST)


def _is_for(loss: Loss, routed: Routed, rule: nat_rules.NatRule) -> bool:
    """Whether a rule names the sender, the goal or the way in of a packet, as far as its words tell; or
    accepts what is published, where it is, or what has a mark: the walk tells whether this one has.
    """
    steps = rule.statements
    networks = nat_rules.networks(steps, *_FROM), nat_rules.networks(steps, *_TO)
    named = prefix.within(networks[0], routed.src) or prefix.within(networks[1], routed.dst)
    came = name_of(routed.iif) in nat_rules.said(steps, *_IN)
    return named or came or _is_published(loss, rule) or _asks_for_a_mark(steps)


def _is_published(loss: Loss, rule: nat_rules.NatRule) -> bool:
    """Whether a rule accepts what was led to another goal, and the packet was, in the same namespace."""
    led = nat_rules.changed(loss.hops, loss.here.name, "dst")
    return led is not None and "dnat" in nat_rules.said(rule.statements, *_STATUS)


def _particular(chains: tuple[Chain, ...]) -> tuple[tuple[Chain, Rule, str], ...]:
    """The rules that accept what has several things, each with its chain and hook."""
    every = ((chain, rule, chain.at) for chain in chains for rule in chain.rules)
    return tuple(filter(_is_particular, every))


def _is_particular(placed: tuple[Chain, Rule, str]) -> bool:
    """Whether a rule accepts, and asks for several things, or for what is published, or for a mark; to ask
    for a connection besides a network is several.
    """
    steps = placed[1].statements
    networks = nat_rules.said(steps, *_FROM, *_TO)
    several = len(nat_rules.said(steps, *_ASKED)) + bool(networks and among(steps, key=_STATUS)) > 1
    given = "dnat" in nat_rules.said(steps, *_STATUS) or _asks_for_a_mark(steps)
    return has(steps, kind="accept") and (several or given)


def _asks_for_a_mark(steps: tuple[Statement, ...]) -> bool:
    """Whether a rule is for what other rules have marked."""
    return any(among(each.nodes, text=_MARKS) for each in where(steps, kind="match"))


def _of_before(loss: Loss, routed: Routed, rule: nat_rules.NatRule) -> Iterator[Repair]:
    """A rule for what stays in one network, of which the namespace is not: with that of both ends of the
    packet in both places.
    """
    senders = nat_rules.networks(rule.statements, *_FROM)
    own, new = column(loss.here.addresses, "address"), _network(loss.here, routed.dst)
    both = senders == nat_rules.networks(rule.statements, *_TO) and prefix.contains(new, routed.src)
    for old in sole(senders) if both else ():
        if not any(map(partial(prefix.contains, old), own)):
            thing = rule.decision.object
            text = f"{thing.id} of {loss.here.name} accepts what stays in {old}, and it is of {new}"
            fix, proof = rule_words.reworded(thing, rule.rule, old, new), (thing.text, loss.stop.text)
            stop = replace(loss.stop, text=text, object=thing, commands=fix, proof=proof, advice="")
            yield from loss.repair(stop, Merit.RESTORES, agreeing=2)


def _moved_up(loss: Loss, rule: nat_rules.NatRule) -> Iterator[Repair]:
    """The rule before all others of its chain: what refuses stands before it. One for a mark comes behind
    those that give it.
    """
    thing = rule.decision.object
    text = f"{thing.id} of {loss.here.name} would accept the packet, and comes too late: {loss.stop.text}"
    proof = (thing.text, loss.stop.text)
    refusing = nat_rules.found(loss.here, loss.stop.thing)
    fix = rule_words.put_first(thing, rule.rule)
    if refusing is not None and refusing in rule.chain.rules and _asks_for_a_mark(rule.statements):
        fix = rule_words.put_before(thing, rule.rule, refusing)
    stop = replace(loss.stop, text=text, object=thing, commands=fix, proof=proof, advice="")
    # what ends its chain has exceptions; what was put before others is odd itself
    excepted = not {"-I", "insert"}.isdisjoint(words_of(loss.stop.commands))
    ends = excepted or _ends(rule.chain, refusing)
    meant = ends or _is_published(loss, rule)
    # it is for the packet as it is, and what is for others need not be for it
    yield from loss.repair(stop, Merit.restoring(meant), agreeing=2)


def _ends(chain: Chain, refusing: Rule | None) -> bool:
    """Whether a rule refuses all, behind most of the others of its chain: what stands behind it was added
    since.
    """
    if refusing not in chain.rules or refusing is None:
        return False
    return not refusing.asks and 2 * refusing.number > len(chain.rules)


def _fits(loss: Loss, rules: list[nat_rules.NatRule]) -> bool:
    """Whether the networks that these rules name are somebody's: where they speak of more that
    nobody sees here, that one more is nobody's tells nothing.
    """
    said = joined.from_iterable(nat_rules.networks(each.statements, *_FROM, *_TO) for each in rules)
    some = [*islice(dict.fromkeys(said), _LOOKED_AT)]
    strange = sum(map(partial(_is_of_nobody, loss), some))
    return strange < 2 or 3 * strange <= len(some)


def _corrected(loss: Loss, routed: Routed, gone: set[str], rule: nat_rules.NatRule) -> Iterator[Repair]:
    """The rule with what the packet has in the place of what is not there."""
    for odd in _odd(loss, routed, rule.statements, gone):
        thing = rule.decision.object
        text = f"{thing.id} of {loss.here.name} accepts what has {odd.old}, {odd.why}: {loss.stop.text}"
        proof = (thing.text, loss.stop.text)
        fix = rule_words.reworded(thing, rule.rule, odd.old, odd.new)
        stop = replace(loss.stop, text=text, object=thing, commands=fix, proof=proof, advice="")
        yield from loss.repair(stop, Merit.RESTORES, agreeing=1)


def _odd(loss: Loss, routed: Routed, statements: tuple[Statement, ...], gone: set[str]) -> Iterator[_Odd]:
    """The interfaces that a rule names and that are `gone`, and the networks that nobody is of."""
    for keys, link in ((_IN, routed.iif), (_OUT, loss.out(routed))):
        for name in those_in(nat_rules.said(statements, *keys), gone):
            yield _Odd(name, name_of(link), "an interface that is not there")
    for keys, address in ((_FROM, routed.src), (_TO, routed.dst)):
        for old in filter(partial(_is_of_nobody, loss), nat_rules.networks(statements, *keys)):
            if address and prefix.version(old) == prefix.version(address):
                yield _Odd(old, _instead(loss.here, old, address), "which is nobody's")


def _instead(namespace: Namespace, old: str, address: str) -> str:
    """What a rule is to name in the place of one address, or of a network: that of the packet's; one as long,
    where routes lead to several parts of it.
    """
    length, near = prefix.bits(address), _network(namespace, address)
    wide = prefix.network(address, prefix.length(old))
    if near == address and prefix.length(old) < length and len({*_written_in(namespace, wide)}) > 1:
        return wide
    return f"{address}/{length}" if prefix.length(old) == length else near


def _written_in(namespace: Namespace, network: str) -> Iterator[str]:
    """The destinations of routes, as somebody wrote them, that are in a network."""
    routes = where(namespace.routes, version=prefix.version(network), is_written=True)
    yield from (each.dst for each in routes if prefix.contains(network, each.dst.partition("/")[0]))


def _is_of_nobody(loss: Loss, network: str) -> bool:
    """Whether a network is that of no address in sight, and of no route but that of all the world; or the one
    address of nobody on a segment. A group is nobody's in any case.
    """
    first = network.partition("/")[0]
    if prefix.is_multicast(first):
        return False
    several = loss.owned if prefix.length(network) < prefix.bits(first) else ()
    if first in loss.owned or any(map(partial(prefix.contains, network), several)):
        return False
    sought = fib.lookup(loss.here, RouteQuery(None, first))
    if not is_particular(sought.route):
        return True
    return prefix.length(network) == prefix.bits(first) and _is_missed(loss, sought)


def _is_missed(loss: Loss, sought: fib.FibResult) -> bool:
    """Whether an address would be right beside, where all stations were read: none of them has it."""
    near = filter(None, map(loss.here.link_of, where(filter(None, (sought.leg,)), via=None)))
    return any(loss.others(loss.here.name, each) for each in near)


def _network(namespace: Namespace, address: str) -> str:
    """The network of an address, as far as a namespace is on it."""
    near = prefix.neighbours_of(address, where(namespace.addresses, scope="global"))
    return prefix.network_of(near[0]) if near else address
