"""Rules that give packets another source, as the tool in use writes them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain as chained

from msgspec.structs import replace

from netprobe.model import Chain, Command, Flow, Link, Namespace, Table
from netprobe.model.link import kind_of, name_of
from netprobe.model.lookup import among, column, find, where
from netprobe.predict import fixes
from netprobe.predict.prefix import network_of
from netprobe.rules.naming import is_for_nat

from .nat_rules import FROM, SOURCE, family, networks, rules_of_nat, said

# How nft(8) and iptables(8) put a rule before all others, or behind them.
_FIRST = {True: ("insert", "-I"), False: ("add", "-A")}


def masquerading(namespace: Namespace, source: str, network: str | None, out: Link, first: bool) -> fixes.Fix:
    """The rule that translates `network`, to which `source` belongs, where it leaves by `out`, in the words
    of the tool in use there.

    `network` None: all that leaves. `first`: before all other rules.
    """
    chain, (nft, xt) = _nft_chain(namespace, source), _FIRST[first]
    if chain is None:
        return fixes.masquerade(_iptables(namespace, source), network, out, xt)
    return _by_nft(chain, nft, *_nft_match(*chain, network, out), "masquerade")


def masquerading_what_goes_to(namespace: Namespace, target: Flow, out: Link) -> fixes.Fix:
    """The rule that translates the source of what goes on to a target, in the words of the tool in use
    there.
    """
    chain = _nft_chain(namespace, target.dst)
    protocol, port = str(target.protocol), str(target.dport)
    words: tuple[str, ...] = (protocol, "dport", port)
    ports: tuple[str, ...] = ("-p", protocol, "--dport", port)
    if target.dport is None:
        words = ports = ()
    if chain is not None:
        at = ("rule", chain[0].family, chain[0].name, chain[1].name)
        goes = (family(target.dst), "daddr", target.dst, *words, "oifname", out.name)
        return _by_nft(chain, "add", *at, *goes, "masquerade")
    matches = ("-t", "nat", "-A", "POSTROUTING", "-d", target.dst)
    return (Command.of(_iptables(namespace, target.dst), *matches, *ports, "-j", "MASQUERADE"),)


def masquerading_between(namespace: Namespace, network: str, target: str) -> fixes.Fix:
    """The rule that translates what a network sends to a target, in the words of the tool in use there."""
    chain = _nft_chain(namespace, target)
    if chain is not None:
        at, own = ("rule", chain[0].family, chain[0].name, chain[1].name), family(target)
        return _by_nft(chain, "add", *at, own, "saddr", network, own, "daddr", target, "masquerade")
    ends = ("-s", network, "-d", target, "-j", "MASQUERADE")
    return (Command.of(_iptables(namespace, target), "-t", "nat", "-A", "POSTROUTING", *ends),)


def translating(namespace: Namespace, network: str, out: Link, address: str) -> fixes.Fix:
    """The rule, before all others, that gives `network` the source `address` where it leaves by `out`."""
    chain = _nft_chain(namespace, network)
    if chain is not None:
        return _by_nft(chain, "insert", *_nft_match(*chain, network, out), "snat", "to", address)
    matches = ("-s", network, "-o", out.name)
    goal = ("-j", "SNAT", "--to-source", address)
    return (Command.of(_iptables(namespace, network), "-t", "nat", "-I", "POSTROUTING", *matches, *goal),)


def _iptables(namespace: Namespace, about: str) -> str:
    """The tool for rules about an address, of the engine that a namespace uses already."""
    engines = {*column(namespace.tables, "engine")} & {"iptables", "iptables-legacy"}
    return fixes.iptables(about) + ("-legacy" if engines == {"iptables-legacy"} else "")


def _by_nft(chain: tuple[Table, Chain], *words: str) -> fixes.Fix:
    return fixes.nft((chain[0].name, chain[1].name), *words)


def emptied(namespace: Namespace, source: str) -> int:
    """How many chains translate sources by their place, and have no rule that would, or those alone that
    spare some: somebody made them for that. Those of iptables are called by its own, which are always there.
    """
    tables = among(namespace.tables, family=(family(source), "inet"))
    own = where(chained.from_iterable(column(where(tables, engine="nft"), "chains")), type="nat")
    there = where((*own, *chained.from_iterable(map(_called, tables))), hook="postrouting")
    return sum(_SPARING.issuperset(_kinds(each)) for each in there)


_SPARING = {"match", "note", "accept", "return"}


def _kinds(chain: Chain) -> Iterator[str]:
    """What the rules of a chain are made of."""
    return column(chained.from_iterable(column(chain.rules, "statements")), "kind")


def _called(table: Table) -> Iterator[Chain]:
    """The chains to which those for source translation lead, as if they hung at their hook."""
    for chain in where(table.chains, hook="postrouting"):
        led = filter(None, column(chain.rules, "leads_to")) if is_for_nat(table, chain) else ()
        yield from (replace(each, hook=chain.hook) for each in filter(None, map(table.chain, led)))


def _nft_chain(namespace: Namespace, source: str) -> tuple[Table, Chain] | None:
    """The chain for source translation in a ruleset that nft made."""
    awake = where(namespace.tables, engine="nft", dormant=False)
    for table in among(awake, family=(family(source), "inet")):
        chain = find(table.chains, type="nat", hook="postrouting")
        if chain is not None:
            return table, chain
    return None


def _nft_match(table: Table, chain: Chain, network: str | None, out: Link) -> tuple[str, ...]:
    source = (family(network), "saddr", network) if network is not None else ()
    return ("rule", table.family, table.name, chain.name, *source, "oifname", out.name)


def translates_beside(namespace: Namespace, iif: Link | None, out: Link | None) -> bool:
    """Whether rules give what leaves by an interface and comes from the network of another one like `iif`
    another source: what comes from there is to have one as well.
    """
    address = {4: "0.0.0.0", 6: "::"}
    for each in chained.from_iterable(
        rules_of_nat(namespace, "postrouting", address[v], *SOURCE) for v in (4, 6)
    ):
        led = name_of(out, "") in said(each.statements, "oifname", "meta oifname")
        named = networks(each.statements, *FROM) if led and iif is not None else ()
        beside = filter(
            None, (namespace.link_of(own) for own in namespace.addresses if network_of(own) in named)
        )
        if any(_is_like(link, iif) for link in beside):
            return True
    return False


def _is_like(one: Link, other: Link | None) -> bool:
    """Whether interfaces are of one kind, and differ in the number of their name alone."""
    return other not in (None, one) and _sort(one) == _sort(other)


def _sort(link: Link | None) -> tuple[str | None, str]:
    return kind_of(link), name_of(link, "").rstrip("0123456789")
