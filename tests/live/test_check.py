"""Expectations asked in a lab: exit codes, waiting, Ctrl-C in the middle."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from asking import ask, once, until
from belongings import packet_sockets

import netprobe
from netprobe.lab.lab import Lab

pytestmark = [pytest.mark.lab, once]

HOLD = """
endpoints: {dns: 8.8.8.8}
groups: {boxes: [c1, c2]}
expect:
- {from: red, to: dns, nat: {source: 203.0.113.2}, via: [host/br0, 203.0.113.1], max_rtt: 1s}
- {from: boxes, to: boxes}
- {from: c1, to: 172.17.0.3, port: [81, 82], is: blocked, cause: port-closed}
- arping: {from: c1, to: c2, unique: true, mac: 02:42:ac:11:00:03}
"""


def written(lab: Lab, text: str, name: str = "net.yaml") -> str:
    file = Path(lab.folder, name)
    file.write_text(text)
    return str(file)


def test_all_hold(lab: Lab) -> None:
    done = ask(lab, "check", written(lab, HOLD))
    assert (done.code, done.stderr) == (0, ""), done.told
    assert done.stdout.splitlines()[-1] == "6 hold"


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("expect:\n- {from: red, to: 8.8.8.8, is: blocked}\n", 1, "8.8.8.8 is reachable from red"),
        ("expect:\n- {from: red, to: 8.8.8.8, via: [c1]}\n", 1, "does not pass c1"),
        ("expect:\n- {from: red, to: 8.8.8.8}\n- {from: rde, to: 8.8.8.8}\n", 2, "Did you mean red?"),
        ("expect:\n- {from: red, to: 8.8.8.8}\n- {from: red, to: c2, via: [c3]}\n", 2, "no namespace or container c3"),
        ("expect:\n- {from: red, to: 8.8.8.8, port: 81, protocol: udp, is: blocked, cause: no-route}\n", 1, "port-closed"),
    ],
)
def test_one_does_not(lab: Lab, text: str, code: int, said: str) -> None:
    done = ask(lab, "check", written(lab, text))
    assert (done.code, done.stderr) == (code, ""), done.told
    assert said in done.stdout


def test_a_bad_file_is_said_before_anything_is_asked(lab: Lab) -> None:
    done = ask(lab, "check", written(lab, HOLD), written(lab, "expect:\n- {from: red, too: blue}\n", "bad.yaml"))
    assert (done.code, done.stdout) == (2, ""), done.told
    assert "bad.yaml:2:15: 'too' is no key" in done.stderr
    assert ask(lab, "check", "/no/such/file").code == 2


def test_what_does_not_hold_is_asked_again(fresh_lab: Lab) -> None:
    """The link comes up while it waits; without waiting it fails."""
    file = written(fresh_lab, "expect:\n- {from: red, to: 8.8.8.8}\n")
    fresh_lab.run(["ip", "link", "set", "veth0", "down"], check=True)
    assert ask(fresh_lab, "check", file).code == 1
    program = fresh_lab.start(["sh", "-c", "sleep 1; ip link set veth0 up"])
    done = ask(fresh_lab, "check", "--wait", "30s", file)
    assert program.wait() == 0
    assert done.code == 0, done.told


def test_interrupted_it_prints_what_it_has(fresh_lab: Lab) -> None:
    """The first is decided, the second never ends: its answer is not waited for."""
    file = written(fresh_lab, "expect:\n- {from: c1, to: c2}\n- {from: red, to: 8.8.8.8, count: 1000}\n- {from: c2, to: c1}\n")
    program = fresh_lab.start(["bash", "-c", 'exec netprobe "$@"', "netprobe", "check", "-o", "json", file])
    until(lambda: fresh_lab.call(packet_sockets, ["red"])["red"] or not program.running(), "no tap was opened")
    program.kill(signal.SIGINT)
    assert program.wait() == 130, program.errors()
    found = json.loads(program.output())
    assert (found["complete"], found["expected"], [each["asked"] for each in found["results"]]) == (False, 3, ["c1 → c2 icmp"])


def test_what_was_read_can_be_asked_elsewhere(lab: Lab) -> None:
    """In a process that has no lab, and as somebody without privileges: the model answers as it does here."""
    machine, net = Path(lab.folder, "machine.pcapng"), written(lab, HOLD)
    done = ask(lab, "check", "-w", str(machine), net)
    assert (done.code, done.stderr) == (0, ""), done.told
    found = netprobe.check(net, recording=machine)
    assert found, found.text()
    assert [each.notes for each in found.results if each.notes] == [
        ("max_rtt was not looked at: nothing was sent",), ("who answers was not looked at: nothing was sent",),
    ]  # fmt: skip
    broken = netprobe.check(net, recording=machine, changes=["ip -n red link set eth0 down", "ip -n c1 addr flush dev eth0"])
    assert [each.turned for each in broken.results] == ["breaks"] * 6
    assert ask(lab, "check", "-w", "-", net).code == 2
    assert ask(lab, "check", "-w", "/proc/no/file", net).code == 74


def test_an_interrupted_file_says_so(fresh_lab: Lab) -> None:
    """c1 sends no ARP request, which nothing predicts: it waits for an answer that does not come."""
    silent = "sysctl -qw net.ipv4.neigh.eth0.mcast_solicit=0; ip neigh flush all"
    fresh_lab.run(["sh", "-c", silent], namespace="c1", check=True)
    program = fresh_lab.start(["bash", "-c", 'exec netprobe "$@"', "netprobe", "expect", "-W", "60s", "c1", "c2", "8.8.8.8"])
    until(lambda: fresh_lab.call(packet_sockets, ["c1"])["c1"] or not program.running(), "no tap was opened")
    program.kill(signal.SIGINT)
    assert program.wait() == 130, program.errors()
    assert program.output().splitlines()[1].startswith("# INCOMPLETE")
