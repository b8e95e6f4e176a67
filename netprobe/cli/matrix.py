"""The command `matrix`: who reaches whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .ending import EXIT, INTERRUPTED, until_interrupted
from .others import allow_many_files, given_hosts
from .progress import Progress
from .streams import terminal_of, write

if TYPE_CHECKING:
    from netprobe.all_pairs import Matrix


def answer(settings: dict[str, Any], endpoints: tuple[str, ...], options: dict[str, Any]) -> int:
    """Ask, print; the exit code."""
    allow_many_files()
    found, interrupted = until_interrupted(lambda: _asked(settings, endpoints, options))
    from netprobe.formats import matrix_as

    text = matrix_as(found, options["output"], terminal_of(settings, options), settings["quiet"])
    write(text, options["out"])
    return INTERRUPTED if interrupted else EXIT[found.overall]


def _asked(settings: dict[str, Any], endpoints: tuple[str, ...], options: dict[str, Any]) -> Matrix:
    from netprobe.errors import WrongQuestion
    from netprobe.linux.sensors.crafter import Crafter
    from netprobe.session import Session

    if options["four"] and options["six"]:
        raise WrongQuestion("-4 and -6 contradict each other", "Write one of them.")
    named = {"": list(endpoints)}
    for name, members in map(_group, options["group"]):
        named.setdefault(name, []).extend(members)
    if not (options["everybody"] or options["network"] or any(named.values())):
        raise WrongQuestion(
            "no endpoints are given", "Write two or more, or --all, or --network docker:NAME."
        )
    given: dict[str, Any] = {name: options[name] for name in ("protocol", "port", "network")}
    given["version"] = {(True, False): 4, (False, True): 6}.get((options["four"], options["six"]))
    given["timeout"] = options["timeout"] / 1e9
    hosts = given_hosts(options)
    with (
        Crafter() as crafter,
        Session(settings["host"], options["exclude"], crafter, hosts) as session,
        _progress() as progress,
    ):
        return session.matrix(named, progress, all=options["everybody"], **given)


def _progress() -> Progress:
    return Progress("reading", "pairs", "asking again for what has not answered")


def _group(text: str) -> tuple[str, list[str]]:
    """The name and the endpoints of NAME=EP,EP."""
    from netprobe.errors import WrongQuestion

    name, equals, members = text.partition("=")
    if not (name and equals and members):
        raise WrongQuestion(f"{text} is no group", "Write --group web=c1,c2")
    return name, members.split(",")
