"""Memory that a system call reads and writes, as ctypes gives it."""

from __future__ import annotations

import ctypes
from functools import lru_cache


def array(size: int, content: bytes = b"") -> ctypes.Array[ctypes.c_char]:
    """So many bytes that begin with `content`; what that lacks is zero."""
    made = _type(size)()
    ctypes.memmove(made, content, min(len(content), size))
    return made


@lru_cache(maxsize=64)  # one that nobody keeps is made anew each time, which takes as long as a system call
def _type(size: int) -> type[ctypes.Array[ctypes.c_char]]:
    return ctypes.c_char * size
