"""Rules of address translation: which there are, whom they are for, how one gets another target. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain as chained
from itertools import dropwhile, islice, pairwise
from operator import ne
from typing import NamedTuple

from netprobe.model import (
    Chain,
    Command,
    End,
    Hop,
    Leg,
    Link,
    NamedSet,
    Namespace,
    Object,
    Rule,
    Statement,
    Table,
    Term,
)
from netprobe.model.config import is_particular
from netprobe.model.link import kind_of, name_of
from netprobe.model.lookup import among, column, find, has, holding, indexed, where
from netprobe.predict import fixes, prefix
from netprobe.predict.prediction import Prediction
from netprobe.predict.trace import Routed
from netprobe.rules import naming
from netprobe.rules.naming import rule_decision
from netprobe.rules.ruling import Decision

PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "fc00::/7")
# to other containers, or to other hosts of a cluster
_INSIDE = ("bridge", "vxlan", "geneve", "tun", "wireguard", "gre", "ipip", "sit")
_EXEMPTIONS = 8  # rules that are tried
IS = ("", "==", "in")
SOURCE = ("snat", "masquerade")
TESTS = {"match", "vmap"}
FROM, TO = ("ip saddr", "ip6 saddr"), ("ip daddr", "ip6 daddr")
_AT = re.compile(r"^\[?([\d.]+|(?<=\[).+)\]?:(\d+)$")  # an element has address and port apart


def is_private(address: str) -> bool:
    """Whether an address means nothing to the rest of the world (RFC 1918, 6598, 3927, 4193)."""
    return prefix.within(PRIVATE, address)


def expects_translation(router: Routed, out: Link | None, prediction: Prediction) -> bool:
    """Whether a private source should not leave as it is: towards the world, or out of a host whose own
    bridge it comes from.
    """
    if not is_private(prediction.target):
        return not _is_next(router, prediction)
    return out is not None and kind_of(router.iif) == "bridge" and out.kind not in _INSIDE


def _is_next(router: Routed, prediction: Prediction) -> bool:
    """Whether who has the destination is on a private network of a router's, which has a route of its own for
    it: no part of the world.
    """
    asked = where(prediction.routed, leg=Leg.REQUEST)
    if prediction.request.end is not End.DELIVER or not is_particular(router.decision.route):
        return False
    return router in asked[-2:-1] and is_private(router.via)


def translates(namespace: Namespace, version: int, out: Link | None = None) -> bool:
    """Whether any rule of a namespace gives packets of this IP version another source; one that is only for
    other interfaces of its than `out` does not count.
    """
    translating = rules_of_nat(namespace, "postrouting", {4: "0.0.0.0", 6: "::"}[version], *SOURCE)
    return any(out is None or is_for_interface(namespace, each.statements, out) for each in translating)


def is_for_interface(namespace: Namespace, statements: tuple[Statement, ...], out: Link | None) -> bool:
    """Whether a rule is for what leaves by an interface of a namespace: it names none, or that one."""
    names = said(statements, "oifname", "meta oifname")
    devices = [*filter(namespace.link_named, names)]
    return not devices or name_of(out, "") in devices


def changed(hops: tuple[Hop, ...], namespace: str, *fields: str) -> Hop | None:
    """The last hop in a namespace at which one of these header fields was rewritten."""
    return next(rewriting(where(reversed(hops), namespace=namespace), *fields), None)


def rewriting(hops: Iterable[Hop], *fields: str) -> Iterator[Hop]:
    """The hops at which one of these header fields was rewritten."""
    return (hop for hop in hops if hop.change_of(*fields) is not None)


def exempting(
    namespace: Namespace, source: str, target: str, hook: str = "postrouting"
) -> Iterator[Decision]:
    """The rules for translation that end the search for some packets, if not plainly for others only: the
    first few.
    """
    ending = rules_of_nat(namespace, hook, source, "accept", "return")
    return islice(
        (each.decision for each in ending if _exempts(each.statements, source, target)), _EXEMPTIONS
    )


def _exempts(statements: tuple[Statement, ...], source: str, target: str) -> bool:
    return not (is_for_others(statements, FROM, source) or is_for_others(statements, TO, target))


def is_for_others(statements: tuple[Statement, ...], keys: tuple[str, ...], address: str) -> bool:
    """Whether a rule names networks, and an address is of none of them."""
    named = networks(statements, *keys)
    return bool(named) and not prefix.within(named, address)


def is_of(namespace: Namespace, network: str) -> bool:
    """Whether a namespace has an address of a network."""
    return any(map(partial(prefix.contains, network), column(namespace.addresses, "address")))


def networks_here(namespace: Namespace, chain: Chain) -> list[str]:
    """The networks of a namespace of which the rules of a chain speak."""
    named = dict.fromkeys(
        chained.from_iterable(networks(rule.statements, *FROM, *TO) for rule in chain.rules)
    )
    return [each for each in named if is_of(namespace, each)]


def said(statements: tuple[Statement, ...], *keys: str) -> list[str]:
    """What the statements of a rule compare some keys with."""
    compared = among(statements, key=keys)
    return [*filter(None, column(among(compared, op=IS), "value"))]


def all_said(chains: Iterable[Chain], *keys: str) -> set[str]:
    """What any rule of some chains compares these keys with; of ten thousand rules it is found once."""
    tables = [indexed(_compared, chain.rules) for chain in chains]
    return {each for table in tables for key in keys for each in table.get(key, ())}


def _compared(rules: tuple[Rule, ...]) -> dict[str, set[str]]:
    """What rules compare, with what."""
    found: dict[str, set[str]] = {}
    for rule in rules:
        for each in rule.statements:
            if each.op in IS and each.right is not None and each.right.text:
                found.setdefault(each.key, set()).add(each.right.text)
    return found


def said_by(rules: Iterable[Rule], key: str) -> list[str]:
    """The same of several rules."""
    return [*chained.from_iterable(said(rule.statements, key) for rule in rules)]


def networks(statements: tuple[Statement, ...], *keys: str) -> list[str]:
    """The addresses and networks among that."""
    return [*filter(is_prefix, said(statements, *keys))]


def spared(statements: Iterable[Statement], *keys: str) -> list[str]:
    """The addresses and networks that a rule is not for, each by itself or in a list of them."""
    compared = column(where(among(statements, key=keys), op="!="), "right")
    nodes = chained.from_iterable(column(filter(None, compared), "nodes"))
    return [*filter(is_prefix, column(nodes, "text"))]


def is_prefix(text: str) -> bool:
    """Whether a text is an address or a network."""
    try:
        prefix.contains(text, text.partition("/")[0])
    except ValueError:
        return False
    return True


class NatRule(NamedTuple):
    """A rule of a nat chain at a hook, or of one that is jumped to; what is said of it is made when it is
    asked for: a host of many services has thousands.
    """

    table: Table
    chain: Chain
    rule: Rule
    hook: str

    @property
    def statements(self) -> tuple[Statement, ...]:
        """The steps of the rule."""
        return self.rule.statements

    @property
    def decision(self) -> Decision:
        """The rule as a decision names it."""
        return rule_decision(self.table, self.chain, self.rule, self.hook)


def rules_of_nat(namespace: Namespace, hook: str, address: str, *kinds: str) -> Iterator[NatRule]:
    """All rules of the tables that have a nat chain at `hook` for this kind of address, chains that are
    jumped to included; with `kinds` those alone that have a statement of one of these.
    """
    for table, chain in chains_of_nat(namespace, hook, address):
        for rule in _of_kinds(chain.rules, kinds):
            yield NatRule(table, chain, rule, hook)


def chains_of_nat(namespace: Namespace, hook: str, address: str) -> Iterator[tuple[Table, Chain]]:
    """The chains of these tables."""
    return nat_chains(namespace.tables, hook, prefix.version(address))


def nat_chains(tables: Iterable[Table], hook: str, version: int) -> Iterator[tuple[Table, Chain]]:
    """The chains at a hook, and those without one, of the tables that translate there, for one IP version."""
    families = {4: ("ip", "inet"), 6: ("ip6", "inet")}[version]
    for table in among(tables, family=families):
        if has(table.chains, type="nat", hook=hook):
            yield from ((table, chain) for chain in among(table.chains, hook=(None, hook)))


def of_kind(tables: Iterable[Table], kind: str) -> Iterator[NatRule]:
    """The rules of tables, whatever their chains are for, that have a statement of a kind."""
    for table in tables:
        for chain in table.chains:
            for rule in _of_kinds(chain.rules, (kind,)):
                yield NatRule(table, chain, rule, chain.at)


def _of_kinds(rules: tuple[Rule, ...], kinds: tuple[str, ...]) -> Iterable[Rule]:
    places = indexed(_by_kind, rules)
    numbers = {number for kind in kinds for number in places.get(kind, ())}
    return map(rules.__getitem__, sorted(numbers)) if kinds else rules


def _by_kind(rules: tuple[Rule, ...]) -> dict[str, tuple[int, ...]]:
    """The numbers of the rules that have a statement of a kind."""
    found: dict[str, list[int]] = {}
    for number, rule in enumerate(rules):  # of ten thousand
        for each in rule.statements:
            found.setdefault(each.kind, []).append(number)
    return {kind: tuple(numbers) for kind, numbers in found.items()}


def found(namespace: Namespace, thing: Object) -> Rule | None:
    """The rule that an object names."""
    match thing.line:
        case ("nft", family, table, chain, "handle", handle):
            tables = where(namespace.tables, key=("nft", family, table))
            return find(_rules_of(tables, chain), handle=int(handle))
        case (tool, table, chain, number) if number.isdigit():
            tables = tuple(t for t in where(namespace.tables, name=table) if naming.tool(t) == tool)
            return find(_rules_of(tables, chain), number=int(number))
    return None


def from_on(namespace: Namespace, thing: Object) -> tuple[NatRule, ...]:
    """The rule that an object names, and those behind it in its chain; nothing for other objects."""
    rule, named = found(namespace, thing), {*thing.line}
    for table in among(namespace.tables, name=named):
        for chain in holding(among(table.chains, name=named), rules=rule):
            on = dropwhile(partial(ne, rule), chain.rules)
            return tuple(NatRule(table, chain, each, chain.at) for each in on)
    return ()


def tests(rule: Rule) -> tuple[Statement, ...]:
    """What a rule asks for."""
    return among(rule.statements, kind=TESTS)


def statements(namespace: Namespace, thing: Object) -> tuple[Statement, ...]:
    """The steps of the rule that an object names; none of what is no rule."""
    rule = found(namespace, thing)
    return rule.statements if rule is not None else ()


def _rules_of(tables: Iterable[Table], name: str) -> Iterator[Rule]:
    """The rules of the chains of this name."""
    chains = filter(None, (table.chain(name) for table in tables))
    return chained.from_iterable(column(chains, "rules"))


def retargeted(namespace: Namespace, thing: Object, rule: Rule, old: str, new: str) -> fixes.Fix:
    """The rule with another target, or its map with another element; nothing where its tool replaces none."""
    match thing.line:
        case ("nft", *_) as words:
            return _by_nft(namespace, words, rule, old, new)
        case (tool, table, chain, number) if tool.startswith(("iptables", "ip6tables")):
            said = fixes.xt_words(chain, rule.text)
            changed = tuple(
                swapped(word, old, new) if before in _TARGETS else word
                for before, word in pairwise(("", *said))
            )
            replaced = Command.of(tool, "-t", table, "-R", chain, number, *changed)
            return (replaced,) if changed != said else ()
    return ()


_TARGETS = ("--to-destination", "--to-source")


def _by_nft(namespace: Namespace, words: tuple[str, ...], rule: Rule, old: str, new: str) -> fixes.Fix:
    family, table, chain = words[1:4]
    text = swapped(rule.text, old, new)
    if text != rule.text:
        return fixes.nft((table, chain), "replace", "rule", family, table, chain, "handle", words[5], text)
    gone, _, its = _AT.sub(r"\1 . \2", old).partition(" . ")
    come, _, other = _AT.sub(r"\1 . \2", new).partition(" . ")
    for held in _maps_of(namespace, ("nft", family, table), rule):
        for key, data in _pairs(held):
            address, dot, port = data.partition(" . ")
            changed = swapped(address, gone, come) + dot + (other or port)
            if changed != data and its in ("", port):
                named, place = (table, held.name), ("element", family, table, held.name)
                first = fixes.nft(named, "delete", *place, f"{{ {key} }}")
                return (*first, *fixes.nft(named, "add", *place, f"{{ {key} : {changed} }}"))
    return ()


def _maps_of(namespace: Namespace, key: tuple[str, str, str], rule: Rule) -> list[NamedSet]:
    """The maps of a table that say where a rule translates to."""
    names = [*map(_map_of, among(rule.statements, kind=("dnat", "snat")))]
    return [each for table in where(namespace.tables, key=key) for each in among(table.sets, name=names)]


def _pairs(held: NamedSet) -> Iterator[tuple[str, str]]:
    """The keys and the data of a map."""
    for element in held.known:
        match element.args:
            case (key, data):
                yield written(key), written(data)


def swapped(text: str, old: str, new: str) -> str:
    """A text with one address, name or number in the place of another, where that stands for itself: it is no
    part of a longer name, no end of a range and no length of a network.
    """
    return re.sub(rf"(?<![\w.:/-]){re.escape(old)}(?![\w.-]|:[0-9a-f]*:)", lambda _: new, text)


def swapped_all(text: str, new: dict[str, str]) -> str:
    """A text with each of some words in the place of others."""
    for old, other in new.items():
        text = swapped(text, old, other)
    return text


def _map_of(statement: Statement) -> str | None:
    """The named map that says where a translation leads."""
    match statement.right:
        case Term(kind="map", args=(*_, Term(kind="ref", text=name))):
            return name
    return None


def written(term: Term) -> str:
    """A key or a datum of a map, as nft writes it."""
    if term.kind == "concat":
        return " . ".join(map(written, term.args))
    return term.text


def family(address: str) -> str:
    """What nft calls the headers of an address or network."""
    return "ip6" if ":" in address else "ip"
