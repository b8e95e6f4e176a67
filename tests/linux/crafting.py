"""Packets to craft, and what is left of a worker that crafted them."""

from __future__ import annotations

import os
import time
from pathlib import Path

from netprobe.model import Protocol
from netprobe.wire.craft import Recipe
from netprobe.wire.mark import Mark

MARK = Mark(Protocol.UDP, b"abcdef", 3, source_ports=(40000,), port=53)
RECIPES = [
    Recipe(MARK, "10.0.0.2", "8.8.8.8"),
    Recipe(MARK, "fd00::2", "2001:db8::8"),
    Recipe(Mark(Protocol.ICMP, b"abcdef", 2, 0), "10.0.0.2", "8.8.8.8"),
    Recipe(Mark(Protocol.ARP, b"abcdef"), "10.0.0.2", "10.0.0.3", "02:00:00:00:00:01"),
]

CHILD = "import os, sys; from netprobe.linux.sensors.crafter import Crafter; crafter = Crafter(); "
WORKERS = "open(f'/proc/self/task/{os.getpid()}/children').read().split()"


def children() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


def gone(pid: str, patience: float = 5) -> bool:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z" and os.getpid() != 1:  # not ours to collect: its new parent will
            return True
        time.sleep(0.02)
    return False
