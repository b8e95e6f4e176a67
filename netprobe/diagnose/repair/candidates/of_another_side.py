"""A rule that gives what leaves for the world by an interface the address of another one: that of the
interface is meant, for who is beside it has no way to the other one, or takes nothing that bears it. What
goes inside is given another one on purpose. Pure.

See: iptables-extensions(8), SNAT; nft(8), NAT STATEMENTS.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from netprobe.diagnose import nat_rules, rule_words
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.segment import own_addresses
from netprobe.model import Leg, Link, Namespace, Place, Stage, Stop
from netprobe.model.link import kind_of
from netprobe.model.lookup import but, column, where
from netprobe.predict import prefix


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each such rule on the way there, with each address of the way out."""
    for routed in loss.asked(Leg.REQUEST):
        here, out = loss.snapshot[routed.namespace], loss.out(routed)
        if out is not None:
            yield from _of_router(loss, here, out)


def _of_router(loss: Loss, here: Namespace, out: Link) -> Iterator[Repair]:
    made = nat_rules.changed(loss.prediction.request.hops, here.name, "src")
    rule = None if made is None or made.object is None else nat_rules.found(here, made.object)
    if made is None or rule is None:
        return
    source, thing = made.flow.src, made.thing
    owner = here.owner_of(source)
    routes = where(here.routes, is_default=True, type="unicast")
    leads_on = out.index in chain.from_iterable(column(routes, "indexes"))
    side = leads_on and owner not in (None, out) and kind_of(owner) != "loopback"
    named = out.name in nat_rules.said(rule.statements, "oifname", "meta oifname")
    for own in but(own_addresses(here, out, prefix.version(source)), address=source) if side else ():
        text = (
            f"{thing.id} of {here.name} gives what leaves by {out.name} the source {source}, which is that of"
            " another interface"
        )
        fix = rule_words.reworded(thing, rule, source, own.address)
        place = Place(here.name, out.name, Stage.POSTROUTING)
        stop = Stop("nat-wrong-address", place, text, thing, fix, (thing.text, loss.stop.text))
        yield from loss.repair(stop, Merit.restoring(named), agreeing=1)
