"""A bridge with very many forwarding entries: those that are read are few, and the answer is the one that all of them give."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest
from asking import once

from netprobe.lab import crowds
from netprobe.lab.lab import Lab

pytestmark = [pytest.mark.lab, once]

# A probe of a process that reads at most so many forwarding entries of a namespace, or any number.
ASK = """
import sys
import netprobe.linux.tables.neighbours as neighbours
neighbours.MOST_ENTRIES = int(sys.argv.pop(1))
from netprobe.__main__ import main
main()
"""
MAC = "02:00:00:00:00:02"  # of s2
CONFIGURED = {
    "nothing else": ":",
    # sticky: what s2 says by itself would lead it back
    "an entry made by hand that leads elsewhere": f"bridge fdb replace {MAC} dev p3 master static sticky",
    "the bridge's own": f"bridge fdb replace {MAC} dev p2 master permanent",
    "a locked port": "bridge link set dev p1 learning off locked on; bridge fdb del 02:00:00:00:00:01 dev p1 master || :",
}


def answered(lab: Lab, most: int, *question: str) -> dict[str, Any]:
    done = lab.run([sys.executable, "-c", ASK, str(most), "why", "-o", "json", *question])
    assert done.stderr == ""
    report: dict[str, Any] = json.loads(done.stdout)
    hops = [(hop["namespace"], hop["stage"], hop["note"]) for hop in report["path"]["request"] if hop["note"] != "not reached"]
    causes = [(cause["code"], cause["fix"]) for cause in report["causes"]]
    return {"verdict": report["verdict"], "causes": causes, "hops": hops, "blind": report["blind"]}


@pytest.mark.parametrize("configured", list(CONFIGURED))
def test_the_answer_is_that_of_all_entries(make_lab: Callable[..., Lab], configured: str) -> None:
    lab = make_lab(crowds.EMPTY)
    crowds.fill(lab, crowds.stations(3))
    lab.run(["ping", "-c1", "-W1", crowds.station(2)], "s1", check=True)
    lab.run(["sh", "-c", CONFIGURED[configured]], check=True)
    assert answered(lab, 2, "s1", "s2") == answered(lab, 1_000_000, "s1", "s2")


def test_the_ends_of_a_tunnel_are_read_whatever_else_there_is(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(crowds.EMPTY)
    crowds.fill(lab, crowds.stations(2))
    for n, other in ((1, 2), (2, 1)):
        lab.run(
            ["sh", "-ec", f"""
            ip link add v0 type vxlan id 9 dstport 4789 dev eth0 nolearning
            bridge fdb append 00:00:00:00:00:00 dev v0 dst {crowds.station(other)}
            ip link add b0 type bridge forward_delay 0; ip link set v0 master b0 up
            ip address add 10.5.0.{n}/24 dev b0; ip link set b0 up"""],
            f"s{n}",
            check=True,
        )  # fmt: skip
    lab.run(["ping", "-c1", "-W1", "10.5.0.2"], "s1", check=True)
    few, all_of_them = (answered(lab, most, "s1", "10.5.0.2") for most in (2, 1_000_000))
    assert few == all_of_them
    assert few["verdict"] == "reachable"
