"""A lab of several hosts with an sshd each, and a controller that reaches them by ssh and by nothing else.

with HostsLab(2, folder="/tmp/somewhere") as lab:
    lab.run(["ssh", "-F", lab.ssh_config, "h1", "hostname"])   on the controller
    lab.run(["ip", "-n", "red", "link"], "h1")                  on a host, as root there

The network is that of `fleet`. Each host, and the controller, has network, process, mount and host name
namespaces of its own, and sees no other's: on host h1 the namespaces are called `red` and `blue`. Needs
root, and OpenSSH. Everything ends with the lab.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from netprobe.errors import NotPermitted

from . import fleet, machines
from .lab import Lab, Program
from .machines import LabMachine
from .namespaces import HOST

CONTROLLER = "ctl"


class HostsLab(Lab):
    """So many hosts, h1, h2, ..., with these containers each. Raises NotPermitted or CannotLook.

    `folder` gets the keys, configurations and logs; the caller removes it. `sshd` are more lines of the
    sshd_config(5) of a host.
    """

    def __init__(
        self, count: int = 2, containers: tuple[str, ...] = fleet.CONTAINERS, *, folder: str,
        sshd: Mapping[str, tuple[str, ...]] | None = None, **options: Any,
    ) -> None:  # fmt: skip
        if os.geteuid() != 0:
            raise NotPermitted("an sshd is started by root alone", "Try this again as root.")
        self.hosts = fleet.names(count)
        self._processes: dict[str, int] = {}
        super().__init__(fleet.topology(count, containers), rootless=False, folder=folder, **options)
        try:
            made = (*self._machines(containers, sshd or {}), LabMachine(CONTROLLER, HOST, programs=True))
            self._processes = self.call(machines.start, made, folder)
        except BaseException:
            self.close()
            raise

    def _machines(
        self, containers: tuple[str, ...], sshd: Mapping[str, tuple[str, ...]]
    ) -> tuple[LabMachine, ...]:
        return tuple(
            LabMachine(
                name, f"{name}:{HOST}", tuple((inner, f"{name}:{inner}") for inner in containers),
                fleet.underlay(number), sshd.get(name, ()),
            )
            for number, name in enumerate(self.hosts, 1)
        )  # fmt: skip

    @property
    def ssh_config(self) -> str:
        """The file for `ssh -F` on the controller: the hosts by name, as root, with the lab's key."""
        return machines.ssh_config(self.folder)

    def log(self, host: str) -> str:
        """What the sshd of a host has said until now."""
        return machines.log_of(host, self.folder).read_text(errors="replace")

    def process(self, host: str) -> int:
        """Process 1 of a host, as the lab counts."""
        return self._processes[host]

    def start(
        self, argv: Sequence[str], namespace: str = HOST, *, text: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> Program:  # fmt: skip
        """Run a program on the controller, on a host ("h1"), or in a namespace that only the lab itself sees
        ("wire", "h1:red").
        """
        machine = self._processes.get(CONTROLLER if namespace == HOST else namespace)
        if machine is not None:
            kinds = ("--net", "--mount", "--pid", "--uts")
            entered = ("nsenter", "-t", str(machine), *kinds, "--", "env", "-C", self.folder)
            argv, namespace = (*entered, *argv), HOST
        return super().start(argv, namespace, text=text, environment=environment)

    def cut(self, host: str) -> None:
        """Pull the cable of a host: nothing reaches it, nothing leaves it."""
        self.run(["ip", "link", "set", host, "down"], namespace=fleet.WIRE, check=True)

    def mend(self, host: str) -> None:
        """Plug it in again."""
        self.run(["ip", "link", "set", host, "up"], namespace=fleet.WIRE, check=True)

    def power_off(self, host: str) -> None:
        """End all that runs on a host, without a word to anybody."""
        self.call(os.kill, self._processes[host], 9)
