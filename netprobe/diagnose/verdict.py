"""What a run says: the verdict, the leg that failed, and whether prediction and observation agree. Pure."""

from __future__ import annotations

import errno
from itertools import chain

from netprobe.errors import SHORT
from netprobe.model import (
    Agreement,
    Cause,
    End,
    Leg,
    Observation,
    Place,
    Protocol,
    Source,
    Stage,
    Verdict,
)
from netprobe.model.lookup import but, column, has, those_not_in, where
from netprobe.model.report import UNHEARD, UNSURE

from . import between
from .correlate import taken
from .evidence import Case, suspects_of
from .strangers import sent_by_another


def verdict_of(case: Case) -> Verdict:
    """What was seen says whether the probe passes; where nothing was sent, the configuration says it."""
    if not case.watched:
        return _predicted_verdict(case)
    answered = {*column(case.answers, "sequence")}
    if not answered:
        if _is_unsure(case):
            return Verdict.UNDETERMINED
        return Verdict.UNREACHABLE
    if len(answered) >= case.probe.count:
        if _all_refused(case):
            return Verdict.UNREACHABLE
        return Verdict.INTERMITTENT if answered - taken(case.answers) else Verdict.REACHABLE
    if _is_deaf(case) or case.of_kind(*UNHEARD):
        return Verdict.UNDETERMINED
    return Verdict.INTERMITTENT


def _is_unsure(case: Case) -> bool:
    """Whether silence may have another reason than a loss."""
    reasons = (_is_starved, _is_deaf, not_sent, _may_not_have_answered)
    return from_another(case) is None and any(reason(case) for reason in reasons)


def _is_starved(case: Case) -> bool:
    return bool(case.of_kind(*UNSURE))


def _may_not_have_answered(case: Case) -> bool:
    """Whether a datagram came to a program that says nothing, as far as anybody can tell."""
    if case.probe.protocol is not Protocol.UDP or case.errors:
        return False
    return case.foreseen is None and _delivered(case)


def _is_deaf(case: Case) -> bool:
    """Whether answers may have come that nobody heard: those of neighbours go to the kernel and to no socket,
    and the taps lost frames, or there was none at home.
    """
    no_tap = where(case.of_kind("blind"), source=Source.TAP, namespace=case.probe.source.namespace)
    return case.probe.protocol.on_segment and (_is_starved(case) or bool(no_tap))


def not_sent(case: Case) -> bool:
    """Whether none of the probes left, because netprobe itself lacked what it takes to send one."""
    refused = where(case.of_kind("refused"), error=None)
    return bool(refused) and all(map(is_short, refused)) and not case.of_kind("sent")


def is_short(refused: Observation) -> bool:
    """Whether it was not the network that refused.

    ENOBUFS is the network's: a full queue or neighbour table.
    """
    return refused.text in _SHORT


_SHORT = {errno.errorcode[code] for code in SHORT - {errno.ENOBUFS}}


def _predicted_verdict(case: Case) -> Verdict:
    """What the configuration alone says.

    What stands before the end and may have decided otherwise leaves the question open; a limit lets the first
    packets pass, and dice let some.
    """
    codes = _suspected(case)
    signs = (
        (case.is_unforeseen or "unknown" in codes, Verdict.UNDETERMINED),
        (case.foreseen, Verdict.UNREACHABLE),
        (codes - {RATE_LIMITED, RANDOM_DROP}, Verdict.UNDETERMINED),
        (RANDOM_DROP in codes, Verdict.INTERMITTENT),
        (True, Verdict.REACHABLE),
    )
    return next(verdict for holds, verdict in signs if holds)


RATE_LIMITED, RANDOM_DROP = "rate-limited", "random-drop"


def _suspected(case: Case) -> set[str]:
    """The codes of what may stop the packet besides the end; "unknown" where the way leads past rules that
    could not be read, so that the configuration said nothing for sure.
    """
    hops = chain.from_iterable(column(case.walks, "hops"))
    return {*column(suspects_of(hops), "code")}


def _all_refused(case: Case) -> bool:
    """Whether every answer said no: a TCP reset."""
    refuses = case.probe.protocol.refuses
    return all(o.text == "refused" or refuses(o.text) for o in case.answers)


def _delivered(case: Case) -> bool:
    """Whether the request was seen at the last tapped place of its predicted way, which ends in a
    delivery.
    """
    tapped = but(case.request, bound=None)
    return case.end in (End.DELIVER, End.EXIT) and has(tapped[-1:], observed=True)


