"""The commands: one engine call, one renderer, an exit code each. Heavy imports stay inside them."""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import Any, NoReturn

import click
from click.core import ParameterSource

from netprobe import __version__

from .ending import COMPLETING, EXAMINED, EXIT, run
from .group import Commands
from .kept import compared_runs, shown, understood
from .others import given_hosts
from .parameters import (
    CAPTURE,
    CHECK,
    COLOURS,
    EXPECT,
    HOSTS,
    MAP,
    MATRIX,
    OUTPUT,
    PROBE,
    WATCH,
    endpoints,
    faults,
    look_in_folders,
    output,
    with_options,
)
from .probe import probe
from .progress import Progress
from .streams import complain, terminal_of, write

_LOOKING = (
    "trace",
    "arping",
    "ping",
    "why",
    "check",
    "expect",
    "matrix",
    "map",
    "ls",
)  # the commands that look at this machine


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "-q", "--quiet", is_flag=True, help="Print the verdict line only. This and the next two may stand behind."
)
@click.option("-v", "--verbose", is_flag=True, help="Show tracebacks of netprobe's own bugs.")
@click.option("--color", type=COLOURS, default="auto", show_default=True, help="Colour the report.")
@click.option(
    "--host",
    metavar="NS",
    shell_complete=endpoints,
    help="The namespace that `host` names (default: the one netprobe runs in).",
)
@click.option(
    "--tool-path",
    metavar="DIR[:DIR]",
    callback=look_in_folders,
    expose_value=False,
    help=(
        "Look for nft and iptables in these folders first (default: the system's own; PATH is not searched)."
    ),
)
@click.version_option(__version__, "-V", "--version", prog_name="netprobe")
@click.pass_context
def cli(ctx: click.Context, /, **settings: Any) -> None:
    """Trace a packet through network namespaces, bridges and NAT, and name the one object that stops it.

    Nothing on the machine is changed. Exit codes: 0 reachable, 1 not, 2 wrong question, 3 cannot look, 4
    undetermined.
    """
    for name, commands in (("host", _LOOKING), ("tool_path", (*_LOOKING, "doctor"))):
        given = ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if given and ctx.invoked_subcommand not in commands:
            raise click.UsageError(
                f"--{name.replace('_', '-')} has no meaning for {ctx.invoked_subcommand}", ctx
            )
    ctx.obj = settings


@cli.command(short_help="Follow a packet through every hop, both directions.")
@click.argument("src", shell_complete=endpoints)
@click.argument("dst", metavar="DST[:PORT]", shell_complete=endpoints)
@with_options(*PROBE, *HOSTS, WATCH, *OUTPUT, *CAPTURE)
@click.pass_obj
def trace(settings: dict[str, Any], /, src: str, dst: str, **options: Any) -> NoReturn:
    """Follow a packet from SRC to DST through every hop, both directions, and name the cause when it breaks.

    SRC is a namespace, a container, pid:N or path:FILE; DST one of these, an address or a host name. Example:
    netprobe trace red 8.8.8.8
    """
    probe("trace", settings, src, dst, options)


@cli.command(short_help="Ask by ARP or NDP who has an address on a segment.")
@click.argument("src", shell_complete=endpoints)
@click.argument("dst", shell_complete=endpoints)
@with_options(*PROBE[2:7], *PROBE[10:11], *PROBE[14:], *HOSTS, *OUTPUT, *CAPTURE)
@click.pass_obj
def arping(settings: dict[str, Any], /, src: str, dst: str, **options: Any) -> NoReturn:
    """Ask by ARP (NDP for IPv6) from SRC who has DST's address on their common segment.

    Shows every answer with MAC and time, and the frame's way over bridge and ports. Example: netprobe arping
    c1 c2
    """
    probe("arping", settings, src, dst, options | {"protocol": "arp"})


@cli.command(short_help="Say in one line whether DST answers SRC, and why not.")
@click.argument("src", shell_complete=endpoints)
@click.argument("dst", metavar="DST[:PORT]", shell_complete=endpoints)
@with_options(*PROBE, *HOSTS, WATCH, *OUTPUT, *CAPTURE)
@click.pass_obj
def ping(settings: dict[str, Any], /, src: str, dst: str, **options: Any) -> NoReturn:
    """Say in one line whether DST answers SRC, and the cause when it does not."""
    probe("ping", settings, src, dst, options)


@cli.command(short_help="Predict only: read the configuration, send nothing.")
@click.argument("src", shell_complete=endpoints)
@click.argument("dst", metavar="DST[:PORT]", shell_complete=endpoints)
@with_options(*PROBE, *HOSTS, *OUTPUT)
@click.pass_obj
def why(settings: dict[str, Any], /, src: str, dst: str, **options: Any) -> NoReturn:
    """Predict only: read the configuration, send nothing."""
    probe("why", settings, src, dst, options | {"captures": "none", "write": None})


