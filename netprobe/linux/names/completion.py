"""The names that a shell may complete: found without privilege, without entering anything, and soon."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from netprobe.errors import NetprobeError
from netprobe.linux import deadline

from .containers import Containers
from .names import Found, NamedNamespaces
from .namespaces import HOST, HOST_ROOT, NAMELESS, in_a_container_of_the_host, is_generated

SOON_S = 0.5  # that a person waits for a completion; an engine that hangs is not waited for


def known_names() -> list[str]:
    """How the namespaces and running containers are typed, each once, as far as they are found in time."""
    counts: dict[str, set[str]] = {}
    with suppress(NetprobeError, OSError), deadline.within(SOON_S):
        for found in _all(HOST_ROOT if in_a_container_of_the_host() else ""):
            if found.kind not in NAMELESS and not is_generated(found.name):
                counts.setdefault(found.name, set()).add(found.text)
    several = (text for texts in counts.values() if len(texts) > 1 for text in texts)
    return sorted({HOST, *(name for name, texts in counts.items() if len(texts) == 1), *several})


def _all(root: str) -> Iterator[Found]:
    yield from NamedNamespaces(root).all()
    yield from Containers(root).all()
