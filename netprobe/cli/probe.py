"""One question from the command line: asked, saved, printed. Heavy imports stay inside."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import click
from click.core import ParameterSource

from .ending import EXIT, INTERRUPTED, until_interrupted
from .others import given_hosts
from .progress import Progress
from .streams import OUTPUT_FAILED, command_line, complain, print_report, rendered

if TYPE_CHECKING:
    from netprobe.engine import Recall
    from netprobe.question import Question


def probe(command: str, settings: dict[str, Any], src: str, dst: str, options: dict[str, Any]) -> NoReturn:
    """One question from the command line: ask, save, print, exit."""
    from contextlib import ExitStack

    with ExitStack() as held:
        crafter = None
        if command != "why":
            from netprobe.linux.sensors.crafter import Crafter

            # forked before anything heavy is imported: scapy loads beside pyroute2
            six = bool(options["six"]) or dst.count(":") > 1
            crafter = held.enter_context(Crafter(six))
        question, hosts = _question(command, src, dst, options), given_hosts(options)
        if options.get("watch"):
            from .watch import answer

            sys.exit(answer(question, settings, options, crafter, _recall(options)))
        from netprobe.session import Session

        exclude = options.get("exclude") or ()
        session = held.enter_context(Session(settings["host"], exclude, crafter, hosts))
        recall = _recall(options)
        many = f", {question.count} probes" if question.count > 1 else ""
        with Progress(f"{command}{many}"):
            run, interrupted = until_interrupted(lambda: session.run(question, recall))
            run = session.with_holders(run)
    failed = None
    if options["write"] is not None or options["captures"] != "none":
        from netprobe.saved import save

        run, failed = save(run, options["write"], options["captures"], command_line())
    print_report(rendered(settings, run.report, options), options)
    if failed is not None:
        complain(failed[0], failed[1])
        sys.exit(OUTPUT_FAILED)
    sys.exit(INTERRUPTED if interrupted else EXIT[run.report.verdict])


def _recall(options: dict[str, Any]) -> Recall | None:
    """Where an earlier good run may be: the file that is named, else the folder that captures go to."""
    since, folder = options["since"], options["captures"]
    if since == "none" or (since is None and (folder == "none" or options["write"] is not None)):
        return None
    from netprobe.earlier import RunOfFile, RunsOfFolder

    return RunOfFile(since) if since is not None else RunsOfFolder(folder)


def _question(command: str, src: str, dst: str, options: dict[str, Any]) -> Question:
    from netprobe.errors import WrongQuestion
    from netprobe.question import Question

    _check_files(options)
    if options["four"] and options["six"]:
        raise WrongQuestion("-4 and -6 contradict each other", "Write one of them.")
    versions: dict[tuple[bool, bool], Literal[4, 6]] = {(True, False): 4, (False, True): 6}
    version = versions.get((options["four"], options["six"]))
    asked = ("protocol", "port", "count", "size", "ttl", "df", "source_address", "source_port", "mark", "uid")
    given = {name: options[name] for name in asked if options.get(name) is not None}
    spans = {f"{name}_ns": options[name] for name in ("interval", "timeout") if name in options}
    return Question(src, dst, command, version=version, send=command != "why", **given, **spans)


def _check_files(options: dict[str, Any]) -> None:
    """Raises WrongQuestion when the capture would have two places, or would be overwritten by the report."""
    from netprobe.errors import WrongQuestion

    write, out = options.get("write"), options.get("out")
    if write is None:
        return
    if (
        click.get_current_context().get_parameter_source("captures") is ParameterSource.COMMANDLINE
        and options["captures"] != "none"
    ):
        raise WrongQuestion("-w and --captures are two places for one capture", "Write one of them.")
    if (
        out is not None
        and os.path.realpath(write) == os.path.realpath(out)
        and not os.path.realpath(out).startswith("/dev/")
    ):
        raise WrongQuestion(
            "-w and --out name the same file", "Write two names: the capture and the report are two files."
        )
