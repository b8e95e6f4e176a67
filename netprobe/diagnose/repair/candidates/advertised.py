"""A host that has heard a router's advertisement before, and heeds none any more: its default route comes
with the next one; where those beside it have one that somebody wrote, it lacks that. Pure.

See: ip-sysctl (kernel documentation), accept_ra; net/ipv6/ndisc.c (ndisc_router_discovery).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from msgspec.structs import replace

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.routers import routers_for
from netprobe.model import Link, Route
from netprobe.model.lookup import but, column, has, holding, where
from netprobe.predict import fixes, prefix
from netprobe.predict.routing import without_route


def candidates(loss: Loss) -> Iterator[Repair]:
    """The setting by which advertisements are heeded, tried with what a router beside would announce."""
    deaf = where((loss.stop,), code="ra-not-accepted")
    for link in where(loss.here.links, name=loss.stop.place.interface)[: len(deaf)]:
        own = holding(
            loss.here.addresses_of(link, 6), flags="dynamic"
        )  # an advertisement's prefix, not for ever
        for router in where(routers_for(loss, loss.here.name, loss.goal), link=link):
            announced = fixes.ip(
                prefix.WHOLE[6], "route", "add", "default", "via", router.via, "dev", link.name
            )
            beside = _beside(loss, link, router.via)
            heard = own or has(beside, protocol="ra")  # else nobody says that there is any
            yield from loss.repair(loss.stop, Merit.restoring(heard, Merit.GOES_AROUND), trial=(announced,))
            if writing := but(beside, protocol="ra"):
                stop = replace(without_route(loss.here, loss.goal), commands=(announced,))
                yield from loss.repair(stop, Merit.RESTORES, agreeing=len(writing))


def _beside(loss: Loss, link: Link, via: str) -> tuple[Route, ...]:
    """The default routes by a router of those beside an interface."""
    others = column(map(loss.snapshot.at, dict(loss.others(loss.here.name, link))), "routes")
    return holding(where(chain.from_iterable(others), is_default=True, version=6), gateways=via)
