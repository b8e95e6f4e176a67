"""In the lab: what is told of a change."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from netprobe.linux.machine import Machine
from netprobe.linux.notices import Notices
from netprobe.model.live import Notice


def told_in(name: str, command: Sequence[str]) -> list[Notice]:
    """What the kernel tells of the namespace `name` while a command runs."""
    with Notices() as notices:
        with Machine() as machine:
            found = machine.resolve(name).namespace or ""
            notices.follow(machine.opened([found]))
        subprocess.run(command, check=True)
        notices.wait(0.5)
        return list(notices.heard())
