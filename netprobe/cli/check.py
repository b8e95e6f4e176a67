"""`netprobe check`: read, ask, print."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from .ending import INTERRUPTED, until_interrupted
from .others import given_hosts
from .progress import Progress
from .streams import OUTPUT_FAILED, command_line, complain, terminal_of, write

if TYPE_CHECKING:
    from netprobe.checking import Check, Gathered, Written


def check_files(settings: dict[str, Any], files: tuple[str, ...], options: dict[str, Any]) -> int:
    """Ask, print what became of it; the exit code."""
    from netprobe.formats import checked

    _check_options(settings, options)
    read: list[Gathered] = []
    ask = partial(_recorded, files, options)
    if not options["recordings"]:
        ask = partial(_live, settings, files, options, read)
    found, interrupted = until_interrupted(ask)
    failed = None
    if options["write"] and not (interrupted and read[0].is_empty):  # then there is nothing to be missed
        failed = read[0].save(options["write"], command_line())
    write(
        checked(found, options["output"], terminal_of(settings, options), settings["quiet"]), options["out"]
    )
    if failed is not None:
        complain(*failed)
        return OUTPUT_FAILED
    return found.exit_code


def _check_options(settings: dict[str, Any], options: dict[str, Any]) -> None:
    """Raises WrongQuestion for an option that would be ignored."""
    from netprobe.errors import WrongQuestion

    sends = not options["changes"] and not options["recordings"]
    asked = {"--wait": options["wait"], "--write": options["write"]}
    if options["recordings"]:
        asked |= {"--host": settings["host"], "--exclude": options["exclude"]}
        asked |= {"-H": options["on_hosts"], "--hosts": options["hosts_file"]}
    if options["write"] == "-":
        raise WrongQuestion(
            "standard output has the result", "Name a file for the configuration: -w FILE.pcapng"
        )
    for name, value in asked.items():
        if value and not sends:
            other = "--from" if options["recordings"] else "--with"
            raise WrongQuestion(f"{name} has no meaning beside {other}", "Leave one of them out.")


def _recorded(files: tuple[str, ...], options: dict[str, Any]) -> Check:
    from netprobe.checking import check_model, read_files, recorded

    world = recorded(options["recordings"])
    with Progress("reading", "asked") as told:
        return check_model(
            world, read_files(files), options["changes"], " ".join(options["recordings"]), told
        )


def _live(
    settings: dict[str, Any], files: tuple[str, ...], options: dict[str, Any], read: list[Gathered]
) -> Check:
    from netprobe.linux.sensors.crafter import Crafter

    with ExitStack() as held:
        # forked before anything heavy is imported: scapy loads beside pyroute2
        crafter = held.enter_context(Crafter())
        from netprobe.checking import Gathered
        from netprobe.session import Session

        hosts = given_hosts(options)
        session = held.enter_context(Session(settings["host"], options["exclude"], crafter, hosts))
        told, gathered = held.enter_context(Progress("reading", "asked")), Gathered()
        read.append(gathered)
        spans = {name: f"{options[name]}ns" for name in ("wait", "timeout")}
        return session.check(*files, **spans, changes=options["changes"], told=told, gathered=gathered)


def write_expectations(settings: dict[str, Any], endpoints: tuple[str, ...], options: dict[str, Any]) -> int:
    """Ask each pair, write what answered; the exit code: 1 where nothing did."""
    found, interrupted = until_interrupted(lambda: _answers(settings, endpoints, options))
    write(found.text, options["out"])
    return INTERRUPTED if interrupted else int(not found)


def _answers(settings: dict[str, Any], endpoints: tuple[str, ...], options: dict[str, Any]) -> Written:
    from netprobe.linux.sensors.crafter import Crafter

    with ExitStack() as held:
        crafter = held.enter_context(Crafter())
        from netprobe.session import Session

        session = held.enter_context(Session(settings["host"], options["exclude"], crafter))
        told = held.enter_context(Progress("reading", "asked"))
        asked = {name: options[name] for name in ("protocol", "port", "blocked")}
        return session.expect(*endpoints, **asked, timeout=f"{options['timeout']}ns", told=told)
