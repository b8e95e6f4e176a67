"""Netprobe itself lacks descriptors or processes: it says so, and nothing of the network that it could not look at."""

from __future__ import annotations

import json
import sys

import pytest
from asking import Done, once

from netprobe.lab.lab import Lab

pytestmark = pytest.mark.lab

PROGRAM = """
import resource, sys
limit, most = getattr(resource, sys.argv.pop(1)), int(sys.argv.pop(1))
resource.setrlimit(limit, (most, most))
from netprobe.cli import main
main()
"""
QUESTIONS = {
    "why": ("why", "red", "8.8.8.8", "-o", "json"),
    "trace": ("trace", "red", "8.8.8.8", "-o", "json", "-W", "300ms", "--captures", "none"),
    "arping": ("arping", "c1", "c2", "-o", "json", "-W", "300ms", "--captures", "none"),
}


def ask_short(lab: Lab, limit: str, most: int, *argv: str) -> Done:
    done = lab.run([sys.executable, "-c", PROGRAM, limit, str(most), *argv], timeout=60)
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("command", QUESTIONS)
@once
def test_few_descriptors(lab: Lab, command: str) -> None:
    """With each limit an answer that is right, or that one could not look, and why. The network is whole: no answer says that it is not."""
    codes = set()
    for most in (4, 6, 8, 11, 13, 24):
        done = ask_short(lab, "RLIMIT_NOFILE", most, *QUESTIONS[command])
        codes.add(done.code)
        assert done.code in (0, 3, 4), (most, done.told)
        if done.code == 3:
            assert done.stderr.startswith("netprobe: "), (most, done.told)
            assert "Too many open files" in done.stderr, (most, done.told)
        else:
            report = json.loads(done.stdout)
            # of what could not be read the cause is not known, which blames nothing
            assert {cause["code"] for cause in report["causes"]} <= {"unknown"}, (most, done.told)
            blind = [spot for spot in report["blind"] if "Too many open files" in spot["why"]]
            assert blind or done.code == 0, (most, done.told)
    assert {0, 3, 4} >= codes > {0}, codes  # the limits are where it begins to matter


@once
def test_a_name_that_could_not_be_looked_up_is_not_unknown(lab: Lab) -> None:
    for most in (5, 12):
        done = ask_short(lab, "RLIMIT_NOFILE", most, "trace", "nowhere", "8.8.8.8", "--captures", "none")
        assert done.code == 3, done.told
        assert "there is no" not in done.stderr
    assert ask_short(lab, "RLIMIT_NOFILE", 64, "trace", "nowhere", "8.8.8.8", "--captures", "none").code == 2


@once
def test_a_list_without_what_leads_where_is_none(lab: Lab) -> None:
    """Either every namespace with its wires, or that they could not be looked at."""
    whole = ask_short(lab, "RLIMIT_NOFILE", 64, "ls", "-o", "json")
    assert whole.code == 0, whole.told
    codes = set()
    for most in (5, 7, 9, 11, 14):
        done = ask_short(lab, "RLIMIT_NOFILE", most, "ls", "-o", "json")
        codes.add(done.code)
        assert done.code == 3 or done.report == whole.report, (most, done.told)
        assert done.code != 3 or "Too many open files" in done.stderr, (most, done.told)
    assert codes == {0, 3}


@pytest.mark.parametrize("privilege", ["rootless"], indirect=True, scope="session")
def test_no_more_processes(lab: Lab) -> None:
    """No tool that prints rules can be started: the ruleset is blind, and nothing else. Root of the machine has no such limit."""
    blind = {"what": "the ruleset of host", "why": "nft could not be started: Resource temporarily unavailable"}
    for command, code in (("why", 4), ("trace", 0), ("arping", 0)):
        done = ask_short(lab, "RLIMIT_NPROC", 1, *QUESTIONS[command])
        assert done.code == code, done.told
        assert done.report["blind"] == [blind]
        assert not done.report["causes"]
    done = ask_short(lab, "RLIMIT_NPROC", 1, "why", "c1", "c2", "-o", "json")  # bridged: the host's stack does not see it, its rules may
    assert done.code == 4, done.told
