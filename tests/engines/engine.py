"""What the Docker and the Podman lab share: a client on a machine of its own, containers, images made without a registry."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import IO, ClassVar

from engines.archive import add_busybox, packed
from engines.machine import Machine

# No engine depends on these, but a machine that runs containers has them.
BASE = ("bash", "busybox-static", "ca-certificates", "coreutils", "dash", "iptables", "tini", "util-linux")


class Engine:
    """A container engine whose client is the program `name`; the image `busybox` is there.

    `run(argv)` and `popen(argv)` work on its host with this machine's programs and files (and so run netprobe), `client(...)` talks to
    the engine. On its host the engine's sockets and state are at their usual places; `environment` names the socket all the same.
    """

    name: ClassVar[str]
    environment: ClassVar[dict[str, str]]

    def __init__(self, root: Path) -> None:
        self.root = root
        self.machine = Machine(root)
        self.run = self.machine.run
        self.popen = self.machine.popen
        try:
            self.prepare()
            with packed(lambda archive: add_busybox(archive, root)) as busybox:
                self.import_image(busybox, "busybox:latest", "CMD=sleep 3600", "ENV=PATH=/bin:/sbin:/usr/bin:/usr/sbin")
        except BaseException:
            self.down()
            raise

    def prepare(self) -> None:
        """Start and configure what the engine needs."""

    def client(self, *arguments: str | Path, **options: object) -> str:
        """What the engine's command line client prints; raises CalledProcessError. `options` are those of subprocess.run."""
        return self.machine.inside([self.name, *arguments], **options).stdout.strip()

    def container(self, name: str, *options: str, image: str = "busybox", command: Sequence[str] = ()) -> int:
        """Start a container; its PID as the engine's host sees it."""
        self.client("run", "--detach", "--name", name, *options, image, *command)
        return int(self.client("inspect", "--format", "{{.State.Pid}}", name))

    def remove(self, *names: str) -> None:
        """Remove containers, running or not, without the ten seconds' grace."""
        self.client("kill", *names, check=False)
        self.client("rm", "--force", *names)

    def import_image(self, archive: IO[bytes], name: str, *changes: str) -> None:
        """Make an image of an open tar archive; a change is `INSTRUCTION=value`."""
        settings = [part for change in changes for part in ("--change", change.replace("=", " ", 1))]
        self.machine.inside([self.name, "import", *settings, "-", name], stdin=archive)

    def down(self) -> None:
        """End the engine and everything in it."""
        self.machine.down()
