"""The command `map`: how namespaces are wired."""

from __future__ import annotations

from typing import Any

from .streams import complain, terminal_of, write


def show(settings: dict[str, Any], endpoints: tuple[str, ...], options: dict[str, Any]) -> int:
    """Read, print; the exit code."""
    from netprobe.formats import wiring_as
    from netprobe.session import Session

    with Session(settings["host"], options["exclude"]) as session:
        found = session.map(*endpoints, highlight=options["highlight"])
        for remark in session.heard():
            complain(remark)
    text = wiring_as(found, options["output"], terminal_of(settings, options), options["everything"])
    write(text, options["out"])
    return 0
