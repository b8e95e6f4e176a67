"""Two stations beside each other that have each other's addresses. Pure.

One of them has its own next hop: while it has an address, a kernel takes no route by way of that
(fib_check_nh).
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.segment import Station, is_network, own_addresses
from netprobe.model import InterfaceAddress, Object, Stage
from netprobe.model.command import inside
from netprobe.model.lookup import among, column, where
from netprobe.predict import fixes, prefix
from netprobe.predict.drop import lost


def candidates(loss: Loss) -> Iterator[Repair]:
    """The exchange of what the packet found at the last station with what a station beside has."""
    here = loss.here
    asked = {loss.goal, *column(loss.decisions, "via")}
    for own in filter(is_network, among(here.addresses, address=asked)):
        for link in where(here.links, index=own.index):
            for station in loss.others(here.name, link):
                yield from _with(loss, (here.name, link), own, station)


def _with(loss: Loss, here: Station, own: InterfaceAddress, there: Station) -> Iterator[Repair]:
    """Both addresses, each where the other one is, where one of the two stations has its own next hop."""
    beside = own_addresses(loss.snapshot[there[0]], there[1], own.version)
    for its in prefix.neighbours_of(own.address, beside):
        both = (here, own), (there, its)
        turned = [each for each in both if each[1].address in loss.snapshot[each[0][0]].gateways]
        for station, address in turned[:1]:
            text = (
                f"{own.address} is on {here[1].name} of {here[0]} and {its.address} on {there[1].name} of"
                f" {there[0]}: routes of {station[0]} lead by way of what is its own, as if it had the other"
            )
            fix = (*_instead(here, own, its), *_instead(there, its, own))
            thing = Object("address", f"{address.written} dev {station[1].name}", text)
            stop = lost("addr-duplicate", *station, Stage.ROUTE, text, object=thing, fix=fix)
            yield from loss.repair(stop, Merit.RESTORES)


def _instead(station: Station, old: InterfaceAddress, new: InterfaceAddress) -> fixes.Fix:
    name, link = station
    put = InterfaceAddress(link.index, new.address, old.prefixlen)
    return inside(name, (fixes.address("del", old, link), fixes.address("add", put, link)))
