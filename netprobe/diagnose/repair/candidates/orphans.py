"""A chain of a firewall to which no rule leads any more, and that would let the packet through: the rule that
led to it was lost. Pure.

See: iptables(8), -j; nft(8), jump.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain as joined
from itertools import islice, product
from operator import attrgetter, ne

from msgspec.structs import replace

from netprobe.diagnose import nat_rules
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Chain, Leg, Namespace, Object, Place, Rule, Statement, Stop, Table
from netprobe.model.link import name_of
from netprobe.model.lookup import among, but, column, has, indexed, not_among, sole, those_not_in, where
from netprobe.model.pattern import pattern
from netprobe.model.place import stage_of
from netprobe.predict import fixes, prefix
from netprobe.rules.naming import tool

from .hooks import verdicts
from .sets import REFUSED

_MOST = 24  # places to try


def candidates(loss: Loss) -> Iterator[Repair]:
    """A jump to each such chain, for what comes in where the packet did, in each chain that leads to others,
    or in one that is left empty, to which what comes in by an interface is led.
    """
    refused = loss.stop.code in REFUSED and loss.stop.place.stage.value in _HOOKS
    last = where(loss.prediction.routed, namespace=loss.here.name, leg=loss.prediction.leg)[-1:]
    for routed, table in product(last if refused else (), loss.here.tables):
        out = name_of(loss.out(routed), "") if loss.stop.place.stage.value == "forward" else ""
        for parent, chain in islice(_pairs(loss, table), _MOST):
            came = name_of(routed.iif, "") if parent.rules else ""  # by that one is led to an empty one
            doors = (came, out if _ends_all(chain) else "")
            yield from _led_to(loss, loss.stop, table, parent, chain, doors)
    for namespace in map(loss.snapshot.at, loss.way):
        for table in namespace.tables:
            yield from _of_nat(loss, namespace, table)


def _pairs(loss: Loss, table: Table) -> Iterator[tuple[Chain, Chain]]:
    """Chains that may have led to a lost one, with that one."""
    hook = loss.stop.place.stage.value
    lost = [*filter(partial(_may_be_for, hook), orphans(table))]
    living = those_not_in(table.chains, lost)
    leading = filter(_leads, among(living, hook=(None, hook)))
    # one lost rule orphans one chain: of several, nobody can tell for whom each was
    particular = [*filter(_is_particular, lost)]
    yield from product(_emptied(table), lost)
    pairs = product(leading, sole(particular))
    yield from filter(partial(_is_its_place, living), pairs)


def _may_be_for(hook: str, chain: Chain) -> bool:
    """Whether a rule of a chain can match at a hook: what is for this namespace itself goes out of nothing,
    and what it sends came in by nothing.
    """
    never = {"input": _GOES, "output": _CAME}.get(hook, set())
    return any(never.isdisjoint(rule.asks.values()) for rule in chain.rules)


def _is_its_place(living: tuple[Chain, ...], pair: tuple[Chain, Chain]) -> bool:
    """Whether a chain was led to from a place as those are that are called like it but for one word: of
    zone_lan and zone_wan neither is for what is forwarded where the other is for what comes in. And of one
    zone's own: where forward_lan leads to drop_to_lan, forward_wan does not lead to accept_to_lan.
    """
    parent, lost = pair
    alike = {*filter(partial(_are_alike, lost.name), column(living, "name"))}
    leading = [each.name for each in living if alike.intersection(column(each.rules, "leads_to"))]
    beside = [*filter(partial(_are_alike, parent.name), leading)]
    others = {*joined.from_iterable(map(_BETWEEN.split, beside))}.difference(_BETWEEN.split(parent.name))
    own = bool(beside) and others.isdisjoint(_BETWEEN.split(lost.name))
    return not leading or parent.name in leading or own


def _are_alike(one: str, other: str) -> bool:
    """Whether two names are the same but for one of several words."""
    words, others = _BETWEEN.split(one), _BETWEEN.split(other)
    return len(words) == len(others) > 1 and sum(map(ne, words, others)) == 1


_BETWEEN = pattern(r"[-_.]")


def _of_nat(loss: Loss, namespace: Namespace, table: Table) -> Iterator[Repair]:
    """The same of chains that translate, in each chain at whose hook that is done; one that gives another
    source and speaks of a network of the namespace is for what comes from that one.
    """
    bases = among(where(table.chains, type="nat"), hook=TRANSLATING)
    routed = where(loss.asked(Leg.REQUEST), namespace=namespace.name)
    links = {"postrouting": next(filter(None, map(loss.out, routed)), None)}
    for parent, chain in islice(product(bases, orphans(table) if bases else ()), _MOST):
        code, kinds = TRANSLATING[parent.at]
        link = links.get(parent.at)
        theirs = nat_rules.networks_here(namespace, chain) if parent.at == "postrouting" else []
        own = [each for each in theirs if prefix.within([each], *column(routed[:1], "src"))]
        if among(_steps(chain), kind=kinds) and bool(own) is bool(theirs):
            place = Place(namespace.name, name_of(link, "") or None, stage_of(parent.hook))
            stop = replace(loss.stop, code=code, place=place)
            yield from _led_to(loss, stop, table, parent, chain, ("", ""), next(iter(own), ""))


def _steps(chain: Chain) -> tuple[Statement, ...]:
    return tuple(joined.from_iterable(column(chain.rules, "statements")))


_DESTINATION, _SOURCE = ("dnat-missing", ("dnat", "redirect")), ("nat-missing", ("snat", "masquerade"))
TRANSLATING = {"prerouting": _DESTINATION, "output": _DESTINATION, "postrouting": _SOURCE}
_HOOKS = ("input", "forward", "output")


def orphans(table: Table) -> list[Chain]:
    """The chains that somebody made and filled, and that no rule or map names."""
    own = but(where(table.chains, hook=None), rules=())
    maps = where(table.sets, data="verdict")
    # one of which nothing is known may lead anywhere
    if not own or table.partial or not all(column(maps, "known")):
        return []
    return [*not_among(own, name=called(table))]


def called(table: Table) -> set[str]:
    """The words of all rules, and the chains to which maps lead."""
    mapped = verdicts(joined.from_iterable(column(table.sets, "known")))
    return {*indexed(named, table.chains), *(name for _, name in mapped)}


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


def _emptied(table: Table) -> tuple[Chain, ...]:
    """The chains in which nothing is, and to which what comes in by some interface is led."""
    rules = joined.from_iterable(map(attrgetter("rules"), table.chains))
    led = {rule.leads_to for rule in rules if _CAME.intersection(rule.asks.values())}
    return among(where(table.chains, hook=None, rules=()), name=led)


_CAME = {"iifname", "meta iifname", "meta iif"}
_GOES = {"oifname", "meta oifname", "meta oif"}


def _ends_all(chain: Chain) -> bool:
    """Whether nothing comes back from a chain: its last rule asks for nothing."""
    return has((*chain.rules[-1:],), asks={})


def _led_to(
    loss: Loss,
    base: Stop,
    table: Table,
    parent: Chain,
    chain: Chain,
    doors: tuple[str, str],
    sender: str = "",
) -> Iterator[Repair]:
    """The rule that leads from one chain to another, for what goes through these doors and comes from this
    network.
    """
    words: tuple[str, ...] = (tool(table), table.name)
    named = [
        (each, name) for each, name in zip((("-i", "iifname"), ("-o", "oifname")), doors, strict=True) if name
    ]
    into = joined.from_iterable((each[0], name) for each, name in named)
    whose: tuple[str, ...] = ("-s", sender) if sender else ()
    fix = fixes.xtables(words[0], table.name, parent.name, "-I", parent.name, *into, *whose, "-j", chain.name)
    if table.engine == "nft":
        words = ("nft", table.family, table.name)
        of = joined.from_iterable((each[1], f'"{name}"') for each, name in named)
        whose = (nat_rules.family(sender), "saddr", sender) if sender else ()
        insert = ("insert", "rule", table.family, table.name, parent.name)
        fix = fixes.nft((table.name, parent.name), *insert, *of, *whose, "jump", chain.name)
    called = " ".join((*words, chain.name))
    text = f"no rule of {base.place.namespace} leads to {called}, by which it would pass: {loss.stop.text}"
    kind = "nat-rule" if parent.type == "nat" else "rule"
    thing = Object(kind, " ".join((*words[-2:], chain.name)), f"no rule leads to {chain.name}")
    stop = replace(base, text=text, object=thing, commands=fix, proof=(loss.stop.text,), advice="")
    agreeing = int(parent.hook is None) + (not parent.rules)
    yield from loss.repair(stop, Merit.RESTORES, agreeing=agreeing)
