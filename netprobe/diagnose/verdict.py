"""What a run says: the verdict, the leg that failed, and whether prediction and observation agree. Pure."""

from __future__ import annotations

import errno

from netprobe.errors import SHORT
from netprobe.model import (
    Agreement,
    Cause,
    End,
    Leg,
    Observation,
    Protocol,
    Source,
    Stage,
    Verdict,
)
from netprobe.predict.prediction import Prediction

from .evidence import Case
from .strangers import sent_by_another


def verdict_of(case: Case) -> Verdict:
    """What was seen says whether the probe passes; where nothing was sent, the configuration says it."""
    if not case.watched:
        return _predicted_verdict(case.prediction)
    answers = {o.sequence for o in case.of_kind("answered") if case.probe.takes(o.flow)}
    if len(answers) >= case.probe.count:
        return Verdict.UNREACHABLE if _all_refused(case) else Verdict.REACHABLE
    starved = bool(case.of_kind("starved"))
    deaf = _hears_by_taps_alone(case) and (starved or _has_no_tap_at_home(case))
    if answers:
        deaf = deaf or bool(case.of_kind("unheard"))
        return Verdict.UNDETERMINED if deaf else Verdict.INTERMITTENT
    if from_another(case) is not None:
        return Verdict.UNREACHABLE
    if starved or deaf or not_sent(case):
        return Verdict.UNDETERMINED
    if (
        case.probe.protocol is Protocol.UDP
        and _delivered(case)
        and not case.errors
        and (case.prediction is None or case.prediction.stop is None)
    ):
        return Verdict.UNDETERMINED
    return Verdict.UNREACHABLE


def _hears_by_taps_alone(case: Case) -> bool:
    """Whether no socket hears the answers: those of neighbours go to the kernel."""
    return case.probe.protocol.on_segment


def _has_no_tap_at_home(case: Case) -> bool:
    return any(
        (o.kind, o.source, o.namespace) == ("blind", Source.TAP, case.probe.source.namespace)
        for o in case.observations
    )


def not_sent(case: Case) -> bool:
    """Whether none of the probes left, because netprobe itself lacked what it takes to send one."""
    refused = [o for o in case.of_kind("refused") if o.error is None]
    return bool(refused) and all(is_short(o) for o in refused) and not case.of_kind("sent")


def is_short(refused: Observation) -> bool:
    """Whether it was not the network that refused.

    ENOBUFS is the network's: a full queue or neighbour table.
    """
    return refused.text in _SHORT


_SHORT = {errno.errorcode[code] for code in SHORT - {errno.ENOBUFS}}


def _predicted_verdict(prediction: Prediction | None) -> Verdict:
    """What the configuration alone says.

    What stands before the end and may have decided otherwise leaves the question open; a limit lets the first
    packets pass, and dice let some.
    """
    if prediction is None:
        return Verdict.UNDETERMINED
    walks = prediction.walks
    if _unread(prediction) or any(walk.end is End.UNDETERMINED for walk in walks):
        return Verdict.UNDETERMINED
    if prediction.stop is not None:
        return Verdict.UNREACHABLE
    codes = {suspect.code for walk in walks for hop in walk.hops for suspect in hop.suspects}
    if codes - {RATE_LIMITED, RANDOM_DROP}:
        return Verdict.UNDETERMINED
    return Verdict.INTERMITTENT if RANDOM_DROP in codes else Verdict.REACHABLE


RATE_LIMITED, RANDOM_DROP = "rate-limited", "random-drop"


def _unread(prediction: Prediction) -> bool:
    """Whether the way leads past rules that could not be read, so that the configuration said nothing for
    sure.
    """
    walks = prediction.walks
    return any(suspect.code == "unknown" for walk in walks for hop in walk.hops for suspect in hop.suspects)


def _all_refused(case: Case) -> bool:
    """Whether every answer was a TCP reset."""
    answers = (o for o in case.of_kind("answered") if case.probe.takes(o.flow))
    return all(o.text == "refused" or "RST" in o.text.split() for o in answers)


def _delivered(case: Case) -> bool:
    """Whether the request was seen at the last tapped place of its predicted way, which ends in a
    delivery.
    """
    tapped = [hop for hop in case.request if hop.bound]
    ends = case.prediction is not None and case.prediction.request.end in (End.DELIVER, End.EXIT)
    return bool(tapped) and tapped[-1].observed is True and ends


