"""An SQLite database that somebody else wrote, read from memory: nothing is locked, and nothing is written
beside it.

Its schema is as hostile as its rows: a view in the place of a table can compute for ever. Source:
sqlite.org/security.html.
"""

from __future__ import annotations

import time
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING

from netprobe.linux.files import Tree

if TYPE_CHECKING:
    from sqlite3 import Connection

LARGEST, LARGEST_VALUE = 32 << 20, 4 << 20  # bytes
LIMIT_S = 0.25  # for all questions to one database
STEPS = 10_000  # of SQLite's machine, about a tenth of a millisecond
_MEMORY = 64 << 20  # bytes; a limit of the whole process, which has no other use of SQLite
_SAFE = (
    "PRAGMA trusted_schema = OFF",
    "PRAGMA temp_store = MEMORY",
    f"PRAGMA hard_heap_limit = {_MEMORY + 2 * LARGEST}",
    "PRAGMA query_only = ON",
)


class Database:
    """The database at `path` in `tree`, as it was when it was first asked; one that is not there or makes no
    sense has no rows.
    """

    def __init__(self, tree: Tree, path: str) -> None:
        self._tree = tree
        self._path = path
        self._connection: Connection | None = None
        self._is_asked = False
        self._until = 0.0

    def __enter__(self) -> Database:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection is not None:
            self._connection.close()

    def row(self, question: str, key: str) -> tuple[bytes, ...] | None:
        """The first row that answers `question` for `key`, each column as bytes; None without any, or when
        time is up.
        """
        if not self._is_asked:
            self._is_asked = True
            self._connection = self._opened()
        if self._connection is None or time.monotonic() > self._until:
            return None
        import sqlite3

        try:
            found = self._connection.execute(question, (key,)).fetchone()
        except (sqlite3.Error, ValueError, OverflowError, MemoryError):
            return None
        return tuple(map(_plain, found)) if found else None

    def _opened(self) -> Connection | None:
        try:
            data = self._tree.sqlite(self._path, LARGEST)
        except OSError:
            return None
        import sqlite3  # 5 ms that a machine without Podman should not pay

        connection = sqlite3.connect(":memory:")
        try:
            connection.text_factory = bytes
            with suppress(AttributeError):
                connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, max(LARGEST_VALUE, len(data)))
            connection.deserialize(_without_log(data))
            self._until = time.monotonic() + LIMIT_S
            connection.set_progress_handler(lambda: time.monotonic() > self._until, STEPS)
            for line in _SAFE:
                connection.execute(line)
        except (sqlite3.Error, AttributeError, ValueError, OverflowError, MemoryError):
            # AttributeError: an SQLite that cannot do it
            connection.close()
            return None
        return connection


def _without_log(data: bytes) -> bytes:
    """A database whose log is empty, as one without a log, which needs no file beside it (fileformat2.html,
    1.3.3).
    """
    return data[:18] + b"\1\1" + data[20:] if data[18:20] == b"\2\2" else data


def _plain(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
