"""An interface that has another name than rules call it by. Pure.

See: ip-link(8), name; net/core/dev.c (dev_change_name).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain, filterfalse

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Link, Namespace, Object, Rule, Stage, Term
from netprobe.model.lookup import among, indexed, not_among
from netprobe.predict import fixes
from netprobe.predict.drop import lost

_NAMES = ("meta iifname", "meta oifname")
_SEVERAL = 2  # rules: one alone may be mistaken, where several interfaces could be meant


def candidates(loss: Loss) -> Iterator[Repair]:
    """Where rules speak of one name that no interface has, each interface that no rule speaks of."""
    for namespace in map(loss.snapshot.at, loss.around):
        said, missing = _said(namespace), missing_names(namespace)
        unsaid = not_among(namespace.outward, name=said)
        if len(missing) == 1 and (said[missing[0]] >= _SEVERAL or len(unsaid) == 1):
            for link in unsaid:
                yield from _renamed(loss, namespace, link, missing[0], said[missing[0]])


def missing_names(namespace: Namespace) -> list[str]:
    """The interfaces that rules speak of, and that are not there."""
    return [*filterfalse(namespace.link_named, _said(namespace))]


def _renamed(loss: Loss, namespace: Namespace, link: Link, name: str, times: int) -> Iterator[Repair]:
    text = f"{times} rules of {namespace.name} speak of {name}, which is not there, and none of {link.name}"
    down, named = fixes.link_set(link, "down"), fixes.link_set(link, "name", name)
    up = fixes.link_set(Link(link.index, name), "up")
    thing = Object("link", link.name, f"{link.name} is {name} in the rules")
    stop = lost("link-missing", namespace.name, link, Stage.ROUTE, text, object=thing, fix=(down, named, up))
    yield from loss.repair(stop, Merit.RESTORES, agreeing=times)


def _said(namespace: Namespace) -> Counter[str]:
    """How many rules speak of each interface by its whole name."""
    rules = (each.rules for table in namespace.tables for each in table.chains)
    return sum((indexed(_counted, each) for each in rules), Counter())


def _counted(rules: tuple[Rule, ...]) -> Counter[str]:
    return Counter(name for rule in rules for name in set(_names(rule)))


def _names(rule: Rule) -> Iterator[str]:
    terms = (statement.right for statement in among(rule.statements, key=_NAMES))
    texts = chain.from_iterable(map(_values, filter(None, terms)))
    return (text for text in texts if text[-1:] not in ("*", "+"))


def _values(term: Term) -> list[str]:
    """The literals of a term: itself, or those of a set."""
    if term.kind == "set":
        return [*chain.from_iterable(map(_values, term.args))]
    return [term.text] if term.kind == "value" else []
