"""`import netprobe`: what it offers, what it costs, its types, and every example of its page."""

from __future__ import annotations

import doctest
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
from asking import once

import netprobe
from netprobe.duration import nanoseconds
from netprobe.errors import WrongQuestion
from netprobe.lab.lab import Lab

PROJECT = Path(__file__).parents[2]
PAGE = (PROJECT / "docs/python.md").read_text()
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)

USERS_PROGRAM = """
import netprobe
from netprobe import Report, WrongQuestion


def first_hop(report: Report) -> str:
    cause = report.cause
    if cause is not None and cause.object is not None:
        return cause.object.id
    return report.path.request[0].namespace


def asked(name: str) -> str:
    try:
        with netprobe.open(host="red", exclude=["c2"]) as session:
            return first_hop(session.trace(name, "8.8.8.8", count=2, timeout="1s", df=True))
    except WrongQuestion as error:
        return error.hint


answer: bool = bool(netprobe.ping("red", "8.8.8.8", protocol="icmp"))
text: str = netprobe.explain("no-route").meaning
rows: list[str] = [space.name for space in netprobe.ls()]
changed: list[str] = [each.turned for each in netprobe.check("net.yaml", changes=["ip link set veth0 down"]).failed]
file: str = netprobe.expect("c1", "c2", port=80, blocked=True).text
"""


def test_all_that_is_offered_is_there_sorted_and_explained() -> None:
    assert netprobe.__all__ == sorted(netprobe.__all__)
    assert set(netprobe.__all__) <= set(dir(netprobe))
    for name in netprobe.__all__:
        assert inspect.getdoc(getattr(netprobe, name)), name
    with pytest.raises(AttributeError, match="no attribute 'trase'"):
        netprobe.trase  # noqa: B018


def test_importing_it_imports_nothing_else() -> None:
    program = "import sys; before = set(sys.modules); import netprobe; print(sorted(m for m in set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=PROJECT)
    loaded = set(re.findall(r"'([\w.]+)'", done.stdout))
    assert [name for name in loaded if name.partition(".")[0] not in sys.stdlib_module_names] == ["netprobe"]


def test_docstrings_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)
    found = doctest.testmod(netprobe)
    assert (found.failed, found.attempted > 4) == (0, True)


def test_a_strict_user_can_type_it(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(USERS_PROGRAM)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", "", "--cache-dir", str(tmp_path), str(tmp_path / "program.py")]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=tmp_path, env={"MYPYPATH": str(PROJECT), "PATH": "/usr/bin:/bin"}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    wrong = USERS_PROGRAM.replace("count=2", 'count="two"')
    (tmp_path / "program.py").write_text(wrong)
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=tmp_path, env={"MYPYPATH": str(PROJECT), "PATH": "/usr/bin:/bin"}
    )
    assert done.returncode == 1
    assert "count" in done.stdout


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (lambda: netprobe.trace("host", "8.8.8.8", timeout="soon"), "not a duration"),
        (lambda: netprobe.trace("host", "8.8.8.8", interval=1e9), "more than a day"),
        (lambda: netprobe.trace("host", "127.0.0.1", timeout=-1), "-1 is not a duration"),
        (lambda: netprobe.trace("host", "127.0.0.1", timeout=0), "timeout_ns cannot be 0"),
        (lambda: netprobe.trace("host", "127.0.0.1", count=0), "count cannot be 0"),
        (lambda: netprobe.trace("host", "127.0.0.1", count=10**9), "count cannot be 1000000000"),
        (lambda: netprobe.trace("host", "127.0.0.1", count="two"), "count cannot be 'two'"),
        (lambda: netprobe.why("host", "127.0.0.1", port=0), "port cannot be 0"),
        (lambda: netprobe.why("host", "127.0.0.1", protocol="sctp"), "protocol cannot be 'sctp'"),
        (lambda: netprobe.why("host", "127.0.0.1", version=5), "version cannot be 5"),
        (lambda: netprobe.why("host", "127.0.0.1", ttl=256), "ttl cannot be 256"),
        (lambda: netprobe.why("host", "127.0.0.1", uid=-1), "uid cannot be -1"),
        (lambda: netprobe.why("host", "127.0.0.1", count=2), "count has no meaning for why"),
        (lambda: netprobe.why("host", "127.0.0.1", write="run.pcapng"), "write has no meaning for why"),
        (lambda: netprobe.arping("host", "127.0.0.1", protocol="tcp"), "the protocol is to be tcp"),
        (lambda: netprobe.trace("host", "127.0.0.1", write=""), "has no name"),
        (lambda: netprobe.why("host", "127.0.0.1", exclude="no-such-name"), "no-such-name"),
        (lambda: netprobe.load("/dev/null"), "not a saved run"),
        (lambda: netprobe.explain("no-rout"), "no cause is called"),
    ],
)
def test_a_wrong_question_is_said_to_be_one(call, why) -> None:
    with pytest.raises(WrongQuestion, match=why):
        call()


def test_a_closed_session_says_so() -> None:
    with netprobe.open() as session:
        session.close()
        for asked in (session.ls, session.heard, lambda: session.why("host", "127.0.0.1")):
            with pytest.raises(ValueError, match="closed"):
                asked()


def test_a_short_span_is_a_number_of_seconds() -> None:
    assert nanoseconds(1e-7) == 100


@pytest.mark.lab
@once
def test_every_example_of_the_page_runs(lab: Lab) -> None:
    assert len(EXAMPLES) >= 7
    done = lab.run([sys.executable, "-c", "\n".join(EXAMPLES)])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is reachable" in done.stdout or "reaches" in done.stdout or "8.8.8.8" in done.stdout
