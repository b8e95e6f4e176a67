"""Podman on a machine of its own: 5.4 from Debian trixie, run as root, with its API socket."""

from __future__ import annotations

import time
from pathlib import Path
from typing import ClassVar

from engines.engine import BASE, Engine
from engines.packages import Unavailable, root_of

PACKAGES = (*BASE, "podman", "netavark", "aardvark-dns", "crun", "conmon", "catatonit", "nftables")
# No limit on processes and control groups by plain files: there is no systemd on this machine, and it may lack the controllers.
CONFIGURATION = '[containers]\npids_limit=0\n[engine]\ncgroup_manager="cgroupfs"\nevents_logger="file"\n'
POLICY = '{"default": [{"type": "insecureAcceptAnything"}]}\n'


class PodmanLab(Engine):
    """Podman of one Debian `suite`."""

    name = "podman"
    environment: ClassVar[dict[str, str]] = {"CONTAINER_HOST": "unix:///run/podman/podman.sock"}

    def __init__(self, suite: str = "trixie") -> None:
        super().__init__(root_of(suite, *PACKAGES))

    def podman(self, *arguments: str | Path, **options: object) -> str:
        """What `podman ARGUMENTS` prints; raises CalledProcessError."""
        return self.client(*arguments, **options)

    def prepare(self) -> None:
        """Configure it and start its API socket."""
        self._write("containers.conf", CONFIGURATION)
        self._write("policy.json", POLICY)
        self.machine.inside(["mkdir", "-p", "/run/podman"])
        self.machine.start("exec podman system service --time=0 unix:///run/podman/podman.sock >>/run/podman.log 2>&1")
        for _ in range(200):
            if self.run(["test", "-S", "/run/podman/podman.sock"], check=False).returncode == 0:
                return
            time.sleep(0.05)
        raise Unavailable(f"podman did not open its socket: {self.run(['cat', '/run/podman.log'], check=False).stdout}")

    def _write(self, name: str, text: str) -> None:
        self.machine.inside(["sh", "-c", 'mkdir -p /etc/containers && cat >"/etc/containers/$0"', name], input=text)
