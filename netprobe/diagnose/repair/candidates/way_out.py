"""A router that knows no way out, and a station without an interface whose programs wait on addresses that
nobody has: the cable between them was deleted with both ends. Pure.

How long the prefix of their network was is for the reader to know.
See: ip-link(8), veth; drivers/net/veth.c (veth_dellink).
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.segment import free_address
from netprobe.model import Blank, Command, InterfaceAddress, Namespace, Object, Stage
from netprobe.model.lookup import has, those_not_in
from netprobe.predict import fixes, prefix
from netprobe.predict.arp_reply import forwards
from netprobe.predict.drop import lost

from .told import waited_on
from .unconnected import cable, near_end

_END = "eth0"  # what a container calls its interface
_USUAL = {4: 24, 6: 64}  # lengths of prefixes, for a trial


def candidates(loss: Loss) -> Iterator[Repair]:
    """The cable from the place of the loss to the one station that has none."""
    told = {each.name: [*waited_on(loss, each)] for each in loss.bare if _lacks_a_way(loss)}
    known = {name: addresses[0] for name, addresses in told.items() if addresses}
    if len(known) > 1:
        return
    for name in those_not_in(known, (loss.probe.source.namespace,)):
        yield from _connected(loss, loss.snapshot[name], known[name])


def _lacks_a_way(loss: Loss) -> bool:
    """Whether a router has no route, and no default route."""
    here, version = loss.here, loss.version
    if loss.stop.code != "no-route" or has(here.routes, version=version, is_default=True):
        return False
    return any(forwards(here, link, version) for link in here.outward)


def _connected(loss: Loss, station: Namespace, own: str) -> Iterator[Repair]:
    length, here = _USUAL[loss.version], loss.here.name
    free = free_address([InterfaceAddress(0, own, length)])
    asked = loss.goal not in loss.owned and prefix.contains(prefix.network(own, length), loss.goal)
    near = loss.goal if asked and loss.goal != own else None
    if free is None:
        return
    text = (
        f"{station.name} has no interface besides lo, programs of it wait on {own}, which is nobody's, and"
        f" {here} knows no way out"
    )
    blank = Blank("LENGTH", f"{near}/") if near is not None else Blank("ADDRESS/LENGTH")
    fix = _lines(loss, station, own, blank, Blank("LENGTH", f"{own}/"))
    trial = _lines(loss, station, own, f"{near or free.address}/{length}", f"{own}/{length}")
    thing = Object("link", _END, text)
    stop = lost("link-missing", station.name, None, Stage.ROUTE, text, object=thing, fix=fix)
    yield from loss.repair(stop, Merit.RESTORES, trial=trial)


def _lines(
    loss: Loss, station: Namespace, gateway: str, near: str | Blank, far: str | Blank
) -> tuple[Command, ...]:
    """The cable with the addresses of both ends, and the way out by it."""
    here, name = loss.here.name, near_end(loss.here)
    way = fixes.ip(gateway, "route", "add", "default", "via", gateway)
    return (
        *cable(here, name, station.name, _END),
        Command.of("ip", "address", "add", near, "dev", name, namespace=here),
        Command.of("ip", "address", "add", far, "dev", _END, namespace=station.name),
        Command.of(*way.words, namespace=here),
    )
