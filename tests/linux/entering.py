"""The words that enter a namespace, run: do they lead there?"""

from __future__ import annotations

import subprocess

from netprobe.linux import netns
from netprobe.linux.machine import Machine
from netprobe.model import ReadNamespace, Snapshot


def entrances(texts: list[str], host: str | None = None, before: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...] | None, bool]]:
    """In the lab: the words that enter each namespace, and whether they lead there. `before` is run first."""
    if before:
        subprocess.run(before, check=True)
    script = ["ip", "netns", "exec", "c1", "sh", "-c", "echo there; exec sleep 60"]
    with subprocess.Popen(script, stdout=subprocess.PIPE) as other, Machine(host) as machine:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == b"there\n"  # before, it is still where it was started
            names = [machine.resolve(text.format(pid=other.pid)).namespace or "" for text in texts]
            snapshot = machine.read(Snapshot(), [ReadNamespace(name) for name in names])
            places = machine.opened(names)
            return [_entrance(snapshot[name].enter, netns.inode(places[name])) for name in names]
        finally:
            other.kill()


def _entrance(words: tuple[str, ...] | None, inode: int) -> tuple[tuple[str, ...] | None, bool]:
    there = subprocess.run([*(words or ()), "readlink", "/proc/self/ns/net"], capture_output=True, text=True, check=True).stdout
    return words, there.strip() == f"net:[{inode}]"
