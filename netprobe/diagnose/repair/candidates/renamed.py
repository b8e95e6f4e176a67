"""An interface that has another name than rules call it by, or another index. Pure.

See: ip-link(8), name; net/core/dev.c (dev_change_name); nft(8), iif and iifname.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import chain, filterfalse

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.worn import is_whole
from netprobe.model import Chain, Link, NamedSet, Namespace, Object, Place, Rule, Stage, Stop, Table, Term
from netprobe.model.lookup import among, column, indexed, not_among, sole, where
from netprobe.model.pattern import pattern
from netprobe.model.place import stage_of
from netprobe.predict import fixes
from netprobe.predict.drop import lost
from netprobe.rules.naming import rule_decision

_NAMES = ("meta iifname", "meta oifname")
_NAMING = frozenset(_NAMES)
_INDEX = pattern(r"\b([io]if) (\d{1,9}) ")  # as nft prints it where no interface has it
_QUOTED = pattern(r'[^"*\\\\]+')  # what nft takes for the name of an interface between quotes
_SEVERAL = 2  # rules: one alone may be mistaken, where several interfaces could be meant


def candidates(loss: Loss) -> Iterator[Repair]:
    """Where rules speak of one name that no interface has, each interface that no rule speaks of."""
    for namespace in map(loss.snapshot.at, loss.around):
        said, missing = _said(namespace), missing_names(namespace)
        unsaid = not_among(namespace.outward, name=said)
        yield from _made_anew(loss, namespace)
        if len(missing) == 1:
            sure = said[missing[0]] >= _SEVERAL or len(unsaid) == 1
            for link in unsaid if sure else _likely(loss, namespace, unsaid, missing[0]):
                yield from _renamed(loss, namespace, link, missing[0], said[missing[0]])


def _likely(loss: Loss, namespace: Namespace, unsaid: tuple[Link, ...], name: str) -> tuple[Link, ...]:
    """The one of several interfaces that a single rule may mean by a name that none has: the other end of its
    cable is called so, and it alone lacks what goes with a new name, which takes that it is switched off.
    """
    worn = tuple(filterfalse(partial(is_whole, namespace), unsaid))
    called = {far.name for _, (_, far) in loss.known_ends(namespace.name, worn)}
    return sole(worn) if name in called else ()


def _made_anew(loss: Loss, namespace: Namespace) -> Iterator[Repair]:
    """A rule of nft that means an interface by an index that none has any more: it was made anew since. By
    its name the rule would mean it for good.
    """
    crossed = {*column(where(loss.hops, namespace=namespace.name), "interface")}
    near = among(namespace.outward, name=(*crossed, loss.stop.place.interface))
    there = [link for link in near if _QUOTED.fullmatch(link.name)]
    for table in where(namespace.tables, engine="nft"):
        for placed in table.placed:
            for key, index in _indexes(namespace, placed[1]):
                for link in there:
                    yield from _by_name(loss, namespace, table, placed, key, index, link)


def _indexes(namespace: Namespace, rule: Rule) -> list[tuple[str, str]]:
    """The indexes by which a rule speaks of interfaces, and that none has; each with the word before it."""
    said: list[tuple[str, str]] = _INDEX.findall(rule.text)
    return [(key, index) for key, index in said if namespace.link(int(index)) is None]


def _by_name(
    loss: Loss,
    namespace: Namespace,
    table: Table,
    placed: tuple[Chain, Rule],
    key: str,
    index: str,
    link: Link,
) -> Iterator[Repair]:
    chain, rule = placed
    new = rule.text.replace(f"{key} {index} ", f'{key}name "{link.name}" ')
    words = ("replace", "rule", table.family, table.name, chain.name, "handle", str(rule.handle), new)
    fix = fixes.nft((table.name, chain.name), *words)
    thing = rule_decision(table, chain, rule, chain.at).object
    text = f"{thing.id} of {namespace.name} means an interface by the index {index}, which none has any more"
    at = Place(namespace.name, None, stage_of(chain.hook))
    code = CODE_OF_NAT.get((chain.type, chain.hook), loss.stop.code)
    stop = Stop(code, at, text, thing, fix, (thing.text, loss.stop.text))
    if new != rule.text and rule.handle is not None:
        yield from loss.repair(stop, Merit.RESTORES)


CODE_OF_NAT: dict[tuple[str | None, str | None], str] = {
    ("nat", "postrouting"): "nat-wrong-match", ("nat", "prerouting"): "dnat-missing",
    ("nat", "output"): "dnat-missing",
}  # fmt: skip


def missing_names(namespace: Namespace) -> list[str]:
    """The interfaces that rules speak of, and that are not there."""
    return [*filterfalse(namespace.link_named, _said(namespace))]


def _renamed(loss: Loss, namespace: Namespace, link: Link, name: str, times: int) -> Iterator[Repair]:
    who = {1: f"a rule of {namespace.name} speaks"}.get(times, f"{times} rules of {namespace.name} speak")
    text = f"{who} of {name}, which is not there, and none of {link.name}"
    down, named = fixes.link_set(link, "down"), fixes.link_set(link, "name", name)
    up = fixes.link_set(Link(link.index, name), "up")
    thing = Object("link", link.name, f"{link.name} is {name} in the rules")
    stop = lost("link-missing", namespace.name, link, Stage.ROUTE, text, object=thing, fix=(down, named, up))
    yield from loss.repair(stop, Merit.RESTORES, agreeing=times)


def _said(namespace: Namespace) -> Counter[str]:
    """How many rules, and elements of sets, speak of each interface by its whole name."""
    found = Counter(filter(None, chain.from_iterable((each.iif, each.oif) for each in namespace.rules)))
    for table in namespace.tables:
        found.update(indexed(_held, table.sets))
        for each in table.chains:
            found.update(indexed(_counted, each.rules))
    return found


def _counted(rules: tuple[Rule, ...]) -> Counter[str]:
    naming = [rule for rule in rules if not _NAMING.isdisjoint(column(rule.statements, "key"))]
    return Counter(name for rule in naming for name in set(_names(rule)))


def _held(sets: tuple[NamedSet, ...]) -> Counter[str]:
    """How many elements of sets and maps stand for each interface, by itself or beside others."""
    keyed = ((held.types, _keys(each)) for held in sets for each in held.known)
    parts = chain.from_iterable(zip(types, keys, strict=False) for types, keys in keyed)
    return Counter(term.text for kind, term in parts if kind == "ifname")


def _keys(element: Term) -> tuple[Term, ...]:
    """The parts of what an element is looked up by."""
    key = element.args[0] if element.kind == "pair" else element
    return key.args if key.kind == "concat" else (key,)


def _names(rule: Rule) -> Iterator[str]:
    terms = column(among(rule.statements, key=_NAMES), "right")
    texts = chain.from_iterable(map(_values, filter(None, terms)))
    return (text for text in texts if text[-1:] not in ("*", "+"))


def _values(term: Term) -> list[str]:
    """The literals of a term: itself, or those of a set."""
    if term.kind in ("set", "map"):
        return [*chain.from_iterable(map(_values, term.args))]
    if term.kind == "pair":
        return _values(term.args[0])
    return [term.text] if term.kind == "value" else []
