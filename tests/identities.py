"""As whom tests start things: root, or an ordinary user without rights, without a home, without anything of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import netprobe

_PROJECT = Path(netprobe.__file__).resolve().parents[1]
_AS_NOBODY = Path(__file__).with_name("as_nobody.py")


@dataclass(frozen=True)
class Identity:
    """As whom something is started: what to put before its command line, and its environment."""

    launcher: tuple[str, ...]
    environment: dict[str, str]

    def run(self, argv: Sequence[str], folder: str | Path = "/", text: str = "", timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a program as this user, outside of any lab. The project's netprobe can be imported."""
        return subprocess.run(
            [*self.launcher, *argv],
            env=self._environment(),
            cwd=folder,
            input=text,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def start(self, argv: Sequence[str], folder: str | Path = "/") -> subprocess.Popen[str]:
        """Start a program as this user, outside of any lab, its output in a pipe; as a context it is waited for."""
        return subprocess.Popen(
            [*self.launcher, *argv], env=self._environment(), cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(_PROJECT), **self.environment}


def identity(privilege: str) -> Identity:
    """Root as it is; an ordinary user as it is, or nobody (without a home) when pytest is root."""
    bin_folder = str(Path(sys.executable).parent)
    environment = {"PATH": f"{bin_folder}{os.pathsep}{os.environ.get('PATH', os.defpath)}", "PYTHONDONTWRITEBYTECODE": "1"}
    if privilege == "root" or os.geteuid() != 0:
        return Identity((), environment)
    seen = dict.fromkeys([sys.prefix, sys.base_prefix, str(_PROJECT)])
    return Identity((sys.executable, str(_AS_NOBODY), *seen, "--"), {**environment, "HOME": "/nonexistent", "PYTHONPATH": str(_PROJECT)})
