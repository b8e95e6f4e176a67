"""Faults from their files: a file for each section, a [[fault]] table for each fault, a table for each step.

One key of a step says what is changed, the others how: `{address = "10.0.0.9/16", dev = "eth0", in = "c1"}`.
`KINDS` has them all, in the words of ip(8), sysctl(8), iptables(8) and nft(8); `in` is the namespace. Each
table is checked against the signature of what it makes.
"""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from inspect import Parameter, signature
from itertools import chain
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from netprobe.lab import changes, crafted, outages
from netprobe.lab.changes import LabChange
from netprobe.lab.topology import Service

from . import steps
from .fault import THE_TUTORIAL, Expected, Fault
from .networks import NETWORKS

_T = TypeVar("_T")
_Words = Mapping[str, str]  # how a file calls a parameter, where it is not by its own name
_USUAL: _Words = {"namespace": "in", "interface": "dev"}


def section(file: Path) -> tuple[str, tuple[Fault, ...]]:
    """The title of a file and its faults. Raises ValueError that names the file, the fault and the key."""
    with _at(file.name):
        return _made(
            _section, tomllib.loads(file.read_text("utf-8")), {"title": "section", "faults": "fault"}
        )


def _section(title: str, faults: list[dict[str, Any]]) -> tuple[str, tuple[Fault, ...]]:
    return title, tuple(_named(table) for table in faults)


def _named(table: dict[str, Any]) -> Fault:
    with _at(str(table.get("name", "fault without a name"))):
        return _made(_fault, table, {})


def _fault(
    name: str,
    title: str,
    probe: str,
    expected: dict[str, Any],
    inject: list[dict[str, Any]],
    given: list[dict[str, Any]] | None = None,
    network: str = THE_TUTORIAL.name,
    foreseen: bool = True,
    privileged: bool = False,
) -> Fault:
    """`probe` is a command line without the word netprobe, `network` a name in networks.py."""
    if network not in NETWORKS:
        raise ValueError(f"network: there is no {network!r}; there are {', '.join(NETWORKS)}")
    with _at("expected"):
        truth = _made(_expected, expected, {})
    return Fault(
        name, title, tuple(shlex.split(probe)), _steps("inject", inject), truth,
        NETWORKS[network], _steps("given", given or []), foreseen, privileged,
    )  # fmt: skip


def _expected(
    code: str,
    place: str,
    direction: Literal["request", "reply", "either"],
    object: str = "",
    verdict: Literal["unreachable", "intermittent", "undetermined"] = "unreachable",
    stage: str | None = None,
) -> Expected:
    """`place` is "c1/eth0", or "c1" for the whole namespace; "either" direction: an intermittent loss."""
    namespace, _, interface = place.partition("/")
    way = None if direction == "either" else direction
    return Expected(code, namespace, interface or None, way, object, verdict, stage)


def _steps(which: str, tables: list[dict[str, Any]]) -> tuple[LabChange, ...]:
    return tuple(
        chain.from_iterable(_step(f"{which} {number}", table) for number, table in enumerate(tables, 1))
    )


def _step(which: str, table: dict[str, Any]) -> tuple[LabChange, ...]:
    with _at(which):
        said = [key for key in table if key in KINDS]
        if len(said) != 1:
            found = ", ".join(f"`{key}`" for key in said or table)
            known = ", ".join(KINDS)
            raise ValueError(f"one key must say what is changed; here are {found}; there are {known}")
        kind = KINDS[said[0]]
        made = _made(kind.make, table, {**_USUAL, kind.subject: said[0], **kind.words})
    return made if isinstance(made, tuple) else (made,)


def _made(make: Callable[..., _T], table: dict[str, Any], words: _Words) -> _T:
    """What `make` makes of a table, whose keys are its parameters."""
    parameters = {words.get(name, name): parameter for name, parameter in _parameters(make).items()}
    for key in table:
        if key not in parameters:
            raise ValueError(f"there is no key `{key}` here; there are {', '.join(parameters)}")
    for key, parameter in parameters.items():
        if key not in table and parameter.default is Parameter.empty:
            raise ValueError(f"the key `{key}` is missing")
    values = {parameters[key].name: _checked(key, value, parameters[key]) for key, value in table.items()}
    return make(**values)


@cache
def _parameters(make: Callable[..., object]) -> Mapping[str, Parameter]:
    """The parameters that a file can give: those that a row of `KINDS` settles are not among them."""
    settled = make.keywords if isinstance(make, partial) else {}
    taken = signature(make, eval_str=True).parameters
    return {name: parameter for name, parameter in taken.items() if name not in settled}


