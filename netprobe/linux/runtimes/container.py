"""A container as its runtime describes it, and the words about one that has no namespace to look into."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator

from msgspec import Struct, structs

from netprobe.model.command import joined
from netprobe.model.engines import EngineContainer, EngineEndpoint, PublishedPort
from netprobe.model.runtime import BY_KIND

WHOLE_ID = re.compile(r"[0-9a-f]{64}")
# what counts as an id that was cut short: 12 digits is what `docker ps` prints
SHORT_ID = re.compile(r"[0-9a-f]{12,64}")
GONE = {"exited": "stopped", "stopped": "stopped", "dead": "dead", "removing": "being removed"}
USER_SPACE = ("pasta", "slirp4netns")  # how a rootless Podman connects a container
_WITHOUT_NETWORKS = (*USER_SPACE, "none", "host", "container", "ns", "private")


class Container(Struct, frozen=True):
    """What a runtime says about one container.

    Every field is the runtime's word, to be verified before it is trusted.

    `runtime` is the prefix to write before the name; `pid` the container's first process, 0 when it has none.
    `state` in the runtime's own words: created, running, paused, restarting, exited, dead, ... `network` is
    what was asked for when it was made: host, none, container:ID or the name of a network; `networks` those
    it is connected to now, None when not known. `ended` is when it stopped, in seconds since the epoch.
    `owner`: the user whose word all this is; 0: root's or that of who asks.
    """

    runtime: str
    id: str
    name: str
    pid: int = 0
    state: str = "running"
    network: str = ""
    networks: tuple[str, ...] | None = None
    exit_code: int | None = None
    ended: float | None = None
    aliases: tuple[str, ...] = ()
    owner: int = 0
    published: tuple[PublishedPort, ...] = ()
    endpoints: tuple[EngineEndpoint, ...] = ()

    def is_called(self, name: str) -> bool:
        """Whether `name` means this container: its exact name, its whole id, or at least 12 hex digits of
        that.
        """
        if name in (self.name, self.id) or name in self.aliases:
            return True
        return SHORT_ID.fullmatch(name) is not None and self.id.startswith(name)

    @property
    def told(self) -> EngineContainer:
        """What of it a diagnosis looks at."""
        told = (self.runtime, self.name, self.state, self.networks, self.published, self.endpoints)
        return EngineContainer(*told)

    @property
    def text(self) -> str:
        """The unambiguous way to write it."""
        return f"{self.runtime}:{self.name}"

    @property
    def text_by_id(self) -> str:
        """The way to write it when another container has the same name."""
        return f"{self.runtime}:{self.id[:12]}"


changed = structs.replace  # a container with some fields of other values


def with_owner(container: Container, name_of: Callable[[str], str]) -> Container:
    """`container` with the name of the one whose network it shares in the place of that one's id."""
    kind, _, identity = container.network.partition(":")
    if kind != "container" or not WHOLE_ID.fullmatch(identity):
        return container
    return changed(container, network=f"container:{name_of(identity) or identity[:12]}")


def label(container: Container) -> str:
    """What is not ordinary about the network of a running container, in few words; empty for an ordinary
    one.
    """
    return ", ".join(words for words, _ in _oddities(container))


def remarks(container: Container) -> tuple[str, ...]:
    """The same in sentences, with what to do about it."""
    return tuple(sentence for _, sentence in _oddities(container))


def _oddities(container: Container) -> Iterator[tuple[str, str]]:
    kind, _, owner = container.network.partition(":")
    if container.state == "paused":
        yield (
            "paused",
            "it is paused: its processes stand still, the kernel goes on to answer ARP and ping for it",
        )
    if container.network == "none":
        yield "no network", "it was made without a network (--network none)"
    if kind == "container":
        yield f"network of {owner}", f"it shares the network of {owner} (--network container:{owner})"
    if kind in USER_SPACE:
        yield (
            kind,
            (
                f"its traffic passes through {kind}, a program in user space: what lies behind eth0 is not"
                " visible"
            ),
        )
    if container.network == "host":
        yield "network of the host", "it has no network of its own, it is in the host's (--network host)"
    if _disconnected(container):
        connect = _command(f"{container.runtime} network connect", container.name, "NETWORK")
        yield "disconnected", f"it is connected to no network; to connect it: {connect}"


def _command(tool: str, name: str, *before: str) -> str:
    """A command about a container as it is pasted into a shell: an engine may call one `;id`, or
    `--privileged`.
    """
    return joined((*tool.split(), *(["--"] if name.startswith("-") else []), *before, name))


def _disconnected(container: Container) -> bool:
    """Whether it could be connected to a network and is not; "pasta:-t,auto" is a mode with options."""
    return container.networks == () and container.network.partition(":")[0] not in _WITHOUT_NETWORKS


def absence(container: Container, now: float | None = None) -> tuple[str, str]:
    """(why there is no namespace, what to do) of a container without a process.

    `now` in seconds since the epoch.
    """
    name, when = container.name, _when(container, time.time() if now is None else now)
    runtime = BY_KIND.get(container.runtime)
    start = f"start it: {_command(runtime.start, name)}" if runtime and runtime.start else ""
    if container.state in ("created", "initialized", "configured"):
        return f"{name} was created but never started", start
    if container.state == "restarting":
        logs = f"see why: {_command(runtime.logs, name)}" if runtime and runtime.logs else ""
        return f"{name} is restarting{when}", logs
    if container.state in ("dead", "removing"):
        return f"{name} is {GONE[container.state]}{when}", ""
    return f"{name} is stopped{when}", start


def _when(container: Container, now: float) -> str:
    """ " (exited 3 minutes ago with 137)": what is known of the end."""
    ago = f" {span(now - container.ended)} ago" if container.ended is not None else ""
    code = f" with {container.exit_code}" if container.exit_code is not None else ""
    return f" (exited{ago}{code})" if ago or code else ""


def span(seconds: float) -> str:
    """A span of time in the largest unit that fits, as docker ps says it: "3 minutes"."""
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}" + ("s" if count > 1 else "")
    count = max(0, int(seconds))
    return f"{count} second" + ("" if count == 1 else "s")
