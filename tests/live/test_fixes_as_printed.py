"""The lines of a fix, pasted into the shell that netprobe was started from: there they do what they say, wherever it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from asking import ask, once, reported

from netprobe.lab.lab import Lab

pytestmark = [pytest.mark.lab, once]

ROUTE = ("ip", "route", "add", "blackhole", "8.8.8.8")
QUESTION = ("8.8.8.8",)


@pytest.fixture
def inside(fresh_lab: Lab) -> Iterator[str]:
    """A process that lives in red; its number as text."""
    program = fresh_lab.start(["sleep", "600"], "red")
    yield str(program.pid)
    program.stop()


def cause_of(lab: Lab, *argv: str) -> dict[str, Any]:
    """The first cause of what netprobe says to `argv`."""
    found: dict[str, Any] = reported(ask(lab, "why", "-o", "json", *argv))["causes"][0]
    return found


def pasted(lab: Lab, cause: dict[str, Any]) -> None:
    """The lines as they stand in the report, in a shell of the lab's host."""
    for line in cause["fix"]:
        done = lab.run(["bash", "-c", line])
        assert (done.returncode, done.stderr) == (0, ""), line


def test_a_namespace_is_entered_by_its_name(fresh_lab: Lab) -> None:
    fresh_lab.run(ROUTE, "red", check=True)
    cause = cause_of(fresh_lab, "red", *QUESTION)
    assert cause["fix"] == ["ip netns exec red ip route del blackhole 8.8.8.8/32"]
    assert cause["commands"] == [
        {
            "namespace": "red", "words": ["ip", "route", "del", "blackhole", "8.8.8.8/32"], "note": "", "blanks": [],
            "enter": ["ip", "netns", "exec", "red"], "looks": False,
        },
    ]  # fmt: skip
    pasted(fresh_lab, cause)
    assert ask(fresh_lab, "why", "red", *QUESTION).code == 0


def test_nothing_is_entered_where_netprobe_is(fresh_lab: Lab) -> None:
    fresh_lab.run(ROUTE, check=True)
    cause = cause_of(fresh_lab, "red", *QUESTION)
    assert cause["fix"] == ["ip route del blackhole 8.8.8.8/32"]
    assert cause["commands"][0]["enter"] == []
    pasted(fresh_lab, cause)
    assert ask(fresh_lab, "why", "red", *QUESTION).code == 0


def test_a_process_is_entered_by_its_number(fresh_lab: Lab, inside: str) -> None:
    fresh_lab.run(ROUTE, "red", check=True)
    cause = cause_of(fresh_lab, f"pid:{inside}", *QUESTION)
    assert cause["fix"] == [f"nsenter -t {inside} -n ip route del blackhole 8.8.8.8/32"]
    pasted(fresh_lab, cause)
    assert ask(fresh_lab, "why", f"pid:{inside}", *QUESTION).code == 0


def test_a_file_elsewhere_is_entered_by_its_path(fresh_lab: Lab, inside: str) -> None:
    fresh_lab.run(ROUTE, "red", check=True)
    fresh_lab.run(["bash", "-c", f"touch '/run/lab/a b' && mount --bind /proc/{inside}/ns/net '/run/lab/a b'"], check=True)
    cause = cause_of(fresh_lab, "path:/run/lab/a b", *QUESTION)
    assert cause["fix"] == ["nsenter '--net=/run/lab/a b' ip route del blackhole 8.8.8.8/32"]
    pasted(fresh_lab, cause)
    assert ask(fresh_lab, "why", "red", *QUESTION).code == 0


def test_each_command_of_a_fix_goes_where_it_belongs(fresh_lab: Lab) -> None:
    fresh_lab.run(["ip", "link", "set", "dev", "eth0", "down"], "c2", check=True)
    cause = cause_of(fresh_lab, "c1", "172.17.0.3")
    assert {line[: len("ip netns exec c2 ip ")] for line in cause["fix"]} == {"ip netns exec c2 ip "}
    assert cause["fix"][0] == "ip netns exec c2 ip link set dev eth0 up"
    pasted(fresh_lab, cause)
    assert ask(fresh_lab, "why", "c1", "172.17.0.3").code == 0


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888"])
def test_the_end_of_a_cable_that_nobody_has_moved_is_moved(fresh_lab: Lab, address: str) -> None:
    away = "ip -n red link set eth0 down && ip -n red link set eth0 name veth9 && ip netns exec red ip link set veth9 netns /run/lab/host"
    fresh_lab.run(["bash", "-c", away], check=True)
    cause = cause_of(fresh_lab, "red", address)
    assert cause["fix"] == ["ip link set dev veth9 netns red", "ip netns exec red ip link set dev veth9 up"]
    pasted(fresh_lab, cause)
    assert cause_of(fresh_lab, "red", address)["code"] == "addr-missing"


def test_where_netprobe_was_started_is_looked_at_under_whatever_name(fresh_lab: Lab) -> None:
    fresh_lab.run(["ip", "-n", "red", "link", "del", "eth0"], check=True)
    at_c1 = reported(ask(fresh_lab, "--host", "c1", "why", "-o", "json", "red", *QUESTION))
    assert (at_c1["causes"][0]["code"], at_c1["blind"]) == ("link-missing", [])
    apart = reported(ask(fresh_lab, "why", "--exclude", "host", "-o", "json", "red", *QUESTION))
    assert [each["why"] for each in apart["blind"]] == ["host is excluded by --exclude"]
