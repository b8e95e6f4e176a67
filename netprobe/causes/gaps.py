"""The gap between the last place seen and the first place missed: what lies in it, where the configuration
shows no reason.
"""

from __future__ import annotations

from msgspec.structs import replace

from netprobe.diagnose import between
from netprobe.diagnose.evidence import Case
from netprobe.model import Leg, Stop
from netprobe.model.lookup import where


def suspected(case: Case) -> Case | None:
    """The case with what may drop the packet in the gap as its end; None when nothing does, or nobody
    watched.

    The packet was seen before the suspect - an XDP or tc program, a queueing discipline, a rule that netprobe
    cannot evaluate - and not behind it, and the model lets it pass everything else in between. Between two
    hosts it is the network there.
    """
    if not case.watched:
        return None
    leg = case.leg or Leg.REQUEST
    found = (*case.suspects(leg), *_misdirected(case, leg), between.lost(case))
    stop = next(filter(None, found), None)
    return None if stop is None else replace(case, stop=stop)


def _misdirected(case: Case, leg: Leg) -> tuple[Stop, ...]:
    """The neighbour entry that gave a frame a MAC which the interface it was last seen at does not have."""
    last = case.last_seen(leg)
    place = case.snapshot.link_at(last.place) if last is not None else None
    if last is None or place is None or last.flow.dst_mac in (None, place[1].mac):
        return ()
    return where(last.suspects, code="neigh-wrong-entry")
