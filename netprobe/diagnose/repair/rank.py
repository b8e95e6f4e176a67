"""Which of several repairs stands first, by reasons that can be stated. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from netprobe.diagnose.since import Key, changed, key, nearness
from netprobe.model import Difference
from netprobe.model.lookup import where

from .repair import Loss, Merit, Repair, is_meant
from .voices import voices

_Thing = tuple[str | None, str, str]


def ranked(loss: Loss, repairs: tuple[Repair, ...]) -> tuple[Repair, ...]:
    """The repairs, the best first; of those that do the same the best one."""
    best: dict[object, Repair] = {}
    for repair in sorted(_near(loss, _renamed(repairs)), key=lambda repair: _key(loss, repair)):
        here = repair.stop.place.namespace
        done = tuple((command.namespace or here, command.words) for command in repair.stop.commands)
        best.setdefault(done, repair)
    return tuple(best.values())


def _renamed(repairs: tuple[Repair, ...]) -> tuple[Repair, ...]:
    """The repairs, those that only put something back called as another repair of the same object is."""
    usual = {each.stop.about: each.stop.code for each in where(reversed(repairs), put_back=False)}
    return tuple(_called(each, usual) for each in repairs)


def _called(repair: Repair, usual: dict[_Thing, str]) -> Repair:
    if not repair.put_back:
        return repair
    code = usual.get(repair.stop.about, repair.stop.code)
    return replace(repair, stop=replace(repair.stop, code=code))


def _near(loss: Loss, repairs: tuple[Repair, ...]) -> tuple[Repair, ...]:
    """The repairs with how each stands to what has changed since the probe passed; a detour stays one."""
    if loss.before is None:
        return repairs
    found = {key(each): each for each in changed(loss.before, loss.snapshot)}
    return tuple(_nearer(loss, found, each) if is_meant(each) else each for each in repairs)


def _nearer(loss: Loss, found: dict[Key, Difference], repair: Repair) -> Repair:
    return replace(repair, near=nearness(found, loss.snapshot, repair.mended))


def _key(loss: Loss, repair: Repair) -> tuple[int, ...]:
    """What counts, in this order: whether it has changed, what speaks for it, whether the walk named it,
    whether a word is left to the reader, who else names its addresses, how near it is, who agrees.
    """
    named = _is_named(loss, repair)
    return (
        repair.near,
        repair.merit,
        not named,
        repair.is_to_fill_in,
        -voices(loss, repair),
        _distance(loss, repair),
        -repair.agreeing,
        len(repair.stop.commands),
    )


def _distance(loss: Loss, repair: Repair) -> int:
    """0 in a namespace that the question names, 1 on the way, 2 at a far end that was not named, 3 beside the
    way.
    """
    name = repair.stop.place.namespace
    source, destination = loss.probe.source.namespace, loss.probe.destination
    if name in (source, destination.namespace):
        return 0
    if name not in loss.way:
        return 3
    return 2 if loss.snapshot[name].owner_of(loss.goal) else 1


def _is_named(loss: Loss, repair: Repair) -> bool:
    return (repair.stop.code, repair.stop.place) == (loss.stop.code, loss.stop.place)


_REASONS = {
    Merit.RESTORES: "restores what its neighbours, or its own purpose, ask for",
    Merit.UNDOES: "takes away what stops the packet",
    Merit.ADDS: "adds what is missing",
    Merit.GOES_AROUND: "leads around what stops the packet",
}


def reason(loss: Loss, first: Repair | None, other: Repair) -> str:
    """Why `other` comes second, in words."""
    if first is None:
        return f"it {_REASONS[other.merit]}"
    if other.near > first.near:
        return f"it {_REASONS[other.merit]}; the first has changed since the probe passed"
    if other.merit is not first.merit:
        return f"it {_REASONS[other.merit]}; the first {_REASONS[first.merit]}"
    if voices(loss, other) < voices(loss, first):
        return "fewer of the others name its addresses"
    if other.agreeing < first.agreeing:
        return "fewer others say the same"
    return "it would do as well"
