"""The one reader of files: what it opens, what it leaves alone, and that nothing keeps it for long. Both ways of resolving a path."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import select
import socket
import sqlite3
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from netprobe.errors import SHORT, CannotLook, is_short
from netprobe.kernel import descriptors
from netprobe.linux import apart, files, netns
from netprobe.linux.files import Tree
from netprobe.linux.machine import Machine
from netprobe.linux.names.names import Found, close_all, open_each

HUNG = Path(__file__).parents[1] / "runtimes/hung_files.py"
IN_OPEN, IN_NONBLOCK = 0x20, 0o4000  # include/uapi/linux/inotify.h


@pytest.fixture(autouse=True)
def new_run() -> Iterator[None]:
    apart.forget()
    yield
    apart.forget()


@pytest.fixture(params=["openat2", "steps"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How paths are resolved: by the kernel, or where it has no openat2."""
    if request.param == "steps":

        def refused(root: int, path: str, links: bool) -> int:
            raise OSError(errno.ENOSYS, "Function not implemented")

        monkeypatch.setattr(descriptors, "_by_kernel", refused)
    return str(request.param)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A root directory with what a container may put into it."""
    root = tmp_path / "root"
    (root / "etc/deep").mkdir(parents=True)
    (root / "etc/plain").write_text("inside")
    (tmp_path / "outside").write_text("outside")
    (root / "big").write_text("x" * 5000)
    with open(root / "sparse", "wb") as sparse:
        sparse.truncate(1 << 40)
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "socket"))
    links = {
        "absolute": "/etc/plain", "relative": "etc/plain", "up": "../../../../etc/plain", "out": f"{tmp_path}/outside", "loop": "loop",
        "zero": "/dev/zero", "magic": "/proc/self/root/etc/plain", "fd": "/proc/self/fd/0", "dir": "etc", "dangling": "nowhere",
        "through": "dir/deep/../plain", "etc/back": "../etc/plain",
    }  # fmt: skip
    for name, target in links.items():
        (root / name).symlink_to(target)
    return root


READ = {
    "etc/plain": "inside", "/etc/plain": "inside", "//etc//./plain": "inside", "../../etc/plain": "inside", "absolute": "inside",
    "relative": "inside", "up": "inside", "dir/plain": "inside", "through": "inside", "etc/back": "inside", "etc/deep/../plain": "inside",
}  # fmt: skip
REFUSED = {
    "out": errno.ENOENT, "loop": errno.ELOOP, "zero": errno.ENOENT, "magic": errno.ENOENT, "fd": errno.ENOENT, "dangling": errno.ENOENT,
    "fifo": errno.EINVAL, "socket": errno.EINVAL, "etc": errno.EINVAL, "": errno.EINVAL, "dir": errno.EINVAL, "nobody": errno.ENOENT,
    "big": errno.EFBIG, "sparse": errno.EFBIG, "etc/plain/": errno.ENOTDIR, "etc/plain/x": errno.ENOTDIR, "etc/plain/..": errno.ENOTDIR,
    "etc/plain\0": errno.EINVAL, "x" * 300: errno.ENAMETOOLONG, "x/" * 3000: errno.ENAMETOOLONG,
}  # fmt: skip


@pytest.mark.parametrize("path", READ)
def test_what_is_read(way: str, tree: Path, path: str) -> None:
    assert Tree(str(tree)).read(path, 4096).decode() == READ[path]


@pytest.mark.parametrize("path", REFUSED)
def test_what_is_not(way: str, tree: Path, path: str) -> None:
    with pytest.raises(OSError, match=r".+") as caught:
        Tree(str(tree)).read(path, 4096)
    assert caught.value.errno == REFUSED[path]


@pytest.mark.parametrize("path", ["/proc/self/root/etc/hostname", "/proc/thread-self/cwd/setup", "/proc/self/exe", "/proc/self/fd/0"])
def test_no_magic_link_is_followed(way: str, path: str) -> None:
    with pytest.raises(OSError, match="symbolic links"):
        Tree().read(path)


def test_devices_are_left_alone(way: str) -> None:
    for device in ("/dev/zero", "/dev/null", "/dev/tty"):
        with pytest.raises(OSError, match="regular"):
            Tree().read(device)


def test_a_file_of_proc_has_a_limit() -> None:
    assert files.kernel("/proc/version").startswith(b"Linux")
    with pytest.raises(OSError, match="larger"):
        files.kernel("/proc/version", 4)


@pytest.fixture
def unopened(monkeypatch: pytest.MonkeyPatch) -> None:
    def reopened(fd: int, flags: int = 0) -> int:
        raise AssertionError("it was opened")

    monkeypatch.setattr(descriptors, "reopened", reopened)


@pytest.mark.usefixtures("unopened")
@pytest.mark.parametrize("path", ["/proc/version", "/proc/kmsg", "/proc/sys/kernel/random/uuid"])
def test_a_link_to_what_the_kernel_makes_up_reads_nothing(way: str, tmp_path: Path, path: str) -> None:
    """Reading /proc/kmsg takes messages away from who waits for them, and a container's resolv.conf may be a link to it."""
    (tmp_path / "resolv.conf").symlink_to(path)
    if way == "openat2":  # by steps no link of /proc is followed
        assert Tree().read(f"{tmp_path}/resolv.conf") == b""
    assert Tree().read(path) == b""


