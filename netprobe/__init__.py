"""netprobe: trace a packet through Linux network namespaces and name the one object that stops it.

    import netprobe
    report = netprobe.trace("red", "8.8.8.8")
    assert report, report.cause

Each function asks one question; `open` gives a session for many. Importing this imports nothing else.

PYTEST_DONT_REWRITE: pytest, which rewrites the files of its plugins, need not be the first to import this.
"""

from __future__ import annotations

__version__ = "0.1.0"

TYPE_CHECKING = False  # as in typing, which takes longer to import than all this
if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence
    from typing import Any, Unpack

    from .all_pairs import Matrix, MatrixOptions
    from .answers import Compared, Report
    from .checking import Check, Written
    from .errors import CannotLook, NetprobeError, NotPermitted, WrongQuestion
    from .hosts import Hosts
    from .model import Cause, Page, Space
    from .model.check import Checked
    from .session import Options, Session
    from .wiring import Map

__all__ = [
    "CannotLook",
    "Cause",
    "Check",
    "Checked",
    "Compared",
    "Hosts",
    "Map",
    "Matrix",
    "MatrixOptions",
    "NetprobeError",
    "NotPermitted",
    "Options",
    "Page",
    "Report",
    "Session",
    "Space",
    "Written",
    "WrongQuestion",
    "arping",
    "check",
    "diff",
    "expect",
    "explain",
    "load",
    "ls",
    "map",
    "matrix",
    "open",
    "ping",
    "trace",
    "why",
]

_PLACES = {
    "all_pairs": ("Matrix", "MatrixOptions"),
    "answers": ("Compared", "Report"),
    "checking": ("Check", "Written"),
    "errors": ("CannotLook", "NetprobeError", "NotPermitted", "WrongQuestion"),
    "hosts": ("Hosts",),
    "model": ("Cause", "Page", "Space"),
    "model.check": ("Checked",),
    "session": ("Options", "Session"),
    "wiring": ("Map",),
}


def __getattr__(name: str) -> Any:
    """A class of the face, imported when it is first asked for (PEP 562)."""
    from importlib import import_module

    place = next((place for place, names in _PLACES.items() if name in names), None)
    if place is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{place}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def open(
    host: str | None = None, exclude: Sequence[str] = (), hosts: Hosts | Sequence[str] | None = None
) -> Session:
    """A session: many questions on one set of open namespaces.

    `host` names the namespace that the word `host` means, `exclude` those to be treated as not visible.
    With `hosts` - names of the ssh configuration, or a `Hosts` - other hosts are connected to, and endpoints
    are written h1:red. Raises WrongQuestion, NotPermitted or CannotLook.
    """
    from .session import Session

    return Session(host, exclude, hosts=hosts)


def trace(
    source: str,
    destination: str,
    *,
    host: str | None = None,
    exclude: Sequence[str] = (),
    hosts: Hosts | Sequence[str] | None = None,
    **options: Unpack[Options],
) -> Report:
    """Send a probe from `source` to `destination`, follow it through every hop, both ways, and name the cause
    when it is lost.

    `source` is a namespace or container, `destination` one of these, an address or a host name, with ":PORT"
    for TCP. Raises WrongQuestion, NotPermitted or CannotLook; a broken network is in the report.
    """
    with open(host, exclude, hosts) as session:
        return session.trace(source, destination, **options)


def ping(
    source: str,
    destination: str,
    *,
    host: str | None = None,
    exclude: Sequence[str] = (),
    hosts: Hosts | Sequence[str] | None = None,
    **options: Unpack[Options],
) -> Report:
    """The same question as `trace`; the report's text is one line."""
    with open(host, exclude, hosts) as session:
        return session.ping(source, destination, **options)


def arping(
    source: str,
    destination: str,
    *,
    host: str | None = None,
    exclude: Sequence[str] = (),
    hosts: Hosts | Sequence[str] | None = None,
    **options: Unpack[Options],
) -> Report:
    """Ask by ARP (or neighbour discovery) who on the segment of `source` has the address of `destination`."""
    with open(host, exclude, hosts) as session:
        return session.arping(source, destination, **options)


