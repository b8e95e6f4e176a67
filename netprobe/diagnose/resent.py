"""The probe as it would be sent once something is mended. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from netprobe.model import Probe, Snapshot
from netprobe.predict import prefix

from .repair.segment import own_addresses


def resent(probe: Probe, before: Snapshot, after: Snapshot) -> Probe:
    """The probe then: a source that changed chooses its address anew, a destination may have got another
    one.
    """
    name, own = probe.source.namespace, probe.source.address
    given = own and before.at(name).owner_of(own) is None  # by the one who asks
    if after.get(name) != before.get(name) and not given:
        probe = replace(probe, source=replace(probe.source, address=None))
    moved = _moved(probe, before, after)
    if moved:
        return replace(probe, destination=replace(probe.destination, address=moved))
    return probe


def _moved(probe: Probe, before: Snapshot, after: Snapshot) -> str | None:
    """The address that the named destination has in the place of the one that was asked."""
    name, asked = probe.destination.namespace, probe.destination.address or ""
    link, there = before.at(name).owner_of(asked), after.at(name)
    if link is None or there.owner_of(asked) is not None:
        return None
    return next((a.address for a in own_addresses(there, link, prefix.version(asked))), None)
