"""An address that a router leads to a machine by a route for it alone, and that the machine has not, though a
program or a published port waits there for what is for its own addresses: a service's, which moved or went
with a daemon. Without it the packet goes on by the default route, and comes back. Pure.

See: ip-address(8); iptables-extensions(8), addrtype (LOCAL); keepalived(8).
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.diagnose import dnat_rules
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Command, Leg, Link, Namespace, Object, Stage
from netprobe.model.lookup import among, but, has, where
from netprobe.predict import prefix
from netprobe.predict.drop import lost
from netprobe.predict.trace import Routed

_ANY = ("0.0.0.0", "::", "*")


def candidates(loss: Loss) -> Iterator[Repair]:
    """The address on the loopback of each such machine."""
    for routed in but(loss.asked(Leg.REQUEST), src=""):
        route, via = routed.decision.route, routed.via
        alone = route is not None and prefix.length(route.dst) == prefix.bits(routed.dst)
        for name in loss.bearers(via) if alone and via is not None and via != routed.dst else ():
            here = loss.snapshot[name]
            if here.owner_of(routed.dst) is None and _waits(loss, here):
                for link in where(here.links, kind="loopback"):
                    yield from _given(loss, here, link, routed)


def _waits(loss: Loss, here: Namespace) -> bool:
    """Whether a program on all addresses of a machine, or a rule for a port of them, is for the packet."""
    flow = loss.probe.flow()
    if flow.dport is None:
        return False
    listening = among(here.waiting(flow.protocol.value), address=_ANY)
    return has(listening, port=flow.dport) or any(dnat_rules.publishing(here, flow))


def _given(loss: Loss, here: Namespace, link: Link, routed: Routed) -> Iterator[Repair]:
    own = f"{routed.dst}/{prefix.bits(routed.dst)}"
    named = f"{own} dev {link.name}"
    text = (
        f"{routed.namespace} has a route for {routed.dst} alone, which leads to {here.name}: that waits on"
        " the port for what is for its own addresses, and this is none of them"
    )
    thing = Object("address", named, f"{named} (missing)")
    fix = (Command.of("ip", "address", "add", own, "dev", link.name),)
    stop = lost("addr-missing", here.name, link, Stage.ROUTE, text, object=thing, fix=fix)
    yield from loss.repair(stop, Merit.ADDS, agreeing=1)
