"""Where container engines listen: what the user's environment says, else the usual places.

Sources: docker(1) and podman(1) on DOCKER_HOST, DOCKER_CONTEXT, CONTAINER_HOST; the context files of
docker/cli (cli/context/store).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, field

from netprobe.linux.files import Tree

from .json import decoded

DOCKER = ("/run/docker.sock", "/var/run/docker.sock")
PODMAN = ("/run/podman/podman.sock", "/var/run/podman/podman.sock")


class _Config(Struct, rename="camel"):
    """The part of ~/.docker/config.json that matters."""

    current_context: str = ""


class _Endpoint(Struct, rename="pascal"):
    host: str = ""


class _Context(Struct, rename="pascal"):
    """The part of a context's meta.json that matters."""

    endpoints: Mapping[str, _Endpoint] = field(default_factory=dict)


class Sockets(Struct, frozen=True):
    """The sockets to ask, in order; `remark` says why there is none although the user named an engine."""

    paths: tuple[str, ...] = ()
    remark: str = ""


def docker_sockets(environment: Mapping[str, str], root: str = "") -> Sockets:
    """Where Docker is to be asked: where the user's own `docker` would ask, or at the usual places below
    `root`.
    """
    if environment.get("DOCKER_HOST"):
        return _chosen("DOCKER_HOST", environment["DOCKER_HOST"])
    name = environment.get("DOCKER_CONTEXT") or _current_context(environment)
    if name and name != "default":
        return _chosen(f"the docker context {name}", _address_of_context(environment, name))
    return Sockets(_existing(root, [*DOCKER, *_of_user(environment, "docker.sock")]))


def podman_sockets(environment: Mapping[str, str], root: str = "") -> Sockets:
    """Where Podman's API is to be asked."""
    if environment.get("CONTAINER_HOST"):
        return _chosen("CONTAINER_HOST", environment["CONTAINER_HOST"])
    return Sockets(_existing(root, [*PODMAN, *_of_user(environment, "podman/podman.sock")]))


def _chosen(by: str, address: str) -> Sockets:
    kind, separator, path = address.partition("://")
    if separator and kind == "unix":
        return Sockets((path,))
    return Sockets(
        (),
        f"{by} is {address or 'not known'}: only an engine of this machine, at a unix:// socket, can be"
        " asked",
    )


def _of_user(environment: Mapping[str, str], name: str) -> Sequence[str]:
    """The socket of the user's own, rootless engine; under sudo that of the user who called it."""
    folder = environment.get("XDG_RUNTIME_DIR") or f"/run/user/{environment.get('SUDO_UID') or os.getuid()}"
    return (f"{folder}/{name}",)


def _existing(root: str, paths: Iterable[str]) -> tuple[str, ...]:
    """The sockets among `paths` below `root`, each once: /var/run is /run on most machines."""
    tree = Tree(root or "/")
    found: dict[tuple[int, int], str] = {}
    for path in paths:
        key = tree.key(path)
        if key is not None:
            found.setdefault(key, root + path)
    return tuple(found.values())


def _folder(environment: Mapping[str, str]) -> str:
    folder = environment.get("DOCKER_CONFIG") or f"{environment.get('HOME') or '/root'}/.docker"
    return os.path.abspath(folder)  # noqa: PTH100 - text


def _current_context(environment: Mapping[str, str]) -> str:
    try:
        found = decoded(Tree().read(f"{_folder(environment)}/config.json"), _Config)
    except OSError:
        return ""
    return found.current_context if found is not None else ""


def _address_of_context(environment: Mapping[str, str], name: str) -> str:
    """The Docker endpoint of a context; "" when it has none."""
    from hashlib import sha256  # contexts/meta/<digest of the name>/meta.json

    try:
        file = f"{_folder(environment)}/contexts/meta/{sha256(os.fsencode(name)).hexdigest()}/meta.json"
        found = decoded(Tree().read(file), _Context)
    except OSError:
        return ""
    return found.endpoints["docker"].host if found is not None and "docker" in found.endpoints else ""
