"""A network in which one thing is taken away, or put back, at some moment of a run."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any

from asking import run

CHANGED = "the configuration changed while netprobe was looking"
READING, LONGEST = 0.1, 0.35
"""How late a change comes, in s: most of them while a run reads, some until one that loses its probe is over."""


@dataclass(frozen=True)
class Thing:
    """Something that a run needs: `take` takes it away, `put` puts it back, `there` succeeds while it is there (all for sh).

    `named` are words of which one names it or what goes with it.
    """

    name: str
    question: tuple[str, str]
    take: str
    put: str
    there: str
    named: tuple[str, ...]


def _thing(name: str, question: str, take: str, put: str, there: str, named: str) -> Thing:
    source, target = question.split()
    return Thing(name, (source, target), take, put, there, tuple(named.split(", ")))


_WIRE = """
ip netns delete guest 2>/dev/null; ip link del vguest 2>/dev/null
ip netns add guest && ip link add name vguest type veth peer name eth0 address 02:42:ac:11:00:50 netns guest &&
ip link set vguest master docker0 up &&
ip -n guest addr add 172.17.0.50/16 dev eth0 && ip -n guest link set eth0 up"""
_UNWIRED = "timeout 10 sh -c 'while ip link show vguest; do sleep 0.02; done'"  # the kernel takes its wires away later
_ROUTE = "ip -n red route add default via 10.0.0.1 dev eth0 onlink"

# fmt: off
THINGS = (
    _thing(
        "link down", "red 8.8.8.8", "ip -n red link set eth0 down", f"ip -n red link set eth0 up; {_ROUTE}",
        "ip -n red link show eth0 up | grep -q eth0 && ip -n red route | grep -q default", "eth0, 0.0.0.0/0",
    ),
    _thing(
        "router's link down", "red 8.8.8.8", "ip link set eth0 down", "ip link set eth0 up; ip route add default via 203.0.113.1 dev eth0",
        "ip link show eth0 up | grep -q eth0 && ip route | grep -q default", "eth0, 0.0.0.0/0",
    ),
    _thing("bridge down", "c1 172.17.0.3", "ip link set docker0 down", "ip link set docker0 up",
           "ip link show docker0 up | grep -q docker0", "docker0"),
    _thing(
        "address", "red 8.8.8.8", "ip -n red addr del 10.0.0.2/32 dev eth0", f"ip -n red addr add 10.0.0.2/32 dev eth0; {_ROUTE}",
        "ip -n red addr show eth0 | grep -q 10.0.0.2/32 && ip -n red route | grep -q default", "10.0.0.2, 0.0.0.0/0",
    ),
    _thing(
        "target's address", "red 8.8.8.8", "ip -n internet addr del 8.8.8.8/32 dev lo", "ip -n internet addr add 8.8.8.8/32 dev lo",
        "ip -n internet addr show lo | grep -q 8.8.8.8", "8.8.8.8",
    ),
    _thing(
        "gateway's address", "c1 8.8.8.8", "ip addr del 172.17.0.1/16 dev docker0", "ip addr add 172.17.0.1/16 dev docker0",
        "ip addr show docker0 | grep -q 172.17.0.1", "172.17.0.",
    ),
    _thing("route", "red 8.8.8.8", "ip -n red route del default", _ROUTE, "ip -n red route | grep -q default", "0.0.0.0/0"),
    _thing("router's route", "red 8.8.8.8", "ip route del default", "ip route add default via 203.0.113.1 dev eth0",
           "ip route | grep -q default", "0.0.0.0/0, 8.8.8.8"),
    _thing(
        "way back", "c1 172.17.0.3", "ip -n c2 route add blackhole 172.17.0.2", "ip -n c2 route del blackhole 172.17.0.2",
        "! ip -n c2 route | grep -q blackhole", "172.17.0.2",
    ),
    _thing(
        "right neighbour", "red 8.8.8.8", "ip neigh replace 203.0.113.1 lladdr 02:00:00:00:be:ef dev eth0 nud permanent",
        "ip neigh del 203.0.113.1 dev eth0", "! ip neigh show 203.0.113.1 | grep -q be:ef", "203.0.113.1",
    ),
    _thing(
        "port", "c1 172.17.0.3", "ip link set veth9b03c7e nomaster", "ip link set veth9b03c7e master docker0",
        "ip link show master docker0 | grep -q veth9b03c7e", "veth9b03c7e",
    ),
    _thing(
        "namespace", "c1 172.17.0.50", f"ip netns delete guest; {_UNWIRED}", _WIRE,
        "ip netns | grep -q guest && ip link show master docker0 | grep -q vguest", "guest, 172.17.0.50",
    ),
    _thing("interface", "c1 172.17.0.50", "ip -n guest link del eth0", _WIRE, "ip link show master docker0 | grep -q vguest",
           "vguest, eth0, guest, 172.17.0.50"),
    _thing("sender's interface", "guest 172.17.0.3", "ip -n guest link del eth0", _WIRE, "ip link show master docker0 | grep -q vguest",
           "eth0, guest"),
)
# fmt: on


def sh(command: str) -> bool:
    """Run it in the lab; whether it succeeded."""
    return subprocess.run(["sh", "-c", command], capture_output=True, check=False).returncode == 0


@dataclass(frozen=True)
class Outcome:
    """One run: what changed and when, the exit code and what was said, and why that is `wrong`; "" where it is right."""

    change: str
    code: int
    wrong: str
    said: str


def _judged(thing: Thing, change: str, code: int, stdout: str, stderr: str) -> Outcome:
    if code not in (0, 1, 4):
        return Outcome(change, code, f"exit code {code}", stderr)
    report = json.loads(stdout)
    said = f"{report['verdict']} {_codes(report)}: {report['summary']} {report['notes']} {report['agreement']}"
    return Outcome(change, code, _wrong(thing, code, report), said)


def _codes(report: dict[str, Any]) -> list[str]:
    return [cause["code"] for cause in report["causes"][:1]]


def _wrong(thing: Thing, code: int, report: dict[str, Any]) -> str:
    """Why the answer is neither "reachable", nor the cause, nor "undetermined" for what changed."""
    if code == 0 or ((found := _codes(report)) and _right(thing).issuperset(found)):
        return ""
    told = [note for note in report["notes"] if note.startswith(CHANGED)]
    if found or code != 4 or not told:
        return f"neither one of {set(_right(thing))} nor a change"
    return "" if any(word in told[0] for word in thing.named) else "the change is called something else"


def changing_runs(seed: int, count: int) -> list[Outcome]:
    """In the lab: `count` runs, each with its change."""
    dice = Random(seed)
    sh(_WIRE)
    return [_changing(THINGS[number % len(THINGS)], dice) for number in range(count)]


@cache
def _right(thing: Thing) -> frozenset[str]:
    """The causes that netprobe names while the thing is away all the time: with neighbours still known, and no longer."""
    _ask("trace", thing)
    assert sh(thing.take), thing.take
    asked = [_ask(command, thing) for command in ("why", "trace", "why")]
    assert sh(thing.put), thing.put
    _settle(thing)
    found = frozenset(code for _, stdout, _ in asked for code in _codes(json.loads(stdout)))
    assert found, f"{thing.name} is not missed"
    return found


def _ask(command: str, thing: Thing) -> tuple[int, str, str]:
    options = () if command == "why" else ("--captures", "none", "-W", "300ms")
    return run((command, *thing.question, "-o", "json", *options))


def _changing(thing: Thing, dice: Random) -> Outcome:
    vanishes = thing.question[0] == "guest" or dice.random() < 0.7  # a namespace that is not there cannot be asked from
    assert sh(thing.there), f"{thing.name} is not there"
    if not vanishes:
        assert sh(thing.take), thing.take
    delay = dice.uniform(0, READING if dice.random() < 0.7 else LONGEST)
    command = dice.choice(("why", "trace", "ping"))
    late = subprocess.Popen(["sh", "-c", f"sleep {delay:.3f}; {thing.take if vanishes else thing.put}"], stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)  # fmt: skip
    try:
        done = _ask(command, thing)
    finally:
        late.wait()
    assert sh(thing.there) is not vanishes, f"{thing.name}: what was to happen did not"
    if vanishes:
        assert sh(thing.put), thing.put
        _settle(thing)
    return _judged(thing, f"{command}: {thing.name} {'vanishes' if vanishes else 'comes back'} after {delay:.3f} s", *done)


def _settle(thing: Thing) -> None:
    """Wait until it is there again, and works."""
    for _ in range(100):
        if sh(thing.there):
            return
        time.sleep(0.02)
    raise AssertionError(f"{thing.name} did not come back")
