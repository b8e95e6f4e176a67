"""One trial: a world with a network that works, one object changed, netprobe asked, its fix followed, and everything tried again.

The functions here run inside a private world of their own; what they give goes back by pickle.
"""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from typing import Any

from faults.experiment import make
from live.asking import run as run_netprobe
from mutations.draw import Draw
from mutations.flows import Flow, can_be_asked, working
from mutations.mutation import Identity, Mutation, known
from mutations.repair import Repair, follow
from mutations.restoring import restore
from mutations.settings import Setting
from mutations.sight import differences, look

from netprobe.errors import NetprobeError
from netprobe.lab import commands
from netprobe.lab.namespaces import HOST

_ROUNDS = 5
_PATIENCE = 60  # seconds for a trial


@dataclass(frozen=True)
class Round:
    """One question and what was done about the answer."""

    verdict: str
    cause: dict[str, Any]
    repair: Repair
    mended: bool


@dataclass(frozen=True)
class Trial:
    """What came out of one trial. `named` and the like are about each of the changed objects."""

    draw_text: str
    family: str
    network: str
    warm: bool
    quiet: bool
    mutations: tuple[str, ...]
    kinds: tuple[str, ...]
    asked: str
    verdict: str
    code: str
    thing: str
    why: str
    named: tuple[bool, ...]
    listed: tuple[bool, ...]
    met: tuple[bool, ...]
    """Whether each was the first cause after some of the fixes, one after the other."""
    along: tuple[bool, ...]
    """Whether the first cause after some of the fixes was what went with each: a route of a lost address."""
    consequence: bool
    """Whether what is named was there before, and went with the changed object: a route of a lost address, an address of a small link."""
    repair: str
    wrapped: bool
    mended: bool
    rounds: int
    """After how many fixes, one after the other, it worked; 0: never."""
    harmed: tuple[str, ...]
    """What worked before the change, and does not although the asked flow was mended."""
    hurt: tuple[str, ...]
    """What of that the fix broke: it worked with the change."""
    seconds: float
    why_seconds: float
    log: str = field(repr=False)


@dataclass(frozen=True)
class Void:
    """An attempt that came to nothing, and why."""

    reason: str
    broken: tuple[Flow, ...] = ()


class Overdue(BaseException):
    """A trial took too long. No Exception: nobody may catch it on the way."""


def attempt(draws: Sequence[Draw], among: Sequence[Flow] | None = None, verbose: bool = False) -> Trial | Void:
    """Make the world, change it, ask for one of the broken flows by chance (`among` these). `verbose`: the log holds the printed report."""
    with limited():
        return _attempt(draws, among, verbose)


def breaks(draw: Draw) -> Void:
    """Which flows the change of a draw breaks by itself, in the state in which it is asked about: what goes with what was learned
    would break nothing there.
    """
    with limited():
        log: list[str] = []
        changed = _changed([draw], log)
        if isinstance(changed, Void):
            return changed
        flush(draw.setting, draw.warm or any(mutation.warm for mutation in changed[0]))
        state = working(draw.setting.flows)
        return Void("looked", tuple(flow for flow, number in state.items() if number == 0))


def undone(draw: Draw) -> tuple[str, list[str], list[str]] | None:
    """A change and its undoing: what it was, what is still different, what does not work again. None where nothing was changed."""
    with limited():
        make_setting(draw.setting)
        working(draw.setting.flows)
        sight = look(draw.setting.spaces)
        before = sight.digest()
        mutation = draw.mutation(sight)
        if mutation is None or not _applied(mutation):
            return None
        mutation.take_back()
        left = restore(sight, before)
        flush(draw.setting, warm=False)
        state = working(draw.setting.flows, 3)
        return str(mutation), left, [str(flow) for flow, number in state.items() if number == 0]


def _applied(mutation: Mutation) -> bool:
    with suppress(NetprobeError, OSError):
        mutation.apply()
        return True
    return False


def _attempt(draws: Sequence[Draw], among: Sequence[Flow] | None, verbose: bool) -> Trial | Void:
    first, log = draws[0], list[str]()
    setting, quiet = first.setting, first.quiet
    made = _changed(draws, log)
    if isinstance(made, Void):
        return made
    changed, lost = made
    warm = first.warm or any(mutation.warm for mutation in changed)
    flush(setting, warm)
    state = working(setting.flows)
    broken = tuple(flow for flow, number in state.items() if number == 0)
    if quiet is bool(broken):
        return Void("broke something" if broken else "broke nothing", broken)
    if any(number > 1 for number in state.values()):
        return Void("comes and goes", broken)
    candidates = [flow for flow in broken or setting.flows if can_be_asked(flow) and (among is None or flow in among)]
    if not candidates:
        return Void("nobody can be asked", broken)
    asked = Random(f"{first.seed}/{first.index}/asked").choice(candidates)
    log += ["", "broken: " + ", ".join(map(str, broken)), f"asked: {asked}   ({'warm' if warm else 'flushed'})"]
    flush(setting, warm)
    return _judged(first, changed, lost, asked, warm, log, verbose, broken)


