"""When enough was seen: the decision to stop waiting, made from the prediction and what has come in. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from netprobe.model import End, Observation, Probe
from netprobe.model.lookup import but, column, has, where
from netprobe.predict.prediction import Prediction

from .correlate import answers

# After the last send, in ns: how long a refusal, or a loss that was predicted, must stay unchallenged to be
# believed.
_QUIET = 120_000_000
_REFUSED = 30_000_000
_RIVALS = 15_000_000  # after the last question, for another station that answers as well: macvlan is slower

_NEVER = 1 << 62

Settled = Callable[[Sequence[Observation], int], bool]


def settled(probe: Probe, prediction: Prediction | None) -> Settled:
    """A function of the observations so far and the ns since the last send:

    True when more waiting changes nothing.
    """
    certain = prediction is not None and prediction.stop is not None and _final(prediction)
    loss = _QUIET if certain else _NEVER
    answer = _RIVALS if probe.protocol.on_segment else 0

    def decide(observations: Sequence[Observation], quiet_ns: int) -> bool:
        answered = {*column(answers(probe, observations), "sequence")}
        ends = (*where(observations, kind="refused"), *but(observations, error=None))
        refused = {*column(ends, "sequence")}
        if len(answered | refused) < probe.count:
            return quiet_ns >= loss
        return quiet_ns >= (_REFUSED if len(answered) < probe.count else answer)

    return decide


def _final(prediction: Prediction) -> bool:
    """Whether the predicted end is a plain no of the configuration, which time does not change."""
    return not has(prediction.walks, end=End.UNDETERMINED)
