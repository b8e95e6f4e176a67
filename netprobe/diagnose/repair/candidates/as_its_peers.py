"""What a host lacks that another one of the same network has: a route straight out of an interface, by its
own interface of that name; the network, narrower or wider, of which the same rule of the same chain speaks.
Pure.

Nodes of a cluster are set up alike. See: ip-route(8), iptables(8).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from netprobe.diagnose import rule_words
from netprobe.diagnose.nat_rules import is_prefix
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.segment import all_addresses, meet
from netprobe.model import Chain, Link, Namespace, Object, Place, RouteQuery, Rule, Stage, Stop, Table
from netprobe.model.link import kind_of, name_of
from netprobe.model.lookup import but, gathered, has, where
from netprobe.model.place import stage_of
from netprobe.predict import fib, fixes, prefix
from netprobe.predict.drop import lost
from netprobe.predict.trace import Routed
from netprobe.rules.naming import rule_decision

from .renamed import CODE_OF_NAT

_MOST = 64  # chains of a table, rules of a chain


def candidates(loss: Loss) -> Iterator[Repair]:
    """For each decision by a default route, or none: the routes of the peers; the networks of their rules."""
    for name in loss.way:
        yield from _as_rules_of_peers(loss, loss.snapshot[name])
    for routed in loss.prediction.routed:
        taken = routed.decision.route
        if taken is None or taken.is_default:
            yield from _of_peers(loss, routed)


def _of_peers(loss: Loss, routed: Routed) -> Iterator[Repair]:
    namespace = loss.snapshot[routed.namespace]
    others = but(loss.snapshot.namespaces.values(), name=namespace.name)
    known = gathered(pair for other in others for pair in _straight(namespace, other, routed.dst))
    for (network, link), names in known.items():
        text = f"{namespace.name} has no route to {network} by {link.name}, as {', '.join(names)} has"
        fix = (fixes.ip(routed.dst, "route", "add", network, "dev", link.name),)
        thing = Object("route", network, f"no route to {network}")
        stop = lost("no-route", namespace.name, link, Stage.ROUTE, text, object=thing, fix=fix)
        yield from loss.repair(stop, Merit.RESTORES, agreeing=len(names))


def _straight(here: Namespace, other: Namespace, dst: str) -> Iterator[tuple[tuple[str, Link], str]]:
    """The networks to which somebody gave another one a route without a gateway, out of an interface of the
    same name and kind as one here, on the same network.
    """
    best = filter(None, [fib.best(other, fib.MAIN, RouteQuery(None, dst))])
    for each in where(best, is_written=True, is_to_a_network=True, gateways=[None]):
        theirs = other.link_of(each.nexthops[0])
        for link in where(here.links, up=True, name=name_of(theirs, ""), kind=kind_of(theirs)):
            shared = meet(all_addresses(here, link), all_addresses(other, theirs or link))
            own = {*map(prefix.network_of, here.addresses_of(link))}  # the kernel makes those
            if shared and each.dst not in own and not has(here.routes, dst=each.dst, table=fib.MAIN):
                yield (each.dst, link), other.name


def _as_rules_of_peers(loss: Loss, here: Namespace) -> Iterator[Repair]:
    """Each rule with the network that it has in the same chain of others, which is the same but for that."""
    others = but(loss.snapshot.namespaces.values(), name=here.name)
    for table, own in product(filter(_is_small, here.tables), others):
        for theirs in filter(_is_small, where(own.tables, key=table.key)):
            for chain in table.chains:
                for other in where(theirs.chains, name=chain.name):
                    yield from _with_another_network(loss, here, own.name, (table, chain, other))


def _is_small(table: Table) -> bool:
    """Whether a table has few chains: who has thousands of services writes them himself."""
    return len(table.chains) <= _MOST


def _with_another_network(
    loss: Loss, here: Namespace, peer: str, chains: tuple[Table, Chain, Chain]
) -> Iterator[Repair]:
    table, chain, other = chains
    for rule, old, new in _odd(chain.rules, other.rules):
        thing = rule_decision(table, chain, rule, "").object
        text = f"{thing.id} of {here.name} speaks of {old}, and the same rule of {peer} of {new}"
        fix = rule_words.reworded(thing, rule, old, new)
        called = {"nat": "postrouting"}.get(table.name, "forward")
        place = Place(here.name, None, stage_of(chain.hook or called))
        code = CODE_OF_NAT.get((table.name, chain.hook or called), loss.stop.code)
        stop = Stop(code, place, text, thing, fix, (thing.text, loss.stop.text))
        yield from loss.repair(stop, Merit.RESTORES, agreeing=1)


def _odd(own: tuple[Rule, ...], others: tuple[Rule, ...]) -> Iterator[tuple[Rule, str, str]]:
    """The rule that speaks of another network, wider or narrower, than the one in its place, where all others
    are the same.
    """
    if not 1 < len(own) == len(others) <= _MOST:
        return
    odd = [pair for pair in zip(own, others, strict=True) if pair[0].text != pair[1].text]
    for one, two in odd if len(odd) == 1 else ():
        words = _differing(one.text, two.text)
        for old, new in words if len(words) == 1 else ():
            networks = is_prefix(old) and is_prefix(new)
            if networks and (prefix.holds(old, new) or prefix.holds(new, old)):
                yield one, old, new


def _differing(one: str, two: str) -> list[tuple[str, str]]:
    """The words in which two rules differ; the rules themselves, where they have not as many."""
    words = one.split(), two.split()
    if len(words[0]) != len(words[1]):
        return [(one, two)]
    return [pair for pair in zip(*words, strict=True) if pair[0] != pair[1]]
