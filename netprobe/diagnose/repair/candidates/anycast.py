"""The first address of an IPv6 network, which each router there has too: no station can be told by it. Pure.

See: RFC 4291, 2.6.1; net/ipv6/addrconf.c (addrconf_join_anycast).
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.segment import free_address
from netprobe.model import Blank, Command, InterfaceAddress, Namespace, Object, Stage
from netprobe.model.lookup import but, has, where
from netprobe.predict import fixes
from netprobe.predict.drop import lost


def candidates(loss: Loss) -> Iterator[Repair]:
    """The address of a station for which a router takes itself, where the packet or its answer ends there."""
    for last in (hop for walk in loss.prediction.walks for hop in walk.hops[-1:]):
        router, dst = loss.snapshot.at(last.namespace), last.flow.dst
        if has(router.routes, type="anycast", dst=f"{dst}/128"):
            for there in map(loss.snapshot.at, loss.bearers(dst)):
                for own in but(where(there.addresses, address=dst), prefixlen=128):
                    yield from _with_another(loss, there, own, router)


def _with_another(loss: Loss, there: Namespace, own: InterfaceAddress, router: Namespace) -> Iterator[Repair]:
    """An address of the same network in the place of one; which one is for the reader to say."""
    free, link = free_address([own, *router.addresses]), there.link(own.index)
    if free is None or link is None:
        return
    gone = fixes.address("del", own, link)
    words = ("ip", "-6", "address", "add")
    trial = (Command.of(*words, f"{free.address}/{own.prefixlen}", "dev", link.name), gone)
    fix = (Command.of(*words, Blank(f"RIGHT-ADDRESS/{own.prefixlen}"), "dev", link.name), gone)
    named = f"{own.written} dev {link.name}"
    text = (
        f"{own.address} is the first address of its network, which any router there has: {router.name} takes"
        " it for its own"
    )
    thing = Object("address", named, named)
    stop = lost("addr-duplicate", there.name, link, Stage.ROUTE, text, object=thing, fix=fix)
    yield from loss.repair(stop, Merit.RESTORES, trial=trial)
