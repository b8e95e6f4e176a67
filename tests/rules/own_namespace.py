"""The namespace that a function of a test runs in, inside a lab."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def own_namespace() -> Iterator[int]:
    """A descriptor of it."""
    fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        yield fd
    finally:
        os.close(fd)
