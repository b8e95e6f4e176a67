"""Hosts behind an sshd of their own, for tests of one connection: ssh starts it as its ProxyCommand; no packet leaves, nothing listens.

The sshd runs in a network and a mount namespace of its own, behind a wire (relay.py) that can be cut or slow.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from fleet.agents import FAST, PYTHON, RELAY

from netprobe.fleet.over_ssh import Destination

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin") or ""
PRIVATE = "mount -t tmpfs tmpfs /run && mkdir -p /run/sshd && exec"


@dataclass(frozen=True)
class Hosts:
    """A folder with keys and an ssh configuration in which any name is a host."""

    folder: Path

    def to(self, name: str = "h1", rate: str = FAST, python: str = PYTHON, become: tuple[str, ...] = ()) -> Destination:
        """Where host `name` is; each connection to it starts a host anew."""
        config = self.folder / f"config-{rate}"
        wire = (sys.executable, str(RELAY), rate, "unshare", "-nm", "sh", "-c", f"{PRIVATE} {SSHD} -i -f {self.folder}/sshd_config")
        config.write_text(
            f"Host *\n User root\n IdentityFile {self.folder}/id\n IdentitiesOnly yes\n UserKnownHostsFile {self.folder}/known\n"
            f" GlobalKnownHostsFile /dev/null\n ProxyCommand {shlex.join(wire)}\n"
        )
        return Destination(name, ("-F", str(config)), become, python)

    def know(self, name: str, key: str = "hostkey") -> None:
        """Let ssh know this key as that of the host."""
        kind, text = (self.folder / f"{key}.pub").read_text().split()[:2]
        with open(self.folder / "known", "a") as known:
            known.write(f"{name} {kind} {text}\n")

    def lock_out(self) -> None:
        """Let nobody in any more."""
        (self.folder / "authorized").write_text("")


def made(folder: Path) -> Hosts:
    """Keys and configurations in `folder`; h1, h2 and h3 are known."""
    for name in ("id", "hostkey", "stranger"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    shutil.copy(folder / "id.pub", folder / "authorized")
    (folder / "sshd_config").write_text(
        f"HostKey {folder}/hostkey\nAuthorizedKeysFile {folder}/authorized\nStrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin yes\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\nLogLevel QUIET\n"
    )
    hosts = Hosts(folder)
    for name in ("h1", "h2", "h3"):
        hosts.know(name)
    return hosts
