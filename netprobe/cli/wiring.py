"""The command `map`: how namespaces are wired."""

from __future__ import annotations

from typing import Any

from .progress import Progress
from .streams import complain, terminal_of, write


def show(settings: dict[str, Any], endpoints: tuple[str, ...], options: dict[str, Any]) -> int:
    """Read, print; the exit code."""
    from netprobe.formats import wiring_as
    from netprobe.session import Session

    with Session(settings["host"], options["exclude"]) as session, Progress("looking"):
        found, remarks = session.map(*endpoints, highlight=options["highlight"]), session.heard()
    for remark in remarks:
        complain(remark)
    terminal = terminal_of(settings, options)
    text = wiring_as(found, options["output"], terminal, options["everything"], settings["quiet"])
    write(text, options["out"])
    return 0
