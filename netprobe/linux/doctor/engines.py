"""The container engines: whether each of them that is in use answers, and if not, what starts it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from netprobe.linux import files
from netprobe.linux.privilege import with_sudo
from netprobe.linux.runtimes.api import Busy, HttpAnswer, Silent, get
from netprobe.linux.runtimes.kinds import engine_of
from netprobe.linux.runtimes.sockets import Sockets
from netprobe.model.command import Command
from netprobe.model.examination import Finding, State
from netprobe.model.runtime import BY_KIND, RUNTIMES

Ask = Callable[[str, str], HttpAnswer]
PING = "/_ping"  # Docker Engine API; Podman has it as well
INSTEAD = "containers are known from /proc and the engine's files; of one that does not run little is said"


def engines(
    environment: Mapping[str, str], root: str, argv: Sequence[str], user: int, ask: Ask = get
) -> list[Finding]:
    """A finding for each engine that is in use on the machine whose files are below `root`; one that there
    is none.
    """
    found = [each for row in RUNTIMES for each in _kind(row.kind, environment, root, argv, user, ask)]
    return found or [Finding("engines", State.OK, "no container engine is in use here")]


def _kind(
    kind: str, environment: Mapping[str, str], root: str, argv: Sequence[str], user: int, ask: Ask
) -> list[Finding]:
    signs = [sign for sign in BY_KIND[kind].folders if _holds_something(files.Tree(root or "/"), sign)]
    if not BY_KIND[kind].service:
        return [_remembered(kind, signs[0])] if signs else []
    sockets = engine_of(kind).sockets(environment, root)
    if sockets.remark:
        return [_elsewhere(kind, sockets, environment, argv)]
    if sockets.paths:
        return [_asked(kind, address, root, argv, user, ask) for address in sockets.paths]
    if not signs:
        return []
    if kind == "podman":  # it needs no service
        return [_remembered(kind, signs[0])]
    return [_silent(kind, f"has no socket, and has been here: {signs[0]}", _start(kind, "start", root))]


def _holds_something(tree: files.Tree, folder: str) -> bool:
    """Whether there is anything in it, as far as we may see; the folder alone may be a package's."""
    try:
        return bool(tree.names(folder))
    except OSError:
        return False


def _remembered(kind: str, sign: str) -> Finding:
    return Finding(kind, State.OK, f"needs not be asked: its containers are known from {sign} and /proc")


def _elsewhere(kind: str, sockets: Sockets, environment: Mapping[str, str], argv: Sequence[str]) -> Finding:
    """The user's environment names an engine that cannot be asked."""
    named = [name for name in BY_KIND[kind].chosen_by if environment.get(name)]
    unset = [word for name in named for word in ("-u", name)]
    way = Command.of("env", *unset, *argv) if unset else Command.of(kind, "context", "use", "default")
    return _silent(kind, sockets.remark, way)


def _asked(kind: str, address: str, root: str, argv: Sequence[str], user: int, ask: Ask) -> Finding:
    try:
        answer = ask(address, PING)
    except PermissionError as error:
        way = Command.of(*with_sudo(argv)) if user != 0 else _start(kind, "restart", root)
        return _silent(kind, f"refuses us at {address}: {error.strerror}", way)
    except (Silent, Busy) as error:
        return _silent(kind, f"hangs at {address}: {error}", _start(kind, "restart", root))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return _silent(kind, f"does not answer at {address}: {why}", _start(kind, "start", root))
    return Finding(kind, State.OK, f"{answer.server or 'an engine'} answers at {address}")


def _silent(kind: str, fact: str, way: Command) -> Finding:
    return Finding(kind, State.LIMITED, fact, INSTEAD, way)


def _start(kind: str, verb: str, root: str) -> Command:
    """What starts an engine, on the machine whose files are below `root`."""
    tree, service = files.Tree(root or "/"), BY_KIND[kind].service
    words = ("systemctl", verb, service)
    if tree.exists("/etc/init.d/" + kind) and not tree.exists("/run/systemd/system"):  # sd_booted(3)
        words = ("service", kind, verb)
    return Command.of(*words, note="on the host of this container") if root else Command.of(*words)
