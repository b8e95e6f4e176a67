"""The demonstration, as root and as an ordinary user without a home, with real peers standing in for the netprobe commands."""

from __future__ import annotations

import os
import pty
import re
import select
import shlex
import sys
import time
from pathlib import Path

import pytest
from identities import Identity

from netprobe.errors import WrongQuestion
from netprobe.lab import demo, guide
from netprobe.lab.faults import FAULTS, SECTIONS, named

# trace and arping as ping and arping would answer, with netprobe's exit codes; the healthy run can be told to fail.
_STAND_IN = """
import os, subprocess, sys
from netprobe.lab.demo import demo
def run(argv):
    peer = {"trace": "ip netns exec red ping -c1 -W0.5 8.8.8.8", "arping": "ip netns exec c1 arping -c1 -w1 172.17.0.3"}[argv[0]]
    code = subprocess.run(peer.split(), stdout=subprocess.DEVNULL).returncode
    print("answer" if code == 0 else "silence", os.getcwd(), flush=True)
    return min(code, 1)
print("code", demo(sys.argv[2] or None, sys.argv[1] == "shell", run))
"""


@pytest.mark.lab
@pytest.mark.parametrize("fault", ["", "veth-out-of-bridge", "c2-silent-to-arp"])
def test_it_shows_a_working_network_and_a_broken_one(user: Identity, fault: str) -> None:
    done = user.run([sys.executable, "-c", _STAND_IN, "demo", fault])
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall("^(answer|silence) ", done.stdout, re.MULTILINE) == ["answer", "answer", "silence"]
    assert "$ netprobe trace red 8.8.8.8\n" in done.stdout
    assert "$ netprobe arping c1 c2\n" in done.stdout
    assert done.stdout.endswith("code 0\n")
    shown = named(fault or "no-masquerade")
    assert f"Now one thing breaks: {shown.title}." in done.stdout
    assert "/run/lab/work" in done.stdout, "captures go with the lab"
    assert not Path("/run/lab").exists()


@pytest.mark.lab
def test_it_does_not_pretend_when_the_diagnosis_fails(user: Identity) -> None:
    """A netprobe that calls the broken network reachable, or the healthy one unreachable, fails the demo."""
    for always, expected in ((0, 1), (4, 4)):
        code = f"from netprobe.lab.demo import demo\nraise SystemExit(demo(None, False, lambda argv: {always}))"
        assert user.run([sys.executable, "-c", code]).returncode == expected


@pytest.mark.lab
def test_a_shell_with_commands_from_a_pipe(user: Identity) -> None:
    script = "ip netns list; command -v netprobe tcpdump; ip netns exec red ping -c1 -W1 8.8.8.8; exit 7\n"
    done = user.run([sys.executable, "-c", _STAND_IN, "shell", ""], text=script)
    assert done.stdout.endswith("code 7\n"), done.stdout + done.stderr
    assert guide.WALK in done.stdout
    assert "/run/lab/bin/netprobe" in done.stdout
    assert "1 received" in done.stdout


@pytest.mark.lab
def test_a_broken_shell_says_so_and_not_what(user: Identity) -> None:
    done = user.run([sys.executable, "-c", _STAND_IN, "shell", "ip-forward-off"], text="cat /proc/sys/net/ipv4/ip_forward\n")
    assert "One thing is broken in here. Which?\n\n0\n" in done.stdout, done.stdout + done.stderr
    assert named("ip-forward-off").title not in done.stdout


def converse(argv: list[str], environment: dict[str, str], lines: list[tuple[str, str]]) -> tuple[str, int]:
    """Type on a terminal: for each pair wait for the first text and type the second. All that was shown, and the exit code."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(argv[0], argv, environment)
    shown, seen = "", 0
    end = time.monotonic() + 30
    for awaited, typed in lines:
        while awaited not in shown[seen:]:
            assert time.monotonic() < end, f"no {awaited!r} in:\n{shown}"
            if select.select([terminal], [], [], 0.1)[0]:
                shown += os.read(terminal, 4096).decode(errors="replace")
        seen = len(shown)
        os.write(terminal, typed.encode())
    while True:
        try:
            shown += os.read(terminal, 4096).decode(errors="replace")
        except OSError:  # the other end is closed
            break
    os.close(terminal)
    return shown, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.lab
def test_a_shell_on_a_terminal_has_job_control(user: Identity) -> None:
    """Ctrl-C ends the program in front and not the lab; afterwards the terminal is the caller's again."""
    prompt = "(lab) / #"
    shown, code = converse(
        [*user.launcher, sys.executable, "-c", _STAND_IN + "print('front', os.tcgetpgrp(0) == os.getpgrp())", "shell", ""],
        {"TERM": "dumb", **user.environment, "SHELL": "/bin/bash", "PYTHONPATH": str(Path(demo.__file__).parents[2])},
        [
            ("(lab) ", "cd /\n"),
            (prompt, "sh -c \"echo beg''un; exec sleep 1000\"\n"), ("begun", "\x03"), (prompt, "echo code of sleep: $?\n"),
            ("code of sleep: 130", "jobs; exit 5\n"),
        ],
    )  # fmt: skip
    assert "code 5" in shown
    assert "front True" in shown
    assert "no job control" not in shown
    assert code == 0


@pytest.mark.parametrize("shell", ["/usr/sbin/nologin", "/bin/false", "", "/no/such/shell"])
def test_a_user_who_may_not_log_in_gets_a_shell_all_the_same(shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", shell)
    assert Path(demo.shell_command()[0]).name in ("bash", "sh")


def test_an_unknown_fault_is_a_wrong_question_before_anything_is_built() -> None:
    for shell in (False, True):
        with pytest.raises(WrongQuestion, match="no-such-fault"):
            demo.demo("no-such-fault", shell, lambda _: 0)


def test_the_list_has_every_fault_and_its_probe() -> None:
    lines = [line for line in demo.listing().splitlines() if line.startswith("  ")]
    assert [line.split()[0] for line in lines] == [fault.name for fault in FAULTS]
    assert all(f"[netprobe {shlex.join(fault.probe)}]" in line for fault, line in zip(FAULTS, lines, strict=True))
    assert [line for line in demo.listing().splitlines() if line[:1].strip()] == [section for section, _ in SECTIONS]


@pytest.mark.parametrize("width", [48, 60, 80, 84, 100, 130, 200])
def test_the_list_fits_the_terminal(width: int) -> None:
    shown = demo.listing(width)
    assert max(map(len, shown.splitlines())) <= width
    assert shown.split() == demo.listing().split(), "nothing is lost"
    names = [line.split()[0] for line in shown.splitlines() if line[:2] == "  " and line[2] != " "]
    assert names == [fault.name for fault in FAULTS]


def test_the_guide_fits_a_small_terminal() -> None:
    assert max(map(len, guide.WALK.splitlines())) <= 80
