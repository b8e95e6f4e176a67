"""`why` against the wire, for rulesets in the shape in which programs write them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from random import Random

import pytest
from asking import ask, once
from shapes import SHAPES, USUAL, Loaded, Probe

from netprobe.lab.lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.slow, once]

_KNOCK = """
import socket, sys
kind = socket.SOCK_STREAM if sys.argv[1] == "tcp" else socket.SOCK_DGRAM
with socket.socket(socket.AF_INET, kind) as s:
    s.settimeout(1)
    s.setsockopt(socket.SOL_IP, 11, 1)  # IP_RECVERR: errors of every kind count
    try:
        s.connect((sys.argv[2], int(sys.argv[3])))
        if kind == socket.SOCK_DGRAM:
            s.send(b"shape")
            s.recv(100)
    except OSError:
        sys.exit(1)
"""


def load(lab: Lab, rules: Loaded) -> None:
    """The ruleset in the place of what the lab had."""
    lab.run(["nft", "flush", "ruleset"], check=True)
    for sysctl in rules.sysctls:
        lab.run(["sysctl", "-qw", sysctl], check=True)
    for tool, text in ((["ipset", "restore"], rules.ipset), (["iptables-nft-restore"], rules.save), (["nft", "-f", "-"], rules.nft)):
        if text:
            lab.run(tool, text=text, check=True)


def answered(lab: Lab, probe: Probe) -> bool:
    """Whether a real packet of the kernel's own programs is answered."""
    if probe.protocol == "icmp":
        return lab.run(["ping", "-n", "-c1", "-W1", probe.target], probe.source).returncode == 0
    return lab.run([sys.executable, "-c", _KNOCK, probe.protocol, probe.target, str(probe.port)], probe.source).returncode == 0


def said(lab: Lab, probe: Probe) -> str:
    port = ("-P", str(probe.port)) if probe.port is not None else ()
    for _ in range(5):
        report = ask(lab, "why", "-o", "json", probe.source, probe.target, "-p", probe.protocol, *port).report
        if not any(blind["why"] == "not read in time" for blind in report["blind"]):
            break  # a crowded machine is no defect of the reading
    return str(report["verdict"])


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.thorough) for seed in range(1, 5))])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_why_agrees_with_the_wire(fresh_lab: Lab, shape: Callable[[Random], Loaded], seed: int) -> None:
    rules = shape(Random(f"{shape.__name__}/{seed}"))
    if rules.ipset and shutil.which("ipset") is None:
        pytest.skip("needs ipset")
    load(fresh_lab, rules)
    wrong = []
    for probe in (*USUAL, *rules.probes):
        verdict, wire = said(fresh_lab, probe), answered(fresh_lab, probe)
        if verdict != ("reachable" if wire else "unreachable"):
            wrong.append((probe, verdict, wire))
    assert wrong == []
