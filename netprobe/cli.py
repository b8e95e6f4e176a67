"""The command line: parse, one engine call, one renderer, an exit code. Heavy imports stay inside the commands."""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar

import click
from click.core import ParameterSource

from . import __version__

if TYPE_CHECKING:
    from .errors import NetprobeError
    from .model import Report
    from .question import Question
    from .render.terminal import Terminal

_T = TypeVar("_T")

_EXIT = {"reachable": 0, "unreachable": 1, "intermittent": 1, "undetermined": 4}
_OUTPUT_FAILED, _BUG, _INTERRUPTED, _PIPE_CLOSED = 74, 70, 130, 141
_LOOKING = ("trace", "arping", "ping", "why", "ls")  # the commands that look at this machine
_COMPLETING = "_NETPROBE_COMPLETE"  # set by the completion script of a shell
_UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF}


class Duration(click.ParamType[int]):
    """A time span as people write it: 1, 0.5, 200ms, 2s; a bare number is seconds. The value is ns."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The span in ns; click's own error for anything else."""
        from .duration import nanoseconds
        from .errors import WrongQuestion

        try:
            return value if isinstance(value, int) else nanoseconds(value)
        except WrongQuestion as error:
            hint = error.hint.removesuffix(".")
            self.fail("; ".join(filter(None, (str(error), hint[:1].lower() + hint[1:]))), param, ctx)


class Mark(click.IntRange):
    """A firewall mark, in decimal digits or as ip(8) and nft(8) print it: 16, 0x10."""

    name = "mark"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number; click's own error for anything else."""
        if isinstance(value, str) and re.fullmatch("0[xX][0-9a-fA-F]{1,16}", value):
            value = int(value, 16)
        return int(super().convert(value, param, ctx))


