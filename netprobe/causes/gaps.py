"""Causes read off the gap between the last place seen and the first place missed, where the configuration shows no reason."""

from __future__ import annotations

from netprobe.model import Cause, Confidence, Leg, Place, Stage
from netprobe.path.case import Case, source_place, where


def suspected(case: Case) -> Cause | None:
    """The packet is lost exactly where something lies that may drop it, and nothing else there explains the loss.

    What: an XDP or tc program, a queueing discipline, or a rule that netprobe cannot evaluate stands on the way.
    How we know: the packet was seen before it and not behind it, and the model lets it pass everything else in between.
    Fix: the suspect's own.
    """
    if not case.watched:
        return None
    found = case.suspects(case.leg or Leg.REQUEST)
    return case.cause(found[0]) if found else None


def unknown(case: Case) -> Cause | None:
    """The packet is lost between two places and nothing that could be read says why.

    What: the prediction lets the packet through, the taps saw it vanish.
    How we know: it was seen at one place and not at the next.
    Fix: none named; the report says what was looked at and what could not be.
    """
    leg = case.leg or Leg.REQUEST
    last, missed = case.last_seen(leg), case.first_missed(leg)
    if last is None and missed is None:
        place, text = source_place(case), "the probe was seen nowhere"
    elif missed is None:
        assert last is not None
        place, text = Place(last.namespace, last.interface, last.stage), f"the {leg} was last seen at {where(last)}"
    else:
        before = f"after {where(last)}" if last else "at the sender"
        place, text = (
            Place(missed.namespace, missed.interface, missed.stage or Stage.OUTPUT),
            f"the {leg} was lost {before}, before {where(missed)}",
        )
    return Cause("unknown", place, text, evidence=case.witnesses(), confidence=Confidence.UNKNOWN)


CAUSES = (suspected, unknown)
