"""Tar archives that become images without a registry."""

from __future__ import annotations

import io
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

ACCOUNTS = "root:x:0:0:root:/root:/bin/sh\n"


@contextmanager
def packed(fill: Callable[[tarfile.TarFile], None]) -> Iterator[IO[bytes]]:
    """A temporary tar archive with what `fill` puts into it, open at its beginning."""
    with tempfile.TemporaryFile() as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as archive:  # Docker looks at its first 512 bytes only
            fill(archive)
        file.seek(0)
        yield file


def add_entry(archive: tarfile.TarFile, name: str, kind: bytes, target: str = "") -> None:
    """Add a folder or a link to an archive."""
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname, entry.mode = kind, target, 0o755
    archive.addfile(entry)


def add_file(archive: tarfile.TarFile, name: str, text: str) -> None:
    """Add a text file to an archive."""
    entry = tarfile.TarInfo(name)
    entry.size = len(text.encode())
    archive.addfile(entry, io.BytesIO(text.encode()))


def add_busybox(archive: tarfile.TarFile, root: Path) -> None:
    """Add the busybox of `root`, with a link for each of its commands."""
    program = root / "usr/bin/busybox"
    commands = subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout.split()
    for folder in ("bin", "etc", "tmp", "proc", "sys", "dev", "root", "run", "var"):
        add_entry(archive, folder, tarfile.DIRTYPE)
    archive.add(program, "bin/busybox")
    for command in set(commands) - {"busybox"}:
        add_entry(archive, f"bin/{command}", tarfile.SYMTYPE, "busybox")
    add_file(archive, "etc/passwd", ACCOUNTS)