@cli.command(short_help="Say who reaches whom, and why not.")
@click.argument("endpoints", nargs=-1, metavar="[EP]...", shell_complete=endpoints)
@with_options(*MATRIX, *HOSTS)
@click.pass_obj
def matrix(settings: dict[str, Any], /, endpoints: tuple[str, ...], **options: Any) -> NoReturn:
    """Ask each endpoint for each other one, all from one process, and say who reaches whom.

    Pairs that fail for one cause are one line, with what mends it. Each EP is a namespace or a container.
    Example: netprobe matrix red c1 c2
    """
    from .matrix import answer

    sys.exit(answer(settings, endpoints, options))


@cli.command(short_help="Ask whether declared expectations hold.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(allow_dash=True))
@with_options(*CHECK, *HOSTS)
@click.pass_obj
def check(settings: dict[str, Any], /, files: tuple[str, ...], **options: Any) -> NoReturn:
    """Ask whether the expectations in each FILE (YAML; - is stdin) hold. Exit 0: all do, 1: one fails.

    Example: netprobe check --wait 30s -o junit --out net.xml net.yaml
    """
    from .check import check_files

    sys.exit(check_files(settings, files, options))


@cli.command(short_help="Write a file of expectations from what works now.")
@click.argument("endpoints", metavar="[EP]...", nargs=-1, shell_complete=endpoints)
@with_options(*EXPECT)
@click.pass_obj
def expect(settings: dict[str, Any], /, endpoints: tuple[str, ...], **options: Any) -> NoReturn:
    """Write a file of expectations from what works now, for `netprobe check`: each EP asks each other one.

    Without EP, all namespaces that have an address. Example: netprobe expect --out net.yaml c1 c2 8.8.8.8
    """
    from .check import write_expectations

    sys.exit(write_expectations(settings, endpoints, options))


@cli.command(name="map", short_help="Show how namespaces are wired, and who translates.")
@click.argument("endpoints", metavar="[EP]...", nargs=-1, shell_complete=endpoints)
@with_options(*MAP)
@click.pass_obj
def show_map(settings: dict[str, Any], /, endpoints: tuple[str, ...], **options: Any) -> NoReturn:
    """Show how namespaces are wired: cables, bridges and their ports, tunnels, ways out, translation.

    With EP only what is connected with it. With -q the answer of the path alone, or the names. Example:
    netprobe map --highlight red 8.8.8.8 -o svg --out map.svg
    """
    from .wiring import show

    sys.exit(show(settings, endpoints, options))


@cli.command(short_help="Print a saved run again, without privileges.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@with_options(*OUTPUT)
@click.pass_obj
def show(settings: dict[str, Any], /, file: str, **options: Any) -> NoReturn:
    """Print a saved run again - a capture of netprobe's or a JSON report - without privileges."""
    verdict, text = understood(settings, (file,), lambda: shown(settings, file, options))
    write(text, options["out"])
    sys.exit(EXIT[verdict])


@cli.command(short_help="Say what changed between two saved runs.")
@click.argument("before", metavar="A", type=click.Path(exists=True, dir_okay=False))
@click.argument("after", metavar="B", type=click.Path(exists=True, dir_okay=False))
@with_options(*output("comparison", "text", "json"))
@click.pass_obj
def diff(settings: dict[str, Any], /, before: str, after: str, **options: Any) -> NoReturn:
    """Say what changed between two saved runs A and B: the answer, the path, the configuration.
    Exit 0: nothing, 1: something.

    A run is a capture of netprobe's or a JSON report. Example: netprobe diff captures/monday.pcapng
    captures/today.pcapng
    """
    same, text = understood(
        settings, (before, after), lambda: compared_runs(settings, before, after, options)
    )
    write(text, options["out"])
    sys.exit(0 if same else 1)


@cli.command(name="ls", short_help="List namespaces and containers, and the veth to each.")
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=endpoints)
@with_options(*HOSTS, *output("list", "text", "json"))
@click.pass_obj
def list_spaces(settings: dict[str, Any], /, names: tuple[str, ...], **options: Any) -> NoReturn:
    """List namespaces and containers, their addresses, and the veth that leads to each.

    With NAME those alone one of whose names, kinds or addresses holds it; with * or ? in it, fits it as a
    whole. Exit 1 where there is none. With -q their names alone, as they are typed.
    """
    from netprobe.formats import listed
    from netprobe.session import Session

    hosts = given_hosts(options)
    with Session(settings["host"], hosts=hosts) as session, Progress("looking"):
        found, remarks = session.ls(*names), session.heard()
    for remark in remarks:
        complain(remark)
    text = listed(found, options["output"], terminal_of(settings, options), settings["quiet"])
    write(text, options["out"])
    sys.exit(0 if found else 1)


@cli.command(short_help="Say what netprobe can see here, and what helps.")
@with_options(*output("examination", "text", "json"))
@click.pass_obj
def doctor(settings: dict[str, Any], /, **options: Any) -> NoReturn:
    """Say what this machine lets netprobe see, and the command that helps where it does not.

    Nothing is changed. Exit 0: all is seen, 1: less than all, 3: no question can be asked.
    """
    from netprobe.formats import examined
    from netprobe.linux.doctor.examine import examine

    with Progress("looking"):
        found = examine(os.environ, sys.argv)
    write(
        examined(found, options["output"], terminal_of(settings, options), settings["quiet"]), options["out"]
    )
    sys.exit(EXAMINED[found.state])


def _codes(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """The codes that a shell may complete."""
    from netprobe.causes.pages import codes

    return [code for code in codes() if code.startswith(incomplete)]


def _commands(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """The commands that a shell may complete."""
    return [name for name in cli.commands if name.startswith(incomplete)]


@cli.command(short_help="Explain a cause; without CODE, list them all.")
@click.argument("code", required=False, shell_complete=_codes)
@click.option("--list", "listing", is_flag=True, help="List all codes, as without CODE.")
@with_options(*output("page", "text", "json", "markdown"))
@click.pass_obj
def explain(settings: dict[str, Any], /, code: str | None, listing: bool, **options: Any) -> None:
    """Explain a cause: what it means, how netprobe recognises it, how to mend it.

    Without CODE, list them all.
    """
    from netprobe.answers import explain
    from netprobe.causes.pages import pages
    from netprobe.formats import explained

    if listing and code is not None:
        raise click.UsageError("--list and CODE contradict each other", click.get_current_context())
    found = pages() if listing or code is None else (explain(code),)
    write(explained(found, options["output"], terminal_of(settings, options)), options["out"])


@cli.command(short_help="Break a private lab, and name the cause.")
@click.option(
    "--break",
    "fault",
    metavar="NAME",
    shell_complete=faults,
    help="Break this instead of the first of the list.",
)
@click.option("--list", "listing", is_flag=True, help="List the faults that --break knows.")
@click.option("--shell", is_flag=True, help="Open a shell inside the lab, to walk the tutorial by hand.")
def demo(fault: str | None, listing: bool, shell: bool) -> NoReturn:
    """Build a private lab, trace through it, break one thing and name the cause. Leaves nothing behind."""
    from netprobe.lab.demo import demo as run_demo
    from netprobe.lab.demo import listing as faults

    if listing and (fault is not None or shell):
        raise click.UsageError(
            f"--list and {'--shell' if shell else '--break'} contradict each other",
            click.get_current_context(),
        )
    if listing:
        write(faults(terminal_of({"color": "never"}, {}).width) + "\n", None)
        sys.exit(0)
    sys.exit(run_demo(fault, shell, partial(run, cli)))


@cli.command(short_help="Print the JSON Schema of the report.")
@click.argument(
    "output",
    metavar="[report|check|map|watch]",
    type=click.Choice(["report", "check", "map", "watch"]),
    default="report",
)
def schema(output: str) -> None:
    """Print the JSON Schema of the report, of what `netprobe check -o json` or `map -o json` prints, or of a
    line of `--watch -o jsonl`.
    """
    from netprobe import codec

    schemas = {
        "report": codec.schema,
        "check": codec.check_schema,
        "map": codec.wiring_schema,
        "watch": codec.watch_schema,
    }
    made = schemas[output]()
    write(made.decode() + "\n", None)


@cli.command(short_help="Print the completion script for a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script for a shell: eval "$(netprobe completion bash)"."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(cli, {}, "netprobe", COMPLETING).source())


@cli.command(name="help", short_help="Print the help of a command.")
@click.argument("command", required=False, metavar="[COMMAND]", shell_complete=_commands)
@click.pass_context
def help_of(ctx: click.Context, /, command: str | None) -> None:
    """Print the help of a command, as netprobe COMMAND --help does; without COMMAND that of netprobe."""
    root = ctx.find_root()
    if command is None:
        click.echo(root.get_help())
        return
    _, found, _ = cli.resolve_command(root, [command])
    assert found is not None
    with click.Context(found, info_name=command, parent=root) as inner:
        click.echo(found.get_help(inner))
