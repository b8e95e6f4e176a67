"""Files are written whole, as the person who called, and nowhere else; whatever stands where they are to go."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from netprobe import output
from netprobe.output import Caller, caller, write_file

NOBODY, NOGROUP = 65534, 65534
PROJECT = Path(__file__).parents[2]
SAMPLE = PROJECT / "captures/samples/trace-red-8.8.8.8.pcapng"
SHOW = [sys.executable, "-m", "netprobe", "show", str(SAMPLE)]
RENAME_EXCHANGE = 2  # include/uapi/linux/fs.h
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has somebody to become")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that everybody may enter, unlike pytest's."""
    folder = Path(tempfile.mkdtemp(prefix="netprobe-output-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def mine(place: Path) -> Path:
    """The caller's folder."""
    folder = place / "mine"
    folder.mkdir(mode=0o755)
    os.chown(folder, NOBODY, NOGROUP)
    return folder


@pytest.fixture
def sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    """nobody called root's program."""
    monkeypatch.setenv("SUDO_UID", str(NOBODY))
    monkeypatch.setenv("SUDO_GID", str(NOGROUP))
    monkeypatch.setenv("SUDO_COMMAND", "/usr/bin/netprobe trace red 8.8.8.8")


@pytest.fixture
def secret(place: Path) -> Path:
    """A file of root's, of which everybody has seen the name."""
    file = place / "secret"
    file.write_text("root's")
    file.chmod(0o644)
    return file


def untouched(file: Path) -> None:
    assert file.read_text() == "root's"
    assert (file.stat().st_uid, stat.S_IMODE(file.stat().st_mode)) == (0, 0o644)


def refused(path: Path, *numbers: int) -> str:
    with pytest.raises(OSError, match=r".") as caught:
        write_file(str(path), b"report")
    assert caught.value.errno in numbers, caught.value
    return caught.value.strerror


# who the caller is


SUDO = {"SUDO_UID": "1000", "SUDO_GID": "1001", "SUDO_COMMAND": "/usr/bin/netprobe ls"}


def test_who_called() -> None:
    assert caller(SUDO, 0) == Caller(1000, 1001)
    assert caller({**SUDO, "SUDO_COMMAND": "/bin/bash -c netprobe"}, 0) == Caller(1000, 1001)
    assert caller({k: v for k, v in SUDO.items() if k != "SUDO_COMMAND"}, 0) == Caller(1000, 1001)


@pytest.mark.parametrize(
    "environ",
    [{}, {"SUDO_UID": "1000"}, {**SUDO, "SUDO_UID": "0"}, *({**SUDO, "SUDO_GID": odd} for odd in ("", "-1", "٣", "4294967295", "x"))],
)
def test_nobody_else_called(environ: dict[str, str]) -> None:
    assert caller(environ, 0) is None


def test_only_root_has_a_caller() -> None:
    assert caller(SUDO, 1000) is None


@pytest.mark.parametrize("command", ["/bin/bash", "/usr/bin/zsh", "/usr/bin/su", "/usr/bin/su -"])
def test_in_a_root_shell_root_works(command: str) -> None:
    assert caller({**SUDO, "SUDO_COMMAND": command}, 0) is None


# as whoever runs it


def test_a_new_file_is_nobody_elses_business(tmp_path: Path) -> None:
    file = tmp_path / "a/b/report"
    write_file(str(file), b"report")
    assert file.read_bytes() == b"report"
    assert [stat.S_IMODE(each.stat().st_mode) for each in (file, file.parent, file.parent.parent)] == [0o600, 0o700, 0o700]
    assert os.listdir(file.parent) == ["report"]  # noqa: PTH208 - hidden ones too


@pytest.mark.parametrize("unnamed", [True, False], ids=["without a name", "by another name"])
def test_an_old_file_is_replaced_and_keeps_its_mode(tmp_path: Path, unnamed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "report"
    file.write_text("an older and longer one")
    file.chmod(0o640)
    old = file.open()
    if not unnamed:
        monkeypatch.setattr(output.os, "open", lacking_unnamed_files(os.open))
    write_file(str(file), b"report")
    assert file.read_bytes() == b"report"
    assert old.read() == "an older and longer one"  # whoever reads it has the whole old one
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["report"]  # noqa: PTH208
    old.close()


def lacking_unnamed_files(real: Callable[..., int]) -> Callable[..., int]:
    def opening(path: str, flags: int, *more: Any, **options: Any) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        return real(path, flags, *more, **options)

    return opening


def test_an_own_link_is_followed_and_stays(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there/second")
    (tmp_path / "there/second").symlink_to("report")
    for data in (b"one", b"another"):
        write_file(str(tmp_path / "link"), data)
        assert (tmp_path / "there/report").read_bytes() == data
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there/second").is_symlink()


def test_links_without_an_end(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    refused(tmp_path / "one", errno.ELOOP)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert refused(tmp_path / "folder", errno.EINVAL) == "it is a folder"
    refused(tmp_path / "folder/..", errno.EISDIR)
    with output_socket(tmp_path / "socket"):
        assert refused(tmp_path / "socket", errno.EINVAL) == "it is a socket"


def output_socket(path: Path) -> Any:
    import socket

    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    return listening


@as_root
@pytest.mark.parametrize(("kind", "words"), [(stat.S_IFBLK, "it is a block device"), (stat.S_IFCHR, "it is a device")])
@pytest.mark.parametrize("linked", [False, True], ids=["itself", "by a link"])
def test_a_device_is_refused_unopened(tmp_path: Path, kind: int, words: str, linked: bool) -> None:
    """Numbers that no driver has: opening it would be another error."""
    node = tmp_path / "node"
    try:
        os.mknod(node, kind | 0o666, os.makedev(240, 200))
    except PermissionError:
        pytest.skip("devices cannot be made here")
    (tmp_path / "link").symlink_to("node")
    assert refused(tmp_path / "link" if linked else node, errno.EINVAL) == words


def test_devices_that_take_everything() -> None:
    write_file("/dev/null", b"report")
    refused(Path("/dev/full"), errno.ENOSPC)


@as_root
def test_links_and_pipes_of_other_users_are_not_roots_way(mine: Path, secret: Path) -> None:
    (mine / "link").symlink_to(secret)
    os.mkfifo(mine / "pipe")
    for each in ("link", "pipe"):
        os.chown(mine / each, NOBODY, NOGROUP, follow_symlinks=False)
        assert "of another user" in refused(mine / each, errno.EPERM)
    untouched(secret)


@as_root
@pytest.mark.parametrize("behind", ["captures/report", "captures/new/report", "folder/../captures/report"])
def test_a_folder_that_is_a_link_of_another_user_leads_nowhere(mine: Path, place: Path, behind: str) -> None:
    """As `captures` in the home folder of a user, in which root traces."""
    (place / "roots").mkdir()
    (mine / "folder").mkdir()
    (mine / "captures").symlink_to(place / "roots")
    os.chown(mine / "captures", NOBODY, NOGROUP, follow_symlinks=False)
    assert "of another user" in refused(mine / behind, errno.EPERM)
    assert not list((place / "roots").iterdir())


def test_folders_behind_own_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("real/deep").mkdir(parents=True)
    Path("far").symlink_to(tmp_path / "real/deep")
    Path("near").symlink_to("real")
    Path("real/up").symlink_to("../near/deep")
    root = f"/proc/self/root{tmp_path}"
    before = len(list(Path("/proc/self/fd").iterdir()))
    places = ("far/1", "near/deep/2", "real/up/3", "far/../up/4", "./near//deep/./5", f"{root}/real/deep/6", f"{tmp_path}/near/up/new/7")
    for place in places:
        write_file(place, b"report")
    assert sorted(each.name for each in Path("real/deep").iterdir()) == ["1", "2", "3", "4", "5", "6", "new"]
    Path("a").symlink_to("b")
    Path("b").symlink_to("a")
    Path("file").touch()
    refused(Path("a/report"), errno.ELOOP)
    refused(Path("file/report"), errno.ENOTDIR)
    refused(Path("near/" * 5000 + "report"), errno.ENAMETOOLONG, errno.ENOENT)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


# standard output by its name


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_standard_output_by_its_name(tmp_path: Path, name: str) -> None:
    """It is what the caller opened, a file as well: that is written to, and the name stays what it is."""
    with (tmp_path / "report").open("w") as file:
        file.write("before\n")
        file.flush()
        done = subprocess.run([*SHOW, "--out", name], stdout=file, cwd=PROJECT, check=False)
    assert done.returncode == 0
    assert (tmp_path / "report").read_text().startswith("before\nred (10.0.0.2)")
    assert Path("/dev/stdout").is_symlink()


# under sudo


@as_root
@pytest.mark.usefixtures("sudo")
def test_under_sudo_all_is_the_callers(mine: Path) -> None:
    write_file(str(mine / "new/report"), b"report" * 100_000)
    assert (mine / "new/report").read_bytes() == b"report" * 100_000
    for each in (mine / "new", mine / "new/report"):
        assert (each.stat().st_uid, each.stat().st_gid) == (NOBODY, NOGROUP)
    assert os.geteuid() == 0


@as_root
@pytest.mark.usefixtures("sudo")
def test_what_the_caller_may_not_write_is_not_written(mine: Path, place: Path, secret: Path) -> None:
    (mine / "link").symlink_to(secret)
    (mine / "folder").symlink_to(place)
    for path in (secret, mine / "link", mine / "folder/secret", place / "new", mine / "folder/new", Path("/etc/netprobe-of-nobody")):
        refused(path, errno.EACCES)
    untouched(secret)
    assert sorted(os.listdir(place)) == ["mine", "secret"]  # noqa: PTH208


@as_root
@pytest.mark.usefixtures("sudo")
def test_roots_groups_are_not_the_callers(place: Path) -> None:
    (place / "ours").mkdir()
    (place / "ours").chmod(0o770)
    refused(place / "ours/report", errno.EACCES)


@as_root
@pytest.mark.usefixtures("sudo")
def test_a_file_that_existed_changes_no_owner(mine: Path, secret: Path) -> None:
    """In a folder of the caller's, who may throw it away. The file itself, which has another name, is as it was."""
    os.link(secret, mine / "report")
    write_file(str(mine / "report"), b"report")
    untouched(secret)
    assert ((mine / "report").stat().st_uid, (mine / "report").read_bytes()) == (NOBODY, b"report")


@as_root
@pytest.mark.usefixtures("sudo")
def test_a_pipe_that_becomes_a_link_meanwhile(mine: Path, secret: Path) -> None:
    """Exchanged again and again while reports are written; the kernel's own renameat2 does it in one step."""
    os.mkfifo(mine / "report")
    os.chown(mine / "report", NOBODY, NOGROUP)
    (mine / "link").symlink_to(secret)
    reader = os.open(mine / "report", os.O_RDONLY | os.O_NONBLOCK)
    with subprocess.Popen([sys.executable, "-c", EXCHANGE, str(mine / "report"), str(mine / "link")]) as exchanging:
        try:
            written = sum(attempt(mine / "report", reader) for _ in range(60))
        finally:
            exchanging.kill()
            os.close(reader)
    assert written > 0
    untouched(secret)


EXCHANGE = f"""
import ctypes, os, sys
one, other = map(os.fsencode, sys.argv[1:])
while True:
    ctypes.CDLL(None).renameat2(-100, one, -100, other, {RENAME_EXCHANGE})
"""


def attempt(path: Path, reader: int) -> bool:
    try:
        write_file(str(path), b"report")
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.ELOOP, errno.EINVAL):
            raise
    return os.read(reader, 6) == b"report"


@as_root
def test_a_writer_at_a_pipe_ends_with_netprobe(mine: Path) -> None:
    """Nobody reads the pipe, so that the writing child waits: SIGTERM, and a -9 that lets nothing be tidied, end it, too."""
    os.mkfifo(mine / "pipe")
    os.chown(mine / "pipe", NOBODY, NOGROUP)
    environment = {**os.environ, **SUDO, "SUDO_UID": str(NOBODY), "SUDO_GID": str(NOGROUP)}
    for number, code in ((signal.SIGTERM, 130), (signal.SIGKILL, -signal.SIGKILL)):
        with subprocess.Popen([*SHOW, "--out", str(mine / "pipe")], env=environment, cwd=PROJECT) as program:
            child = until(lambda pid=program.pid: children(pid))
            until(lambda pid=child[0]: Path(f"/proc/{pid}").stat().st_uid == NOBODY)
            until(lambda pid=child[0]: "S (sleeping)" in Path(f"/proc/{pid}/status").read_text())
            program.send_signal(number)
            assert program.wait() == code
        until(lambda pid=child[0]: not alive(pid))


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    try:
        return "Z (zombie)" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def until(condition: Callable[[], Any]) -> Any:
    end = time.monotonic() + 60
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.01)
    return found
