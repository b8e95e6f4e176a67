"""The parameters of the commands: types of values, checks, and the options that several commands have."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

import click
from click.core import ParameterSource


class Duration(click.ParamType[int]):
    """A time span as people write it: 1, 0.5, 200ms, 2s; a bare number is seconds. The value is ns."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The span in ns; click's own error for anything else."""
        from netprobe.duration import nanoseconds
        from netprobe.errors import WrongQuestion

        try:
            return value if isinstance(value, int) else nanoseconds(value)
        except WrongQuestion as error:
            hint = error.hint.removesuffix(".")
            self.fail("; ".join(filter(None, (str(error), hint[:1].lower() + hint[1:]))), param, ctx)


class Wait(Duration):
    """A time span in which something can come: more than nothing."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The span in ns; click's own error for anything else, and for 0."""
        found = super().convert(value, param, ctx)
        if not found:
            self.fail(f"{value!r} leaves no time for an answer to come; write 1s, 200ms", param, ctx)
        return found


class FirewallMark(click.IntRange):
    """A firewall mark, in decimal digits or as ip(8) and nft(8) print it: 16, 0x10."""

    name = "mark"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number; click's own error for anything else."""
        if isinstance(value, str) and re.fullmatch("0[xX][0-9a-fA-F]{1,16}", value):
            value = int(value, 16)
        return int(super().convert(value, param, ctx))