def _checked(key: str, value: object, parameter: Parameter) -> object:
    with _at(f"`{key}`"):
        return msgspec.convert(value, parameter.annotation)


@contextmanager
def _at(place: str) -> Iterator[None]:
    """An error inside is one of this place."""
    try:
        yield
    except (ValueError, msgspec.ValidationError) as error:
        raise ValueError(f"{place}: {error}") from None


def _run(namespace: str, command: str, reads: str, shows: str = "", lacks: str = "") -> changes.Tool:
    """Any program; afterwards what `reads` prints matches `shows`, or it does not match `lacks`."""
    if bool(shows) is bool(lacks):
        raise ValueError("either `shows` or `lacks` must say what is read afterwards")
    return steps.tool(namespace, command, reads, shows or lacks, absent=not shows)


def _nft(namespace: str, commands: list[str], proof: str) -> changes.Tool:
    return steps.nft(namespace, "; ".join(commands), proof)


def _move(namespace: str, protocol: Literal["tcp", "udp"], port: int, address: str) -> outages.MoveService:
    return outages.MoveService(Service(namespace, protocol, port, address))


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of step: what makes it, which parameter its own key's value is, how others are called."""

    make: Callable[..., LabChange | tuple[LabChange, ...]]
    subject: str
    words: _Words = field(default_factory=dict)


KINDS: dict[str, _Kind] = {
    # interfaces: ip-link(8), bridge(8)
    "down":                _Kind(steps.down, "interface"),
    "no-link":             _Kind(steps.gone, "interface"),
    "master":              _Kind(steps.plugged, "bridge"),
    "nomaster":            _Kind(changes.Unplug, "interface"),
    "mtu":                 _Kind(steps.mtu, "size"),
    "mac":                 _Kind(steps.mac, "address"),
    "bridge-port":         _Kind(steps.port, "interface", {"setting": "set", "proof": "shows"}),
    # addresses, neighbours, routes: ip-address(8), ip-neighbour(8), ip-route(8), ip-rule(8), sysctl(8)
    "address":             _Kind(steps.address, "text"),
    "no-address":          _Kind(steps.no_address, "text"),
    "announce":            _Kind(crafted.AnnounceAddress, "address"),
    "announce-router":     _Kind(crafted.AnnounceRouter, "interface"),
    "neighbour":           _Kind(steps.neighbour, "text"),
    "forget":              _Kind(steps.forgotten, "ends"),
    "route":               _Kind(partial(steps.route, verb="add"), "text"),
    "replace-route":       _Kind(partial(steps.route, verb="replace"), "text"),
    "no-route":            _Kind(steps.no_route, "text"),
    "no-default-route-in": _Kind(changes.RemoveDefaultRoute, "namespace"),
    "rule":                _Kind(steps.rule, "text"),
    "no-rule":             _Kind(steps.no_rule, "priority"),
    "sysctl":              _Kind(changes.SetSysctl, "name", {"value": "to"}),
    # rules, programs, connection tracking: iptables(8), nft(8), tc(8); without a command: lab/crafted.py
    "iptables":            _Kind(partial(steps.iptables, program="iptables"), "text", {"listed": "shows"}),
    "ip6tables":           _Kind(partial(steps.iptables, program="ip6tables"), "text", {"listed": "shows"}),
    "iptables-legacy":     _Kind(partial(steps.iptables, program="iptables-legacy"), "text",
    {"listed": "shows"}),
    "no-iptables":         _Kind(steps.no_iptables, "text"),
    "nft":                 _Kind(_nft, "commands", {"proof": "shows"}),
    "drop-forwarded-from": _Kind(changes.DropForwarded, "incoming", {"out": "to"}),
    "no-masquerade-in":    _Kind(changes.StopMasquerading, "namespace"),
    "full-conntrack-in":   _Kind(crafted.FillConnections, "namespace"),
    "tc-drop":             _Kind(crafted.DropByTc, "interface"),
    "xdp-drop":            _Kind(crafted.DropByXdp, "interface"),
    # programs that serve, and any other program
    "stop-service":        _Kind(outages.StopService, "protocol"),
    "move-service":        _Kind(_move, "protocol", {"address": "at"}),
    "hang-service":        _Kind(outages.HangService, "protocol", {"address": "at"}),
    "run":                 _Kind(_run, "command"),
}  # fmt: skip
