"""A namespace with very many interfaces: what is read of each is little, and the answer is that of all of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest
from asking import once

from netprobe.lab import crowds
from netprobe.lab.lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.thorough, once]

# A probe of a process that reads the settings of the neighbours of at most so many interfaces, or of any number.
ASK = """
import sys
import netprobe.linux.tables.neighbours as neighbours
neighbours.MOST_ASKING = int(sys.argv.pop(1))
from netprobe.__main__ import main
main()
"""
CONFIGURED = {
    "nothing else": ":",
    "one that asks nobody": "sysctl -qw net.ipv4.neigh.vb.mcast_solicit=0; ip neigh flush dev vb",
    "one that asks a program": "sysctl -qw net.ipv4.neigh.vb.mcast_solicit=0 net.ipv4.neigh.vb.app_solicit=1; ip neigh flush dev vb",
    "one beside the way that asks nobody": "sysctl -qw net.ipv4.neigh.x0.mcast_solicit=0",
}


def answered(lab: Lab, most: int, *question: str) -> dict[str, Any]:
    done = lab.run([sys.executable, "-c", ASK, str(most), "why", "-o", "json", *question])
    assert done.stderr == ""
    report: dict[str, Any] = json.loads(done.stdout)
    hops = [(hop["namespace"], hop["stage"], hop["note"]) for hop in report["path"]["request"]]
    causes = [(cause["code"], cause["fix"]) for cause in report["causes"]]
    return {"verdict": report["verdict"], "causes": causes, "hops": hops, "blind": report["blind"]}


@pytest.mark.parametrize("configured", list(CONFIGURED))
def test_the_answer_is_that_of_all_interfaces(make_lab: Callable[..., Lab], configured: str) -> None:
    lab = make_lab(crowds.EMPTY)
    crowds.fill(lab, crowds.pair() + crowds.interfaces(20))
    lab.run(["sh", "-c", CONFIGURED[configured]], check=True)
    few = answered(lab, 2, "a", "b")
    assert few == answered(lab, 1_000_000, "a", "b")
    codes = {"nothing else": [], "one that asks nobody": ["arp-suppressed"], "one beside the way that asks nobody": []}
    if configured in codes:
        assert [code for code, _ in few["causes"]][:1] == codes[configured]


def test_a_thousand_and_one_loss_among_them(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(crowds.EMPTY)
    crowds.fill(lab, crowds.pair() + crowds.interfaces(1000))
    report = answered(lab, 100, "a", "b")
    assert (report["verdict"], report["blind"]) == ("reachable", [])
    lab.run(["sysctl", "-qw", "net.ipv4.conf.vb.forwarding=0", "net.ipv4.conf.va.forwarding=0"], check=True)
    lost = answered(lab, 100, "a", "b")
    assert (lost["verdict"], [code for code, _ in lost["causes"]]) == ("unreachable", ["forwarding-off"])
