"""A host that has heard a router's advertisement before, and heeds none any more: its default route comes
with the next one; where those beside it have one that somebody wrote, it lacks that. Pure.

See: ip-sysctl (kernel documentation), accept_ra; net/ipv6/ndisc.c (ndisc_router_discovery).
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.routers import routers_for
from netprobe.model import Link
from netprobe.model.lookup import but, holding, where
from netprobe.predict import fixes, prefix
from netprobe.predict.routing import without_route


def candidates(loss: Loss) -> Iterator[Repair]:
    """The setting by which advertisements are heeded, tried with what a router beside would announce."""
    deaf = where((loss.stop,), code="ra-not-accepted")
    for link in where(loss.here.links, name=loss.stop.place.interface)[: len(deaf)]:
        heard = holding(
            loss.here.addresses_of(link, 6), flags="dynamic"
        )  # an advertisement's prefix, not for ever
        for router in where(routers_for(loss, loss.here.name, loss.goal), link=link):
            announced = fixes.ip(
                prefix.WHOLE[6], "route", "add", "default", "via", router.via, "dev", link.name
            )
            yield from loss.repair(loss.stop, Merit.restoring(heard), trial=(announced,))
            if writing := _writing(loss, link, router.via):
                stop = replace(without_route(loss.here, loss.goal), commands=(announced,))
                yield from loss.repair(stop, Merit.RESTORES, agreeing=writing)


def _writing(loss: Loss, link: Link, via: str) -> int:
    """How many of those beside an interface were given a default route by a router, which announced none."""
    known = [
        holding(where(loss.snapshot[name].routes, is_default=True, version=6), gateways=via)
        for name, _ in loss.others(loss.here.name, link)
    ]
    return sum(bool(but(each, protocol="ra")) for each in known)
