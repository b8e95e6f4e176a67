"""A user's or a container's process that claims to keep a container, and leads to files that hang or have no end.

Asked are `ls`, a name that nobody has, and a plain trace whose far end cannot be found among the usual places.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from runtimes import impostor
from runtimes.proc_tree import ProcTree

from netprobe.lab.lab import Lab
from netprobe.linux import apart
from netprobe.linux.files import Tree
from netprobe.linux.names import resolver
from netprobe.linux.runtimes import process as processes
from netprobe.linux.runtimes.census import Census
from netprobe.linux.runtimes.podman_files import PodmanFiles, Store
from netprobe.linux.runtimes.podman_memory import PodmanMemory

A, B = "a" * 64, "b" * 64
NOBODY = 65534
NETPROBE = [sys.executable, "-c", "from netprobe.cli import main; main()"]
# tells how much memory the program took at most, in KiB, as the last line of its errors
MEASURED = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""
QUESTIONS = (
    (["ls"], 0),
    (["trace", "wbe", "8.8.8.8"], 2),
    (["trace", "--exclude", "internet", "red", "8.8.8.8"], 0),
)
ENDLESS = """CREATE VIEW {} AS WITH RECURSIVE more(ID, JSON) AS
(SELECT '{}', '{{}}' UNION ALL SELECT ID, JSON || 'x' FROM more) SELECT ID, JSON FROM more WHERE JSON = 'never'"""


def containers_json(store: Path) -> Path:
    file = store / "overlay-containers/containers.json"
    file.parent.mkdir(parents=True)
    return file


def fifo(store: Path) -> None:
    os.mkfifo(containers_json(store))


def zeros(store: Path) -> None:
    containers_json(store).symlink_to("/dev/zero")


def sparse(store: Path) -> None:
    with open(containers_json(store), "wb") as file:
        file.truncate(1 << 36)


def no_text(store: Path) -> None:
    containers_json(store).write_bytes(b'[{"id": "' + A.encode() + b'", "names": ["\xff\xfe"]}]')


def nested(store: Path) -> None:
    containers_json(store).write_bytes(b"[" * 1_000_000)


def many(store: Path) -> None:
    containers_json(store).write_bytes(b"[" + b'{"id":""},' * 1_500_000 + b'{"id":""}]')


def endless_view(store: Path) -> None:
    containers_json(store).write_text(json.dumps([{"id": A, "names": ["web"]}]))
    with closing(sqlite3.connect(store / "db.sql")) as database, database:
        for table in ("ContainerConfig", "ContainerState"):
            database.execute(ENDLESS.format(table, A))


def database_fifo(store: Path) -> None:
    containers_json(store).write_text(json.dumps([{"id": A, "names": ["web"]}]))
    os.mkfifo(store / "db.sql")


def pidfile_fifo(store: Path) -> None:
    containers_json(store).write_text(json.dumps([{"id": A, "names": ["web"]}]))
    (store / f"overlay-containers/{A}/userdata").mkdir(parents=True)
    os.mkfifo(store / f"overlay-containers/{A}/userdata/pidfile")


FILES = [fifo, zeros, sparse, no_text, nested, many, endless_view, database_fifo, pidfile_fifo]


@pytest.fixture(autouse=True)
def new_run() -> Iterator[None]:
    apart.forget()
    yield
    apart.forget()


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="netprobe-hostile-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def give(folder: Path, uid: int) -> None:
    if uid and os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, uid, uid, follow_symlinks=False)


@pytest.mark.lab
@pytest.mark.parametrize("uid", [NOBODY, 0], ids=["user", "root"])
@pytest.mark.parametrize("make", FILES, ids=lambda make: make.__name__)
def test_a_keeper_whose_files_hang(lab: Lab, privilege: str, folder: Path, make: Callable[[Path], None], uid: int) -> None:
    if uid and privilege != "root":
        pytest.skip("the rootless lab has one user")
    make(folder)
    give(folder, uid)
    options = impostor.conmon(A, str(folder), str(folder))
    program = lab.start(impostor.command("conmon", uid, options))
    program.until("ready")
    try:
        for words, code in QUESTIONS:
            done = lab.run([sys.executable, "-c", MEASURED, *NETPROBE, *words], timeout=25, environment={"NETPROBE_CAPTURES": "none"})
            assert done.returncode == code, (words, done.stdout, done.stderr)
            assert "Traceback" not in done.stderr
            assert int(done.stderr.splitlines()[-1]) < 200 << 10
    finally:
        program.stop()


@pytest.mark.lab
@pytest.mark.parametrize("uid", [NOBODY, 0], ids=["user", "root"])
def test_such_a_process_is_seen(lab: Lab, privilege: str, folder: Path, uid: int) -> None:
    """The test above would pass if nobody looked at it: with honest files the container is known."""
    if uid and privilege != "root":
        pytest.skip("the rootless lab has one user")
    containers_json(folder).write_text(json.dumps([{"id": A, "names": ["web"]}]))
    give(folder, uid)
    program = lab.start(impostor.command("conmon", uid, impostor.conmon(A, str(folder), str(folder))))
    program.until("ready")
    try:
        done = lab.run([*NETPROBE, "trace", "web", "8.8.8.8"])
        assert (done.returncode, "web is stopped" in done.stderr) == (2, True), done.stderr
    finally:
        program.stop()


# resolv.conf and hosts of a container


@pytest.mark.parametrize("make", ["fifo", "zeros", "sparse"])
def test_the_resolvers_files_of_a_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: str) -> None:
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "hosts").write_text("10.0.0.1 web\n")
    bad = etc / "resolv.conf"
    if make == "fifo":
        os.mkfifo(bad)
    elif make == "zeros":
        bad.symlink_to("/dev/zero")
    else:
        with open(bad, "wb") as file:
            file.truncate(1 << 36)
    assert resolver._read(Tree(str(tmp_path), foreign=True), "/etc") == {"/etc/hosts": b"10.0.0.1 web\n"}


def test_a_link_within_the_container_is_followed(tmp_path: Path) -> None:
    """As NixOS and systemd-resolved have it; one that leads out leads to nothing of ours."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run/resolv.conf").write_text("nameserver 10.0.0.1\n")
    (tmp_path / "etc/resolv.conf").symlink_to("/run/resolv.conf")
    (tmp_path / "etc/hosts").symlink_to("../../../../../../etc/hosts")
    assert resolver._read(Tree(str(tmp_path), foreign=True), "/etc") == {"/etc/resolv.conf": b"nameserver 10.0.0.1\n"}


