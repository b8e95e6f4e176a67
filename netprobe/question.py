"""What is asked, and what does not go together in it: an option that would be ignored is an error with the
right command.

Pure but for the values; `engine` makes a probe of it.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
from msgspec import Meta, Struct

from .errors import WrongQuestion
from .model import Endpoint, Protocol
from .model.address import version
from .model.command import joined
from .model.protocol import ASKED, Word

DEFAULT_SIZE = 56  # bytes, as of ping(8)
Port = Annotated[int, Meta(ge=1, le=65_535)]


class Question(Struct, frozen=True):
    """What the user asked: two endpoints as typed, and the options of the probe; None is what was not said.

    `size` in bytes.
    """

    source: str
    destination: str
    command: str = "trace"
    protocol: Word | None = None
    port: Port | None = None
    count: Annotated[int, Meta(ge=1, le=100_000)] = 1
    size: Annotated[int, Meta(ge=0, le=65_507)] | None = None
    ttl: Annotated[int, Meta(ge=1, le=255)] | None = None
    df: bool | None = None
    version: Literal[4, 6] | None = None
    source_address: str | None = None
    source_port: Port | None = None
    mark: Annotated[int, Meta(ge=0, le=0xFFFFFFFF)] = 0
    uid: Annotated[int, Meta(ge=0, le=0xFFFFFFFE)] | None = None
    interval_ns: int = 200_000_000
    timeout_ns: Annotated[int, Meta(ge=1)] = 1_000_000_000
    send: bool = True


class MatrixQuestion(Struct, frozen=True):
    """Who reaches whom: endpoints as typed, the group of some of them, and the options of the probe.

    `lenient`: one that has no address is left out with a remark; nobody has named it.
    """

    endpoints: tuple[str, ...]
    groups: tuple[str, ...] = ()
    protocol: Word | None = None
    port: Port | None = None
    version: Literal[4, 6] | None = None
    timeout_ns: Annotated[int, Meta(ge=1)] = 1_000_000_000
    lenient: bool = False


def check_values(question: Question | MatrixQuestion) -> None:
    """Raises WrongQuestion for a value of another type, or out of its range: the command line refuses those
    by itself.
    """
    for name, kind in _kinds(type(question)):
        value = getattr(question, name)
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            why = str(error).replace("null", "None")
            raise WrongQuestion(f"{name} cannot be {value!r:.60}: {why[:1].lower()}{why[1:]}") from error


@cache
def _kinds(question: type) -> tuple[tuple[str, Any], ...]:
    """What each value of a question is to be. Reading it takes as long as sending a probe."""
    return tuple(get_type_hints(question, include_extras=True).items())


def check_source(question: Question, source: Endpoint) -> None:
    """Raises WrongQuestion for a source with a port, or with two addresses."""
    if source.port is not None or source.protocol is not None:
        plain = source.namespace or question.source
        hint = (
            f"Its own port is --source-port {source.port}."
            if source.port is not None
            else f"Write {plain}, and -p {source.protocol}."
        )
        raise WrongQuestion(
            f"{question.source} is where the probe starts: a source has no port or protocol to ask for", hint
        )
    if source.address is not None and question.source_address not in (None, source.address):
        message = (
            f"{question.source} says to send from {source.address}, --source-address from"
            f" {question.source_address}"
        )
        raise WrongQuestion(message, "Write one of them.")


def check_target(question: Question, target: Endpoint) -> None:
    """Raises WrongQuestion for a destination that says another port or protocol than an option."""
    for option, wanted, told in (
        ("-P", question.port, target.port),
        ("-p", question.protocol, target.protocol),
    ):
        if wanted is not None and told is not None and wanted != told:
            raise WrongQuestion(
                f"{question.destination} says {told}, {option} says {wanted}", "Write one of them."
            )


def check_version(question: Question, address: str | None) -> None:
    """Raises WrongQuestion for an address of the other IP version than was asked for."""
    found = version(address or "")
    if question.version not in (None, found):
        raise WrongQuestion(f"{address} is an IPv{found} address", f"Leave out -{question.version}.")


def check_options(question: Question, protocol: Protocol, port: int | None) -> None:
    """Raises WrongQuestion for an option, or a `port`, that a probe of this protocol has no use for."""
    lacking = _unused(protocol)
    if "--port" in lacking and port is not None:
        target = question.destination.removesuffix(f"/{protocol}")
        by_tcp = joined(["netprobe", "trace", question.source, target, "-p", "tcp"])
        rest = f" -P {question.port}" if question.port is not None else ""
        raise WrongQuestion(
            f"{protocol.called} has no ports",
            f"Leave the port out, or ask by TCP: {by_tcp}{rest}",
        )
    given = {
        "--source-port": question.source_port,
        "--size": question.size,
        "--ttl": question.ttl,
        "--df": question.df,
    }
    for option in lacking:
        if given.get(option) is not None:
            raise WrongQuestion(
                f"{option} has no meaning for {protocol.called}",
                f"Leave it out, or ask by {_users(option)}.",
            )


def check_port(question: Question, protocol: Protocol, port: int | None) -> None:
    """Raises WrongQuestion where a probe of this protocol needs a port, and none was said."""
    if protocol.has_ports and port is None:
        raise WrongQuestion(
            f"{protocol.upper()} needs a port", f"Write {question.destination}:PORT or add -P PORT."
        )


def _unused(protocol: Protocol) -> tuple[str, ...]:
    """The options that mean nothing for a protocol."""
    if protocol.on_segment:
        return "--port", "--source-port", "--size", "--ttl", "--df"
    ports = () if protocol.has_ports else ("--port", "--source-port")
    return ports if protocol.is_sized else (*ports, "--size")


def _users(option: str) -> str:
    """The protocols that an option means something for: "TCP or UDP"."""
    *others, last = (each.called for each in ASKED.values() if option not in _unused(each))
    return f"{', '.join(others)} or {last}"