@pytest.mark.usefixtures("unopened")
def test_a_link_into_sysfs_reads_nothing(way: str, tmp_path: Path) -> None:
    """Its files have a size, and some of them ask the hardware."""
    (tmp_path / "hosts").symlink_to("/sys/kernel/uevent_seqnum")
    with pytest.raises(OSError, match="a file of the kernel's"):
        Tree().read(f"{tmp_path}/hosts")


def test_a_limit_is_the_size_that_is_still_read(tree: Path) -> None:
    assert len(Tree(str(tree)).read("big", 5000)) == 5000
    with pytest.raises(OSError, match="larger"):
        Tree(str(tree)).read("big", 4999)


def test_directories(way: str, tree: Path) -> None:
    here = Tree(str(tree))
    assert here.names("dir") == here.names("/etc") == ["back", "deep", "plain"]
    with pytest.raises(OSError, match="larger"):
        here.names("etc", 2)
    for path in ("fifo", "etc/plain", "loop", "nobody"):
        with pytest.raises(OSError, match=r".+"):
            here.names(path)
    assert (here.is_directory("dir"), here.is_directory("fifo"), here.is_directory("loop")) == (True, False, False)
    assert (here.exists("dangling"), here.exists("dir/plain"), here.exists("nobody"), here.exists("x\0")) == (True, True, False, False)
    assert (here.is_link("dangling"), here.is_link("etc"), here.is_link("dir/plain")) == (True, False, False)
    assert here.key("absolute") == here.key("etc/plain") != here.key("big")
    assert here.key("out") is None


def test_only_files_of_the_owner(tree: Path) -> None:
    assert Tree(str(tree), owner=os.getuid()).read("relative") == b"inside"
    with pytest.raises(PermissionError):
        Tree(str(tree), owner=4711).read("relative")
    with pytest.raises(PermissionError):
        Tree(str(tree), owner=4711).names("etc")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can read what belongs to others")
def test_the_owner_reads_what_it_may_read_itself(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "secret").write_text("root's")
    (tmp_path / "secret").chmod(0o600)
    (tmp_path / "own").write_text("nobody's")
    os.chown(tmp_path / "own", 65534, 65534)
    here = Tree("/proc/self/root", owner=65534, foreign=True)
    free = Tree("/proc/self/root", owner=None, foreign=True)
    assert free.read(f"{tmp_path}/secret") == b"root's"
    with pytest.raises(PermissionError):
        here.together(lambda: free.read(f"{tmp_path}/secret"))


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/", "../../etc", "a\0b"])
def test_what_is_no_component(name: str) -> None:
    with pytest.raises(OSError, match="plain"):
        files.component(name)
    assert files.component("a..b") == "a..b"


