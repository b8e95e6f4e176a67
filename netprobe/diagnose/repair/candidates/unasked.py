"""A set or map of nft in which no rule looks any more, and that would let the packet pass: the rule that did
was lost. Pure.

See: nft(8), SETS, MAPS, VERDICT MAPS.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain as joined
from itertools import islice, product
from operator import attrgetter

from msgspec.structs import replace

from netprobe.diagnose.nat_rules import family
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Chain, NamedSet, Object, Place, Rule, Table
from netprobe.model.lookup import among, but, find, indexed, not_among, where
from netprobe.model.pattern import pattern
from netprobe.model.place import stage_of
from netprobe.predict import fixes

from . import sets

# The selectors in which a part of a key may be found, by its type.
_SELECTORS = {
    "ipv4_addr": ("ip daddr", "ip saddr"),
    "ipv6_addr": ("ip6 daddr", "ip6 saddr"),
    "inet_proto": ("meta l4proto",),
    "inet_service": ("th dport", "th sport"),
    "ifname": ("iifname", "oifname"),
    "ether_addr": ("ether saddr",),
    "mark": ("meta mark", "ct mark"),
}
_ADDRESSES = {"ipv4_addr", "ipv6_addr"}
_MOST = 12  # places and keys to try
_REFERENCE = pattern(r"@([\w/\\.-]+)")


def candidates(loss: Loss) -> Iterator[Repair]:
    """A rule that looks there, in the chains in which others of its table do such things."""
    for namespace in map(loss.snapshot.at, loss.way):
        for table in where(namespace.tables, engine="nft", partial=False):
            tried = joined.from_iterable(_tried(loss, table, named) for named in _unasked(table))
            for named, chain, hook, key in islice(tried, _MOST):
                place = Place(namespace.name, None, stage_of(hook))
                yield from _with_rule(loss, table, named, chain, key, place)


_Tried = tuple[NamedSet, Chain, str, tuple[str, ...]]


def _unasked(table: Table) -> Iterable[NamedSet]:
    """The sets and maps of a table that were read, and that no rule names."""
    filled = but(but(table.sets, elements=None), elements=())
    return not_among(filled, name=indexed(_named, table.chains)) if filled else ()


def _named(chains: tuple[Chain, ...]) -> frozenset[str]:
    """The sets that rules name."""
    rules: Iterator[Rule] = joined.from_iterable(map(attrgetter("rules"), chains))
    return frozenset(joined.from_iterable(map(_REFERENCE.findall, map(attrgetter("text"), rules))))


def _tried(
    loss: Loss, table: Table, named: NamedSet
) -> Iterator[tuple[NamedSet, Chain, str, tuple[str, ...]]]:
    """Where such a rule would stand, with the hook from which packets come there, and by which key."""
    protocol = "th" if "inet_proto" in named.types else loss.probe.protocol.value
    parts = [_selectors(each, protocol) for each in named.types]
    for chain, hook in _places(loss, table, named):
        for key in product(*parts):
            yield named, chain, hook, key


def _selectors(kind: str, protocol: str) -> list[str]:
    return [each.replace("th ", f"{protocol} ") for each in _SELECTORS.get(kind, ())]


def _places(loss: Loss, table: Table, named: NamedSet) -> Iterator[tuple[Chain, str]]:
    """The chains that others lead to and that have no rule of their own; then the one at the hook.

    A set of addresses alone may be one of those who are banned.
    """
    refused = loss.stop.code in sets.REFUSED
    hooks = _HOOKS.get(refused, (loss.stop.place.stage.value,))
    bases = where(among(table.chains, hook=hooks), type="filter" if refused else "nat")
    empty = where(table.chains, hook=None, rules=())
    led = among(empty, name={*map(attrgetter("leads_to"), table.rules)})
    yield from product(led, hooks[:1] if bases else ())
    if named.data in _BY_ITSELF and not (refused and {*named.types, named.data} <= {*_ADDRESSES, None}):
        yield from ((base, base.at) for base in bases)


_HOOKS = {False: ("prerouting", "output")}
_BY_ITSELF = (None, "verdict", "ipv4_addr", "ipv6_addr", "ipv4_addr . inet_service")


def _with_rule(
    loss: Loss, table: Table, named: NamedSet, chain: Chain, key: tuple[str, ...], place: Place
) -> Iterator[Repair]:
    target = (table.family, table.name, chain.name)
    before, behind = _ASKING.get(named.data, (_leading(loss, table), ("map", "@")))
    asked = " . ".join(key).split()
    rule = (*before, *asked, *(word.replace("@", f"@{named.name}") for word in behind))
    last = find(chain.rules[-1:], asks={})  # what ends the chain for all is to stay behind it
    put: tuple[str, ...] = ("add", "rule", *target)
    if last is not None:
        put = ("insert", "rule", *target, "handle", str(last.handle))
    what = " ".join(("nft", table.family, table.name, named.name))
    text = f"no rule of {place.namespace} looks into {named.name}, which knows the packet: {loss.stop.text}"
    stop = replace(
        loss.stop,
        text=text,
        object=Object("set", what, f"no rule looks into {what}"),
        commands=fixes.nft((table.name, chain.name, named.name), *put, *rule),
        proof=(loss.stop.text,),
        advice="",
    )
    if loss.stop.code not in sets.REFUSED:
        stop = replace(stop, code="dnat-missing", place=place)
    for repair in loss.repair(stop, Merit.RESTORES, agreeing=1):
        if not sets.lacks(repair.mended.at(place.namespace), loss.hops, named.name):
            yield repair


def _leading(loss: Loss, table: Table) -> tuple[str, ...]:
    """The words for another destination, of which a table of both IP versions wants to know the version."""
    return ("dnat", *{"inet": (family(loss.goal),)}.get(table.family, ()), "to")


_ASKING: dict[str | None, tuple[tuple[str, ...], tuple[str, ...]]] = {
    None: ((), ("@", "accept")),
    "verdict": ((), ("vmap", "@")),
}