# whose word it is


def store(folder: Path, *names: str) -> None:
    entries = [{"id": identity, "names": [name]} for identity, name in zip((A, B), names, strict=False)]
    containers_json(folder).write_text(json.dumps(entries))


def test_a_users_keeper_does_not_speak_for_roots_container(tmp_path: Path) -> None:
    proc = ProcTree(tmp_path / "proc")
    proc.add(10, cmdline=["conmon", *impostor.conmon(A, "/var/store", "/run/store", "web")])
    proc.add(11, cmdline=["conmon", *impostor.conmon(A, "/home/evil", "/home/evil", "victim")], uid=4711)
    proc.add(9, cmdline=["conmon", *impostor.conmon(A, "/home/evil", "/home/evil", "victim")], uid=4711)
    keeper = Census(str(proc.root)).keeper(A)
    assert keeper is not None
    assert (keeper.pid, keeper.owner, keeper.options["n"]) == (10, 0, "web")


@pytest.mark.parametrize(
    "process",
    [
        {"cgroup": f"/docker/{B}/conmon"},
        {"inner": 7},
        {"users": "user:[4026539999]"},
        {"cgroup": f"/system.slice/docker-{B}.scope/libpod-conmon-{A}.scope"},
        {"comm": "sleep"},
    ],
    ids=["in a container", "a PID namespace", "a user namespace", "a group below", "another program"],
)
def test_what_is_no_keeper_of_roots(tmp_path: Path, process: dict[str, object]) -> None:
    proc = ProcTree(tmp_path / "proc")
    proc.add(10, cmdline=["conmon", *impostor.conmon(A, "/x", "/x")], **process)  # type: ignore[arg-type]
    assert Census(str(proc.root)).keepers() == {}