def why(
    source: str,
    destination: str,
    *,
    host: str | None = None,
    exclude: Sequence[str] = (),
    hosts: Hosts | Sequence[str] | None = None,
    **options: Unpack[Options],
) -> Report:
    """Predict what would happen to a probe from `source` to `destination`. Nothing is sent."""
    with open(host, exclude, hosts) as session:
        return session.why(source, destination, **options)


def check(
    *files: str | os.PathLike[str],
    wait: str | float = 0,
    timeout: str | float = "1s",
    changes: Sequence[str] = (),
    recording: str | os.PathLike[str] | None = None,
    host: str | None = None,
    exclude: Sequence[str] = (),
    hosts: Hosts | Sequence[str] | None = None,
) -> Check:
    """Ask whether the expectations of these files hold; see `Session.check`.

    With `recording`, the capture of a saved run, the model answers from what that holds: no kernel, no
    privilege.
    """
    if recording is not None:
        from .checking import check_model, read_files, recorded

        return check_model(recorded([recording]), read_files(files), changes, str(recording))
    with open(host, exclude, hosts) as session:
        return session.check(*files, wait=wait, timeout=timeout, changes=changes)


def expect(
    *endpoints: str,
    protocol: str | None = None,
    port: int | None = None,
    blocked: bool = False,
    timeout: str | float = "1s",
    host: str | None = None,
    exclude: Sequence[str] = (),
) -> Written:
    """A file of expectations (YAML) of what answers now among these endpoints; see `Session.expect`."""
    with open(host, exclude) as session:
        return session.expect(*endpoints, protocol=protocol, port=port, blocked=blocked, timeout=timeout)


def matrix(
    endpoints: Sequence[str] | Mapping[str, Sequence[str]] = (),
    *,
    host: str | None = None,
    exclude: Sequence[str] = (),
    **options: Unpack[MatrixOptions],
) -> Matrix:
    """Ask for each pair of `endpoints`, both ways, whether one reaches the other; pairs that fail for one
    cause are one group.

    Raises WrongQuestion, NotPermitted or CannotLook; a broken network is in the answer.
    """
    with open(host, exclude) as session:
        return session.matrix(endpoints, **options)


def ls(host: str | None = None, hosts: Hosts | Sequence[str] | None = None) -> tuple[Space, ...]:
    """The namespaces and containers that can be seen from here, or on these hosts, with their interfaces and
    addresses.
    """
    with open(host, hosts=hosts) as session:
        return session.ls()


def map(
    *endpoints: str,
    highlight: tuple[str, str] | None = None,
    host: str | None = None,
    exclude: Sequence[str] = (),
) -> Map:
    """How the namespaces of this machine are wired; of what is connected with `endpoints`, where there are
    any. `highlight`: a source and a destination, whose predicted path lies over it.

    Raises WrongQuestion, NotPermitted or CannotLook.
    """
    with open(host, exclude) as session:
        return session.map(*endpoints, highlight=highlight)


def load(path: str | os.PathLike[str]) -> Report:
    """The report of a saved run - a capture of netprobe's, or a JSON report.

    Raises WrongQuestion for any other file.

    >>> report = load("captures/samples/no-masquerade.pcapng")
    >>> report.cause.code
    'nat-missing'
    >>> bool(report)
    False
    """
    from .answers import load

    return load(path)


def diff(before: str | os.PathLike[str], after: str | os.PathLike[str]) -> Compared:
    """What changed between two saved runs: the answer, the path, the configuration. False when nothing did.

    >>> changed = diff("captures/samples/trace-red-8.8.8.8.pcapng", "captures/samples/no-masquerade.pcapng")
    >>> [each.kind for each in changed.found.answer][:2]
    ['verdict', 'direction']
    """
    from .answers import diff

    return diff(before, after)


def explain(code: str) -> Page:
    """The page of the handbook about a cause.

    Raises WrongQuestion, with the nearest codes, when there is none.

    >>> explain("no-route").section
    'Routes and policy rules'
    """
    from .answers import explain

    return explain(code)
