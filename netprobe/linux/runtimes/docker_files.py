"""Docker's containers from its own files: what dockerd knew when it last wrote, readable while it is dead or hangs.

Source: moby, daemon/container (config.v2.json, hostconfig.json below DATA-ROOT/containers/ID).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from .container import SHORT_ID, Container, with_owner
from .descriptions import Described, HostConfig

DATA_ROOT = "/var/lib/docker"


class DockerFiles:
    """The containers below the data roots that `roots` lists; those that cannot be read are left out."""

    def __init__(self, roots: Sequence[str] = (DATA_ROOT,)) -> None:
        self.roots = list(roots)

    def named(self, name: str) -> Sequence[Container]:
        """The containers that `name` means. Only files that hold the name are taken apart: there may be a thousand."""
        wanted = os.fsencode(f'"/{name}"')
        short = SHORT_ID.fullmatch(name) is not None
        files = [file for file in self._files() if (short and file.parent.name.startswith(name)) or wanted in _content(file)]
        return [with_owner(each, self._name_of) for each in map(_container, files) if each is not None and each.is_called(name)]

    def identified(self, identity: str) -> Container | None:
        """The container with this whole id."""
        container = next((each for root in self.roots if (each := _container(_file(root, identity))) is not None), None)
        return with_owner(container, self._name_of) if container else None

    def all(self) -> Iterator[Container]:
        """Every container."""
        yield from (with_owner(each, self._name_of) for each in map(_container, self._files()) if each is not None)

    def _files(self) -> Iterator[Path]:
        for root in self.roots:
            try:
                yield from sorted(Path(root, "containers").glob("*/config.v2.json"))
            except OSError:
                continue

    def _name_of(self, identity: str) -> str:
        owner = next((each for root in self.roots if (each := _container(_file(root, identity))) is not None), None)
        return owner.name if owner else ""


def _file(root: str, identity: str) -> Path:
    return Path(root, "containers", identity, "config.v2.json")


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""


def _container(file: Path) -> Container | None:
    try:
        found = msgspec.json.decode(_content(file), type=Described)
        found.host_config = msgspec.json.decode(_content(file.with_name("hostconfig.json")) or b"{}", type=HostConfig)
    except msgspec.MsgspecError:
        return None
    return found.container("docker") if found.id_on_disk else None
