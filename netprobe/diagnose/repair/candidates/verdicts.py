"""A rule that refuses what it was to let through: without it, its chain would refuse the packet; and one that
ends its chain before the rules behind it were asked. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from netprobe.diagnose import nat_rules
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model.lookup import has, where
from netprobe.predict import allow, fixes

from .sets import REFUSED


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
    name, refused = loss.stop.place.namespace, loss.stop.code in REFUSED
    met = where(loss.prediction.rules, namespace=name, leg=loss.prediction.leg) if refused else ()
    for thing in dict.fromkeys(each for passed in met[-1:] for each in passed.rules):
        rule = nat_rules.found(loss.here, thing)
        if rule is not None and has(rule.statements, kind="return"):
            text = f"{thing.id} of {name} ends its chain for the packet before the rules behind it are asked"
            fix, proof = fixes.without(thing, loss.here.ruleset), (thing.text, loss.stop.text)
            stop = replace(loss.stop, text=text, object=thing, commands=fix, proof=proof, advice="")
            yield from loss.repair(stop, Merit.UNDOES)
