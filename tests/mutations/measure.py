"""Many trials, some at a time, and what they add up to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from statistics import median
from typing import Literal, TypeVar

from faults.workshop import Workshop
from identities import Identity
from mutations.draw import draw
from mutations.trial import Trial, Void, attempt, breaks

from netprobe.errors import CannotLook

What = Literal["single", "double", "arp"]
"""One change; two, each of which breaks the flow; one, and who has the address is asked by ARP."""

_ATTEMPTS = 40
NOTHING = ("", "unknown")


@dataclass(frozen=True)
class Lost:
    """A trial that did not come about."""

    index: int
    reason: str


def trials(
    indices: Sequence[int], seed: int, privilege: str, user: Identity, jobs: int = 1, what: What = "single"
) -> Iterator[Trial | Lost]:
    """The trials of these indices, in their order, `jobs` of them side by side."""
    return side_by_side(indices, privilege, user, jobs, lambda shop, index: perform(shop, index, seed, what))


Row = TypeVar("Row")


def side_by_side(indices: Sequence[int], privilege: str, user: Identity, jobs: int, work: Callable[[Workshop, int], Row]) -> Iterator[Row]:
    """What `work` makes of each index, in their order, `jobs` of them at a time, each in a workshop of its own."""
    idle: SimpleQueue[Workshop] = SimpleQueue()
    shops = [Workshop(privilege, user) for _ in range(jobs)]
    for shop in shops:
        idle.put(shop)

    def one(index: int) -> Row:
        shop = idle.get()
        try:
            return work(shop, index)
        finally:
            idle.put(shop)

    try:
        with ThreadPoolExecutor(jobs) as pool:
            yield from pool.map(one, indices)
    finally:
        for shop in shops:
            shop.__exit__()


def perform(shop: Workshop, index: int, seed: int, what: What = "single", verbose: bool = False) -> Trial | Lost:
    """One trial: attempts, each in a world of its own, until one comes to something."""
    reasons = Counter[str]()
    for number in range(_ATTEMPTS):
        try:
            outcome = _KINDS[what](shop, index, seed, number, verbose)
        except CannotLook as error:  # this kernel cannot have that network
            outcome = Void(f"no network: {error}")
        except RuntimeError as error:
            return Lost(index, str(error))
        if isinstance(outcome, Trial):
            return outcome
        reasons[outcome.reason.partition(":")[0]] += 1
    return Lost(index, f"nothing in {_ATTEMPTS} attempts: {dict(reasons)}")


def _single(shop: Workshop, index: int, seed: int, number: int, verbose: bool) -> Trial | Void:
    return shop.perform(attempt, [draw(seed, index, number)], None, verbose)


def _double(shop: Workshop, index: int, seed: int, number: int, verbose: bool) -> Trial | Void:
    """Two changes, each of which breaks the asked flow by itself."""
    draws = [draw(seed, index, number, which, quiet=False) for which in (1, 2)]
    if draws[0].setting != draws[1].setting:
        return Void("two networks")  # what one of them changes is not in that of the other
    common: set[object] | None = None
    for each in draws:
        seen = shop.perform(breaks, each)
        common = set(seen.broken) if common is None else common & set(seen.broken)
        if not common:
            return Void("no flow that both break")
    return shop.perform(attempt, draws, sorted(common or (), key=str), verbose)


def _by_arp(shop: Workshop, index: int, seed: int, number: int, verbose: bool) -> Trial | Void:
    return shop.perform(attempt, [draw(seed, index, number, arp=True)], None, verbose)


_KINDS = {"single": _single, "double": _double, "arp": _by_arp}

# --- what they add up to


def outcome(trial: Trial) -> str:
    """In one word: named, listed, another repair, a consequence, unknown, missed, misleading; where nothing broke: quiet or wolf.

    "crashed": there was no report.
    """
    if trial.verdict.startswith("exit "):
        return "crashed"
    if trial.quiet:
        return "quiet" if trial.verdict == "reachable" else "wolf"
    if trial.verdict == "reachable":
        return "missed"
    if any(trial.named):
        return "named"
    if any(trial.listed):
        return "listed"
    if trial.code in NOTHING:
        return "unknown"
    if trial.mended or _one_of_two(trial):
        return "another repair"
    followed = trial.repair in ("done", "refused")
    return "consequence" if trial.consequence and not followed else "misleading"


def _one_of_two(trial: Trial) -> bool:
    """Of two changes none mends alone: whether what went with one was named, an address that a renamed interface lost, and all mended."""
    return len(trial.kinds) > 1 and trial.rounds > 0 and any(trial.along)


def agrees(trial: Trial) -> bool:
    """Whether `why` said what the wire says."""
    return trial.why == ("reachable" if trial.quiet else "unreachable")


def summary(outcomes: Iterable[Trial | Lost]) -> Iterator[str]:
    """The table, as text."""
    yield from (f"{subject:52} {value}" for subject, value in rows_of(outcomes))


def rows_of(outcomes: Iterable[Trial | Lost]) -> list[tuple[str, str]]:
    """What the trials of one change add up to."""
    done = [each for each in outcomes if isinstance(each, Trial)]
    broken, quiet = ([each for each in done if each.quiet is wanted] for wanted in (False, True))
    counts = Counter(map(outcome, done))
    knowing = [each for each in broken if each.repair in ("done", "refused")]
    mended = [each for each in broken if each.mended]
    whole = [each for each in mended if not each.harmed]
    rows: list[tuple[str, str]] = [
        ("trials in which something broke", str(len(broken))),
        ("changed object named first", _share(counts["named"], broken)),
        ("... or listed", _share(counts["listed"], broken)),
        ("another repair named, which mends", _share(counts["another repair"], broken)),
        ("what went with it named, the fix left to the reader", _share(counts["consequence"], broken)),
        ("unknown", _share(counts["unknown"], broken)),
        ("misleading", _share(counts["misleading"], broken)),
        ("no report", _share(counts["crashed"], done)),
        ("called reachable", _share(counts["missed"], broken)),
        ("mended by the first fix as printed, of all", _share(len(mended), broken)),
        ("... of those that need no knowledge of the reader", _share(len([each for each in mended if each in knowing]), knowing)),
        ("... and everything else that worked works again", _share(len(whole), broken)),
        ("first fixes that broke what had worked on", str(sum(bool(each.hurt) for each in broken))),
        ("mended after at most five fixes", _share(sum(each.rounds > 0 for each in broken), broken)),
        ("`why` agrees with the wire", _share(sum(map(agrees, done)), done)),
        ("trials in which nothing broke", str(len(quiet))),
        ("cries of wolf", str(counts["wolf"])),
    ]
    if wrapped := sum(each.wrapped for each in broken):
        rows.append(("fixes that did not say in the line where to run", str(wrapped)))
    if done:
        rows.append(("seconds, median and worst", f"{median(e.seconds for e in done):.2f} s, {max(e.seconds for e in done):.2f} s"))
    return rows


def summary_of_doubles(outcomes: Iterable[Trial | Lost]) -> Iterator[str]:
    """The table for two changes at once, as text."""
    yield from (f"{subject:52} {value}" for subject, value in rows_of_doubles(outcomes))


def rows_of_doubles(outcomes: Iterable[Trial | Lost]) -> list[tuple[str, str]]:
    """What the trials of two changes add up to."""
    done = [each for each in outcomes if isinstance(each, Trial)]
    return [
        ("two changes, each of which breaks the flow", str(len(done))),
        ("one of them named first", _share(sum(any(each.named) for each in done), done)),
        ("both named or listed at once", _share(sum(_both_found(each) for each in done), done)),
        ("both named, now or after the fixes before", _share(sum(_both_met(each) for each in done), done)),
        ("... or what went with one of them, and it was mended", _share(sum(_both_mended(each) for each in done), done)),
        ("mended after at most five fixes", _share(sum(each.rounds > 0 for each in done), done)),
    ]


def _both_found(trial: Trial) -> bool:
    return all(named or listed for named, listed in zip(trial.named, trial.listed, strict=True))


def _both_met(trial: Trial) -> bool:
    return all(now or later for now, later in zip(trial.met, trial.listed, strict=True))


def _both_mended(trial: Trial) -> bool:
    """Whether both were met; or it works, and what went with those that were not met was: its address took a route along."""
    each = zip(trial.met, trial.listed, trial.along, strict=True)
    return _both_met(trial) or (trial.rounds > 0 and all(now or later or along for now, later, along in each))


def misses(outcomes: Iterable[Trial | Lost]) -> Iterator[str]:
    """What was not right, grouped by the kind of change and the cause that was said."""
    groups: dict[tuple[str, str, str], list[Trial]] = {}
    for each in outcomes:
        if isinstance(each, Lost):
            yield f"lost {each.index}: {each.reason}"
            continue
        if problem := _problem(each):
            groups.setdefault((problem, " + ".join(each.kinds), each.code or each.verdict.partition("\n")[0]), []).append(each)
    for (problem, kind, code), members in sorted(groups.items(), key=lambda item: (item[0][0], -len(item[1]), item[0])):
        yield f"{problem}: {kind} -> {code or 'nothing'} ({len(members)})"
        yield from (
            f"    {each.draw_text}  [{each.network}] {' '.join('; '.join(each.mutations).split())} | {each.asked} | {each.thing}"
            for each in members
        )


def _problem(trial: Trial) -> str:
    """What a person would have against it; the worst that there is."""
    word = outcome(trial)
    if len(trial.kinds) > 1 and word in ("named", "listed", "another repair"):
        return "" if trial.rounds and _both_met(trial) else f"of two: {'both' if _both_met(trial) else 'one'} found, {_mended(trial)}"
    if word in ("quiet", "named"):
        if not trial.quiet and trial.repair in ("done", "refused") and not trial.mended:
            return f"named, but its fix {'was refused' if trial.repair == 'refused' else 'helped not'}"
        if trial.hurt:
            return "mended, but the fix broke something"
        if trial.harmed:
            return "mended, but something else stays broken"
        return "" if agrees(trial) else f"why says {trial.why}"
    return word


def _mended(trial: Trial) -> str:
    return f"mended after {trial.rounds}" if trial.rounds else f"not mended ({trial.repair})"


def _share(part: int, whole: Sequence[object]) -> str:
    return f"{part} of {len(whole)}" + (f" ({part / len(whole):.0%})" if whole else "")
