"""What one question has seen behind the ports of a bridge spares it a second look there; the next question looks anew."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import pytest

from netprobe.lab import crowds
from netprobe.lab.lab import Lab

pytestmark = pytest.mark.lab

# Two questions, the network changed between them: [who stands on br0, who has a VXLAN of it, from whom nothing leads out] of each,
# and in how many namespaces the second kind of question has opened its sockets.
ASKED_TWICE = """
import json, subprocess, sys
from netprobe.linux.machine import Machine
from netprobe.linux.names import peers
from netprobe.model import FindBare, FindMacvlans, LookBehind, ReadNamespace, Snapshot

entered = []
lower = peers._lower
peers._lower = lambda there, kinds: entered.append(there) or lower(there, kinds)

def asked(machine, behind):
    with machine.reading(5_000_000_000):
        machine.resolve("s1")
        seen = machine.read(Snapshot({}), [ReadNamespace("host")])
        ports = [LookBehind("host", l.link.nsid, l.link.index) for l in seen["host"].links if l.kind == "veth"]
        br0 = next(l.index for l in seen["host"].links if l.name == "br0")
        seen = machine.read(seen, ports if behind else [])
        entered.clear()
        seen = machine.read(seen, [FindMacvlans("host", br0), FindMacvlans("host", 0), FindBare("host")])
        return [*([*each.names] for each in seen.macvlans), sorted(name for name in seen.namespaces if name != "host")], len(entered)

with Machine(host="host") as machine:
    before, few = asked(machine, behind=True)
    without, all_of_them = asked(machine, behind=False)
    subprocess.run(["sh", "-e"], input=sys.stdin.read(), text=True, check=True)
    after, _ = asked(machine, behind=False)
    again, _ = asked(machine, behind=True)
    print(json.dumps([before, without, after, again, all_of_them - few]))
"""
CHANGE = """
ip link add on0 link br0 type macvlan mode bridge
ip link set on0 netns s1
ip link add vx0 type vxlan id 7 dstport 4790 remote 10.9.0.9 dev br0
ip link set vx0 netns s3
ip -n s2 link del eth0
"""


def test_the_next_question_looks_anew(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(crowds.EMPTY)
    crowds.fill(lab, crowds.stations(4))
    done = lab.run([sys.executable, "-c", ASKED_TWICE], text=CHANGE, check=True)
    before, without, after, again, spared = json.loads(done.stdout)
    assert before == without == [[], [], []]
    assert after == again == [["s1"], ["s3"], ["s2"]]
    assert spared == 4, "those behind the ports, but not the host"
