"""A source that rules give, and the translator does not have: of a pool of which it has others, or that of a
station beside. Pure.

See: iptables-extensions(8), SNAT; nft(8), NAT STATEMENTS.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from netprobe.diagnose.nat_rules import found, retargeted, rules_of_nat
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import InterfaceAddress, Namespace, Object, Place, Stage, Stop
from netprobe.model.lookup import among, column, where
from netprobe.predict import fixes, prefix
from netprobe.predict.drop import lost
from netprobe.rules import spread


def candidates(loss: Loss) -> Iterator[Repair]:
    """The source that a translator gave the packet out of a pool, on the interface that has others of it; one
    of its own in the place of a station's, which keeps the answers.
    """
    for hop in loss.prediction.request.hops:
        given = hop.change_of("src")
        if given is not None and given.after not in loss.owned:
            yield from _lacking(loss, loss.snapshot[hop.namespace], given.after)
        elif given is not None:
            yield from _kept(loss, loss.snapshot[hop.namespace], hop.thing, given.after)


def _lacking(loss: Loss, namespace: Namespace, address: str) -> Iterator[Repair]:
    others = [*dict.fromkeys(_others(namespace, address))]
    first = others[:1]
    for link in among(namespace.links, index={*column(first, "index")}):
        put = InterfaceAddress(link.index, address, first[0].prefixlen)
        text = (
            f"{namespace.name} translates sources to a pool of addresses, of which it has {len(others)},"
            f" and not {address}"
        )
        thing = Object("address", f"{put.written} dev {link.name}", text)
        fix = (fixes.address("add", put, link),)
        stop = lost("addr-missing", namespace.name, link, Stage.ARP, text, object=thing, fix=fix)
        yield from loss.repair(stop, Merit.RESTORES, agreeing=len(others))


def _kept(loss: Loss, namespace: Namespace, thing: Object, address: str) -> Iterator[Repair]:
    """Another address of the network from which a rule takes one of somebody else's: first one that no other
    rule or map gives.
    """
    rule, given = found(namespace, thing), _given(namespace)
    if rule is None or namespace.address(address) is not None:
        return
    for own in prefix.neighbours_of(address, namespace.addresses):
        text = f"{thing.id} of {namespace.name} gives packets the source {address}, which is another's"
        fix = retargeted(namespace, thing, rule, address, own.address)
        place = Place(namespace.name, None, Stage.POSTROUTING)
        stop = Stop("nat-wrong-address", place, text, thing, fix, (thing.text, loss.stop.text))
        yield from loss.repair(stop, Merit.RESTORES, agreeing=1 + (own.address not in given))


def _given(namespace: Namespace) -> set[str]:
    """What rules of a namespace, and its maps, speak of."""
    texts = column(chain.from_iterable(column(namespace.tables, "rules")), "text")
    held = chain.from_iterable(column(chain.from_iterable(column(namespace.tables, "sets")), "known"))
    data = column(chain.from_iterable(column(held, "nodes")), "text")
    return {*" ".join(texts).split(), *data}


def _others(namespace: Namespace, address: str) -> Iterator[InterfaceAddress]:
    """The addresses of a namespace that are of a pool to which a rule of it translates, as this one is."""
    for rule in rules_of_nat(namespace, "postrouting", address, "snat"):
        for statement in where(rule.statements, kind="snat"):
            first, _, last = statement.value.partition("-")
            if last and spread.holds(first, last, address):
                alike = where(namespace.addresses, version=prefix.version(address))
                yield from (own for own in alike if spread.holds(first, last, own.address))