def leg_of(case: Case, verdict: Verdict) -> Leg | None:
    """Which leg failed: the reply when the request was seen to arrive, the request when it was not."""
    if verdict is Verdict.REACHABLE:
        return None
    predicted = case.prediction.leg if case.prediction is not None else None
    if not case.watched:
        return predicted
    if _replied(case):
        return predicted or _leg_of_answer(case)
    if _delivered(case):
        return predicted or _leg_of_silence(case)
    return Leg.REQUEST


def _replied(case: Case) -> bool:
    """Whether anything of a reply was seen."""
    return has(case.reply, observed=True) or has(case.of_kind("seen"), leg=Leg.REPLY, error=None)


def _leg_of_silence(case: Case) -> Leg | None:
    """The leg that failed where the request was delivered, and nothing of a reply was seen: the request where
    something behind the last tap may have stopped it (the receiver's own rules); None where it left for good.
    """
    if suspects_of(case.not_seen(Leg.REQUEST)):
        return Leg.REQUEST
    return Leg.REPLY if case.end is End.DELIVER else None


def _leg_of_answer(case: Case) -> Leg:
    """The leg that failed where something of a reply was seen: the request where that is a reset in the name
    of the far end, made before the request got there: a rule's doing (nf_send_reset).
    """
    if not case.probe.protocol.can_refuse or not case.of_kind("answered"):
        return Leg.REPLY
    there, back = but(case.request, bound=None), but(case.reply, bound=None)
    far_end = (*there[-1:], *back[:1])
    on_the_way = has(there, observed=True) and len(where(far_end, observed=False)) == 2
    if on_the_way and _all_refused(case):
        return Leg.REQUEST
    return Leg.REPLY


def from_another(case: Case) -> Observation | None:
    """An answer that does not bear the address that was asked, as it came back or as it left the far end."""
    foreign = next(iter(those_not_in(case.of_kind("answered"), case.answers)), None)
    if foreign is not None or case.probe.protocol is not Protocol.UDP:
        return foreign
    return sent_by_another(case.request, case.observations)


def direction_of(case: Case, verdict: Verdict, cause: Cause | None) -> Leg | None:
    """The leg that the report names as the broken one, or None."""
    if verdict in (Verdict.REACHABLE, Verdict.INTERMITTENT):
        return None
    match cause:
        case Cause(code="filtered-by-cgroup", place=Place(stage=Stage.SOCKET)):
            return Leg.REQUEST  # it came as far as the socket's cgroup, and no further
    return case.leg


def agreement_of(case: Case, verdict: Verdict) -> Agreement:
    """How the prediction stands to what was seen."""
    if not case.watched:
        return Agreement.PREDICTED_ONLY
    if case.is_unforeseen or verdict is Verdict.UNDETERMINED:
        return Agreement.OBSERVED_ONLY
    expected = Verdict.UNREACHABLE if case.foreseen else Verdict.REACHABLE
    if case.by_chance and verdict is Verdict.INTERMITTENT:
        expected = verdict
    if verdict is expected and not _went_otherwise(case, verdict):
        return Agreement.CONFIRMED
    if _is_open(case):
        return Agreement.OBSERVED_ONLY
    return Agreement.DISAGREE


def _is_open(case: Case) -> bool:
    """Whether the prediction left open what was seen."""
    open_ends = (_left_for_good, _is_doubted, between.lost)
    return "unknown" in _suspected(case) or any(ends(case) for ends in open_ends)


def _went_otherwise(case: Case, verdict: Verdict) -> bool:
    """Whether the packet took another way than the predicted one, to the same end or to none."""
    if verdict is Verdict.REACHABLE and has((*case.request, *case.reply), observed=False):
        return True
    return never_arrived(case) or _set_out(case)


def never_arrived(case: Case) -> bool:
    """Whether the request was missed on its way, though the end that is predicted is of what happens at its
    destination: what the taps did not see did not happen.
    """
    arrives = case.prediction is not None and case.prediction.ending is not None
    return arrives and has(case.request, observed=True) and case.is_missed(Leg.REQUEST)


def _set_out(case: Case) -> bool:
    """Whether the request was seen, though the prediction ends before the first tap."""
    seen = where(case.request, observed=True)
    return bool(seen) and not has(seen, predicted=True)


def _is_doubted(case: Case) -> bool:
    """Whether the walk named something at the place of the loss that may stop a packet, though nobody can
    tell by reading it: a limit, a program. An answer was never foretold then.
    """
    return case.leg is not None and bool(case.suspects(case.leg))


def _left_for_good(case: Case) -> bool:
    """Whether the request went out of sight as predicted and no answer came in: what happens out there nobody
    predicts.
    """
    if case.end is not End.EXIT or has(case.request, observed=False):
        return False
    return not (has(case.reply, observed=True) and has(case.reply, observed=False))
