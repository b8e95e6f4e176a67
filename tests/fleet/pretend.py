"""Hosts that are namespaces of one lab (`netprobe.lab.fleet`): each is a local machine that sees its own alone.

Run inside the lab, by `lab.call`.
"""

from __future__ import annotations

import zlib
from contextlib import ExitStack
from pathlib import Path

import msgspec

from netprobe.codec import run_from_json, run_to_json
from netprobe.engine import ask
from netprobe.errors import CannotLook
from netprobe.fleet.world import Fleet
from netprobe.linux import files, netns
from netprobe.linux.machine import Machine
from netprobe.model import Endpoint, Run
from netprobe.question import Question

NAMES = "/run/netns"


class Pretended(Machine):
    """A host whose namespaces are called h1:host, h1:red, ..., and which sees no other."""

    def __init__(self, name: str, everybody: list[str]) -> None:
        self._name = name
        with netns.inside(f"{NAMES}/{name}:host"):
            super().__init__()
        others = (each for each in everybody if not each.startswith(f"{name}:"))
        self._directory._excluded = frozenset(files.key(f"{NAMES}/{each}") for each in others)

    def resolve(self, text: str, inside: Endpoint | None = None, version: int | None = None) -> Endpoint:
        """As a host is asked: without its own name."""
        whole = text if text[:1].isdigit() else f"{self._name}:{text}"
        return super().resolve(whole, inside, version)


def everybody() -> list[str]:
    """The namespaces of the lab."""
    return sorted(each.name for each in Path(NAMES).iterdir())


def fleet(stack: ExitStack, unasked: dict[str, str] | None = None) -> Fleet:
    """All hosts of the lab as one world; without those that nobody can ask."""
    known = everybody()
    names = dict.fromkeys(each.partition(":")[0] for each in known if each.endswith(":host"))
    asked = [name for name in names if name not in (unasked or {})]
    return Fleet(
        {name: stack.enter_context(Pretended(name, known)) for name in asked},
        {name: CannotLook(why) for name, why in (unasked or {}).items()},
    )


def asked(options: bytes, unasked: dict[str, str] | None = None) -> bytes:
    """The run that answers a question, over values that any process can read."""
    question = msgspec.json.decode(options, type=Question)
    with ExitStack() as stack:
        return zlib.compress(run_to_json(ask(fleet(stack, unasked), question)))


def answer(lab: object, source: str, destination: str, unasked: dict[str, str] | None = None, **options: object) -> Run:
    """The question asked inside the lab, of all its hosts."""
    question = msgspec.json.encode(Question(source, destination, **options))  # type: ignore[arg-type]
    return run_from_json(zlib.decompress(lab.call(asked, question, unasked)))  # type: ignore[attr-defined]
