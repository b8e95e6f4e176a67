"""A real Docker engine on a machine of its own: 20.10 from Debian bookworm, 26.1 from trixie, 28.5 from sid."""

from __future__ import annotations

import time
from pathlib import Path
from typing import ClassVar

from engines.engine import BASE, Engine
from engines.packages import Unavailable, root_of

PACKAGES = {
    "bookworm": (*BASE, "docker.io", "containerd", "runc"),
    "trixie": (*BASE, "docker.io", "docker-cli", "containerd", "runc"),
    "sid": (*BASE, "docker.io", "docker-cli", "containerd", "runc"),
}


class DockerLab(Engine):
    """Docker of one Debian `suite`; further `options` go to dockerd."""

    name = "docker"
    environment: ClassVar[dict[str, str]] = {"DOCKER_HOST": "unix:///run/docker.sock"}

    def __init__(self, suite: str = "bookworm", *options: str) -> None:
        if suite not in PACKAGES:
            raise Unavailable(f"no recipe for Docker from {suite}")
        self.options = options
        super().__init__(root_of(suite, *PACKAGES[suite]))

    def docker(self, *arguments: str | Path, **options: object) -> str:
        """What `docker ARGUMENTS` prints; raises CalledProcessError."""
        return self.client(*arguments, **options)

    def prepare(self) -> None:
        """Start dockerd and wait until it answers."""
        self.machine.start(f"exec dockerd {' '.join(self.options)} >>/run/dockerd.log 2>&1")
        for _ in range(600):
            if self.machine.inside(["docker", "version"], check=False).returncode == 0:
                return
            time.sleep(0.05)
        log = self.run(["tail", "-n5", "/run/dockerd.log"], check=False)
        raise Unavailable(f"dockerd did not answer: {log.stdout}{log.stderr}")

    def kill_daemon(self) -> None:
        """Kill dockerd as a crash would: containers, their shims and the socket file stay. `prepare` starts it again."""
        self.machine.inside(["busybox", "killall", "-9", "dockerd"])

    def hang_daemon(self) -> None:
        """Stop dockerd from answering: its socket still accepts connections. `wake_daemon` ends that."""
        self.machine.inside(["busybox", "killall", "-STOP", "dockerd"])

    def wake_daemon(self) -> None:
        """Let dockerd go on."""
        self.machine.inside(["busybox", "killall", "-CONT", "dockerd"])
