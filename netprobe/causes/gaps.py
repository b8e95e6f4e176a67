"""The gap between the last place seen and the first place missed: what lies in it, where the configuration
shows no reason.
"""

from __future__ import annotations

from msgspec.structs import replace

from netprobe.diagnose.evidence import Case
from netprobe.model import Leg


def suspected(case: Case) -> Case | None:
    """The case with what may drop the packet in the gap as its end; None when nothing does, or nobody
    watched.

    The packet was seen before the suspect - an XDP or tc program, a queueing discipline, a rule that netprobe
    cannot evaluate - and not behind it, and the model lets it pass everything else in between.
    """
    found = case.suspects(case.leg or Leg.REQUEST) if case.watched else ()
    return replace(case, stop=found[0]) if found else None