def opened(path: Path) -> Iterator[bool]:
    """Whether the file has been opened since the last question."""
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(IN_NONBLOCK)
    try:
        assert libc.inotify_add_watch(watch, os.fsencode(path), IN_OPEN) >= 0
        while True:
            seen = bool(select.select([watch], [], [], 0)[0])
            if seen:
                os.read(watch, 4096)
            yield seen
    finally:
        os.close(watch)


def test_what_is_no_namespace_is_not_opened(tmp_path: Path) -> None:
    """To open a device can rewind a tape or arm a watchdog; to open a FIFO lets go who waits to write to it."""
    (tmp_path / "stale").touch()
    os.mkfifo(tmp_path / "fifo")
    if os.geteuid() == 0:
        os.mknod(tmp_path / "device", 0o600 | 0o020000, os.makedev(1, 5))
    for place in sorted(tmp_path.iterdir()):
        was_opened = opened(place)
        assert not next(was_opened)
        for look in (lambda p=place: netns.open_namespace(str(p), "red"), lambda p=place: netns.open_beneath(str(tmp_path), p.name, "red")):
            with pytest.raises(CannotLook, match="red is not a network namespace"):
                look()
        assert not next(was_opened)
        os.close(os.open(place, os.O_RDONLY | os.O_NONBLOCK))
        assert next(was_opened), "the watch sees what is opened"
        was_opened.close()  # type: ignore[attr-defined]


def test_a_database_is_read_whole_and_nothing_is_written_beside_it(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "db")) as database, database:
        database.execute("CREATE TABLE t (a)")
    assert Tree(str(tmp_path)).sqlite("db").startswith(b"SQLite format 3\0")
    for ending in ("-journal", "-wal"):
        journal = tmp_path / f"db{ending}"
        journal.touch()
        assert Tree(str(tmp_path)).sqlite("db"), "an empty one is left after a transaction"
        journal.write_text("half a transaction")
        with pytest.raises(OSError, match="writes"):
            Tree(str(tmp_path)).sqlite("db")
        journal.unlink()
    assert [entry.name for entry in tmp_path.iterdir()] == ["db"]


# a process apart


def test_results_come_in_order_and_errors_with_them() -> None:
    def work(number: int) -> int:
        if number == 2:
            raise FileNotFoundError(errno.ENOENT, "No such file")
        return number * 10

    first, second, third = apart.values(work, [1, 2, 3])
    assert (first, third) == (10, 30)
    assert isinstance(second, FileNotFoundError)
    assert list(apart.values(work, [])) == []


def test_what_hangs_is_given_up_and_the_rest_is_done() -> None:
    results = list(apart.values(lambda seconds: time.sleep(seconds) or seconds, [0, 600, 0.01]))
    assert (results[0], results[2]) == (0, 0.01)
    assert isinstance(results[1], TimeoutError)
    assert apart.heard() == ("1 of the files of users or containers were not read in time; what they say is left out",)
    assert apart.heard() == ()


def test_a_run_does_not_wait_for_ever_again_and_again() -> None:
    start = time.monotonic()
    results = list(apart.values(time.sleep, [600.0] * 1000))
    assert {type(result) for result in results} == {TimeoutError}
    assert time.monotonic() - start < 30


