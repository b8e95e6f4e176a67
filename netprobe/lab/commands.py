"""Programs of the machine, run inside a namespace of the lab."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from netprobe.errors import CannotLook

from . import single_user
from .namespaces import entered
from .private import LAB_FOLDER, one_user_only

BIN_FOLDER = f"{LAB_FOLDER}/bin"
# Ordinary users often have no sbin in PATH, though ip, nft and tcpdump live there.
_SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def search_path() -> str:
    """PATH with the folders of the system's own tools at its end."""
    given = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join([*given, *(folder for folder in _SBIN if folder not in given)])


def prepare_path() -> None:
    """Make this process and its children find netprobe, the system's tools, and a tcpdump that works here,
    wherever they live.

    tcpdump needs help where there is a single user, see `single_user`.
    """
    Path(BIN_FOLDER).mkdir(parents=True, exist_ok=True)
    source = str(Path(__file__).resolve().parents[2])
    start = (
        f"import sys; sys.argv[0] = 'netprobe'; sys.path.append({source!r}); from netprobe.__main__ import"
        " main; sys.exit(main())"
    )
    _write_program("netprobe", [sys.executable, "-P", "-c", start])
    tcpdump = find("tcpdump")
    if tcpdump is not None and one_user_only() and single_user.known():
        _write_program("tcpdump", [sys.executable, "-I", "-S", single_user.__file__, tcpdump])
    os.environ["PATH"] = os.pathsep.join([BIN_FOLDER, search_path()])


def _write_program(name: str, argv: Sequence[str]) -> None:
    file = Path(BIN_FOLDER, name)
    file.write_text(f'#!/bin/sh\nexec {shlex.join(argv)} "$@"\n')
    file.chmod(0o755)


def find(program: str) -> str | None:
    """The file of a program, or None when it is not installed."""
    return shutil.which(program, path=search_path())


def run(namespace: str, argv: Sequence[str], text: str = "") -> str:
    """Run a program in a namespace with `text` as its input; what it printed.

    Raises CannotLook when it is missing or fails.
    """
    program = find(argv[0])
    if program is None:
        raise CannotLook(f"the lab needs {argv[0]}, which is not installed here")
    with entered(namespace):
        done = subprocess.run(
            [program, *argv[1:]], input=text, capture_output=True, text=True, check=False, errors="replace"
        )
    if done.returncode != 0:
        raise CannotLook(f"{' '.join(argv)} failed in {namespace}: {done.stderr.strip() or done.returncode}")
    return done.stdout
