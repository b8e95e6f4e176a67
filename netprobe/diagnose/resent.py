"""The probe as it would be sent once something is mended. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from netprobe.model import Namespace, Probe, RouteQuery, Snapshot
from netprobe.model.lookup import column
from netprobe.predict import fib, prefix

from .repair.segment import own_addresses


def resent(probe: Probe, before: Snapshot, after: Snapshot) -> Probe:
    """The probe then: a source that changed chooses its address anew, a destination may have got another
    one.
    """
    name = probe.source.namespace
    if after.get(name) != before.get(name) and not _is_given(probe, before.at(name), after.at(name)):
        probe = replace(probe, source=replace(probe.source, address=None))
    moved = _moved(probe, before, after)
    if moved:
        return replace(probe, destination=replace(probe.destination, address=moved))
    return probe


def _is_given(probe: Probe, before: Namespace, after: Namespace) -> bool:
    """Whether who asks has said what to send from: nobody's address there, if not a route's that is left of
    one, or another one of IPv4 than is chosen; one that is gone is chosen anew all the same.
    """
    own, asked = probe.source.address, probe.destination.address or "0.0.0.0"
    decision = fib.lookup(before, RouteQuery(None, asked, mark=probe.mark, uid=probe.uid))
    if own in (None, fib.source_for(before, decision, asked)):
        return False
    by_route = decision.route is not None and prefix.version(asked) == 4
    return before.owner_of(own) is None or (by_route and after.owner_of(own) is not None)


def _moved(probe: Probe, before: Snapshot, after: Snapshot) -> str | None:
    """The address that the named destination has in the place of the one that was asked."""
    name, asked = probe.destination.namespace, probe.destination.address or ""
    link, there = before.at(name).owner_of(asked), after.at(name)
    if link is None or there.owner_of(asked) is not None:
        return None
    return next(column(own_addresses(there, link, prefix.version(asked)), "address"), None)
