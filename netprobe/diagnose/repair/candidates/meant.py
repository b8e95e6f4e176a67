"""Rules that would accept the packet, but for an interface that is not there any more, or a network that
nobody here is of: they were written for what these were before. Pure.

See: iptables(8), -R; nft(8), replace rule.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from netprobe.diagnose import nat_rules
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Namespace, RouteQuery, Rule, Table
from netprobe.model.link import name_of
from netprobe.model.lookup import has, where
from netprobe.predict import fib, prefix
from netprobe.predict.trace import Routed
from netprobe.rules.naming import rule_object

_REFUSED = {"policy-drop", "rejected-by-rule", "filtered-by-rule"}
_IN, _OUT = ("iifname", "meta iifname"), ("oifname", "meta oifname")
_FROM, _TO = ("ip saddr", "ip6 saddr"), ("ip daddr", "ip6 daddr")
_WHERE = (*_IN, *_OUT, *_FROM, *_TO)


class _Odd(Struct, frozen=True):
    """What a rule asks for that is not there, what the packet has in its place, and what is wrong with it."""

    old: str
    new: str
    why: str


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each rule of the firewall that refused the packet which would have accepted it so."""
    if loss.stop.code not in _REFUSED:
        return
    here = loss.here
    for routed in where(loss.prediction.routed, namespace=here.name, leg=loss.prediction.leg)[-1:]:
        for table in here.tables:
            for rule in table.rules:
                if has(rule.statements, kind="accept"):
                    yield from _corrected(loss, routed, table, rule)


def _corrected(loss: Loss, routed: Routed, table: Table, rule: Rule) -> Iterator[Repair]:
    """The rule with what the packet has, where it asks for more than what is not there."""
    said = nat_rules.said(rule.statements, *_WHERE)
    for odd in (*_names(loss, routed, rule), *_networks(loss, routed, rule)):
        thing = next(rule_object(table, chain, each) for chain, each in table.placed if each is rule)
        fix = nat_rules.reworded(thing, rule, odd.old, odd.new)
        if len(said) > 1 and fix:
            text = f"{thing.id} of {loss.here.name} accepts what has {odd.old}, {odd.why}: {loss.stop.text}"
            stop = replace(
                loss.stop, text=text, object=thing, commands=fix, proof=(thing.text, loss.stop.text)
            )
            yield from loss.repair(replace(stop, advice=""), Merit.RESTORES, agreeing=1)


def _names(loss: Loss, routed: Routed, rule: Rule) -> Iterator[_Odd]:
    """The interfaces that a rule names, and that are not there."""
    for keys, link in ((_IN, routed.iif), (_OUT, loss.out(routed))):
        for name in nat_rules.said(rule.statements, *keys) if link is not None else ():
            if loss.here.link_named(name) is None and name[-1:] not in ("*", "+"):
                yield _Odd(name, name_of(link), "an interface that is not there")


def _networks(loss: Loss, routed: Routed, rule: Rule) -> Iterator[_Odd]:
    """The networks that a rule names, and that nobody is of."""
    for keys, address in ((_FROM, routed.src), (_TO, routed.dst)):
        named = nat_rules.networks(rule.statements, *keys)
        for old in named if not prefix.within(named, address) else ():
            if _is_of_nobody(loss, old):
                yield _Odd(old, _network(loss.here, address), "a network that nobody is of")


def _is_of_nobody(loss: Loss, network: str) -> bool:
    """Whether a network is that of no address in sight, and of no route but that of all the world."""
    if any(prefix.contains(network, each) for each in loss.owned):
        return False
    route = fib.lookup(loss.here, RouteQuery(None, network.partition("/")[0])).route
    return route is None or route.is_default


def _network(namespace: Namespace, address: str) -> str:
    """The network of an address, as far as a namespace is on it."""
    near = prefix.neighbours_of(address, where(namespace.addresses, scope="global"))
    return prefix.network_of(near[0]) if near else address
