"""The one reader of files: of the kernel's in /proc, and of those that somebody else can write or put links
and pipes into.

A path is resolved beneath a root directory as chroot(2) would do it, no magic link of /proc is followed
(openat2(2), or component by component where the kernel or a seccomp filter lacks that), and what it leads to
is looked at before it is opened for reading: only a regular file is, without blocking, and no more of it than
a limit. What cannot be had is an OSError.

A file system of an untrusted owner can answer late or never. A `Tree` that is `foreign` is therefore read in
a process apart.
"""

from __future__ import annotations

import errno
import os
import resource
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import lru_cache
from typing import TypeVar

from msgspec import Struct

from netprobe.kernel import descriptors
from netprobe.kernel.descriptors import LOOK, READ
from netprobe.kernel.elsewhere import current

from . import apart

# bytes: what a file of settings or of one process has at most, and a list of everything
SMALL, LARGE = 1 << 20, 64 << 20
ENTRIES = 1 << 16  # of one directory
_VALUE = 4096  # of one setting

_T = TypeVar("_T")


# the kernel's own files


def kernel(path: str, limit: int = LARGE) -> bytes:
    """The content of a file that the kernel makes up, at a fixed place in /proc.

    Raises OSError, EFBIG beyond `limit` bytes.
    """
    return at(None, path, limit)


def setting(path: str) -> bytes:
    """One value of /proc/sys. Raises OSError."""
    with settings() as value:
        return value(path)


@contextmanager
def settings(held: dict[str, int] | None = None) -> Iterator[Callable[[str], bytes]]:
    """In the block: what gives the value in a file of /proc/sys, which one read(2) gives whole
    (proc_sysctl.c). It raises OSError. A folder, which has many, is looked up once.

    `held` are those of this namespace that are open, by path; others are put there, while there are many
    descriptors.
    """
    if (there := current()) is not None:
        yield lambda path: there.file(path, SMALL)
        return
    known, most = (held, _most_held()) if held is not None else ({}, 0)
    with ExitStack() as undo:
        folders: dict[str, int] = {}

        def value(path: str) -> bytes:
            fd = known.get(path)
            if fd is not None:
                try:
                    return os.pread(fd, _VALUE, 0)
                except OSError:  # its module was unloaded, and may be there again
                    os.close(known.pop(path))
            folder, name = _parts(path)
            at = folders.get(folder)
            if at is None:
                at = folders[folder] = os.open(folder, LOOK)
                undo.callback(os.close, at)
            fd = os.open(name, READ, dir_fd=at)
            if fd < most:
                known[path] = fd
                return os.pread(fd, _VALUE, 0)
            try:
                return os.read(fd, _VALUE)
            finally:
                os.close(fd)

        yield value


def _most_held() -> int:
    """Up to which number a descriptor may stay open: half of them are for other things."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2


@lru_cache(maxsize=1024)  # those of every namespace
def _parts(path: str) -> tuple[str, str]:
    folder, _, name = path.rpartition("/")
    return folder, name


def at(folder: int | None, name: str, limit: int = SMALL) -> bytes:
    """The same of a file `name` in the open directory `folder` of a process in /proc."""
    if folder is None and (there := current()) is not None:
        return there.file(name, limit)
    fd = os.open(name, READ, dir_fd=folder)
    try:
        return descriptors.whole(fd, limit)
    finally:
        os.close(fd)


def entries(path: str | int, limit: int = 1 << 22) -> Iterator[str]:
    """The names in a directory of /proc, or in an open directory, as they come.

    Raises OSError, EFBIG beyond `limit` names.
    """
    if isinstance(path, str) and (there := current()) is not None:
        yield from there.names(path, limit)
        return
    with os.scandir(path) as found:
        for number, entry in enumerate(found):
            if number >= limit:
                raise descriptors.too_large()
            yield entry.name


def link(path: str, folder: int | None = None) -> str:
    """Where a link of /proc leads, as text: `user:[4026531837]`. Raises OSError."""
    if folder is None and (there := current()) is not None:
        return there.link(path)
    return os.readlink(path, dir_fd=folder)


def key(path: str, folder: int | None = None) -> tuple[int, int]:
    """(device, inode) of what a link of /proc leads to: `ns/net` of a process. Raises OSError."""
    if folder is None and (there := current()) is not None:
        return there.key(path)
    found = os.stat(path, dir_fd=folder)
    return found.st_dev, found.st_ino


def exists(path: str) -> bool:
    """Whether there is something by a name that the user gave, be it a link that leads nowhere, as far as
    that can be seen.
    """
    try:
        os.lstat(path)
    except (OSError, ValueError):
        return False
    return True


def is_program(path: str) -> bool:
    """Whether there is a file, in one of the system's own folders or one that the user gave, that we may
    run.
    """
    try:
        return stat.S_ISREG(os.stat(path).st_mode) and os.access(path, os.X_OK)  # noqa: PTH116 - as the rest
    except (OSError, ValueError):
        return False


def make_sure_of_descriptors(number: int) -> None:
    """Make sure that so many descriptors can be had. Raises OSError, EMFILE or ENFILE."""
    held: list[int] = []
    try:
        for _ in range(number):
            held.append(os.open("/", LOOK))
    finally:
        for fd in held:
            os.close(fd)


def user_above(roots: Sequence[str], path: str) -> int | None:
    """The number of the first user but root who owns a directory above `path`, on the way down from the first
    of `roots` that has it.

    For control groups: who owns a directory names what is in it. None where root owns all, and for a path
    that none has or that leads out of them (`/..`: beyond our cgroup namespace).
    """
    above = [path[:end] for end in range(1, len(path)) if path[end] == "/"]
    for root in roots if ".." not in path.split("/") else ():
        with suppress(OSError, ValueError):
            for each in above:
                if user := os.stat(root + each).st_uid:  # noqa: PTH116 - as the rest of this file
                    return user
            return None
    return None


def process(pid: int, proc: str = "/proc") -> int:
    """A descriptor of a process's directory in /proc, which the caller closes. Raises OSError."""
    return os.open(f"{proc}/{pid}", LOOK | os.O_DIRECTORY)


