"""Rules that accept one thing after another of a kind, and not what the packet has: what goes to, or comes
from, a bridge and its network, as a tool writes a rule for each of its bridges; what each translation leads
to. The rule that lacks is as one of them. Pure.

See: iptables(8), -i, -o, -s, -d, TABLES; nft(8), META EXPRESSIONS.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain as joined
from itertools import product

from msgspec.structs import replace

from netprobe.diagnose import dnat_rules, nat_rules
from netprobe.diagnose.repair.repair import Loss, Repair
from netprobe.model import Hop, Statement
from netprobe.model.lookup import among, column, sole, where
from netprobe.predict import prefix

from .rows import FIELDS, RuleRow, Wording, accepting

_SIDES = (("oif", "dst"), ("iif", "src"))


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each such rule once more, for the packet."""
    refusing = nat_rules.statements(loss.here, loss.stop.thing)
    led = nat_rules.changed(loss.prediction.request.hops, loss.here.name, "dst", "dport")
    told: set[tuple[str, str]] = set()  # of hundreds of a kind in one chain each would be the same once more
    for row in accepting(loss):
        # what refused the packet for its bridge keeps that one apart
        sides = (each for each in _SIDES if not _keeps_apart(refusing, row, each[0]))
        wordings = joined.from_iterable(_for_a_bridge(row, *side) for side in sides)
        for word in joined(wordings, _for_what_is_led(row, led) if led is not None else ()):
            whole = (row.rule.chain.name, nat_rules.swapped_all(row.rule.rule.text, word.new))
            if whole not in told:
                told.add(whole)
                yield from row.once_more(word)


def _keeps_apart(refusing: tuple[Statement, ...], row: RuleRow, way: str) -> bool:
    """Whether what refused the packet asks for its bridge."""
    return row.packet.fields[way] in nat_rules.said(refusing, *FIELDS[way])


def _for_a_bridge(row: RuleRow, way: str, end: str) -> Iterator[Wording]:
    """A rule for a bridge beside and its network, and for nothing else, for the packet's."""
    here, name = row.packet.here, row.packet.fields[way]
    asked = {*column(nat_rules.tests(row.rule.rule), "key")} <= {*FIELDS[way], *FIELDS[end]}
    bridges = where(here.links, kind="bridge") if asked else ()
    beside = among(bridges, name=sole(row.said(way)))
    for one, link in product(beside, where(bridges, name=name)):
        own, near = (map(prefix.network_of, here.addresses_of(each)) for each in (one, link))
        known = {*own}.intersection(sole(row.networks(end)))
        for network, other in product(known, prefix.covering(near, row.packet.fields[end])):
            told = f"accepts this for {one.name}; no rule does so for {name}"
            yield Wording({one.name: name, network: other}, why=told)


def _for_what_is_led(row: RuleRow, hop: Hop) -> Iterator[Wording]:
    """A rule for the one port, and address, to which another translation leads; whose chain leads this packet
    on lets it pass as well.
    """
    flow = hop.flow
    for old in filter(str.isdigit, sole(row.said("dport"))):
        for before, end in _single(row.networks("dst") or [flow.dst]):
            there = replace(flow, dst=before, dport=int(old))
            if there != flow and dnat_rules.leads_to(row.packet.here, there, int(old)):
                told = f"accepts what is led to {before}; no rule does so here"
                ways = dict.fromkeys(row.said("oif"), row.packet.oif)
                new = {**ways, f"{before}{end}": f"{flow.dst}{end}", old: str(flow.dport)}
                yield Wording(new, why=told, agreeing=1 + (row.rule.chain.name in hop.thing.line))


def _single(networks: list[str]) -> list[tuple[str, str]]:
    """The one address that a rule names, and its length as it is written."""
    parts = [each.partition("/") for each in sole(networks)]
    return [(address, f"{slash}{length}") for address, slash, length in parts if length in ("", "32", "128")]
