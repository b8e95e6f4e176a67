"""An interface that has another name than rules call it by. Pure.

See: ip-link(8), name; net/core/dev.c (dev_change_name).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Link, Namespace, Object, Rule, Stage, Term
from netprobe.predict import fixes
from netprobe.predict.drop import lost

_NAMES = ("meta iifname", "meta oifname")
_SEVERAL = 2  # rules: one alone may be mistaken, where several interfaces could be meant


def candidates(loss: Loss) -> Iterator[Repair]:
    """Where rules speak of one name that no interface has, each interface that no rule speaks of."""
    for name in loss.around:
        namespace = loss.snapshot[name]
        said = _said(namespace)
        missing = missing_names(namespace)
        if len(missing) != 1:
            continue
        own = [link for link in namespace.links if link.kind != "loopback" and link.master is None]
        unsaid = [link for link in own if not said[link.name]]
        if said[missing[0]] >= _SEVERAL or len(unsaid) == 1:
            for link in unsaid:
                yield from _renamed(loss, namespace, link, missing[0], said[missing[0]])


def missing_names(namespace: Namespace) -> list[str]:
    """The interfaces that rules speak of, and that are not there."""
    return [each for each in _said(namespace) if namespace.link_named(each) is None]


def _renamed(loss: Loss, namespace: Namespace, link: Link, name: str, times: int) -> Iterator[Repair]:
    text = f"{times} rules of {namespace.name} speak of {name}, which is not there, and none of {link.name}"
    down, named = fixes.link_set(link, "down"), fixes.link_set(link, "name", name)
    up = fixes.link_set(Link(link.index, name), "up")
    thing = Object("link", link.name, f"{link.name} is {name} in the rules")
    stop = lost("link-missing", namespace.name, link, Stage.ROUTE, text, object=thing, fix=(down, named, up))
    yield from loss.repair(stop, Merit.RESTORES, agreeing=times)


def _said(namespace: Namespace) -> Counter[str]:
    """How many rules speak of each interface by its whole name."""
    rules = (rule for table in namespace.tables for rule in table.rules)
    return Counter(name for rule in rules for name in set(_names(rule)))


def _names(rule: Rule) -> Iterator[str]:
    for statement in rule.statements:
        if statement.left is not None and statement.left.text in _NAMES and statement.right is not None:
            yield from (text for text in _values(statement.right) if text[-1:] not in ("*", "+"))


def _values(term: Term) -> Iterator[str]:
    if term.kind == "value":
        yield term.text
    for each in term.args if term.kind == "set" else ():
        yield from _values(each)
