"""Engines, tools and files that never answer, all at once: the report comes when it should, and says what was not read."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from asking import ask_program

from netprobe.lab.lab import Lab, Program

pytestmark = pytest.mark.lab

SLOWNESS = Path(__file__).with_name("slowness.py")
RULES = "table inet filter { chain forward { type filter hook forward priority 0; accept; }; }"
QUESTION = ("trace", "red", "8.8.8.8", "-o", "json", "--captures", "none")
KEPT = [character * 64 for character in "abcdef012"]


def started(lab: Lab, stack: ExitStack, *words: str, name: str = "python") -> None:
    """A program of `slowness`, under this name."""
    python = getattr(sys, "_base_executable", sys.executable)
    home = ["env", f"PYTHONHOME={sys.base_prefix}", "bash", "-c", 'exec -a "$0" "$@"', name]
    program: Program = lab.start([*home, python, str(SLOWNESS), *words])
    stack.callback(program.stop)
    program.until("ready")


@pytest.fixture
def slow(fresh_lab: Lab, privilege: str) -> Iterator[tuple[str, dict[str, str]]]:
    """(a folder of tools, the environment): nothing in the lab but the kernel answers."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="netprobe-slow-")))
        folder.chmod(0o777)
        for engine in ("docker", "podman"):
            started(fresh_lab, stack, "engine", f"{folder}/{engine}")
        if privilege == "root" and os.access("/dev/fuse", os.R_OK | os.W_OK):
            for identity in KEPT:
                hung = folder / f"hung-{identity[:4]}"
                hung.mkdir()
                bundle = f"{hung}/overlay-containers/{identity}/userdata"
                options = ("-c", identity, "-n", "web", "-b", bundle, "-p", f"{bundle}/pidfile")
                started(fresh_lab, stack, "keeper", str(hung), *options, name="conmon")
        for tool in ("nft", "iptables-nft-save"):
            (folder / tool).write_text("#!/bin/sh\nexec sleep 1000\n")
            (folder / tool).chmod(0o755)
        for namespace in ("red", "host", "c1"):
            fresh_lab.run(["nft", RULES], namespace=namespace, check=True)
        # the far end is nowhere: it is searched for everywhere
        held = fresh_lab.start(["sh", "-c", "exec 9</run/netns/internet; echo ready; exec sleep 600"])
        stack.callback(held.stop)
        held.until("ready")
        fresh_lab.run(["ip", "netns", "delete", "internet"], check=True)
        yield str(folder), {"DOCKER_HOST": f"unix://{folder}/docker", "CONTAINER_HOST": f"unix://{folder}/podman"}


@pytest.mark.parametrize("wait", [1, 3])
def test_all_at_once(fresh_lab: Lab, slow: tuple[str, dict[str, str]], wait: int) -> None:
    """The far end is searched for everywhere, and each namespace has rules: the sum of it all took 8 s."""
    folder, environment = slow
    since = time.monotonic()
    done = ask_program(fresh_lab, "--tool-path", folder, *QUESTION, "-W", str(wait), timeout=60, environment=environment)
    took = time.monotonic() - since
    assert done.code in (0, 1, 4), done.stderr
    blind = done.report["blind"]
    assert took < wait + 2 + 2, f"two seconds more for a busy machine; each of them alone takes as long: {blind}"
    assert any("not read in time" in each["why"] for each in blind), blind
