"""Rules that would accept the packet, but for what refuses it before, or but for both ends of what stays in
one network, which were written for what that was before. Pure.

See: iptables(8), -R; nft(8), replace rule.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain as joined
from itertools import islice, product

from msgspec.structs import replace

from netprobe.diagnose import nat_rules, rule_words
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Chain, Namespace, Rule, Statement
from netprobe.model.command import words_of
from netprobe.model.link import name_of
from netprobe.model.lookup import among, column, has, indexed, sole, where
from netprobe.predict import prefix
from netprobe.predict.trace import Routed
from netprobe.rules.naming import PORT_KEYS

_REFUSED = {"policy-drop", "rejected-by-rule", "filtered-by-rule"}
_MOST = 16  # rules of a table: who has more of them has left them for others
_IN, _OUT = ("iifname", "meta iifname"), ("oifname", "meta oifname")
_FROM, _TO = ("ip saddr", "ip6 saddr"), ("ip daddr", "ip6 daddr")
_MARKS = ("meta mark", "ct mark")
_STATUS = ("ct status", "xt ctstatus", "xt ctstate", "ct state")
_ASKED = (*_IN, *_OUT, *_FROM, *_TO, *PORT_KEYS)


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each such rule of the firewall that refused the packet."""
    lost_at = where(loss.prediction.routed, namespace=loss.here.name, leg=loss.prediction.leg)[-1:]
    refused = lost_at if loss.stop.code in _REFUSED else ()
    for routed, table in product(refused, loss.here.tables):
        rules = (nat_rules.NatRule(table, *each) for each in indexed(_particular, table.chains))
        every = [*rules]
        before = map(partial(_of_before, loss, routed), every)
        late = map(partial(_moved_up, loss), filter(partial(_is_for, loss, routed), every))
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
    return tuple(filter(_is_placed, every))


def _is_placed(placed: tuple[Chain, Rule, str]) -> bool:
    steps = placed[1].statements
    return has(steps, kind="accept") and asks_for_much(steps)


def asks_for_much(steps: tuple[Statement, ...]) -> bool:
    """Whether a rule asks for several things, or for what is published, or for a mark; to ask for a
    connection besides a network is several.
    """
    networks = nat_rules.said(steps, *_FROM, *_TO)
    several = len(nat_rules.said(steps, *_ASKED)) + bool(networks and among(steps, key=_STATUS)) > 1
    return several or "dnat" in nat_rules.said(steps, *_STATUS) or _asks_for_a_mark(steps)


def _asks_for_a_mark(steps: tuple[Statement, ...]) -> bool:
    """Whether a rule is for what other rules have marked."""
    return any(among(each.nodes, text=_MARKS) for each in where(steps, kind="match"))


def _of_before(loss: Loss, routed: Routed, rule: nat_rules.NatRule) -> Iterator[Repair]:
    """A rule for what stays in one network, of which the namespace is not: with that of both ends of the
    packet in both places.
    """
    senders = nat_rules.networks(rule.statements, *_FROM)
    own, new = column(loss.here.addresses, "address"), network_of(loss.here, routed.dst)
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


def network_of(namespace: Namespace, address: str) -> str:
    """The network of an address, as far as a namespace is on it."""
    near = prefix.neighbours_of(address, where(namespace.addresses, scope="global"))
    return prefix.network_of(near[0]) if near else address
