"""When enough was seen: the decision to stop waiting, made from the prediction and what has come in. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from netprobe.model import End, Observation, Probe
from netprobe.predict.prediction import Prediction

# After the last send, in ns: how long a refusal, or a loss that was predicted, must stay unchallenged to be
# believed.
_QUIET = 120_000_000
_REFUSED = 30_000_000
_RIVALS = 15_000_000  # after the last question, for another station that answers as well: macvlan is slower

Settled = Callable[[Sequence[Observation], int], bool]


def settled(probe: Probe, prediction: Prediction | None) -> Settled:
    """A function of the observations so far and the ns since the last send:

    True when more waiting changes nothing.
    """
    certain = prediction is not None and prediction.stop is not None and _final(prediction)

    def decide(observations: Sequence[Observation], quiet_ns: int) -> bool:
        answered = {o.sequence for o in observations if o.kind == "answered" and probe.takes(o.flow)}
        refused = {o.sequence for o in observations if o.kind == "refused" or o.error is not None}
        if len(answered) >= probe.count:
            return quiet_ns >= _RIVALS or not probe.protocol.on_segment
        if len(answered | refused) >= probe.count:
            return quiet_ns >= _REFUSED
        return certain and quiet_ns >= _QUIET

    return decide


def _final(prediction: Prediction) -> bool:
    """Whether the predicted end is a plain no of the configuration, which time does not change."""
    return all(walk.end is not End.UNDETERMINED for walk in prediction.walks)
