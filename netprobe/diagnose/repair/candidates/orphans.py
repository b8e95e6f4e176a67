"""A chain of a firewall to which no rule leads any more, and that would let the packet through: the rule that
led to it was lost. Pure.

See: iptables(8), -j; nft(8), jump.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, product

from msgspec.structs import replace

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Chain, Object, Table
from netprobe.model.link import name_of
from netprobe.model.lookup import among, but, where
from netprobe.model.pattern import pattern
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
        lost, hook = _orphans(table), loss.stop.place.stage.value
        parents = [
            each for each in among(table.chains, hook=(None, hook)) if _leads(each) and each not in lost
        ]
        for parent, chain in islice(product(parents, lost), _MOST):
            yield from _led_to(loss, table, parent, chain, name_of(routed.iif, ""))


_HOOKS = ("input", "forward", "output")


def _orphans(table: Table) -> list[Chain]:
    """The chains that somebody made and filled, and that no rule or map names."""
    own = but(where(table.chains, hook=None), rules=())
    maps = but(table.sets, data=None)  # they may lead anywhere
    if not own or maps or table.partial:
        return []
    said = " ".join(_OWN_CHAIN.sub("", rule.text) for rule in table.rules)
    named = {*_WORD.findall(said), *(rule.leads_to for rule in table.rules)}
    return [each for each in own if each.name not in named]


_OWN_CHAIN, _WORD = pattern(r"^-A \S+"), pattern(r"[^\s:;,{}]+")


def _leads(chain: Chain) -> bool:
    """Whether it is there to lead to others."""
    return any(rule.leads_to for rule in chain.rules)


def _led_to(loss: Loss, table: Table, parent: Chain, chain: Chain, came: str) -> Iterator[Repair]:
    words: tuple[str, ...] = (tool(table), table.name)
    into = ("-i", came) if came else ()
    fix = fixes.xtables(words[0], table.name, parent.name, "-I", parent.name, *into, "-j", chain.name)
    if table.engine == "nft":
        words = ("nft", table.family, table.name)
        of = ("iifname", f'"{came}"') if came else ()
        insert = ("insert", "rule", table.family, table.name, parent.name)
        fix = fixes.nft((table.name, parent.name), *insert, *of, "jump", chain.name)
    named = " ".join((*words, chain.name))
    text = f"no rule of {loss.here.name} leads to {named}, by which the packet would pass: {loss.stop.text}"
    thing = Object("rule", named, f"no rule leads to {chain.name}")
    stop = replace(loss.stop, text=text, object=thing, commands=fix, proof=(loss.stop.text,), advice="")
    yield from loss.repair(stop, Merit.RESTORES, agreeing=int(parent.hook is None))
