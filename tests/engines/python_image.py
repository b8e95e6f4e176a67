"""A stand-in for the official Python image, from Debian packages, and the wheels to fill it: what a Dockerfile needs to build offline."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

from engines.archive import ACCOUNTS, add_entry, add_file
from engines.packages import Unavailable, cache_folder, root_of

SUITE, PYTHON = "bookworm", "3.11"
PACKAGES = (
    "bash",
    "ca-certificates",
    "coreutils",
    "dash",
    "iptables",
    "libc-bin",
    "nftables",
    "python3",
    "python3-pip-whl",
    "python3-venv",
    "util-linux",
)
LINKS = {
    "usr/bin/sh": "dash",
    "usr/bin/python": "python3",
    "usr/sbin/iptables-save": "xtables-nft-multi",
    "usr/sbin/ip6tables-save": "xtables-nft-multi",
}
PLATFORMS = ("manylinux_2_17", "manylinux_2_28", "manylinux2014", "linux")


def fill_base_image(archive: tarfile.TarFile) -> None:
    """A file system with Python and its venv module, nft and iptables."""
    root = root_of(SUITE, *PACKAGES)
    archive.add(root, ".")
    for name, target in LINKS.items():  # Debian's maintainer scripts would make these
        if not os.path.lexists(root / name):
            add_entry(archive, name, tarfile.SYMTYPE, target)
    add_file(archive, "etc/passwd", ACCOUNTS)


def wheels(project: Path) -> Path:
    """A folder with the wheels of everything that `project` is built from and depends on, for the image's Python. Kept between runs."""
    described = tomllib.loads((project / "pyproject.toml").read_text())
    needed = [
        *described["build-system"]["requires"],
        *described["project"]["dependencies"],
    ]
    folder = cache_folder() / f"wheels-{hashlib.sha256(repr(needed).encode()).hexdigest()[:12]}"
    if not (folder / "complete").exists():
        target = [part for name in PLATFORMS for part in ("--platform", f"{name}_{platform.machine()}")]
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]
        command += ["--python-version", PYTHON, *target, "--dest", str(folder), *needed]
        result = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        if result.returncode != 0:
            raise Unavailable(f"no wheels for the image: {result.stderr.strip()[-300:]}")
        (folder / "complete").touch()
    return folder


def fill_build_context(archive: tarfile.TarFile, project: Path) -> None:
    """The project as `docker build` wants it, with the wheels in `wheels/`."""
    documents = ("docs/netprobe.1", "docs/completion")  # which the wheel installs
    for name in ("Dockerfile", ".dockerignore", "pyproject.toml", "README.md", "LICENSE", "netprobe", *documents):
        archive.add(project / name, name, filter=_without_bytecode)
    archive.add(wheels(project), "wheels")


def _without_bytecode(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if "__pycache__" in entry.name else entry