def test_a_users_group_is_no_container_of_roots(tmp_path: Path) -> None:
    delegated = "/user.slice/user-4711.slice/user@4711.service"
    proc = ProcTree(tmp_path / "proc")
    proc.add(20, cgroup=f"{delegated}/docker-{A}.scope", network="evil", inner=1)
    proc.add(21, cgroup=f"{delegated}/lxc.payload.victim", network="evil", inner=1)
    proc.add(30, cgroup=f"/docker/{B}/lxc.payload.victim", network="evil")
    census = Census(str(proc.root))
    assert [each.owner for each in census.residents(A)] == [4711]
    assert (census.first(A), census.first(A, 4711)) == (0, 20)
    assert [each.pid for each in census.residents("victim")] == [21]
    proc.add(40, cgroup=f"/docker/{A}", network="web", inner=1)
    census = Census(str(proc.root))
    assert ([each.pid for each in census.residents(A)], census.first(A)) == ([40], 40)


def test_a_group_in_a_users_directory_is_no_container_of_roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd gives a service with User= and Delegate= its group, as libpam-cgfs does with a session's."""
    if os.geteuid() or not processes._sees_all_users():
        pytest.skip("needs to be root, to give a directory away")
    monkeypatch.setattr(processes, "GROUPS", str(tmp_path / "groups"))
    service = "/system.slice/build.service"
    (tmp_path / f"groups{service}/user@0.service/lxc.payload.victim").mkdir(parents=True)
    os.chown(tmp_path / f"groups{service}", 4711, 4711)
    (tmp_path / f"groups/docker/{A}").mkdir(parents=True)
    os.chown(tmp_path / f"groups/docker/{A}", 100_000, 100_000)  # the group itself: its engine gave it to the container
    proc = ProcTree(tmp_path / "proc")
    proc.add(20, cgroup=f"{service}/user@0.service/lxc.payload.victim", network="evil", inner=1)
    proc.add(21, cgroup=f"{service}/docker-{B}.scope", network="evil", inner=1)
    proc.add(22, cgroup=f"{service}/some-{B}/x", network="evil", inner=1)
    proc.add(30, cgroup=f"/docker/{A}", network="web", inner=1)
    census = Census(str(proc.root))
    assert [[each.owner for each in census.residents(name)] for name in ("victim", B, A)] == [[4711], [4711], [0]]
    for pid, named in ((21, B), (22, B), (30, A)):
        with processes.Process(pid, str(proc.root)) as one:
            assert [one.names(named, str(proc.root), owner) for owner in (0, 4711)] == [pid == 30, pid != 30]


def test_a_file_of_another_user_is_not_believed(tmp_path: Path) -> None:
    store(tmp_path, "web")
    (tmp_path / "overlay-containers/containers.json").chmod(0o644)
    mine = Store(str(tmp_path), str(tmp_path), Tree("/", owner=os.getuid()))
    theirs = Store(str(tmp_path), str(tmp_path), Tree("/", owner=4711))
    assert [each.name for each in PodmanFiles([mine]).all()] == ["web"]
    assert list(PodmanFiles([theirs]).all()) == []


def test_a_keepers_name_is_a_name(tmp_path: Path) -> None:
    proc = ProcTree(tmp_path / "proc")
    for number, (identity, name) in enumerate([(A, "a/../b"), (B, "x\x1b[31m\n"), ("../../etc", "web")]):
        proc.add(10 + number, cmdline=["conmon", *impostor.conmon(identity, "/nowhere", "/nowhere", name)])
    memory = PodmanMemory(Census(str(proc.root)), str(tmp_path))
    assert sorted(each.name for each in memory.all()) == [A[:12], B[:12]]


def test_a_database_that_computes_for_ever_says_nothing(tmp_path: Path) -> None:
    endless_view(tmp_path)
    (found,) = PodmanFiles([Store(str(tmp_path), str(tmp_path))]).all()
    assert (found.name, found.network) == ("web", "")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["db.sql", "overlay-containers"]


def test_a_database_with_a_log_is_read_when_the_log_is_empty(tmp_path: Path) -> None:
    store(tmp_path, "web")
    with closing(sqlite3.connect(tmp_path / "db.sql")) as database, database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE ContainerConfig (ID TEXT, JSON TEXT)")
        database.execute("CREATE TABLE ContainerState (ID TEXT, JSON TEXT)")
        database.execute("INSERT INTO ContainerConfig VALUES (?, ?)", (A, json.dumps({"name": "web", "createNetNS": True})))
        database.execute("INSERT INTO ContainerState VALUES (?, ?)", (A, json.dumps({"state": 5, "pid": 1 << 70})))
    (found,) = PodmanFiles([Store(str(tmp_path), str(tmp_path))]).all()
    assert (found.state, found.pid, found.networks) == ("paused", 0, ())
