"""What answers now, of each pair of some endpoints: the answers that a file of expectations is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from netprobe.errors import Interrupted, NetprobeError, WrongQuestion
from netprobe.expectations.written import Asking, PairAnswer
from netprobe.model import Run, Verdict
from netprobe.question import Question

from .world import World


def answers(
    world: World,
    ask: Callable[[Question], Run],
    endpoints: Sequence[str],
    asking: Asking,
    timeout_ns: int,
    told: Callable[[int, int], None],
) -> list[PairAnswer]:
    """What came of each pair. Raises WrongQuestion for an endpoint that there is not, and where there is no
    pair; Interrupted for a Ctrl-C, with what came by then.

    An address of the outside is asked, and does not ask.
    """
    known = sorted(dict.fromkeys(endpoints))
    senders = [name for name in known if world.resolve(name, world.resolve("host")).namespace is not None]
    pairs = [(one, other) for one in senders for other in known if one != other]
    if not pairs:
        raise WrongQuestion("there is no pair to ask about", "Name a namespace and something that it asks.")
    found: list[PairAnswer] = []
    try:
        for number, (source, destination) in enumerate(pairs, 1):
            question = Question(
                source,
                destination,
                "ping",
                asking.protocol,
                asking.port,
                timeout_ns=timeout_ns,
            )
            found.append(_answered(ask, question))
            told(number, len(pairs))
    except KeyboardInterrupt as error:
        raise Interrupted(len(found), found) from error
    return found


def _answered(ask: Callable[[Question], Run], question: Question) -> PairAnswer:
    pair = question.source, question.destination
    try:
        report = ask(question).report
    except NetprobeError as error:
        return PairAnswer(*pair, False, reason=str(error))
    lost = report.verdict is Verdict.UNREACHABLE and bool(report.causes)
    code = report.causes[0].code if lost else ""
    return PairAnswer(*pair, report.verdict is Verdict.REACHABLE, code, report.summary)
