"""A rule that refuses what it was to let through: without it, its chain would refuse the packet; and one that
ends its chain before the rules behind it were asked. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from netprobe.diagnose import nat_rules
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Leg, PassedRules, Stage
from netprobe.model.lookup import has, where
from netprobe.predict import allow, fixes

from .sets import REFUSED

_NONE = PassedRules(Leg.REQUEST, "", Stage.INPUT, ())


def candidates(loss: Loss) -> Iterator[Repair]:
    """The rule that refused the packet, accepting it: taken away it is better, where that is enough. Those
    that returned it to where it was refused.
    """
    yield from _returning(loss)
    thing = loss.stop.object
    if thing is None or thing.kind != "rule":
        return
    commands = allow.accepted(thing)
    if commands:
        yield from loss.repair(replace(loss.stop, commands=commands, advice=""), Merit.ADDS)


def _returning(loss: Loss) -> Iterator[Repair]:
    """The rules that ended their chain for the packet on its way to where it was refused."""
    name, here = loss.stop.place.namespace, loss.here
    if loss.stop.code not in REFUSED:
        return
    met = where(reversed(loss.prediction.rules), namespace=name, leg=loss.prediction.leg)
    for thing in dict.fromkeys(next(iter(met), _NONE).rules):
        if has(nat_rules.statements(here, thing), kind="return"):
            text = f"{thing.id} of {name} ends its chain for the packet before the rules behind it are asked"
            fix, proof = fixes.without(thing, here.ruleset), (thing.text, loss.stop.text)
            stop = replace(loss.stop, text=text, object=thing, commands=fix, proof=proof, advice="")
            yield from loss.repair(stop, Merit.UNDOES)
