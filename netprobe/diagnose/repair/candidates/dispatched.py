"""Rules that lead what comes in or goes out by an interface, or is of its network, to a chain that decides
about it: none does for one, where interfaces of its kind have theirs. Pure.

See: iptables(8), -g; nft(8), goto; firewalld(1): its zones are such chains.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain as joined
from itertools import product
from operator import attrgetter

from msgspec.structs import replace

from netprobe.diagnose import nat_rules, rule_words
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Chain, Link, Object, Rule, Table
from netprobe.model.lookup import among, column, grouped, has, indexed, those_not_in, where
from netprobe.model.pattern import pattern
from netprobe.predict import fixes, prefix
from netprobe.rules.naming import rule_decision

from .sets import REFUSED

_HOOKS = ("input", "forward", "output")
_KEYS = ("meta iifname", "meta oifname")
_ENDS = dict(zip(_KEYS, (nat_rules.FROM, nat_rules.TO), strict=True))
_ASKED = {*_KEYS, *nat_rules.FROM, *nat_rules.TO}


def candidates(loss: Loss) -> Iterator[Repair]:
    """A copy for the packet's interface of each rule that leads others of its kind to a chain."""
    hook = loss.stop.place.stage.value
    refused = loss.stop.code in REFUSED and hook in _HOOKS
    doors = dict.fromkeys(_doors(loss)) if refused else {}
    for (key, link), table in product(doors, loss.here.tables):
        for chain in among(indexed(_dispatching, table.chains), hook=(None, hook)):
            for called in (key, *_ENDS[key]):
                yield from _copied(loss, called, link, table, chain)
            yield from _looked_up(loss, key, link, table, chain)


def _dispatching(chains: tuple[Chain, ...]) -> tuple[Chain, ...]:
    """The chains that lead on by interfaces or networks, with the rules that speak of some: a cluster's node
    has thousands of others.
    """
    speaking = (replace(chain, rules=tuple(filter(_speaks, chain.rules))) for chain in chains)
    return tuple(chain for chain in speaking if any(map(_leads_on, chain.rules)))


def _speaks(rule: Rule) -> bool:
    return any(map(_ASKED.__contains__, map(attrgetter("key"), rule.statements)))


def _leads_on(rule: Rule) -> bool:
    return bool(rule.leads_to or has(rule.statements, kind="vmap"))


def _doors(loss: Loss) -> Iterator[tuple[str, Link]]:
    """The interfaces of the packet at the place of the loss, each with what a rule calls it; a bridged packet
    has its bridge on both sides.
    """
    came = where(loss.prediction.routed, namespace=loss.here.name, leg=loss.prediction.leg)[-1:]
    beside = where(loss.here.links, name=loss.stop.place.interface)
    for key, links in zip(_KEYS, (map(attrgetter("iif"), came), map(loss.out, came)), strict=True):
        plain = filter(_is_plain, filter(None, (*links, *beside)))
        yield from product((key,), plain)


def _is_plain(link: Link) -> bool:
    """Whether a name means itself in a rule: anybody may have chosen it."""
    return _PLAIN.fullmatch(link.name) is not None


_PLAIN = pattern(r"[A-Za-z0-9_.-]+")


def _names(loss: Loss, key: str, links: Sequence[Link]) -> list[str]:
    """What rules call interfaces by: their names, or their networks."""
    if key in _KEYS:
        return [*column(links, "name")]
    own = (loss.here.addresses_of(link, loss.version) for link in links)
    return [*map(prefix.network_of, joined.from_iterable(own))]


def _alike(loss: Loss, key: str, link: Link) -> set[str]:
    """The same of all interfaces of a kind."""
    return {*_names(loss, key, where(loss.here.links, kind=link.kind, master=link.master))}


def _copied(loss: Loss, key: str, link: Link, table: Table, chain: Chain) -> Iterator[Repair]:
    """What the rules of a chain lead others of a kind to, which speak of this one nowhere."""
    said = {*nat_rules.said_by(chain.rules, key)}
    for name in those_not_in(_names(loss, key, (link,)), said):
        leading = filter(partial(_leads, key, _alike(loss, key, link)), chain.rules)
        for target, rules in grouped(leading, attrgetter("leads_to")).items():
            thing, others = _named(loss, table, chain, rules[0]), nat_rules.said_by(rules, key)
            fix = rule_words.put_beside(thing, rules[0], others[0], name)
            does = f"{chain.name} leads {', '.join(others[:3])} to {target}"
            yield from _led(loss, name, thing, does, fix, _merit(table, link, others))


def _leads(key: str, names: set[str], rule: Rule) -> bool:
    """Whether a rule asks for one of these interfaces, or networks, alone, and leads to a chain."""
    said = {*nat_rules.said(rule.statements, key)}
    return bool(said and rule.leads_to) and said <= names and len(rule.asks) == 1


def _looked_up(loss: Loss, key: str, link: Link, table: Table, chain: Chain) -> Iterator[Repair]:
    """The same where a rule of nft has others of a kind in a map."""
    for rule in chain.rules:
        maps = filter(None, map(attrgetter("right"), where(rule.statements, kind="vmap", key=key)))
        pairs = [each.args for held in maps for each in where(held.args, kind="pair")]
        led = {name.text: verdict.text for name, verdict in pairs}
        if link.name in led:
            continue
        for gone in filter(_PLAIN.fullmatch, led):
            if loss.here.link_named(gone) is None:
                thing = _named(loss, table, chain, rule)
                fix = rule_words.reworded(thing, rule, gone, link.name)
                does = f"{chain.name} has {gone}, which is not there, {led[gone]}"
                yield from _led(loss, link.name, thing, does, fix, Merit.RESTORES)
        near = _alike(loss, key, link).intersection(led)
        for verdict, others in grouped(sorted(near), led.__getitem__).items():
            thing = _named(loss, table, chain, rule)
            into = ("insert", "rule", table.family, table.name, chain.name, "position", str(rule.handle))
            text = f'{key.partition(" ")[2]} "{link.name}" {verdict}'
            fix = fixes.nft((table.name, chain.name), *into, text)
            does, merit = f"{chain.name} has {', '.join(others[:3])} {verdict}", _merit(table, link, others)
            yield from _led(loss, link.name, thing, does, fix, merit)


def _named(loss: Loss, table: Table, chain: Chain, rule: Rule) -> Object:
    return rule_decision(table, chain, rule, loss.stop.place.stage.value).object


def _merit(table: Table, link: Link, others: Sequence[str]) -> Merit:
    """What speaks for a rule like another one: that several are, that others of the table are about the
    interface, or that it is a bridge, as engines make them all alike. A way in of which nobody has ever
    spoken may be kept out on purpose.
    """
    rules = joined.from_iterable(each.rules for each in table.chains)
    spoken_of = any(link.name in rule.text.replace('"', " ").split() for rule in rules)
    return Merit.restoring(spoken_of or len({*others}) > 1 or link.kind == "bridge")


def _led(loss: Loss, name: str, thing: Object, does: str, fix: fixes.Fix, merit: Merit) -> Iterator[Repair]:
    text = f"{does} in {loss.here.name}, but not {name}: {loss.stop.text}"
    missing = Object(thing.kind, rule_words.chain_id(thing), f"{does}, but not {name}")
    stop = replace(loss.stop, text=text, object=missing, commands=fix, proof=(loss.stop.text,), advice="")
    yield from loss.repair(stop, merit, agreeing=int(merit is Merit.RESTORES))
