"""Containers of every state in a real engine, and netprobe run beside them."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.engine import Engine

NETWORK = {"docker": "bridge", "podman": "podman"}
BRIDGE = {"docker": "docker0", "podman": "podman0"}
CAPABLE = "--cap-add=NET_RAW"  # Podman gives it to nobody who does not ask

# Every name given, looked up in one process: what the machine says that it is.
_RESOLVE = """
import json, os, sys
from netprobe.errors import NetprobeError
from netprobe.linux.machine import Machine
from netprobe.linux import netns
answers = {}
with Machine() as machine:
    for text in sys.argv[1:]:
        try:
            end = machine.resolve(text)
            fd = machine._directory.handles[end.namespace]
            answers[text] = {"namespace": end.namespace, "inode": netns.inode(fd), "notes": end.notes}
        except NetprobeError as error:
            answers[text] = {"error": str(error), "hint": error.hint, "code": error.exit_code}
json.dump(answers, sys.stdout)
"""


@dataclass(frozen=True)
class Outcome:
    """How one run of netprobe ended."""

    code: int
    out: str
    err: str

    @property
    def report(self) -> Any:
        assert self.out, self.err
        return json.loads(self.out)

    @property
    def places(self) -> list[str]:
        """The request's hops, as `namespace/interface`."""
        return [f"{hop['namespace']}/{hop['interface']}" for hop in self.report["path"]["request"]]

    @property
    def translated(self) -> list[tuple[str, str, str]]:
        """(namespace, source before, source after) of each hop of the request that changes the source address."""
        hops = self.report["path"]["request"]
        return [(hop["namespace"], c["from"], c["to"]) for hop in hops for c in hop["changes"] if c["field"] == "src"]


def netprobe(engine: Engine, *arguments: str, **environment: str) -> Outcome:
    """Run a probing command on the engine's host; its report is JSON."""
    program = Path(sys.executable).with_name("netprobe")
    done = engine.run([program, *arguments, "-o", "json"], check=False, env={"NETPROBE_CAPTURES": "none", **environment})
    assert "Traceback" not in done.stderr, done.stderr
    return Outcome(done.returncode, done.stdout, done.stderr)


def resolve(engine: Engine, *names: str) -> dict[str, dict[str, Any]]:
    """What netprobe takes each of `names` for."""
    return dict(json.loads(engine.run([sys.executable, "-c", _RESOLVE, *names]).stdout))


def inode(engine: Engine, pid: int) -> int:
    """The network namespace of a process, as the kernel numbers it."""
    return int(engine.run(["readlink", f"/proc/{pid}/ns/net"]).stdout.strip().removeprefix("net:[").removesuffix("]"))


def address(engine: Engine, name: str) -> str:
    """The first address of a container's eth0."""
    shown = engine.client("exec", name, "ip", "-o", "-4", "address", "show", "dev", "eth0")
    return shown.split("inet ")[1].split("/")[0]


def identity(engine: Engine, name: str) -> str:
    """A container's whole id."""
    return engine.client("inspect", "--format", "{{.Id}}", name)


def answers(engine: Engine, name: str, target: str) -> bool:
    """Whether the container's own ping gets an answer."""
    done = engine.machine.inside([engine.name, "exec", name, "ping", "-c1", "-W1", target], check=False)
    return done.returncode == 0


def in_namespace(engine: Engine, pid: int, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a program of this machine in the network namespace of a container's process, to set the scene."""
    return engine.run(["nsenter", f"--target={pid}", "--net", *command])
