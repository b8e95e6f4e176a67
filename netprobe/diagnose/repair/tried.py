"""A repair tried: the probe walked over the snapshot with it, both ways. Pure."""

from __future__ import annotations

from msgspec import Struct

from netprobe.diagnose.resent import resent
from netprobe.model import Need
from netprobe.predict.dice import fates
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction

from .repair import Loss, Repair


class Tried(Struct, frozen=True):
    """A repair, and what the probe would do with it."""

    repair: Repair
    outcome: Prediction


def tried(loss: Loss, repair: Repair) -> Tried | None:
    """What comes of a repair; None where that cannot be told of what was read, which is noted as a need, or
    nothing more is to be tried.
    """
    if loss.patience.is_over():
        return None
    outcome = _walked(loss, repair)
    if isinstance(outcome, Prediction):
        return Tried(repair, _unluckiest(loss, repair, outcome))
    loss.needs.update(dict.fromkeys(outcome))
    return None


def _unluckiest(loss: Loss, repair: Repair, outcome: Prediction) -> Prediction:
    """The same, or what comes of it where dice fall so that the packet is lost as before: what mends by
    chance alone mends nothing.
    """
    again = (loss.stop.code, loss.stop.place, loss.stop.object)
    for faring in fates(repair.mended, outcome) if outcome.stop is None else ():
        stop = faring.prediction.stop
        if stop is not None and (stop.code, stop.place, stop.object) == again:
            return faring.prediction
    return outcome


def _walked(loss: Loss, repair: Repair) -> Prediction | tuple[Need, ...]:
    """The probe as its source would send it then: it chooses its address anew where its own namespace
    changed.
    """
    return predict(
        repair.mended, resent(loss.probe, loss.snapshot, repair.mended), ask=False, rulings=loss.rulings
    )
