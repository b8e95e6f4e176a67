"""One expectation: a question, and what its answer should be."""

from __future__ import annotations

from msgspec import Struct

from netprobe.endpoint import parse
from netprobe.errors import WrongQuestion
from netprobe.question import Question

from .document import Position


class Expectation(Struct, frozen=True):
    """A question and the answer that is expected; `at` is where it is declared.

    `name` is what a person called it, else "". `nat_source` and `nat_destination` are what the packet's
    addresses (with a port: and ports) are at its end; `untranslated`: what they were. `via` are the places
    that the request passes, in this order: namespaces, interfaces or addresses. `cause` (a code) and `by` (an
    object's id or text) say what blocks it. `unique` and `mac` are of arping: one station alone answers, and
    this one.
    """

    question: Question
    at: Position
    name: str = ""
    reachable: bool = True
    nat_source: str | None = None
    nat_destination: str | None = None
    untranslated: bool = False
    via: tuple[str, ...] = ()
    max_rtt_ns: int | None = None
    cause: str | None = None
    by: str | None = None
    unique: bool = False
    mac: str | None = None

    @property
    def asked(self) -> str:
        """The question in a few words: red → 8.8.8.8 tcp 443."""
        question = self.question
        words = [question.source, "→", question.destination, self.protocol]
        words += [f"{question.port}"] if question.port is not None else []
        words += [f"IPv{question.version}"] if question.version is not None else []
        words += [f"{question.size} bytes"] if question.size is not None else []
        return " ".join(words)

    @property
    def protocol(self) -> str:
        """By what is asked: the one that is said, else what follows from the port."""
        question = self.question
        if question.protocol is not None:
            return question.protocol
        said, port = _behind(question.destination)
        return said or ("tcp" if question.port is not None or port is not None else "icmp")

    @property
    def wanted(self) -> str:
        """What is expected, in a few words: blocked by iptables filter FORWARD policy."""
        if not self.reachable:
            thing = self.by or self.cause
            return f"blocked by {thing}" if thing else "blocked"
        if self.question.command == "arping":
            return "answered by one station" if self.unique else "answered"
        return "reachable"


def _behind(destination: str) -> tuple[str | None, int | None]:
    """The protocol and the port that are written behind an endpoint."""
    try:
        named = parse(destination)
    except WrongQuestion:  # said when the endpoint is looked for: a namespace may have such a name
        return None, None
    return named.protocol, named.port