def test_many_that_answer_at_once_are_not_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container with hundreds of namespaces, each looked at by itself, cost all other containers theirs."""
    monkeypatch.setattr(apart, "RUN_S", 0.5)
    monkeypatch.setattr(apart, "USUAL_S", 10.0)
    assert list(apart.values(lambda number: time.sleep(0.02) or number, range(100))) == list(range(100))
    assert [apart.value(lambda: time.sleep(0.02) or 7) for _ in range(50)] == [7] * 50
    assert apart.heard() == ()


def test_a_question_begins_with_all_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "RUN_S", 0.1)
    with Machine() as machine:
        for ask in (lambda: machine.resolve("192.0.2.1"), machine.spaces):
            assert isinstance(next(apart.values(time.sleep, [600])), TimeoutError)
            assert isinstance(next(apart.values(abs, [1])), TimeoutError)
            ask()
            assert next(apart.values(abs, [1])) == 1


@pytest.mark.parametrize("code", sorted(SHORT))
def test_what_a_file_system_lacks_is_no_lack_of_ours(code: int) -> None:
    """One that a container serves (FUSE) may say ENOMEM, or that too many files are open, of any name: the run ended with it."""

    def refused() -> int:
        raise OSError(code, os.strerror(code))

    with pytest.raises(OSError, match=re.escape(os.strerror(code))) as told:
        apart.value(refused)
    assert not is_short(told.value)
    with pytest.raises(OSError, match=re.escape(os.strerror(code))) as told:
        apart.descriptor(refused)
    assert not is_short(told.value)
    assert apart.heard()[0].startswith("2 of the files")


def test_many_namespaces_inside_are_opened_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    fork, forked = os.fork, []
    monkeypatch.setattr(os, "fork", lambda: forked.append(1) or fork())
    own, other = "/proc/self/ns/net", "/proc/version"
    inner = [Found("lxc", f"c1//{number}", "/no-such-file", beneath="/") for number in range(20)]
    results = open_each([Found("path", own, own), *inner, Found("path", other, other)])
    try:
        assert isinstance(results[0], int)
        assert netns.identity(results[0]) == files.key(own)
        assert str(results[2]) == "cannot open the network namespace lxc:c1//1: No such file or directory"
        assert str(results[-1]) == "path:/proc/version is not a network namespace"
        assert (len(results), len(forked)) == (22, 1)
    finally:
        close_all(results)


def test_who_dies_is_none_that_answers() -> None:
    died, alive = apart.values(lambda code: os._exit(code) if code else "here", [1, 0])
    assert (type(died), alive) == (TimeoutError, "here")
    with pytest.raises(OSError, match="ZeroDivisionError"):
        apart.value(lambda: 1 // 0)


def open_ones() -> set[str]:
    return {entry.name for entry in os.scandir("/proc/self/fd")}


def test_nothing_is_left_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = open_ones()
    fork, forked = os.fork, []
    monkeypatch.setattr(os, "fork", lambda: forked.append(fork()) or forked[-1])
    fd = apart.descriptor(lambda: os.open("/proc/version", os.O_RDONLY))
    assert os.read(fd, 5) == b"Linux"
    assert not os.get_inheritable(fd)
    os.close(fd)
    list(apart.values(time.sleep, [600.0]))
    with pytest.raises(FileNotFoundError):
        apart.descriptor(lambda: os.open(tmp_path / "missing", os.O_RDONLY))
    assert open_ones() == before
    assert len(forked) == 3
    for pid in forked:
        with pytest.raises(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def test_it_holds_nothing_of_ours() -> None:
    """A reader of our output must not have to wait for a process that hangs."""

    def held_there() -> list[str]:
        held = []
        for entry in Path("/proc/self/fd").iterdir():
            with suppress(FileNotFoundError):  # the listing's own
                held.append(str(entry.readlink()))
        return held

    out, into = os.pipe()
    try:
        held = apart.value(held_there)
    finally:
        os.close(out)
        os.close(into)
    assert sorted({name.split(":")[0] for name in held}) == ["/dev/null", "socket"]


@pytest.fixture
def hung(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """(process, folder): the folder is a file system that hangs, as this process sees it."""
    if os.geteuid() != 0 or not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("a file system of our own needs root and /dev/fuse")
    folder = tmp_path / "hung"
    folder.mkdir()
    with subprocess.Popen([sys.executable, str(HUNG), str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        yield server.pid, folder


def test_a_file_system_that_hangs(hung: tuple[int, Path]) -> None:
    pid, folder = hung
    there = Tree(f"/proc/{pid}/root", foreign=True)
    assert there.exists(f"{folder}/file")
    for look in (lambda: there.read(f"{folder}/file"), lambda: there.names(str(folder))):
        with pytest.raises(TimeoutError, match="in time"):
            look()
    assert there.read("/etc/hostname") == Tree().read("/etc/hostname"), "the rest is still read"


def test_more_than_a_descriptor_can_be_handed_over() -> None:
    assert len(apart.value(lambda: b"x" * (8 << 20))) == 8 << 20
    assert struct.calcsize("=Q") == 8
