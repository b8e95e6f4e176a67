"""A repair tried: the probe walked over the snapshot with it, both ways. Pure."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from netprobe.model import Need, Probe
from netprobe.predict import prefix
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction

from .repair import Loss, Repair
from .segment import own_addresses


class Tried(Struct, frozen=True):
    """A repair, and what the probe would do with it."""

    repair: Repair
    outcome: Prediction


def tried(loss: Loss, repair: Repair) -> Tried | None:
    """What comes of a repair; None where that cannot be told of what was read, which is noted as a need."""
    outcome = _walked(loss, repair)
    if isinstance(outcome, Prediction):
        return Tried(repair, outcome)
    loss.needs.update(dict.fromkeys(outcome))
    return None


def _walked(loss: Loss, repair: Repair) -> Prediction | tuple[Need, ...]:
    """The probe as its source would send it then: it chooses its address anew where its own namespace
    changed.
    """
    return predict(repair.mended, _sent_anew(loss, repair), ask=False, rulings=loss.rulings)


def _sent_anew(loss: Loss, repair: Repair) -> Probe:
    """The probe then: a source that changed chooses its address anew, a destination may have got another
    one.
    """
    probe, name = loss.probe, loss.probe.source.namespace or ""
    before = loss.snapshot.namespaces.get(name)
    given = before is None or before.owner_of(probe.source.address or "") is None  # by the one who asks
    if repair.mended.namespaces.get(name) != before and not (given and probe.source.address):
        probe = replace(probe, source=replace(probe.source, address=None))
    moved = _moved(loss, repair)
    return replace(probe, destination=replace(probe.destination, address=moved)) if moved else probe


def _moved(loss: Loss, repair: Repair) -> str | None:
    """The address that the named destination has in the place of the one that was asked."""
    name, asked = loss.probe.destination.namespace or "", loss.probe.destination.address or ""
    before, after = loss.snapshot.namespaces.get(name), repair.mended.namespaces.get(name)
    link = before.owner_of(asked) if before is not None else None
    if after is None or link is None or after.owner_of(asked) is not None:
        return None
    return next((a.address for a in own_addresses(after, link, prefix.version(asked))), None)
