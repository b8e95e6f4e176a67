"""Who reaches whom, asked from Python: the options of a matrix, and its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypedDict

from msgspec.structs import asdict

from . import model
from .duration import nanoseconds
from .engine.matrix import ask_matrix
from .errors import Interrupted, WrongQuestion
from .model import matrix
from .question import MatrixQuestion, check_values

if TYPE_CHECKING:
    from .fleet.opening import OpenFleet
    from .linux.machine import Machine

Progress = Callable[[int, int], None]


class MatrixOptions(TypedDict, total=False):
    """What a matrix can be told, as the options of the same names on the command line.

    `network` names networks of an engine ("docker:front"), whose containers take part; `all` has everybody do
    so who has an address.
    """

    protocol: str | None
    port: int | None
    timeout: str | float
    version: int | None
    network: str | Sequence[str]
    all: bool


class Matrix(matrix.Matrix, frozen=True):
    """Who reaches whom. True when all pairs that were asked are reachable."""

    def __bool__(self) -> bool:
        return self.complete and self.count(model.Verdict.REACHABLE) == sum(map(self.count, model.Verdict))

    def reachable(self, source: str, destination: str) -> bool:
        """Whether one endpoint reaches another, both as they were written. Raises WrongQuestion."""
        names = [member.endpoint for member in self.members]
        for name in (source, destination):
            if name not in names:
                raise WrongQuestion(f"{name} is not in the matrix", f"It has {', '.join(names[:20])}")
        return self.verdict(names.index(source), names.index(destination)) is model.Verdict.REACHABLE

    def __repr__(self) -> str:
        from .formats import matrix_as
        from .render.terminal import Terminal

        return f"<matrix: {matrix_as(self, 'text', Terminal(), quiet=True).rstrip()}>"

    def text(self, width: int = 100, colour: bool = False) -> str:
        """The answer as the command line prints it, so many columns wide."""
        return self.formatted("text", width, colour)

    def json(self) -> str:
        """The answer as one line of JSON."""
        return self.formatted("json").rstrip("\n")

    def markdown(self) -> str:
        """The answer for the summary page of a run in CI."""
        return self.formatted("markdown")

    def html(self) -> str:
        """The answer as a page in one file, with a map of all pairs."""
        return self.formatted("html")

    def csv(self) -> str:
        """A line for each pair."""
        return self.formatted("csv")

    def junit(self) -> str:
        """A test case for each pair."""
        return self.formatted("junit")

    def formatted(self, output: str, width: int = 0, colour: bool = False) -> str:
        """The answer in any of the formats of the command line."""
        from .formats import matrix_as
        from .render.terminal import Terminal

        return matrix_as(self, output, Terminal(width, colour=colour))


def asked(
    machine: Machine | OpenFleet,
    endpoints: Sequence[str] | Mapping[str, Sequence[str]],
    progress: Progress | None,
    options: MatrixOptions,
) -> Matrix:
    """The answer for all pairs of these endpoints and of those that the options add.

    Raises WrongQuestion, NotPermitted or CannotLook; Interrupted with the answer so far.
    """
    named = _named(endpoints)
    added = [
        (each, network.partition(":")[2])
        for network in _several(options.get("network", ()))
        for each in machine.connected(network)
    ]
    if options.get("all"):
        added += [(space.typed or space.name, "") for space in _able(machine.spaces())]
    everybody = [*named, *added]
    question = MatrixQuestion(
        tuple(name for name, _ in everybody), tuple(group for _, group in everybody),
        options.get("protocol"), options.get("port"), options.get("version"),  # type: ignore[arg-type]
        nanoseconds(options.get("timeout", 1)), lenient=bool(added),
    )  # fmt: skip
    check_values(question)
    try:
        return Matrix(**asdict(ask_matrix(machine, question, progress or (lambda _done, _all: None))))
    except Interrupted as error:
        raise Interrupted(error.count, Matrix(**asdict(error.kept))) from error


def _named(endpoints: Sequence[str] | Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    """Endpoints, each with the name of its group, which is none in a plain list."""
    if isinstance(endpoints, Mapping):
        return [(each, group) for group, members in endpoints.items() for each in _several(members)]
    return [(each, "") for each in _several(endpoints)]


def _several(given: str | Sequence[str]) -> Sequence[str]:
    return (given,) if isinstance(given, str) else given


def _able(spaces: Sequence[model.Space]) -> list[model.Space]:
    """The namespaces that have an address besides those of the loopback interface."""
    return [
        space
        for space in spaces
        if any(each.addresses for each in space.interfaces if each.kind != "loopback")
    ]
