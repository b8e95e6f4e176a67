"""An interface that was moved to where the way does not lead: who has lost it is found among those that nobody has come to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from asking import once, trace

from netprobe.lab.faults.networks import OFFICES
from netprobe.lab.lab import Lab

pytestmark = [pytest.mark.lab, once, pytest.mark.thorough]


def test_a_router_has_lost_its_end_of_the_line(make_lab: Callable[..., Lab]) -> None:
    """And who asks has got it: no cable leads to the other router any more."""
    lab = make_lab(OFFICES.topology)
    lab.run(["ip", "-n", "r2", "link", "set", "dev", "wan", "netns", "pc"], check=True)
    cause = trace(lab, "pc", "10.2.0.10")["causes"][0]
    assert (cause["code"], cause["place"]["namespace"], cause["object"]["id"]) == ("link-missing", "r2", "wan")
    for command in cause["commands"]:
        lab.run(command["words"], namespace=command["namespace"], check=True)
    assert trace(lab, "pc", "10.2.0.10")["verdict"] == "reachable"


def test_an_asker_has_lost_all_that_it_had(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(OFFICES.topology)
    lab.run(["ip", "-n", "pc", "link", "set", "dev", "eth0", "netns", "r2"], check=True)
    cause = trace(lab, "pc", "10.2.0.10")["causes"][0]
    assert [command["words"] for command in cause["commands"]][:1] == [["ip", "link", "set", "dev", "eth0", "netns", "pc"]]


def test_a_program_of_one_interface_answers_by_that_alone(make_lab: Callable[..., Lab]) -> None:
    """A way back by another interface is none of its answers': they look for the asker beside it."""
    lab = make_lab(OFFICES.topology)
    for words in (
        "link add more type veth peer name most", "link set dev more up", "link set dev most up",
        "address add 10.3.0.1/24 dev more", "route replace default via 10.3.0.2 dev more",
    ):  # fmt: skip
        lab.run(["ip", "-n", "server", *words.split()], check=True)
    program = "import socket; s = socket.socket(); s.setsockopt(1, 25, b'eth0'); s.bind(('10.2.0.10', 8080)); s.listen(); s.accept()"
    lab.start(["python3", "-c", program], namespace="server")
    report = until_listening(lab)
    hops = [(hop["namespace"], hop["interface"]) for hop in report["path"]["reply"]]
    assert (report["verdict"], report["agreement"], hops[:1]) == ("unreachable", "confirmed", [("server", "eth0")])


def until_listening(lab: Lab) -> dict[str, Any]:
    """The report as soon as the port is open."""
    reports = (trace(lab, "pc", "10.2.0.10:8080/tcp") for _ in range(20))
    return next(report for report in reports if "port-closed" not in [cause["code"] for cause in report["causes"]])