def leg_of(case: Case, verdict: Verdict) -> Leg | None:
    """Which leg failed: the reply when the request was seen to arrive, the request when it was not."""
    if verdict is Verdict.REACHABLE:
        return None
    predicted = case.prediction.leg if case.prediction else None
    if not case.watched:
        return predicted
    if predicted is None and _answered_on_the_way(case):
        return Leg.REQUEST
    if any(hop.observed for hop in case.reply) or any(
        o.leg is Leg.REPLY and o.error is None for o in case.of_kind("seen")
    ):
        return Leg.REPLY if predicted is not Leg.REQUEST else predicted
    if _delivered(case):
        if predicted is None and _doubted(case):
            return Leg.REQUEST
        return predicted or (
            Leg.REPLY if case.prediction and case.prediction.request.end is End.DELIVER else None
        )
    return Leg.REQUEST


def _answered_on_the_way(case: Case) -> bool:
    """Whether a reset in the name of the far end was made before the request got there: a rule's doing
    (nf_send_reset).
    """
    there = [hop.observed for hop in case.request if hop.bound]
    back = [hop.observed for hop in case.reply if hop.bound]
    short = True in there and there[-1] is False and back[:1] == [False]
    refused = bool(case.of_kind("answered")) and _all_refused(case)
    return case.probe.protocol is Protocol.TCP and short and refused


def _doubted(case: Case) -> bool:
    """Whether something behind the last tap may have stopped the request: the receiver's own rules, seen by
    nobody.
    """
    hops = case.request
    last = max((n for n, hop in enumerate(hops) if hop.observed), default=-1)
    return any(hop.suspects for hop in hops[last + 1 :])


def from_another(case: Case) -> Observation | None:
    """An answer that does not bear the address that was asked, as it came back or as it left the far end."""
    answered = (o for o in case.of_kind("answered") if not case.probe.takes(o.flow))
    return next(answered, None) or (
        sent_by_another(case.request, case.observations) if case.probe.protocol is Protocol.UDP else None
    )


def direction_of(case: Case, verdict: Verdict, cause: Cause | None) -> Leg | None:
    """The leg that the report names as the broken one, or None."""
    if verdict in (Verdict.REACHABLE, Verdict.INTERMITTENT):
        return None
    if cause is not None and cause.code == "filtered-by-cgroup" and cause.place.stage is Stage.SOCKET:
        return Leg.REQUEST  # it came as far as the socket's cgroup, and no further
    return case.leg


def agreement_of(case: Case, verdict: Verdict) -> Agreement:
    """How the prediction stands to what was seen."""
    if not case.watched:
        return Agreement.PREDICTED_ONLY
    if case.prediction is None or any(w.end is End.UNDETERMINED for w in case.prediction.walks):
        return Agreement.OBSERVED_ONLY
    expected = Verdict.REACHABLE if case.prediction.stop is None else Verdict.UNREACHABLE
    missed = any(hop.observed is False for hop in (*case.request, *case.reply))
    if verdict is Verdict.UNDETERMINED:
        return Agreement.OBSERVED_ONLY
    if verdict is not expected or (verdict is Verdict.REACHABLE and missed) or never_arrived(case):
        unsure = _unread(case.prediction) or _left_for_good(case) or _is_doubted(case)
        return Agreement.OBSERVED_ONLY if unsure else Agreement.DISAGREE
    return Agreement.CONFIRMED


def never_arrived(case: Case) -> bool:
    """Whether the request was missed on its way, though the end that is predicted is of what happens at its
    destination, or to the answer: what the taps did not see did not happen.
    """
    if case.prediction is None or case.prediction.stop is None:
        return False
    arrived = case.prediction.ending is not None or case.prediction.leg is Leg.REPLY
    return arrived and case.first_missed(Leg.REQUEST) is not None


def _is_doubted(case: Case) -> bool:
    """Whether the walk named something at the place of the loss that may stop a packet, though nobody can
    tell by reading it: a limit, a program. An answer was never foretold then.
    """
    return case.leg is not None and bool(case.suspects(case.leg))


def _left_for_good(case: Case) -> bool:
    """Whether the request went out of sight as predicted and no answer came in: what happens out there nobody
    predicts.
    """
    assert case.prediction is not None
    left = case.prediction.request.end is End.EXIT and all(hop.observed is not False for hop in case.request)
    return left and (
        not any(hop.observed for hop in case.reply) or all(hop.observed is not False for hop in case.reply)
    )
