"""Changes foretold: what `check --with` says of them on a network that works, and what really happens then."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from faults.workshop import Workshop
from identities import Identity
from mutations.draw import draw
from mutations.flows import Flow, working
from mutations.measure import Lost, side_by_side
from mutations.mutation import Call, Mutation
from mutations.settings import Setting
from mutations.sight import differences, look
from mutations.trial import Void, flush, limited, make_setting

from netprobe.engine.what_if import WhatIf
from netprobe.errors import CannotLook, NetprobeError, WrongQuestion
from netprobe.linux.machine import Machine
from netprobe.model import Verdict
from netprobe.model.command import joined
from netprobe.question import Question, check_values

_ATTEMPTS = 40
_TRIES = 3  # of a flow that does the contrary


@dataclass(frozen=True)
class Told:
    """One flow: what was foretold of it, and whether it got through."""

    flow: str
    said: str
    passed: bool
    summary: str

    @property
    def agrees(self) -> bool:
        """Whether what was said came true; undetermined is neither."""
        return self.said == ("reachable" if self.passed else "unreachable")

    @property
    def is_wrong(self) -> bool:
        """Whether the contrary of what was said came true."""
        return self.said in ("reachable", "unreachable") and not self.agrees


@dataclass(frozen=True)
class Foretold:
    """One change. `refused`: why it could not be tried on the model; then nothing is told."""

    draw_text: str
    network: str
    kind: str
    lines: tuple[str, ...]
    refused: str = ""
    told: tuple[Told, ...] = ()

    @property
    def wrong(self) -> tuple[Told, ...]:
        """The flows of which the contrary came true."""
        return tuple(each for each in self.told if each.is_wrong)

    @property
    def outcome(self) -> str:
        """In one word: refused, wrong, undetermined (one flow at least), or agrees."""
        if self.refused:
            return "refused"
        if self.wrong:
            return "wrong"
        return "agrees" if all(each.agrees for each in self.told) else "undetermined"


def lines_of(mutation: Mutation) -> Iterator[str]:
    """The change as a person would type it, behind what enters the namespace."""
    for step in mutation.steps:
        if isinstance(step, Call):
            yield step.shown
            continue
        where = () if step.namespace == "host" else ("ip", "netns", "exec", step.namespace)
        texts = step.text.splitlines() if step.argv == ("nft", "-f", "-") else [""]
        for text in texts:
            argv = ("nft", text) if text else step.argv
            yield joined((*where, *argv))


def foretell(seed: int, index: int, number: int) -> Foretold | Void:
    """In a private world: make a network, foretell a change, do it, and try every flow."""
    chosen = draw(seed, index, number)
    with limited():
        make_setting(chosen.setting)
        flows = chosen.setting.flows
        if lost := [str(flow) for flow, when in working(flows, 3).items() if when == 0]:
            return Void(f"not yet working: {', '.join(lost)}")
        sight = look(chosen.setting.spaces)
        mutation = chosen.mutation(sight)
        if mutation is None:
            return Void("nothing of the kind")
        lines = tuple(lines_of(mutation))
        said = _said(lines, flows)
        before = sight.digest(mutation.namespaces)
        try:
            mutation.apply()
        except (NetprobeError, OSError) as error:
            return Void(f"refused: {mutation}: {error}")
        if not any(differences(before, sight.digest(mutation.namespaces))):
            return Void("no difference")
        state = {flow: _passes(flow, chosen.setting, mutation.warm) for flow in flows}
        odd = [flow for flow in flows if not isinstance(said, str) and said[flow][0] == _CONTRARY[state[flow]]]
        again = [(flow, _passes(flow, chosen.setting, mutation.warm, pause=1)) for flow in odd * _TRIES]
        if any(passed is not state[flow] for flow, passed in again):
            return Void("comes and goes")  # a busy machine, or a station that is asked in between
    where = (f"--seed {seed} --only {index}", chosen.setting.name, mutation.kind, lines)
    if isinstance(said, str):
        return Foretold(*where, refused=said)
    return Foretold(*where, told=tuple(Told(str(flow), said[flow][0], state[flow], said[flow][1]) for flow in flows))


_CONTRARY = {True: "unreachable", False: "reachable"}


def _passes(flow: Flow, setting: Setting, warm: bool, pause: float = 0) -> bool:
    """Whether a flow gets through, alone. What traffic has left behind is forgotten before: a question of one station teaches the other
    where it is.
    """
    time.sleep(pause)
    flush(setting, warm)
    return working([flow], 3)[flow] > 0


def _said(lines: Sequence[str], flows: Sequence[Flow]) -> dict[Flow, tuple[str, str]] | str:
    """What the model says of each flow after the change; or why it cannot try it."""
    with Machine() as machine:
        try:
            model = WhatIf(machine, lines)
        except (WrongQuestion, CannotLook) as error:
            return str(error)
        return {flow: _of_flow(model, flow) for flow in flows}


def _of_flow(model: WhatIf, flow: Flow) -> tuple[str, str]:
    question = Question(flow.source, flow.address, "why", flow.protocol, flow.port, size=flow.size, send=False,
                        df=True if flow.size else None, source_port=flow.source_port)  # type: ignore[arg-type]  # fmt: skip
    check_values(question)
    try:
        before, after = model.as_it_is(question).report, model.as_it_would_be(question).report
    except NetprobeError as error:
        return "error", str(error)
    if before.verdict is not Verdict.REACHABLE:
        return "undetermined", f"before the change: {before.summary}"
    return after.verdict.value, after.summary


def attempts(shop: Workshop, index: int, seed: int) -> Foretold | Lost:
    """One trial: attempts, each in a world of its own, until one comes to something. One in which the contrary happened is done again:
    what was said wrong is wrong again, and what a busy machine was too slow for is not.
    """
    reasons = Counter[str]()
    for number in range(_ATTEMPTS):
        try:
            found = shop.perform(foretell, seed, index, number)
            if isinstance(found, Foretold) and found.wrong:
                found = shop.perform(foretell, seed, index, number)
        except CannotLook as error:  # this kernel cannot have that network
            found = Void(f"no network: {error}")
        except RuntimeError as error:
            return Lost(index, str(error))
        if isinstance(found, Foretold):
            return found
        reasons[found.reason.partition(":")[0]] += 1
    return Lost(index, f"nothing in {_ATTEMPTS} attempts: {dict(reasons)}")


def foretellings(indices: Sequence[int], seed: int, privilege: str, user: Identity, jobs: int = 1) -> Iterator[Foretold | Lost]:
    """The trials of these indices, in their order, `jobs` of them side by side."""
    return side_by_side(indices, privilege, user, jobs, lambda shop, index: attempts(shop, index, seed))


def summary(outcomes: Iterable[Foretold | Lost]) -> Iterator[str]:
    """The table, as text."""
    done = [each for each in outcomes if isinstance(each, Foretold)]
    counts = Counter(each.outcome for each in done)
    tried = len(done) - counts["refused"]
    flows = [told for each in done for told in each.told]
    yield f"changes tried on the model first                     {tried} of {len(done)}"
    yield f"... of which every flow did what was foretold        {counts['agrees']} of {tried}"
    yield f"... of which a flow was undetermined                 {counts['undetermined']} of {tried}"
    yield f"... of which a flow did the contrary                 {counts['wrong']} of {tried}"
    yield f"flows that did what was foretold                     {sum(t.agrees for t in flows)} of {len(flows)}"
    yield f"flows that did the contrary                          {sum(t.is_wrong for t in flows)} of {len(flows)}"


def misses(outcomes: Iterable[Foretold | Lost]) -> Iterator[str]:
    """What was refused, wrong or undetermined, the wrong ones last."""
    order = {"refused": 0, "undetermined": 1, "wrong": 2}
    for each in outcomes:
        if isinstance(each, Lost):
            yield f"lost {each.index}: {each.reason}"
    for each in sorted((o for o in outcomes if isinstance(o, Foretold) and o.outcome in order), key=lambda o: (order[o.outcome], o.kind)):
        yield f"{each.outcome}: {each.draw_text} [{each.network}] {each.kind}: {'; '.join(each.lines)}"
        if each.refused:
            yield f"    {each.refused}"
        yield from (f"    {told.flow}: said {told.said} ({told.summary}), {'passes' if told.passed else 'lost'}"
                    for told in each.told if not told.agrees)  # fmt: skip
