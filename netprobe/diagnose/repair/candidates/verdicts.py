"""A rule that refuses what it was to let through: without it, its chain would refuse the packet; one that
ends its chain before the rules behind it were asked; one that accepts the packet for its own chain alone.
Pure.

See: nft(8), VERDICT STATEMENTS: behind an accept the other chains of the hook are asked.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from netprobe.diagnose import nat_rules
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Leg, Object, PassedRules, Stage, Statement
from netprobe.model.lookup import has, where
from netprobe.predict import allow, fixes
from netprobe.rules.naming import PORT_KEYS

from .sets import REFUSED

_NONE = PassedRules(Leg.REQUEST, "", Stage.INPUT, ())


def candidates(loss: Loss) -> Iterator[Repair]:
    """The rule that refused the packet, accepting it: taken away it is better, where that is enough. Those
    that returned it to where it was refused, or accepted it before that.
    """
    yield from _met(loss)
    thing = loss.stop.object
    if thing is None or thing.kind != "rule":
        return
    commands = allow.accepted(thing)
    if commands:
        yield from loss.repair(replace(loss.stop, commands=commands, advice=""), Merit.ADDS)


def _met(loss: Loss) -> Iterator[Repair]:
    """The rules that ended their chain for the packet on its way to where it was refused."""
    name, here = loss.stop.place.namespace, loss.here
    if loss.stop.code not in REFUSED:
        return
    met = where(reversed(loss.prediction.rules), namespace=name, leg=loss.prediction.leg)
    for thing in dict.fromkeys(next(iter(met), _NONE).rules):
        steps = nat_rules.statements(here, thing)
        if has(steps, kind="return"):
            text = f"{thing.id} of {name} ends its chain for the packet before the rules behind it are asked"
            fix, proof = fixes.without(thing, here.ruleset), (thing.text, loss.stop.text)
            stop = replace(loss.stop, text=text, object=thing, commands=fix, proof=proof, advice="")
            yield from loss.repair(stop, Merit.UNDOES)
        if has(steps, kind="accept"):
            yield from _accepted_here_too(loss, thing, steps)


def _accepted_here_too(loss: Loss, thing: Object, steps: tuple[Statement, ...]) -> Iterator[Repair]:
    """The rule by which another chain of nft's accepts the packet, in the one that refuses it: what it lets
    through is told by a station or a port.
    """
    match thing.line, loss.stop.thing.line:
        case ("nft", *_), ("nft", family, table, chain, *_) if thing.line[:4] != loss.stop.thing.line[:4]:
            text = f"{thing.id} accepts the packet, and {family} {table} {chain} is asked as well"
            into = ("insert", "rule", family, table, chain, thing.text)
            fix = fixes.nft((table, chain), *into)
            stop = replace(loss.stop, text=f"{text}: {loss.stop.text}", commands=fix, advice="")
            told = nat_rules.said(steps, *nat_rules.TO, *PORT_KEYS)
            yield from loss.repair(stop, Merit.restoring(told), agreeing=len(told))
