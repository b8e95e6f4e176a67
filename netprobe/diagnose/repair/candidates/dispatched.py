"""Rules that lead what comes in or goes out by an interface to a chain that decides about it: none does for
one, where interfaces of its kind have theirs. Pure.

See: iptables(8), -g; nft(8), goto; firewalld(1): its zones are such chains.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product
from operator import attrgetter

from msgspec.structs import replace

from netprobe.diagnose import nat_rules, rule_words
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Chain, Link, Rule, Table
from netprobe.model.lookup import among, grouped, where
from netprobe.rules.naming import rule_decision

from .sets import REFUSED

_HOOKS = ("input", "forward", "output")


def candidates(loss: Loss) -> Iterator[Repair]:
    """A copy for the packet's interface of each rule that leads others of its kind to a chain."""
    hook = loss.stop.place.stage.value
    refused = loss.stop.code in REFUSED and hook in _HOOKS
    doors = dict.fromkeys(_doors(loss)) if refused else {}
    for (key, link), table in product(doors, loss.here.tables):
        for chain in among(table.chains, hook=(None, hook)):
            yield from _copied(loss, key, link, table, chain)


def _doors(loss: Loss) -> Iterator[tuple[str, Link]]:
    """The interfaces of the packet at the place of the loss, each with what a rule calls it; a bridged packet
    has its bridge on both sides.
    """
    came = where(loss.prediction.routed, namespace=loss.here.name, leg=loss.prediction.leg)[-1:]
    beside = where(loss.here.links, name=loss.stop.place.interface)
    yield from product(("meta iifname",), filter(None, (*map(attrgetter("iif"), came), *beside)))
    yield from product(("meta oifname",), filter(None, (*map(loss.out, came), *beside)))


def _copied(loss: Loss, key: str, link: Link, table: Table, chain: Chain) -> Iterator[Repair]:
    """What the rules of a chain lead others of a kind to, which speak of this one nowhere."""
    alike = {*map(attrgetter("name"), where(loss.here.links, kind=link.kind, master=link.master))}
    said = {*nat_rules.said_by(chain.rules, key)}
    leading = [*filter(partial(_leads, key, alike), chain.rules)] if link.name not in said else []
    for target, rules in grouped(leading, attrgetter("leads_to")).items():
        yield from _with(loss, key, link, table, chain, target, rules)


def _leads(key: str, names: set[str], rule: Rule) -> bool:
    """Whether a rule asks for one of these interfaces alone, and leads to a chain."""
    said = {*nat_rules.said(rule.statements, key)}
    return bool(said and rule.leads_to) and said <= names and len(rule.asks) == 1


def _with(
    loss: Loss, key: str, link: Link, table: Table, chain: Chain, target: str, rules: tuple[Rule, ...]
) -> Iterator[Repair]:
    others = nat_rules.said_by(rules, key)
    thing = rule_decision(table, chain, rules[0], loss.stop.place.stage.value).object
    fix = rule_words.put_beside(thing, rules[0], others[0], link.name)
    led = ", ".join(others[:3])
    text = f"{chain.name} of {loss.here.name} leads {led} to {target}, but not {link.name}: {loss.stop.text}"
    missing = replace(thing, id=f"{thing.id} for {link.name}", text=f"no rule leads {link.name} to {target}")
    stop = replace(loss.stop, text=text, object=missing, commands=fix, proof=(loss.stop.text,), advice="")
    yield from loss.repair(stop, Merit.RESTORES, agreeing=len(rules))
