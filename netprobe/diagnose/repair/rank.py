"""Which of several repairs stands first, by reasons that can be stated. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from netprobe.diagnose.since import changed, key, nearness

from .repair import REASONS, Loss, Repair, is_meant


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
    usual = {_thing(each): each.stop.code for each in reversed(repairs) if not each.put_back}
    return tuple(_called(each, usual.get(_thing(each))) if each.put_back else each for each in repairs)


def _called(repair: Repair, code: str | None) -> Repair:
    return replace(repair, stop=replace(repair.stop, code=code or repair.stop.code))


def _thing(repair: Repair) -> tuple[str | None, str, str]:
    thing = repair.stop.thing
    return repair.stop.place.namespace, thing.kind, thing.id


def _near(loss: Loss, repairs: tuple[Repair, ...]) -> tuple[Repair, ...]:
    """The repairs with how each stands to what has changed since the probe passed; a detour stays one."""
    if loss.before is None:
        return repairs
    found = {key(each): each for each in changed(loss.before, loss.snapshot)}
    near = (nearness(found, loss.snapshot, each.mended) if is_meant(each) else each.near for each in repairs)
    return tuple(replace(each, near=how) for each, how in zip(repairs, near, strict=True))


def _key(loss: Loss, repair: Repair) -> tuple[int, ...]:
    """What counts, in this order: whether it has changed, what speaks for it, whether the walk named it,
    whether a word is left to the reader, how near it is, who agrees.
    """
    named = _is_named(loss, repair)
    return (
        repair.near,
        repair.merit,
        not named,
        any(command.blanks for command in repair.stop.commands),
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
    return 2 if loss.snapshot[name].owner_of(destination.address or "") is not None else 1


def _is_named(loss: Loss, repair: Repair) -> bool:
    return (repair.stop.code, repair.stop.place) == (loss.stop.code, loss.stop.place)


def reason(first: Repair | None, other: Repair) -> str:
    """Why `other` comes second, in words."""
    if first is None:
        return f"it {REASONS[other.merit]}"
    if other.near > first.near:
        return f"it {REASONS[other.merit]}; the first has changed since the probe passed"
    if other.merit is not first.merit:
        return f"it {REASONS[other.merit]}; the first {REASONS[first.merit]}"
    return "fewer others say the same" if other.agreeing < first.agreeing else "it would do as well"
