"""A rule that keeps a bridge's network apart from others, and takes for these what stays on the bridge:
bridges hand iptables their own frames as well, and of these not all bear an address of the network. Pure.

See: bridge-nf-call-ip6tables; RFC 4861, 4.3 (a question goes to a group); iptables(8), -i, -o.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from msgspec.structs import replace

from netprobe.diagnose import nat_rules, rule_words
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Link, Rule, Stage
from netprobe.model.lookup import among, column, where
from netprobe.predict import prefix

from .rows import FIELDS
from .sets import REFUSED

# What a rule says of one way, and how it would say that it is not for what stays there.
_WORDS = {
    ("iif", "oif"): (("-i {}", "! -o {}"), ('iifname "{}"', 'oifname != "{}"')),
    ("oif", "iif"): (("-o {}", "! -i {}"), ('oifname "{}"', 'iifname != "{}"')),
}


def candidates(loss: Loss) -> Iterator[Repair]:
    """The rule for what goes on from the bridge, or comes from elsewhere, alone."""
    if _has_another_s_source(loss):
        return
    for refusing, bridge in product(nat_rules.from_on(loss.here, loss.stop.thing)[:1], _stayed_on(loss)):
        spared = {*nat_rules.spared(refusing.statements, *nat_rules.FROM, *nat_rules.TO)}
        if spared.isdisjoint(map(prefix.network_of, loss.here.addresses_of(bridge))):
            continue
        for text in _worded(refusing.rule, bridge.name):
            told = f"{loss.stop.thing.id} of {loss.here.name} refuses what stays on {bridge.name} as well"
            fix = rule_words.reworded_all(loss.stop.thing, replace(refusing.rule, text=text), {})
            stop = replace(loss.stop, text=told, commands=fix, proof=(loss.stop.text,), advice="")
            yield from loss.repair(stop, Merit.RESTORES)


def _has_another_s_source(loss: Loss) -> bool:
    """Whether the packet left with the address of another interface of its sender: it is not as it should be,
    and the rule need not let it pass.
    """
    owners = ((loss.snapshot.at(hop.namespace).owner_of(hop.flow.src), hop) for hop in loss.hops[:1])
    return any(owner is not None and owner.name != hop.interface for owner, hop in owners)


def _stayed_on(loss: Loss) -> Iterator[Link]:
    """The bridge on which the packet was to stay: it came by a port of it, or asks for a neighbour there."""
    asks = loss.stop.code == "nd-filtered"
    refused = loss.stop.place.stage is Stage.FORWARD and (asks or loss.stop.code in REFUSED)
    came = {*column(where(loss.hops, namespace=loss.here.name, bound="in")[-1:], "interface")}
    for bridge in where(loss.here.links, kind="bridge", name=loss.stop.place.interface) if refused else ():
        if asks or not came.isdisjoint(column(loss.here.ports(bridge), "name")):
            yield bridge


def _worded(rule: Rule, bridge: str) -> Iterator[str]:
    """A rule for one way of a bridge, with the exception of the bridge for the other one."""
    tests = nat_rules.tests(rule)
    for (way, other), said in _WORDS.items():
        alone = nat_rules.said(tests, *FIELDS[way]) == [bridge] and not among(tests, key=FIELDS[other])
        for old, new in ((old.format(bridge), new.format(bridge)) for old, new in said):
            if alone and old in rule.text:
                yield rule.text.replace(old, f"{new} {old}", 1)
