"""Files of /proc/sys that stay open from one question to the next: to open one costs five times as much as
to read it.

Such a file shows the namespace of the thread that opened it, whoever reads it, and read again it says what
holds by then (proc_sysctl.c); it keeps no namespace alive.
"""

from __future__ import annotations

import os

NAMESPACES = 4  # who looks at more of them holds no file open: a descriptor is scarcer than a millisecond


class OpenSettings:
    """The open files of a few namespaces, by path; `close` it."""

    def __init__(self) -> None:
        self._of: dict[int, dict[str, int]] | None = {}

    def of(self, cookie: int) -> dict[str, int] | None:
        """Those of the namespace of this cookie, into which others may be put; None where none are to stay
        open.
        """
        if self._of is None or not cookie:
            return None
        found = self._of.setdefault(cookie, {})
        if len(self._of) > NAMESPACES:
            self.close()
            return None
        return found

    def close(self) -> None:
        """Close all of them, and hold none from now on."""
        held, self._of = self._of or {}, None
        for files in held.values():
            for fd in files.values():
                os.close(fd)
