"""One question watched on this machine, live: each round with the machine opened anew.

What is held open keeps a namespace alive that somebody deletes; so nothing is between two rounds but the
sockets that hear of changes, and these only where the last round has read.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

from .engine import Recall, ask
from .engine.watch import Rounds, WatchStep, watch
from .errors import NetprobeError
from .model import Run
from .question import Question

if TYPE_CHECKING:
    from .linux.sensors.crafter import Crafter


def watched(
    question: Question,
    rounds: Rounds,
    host: str | None = None,
    exclude: Sequence[str] = (),
    crafter: Crafter | None = None,
    recall: Recall | None = None,
) -> Generator[WatchStep, None, None]:
    """The steps of a watch (see `engine.watch`). Raises WrongQuestion, NotPermitted or CannotLook in the
    first round.
    """
    from .linux.notices import Notices
    from .linux.watched import WatchedMachine

    with Notices() as notices:

        def once(known: Recall, patience_ns: int | None) -> Run:
            with WatchedMachine(notices, patience_ns, host, exclude, crafter) as machine:
                try:
                    run = ask(machine, question, known)
                except NetprobeError:  # one that is gone must be let go
                    notices.follow({})
                    raise
                notices.follow(machine.opened(run.snapshot.namespaces))
                return run

        yield from watch(once, notices, rounds, recall)