def file_name(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """The name of a file or folder, which has a letter at least."""
    if value == "":
        raise click.BadParameter("the name is empty", ctx, param)
    return value


def file_names(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Names of files, each of which has a letter at least."""
    return tuple(name for each in value if (name := file_name(ctx, param, each)) is not None)


def report_file(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """The file that `--out` names; - is standard output, as of `-w`."""
    return None if value == "-" else file_name(ctx, param, value)


def look_in_folders(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    """Have the tools that print rulesets come from the folders of `--tool-path`."""
    if value is None:
        return
    from pathlib import Path

    folders = value.split(os.pathsep)
    for folder in folders:
        if not folder or not Path(folder).is_dir():
            raise click.BadParameter(f"{folder!r} is no folder", ctx, param)
    from netprobe.linux.netfilter.tools import look_in

    look_in(folders)


def endpoints(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """The namespaces and containers that a shell may complete."""
    from netprobe.linux.names.completion import known_names

    return [name for name in known_names() if name.startswith(incomplete)]


def faults(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """The faults that a shell may complete."""
    from netprobe.lab.faults import SECTIONS

    return [each.name for _, found in SECTIONS for each in found if each.name.startswith(incomplete)]


COLOURS = click.Choice(["auto", "always", "never"])


def _said_behind(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Put a general option that stands behind the command among the settings."""
    if value is not None and isinstance(ctx.obj, dict):  # where a shell completes there are none
        ctx.obj[param.name] = value


# what stands before any command, and may stand behind it
ANYWHERE: tuple[click.Option, ...] = tuple(
    click.Option(names, **kind, default=None, hidden=True, expose_value=False, callback=_said_behind)
    for names, kind in (
        (["-q", "--quiet"], {"is_flag": True}),
        (["-v", "--verbose"], {"is_flag": True}),
        (["--color"], {"type": COLOURS}),
    )
)

PROBE: tuple[Callable[..., Any], ...] = (
    click.option(
        "-p",
        "--protocol",
        type=click.Choice(["icmp", "udp", "tcp", "arp"]),
        help="Probe with this protocol.  [default: icmp; tcp with a port]",
    ),
    click.option("-P", "--port", type=click.IntRange(1, 65535), help="Destination port."),
    click.option(
        "-c",
        "--count",
        type=click.IntRange(1, 100_000),
        default=1,
        show_default=True,
        help="Number of probes.",
    ),
    click.option(
        "-W",
        "--timeout",
        type=Wait(),
        default="1s",
        show_default=True,
        help="How long to wait for an answer.",
    ),
    click.option(
        "-i", "--interval", type=Duration(), default="200ms", show_default=True, help="Time between probes."
    ),
    click.option("-4", "four", is_flag=True, help="Use IPv4."),
    click.option("-6", "six", is_flag=True, help="Use IPv6."),
    click.option(
        "-s", "--size", type=click.IntRange(0, 65_507), help="ICMP or UDP payload bytes.  [default: 56]"
    ),
    click.option(
        "--df/--no-df", default=None, help="Forbid or allow fragmentation.  [default: as the kernel decides]"
    ),
    click.option(
        "--ttl", type=click.IntRange(1, 255), help="TTL or hop limit.  [default: the namespace's own]"
    ),
    click.option("--source-address", metavar="ADDRESS", help="Send from this address."),
    click.option("--source-port", type=click.IntRange(1, 65535), help="Send from this port."),
    click.option("--mark", type=FirewallMark(0, 0xFFFFFFFF), default=0, help="Firewall mark of the probe."),
    click.option("--uid", type=click.IntRange(0, 0xFFFFFFFE), help="User id that the probe is sent as."),
    click.option(
        "--exclude",
        multiple=True,
        metavar="NS",
        shell_complete=endpoints,
        help="Treat a namespace as not visible (repeatable).",
    ),
    click.option(
        "--since",
        metavar="FILE|none",
        callback=file_name,
        help="When it fails, compare with this good run.  [default: the newest one in the captures folder]",
    ),
)


_JSON = "netprobe.json"  # in a context: that --json was there


def _json_is_meant(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    """Note `--json` for the option that it stands for, whichever of them comes first."""
    if not value:
        return
    ctx.meta[_JSON] = True
    if ctx.params.get("output") is not None:
        ctx.params["output"] = _format_meant(ctx, ctx.params["output"])


def _format(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """The format; that of `--json` where that was there."""
    if _JSON not in ctx.meta:
        return value
    given = ctx.get_parameter_source(param.name or "") is ParameterSource.COMMANDLINE
    return _format_meant(ctx, value) if given else "json"


def _format_meant(ctx: click.Context, given: str) -> str:
    if given != "json":
        raise click.UsageError(f"--json and -o {given} contradict each other", ctx)
    return given


def output(thing: str, *formats: str) -> tuple[Callable[..., Any], ...]:
    """The options for the format of a `thing` that a command prints, text first, and for the file that it
    goes to.
    """
    return (
        click.option(
            "-o",
            "--output",
            type=click.Choice(formats),
            default=formats[0],
            show_default=True,
            callback=_format,
            help=f"Format of the {thing}.",
        ),
        click.option(
            "--json",
            is_flag=True,
            expose_value=False,
            callback=_json_is_meant,
            help="The same as -o json.",
        ),
        click.option(
            "--out",
            type=click.Path(dir_okay=False),
            callback=report_file,
            help=f"Write the {thing} to this file instead of stdout.",
        ),
    )


OUTPUT: tuple[Callable[..., Any], ...] = (
    *output("report", "text", "wide", "json", "jsonl", "markdown", "html", "svg"),
    click.option(
        "--explain-all",
        "explained",
        is_flag=True,
        help="Show below the text each firewall rule that was passed, too.",
    ),
)
MATRIX: tuple[Callable[..., Any], ...] = (
    click.option("--all", "everybody", is_flag=True, help="Everybody who has an address takes part."),
    click.option(
        "--network",
        multiple=True,
        metavar="ENGINE:NAME",
        help="The containers on this network take part, as docker:front (repeatable).",
    ),
    click.option(
        "--group",
        multiple=True,
        metavar="NAME=EP[,EP]...",
        help="These endpoints stand together under one name (repeatable).",
    ),
    *PROBE[:2], *PROBE[3:4], *PROBE[5:7], *PROBE[14:15],
    *output("matrix", "text", "json", "csv", "junit", "markdown", "html"),
)  # fmt: skip
MAP: tuple[Callable[..., Any], ...] = (
    click.option(
        "--highlight",
        nargs=2,
        metavar="SRC DST",
        shell_complete=endpoints,
        help="Lay the predicted path from SRC to DST over it.",
    ),
    click.option("--all", "everything", is_flag=True, help="Show each namespace, however many there are."),
    *PROBE[14:15],
    *output("map", "text", "svg", "html", "dot", "mermaid", "json"),
)
CAPTURE: tuple[Callable[..., Any], ...] = (
    click.option(
        "-w",
        "--write",
        metavar="FILE.pcapng",
        callback=file_name,
        help="Write the capture to this file; - is stdout.",
    ),
    click.option(
        "--captures",
        metavar="DIR",
        envvar="NETPROBE_CAPTURES",
        default="captures",
        show_default=True,
        callback=file_name,
        help="Folder for captures, or none.",
    ),
)

WATCH = click.option(
    "--watch",
    is_flag=True,
    help="Ask again each second (-i), until q or -c rounds, and show a live table; -o jsonl streams it.",
)

CHECK: tuple[Callable[..., Any], ...] = (
    click.option(
        "--with", "changes", multiple=True, metavar="COMMAND",
        help="Send nothing: say what would hold after this command (repeatable).",
    ),
    click.option(
        "--from", "recordings", multiple=True, type=click.Path(), metavar="FILE.pcapng",
        callback=file_names,
        help="Send nothing: ask the configuration that this saved run has read (repeatable).",
    ),
    click.option(
        "--wait", type=Duration(), default="0", show_default=True,
        help="Ask what does not hold again, for so long.",
    ),
    click.option(
        "-w", "--write", metavar="FILE.pcapng", callback=file_name,
        help="Write the configuration that was read to this file, for --from.",
    ),
    *PROBE[3:4],
    *PROBE[14:15],
    *output("result", "text", "json", "junit", "tap", "prometheus", "markdown", "html"),
)  # fmt: skip

EXPECT: tuple[Callable[..., Any], ...] = (
    click.option(
        "-p", "--protocol", type=click.Choice(["icmp", "udp", "tcp"]),
        help="Ask with this protocol.  [default: icmp; tcp with a port]",
    ),
    *PROBE[1:2],
    *PROBE[3:4],
    *PROBE[14:15],
    click.option("--blocked", is_flag=True, help="Expect of what does not answer that it does not."),
    click.option(
        "--out", type=click.Path(dir_okay=False), callback=report_file,
        help="Write to this file instead of stdout.",
    ),
)  # fmt: skip


HOSTS: tuple[Callable[..., Any], ...] = (
    click.option(
        "-H", "on_hosts", multiple=True, metavar="HOST[,HOST]...",
        help="Ask these hosts over ssh, too: names of your ssh configuration. Endpoints are then HOST:NAME.",
    ),
    click.option(
        "--hosts", "hosts_file", metavar="FILE", callback=file_name,
        help="The same of all hosts in this file: an Ansible inventory, or names one a line.",
    ),
    click.option(
        "--ssh-config", metavar="FILE", callback=file_name,
        help="The configuration of ssh for these hosts.  [default: ssh's own]",
    ),
    click.option("--become", is_flag=True, help="Be root on these hosts by sudo, which must not ask."),
)  # fmt: skip


_LATER = "options_of_netprobe"  # what a function has its options under until its command is asked


def with_options(*options: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Put several options on a command, in the order given. They are made when it is asked for them: all
    options of all commands take as long as everything else of a command line.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        setattr(command, _LATER, options)
        return command

    return decorate


def later(command: Callable[..., Any] | None) -> list[click.Parameter]:
    """The options that `with_options` has put on the function of a command, made now."""

    def nothing() -> None:
        pass

    for option in reversed(getattr(command, _LATER, ())):
        option(nothing)
    return list(reversed(getattr(nothing, "__click_params__", [])))