def namespace(path: str, folder: int | None = None) -> int:
    """A descriptor of the namespace file that root or the user names, links followed; the caller closes it.

    Raises OSError, EINVAL for a file that is none; such a file is not opened.
    """
    try:
        fd = os.open(path, LOOK, dir_fd=folder)
    except ValueError as error:  # a byte that no name has
        raise OSError(errno.EINVAL, str(error)) from None
    try:
        return descriptors.namespace(fd)
    finally:
        os.close(fd)


def directory(path: str) -> int:
    """A descriptor of a directory of the kernel's own, open for reading; the caller closes it.

    Raises OSError.
    """
    return os.open(path, READ | os.O_DIRECTORY)


# files in a tree of directories


class Tree(Struct, frozen=True):
    """The files beneath the directory `root`: paths begin there, and no link leads out of it.

    `owner`: the number of the user whom every file that is read must belong to; None: whoever it belongs to.
    `foreign`: somebody else decides what is mounted there, so it is looked at in a process apart, which may
    be waited for no longer than a moment.
    """

    root: str = "/"
    owner: int | None = None
    foreign: bool = False

    def read(self, path: str, limit: int = SMALL) -> bytes:
        """The whole content of a regular file.

        Raises OSError: EFBIG beyond `limit` bytes, EINVAL for what is no regular file.
        """
        return self._done(lambda: self._read(path, limit))

    def names(self, path: str, limit: int = ENTRIES) -> list[str]:
        """The sorted names in a directory. Raises OSError, EFBIG beyond `limit` names."""
        return self._done(lambda: self._names(path, limit))

    def is_directory(self, path: str) -> bool:
        """Whether there is a directory, as far as that can be seen."""
        return self._mode(path, stat.S_ISDIR)

    def exists(self, path: str) -> bool:
        """Whether there is something by this name, be it a link that leads nowhere, as far as that can be
        seen.
        """
        return self._mode(path, lambda mode: True, links=False)  # noqa: ARG005 - a mode is a mode

    def is_link(self, path: str) -> bool:
        """Whether the last name of `path` is a symbolic link, as far as that can be seen."""
        return self._mode(path, stat.S_ISLNK, links=False)

    def key(self, path: str) -> tuple[int, int] | None:
        """(device, inode) of what `path` leads to: equal for two names of one thing; None when it cannot be
        seen.
        """
        with suppress(OSError):
            return self._done(lambda: self._key(path))
        return None

    def namespace(self, path: str) -> int:
        """A descriptor of a namespace file, which the caller closes.

        No symbolic link may be on the way, or be it.

        Raises OSError, EINVAL for a file that is none; such a file is not opened.
        """
        if self.foreign and not apart.is_here():
            return apart.descriptor(lambda: self._namespace(path))
        return self._namespace(path)

    def identity(self, path: str) -> tuple[int, int]:
        """(device, inode) of a namespace file. Raises OSError as `namespace`."""

        def looked() -> tuple[int, int]:
            fd = self._namespace(path)
            try:
                found = os.fstat(fd)
            finally:
                os.close(fd)
            return found.st_dev, found.st_ino

        return self._done(looked)

    def _namespace(self, path: str) -> int:
        with self._seen(path, links=False) as fd:
            return descriptors.namespace(fd)

    def sqlite(self, path: str, limit: int = LARGE) -> bytes:
        """The content of an SQLite database at a moment at which nobody writes to it.

        Raises OSError, EBUSY when there is none.

        It is not opened with SQLite, which would lock it and may write beside it. Source:
        sqlite.org/fileformat2.html.
        """
        return self._done(lambda: self._settled(path, limit))

    def together(self, work: Callable[[], _T]) -> _T:
        """What `work` returns, which reads of this tree more than once: one process apart for all of it, as
        its owner.
        """

        def as_owner() -> _T:
            with _acting_as(self.owner):
                return work()

        return self._done(as_owner)

    def _done(self, work: Callable[[], _T]) -> _T:
        return apart.value(work) if self.foreign and not apart.is_here() else work()

    def _opened(self, path: str, links: bool) -> int:
        root = os.open(self.root, LOOK | os.O_DIRECTORY)
        try:
            return descriptors.beneath(root, path, links)
        finally:
            os.close(root)

    @contextmanager
    def _seen(self, path: str, links: bool = True) -> Iterator[int]:
        fd = self._opened(path, links)
        try:
            yield fd
        finally:
            os.close(fd)

    def _stat(self, path: str) -> os.stat_result:
        with self._seen(path) as fd:
            return os.fstat(fd)

    def _key(self, path: str) -> tuple[int, int]:
        found = self._stat(path)
        return found.st_dev, found.st_ino

    def _mode(self, path: str, wanted: Callable[[int], bool], links: bool = True) -> bool:
        def looked() -> bool:
            if links:
                return wanted(self._stat(path).st_mode)
            folder, _, name = path.rstrip("/").rpartition("/")
            with self._seen(folder) as fd:
                return wanted(os.stat(name or ".", dir_fd=fd, follow_symlinks=False).st_mode)

        try:
            return self._done(looked)
        except (OSError, ValueError):
            return False

    def _read(self, path: str, limit: int) -> bytes:
        with self._seen(path) as fd:
            self._check(fd)
            return descriptors.content(fd, limit)

    def _names(self, path: str, limit: int) -> list[str]:
        with self._seen(path) as fd:
            self._check(fd)
            folder = descriptors.reopened(fd, os.O_DIRECTORY)
            try:
                return sorted(entries(folder, limit))
            finally:
                os.close(folder)

    def _check(self, fd: int) -> None:
        if self.owner is not None and os.fstat(fd).st_uid != self.owner:
            raise PermissionError(errno.EACCES, "it belongs to another user")

    def _settled(self, path: str, limit: int) -> bytes:
        with self._seen(path) as fd:
            self._check(fd)
            for _ in range(3):
                before = os.fstat(fd)
                if self._is_written(path):
                    break
                data = descriptors.content(fd, limit)
                after = os.fstat(fd)
                if (before.st_mtime_ns, before.st_size) == (
                    after.st_mtime_ns,
                    after.st_size,
                ) and not self._is_written(path):
                    return data
        raise OSError(errno.EBUSY, "a program writes to the database")

    def _is_written(self, path: str) -> bool:
        """Whether a journal beside it holds what the database lacks, or has too much."""
        for ending in ("-journal", "-wal"):
            with suppress(FileNotFoundError):
                if self._stat(path + ending).st_size:
                    return True
        return False


def namespaces_beneath(places: Sequence[tuple[str, str]]) -> list[int | OSError]:
    """Descriptors of the namespace files at (root of a foreign tree, path), which the caller closes: one
    process apart for all.
    """
    return apart.descriptors(lambda place: Tree(place[0])._namespace(place[1]), places)


def component(name: str) -> str:
    """`name`, which somebody else chose, if it can be one step of a path. Raises OSError otherwise."""
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise OSError(errno.EINVAL, "not a plain file name")
    return name


@contextmanager
def _acting_as(owner: int | None) -> Iterator[None]:
    """Let the kernel check for the user `owner` what may be opened.

    Only for a process apart: it holds for all threads.
    """
    if owner is None or os.geteuid() == owner or not apart.is_here():
        yield
        return
    own = os.geteuid()
    with suppress(PermissionError):  # without CAP_SETUID the check of who owns a file has to do
        os.seteuid(owner)
    try:
        yield
    finally:
        if os.geteuid() != own:
            os.seteuid(own)
