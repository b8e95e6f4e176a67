"""A segment's network that the rules of a bridge on it name, and of which they know a part alone: it was made
larger, and they were not. Pure.

Meshes and clouds let pass what comes from their network, in ARP and in IP. See: nft(8), ADDRESS FAMILIES.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain as joined
from itertools import product

from msgspec.structs import replace

from netprobe.diagnose import nat_rules, rule_words
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Chain, InterfaceAddress, Rule, Table
from netprobe.model.lookup import among, gathered, where
from netprobe.predict import prefix
from netprobe.rules.naming import rule_decision

from . import sets

_CODES = {*sets.REFUSED, "arp-filtered", "nd-filtered"}
_KEYS = ("ip saddr", "ip daddr", "ip6 saddr", "ip6 daddr", "arp saddr ip", "arp daddr ip")

_MOST = 64  # rules that are reworded together
_Placed = tuple[Chain, Rule]


def candidates(loss: Loss) -> Iterator[Repair]:
    """The network of who sends, or of who is asked, in all rules of a bridge that name a part of it."""
    tables = where(loss.here.tables, family="bridge") if loss.stop.code in _CODES else ()
    ends = (loss.probe.source.address, loss.goal)
    bearing = (loss.snapshot[name].addresses for end in ends if end for name in loss.bearers(end))
    known = among(tuple(joined.from_iterable(bearing)), address=ends)
    for table, own in product(tables, dict.fromkeys(known)):
        for network, placed in gathered(_naming(table)).items():
            if _is_part(network, own) and len(placed) <= _MOST:
                yield from _widened(loss, table, network, prefix.network_of(own), placed)


def _naming(table: Table) -> Iterator[tuple[str, _Placed]]:
    """Each network that a rule of a table names, and where that stands."""
    for placed in table.placed:
        for network in dict.fromkeys(nat_rules.networks(placed[1].statements, *_KEYS)):
            yield network, placed


def _is_part(network: str, own: InterfaceAddress) -> bool:
    """Whether a network is a part of that of an address, without the address."""
    wide, single = prefix.network_of(own), prefix.bits(own.address)
    part = prefix.length(wide) < prefix.length(network) < single and prefix.holds(wide, network)
    return part and not prefix.contains(network, own.address)


def _widened(
    loss: Loss, table: Table, network: str, wide: str, placed: tuple[_Placed, ...]
) -> Iterator[Repair]:
    things = [(rule_decision(table, chain, rule, chain.at).object, rule) for chain, rule in placed]
    fix = joined.from_iterable(rule_words.reworded(thing, rule, network, wide) for thing, rule in things)
    for thing, _ in things[:1]:
        told = f"{thing.id} of {loss.here.name} is for {network}, a part of the network {wide}"
        text, proof = f"{told}: {loss.stop.text}", (thing.text, loss.stop.text)
        stop = replace(loss.stop, text=text, object=thing, commands=tuple(fix), proof=proof, advice="")
        yield from loss.repair(stop, Merit.RESTORES, agreeing=len(things))
