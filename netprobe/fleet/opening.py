"""From the hosts that were given to one world of them: all are connected to side by side, each is asked who
it is, and what could not be reached is kept with the reason and what to do next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from netprobe.errors import CannotLook, NetprobeError, NotPermitted, WrongQuestion
from netprobe.hosts import Hosts, is_name, on_host
from netprobe.linux import deadline
from netprobe.linux.machine import Machine
from netprobe.model.command import joined

from .connection import AgentConnection, ConnectionLost
from .host import Host
from .over_ssh import AT_ONCE, Destination, close_late, open_all
from .pipe import Pipe, open_pipe, sent
from .reached import Launched, Way, destinations
from .sample import chosen
from .sweep import sweep
from .world import HERE, Fleet

if TYPE_CHECKING:
    from netprobe.engine.world import Pauses
    from netprobe.model import Blind, Endpoint
    from netprobe.model.matrix import Member, Pair, Plan, Sweep
    from netprobe.wire.craft import Craft

MITOGEN = "pip install 'netns-netprobe[fleet]'"
DISTANCE_NS = 3_300_000_000  # for fifteen round trips of 200 ms, and a host that is busy
HELLO_S = 5.0  # for a host to say who it is, once it is connected
IDENTITY_S = 10.0  # for one to say which namespaces are its own and which are excluded, beside the others
ASKED_AT_ONCE = 4 * AT_ONCE  # hosts that are asked for this side by side
_NEEDED = {"enter namespaces (CAP_SYS_ADMIN)": 21, "watch packets (CAP_NET_RAW)": 13}  # capabilities(7)


class OpenFleet(Fleet):
    """The hosts, connected, and this machine where a source has no host in front; closed at the end of the
    `with` block, and with it every agent.
    """

    def __init__(
        self,
        hosts: Mapping[str, Host],
        unasked: Mapping[str, NetprobeError],
        crafter: Craft | None,
        held: ExitStack,
        here: tuple[str | None, Sequence[str]],
    ) -> None:
        super().__init__(hosts, unasked, crafter)
        self._held, self._here, self._names = held, here, (*hosts, *unasked)
        self._machines = dict(hosts)

    def __enter__(self) -> OpenFleet:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    @contextmanager
    def reading(self, limit_ns: int) -> Iterator[Pauses]:
        """In the block all reading together takes no longer than on one machine, and `DISTANCE_NS` more."""
        with super().reading(limit_ns + DISTANCE_NS) as pauses:
            yield pauses

    def resolve(self, text: str, inside: Endpoint | None = None) -> Endpoint:
        """The endpoint that `text` names; a source without a host in front is of this machine."""
        host, _ = on_host(text, self._names)
        if host is None and inside is None and HERE not in self._hosts:
            named, excluded = self._here
            self._hosts[HERE] = self._held.enter_context(Machine(named, excluded, self._crafter))
        try:
            return super().resolve(text, inside)
        except WrongQuestion as error:
            raise _of_host(error, host, text) from error

    # --- all pairs

    def members(
        self, endpoints: Sequence[Endpoint], groups: Sequence[str], version: int
    ) -> tuple[Member | Blind, ...]:
        """Each endpoint with its addresses of an IP version, or why it could not be looked at; the hosts are
        asked side by side. Raises WrongQuestion for one that is on none of them.
        """
        of: dict[str, list[int]] = {}
        for number, endpoint in enumerate(endpoints):
            host, _ = on_host(endpoint.namespace or "", self._names)
            if host is None:
                raise WrongQuestion(
                    f"{endpoint.endpoint} is on none of the hosts, which a matrix over hosts asks alone",
                    "Write HOST:NAME; `netprobe ls` with the same hosts lists them.",
                )
            of.setdefault(host, []).append(number)

        def told(host: str) -> Sequence[Member | Blind]:
            numbers = of[host]
            theirs = [endpoints[n] for n in numbers], [groups[n] for n in numbers]
            return self._machine(host).members(*theirs, version)

        with ThreadPoolExecutor(min(AT_ONCE, len(of))) as pool:
            found = dict(zip(of, pool.map(told, of), strict=True))
        by_number = {n: each for host in of for n, each in zip(of[host], found[host], strict=True)}
        return tuple(by_number[n] for n in range(len(endpoints)))

    def connected(self, network: str) -> tuple[str, ...]:
        """The running containers on the network of an engine of one host, h1:docker:front."""
        host, rest = on_host(network, self._names)
        if host is None:
            raise WrongQuestion(f"{network} does not say on which host it is", f"Write h1:{network}")
        return tuple(f"{host}:{each}" for each in self._machine(host).connected(rest))

    def _machine(self, host: str) -> Host:
        self._world_of(f"{host}:")  # raises where it cannot be asked
        return self._machines[host]

    def sweep(
        self,
        plan: Plan,
        progress: Callable[[int, int], None],
        meanwhile: Callable[[Sequence[Pair]], Iterable[object]],
    ) -> Sweep:
        """Ask all pairs of a matrix, or of very many some."""
        from netprobe.wire.craft import craft

        names = [member.namespace for member in plan.members]
        places: dict[str, Any] = {}
        for world in self._hosts.values():
            places |= world.opened(names)
        asked = chosen([name.partition(":")[0] for name in names])
        return sweep(plan, places, asked, progress, meanwhile, self._crafter or craft)

    def tidied(self, plan: Plan, pair: Pair) -> AbstractContextManager[None]:  # noqa: ARG002
        """Nothing is removed on other hosts: a pair that is asked alone leaves what all leave."""
        return nullcontext()


def open_fleet(
    hosts: Hosts, host: str | None = None, exclude: Sequence[str] = (), crafter: Craft | None = None
) -> OpenFleet:
    """Connect to all. Raises WrongQuestion for what was given, NotPermitted or CannotLook where no host at
    all can be asked; where some can, the others are blind spots.
    """
    to = destinations(hosts)
    by_ssh = any(isinstance(way, Destination) for way in to.values())
    if by_ssh and find_spec("mitogen") is None:
        raise CannotLook(
            "other hosts are reached by mitogen, which is not installed",
            MITOGEN,
        )
    apart, own = _excluded(exclude, to)
    with ExitStack() as held:
        opened = _open_all(to)
        connections = {name: found for name, found in opened.items() if isinstance(found, AgentConnection)}
        for connection in connections.values():
            held.enter_context(connection)
        unasked = {
            name: refusal(to[name], found)
            for name, found in opened.items()
            if not isinstance(found, AgentConnection)
        }
        unasked |= _without_rights(connections)
        asked = {name: each for name, each in connections.items() if name not in unasked}
        found = _side_by_side(
            asked, lambda name: Host(name, asked[name], apart.get(name, ()), crafter, by_hand(to[name]))
        )
        unasked |= {name: each for name, each in found.items() if isinstance(each, NetprobeError)}
        worlds = {name: each for name, each in found.items() if not isinstance(each, NetprobeError)}
        for world in worlds.values():
            held.enter_context(world)
        if not worlds:
            raise next(iter(unasked.values()))
        return OpenFleet(worlds, unasked, crafter, held.pop_all(), (host, own))


def _side_by_side(
    connections: Mapping[str, AgentConnection], make: Callable[[str], Host]
) -> dict[str, Host | NetprobeError]:
    """Each host as a machine, made within IDENTITY_S, or why it is none: whatever one of them does is its
    own. Raises WrongQuestion.
    """

    def made(name: str) -> Host | NetprobeError:
        try:
            with deadline.within(IDENTITY_S):
                return make(name)
        except WrongQuestion:
            raise
        except NetprobeError as error:
            return error
        except Exception as error:
            return CannotLook(f"{name} is connected, and cannot be asked ({error!r:.80})")

    with ThreadPoolExecutor(min(ASKED_AT_ONCE, max(1, len(connections)))) as pool:
        try:
            return dict(zip(connections, pool.map(made, connections), strict=True))
        except BaseException:  # nobody waits any more for what the others say
            for each in connections.values():
                each.lose("it was given up")
            raise


def _open_all(to: Mapping[str, Way]) -> dict[str, AgentConnection | ConnectionLost]:
    """Connections to all of these, made side by side, or why there is none."""
    launched = {name: way for name, way in to.items() if isinstance(way, Launched)}
    by_ssh = {name: way for name, way in to.items() if isinstance(way, Destination)}
    opened: dict[str, AgentConnection | ConnectionLost] = {}
    attempts: list[Pipe] = []
    with ThreadPoolExecutor(min(AT_ONCE, 1 + len(launched))) as pool:
        others = {name: pool.submit(_launch, name, way, attempts) for name, way in launched.items()}
        try:
            opened |= open_all(by_ssh)
            return opened | {name: each.result() for name, each in others.items()}
        except BaseException:  # Ctrl-C: what is connected by then has nobody who would close it
            for each in others.values():
                each.cancel()
            for attempt in tuple(attempts):
                attempt.give_up()
            for each in others.values():
                each.add_done_callback(close_late)
            for connection in opened.values():
                if isinstance(connection, AgentConnection):
                    connection.close()
            raise


def _launch(name: str, way: Launched, attempts: list[Pipe]) -> AgentConnection | ConnectionLost:
    words = way.words if way.is_there else (*way.words, *sent())
    try:
        return open_pipe(name, words, not way.is_there, under_way=attempts)
    except ConnectionLost as error:
        return error
    except OSError as error:
        return ConnectionLost(error.errno or 0, f"cannot reach {name}: {way.words[0]}: {error.strerror}")


def _of_host(error: WrongQuestion, host: str | None, text: str) -> WrongQuestion:
    """What is wrong with an endpoint, with the host that it is on, or may be meant to be on."""
    if host is not None:
        listed = joined(("netprobe", "ls", "-H", host))
        return WrongQuestion(f"{host}: {error}", error.hint.replace("netprobe ls`", f"{listed}`"))
    front, colon, _ = text.partition(":")
    if not colon or not is_name(front):
        return error
    return WrongQuestion(f"{front} is none of the hosts that are given", f"Add it: -H {front}\n{error.hint}")


def _excluded(exclude: Sequence[str], hosts: Mapping[str, Any]) -> tuple[dict[str, list[str]], list[str]]:
    """What of `--exclude` is on which host, and what on this machine."""
    apart: dict[str, list[str]] = {}
    own = []
    for text in exclude:
        host, rest = on_host(text, hosts)
        if host is None:
            own.append(text)
        else:
            apart.setdefault(host, []).append(rest)
    return apart, own


def _without_rights(connections: Mapping[str, AgentConnection]) -> dict[str, NetprobeError]:
    """Those whose agent may not look, or does not say who it is."""
    asked = {name: each.begin("hello", timeout=HELLO_S) for name, each in connections.items()}
    found: dict[str, NetprobeError] = {}
    for name, pending in asked.items():
        try:
            said = pending.result()
        except OSError as error:
            found[name] = CannotLook(f"{name} is connected, and does not answer: {error.strerror}")
            continue
        capabilities = said.get("capabilities") if isinstance(said, dict) else None
        may = capabilities if isinstance(capabilities, int) else 0
        lacking = [what for what, bit in _NEEDED.items() if not may >> bit & 1]
        if lacking:
            found[name] = NotPermitted(
                f"the user that ssh logs in as may not {' nor '.join(lacking)} on {name}",
                f"Log in as root (User root in the ssh configuration, or -H root@{name}), or be root by sudo:"
                " --become",
            )
    return found


# --- why a host is not reached, and what to do next


def by_hand(to: Way) -> tuple[str, ...] | None:
    """The words before a command that a person runs on the host; None where no line of ours would get there
    whole: a forced command runs nothing else, and behind an ssh in other words more shells read it than ours.
    """
    if not isinstance(to, Launched):
        return ("ssh", *to.arguments, to.name, *to.become)
    has_ssh = any(word.rpartition("/")[2] == "ssh" for word in to.words)
    return None if to.is_there or has_ssh else to.words


def refusal(to: Way, error: ConnectionLost) -> NetprobeError:
    """The error for people that a refused connection becomes."""
    words = to.words if isinstance(to, Launched) else ("ssh", *to.arguments, to.name)
    login = joined(words)
    trial = login if isinstance(to, Launched) and to.is_there else f"{login} true"
    hints = {
        "network": f"Look whether this works: {trial}",
        "login": f"This must work without a question: {login} true\nAn ssh agent, or a key without a"
        " passphrase, does.",
        "key unknown": f"Log in once by hand, and compare the key that ssh shows: {login}",
        "key changed": "Make sure that it is the same host; then forget its old key (ssh-keygen -R), and"
        f" log in once by hand: {login}",
        "python": "Install python3 (3.6 or later) there, or leave the host out: it is then not seen.",
        "old python": "Install python3 (3.6 or later) there, or leave the host out: it is then not seen.",
        "become": "Log in as root, or let sudo run python3 without a password (NOPASSWD in sudoers).",
        "mitogen": MITOGEN,
    }
    is_right = error.kind in ("login", "become")
    text = error.strerror or str(error)
    return (NotPermitted if is_right else CannotLook)(text, hints.get(error.kind, hints["network"]))
