"""What each command says and answers when root lacks one capability, and when an ordinary user asks: a row is a command."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest
from asking import Done, once
from identities import identity

from netprobe.lab.lab import Lab

pytestmark = [pytest.mark.lab, once]

LACKING = ("sys_admin", "net_raw", "net_admin", "sys_ptrace", "dac_read_search")
USER = "nobody"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become an ordinary user in a lab of its own")

ENTER = (
    3,
    "netprobe: entering another network namespace needs CAP_SYS_ADMIN\n"
    "  root lacks CAP_SYS_ADMIN here; in a container: --cap-add SYS_ADMIN\n",
)
SEND = (3, "netprobe: not permitted to send a probe from {0}\n  root lacks CAP_NET_RAW here; in a container: --cap-add NET_RAW\n")
UNREAD = "could not read the ruleset of {0} (CAP_NET_ADMIN is missing)"
BEYOND = (4, "could not read the interfaces of internet (entering another network namespace needs CAP_SYS_ADMIN)")
USER_ENTERS = (3, "netprobe: entering another network namespace needs CAP_SYS_ADMIN\n  sudo ")
USER_SENDS = (3, "netprobe: not permitted to send a probe from host\n  sudo ")

Expected = tuple[int, str]
MATRIX: dict[str, dict[str, Expected]] = {
    # an exit code, and what stdout or stderr holds; what is not named is as with all capabilities: the last column
    "trace red 8.8.8.8": {"sys_admin": ENTER, "net_raw": SEND, USER: USER_ENTERS, "": (0, "reply after")},
    "ping red 8.8.8.8": {"sys_admin": ENTER, "net_raw": SEND, USER: USER_ENTERS, "": (0, "reply after")},
    "arping c1 c2": {"sys_admin": ENTER, "net_raw": SEND, USER: USER_ENTERS, "": (0, "reply after")},
    "why red 8.8.8.8": {"sys_admin": ENTER, "net_admin": (4, UNREAD), USER: USER_ENTERS, "": (0, "should work (predicted, nothing sent)")},
    "trace host 8.8.8.8": {"net_raw": SEND, USER: USER_SENDS, "": (0, "reply after")},
    "why host 8.8.8.8": {"sys_admin": BEYOND, "net_admin": (4, UNREAD), USER: BEYOND, "": (0, "should work (predicted, nothing sent)")},
    "trace pid:{pid} 8.8.8.8": {"sys_admin": ENTER, "net_raw": SEND, "sys_ptrace": (3, "root lacks CAP_SYS_PTRACE here"),
        USER: (3, "\n  sudo "), "": (0, "reply after")},
    "trace nobody 8.8.8.8": {"": (2, "netprobe: there is no namespace or container nobody\n")},
    "ls": {"": (0, "red\n")},
    "show {capture}": {"": (0, "reply after")},
    "diff {capture} {capture}": {"": (0, "")},
    "explain no-route": {"": (0, "no-route")},
}  # fmt: skip


@pytest.fixture
def pid(lab: Lab) -> Iterator[int]:
    """A process of root's, with all its capabilities, in red's network."""
    program = lab.start(["sleep", "1000"], namespace="red")
    yield program.pid
    program.stop()


@pytest.fixture
def capture(lab: Lab) -> str:
    file = f"{lab.folder}/capabilities.pcapng"
    if not os.path.exists(file):  # noqa: PTH110
        lab.run(["netprobe", "trace", "red", "8.8.8.8", "-w", file], check=True)
        os.chmod(file, 0o644)  # noqa: PTH101
    return file


def asked(lab: Lab, launcher: list[str], program: list[str], command: str) -> Done:
    send = ["--captures", "none"] if command.split()[0] in ("trace", "ping", "arping") else []
    done = lab.run([*launcher, *program, "-q", *command.split(), *send], environment={"PYTHONPATH": os.pathsep.join(sys.path)})
    return Done(done.returncode, done.stdout, done.stderr)


def assert_said(done: Done, command: str, expected: Expected) -> None:
    code, words = expected
    assert done.code == code, done.told
    assert (
        words.format("host" if " host " in command else command.split()[1] if len(command.split()) > 1 else "") in done.stdout + done.stderr
    )
    assert "Traceback" not in done.stderr
    assert "bug" not in done.stderr
    assert bool(done.stderr) is (code in (2, 3)), done.told


@pytest.mark.parametrize("command", MATRIX)
@pytest.mark.parametrize("lacking", LACKING)
def test_without_one_capability(lab: Lab, pid: int, capture: str, lacking: str, command: str) -> None:
    line = command.format(pid=pid, capture=capture)
    done = asked(lab, ["setpriv", "--bounding-set", f"-{lacking}", "--inh-caps", f"-{lacking}"], ["netprobe"], line)
    assert_said(done, line, MATRIX[command].get(lacking, MATRIX[command][""]))


@as_root
@pytest.mark.parametrize("command", MATRIX)
def test_as_an_ordinary_user(lab: Lab, pid: int, capture: str, command: str) -> None:
    line = command.format(pid=pid, capture=capture)
    done = asked(lab, list(identity("rootless").launcher), [sys.executable, "-m", "netprobe"], line)
    assert_said(done, line, MATRIX[command].get(USER, MATRIX[command][""]))