def _judged(
    draw: Draw,
    changed: Sequence[Mutation],
    lost: Sequence[Sequence[Identity]],
    asked: Flow,
    warm: bool,
    log: list[str],
    verbose: bool,
    broken: Sequence[Flow],
) -> Trial | Void:
    why, why_seconds = ask(asked.question("why"))
    report, seconds = ask((*asked.question("trace"), "--captures", "none"))
    log += ["", f"why: {why['verdict']}", f"trace: {report['verdict']} after {seconds:.2f} s"]
    log += [text_of(asked)] if verbose else []
    if draw.quiet is not bool(working([asked], 1)[asked]):
        # a station asked again, a table aged: no answer about it would be right or wrong; or one flow had taught
        # neighbours to another, and is not there when that one is asked alone
        return Void("breaks when it is asked alone" if draw.quiet else "mends by itself")
    cause = (report["causes"] or [{}])[0]
    others = [*report["causes"][1:], *report.get("blockers", []), *report.get("alternatives", [])]
    others += [each["because"] for each in report["causes"] if each.get("because")]
    rounds = [] if draw.quiet else list(_mending(report, asked, log))
    mended = bool(rounds) and rounds[0].mended
    worked = working(draw.setting.flows, 3) if mended else {}
    harmed = tuple(flow for flow, number in worked.items() if number == 0)
    hurt = tuple(flow for flow in harmed if flow not in broken)
    log += [f"still broken: {', '.join(map(str, harmed))}"] if harmed else []
    log += [f"broken by the fix: {', '.join(map(str, hurt))}"] if hurt else []
    thing = cause.get("object") or {}
    return Trial(
        draw_text=f"--seed {draw.seed} --only {draw.index}{' --doubles 1' if len(changed) > 1 else ' --arpings 1' if draw.arp else ''}",
        family=draw.family,
        network=draw.setting.name,
        warm=warm,
        quiet=draw.quiet,
        mutations=tuple(map(str, changed)),
        kinds=tuple(each.kind for each in changed),
        asked=str(asked),
        verdict=report["verdict"],
        code=cause.get("code") or "",
        thing=f"{(cause.get('place') or {}).get('namespace')}: {thing.get('kind', '')} {thing.get('id', '')}",
        why=why["verdict"],
        named=tuple(each.is_named_by(cause) for each in changed),
        listed=tuple(any(each.is_named_by(other) for other in others) for each in changed),
        met=tuple(any(each.is_named_by(one.cause) for one in rounds) for each in changed),
        along=tuple(any(identity.is_named_by(one.cause) for identity in gone for one in rounds) for gone in lost),
        consequence=any(identity.is_named_by(cause) for gone in lost for identity in gone),
        repair=rounds[0].repair.outcome if rounds else "",
        wrapped=bool(rounds) and rounds[0].repair.wrapped,
        mended=mended,
        rounds=next((number for number, each in enumerate(rounds, 1) if each.mended), 0),
        harmed=tuple(map(str, harmed)),
        hurt=tuple(map(str, hurt)),
        seconds=seconds,
        why_seconds=why_seconds,
        log="\n".join(log),
    )


def _mending(report: dict[str, Any], asked: Flow, log: list[str]) -> Iterator[Round]:
    """Follow the first fix, ask again, until it works, nothing can be followed, or the rounds are over."""
    done = list[tuple[str, ...]]()
    for number in range(1, _ROUNDS + 1):
        cause = (report["causes"] or [{}])[0]
        repair = follow(cause)
        mended = repair.outcome == "done" and working([asked], 3)[asked] > 0
        log += [f"fix {number}: {cause.get('code')}: {repair.outcome}", *(f"    {line}" for line in repair.said), f"    mended: {mended}"]
        yield Round(report["verdict"], cause, repair, mended)
        if mended or repair.outcome != "done" or repair.said in done:
            return
        done.append(repair.said)
        report, _ = ask((*asked.question("trace"), "--captures", "none"))


