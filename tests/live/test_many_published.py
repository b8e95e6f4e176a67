"""A host that publishes a port of each of hundreds of containers: what breaks there is named as with two of them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import pytest
from asking import once

from netprobe.lab import crowds
from netprobe.lab.lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.thorough, once]

ASK = "from netprobe.__main__ import main; main()"
BROKEN = [
    (":", "w", "203.0.113.2:10001", "dnat-dead-target"),
    ("ip route del default", "s1", "8.8.8.8", "no-route"),
    ("ip route replace default via 203.0.113.9", "s1", "8.8.8.8", "route-wrong-nexthop"),
    ("iptables-nft -t nat -D POSTROUTING 1", "s1", "8.8.8.8", "nat-missing"),
    ("iptables-nft -I FORWARD -i br0 -o w0 -j DROP", "s1", "8.8.8.8", "filtered-by-rule"),
    ("ip addr flush dev br0", "s1", "8.8.8.8", "addr-missing"),
    ("ip link set br0 down", "s1", "8.8.8.8", "link-admin-down"),
    ("ip -n s2 addr flush dev eth0", "s3", "10.9.0.2", "addr-missing"),
]


@pytest.mark.parametrize(("broken", "source", "goal", "code"), BROKEN, ids=[code for _, _, _, code in BROKEN[:-1]] + ["of a container"])
def test_what_breaks_among_three_hundred(make_lab: Callable[..., Lab], broken: str, source: str, goal: str, code: str) -> None:
    lab = make_lab(crowds.EMPTY)
    crowds.fill(lab, crowds.published(300))
    lab.run(["sh", "-c", broken], check=True)
    done = lab.run([sys.executable, "-c", ASK, "why", "-o", "json", source, goal], timeout=60)
    report = json.loads(done.stdout)
    assert report["causes"][0]["code"] == code
    assert report["causes"][0]["fix"]
    assert [each["what"] for each in report["blind"]] == []
