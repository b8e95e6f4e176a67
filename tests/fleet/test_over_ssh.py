"""Agents over ssh: what is sent, what is checked, what is left when a connection ends."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fleet import sshd
from fleet.agents import PYTHON, is_there, within

from netprobe.fleet import over_ssh
from netprobe.fleet.agent import PIECE
from netprobe.fleet.connection import AgentConnection, ConnectionLost
from netprobe.fleet.over_ssh import open_all, open_ssh

pytest.importorskip("mitogen")
if os.geteuid() != 0 or not sshd.SSHD or not shutil.which("ssh"):
    pytest.skip("root, ssh and sshd are needed to be both ends", allow_module_level=True)


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> sshd.Hosts:
    return sshd.made(tmp_path_factory.mktemp("ssh"))


@pytest.fixture(scope="module")
def host(hosts: sshd.Hosts) -> Iterator[AgentConnection]:
    with open_ssh("h1", hosts.to(), timeout=30) as opened:
        yield opened


def lost(hosts: sshd.Hosts, name: str = "h1", timeout: float = 30, **how: object) -> tuple[str, str]:
    """The kind and the text of why there is no connection."""
    with pytest.raises(ConnectionLost) as caught:
        open_ssh("h1", hosts.to(name, **how), timeout)  # type: ignore[arg-type]
    return caught.value.kind, caught.value.strerror or ""


def children() -> set[int]:
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(os.getpid())], capture_output=True, text=True, check=False).stdout
    return {int(pid) for pid in listed.split() if is_there(int(pid))}


def test_an_agent_is_asked_over_ssh(host: AgentConnection) -> None:
    said = host.call("hello")
    assert said["uid"] == 0
    assert said["home"] == host.call("batch", None, [["key", "/proc/self/ns/net"]])[0]
    with pytest.raises(FileNotFoundError):
        host.call("open", "/proc/self/ns/nothing")


def test_answers_and_questions_of_many_pieces_do_not_mix(host: AgentConnection) -> None:
    texts = [bytes([number]) * (20 * PIECE + number) for number in range(16)]
    failed: list[BaseException] = []

    def ask(text: bytes) -> None:
        try:
            for _ in range(5):
                head = ["tool", ["head", "-c", str(len(text)), "/dev/zero"], 1 << 20, 20]
                assert host.call("batch", None, [head, ["nothing", text]])[0][1] == b"\0" * len(text)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=ask, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_the_clock_is_told_between_two_answers_and_not_within_one(host: AgentConnection) -> None:
    large = ["tool", ["head", "-c", str(100 * PIECE), "/dev/zero"], 1 << 20, 20]
    for _ in range(20):
        waiting = [host.begin("batch", None, [large]) for _ in range(4)]
        while any(not each._done.is_set() for each in waiting):
            assert host.call("clock") > 1 << 60
        assert [len(each.result()[0][1]) for each in waiting] == [100 * PIECE] * 4


def test_only_the_agents_file_is_sent_and_nothing_of_the_package(host: AgentConnection) -> None:
    pid = host.call("hello")["pid"]
    opened = subprocess.run(["ls", "-l", f"/proc/{pid}/fd", f"/proc/{pid}/cwd"], capture_output=True, text=True, check=True).stdout
    assert "netprobe" not in opened
    assert "netprobe" not in Path(f"/proc/{pid}/maps").read_text()
    router = over_ssh._MITOGEN.enter()
    try:
        sent = {name for context in router._stream_by_id.values() for name in context.protocol.sent_modules}
        assert {name for name in sent if "netprobe" in name} == {over_ssh.MODULE}
        for name in ("netprobe", "netprobe.fleet", "netprobe.fleet.agent", "os", "msgspec", "conftest"):
            with pytest.raises(ImportError):
                router.responder._build_tuple(name)
    finally:
        over_ssh._MITOGEN.leave()


def test_mitogen_hears_of_hosts_only_what_is_needed(host: AgentConnection) -> None:
    import mitogen.core

    router = over_ssh._MITOGEN.enter()
    try:
        names = ("GET_RESOURCE", "FORWARD_LOG", "DETACHING", "ADD_ROUTE", "DEL_ROUTE", "ALLOCATE_ID", "CALL_FUNCTION", "CALL_SERVICE")
        assert [name for name in names if getattr(mitogen.core, name) in router._handle_map] == []
        assert router.unidirectional
        assert router.max_message_size == over_ssh.LARGEST_MESSAGE
    finally:
        over_ssh._MITOGEN.leave()


def test_a_host_that_sends_mitogen_much_else_is_lost(hosts: sshd.Hosts) -> None:
    import mitogen.core

    with open_ssh("h1", hosts.to(), 30) as host:
        channel = host._channel
        assert isinstance(channel, over_ssh._Ssh)
        for _ in range(2 * over_ssh.MOST_OTHERS):  # each is answered: there is no such handle
            channel._context.send(mitogen.core.Message(handle=1234567, reply_to=7654321))
        assert within(10, lambda: bool(host.lost))
        assert host.lost == "it sends what nobody asked for"


def test_a_host_whose_key_is_unknown_is_not_asked(hosts: sshd.Hosts) -> None:
    assert lost(hosts, "h9") == ("key unknown", "cannot reach h1: ssh knows no host key of it")


def test_a_host_whose_key_has_changed_is_not_asked(hosts: sshd.Hosts) -> None:
    hosts.know("h8", "stranger")
    assert lost(hosts, "h8") == ("key changed", "cannot reach h1: its host key is not the one that ssh knows of it")


def test_a_host_that_does_not_let_us_in(tmp_path: Path) -> None:
    hosts = sshd.made(tmp_path)
    hosts.lock_out()
    kind, text = lost(hosts)
    assert kind == "login"
    assert "Permission denied (publickey)" in text


def test_a_host_without_python(hosts: sshd.Hosts) -> None:
    kind, text = lost(hosts, python="python3.0-none")
    assert kind == "python"
    assert "python3.0-none" in text


def test_a_host_where_python_may_not_be_run(hosts: sshd.Hosts, tmp_path: Path) -> None:
    (tmp_path / "python3").write_text("")
    kind, text = lost(hosts, python=str(tmp_path / "python3"))
    assert kind == "python"
    assert "Permission denied" in text


def test_a_host_that_wants_a_password_for_sudo(hosts: sshd.Hosts, tmp_path: Path) -> None:
    sudo = tmp_path / "sudo"
    sudo.write_text("#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n")
    sudo.chmod(0o755)
    assert lost(hosts, become=(str(sudo), "-n")) == ("become", "cannot reach h1: sudo: a password is required")


def test_an_agent_that_becomes_another_user(hosts: sshd.Hosts) -> None:
    become = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin") or pytest.skip("no python3 that everybody may run")
    with open_ssh("h1", hosts.to(become=become, python=python), timeout=30) as opened:
        assert opened.call("hello")["uid"] == 65534


def test_a_python_that_cannot_run_the_agent(hosts: sshd.Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(over_ssh._serve_messages, "__module__", "no_such_module")
    kind, text = lost(hosts)
    assert (kind, text) == ("old python", f"cannot reach h1: no agent could be started (it needs {PYTHON} 3.6 or later)")


def test_a_host_that_does_not_answer_in_time(hosts: sshd.Hosts) -> None:
    begin = time.monotonic()
    assert lost(hosts, timeout=1, rate="1") == ("network", "cannot reach h1: it does not answer in time")
    assert time.monotonic() - begin < 4


def test_without_mitogen_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mitogen.core", None)
    with pytest.raises(ConnectionLost, match="netns-netprobe"):
        over_ssh._made_router()


@pytest.mark.thorough
def test_many_are_connected_side_by_side_and_none_waits_for_another(hosts: sshd.Hosts) -> None:
    before = children()
    to = {"h1": hosts.to("h1"), "h2": hosts.to("h2"), "h9": hosts.to("h9"), "slow": hosts.to("h3", rate="1")}
    begin = time.monotonic()
    found = open_all(to, timeout=10)
    assert time.monotonic() - begin < 14
    reached = {name: each for name, each in found.items() if isinstance(each, AgentConnection)}
    assert set(reached) == {"h1", "h2"}
    homes = {tuple(each.call("hello")["home"]) for each in reached.values()}
    assert len(homes) == 2
    for each in reached.values():
        each.close()
    assert within(5, lambda: children() <= before)


def test_when_the_last_is_closed_no_thread_and_no_process_is_left(hosts: sshd.Hosts, tmp_path: Path) -> None:
    scene = (
        "import threading, subprocess, os, sys\n"
        "from netprobe.fleet.over_ssh import Destination, open_ssh\n"
        f"to = Destination('h1', {hosts.to().arguments!r}, (), {PYTHON!r})\n"
        "for _ in range(2):\n"
        "    with open_ssh('h1', to, 30) as one:\n"
        "        print(one.call('hello')['pid'], flush=True)\n"
        "import time; time.sleep(0.5)\n"
        "print([each.name for each in threading.enumerate()])\n"
        "print(subprocess.run(['ps', '-o', 'comm=', '--ppid', str(os.getpid())], capture_output=True, text=True).stdout.split())\n"
    )
    done = subprocess.run([sys.executable, "-c", scene], capture_output=True, text=True, timeout=90, check=False)
    *pids, threads, processes = done.stdout.splitlines()
    assert (threads, processes, done.stderr) == ("['MainThread']", "['ps']", "")
    assert within(5, lambda: not any(is_there(int(pid)) for pid in pids))
