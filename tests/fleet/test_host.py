"""A host read over its agent, beside the same lab read from here: both say the same, and it takes few round trips."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from fleet import both_ways
from fleet.both_ways import unprefixed
from linux.test_config_live import ODD
from open_labs import open_lab

from netprobe.codec import run_from_json
from netprobe.lab.lab import Lab
from netprobe.model import Run

pytestmark = pytest.mark.lab

RULES = """
iptables-nft -A FORWARD -p tcp --dport 81 -j DROP
iptables-nft -t nat -A POSTROUTING -o eth0 -j MASQUERADE
nft add table ip odd
nft 'add set ip odd few { type ipv4_addr; elements = { 192.0.2.1, 192.0.2.2 } }'
nft 'add chain ip odd input { type filter hook input priority 10; policy accept; }'
nft add rule ip odd input ip saddr @few tcp dport 82 counter drop
ip netns exec red nft add table inet own
ip netns exec red nft 'add chain inet own output { type filter hook output priority 0; policy accept; }'
ip netns exec red nft add rule inet own output udp dport 83 drop
"""
TRIES = 5  # each a second after the one before: by then an address is no more tentative
MAY_DIFFER = {"enter", "counters"}  # the way there is another; counters move between two readings


@pytest.fixture(scope="module")
def odd() -> Iterator[Lab]:
    """The tutorial's network with one of everything, and with rules of every engine."""
    with open_lab("root") as lab:
        lab.run(["sh", "-ec", ODD + RULES], check=True)
        yield lab


def _differing(odd: Lab, *names: str) -> dict[str, dict[str, str]]:
    """What two readings of each namespace, one after the other, do not say alike."""
    read = zip(names, odd.call(both_ways.namespaces, *names), strict=True)
    return {name: found for name, (_, other, _) in read if (found := {part: how for part, how in other.items() if part not in MAY_DIFFER})}


def test_a_namespace_is_read_as_from_here(odd: Lab) -> None:
    """A neighbour that ages between the two readings, an address that is tentative no more, is no difference of the ways."""
    names = ("red", "host", "internet", "c1")
    for _ in range(TRIES):
        if not (differing := _differing(odd, *names)):
            break
        time.sleep(1)
    assert differing == {}
    for parts, _, _ in odd.call(both_ways.namespaces, *names):
        assert {"links", "addresses", "routes", "rules", "sysctls", "ruleset"} <= set(parts)


def test_a_namespace_is_read_in_few_round_trips(odd: Lab) -> None:
    """One without rules in one; with rules it is known only then which tools print them."""
    [(_, _, plain), (_, _, ruled), (_, _, host)] = odd.call(both_ways.namespaces, "c1", "red", "host")
    assert plain == ["batch"]
    assert ruled == ["batch"] * 2
    assert host == ["batch"] * len(host)
    assert len(host) <= 4


def test_several_namespaces_are_read_side_by_side(odd: Lab) -> None:
    """One question each, all on their way before the first answer is waited for."""
    assert odd.call(both_ways.together, "c1", "c2", "internet") == ["batch"] * 3


def test_the_kernel_answers_route_lookups_as_from_here(odd: Lab) -> None:
    here, there, verbs = odd.call(both_ways.routes, "red", "10.0.0.1", "8.8.8.8", "10.8.0.1", "2001:db8::1")
    assert there == here
    assert len(verbs) <= 3


def test_all_namespaces_are_listed_as_from_here(odd: Lab) -> None:
    here, there, verbs = odd.call(both_ways.spaces)
    assert {each["name"] for each in there} >= {"h1:host", "h1:red", "h1:c1", "h1:c2", "h1:internet"}
    own = [each for each in there if "agent" not in each["name"]]
    assert unprefixed(own) == unprefixed(here)
    assert all(each["typed"].startswith("h1:") for each in there)
    assert len(verbs) <= 10 * len(there)


QUESTIONS: list[dict[str, Any]] = [
    {"source": "red", "destination": "internet", "command": "why"},
    {"source": "red", "destination": "internet", "command": "trace"},
    {"source": "red", "destination": "internet", "command": "trace", "version": 6},
    {"source": "red", "destination": "internet", "command": "trace", "protocol": "udp", "port": 5353},
    {"source": "red", "destination": "internet", "command": "ping", "protocol": "tcp", "port": 80, "count": 2},
    {"source": "red", "destination": "c1", "command": "trace"},
    {"source": "red", "destination": "host", "command": "arping"},
    {"source": "c1", "destination": "c2", "command": "trace", "protocol": "tcp", "port": 81, "ttl": 3},
]


@pytest.mark.parametrize("options", QUESTIONS, ids=lambda each: " ".join(map(str, each.values())))
def test_a_question_is_answered_as_from_here(lab: Lab, options: dict[str, Any]) -> None:
    for _ in range(TRIES):  # a busy machine may leave one of the two without time
        packed_here, packed_there, verbs = lab.call(both_ways.runs, options)
        here, there = (run_from_json(zlib.decompress(each)) for each in (packed_here, packed_there))
        if unprefixed(_said(there)) == _said(here):
            break
    assert unprefixed(_said(there)) == _said(here)
    assert len(verbs) <= (60 if here.report.causes else 36)


def _said(run: Run) -> list[Any]:
    """What a run says of the probe, but for moments, numbers that are drawn, and what the kernels ask their neighbours beside it."""
    report = run.report
    seen = [[each.kind, each.namespace, each.interface, each.bound, str(each.leg), each.sequence] for each in run.observations if each.leg]
    codes = [[cause.code, cause.place.namespace if cause.place else None] for cause in report.causes]
    return [str(report.verdict), codes, sorted(seen, key=str), [str(each) for each in report.blind]]