class Commands(click.Group):
    """The group of all commands: in the order in which a person meets them, and with the nearest name for a typo."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The commands in the order of their definition."""
        return list(self.commands)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """click's resolution, with a hint for a misspelt command."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            near = get_close_matches(args[0], self.list_commands(ctx), 2)
            if not near:
                raise
            raise click.UsageError(f"No such command '{args[0]}'. Did you mean {' or '.join(near)}?", ctx) from error


def _named(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """The name of a file or folder, which has a letter at least."""
    if value == "":
        raise click.BadParameter("the name is empty", ctx, param)
    return value


def _out(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """The file that `--out` names; - is standard output, as of `-w`."""
    return None if value == "-" else _named(ctx, param, value)


def _look_in(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    """Have the tools that print rulesets come from the folders of `--tool-path`."""
    if value is None:
        return
    from pathlib import Path

    folders = value.split(os.pathsep)
    for folder in folders:
        if not folder or not Path(folder).is_dir():
            raise click.BadParameter(f"{folder!r} is no folder", ctx, param)
    from .linux.netfilter.tools import look_in

    look_in(folders)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("-q", "--quiet", is_flag=True, help="Print the verdict line only.")
@click.option("-v", "--verbose", is_flag=True, help="Show tracebacks of netprobe's own bugs.")
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True, help="Colour the report.")
@click.option("--host", metavar="NS", help="The namespace that `host` names (default: the one netprobe runs in).")
@click.option(
    "--tool-path",
    metavar="DIR[:DIR]",
    callback=_look_in,
    expose_value=False,
    help="Look for nft and iptables in these folders first (default: the system's own; PATH is not searched).",
)
@click.version_option(__version__, "-V", "--version", prog_name="netprobe")
@click.pass_context
def cli(ctx: click.Context, /, **settings: Any) -> None:
    """Trace a packet through network namespaces, veths, bridges and NAT, and name the one object that stops it.

    Nothing on the machine is changed. Exit codes: 0 reachable, 1 not, 2 wrong question, 3 cannot look, 4 undetermined.
    """
    if ctx.invoked_subcommand not in _LOOKING:
        for name in ("host", "tool_path"):
            if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
                raise click.UsageError(f"--{name.replace('_', '-')} has no meaning for {ctx.invoked_subcommand}", ctx)
    ctx.obj = settings


_PROBE: tuple[Callable[..., Any], ...] = (
    click.option(
        "-p",
        "--protocol",
        type=click.Choice(["icmp", "udp", "tcp", "arp"]),
        help="Probe with this protocol.  [default: icmp; tcp with a port]",
    ),
    click.option("-P", "--port", type=click.IntRange(1, 65535), help="Destination port."),
    click.option("-c", "--count", type=click.IntRange(1, 100_000), default=1, show_default=True, help="Number of probes."),
    click.option("-W", "--timeout", type=Duration(), default="1s", show_default=True, help="How long to wait for an answer."),
    click.option("-i", "--interval", type=Duration(), default="200ms", show_default=True, help="Time between probes."),
    click.option("-4", "four", is_flag=True, help="Use IPv4."),
    click.option("-6", "six", is_flag=True, help="Use IPv6."),
    click.option("-s", "--size", type=click.IntRange(0, 65_507), help="ICMP or UDP payload bytes.  [default: 56]"),
    click.option("--df/--no-df", default=None, help="Forbid or allow fragmentation.  [default: as the kernel decides]"),
    click.option("--ttl", type=click.IntRange(1, 255), help="TTL or hop limit.  [default: the namespace's own]"),
    click.option("--source-address", metavar="ADDRESS", help="Send from this address."),
    click.option("--source-port", type=click.IntRange(1, 65535), help="Send from this port."),
    click.option("--mark", type=Mark(0, 0xFFFFFFFF), default=0, help="Firewall mark of the probe."),
    click.option("--uid", type=click.IntRange(0, 0xFFFFFFFE), help="User id that the probe is sent as."),
    click.option("--exclude", multiple=True, metavar="NS", help="Treat a namespace as not visible (repeatable)."),
)
_OUTPUT: tuple[Callable[..., Any], ...] = (
    click.option(
        "-o",
        "--output",
        type=click.Choice(["text", "wide", "json", "markdown", "svg"]),
        default="text",
        show_default=True,
        help="Format of the report.",
    ),
    click.option("--out", type=click.Path(dir_okay=False), callback=_out, help="Write the report to this file instead of stdout."),
)
_CAPTURE: tuple[Callable[..., Any], ...] = (
    click.option("-w", "--write", metavar="FILE.pcapng", callback=_named, help="Write the capture to this file; - is stdout."),
    click.option(
        "--captures",
        metavar="DIR",
        envvar="NETPROBE_CAPTURES",
        default="captures",
        show_default=True,
        callback=_named,
        help="Folder for captures, or none.",
    ),
)


def _with(*options: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Put several options on a command, in the order given."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


@cli.command(short_help="Follow a packet through every hop, both directions.")
@click.argument("src")
@click.argument("dst", metavar="DST[:PORT]")
@_with(*_PROBE, *_OUTPUT, *_CAPTURE)
@click.pass_obj
def trace(settings: dict[str, Any], /, src: str, dst: str, **options: Any) -> NoReturn:
    """Follow a packet from SRC to DST through every hop, both directions, and name the cause when it breaks.

    SRC is a namespace, a container, pid:N or path:FILE; DST one of these, an address or a host name. Example: netprobe trace red 8.8.8.8
    """
    _probe("trace", settings, src, dst, options)


@cli.command(short_help="Ask by ARP or NDP who has an address on a segment.")
@click.argument("src")
@click.argument("dst")
@_with(*_PROBE[2:7], *_PROBE[10:11], *_PROBE[14:], *_OUTPUT, *_CAPTURE)
@click.pass_obj
def arping(settings: dict[str, Any], /, src: str, dst: str, **options: Any) -> NoReturn:
    """Ask by ARP (NDP for IPv6) from SRC who has DST's address on their common segment.

    Shows every answer with MAC and time, and the frame's way over bridge and ports. Example: netprobe arping c1 c2
    """
    _probe("arping", settings, src, dst, options | {"protocol": "arp"})


@cli.command(short_help="Say in one line whether DST answers SRC, and why not.")
@click.argument("src")
@click.argument("dst", metavar="DST[:PORT]")
@_with(*_PROBE, *_OUTPUT, *_CAPTURE)
@click.pass_obj
def ping(settings: dict[str, Any], /, src: str, dst: str, **options: Any) -> NoReturn:
    """Say in one line whether DST answers SRC, and the cause when it does not."""
    _probe("ping", settings, src, dst, options)


@cli.command(short_help="Predict only: read the configuration, send nothing.")
@click.argument("src")
@click.argument("dst", metavar="DST[:PORT]")
@_with(*_PROBE, *_OUTPUT)
@click.pass_obj
def why(settings: dict[str, Any], /, src: str, dst: str, **options: Any) -> NoReturn:
    """Predict only: read the configuration, send nothing."""
    _probe("why", settings, src, dst, options | {"captures": "none", "write": None})


@cli.command(short_help="Print a saved run again, without privileges.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@_with(*_OUTPUT)
@click.pass_obj
def show(settings: dict[str, Any], /, file: str, **options: Any) -> NoReturn:
    """Print a saved run again - a capture of netprobe's or a JSON report - without privileges."""
    verdict, text = _understood(settings, (file,), lambda: _shown(settings, file, options))
    _write(text, options["out"])
    sys.exit(_EXIT[verdict])


