"""Names on a host, looked up over its agent. Runs inside a lab, by `lab.call`."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from fleet.both_ways import host
from runtimes.canned_engine import ID, OTHER, CannedEngine

from netprobe.errors import NetprobeError
from netprobe.linux.machine import Machine

NETNS = "/run/netns"


def described(identity: str, name: str, pid: int) -> dict[str, Any]:
    state = {"Status": "running" if pid else "exited", "Running": bool(pid), "Pid": pid}
    return {"Id": identity, "Name": f"/{name}", "State": state, "HostConfig": {"NetworkMode": "bridge"}}


@contextmanager
def docker() -> Any:
    """An engine that has `web`, which runs in the namespace c1, and `old`, which does not run."""
    with ExitStack() as stack:
        sleeper = stack.enter_context(subprocess.Popen(["ip", "netns", "exec", "c1", "sleep", "60"]))
        stack.callback(sleeper.kill)
        answers = {"/containers/web/json": described(ID, "web", sleeper.pid), "/containers/old/json": described(OTHER, "old", 0)}
        engine = CannedEngine(Path("/run/docker.sock"), answers)
        stack.callback(Path("/run/docker.sock").unlink)
        stack.callback(engine.close)
        yield sleeper.pid


def meant(text: str) -> str:
    """The file in /run/netns that a name on h1 leads to, or what is said instead."""
    with docker() as pid, host() as (distant, _):
        try:
            name = distant.resolve(text.replace("PID", str(pid))).namespace or ""
        except NetprobeError as error:
            return f"{type(error).__name__}: {error}"
        [place] = distant.opened([name]).values()
        inode = place.identity[1]  # type: ignore[union-attr]
        return next((f"{name} is {each.name}" for each in sorted(Path(NETNS).iterdir()) if each.stat().st_ino == inode), name)


def enters(*names: str) -> list[list[str]]:
    """The words before a command that run it in these namespaces of h1."""
    from netprobe.model import ReadNamespace, Snapshot

    with host() as (distant, _):
        found = [str(distant.resolve(name).namespace) for name in names]
        snapshot = distant.read(Snapshot(), [ReadNamespace(name) for name in found])
        return [list(snapshot[name].enter or ()) for name in found]


def looked_up(host_name: str) -> tuple[str, str]:
    """What a host name is in the namespace c1: asked over the agent, and from here."""
    with host() as (distant, _), Machine() as machine:
        return _address(distant, host_name), _address(machine, host_name)


def _address(world: Machine, host_name: str) -> str:
    try:
        return str(world.resolve(host_name, world.resolve("c1")).address)
    except NetprobeError as error:
        return type(error).__name__
