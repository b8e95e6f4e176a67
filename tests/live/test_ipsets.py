"""Sets of ipset(8), which the kernel holds and iptables only names; ipset itself is not needed."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from asking import once, trace

from netprobe.lab.lab import Lab

pytestmark = [pytest.mark.lab, once]

# name, type, options of its making, then its entries with their types, as pyroute2 writes them
_MAKE = """
import json, sys
from pyroute2 import IPSet
from pyroute2.ipset import PortEntry
from pyroute2.netlink.exceptions import NetlinkError
with IPSet() as sets:
    for name, kind, options, entries in json.loads(sys.argv[1]):
        try:
            sets.create(name, stype=kind, **options)
        except NetlinkError as error:
            print("none", error)
            raise SystemExit(0)
        for entry, etype, more in entries:
            if isinstance(entry, list):
                entry = tuple(PortEntry(each, protocol=6) if isinstance(each, int) else each for each in entry)
            sets.add(name, entry, etype=etype, **more)
print("made")
"""


def made(lab: Lab, *sets: Any) -> None:
    done = lab.run([sys.executable, "-c", _MAKE, json.dumps(sets)])
    if done.stdout.startswith("none"):
        pytest.skip(f"this kernel has no such sets: {done.stdout}")
    assert done.stdout == "made\n", done.stderr


def ended(lab: Lab, match: str, target: str = "8.8.8.8") -> tuple[str, str, list[str]]:
    """What comes of a packet that a rule of host's FORWARD drops by a set."""
    rule = ["FORWARD", *match.split(), "-j", "DROP"]
    lab.run(["iptables", "-I", *rule], check=True)
    report = trace(lab, "red", target)
    lab.run(["iptables", "-D", *rule], check=True)
    return report["verdict"], report["agreement"], [cause["code"] for cause in report["causes"][:1]]


DROPPED = ("unreachable", "confirmed", ["filtered-by-rule"])
PASSED = ("reachable", "confirmed", [])


def test_addresses(fresh_lab: Lab) -> None:
    made(fresh_lab, ("far", "hash:ip", {}, [("8.8.8.8", "ip", {}), ("192.0.2.1", "ip", {})]))
    assert ended(fresh_lab, "-m set --match-set far dst") == DROPPED
    assert ended(fresh_lab, "-d 8.0.0.0/8 -m set ! --match-set far dst") == PASSED
    assert ended(fresh_lab, "-d 8.0.0.0/8 -m set ! --match-set far src") == DROPPED
    assert ended(fresh_lab, "-m set --match-set far src") == DROPPED, "the answer comes from there"
    assert ended(fresh_lab, "-s 10.0.0.2 -m set --match-set far src") == PASSED


def test_networks(fresh_lab: Lab) -> None:
    made(fresh_lab, ("near", "hash:net", {}, [("8.8.8.0/24", "net", {})]), ("off", "hash:net", {}, [("8.9.0.0/16", "net", {})]))
    assert ended(fresh_lab, "-m set --match-set near dst") == DROPPED
    assert ended(fresh_lab, "-m set --match-set off dst") == PASSED


def test_addresses_with_ports(fresh_lab: Lab) -> None:
    made(fresh_lab, ("web", "hash:ip,port", {}, [(["8.8.8.8", 80], "ip,port", {})]))
    assert ended(fresh_lab, "-m set --match-set web dst,dst", "8.8.8.8:80") == DROPPED
    assert ended(fresh_lab, "-m set --match-set web dst,dst", "8.8.8.8:53/udp") == PASSED
    assert ended(fresh_lab, "-m set --match-set web src,dst", "8.8.8.8:80") == PASSED
    assert ended(fresh_lab, "-m set --match-set web dst", "8.8.8.8:80") == PASSED, "one side is too few"


def test_lists_of_sets(fresh_lab: Lab) -> None:
    made(fresh_lab, ("a", "hash:ip", {}, [("192.0.2.1", "ip", {})]), ("b", "hash:net", {}, [("8.8.8.0/24", "net", {})]),
         ("all", "list:set", {}, [("a", "set", {}), ("b", "set", {})]), ("some", "list:set", {}, [("a", "set", {})]))  # fmt: skip
    assert ended(fresh_lab, "-m set --match-set all dst") == DROPPED
    assert ended(fresh_lab, "-m set --match-set some dst") == PASSED