def _shown(settings: dict[str, Any], file: str, options: dict[str, Any]) -> tuple[str, str]:
    """Verdict and text of a saved run."""
    from .session import load

    report = load(file)
    return report.verdict, _rendered(settings, report, options)


def _understood(settings: dict[str, Any], files: tuple[str, ...], work: Callable[[], _T]) -> _T:
    """What `work` makes of saved files. They may come from anybody: what contradicts itself is a bad file, and no bug of ours."""
    from .errors import NetprobeError, WrongQuestion

    try:
        return work()
    except (NetprobeError, ImportError, SyntaxError, BrokenPipeError):  # of a library, the middle two
        raise
    except Exception as error:
        if settings["verbose"] or _is_interruption(error):
            raise
        hint = "Is it as netprobe wrote it? Then run again with -v for the traceback, and report it."
        raise WrongQuestion(f"{' or '.join(files)} does not hold together: {type(error).__name__}: {error}", hint) from error


@cli.command(short_help="Say what changed between two saved runs.")
@click.argument("before", metavar="A", type=click.Path(exists=True, dir_okay=False))
@click.argument("after", metavar="B", type=click.Path(exists=True, dir_okay=False))
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Format of the comparison.")
@click.option("--out", type=click.Path(dir_okay=False), callback=_out, help="Write the comparison to this file instead of stdout.")
@click.pass_obj
def diff(settings: dict[str, Any], /, before: str, after: str, **options: Any) -> NoReturn:
    """Say what changed between two saved runs A and B: the answer, the path, the configuration. Exit 0: nothing, 1: something.

    A run is a capture of netprobe's or a JSON report. Example: netprobe diff captures/monday.pcapng captures/today.pcapng
    """
    same, text = _understood(settings, (before, after), lambda: _compared(settings, before, after, options))
    _write(text, options["out"])
    sys.exit(0 if same else 1)


def _compared(settings: dict[str, Any], before: str, after: str, options: dict[str, Any]) -> tuple[bool, str]:
    """Whether two saved runs are the same, and the text that says so."""
    from .formats import compared
    from .session import diff

    runs = diff(before, after)
    text = compared(runs.before, runs.after, runs.found, options["output"], _terminal(settings, options))
    return runs.found.same, text


@cli.command(name="ls", short_help="List namespaces and containers, and the veth to each.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Format of the list.")
@click.option("--out", type=click.Path(dir_okay=False), callback=_out, help="Write the list to this file instead of stdout.")
@click.pass_obj
def list_spaces(settings: dict[str, Any], /, **options: Any) -> NoReturn:
    """List namespaces and containers, their addresses, and the veth that leads to each."""
    from .formats import listed
    from .session import Session

    with Session(settings["host"]) as session:
        found = session.ls()
        for remark in session.heard():
            _complain(remark)
    _write(listed(found, options["output"], _terminal(settings, options)), options["out"])
    sys.exit(0)