def _changed(draws: Sequence[Draw], log: list[str]) -> tuple[tuple[Mutation, ...], list[list[Identity]]] | Void:
    """The world made and changed, with what went with each change; or why not. They are chosen before any is made, and read back."""
    setting = draws[0].setting
    make_setting(setting)
    state = working(setting.flows, 3)
    if lost := [str(flow) for flow, number in state.items() if number == 0]:
        raise AssertionError(f"{setting.name} does not work before any change: {', '.join(lost)}")
    sight = look(setting.spaces)
    mutations = [draw.mutation(sight) for draw in draws]
    wanted = tuple(each for each in mutations if each is not None)
    if len(wanted) < len(draws):
        return Void("nothing of the kind")
    changing = frozenset[str]().union(*(mutation.namespaces for mutation in wanted))
    before = sight.digest(changing)
    log += [f"{setting.name}", *map(str, wanted)]
    looks = [before]
    for mutation in wanted:
        try:
            mutation.apply()
        except (NetprobeError, OSError) as error:
            return Void(f"refused: {mutation}: {error}")
        looks.append(sight.digest(changing))
    if not all_stand(looks):
        return Void("one took the other along")
    after = looks[-1]
    shown = list(differences(before, after))
    log += [f"    {line}" for line in shown[:40]]
    wanted = tuple(each.behind(wanted) for each in wanted)
    went = [list(_gone(list(differences(old, new)))) for old, new in pairwise(looks)]
    return (wanted, went) if shown else Void("no difference")


def all_stand(looks: Sequence[dict[str, str]]) -> bool:
    """Whether each change still shows after those behind it: something of what it added, as an entry goes with its interface's last
    address; or, where it only took away, the interface on which that was, with which it would have gone.
    """
    last = {f"{name}: + {line}" for name, text in looks[-1].items() for line in text.splitlines()}
    changed = [list(differences(old, new)) for old, new in pairwise(looks)]
    return all(_stands(lines, last, looks[-1]) for lines in changed if lines)


def _stands(lines: Sequence[str], last: Collection[str], looked: dict[str, str]) -> bool:
    added = {line for line in lines if ": + " in line}
    if added:
        return not added.isdisjoint(last)
    devices = [(line.partition(": ")[0], found[1]) for line in lines if (found := re.search(r" dev (\S+)", line))]
    there = [re.search(rf"^\d+: {re.escape(device)}[@:]", looked.get(name, ""), re.MULTILINE) for name, device in devices]
    return not devices or any(there)


def _gone(shown: Sequence[str]) -> Iterator[Identity]:
    """The addresses and routes among the lines that went."""
    for line in shown:
        if address := re.match(r"(\S+): - (\S+) +inet6? ", line):
            yield known(address[1], "address")
        elif route := re.match(r"(\S+): - (?:default|[\da-f.:]+(?:/\d+)?) (?:via|dev) ", line):
            yield known(route[1], "route")


def make_setting(setting: Setting) -> None:
    """Build the network, do what is given."""
    make(setting.topology)
    for change in setting.given:
        change.apply()


def flush(setting: Setting, warm: bool) -> None:
    """Forget, unless the network is to stay warm: learned neighbours, FDB entries stay or age as they do, tracked connections."""
    if warm:
        return
    for name in (HOST, *setting.spaces):
        for argv in (("ip", "-4", "neigh", "flush", "all"), ("ip", "-6", "neigh", "flush", "all"), ("conntrack", "-F")):
            with suppress(NetprobeError):
                commands.run(name, argv)


def ask(question: tuple[str, ...]) -> tuple[dict[str, Any], float]:
    """A report, as JSON, and how many seconds it took. One that never came stands for itself."""
    started = time.monotonic()
    code, said, errors = run_netprobe((*question, "-o", "json"))
    seconds = time.monotonic() - started
    try:
        report: dict[str, Any] = json.loads(said)
    except ValueError:
        report = {"verdict": f"exit {code}: {errors.strip()[-300:]}", "causes": []}
    return report, seconds


def text_of(asked: Flow) -> str:
    """What a person would read, who asked at this moment."""
    return run_netprobe((*asked.question("trace"), "--captures", "none"))[1]


@contextmanager
def limited() -> Iterator[None]:
    """The block ends after a minute at the latest, by TimeoutError."""

    def overdue(*_: object) -> None:
        raise Overdue

    old = signal.signal(signal.SIGALRM, overdue)
    signal.alarm(_PATIENCE)
    try:
        yield
    except Overdue:
        raise TimeoutError(f"no end after {_PATIENCE} s") from None
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, old)
