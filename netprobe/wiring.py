"""The wiring of a machine, asked from Python: the map and its formats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec.structs import asdict

from .engine.wiring import drawn
from .errors import WrongQuestion
from .model import wiring

if TYPE_CHECKING:
    from .linux.machine import Machine

FORMATS = ("text", "svg", "html", "dot", "mermaid", "json")


class Map(wiring.Wiring, frozen=True):
    """How namespaces are wired: `spaces` with their interfaces and rules for translation, and `wires`."""

    def __repr__(self) -> str:
        return f"<map: {len(self.spaces)} namespaces, {len(self.wires)} wires>"

    def text(self, width: int = 100, colour: bool = False, all: bool = False) -> str:
        """The map as the command line prints it, so many columns wide; `all`: without groups."""
        return self.formatted("text", width, colour, all)

    def json(self) -> str:
        """The map as one line of JSON (`netprobe schema map` prints its schema)."""
        return self.formatted("json").rstrip("\n")

    def svg(self, all: bool = False) -> str:
        """The map as a picture; `all`: without groups."""
        return self.formatted("svg", all=all)

    def html(self, all: bool = False) -> str:
        """The map as a page that needs nothing else; `all`: without groups."""
        return self.formatted("html", all=all)

    def dot(self, all: bool = False) -> str:
        """The map for Graphviz; `all`: without groups."""
        return self.formatted("dot", all=all)

    def mermaid(self, all: bool = False) -> str:
        """The map as a flowchart of Mermaid; `all`: without groups."""
        return self.formatted("mermaid", all=all)

    def formatted(self, output: str, width: int = 0, colour: bool = False, all: bool = False) -> str:
        """The map in any of the formats of the command line. Raises WrongQuestion for another one."""
        from .formats import wiring_as
        from .render.terminal import Terminal

        if output not in FORMATS:
            raise WrongQuestion(f"{output} is no format of a map", f"It has {', '.join(FORMATS)}.")
        return wiring_as(self, output, Terminal(width or None, colour=colour), whole=all)


def mapped(machine: Machine, endpoints: Sequence[str], highlight: tuple[str, str] | None) -> Map:
    """The map of this machine; of what is connected with `endpoints`, where there are any, and with the path
    that is predicted from the first of `highlight` to the second.

    Raises WrongQuestion, NotPermitted or CannotLook.
    """
    return Map(**asdict(drawn(machine, endpoints, highlight)))
