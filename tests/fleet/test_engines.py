"""The verbs carry no engine's types: the same agent over other ways than mitogen - execnet, and an ssh command that the host forces."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from fleet import sshd
from fleet.agents import NAMESPACE, PYTHON, RELAY

from netprobe.fleet import agent
from netprobe.fleet.connection import AgentConnection
from netprobe.fleet.pipe import open_pipe, source

BRIDGE = """
import threading
frames, lock = Frames(), threading.Lock()
def send(data):
    with lock:
        channel.send(data)
answering = Answering(Agent(), send)
channel.send(PREFACE)
for data in channel:
    for question in frames.feed(data):
        answering.ask(question)
"""


class Execnet:
    """A channel of execnet, which carries bytes both ways."""

    def __init__(self, connection: AgentConnection) -> None:
        import execnet

        self._group = execnet.Group()
        self._execnet_channel: Any = self._group.makegateway(f"popen//python={' '.join((*NAMESPACE, PYTHON))}").remote_exec(
            source().decode().partition('\nif __name__ == "__main__":')[0] + BRIDGE
        )
        assert self._execnet_channel.receive(30) == agent.PREFACE
        self._execnet_channel.setcallback(
            lambda data: connection.received(data) if data else connection.lose("execnet ended"), endmarker=None
        )

    def send(self, data: bytes) -> None:
        self._execnet_channel.send(data)

    def offer(self, data: bytes) -> bool:
        self.send(data)
        return True

    def close(self) -> None:
        self._group.terminate(timeout=2)


def use(host: AgentConnection) -> None:
    """What every engine has to carry: small and large, errors, several at once."""
    said = host.call("hello")
    assert said["uid"] == 0
    number = host.call("open", "/proc/self/ns/net")
    assert host.call("identity", number) == said["home"]
    [names, large, refused] = host.call("batch", number, [
        ["names", "/proc/sys/net", 100], ["tool", ["head", "-c", "300000", "/dev/zero"], 1 << 20, 20], ["file", "/etc/passwd", 100],
    ])  # fmt: skip
    assert "ipv4" in names
    assert large == [0, b"\0" * 300_000, b""]
    assert refused["errno"] == errno.EACCES
    waiting = [host.begin("clock") for _ in range(20)]
    assert all(each.result() > 1 << 60 for each in waiting)
    with pytest.raises(OSError, match="no such verb"):
        host.call("nothing")
    assert host.call("arm", "run", [[None, b"\6\0\0\0\0\0\0\0", 10, 1000]]) == [None]
    assert host.call("finish", "run")["taps"] == [[0, 0, False]]


def test_over_execnet() -> None:
    pytest.importorskip("execnet")
    with AgentConnection("h1", Execnet) as host:
        use(host)


@pytest.mark.skipif(os.geteuid() != 0 or not sshd.SSHD or not shutil.which("ssh"), reason="root, ssh and sshd are needed to be both ends")
def test_over_a_command_that_the_host_forces(tmp_path: Path) -> None:
    hosts = sshd.made(tmp_path)
    installed = tmp_path / "netprobe-agent"
    installed.write_bytes(source())
    key = (tmp_path / "authorized").read_text()
    (tmp_path / "authorized").write_text(f'restrict,command="{PYTHON} -IS {installed}" {key}')
    with open_pipe(
        "h1", ("ssh", *hosts.to().arguments, "h1", "rm -rf /what-is-asked-here-is-not-run"), send_agent=False, timeout=30
    ) as host:
        use(host)


def test_what_a_login_shell_prints_first_is_no_part_of_it() -> None:
    noisy = ("sh", "-c", f'echo "Welcome! ]] {agent.PREFACE.decode()[:8]}"; exec "$0" "$@"', *NAMESPACE)
    with open_pipe("h1", (*noisy, PYTHON, "-IS", agent.__file__), send_agent=False, timeout=30) as host:
        use(host)


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (("sh", "-c", "head -c 10 >/dev/null; echo 'no entry' >&2"), "no entry"),
        (("sh", "-c", "exit 7"), "its process ended with exit code 7"),
        (("sh", "-c", "exec cat /dev/zero"), "its process ended with exit code -9"),
        ((PYTHON, str(RELAY), "1e9", "sleep", "60"), "no agent answers within 1 s"),
    ],
)
def test_what_is_no_agent_is_said_to_be_none(command: tuple[str, ...], why: str) -> None:
    with pytest.raises(OSError, match=f"cannot reach h1: {why}"):
        open_pipe("h1", command, timeout=1)


@pytest.mark.parametrize("said", [b"\xff\xff\xff\xff", b"\0\0\0\1N", b"\0\0\0\4l\0\0\0", b"\0\0\0\x06l\0\0\0\1N"])
def test_what_no_agent_says_ends_the_connection(said: bytes) -> None:
    preface, words = ("".join(f"\\{byte:03o}" for byte in text) for text in (agent.PREFACE, said))
    asked = f"printf '{preface}'; head -c 1 >/dev/null; printf '{words}'; exec sleep 60"
    with open_pipe("h1", ("sh", "-c", asked), send_agent=False) as host:
        with pytest.raises(OSError, match="the connection to h1 is lost: it said what no agent says"):
            host.call("hello")
        with pytest.raises(OSError, match="the connection to h1 is lost: it said what no agent says"):
            host.call("hello")