def _codes(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """The codes that a shell may complete."""
    from .causes.pages import codes

    return [code for code in codes() if code.startswith(incomplete)]


@cli.command(short_help="Explain a cause; without CODE, list them all.")
@click.argument("code", required=False, shell_complete=_codes)
@click.option("--list", "listing", is_flag=True, help="List all codes, as without CODE.")
@click.option(
    "-o", "--output", type=click.Choice(["text", "json", "markdown"]), default="text", show_default=True, help="Format of the page."
)
@click.option("--out", type=click.Path(dir_okay=False), callback=_out, help="Write the page to this file instead of stdout.")
@click.pass_obj
def explain(settings: dict[str, Any], /, code: str | None, listing: bool, **options: Any) -> None:
    """Explain a cause: what it means, how netprobe recognises it, how to mend it. Without CODE, list them all."""
    from .causes.pages import pages
    from .formats import explained
    from .session import explain

    if listing and code is not None:
        raise click.UsageError("--list and CODE contradict each other", click.get_current_context())
    found = pages() if listing or code is None else (explain(code),)
    _write(explained(found, options["output"], _terminal(settings, options)), options["out"])


@cli.command(short_help="Break a private lab, and name the cause.")
@click.option("--break", "fault", metavar="NAME", help="Break this instead of the first of the list.")
@click.option("--list", "listing", is_flag=True, help="List the faults that --break knows.")
@click.option("--shell", is_flag=True, help="Open a shell inside the lab, to walk the tutorial by hand.")
def demo(fault: str | None, listing: bool, shell: bool) -> NoReturn:
    """Build a private lab, trace through it, break one thing and name the cause. Leaves nothing behind."""
    from .lab.demo import demo as run_demo
    from .lab.demo import listing as faults

    if listing and (fault is not None or shell):
        raise click.UsageError(f"--list and {'--shell' if shell else '--break'} contradict each other", click.get_current_context())
    if listing:
        click.echo(faults())
        sys.exit(0)
    sys.exit(run_demo(fault, shell, run_line))


@cli.command(short_help="Print the JSON Schema of the report.")
def schema() -> None:
    """Print the JSON Schema of the report."""
    from .codec import schema as report_schema

    _write(report_schema().decode() + "\n", None)


@cli.command(short_help="Print the completion script for a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script for a shell: eval "$(netprobe completion bash)"."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(cli, {}, "netprobe", _COMPLETING).source())


def _probe(command: str, settings: dict[str, Any], src: str, dst: str, options: dict[str, Any]) -> NoReturn:
    """One question from the command line: ask, save, print, exit."""
    from contextlib import ExitStack

    with ExitStack() as held:
        crafter = None
        if command != "why":
            from .linux.sensors.crafter import Crafter

            crafter = held.enter_context(Crafter())  # forked before anything heavy is imported: scapy loads beside pyroute2
        from .session import Session

        session = held.enter_context(Session(settings["host"], options.get("exclude") or (), crafter))
        run = session.run(_question(command, src, dst, options))
    failed = None
    if command != "why":
        from .saved import save

        run, failed = save(run, options["write"], options["captures"], _command_line())
    _print(_rendered(settings, run.report, options), options)
    if failed is not None:
        _complain(failed[0], failed[1])
        sys.exit(_OUTPUT_FAILED)
    sys.exit(_EXIT[run.report.verdict])


def _question(command: str, src: str, dst: str, options: dict[str, Any]) -> Question:
    from .errors import WrongQuestion
    from .question import Question

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
    from .errors import WrongQuestion

    write, out = options.get("write"), options.get("out")
    if write is None:
        return
    if click.get_current_context().get_parameter_source("captures") is ParameterSource.COMMANDLINE and options["captures"] != "none":
        raise WrongQuestion("-w and --captures are two places for one capture", "Write one of them.")
    if out is not None and os.path.realpath(write) == os.path.realpath(out) and not os.path.realpath(out).startswith("/dev/"):
        raise WrongQuestion("-w and --out name the same file", "Write two names: the capture and the report are two files.")


def _command_line() -> str:
    from .model.command import joined

    return joined(["netprobe", *sys.argv[1:]])


def _terminal(settings: dict[str, Any], options: dict[str, Any]) -> Terminal:
    """What the output can show: colour, width, character set."""
    import shutil

    from .render.terminal import terminal

    stdout = sys.stdout if options.get("out") is None else None
    to_terminal = stdout is not None and stdout.isatty()
    columns = shutil.get_terminal_size((0, 0)).columns if to_terminal else 0
    encoding = "utf-8" if stdout is None else (stdout.encoding or "ascii")
    return terminal(settings["color"], os.environ, isatty=to_terminal, columns=columns, encoding=encoding)


def _rendered(settings: dict[str, Any], report: Report, options: dict[str, Any]) -> str:
    from .formats import formatted

    return formatted(report, options["output"], _terminal(settings, options), quiet=settings["quiet"])


def _print(text: str, options: dict[str, Any]) -> None:
    """Write the report where it belongs: to stderr when stdout has the capture."""
    if options.get("write") != "-" or options["out"] is not None:
        _write(text, options["out"])
        return
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (OSError, ValueError):  # nobody is left to be told
        sys.exit(_OUTPUT_FAILED)


def _write(text: str, out: str | None) -> None:
    """Write to stdout, or to the file `out`; where that fails, exit 74 after saying so."""
    if out is not None:
        from .output import write_file

        try:
            write_file(out, text.encode("utf-8", "backslashreplace"))
            return
        except OSError as error:
            _complain(f"cannot write {out}: {error.strerror}", "The report is on standard output instead.")
            _write(text, None)
            sys.exit(_OUTPUT_FAILED)
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except UnicodeEncodeError:  # a character set of the environment's that has not every name
        _write(text.encode(sys.stdout.encoding, "backslashreplace").decode(sys.stdout.encoding), None)
    except OSError as error:
        _complain(f"cannot write the report: {_reason(error)}")
        _let_go_of_stdout()
        sys.exit(_OUTPUT_FAILED)


def _reason(error: OSError) -> str | None:
    return "standard output is closed" if error.errno == errno.EBADF else error.strerror


def _let_go_of_stdout() -> None:
    """Nobody can have what is still to be written; without this its buffer would be tried again at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(message: str, hint: str = "") -> None:
    """An error for people, on stderr: what, then what to do next. Where nobody can have it, the exit code says it alone."""
    from .render.escape import safe

    lines = [f"netprobe: {safe(message)}", *(f"  {safe(line)}" for line in hint.splitlines())]
    with suppress(OSError, ValueError):
        for line in lines:
            click.echo(line, err=True)


def run_line(arguments: list[str]) -> int:
    """Run one command line in this process; its exit code. Every error becomes a message and a code of the contract."""
    from .errors import NetprobeError

    try:
        return _run_command(arguments)
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 0
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        _complain(_in_our_words(error), f"What can be written: {_help_of(error)}")
        return 2
    except NetprobeError as error:
        return _told(error)
    except (KeyboardInterrupt, click.Abort):
        return _interrupted()
    except BrokenPipeError:
        _let_go_of_stdout()
        return _PIPE_CLOSED
    except Exception as error:
        if _is_interruption(error):
            return _interrupted()
        return _failed(error, "-v" in arguments or "--verbose" in arguments)


def _told(error: NetprobeError) -> int:
    """Its exit code, once it is said what is wrong."""
    _complain(str(error), error.hint)
    return error.exit_code


def _in_our_words(error: click.ClickException) -> str:
    """click's message as one of ours: no capital, no full stop, and no class of a programming language."""
    if isinstance(error, click.NoSuchOption):
        near = f"; did you mean {' or '.join(error.possibilities)}?" if error.possibilities else ""
        return f"no such option {error.option_name}{near}"
    message = error.format_message().rstrip(".").replace("is not a valid integer range", "is not a number")
    return message[:1].lower() + message[1:]


def _help_of(error: click.ClickException) -> str:
    """The command that shows the page about the one that the error is about."""
    from .model.command import joined

    context = getattr(error, "ctx", None)
    name = context.info_name if context is not None and context.parent is not None else None
    return joined(["netprobe", *([name] if name else []), "--help"])


def _run_command(arguments: list[str]) -> int:
    """click's own `main` would answer a closed pipe with 1, and write to a stderr that may be full."""
    if instruction := os.environ.get(_COMPLETING):
        return _complete(instruction)
    with cli.make_context("netprobe", list(arguments)) as context:
        cli.invoke(context)
    return 0


def _complete(instruction: str) -> int:
    """Answer the completion script of a shell, which asks by the environment."""
    from click.shell_completion import shell_complete

    from .errors import WrongQuestion

    with suppress(KeyError, ValueError, IndexError):
        if shell_complete(cli, {}, "netprobe", _COMPLETING, instruction) == 0:
            return 0
    raise WrongQuestion(f"{_COMPLETING} is set, and no shell asks for a completion", f"Unset {_COMPLETING} and run it again.")


def _interrupted() -> int:
    with suppress(OSError, ValueError):
        click.echo(err=True)  # the shell's prompt does not stand behind the ^C
    return _INTERRUPTED


def _is_interruption(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind it: where a class is made, Python 3.11 gives another name to what came (`__set_name__`)."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _failed(error: Exception, verbose: bool) -> int:
    """Say what nobody foresaw, and the exit code for it."""
    if isinstance(error, OSError) and error.errno in _UNWRITABLE and error.filename is None:  # a page of help into a full file
        _complain(f"cannot write: {_reason(error)}")
        _let_go_of_stdout()
        return _OUTPUT_FAILED
    from .errors import is_short, shortage

    if is_short(error) and not isinstance(error, BlockingIOError):  # EAGAIN of a stream is no shortage
        return _told(shortage(error))
    if verbose:
        import traceback

        with suppress(OSError, ValueError):
            traceback.print_exc()
    elif isinstance(error, ImportError):
        _complain(f"cannot load {error.name or 'a module'}: {error}", "Install netprobe again, with its dependencies.")
    else:
        _complain(f"a bug in netprobe: {type(error).__name__}: {error}", "Run again with -v for the traceback, and report it.")
    return _BUG


def program() -> int:
    """The command line of this process; its exit code."""
    import gc

    gc.set_threshold(100_000)  # what is imported and read stays to the end: looking for cycles in it takes a tenth of the time
    return run_line(sys.argv[1:])


def main() -> NoReturn:
    """The command line inside another program, which has its own way with signals."""
    sys.exit(program())
