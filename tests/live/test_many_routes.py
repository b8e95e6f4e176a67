"""A router with very many routes: those that are read are few, and the answer is the one that all of them give."""

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

# A probe of a process that reads at most so many routes of a namespace, or any number.
ASK = """
import sys
import netprobe.linux.tables.fib as fib
fib.MOST = int(sys.argv.pop(1))
from netprobe.__main__ import main
main()
"""
CONFIGURED = {
    "nothing else": ":",
    "a blackhole": "ip route replace blackhole 10.8.2.0/24",
    "no way back": "ip -n b route del default",
    "a way back by another interface": "sysctl -qw net.ipv4.conf.all.rp_filter=1; ip route add 10.8.1.2/32 via 10.8.2.2",
    "a longer prefix": "ip route add 10.8.2.2/32 via 10.8.1.2",
    "a policy rule": "ip route add 10.8.2.0/24 via 10.8.1.2 table 77; ip rule add from 10.8.1.2 lookup 77",
    "masquerade": "nft add table ip n; nft add chain ip n p '{ type nat hook postrouting priority 100; }';"
    "nft add rule ip n p oifname vb masquerade",
    "a rule that asks for a route": "nft add table ip n; nft add chain ip n p '{ type filter hook prerouting priority -300; }';"
    "nft add rule ip n p fib saddr . iif oif missing drop",
}


def answered(lab: Lab, most: int, *question: str) -> dict[str, Any]:
    done = lab.run([sys.executable, "-c", ASK, str(most), "why", "-o", "json", *question])
    assert done.stderr == ""
    report: dict[str, Any] = json.loads(done.stdout)
    hops = [(hop["namespace"], hop["stage"], hop["note"]) for hop in report["path"]["request"] if hop["note"] != "not reached"]
    causes = [(cause["code"], cause["fix"]) for cause in report["causes"]]
    return {"verdict": report["verdict"], "causes": causes, "hops": hops, "blind": report["blind"]}


@pytest.mark.parametrize("configured", list(CONFIGURED))
def test_the_answer_is_that_of_all_routes(make_lab: Callable[..., Lab], configured: str) -> None:
    lab = make_lab(crowds.EMPTY)
    crowds.fill(lab, crowds.pair())
    crowds.fill(lab, crowds.routes(40))
    lab.run(["sh", "-ec", CONFIGURED[configured]], check=True)
    lab.run(["ping", "-c1", "-W1", "10.8.2.2"])
    for target in ("b", "20.0.5.7"):
        assert answered(lab, 20, "a", target) == answered(lab, 1_000_000, "a", target)
