"""A chain of a firewall to which no rule leads any more, and that would let the packet through: the rule that
led to it was lost. Pure.

See: iptables(8), -j; nft(8), jump.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain as joined
from itertools import islice, product
from operator import attrgetter

from msgspec.structs import replace

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Chain, Leg, Namespace, Object, Place, Rule, Statement, Stop, Table
from netprobe.model.link import name_of
from netprobe.model.lookup import among, but, indexed, not_among, those_not_in, where
from netprobe.model.pattern import pattern
from netprobe.model.place import stage_of
from netprobe.predict import fixes
from netprobe.rules.naming import tool

from .sets import REFUSED

_MOST = 24  # places to try


def candidates(loss: Loss) -> Iterator[Repair]:
    """A jump to each such chain, for what comes in where the packet did, in each chain that leads to
    others.
    """
    refused = loss.stop.code in REFUSED and loss.stop.place.stage.value in _HOOKS
    came = where(loss.prediction.routed, namespace=loss.here.name, leg=loss.prediction.leg)[-1:]
    for routed, table in product(came if refused else (), loss.here.tables):
        orphans, hook = _orphans(table), loss.stop.place.stage.value
        # one lost rule orphans one chain: of several, nobody can tell for whom each was
        lost = [*filter(_is_particular, orphans)]
        leading = filter(_leads, among(table.chains, hook=(None, hook)))
        parents = those_not_in(leading, orphans)
        for parent, chain in islice(product(parents, lost if len(lost) == 1 else ()), _MOST):
            yield from _led_to(loss, loss.stop, table, parent, chain, name_of(routed.iif, ""))
    for namespace in map(loss.snapshot.at, loss.way):
        for table in namespace.tables:
            yield from _of_nat(loss, namespace, table)


def _of_nat(loss: Loss, namespace: Namespace, table: Table) -> Iterator[Repair]:
    """The same of chains that translate, in each chain at whose hook that is done."""
    bases = among(where(table.chains, type="nat"), hook=_TRANSLATING)
    outs = map(loss.out, where(loss.asked(Leg.REQUEST), namespace=namespace.name))
    links = {"postrouting": next(filter(None, outs), None)}
    for parent, chain in islice(product(bases, _orphans(table) if bases else ()), _MOST):
        code, kinds = _TRANSLATING[parent.hook or ""]
        link = links.get(parent.hook or "")
        if among(_steps(chain), kind=kinds):
            place = Place(namespace.name, name_of(link, "") or None, stage_of(parent.hook))
            stop = replace(loss.stop, code=code, place=place)
            yield from _led_to(loss, stop, table, parent, chain, "")


def _steps(chain: Chain) -> tuple[Statement, ...]:
    return tuple(joined.from_iterable(rule.statements for rule in chain.rules))


_DESTINATION, _SOURCE = ("dnat-missing", ("dnat", "redirect")), ("nat-missing", ("snat", "masquerade"))
_TRANSLATING = {"prerouting": _DESTINATION, "output": _DESTINATION, "postrouting": _SOURCE}
_HOOKS = ("input", "forward", "output")


def _orphans(table: Table) -> list[Chain]:
    """The chains that somebody made and filled, and that no rule or map names."""
    own = but(where(table.chains, hook=None), rules=())
    maps = but(table.sets, data=None)  # they may lead anywhere
    if not own or maps or table.partial:
        return []
    return [*not_among(own, name=indexed(named, table.chains))]


def named(chains: tuple[Chain, ...]) -> frozenset[str]:
    """The words of all rules: what they lead to, and whatever else."""
    rules = [*joined.from_iterable(map(attrgetter("rules"), chains))]
    said = map(_words, rules)
    led = map(attrgetter("leads_to"), rules)
    return frozenset((*joined.from_iterable(said), *led))


def _words(rule: Rule) -> list[str]:
    return _WORD.findall(_OWN_CHAIN.sub("", rule.text))


_OWN_CHAIN, _WORD = pattern(r"^-A \S+"), pattern(r"[^\s:;,{}]+")


def _is_particular(chain: Chain) -> bool:
    """Whether a chain lets through, or leads on, what it asks for something: one that accepts all may be for
    anybody, and generated rulesets have some that nothing leads to.
    """
    return any(rule.asks and _decides(rule) for rule in chain.rules)


def _decides(rule: Rule) -> bool:
    return bool(rule.leads_to or among(rule.statements, kind="accept"))


def _leads(chain: Chain) -> bool:
    """Whether it is there to lead to others."""
    return any(map(attrgetter("leads_to"), chain.rules))


def _led_to(loss: Loss, base: Stop, table: Table, parent: Chain, chain: Chain, came: str) -> Iterator[Repair]:
    words: tuple[str, ...] = (tool(table), table.name)
    into = ("-i", came) if came else ()
    fix = fixes.xtables(words[0], table.name, parent.name, "-I", parent.name, *into, "-j", chain.name)
    if table.engine == "nft":
        words = ("nft", table.family, table.name)
        of = ("iifname", f'"{came}"') if came else ()
        insert = ("insert", "rule", table.family, table.name, parent.name)
        fix = fixes.nft((table.name, parent.name), *insert, *of, "jump", chain.name)
    called = " ".join((*words, chain.name))
    text = f"no rule of {base.place.namespace} leads to {called}, by which it would pass: {loss.stop.text}"
    thing = Object("nat-rule" if parent.type == "nat" else "rule", called, f"no rule leads to {chain.name}")
    stop = replace(base, text=text, object=thing, commands=fix, proof=(loss.stop.text,), advice="")
    yield from loss.repair(stop, Merit.RESTORES, agreeing=int(parent.hook is None))
