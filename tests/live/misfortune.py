"""A machine to which something happens in the middle of a run; everything else is the real one."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from unittest.mock import patch

from asking import run

from netprobe.linux import machine
from netprobe.linux.sensors.sender import Sender
from netprobe.model import Need, Observation, Snapshot, Watch

MOMENTS = ("resolved", "read once", "read twice", "before sending", "sent")
"""When it happens: the endpoints are known; one or two rounds of reading are done; all is read; the first packet is on its way."""


def run_unlucky(argv: tuple[str, ...], moment: str, commands: list[str]) -> tuple[int, str, str]:
    """In the lab: netprobe, with the commands being run at that moment. Exit code, stdout and stderr."""
    pending = list(commands)

    def happen() -> None:
        while pending:
            subprocess.run(["sh", "-c", pending.pop(0)], check=True)

    class Unlucky(machine.Machine):
        rounds = 0

        def read(self, snapshot: Snapshot, needs: Sequence[Need]) -> Snapshot:
            if (moment, self.rounds) in (("resolved", 0), ("read once", 1), ("read twice", 2)):
                happen()
            self.rounds += 1
            return super().read(snapshot, needs)

        def observe(self, watch: Watch, settled: Callable[[Sequence[Observation], int], bool]) -> tuple[Observation, ...]:
            if moment == "before sending":
                happen()
            return super().observe(watch, settled)

    def send(sender: Sender, packet: bytes) -> None:
        original(sender, packet)
        if moment == "sent":
            time.sleep(0.05)  # the first one is answered by now
            happen()

    original = Sender.send
    with patch.object(machine, "Machine", Unlucky), patch.object(Sender, "send", send):
        done = run(argv)
    assert not pending, f"nothing happened: the moment {moment!r} never came"
    return done
