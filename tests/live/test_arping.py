"""`netprobe arping` on the tutorial's segments: who answers, how often, over which ports; and what it means when several do."""

from __future__ import annotations

from typing import Any

import pytest
from asking import arping, ask, once

from netprobe.lab.lab import Lab
from netprobe.lab.tutorial import C1_PORT, C2_PORT

pytestmark = pytest.mark.lab

C1, C2, DOCKER0, BR0, RED = "02:42:ac:11:00:02", "02:42:ac:11:00:03", "02:42:ac:11:00:01", "02:00:0a:00:00:01", "02:00:0a:00:00:02"
TWIN = "02:00:00:00:00:77"


def tapped(way: list[dict[str, Any]]) -> list[tuple[str, str]]:
    assert all(hop["observed"] for hop in way if hop["bound"])
    return [(hop["namespace"], hop["interface"]) for hop in way if hop["bound"]]


@pytest.mark.parametrize(
    ("question", "mac", "there"),
    [
        (["c1", "c2"], C2, [("c1", "eth0"), ("host", C1_PORT), ("host", C2_PORT), ("c2", "eth0")]),
        (["c1", "c2", "-6"], C2, [("c1", "eth0"), ("host", C1_PORT), ("host", C2_PORT), ("c2", "eth0")]),
        (["c1", "172.17.0.1"], DOCKER0, [("c1", "eth0"), ("host", C1_PORT), ("host", "docker0")]),
        (["host", "c1"], C1, [("host", "docker0"), ("host", C1_PORT), ("c1", "eth0")]),
        (["host", "red"], RED, [("host", "br0"), ("host", "veth0"), ("red", "eth0")]),
        (["red", "10.0.0.1"], BR0, [("red", "eth0"), ("host", "veth0"), ("host", "br0")]),
        (["red", "host"], BR0, [("red", "eth0"), ("host", "veth0"), ("host", "br0")]),
        (["red/eth0", "10.0.0.1"], BR0, [("red", "eth0"), ("host", "veth0"), ("host", "br0")]),
        (["red", "fd00:10::1"], BR0, [("red", "eth0"), ("host", "veth0"), ("host", "br0")]),
    ],
)
def test_who_answers_and_over_which_ports(lab: Lab, question: list[str], mac: str, there: list[tuple[str, str]]) -> None:
    report = arping(lab, *question, "-c", "2", "-i", "1ms")
    assert (report["verdict"], report["agreement"]) == ("reachable", "confirmed")
    answers = [(a["sequence"], a["mac"], a["broadcast"], a["note"]) for a in report["answers"]]
    assert answers == [(0, mac, False, ""), (1, mac, False, "")]
    assert tapped(report["path"]["request"]) == there
    assert tapped(report["path"]["reply"]) == there[::-1]
    assert all(answer["time_ns"] > 0 for answer in report["answers"])
    assert [answer["time_ns"] for answer in report["answers"]] == report["rtt_ns"]
    assert report["notes"] == []


def test_nobody_answers(lab: Lab) -> None:
    done = ask(lab, "arping", "c1", "172.17.0.77", "-c", "2", "-i", "1ms", "-W", "100ms", "-o", "json", "--captures", "none")
    report = done.report
    assert (done.code, report["verdict"], report["sent"], report["received"]) == (1, "unreachable", 2, 0)
    assert report["causes"][0]["code"] == "neigh-no-answer"
    assert report["answers"] == []


@pytest.mark.parametrize(
    ("source", "target", "address"), [("red", "c1", "172.17.0.2"), ("c1", "8.8.8.8", "8.8.8.8"), ("c1", "red", "10.0.0.2")]
)
@once
def test_another_segment_is_another_question(lab: Lab, source: str, target: str, address: str) -> None:
    done = ask(lab, "arping", source, target)
    assert (done.code, done.stdout) == (2, "")
    assert "is not on a segment of" in done.stderr
    assert address in done.stderr
    assert f"netprobe trace {source} {target}" in done.stderr


@pytest.mark.parametrize("asked", ["c1", "c1/eth0"])
@pytest.mark.parametrize(
    ("command", "code"),
    [("ip link set eth0 down", "link-admin-down"), ("ip addr del 172.17.0.2/16 dev eth0", "addr-missing")],
)
@once
def test_who_is_cut_off_is_told_why(fresh_lab: Lab, asked: str, command: str, code: str) -> None:
    """That is no other segment: the answer is the cause, and a fix that mends."""
    fresh_lab.run(command.split(), "c1", check=True)
    done = ask(fresh_lab, "arping", asked, "c2", "-o", "json", "--captures", "none")
    [cause, *_] = done.report["causes"]
    assert (done.code, done.report["verdict"], cause["code"], cause["place"]["namespace"]) == (1, "unreachable", code, "c1")


@once
def test_an_advertisement_that_who_asks_drops_is_no_answer(fresh_lab: Lab) -> None:
    """It is for the kernel, behind the tap that hears it; arping(8) hears what ARP brings where a tap does."""
    fresh_lab.run(["ip6tables", "-A", "INPUT", "-p", "icmpv6", "--icmpv6-type", "neighbour-advertisement", "-j", "DROP"], "c1", check=True)
    fresh_lab.run(["iptables", "-P", "INPUT", "DROP"], "c1", check=True)
    assert fresh_lab.run(["ping", "-6", "-c1", "-W1", "fd00:172:17::3"], "c1").returncode == 1
    report = arping(fresh_lab, "c1", "fd00:172:17::3")
    assert (report["verdict"], report["agreement"], report["causes"][0]["code"]) == ("unreachable", "confirmed", "nd-filtered")
    assert arping(fresh_lab, "c1", "c2")["verdict"] == "reachable"


def add_twin(lab: Lab) -> None:
    """A second station with c2's address."""
    for command in (
        "ip netns add twin",
        "ip link add vtwin master docker0 type veth peer name eth0 netns twin",
        f"ip -n twin link set eth0 address {TWIN}",
        "ip link set vtwin up",
        "ip -n twin addr add 172.17.0.3/16 dev eth0",
        "ip -n twin link set eth0 up",
    ):
        lab.run(command.split(), check=True)


@once
def test_a_duplicate_address(fresh_lab: Lab) -> None:
    add_twin(fresh_lab)
    for options, twin in (([], "twin/eth0"), (["--exclude", "twin"], TWIN)):
        report = arping(fresh_lab, *options, "c1", "172.17.0.3", "-c", "2", "-i", "1ms")
        assert sorted((a["sequence"], a["mac"]) for a in report["answers"]) == [(0, TWIN), (0, C2), (1, TWIN), (1, C2)]
        assert (report["sent"], report["received"]) == (2, 2)
        (note,) = report["notes"]
        assert "a duplicate address" in note
        assert twin in note
        assert "c2/eth0" in note
    assert "ANSWERED BY 2 STATIONS" in ask(fresh_lab, "arping", "c1", "c2", "--captures", "none").stdout


def test_a_proxy_is_called_one(fresh_lab: Lab) -> None:
    settings = ["net.ipv4.conf.docker0.proxy_arp=1", "net.ipv4.conf.docker0.proxy_arp_pvlan=1", "net.ipv4.neigh.docker0.proxy_delay=0"]
    fresh_lab.run(["sysctl", "-qw", *settings], check=True)
    report = arping(fresh_lab, "c1", "172.17.0.200")
    (answer,) = report["answers"]
    assert answer["mac"] == DOCKER0
    assert answer["note"] == "host/docker0 answers in another's name (proxy): 172.17.0.200 is not its own"
    report = arping(fresh_lab, "c1", "172.17.0.3")
    assert {a["mac"]: bool(a["note"]) for a in report["answers"]} == {DOCKER0: True, C2: False}
    assert "a proxy that answers in its name" in report["notes"][0]
    assert tapped(report["path"]["request"])[-1] == ("c2", "eth0")


@once
def test_one_stack_on_two_interfaces(fresh_lab: Lab) -> None:
    """Linux answers on every interface for every address of the host, unless arp_ignore says otherwise."""
    for command in ("link add link eth0 name mv0 type macvlan mode bridge", "addr add 172.17.0.4/16 dev mv0", "link set mv0 up"):
        fresh_lab.run(["ip", *command.split()], namespace="c2", check=True)
    report = arping(fresh_lab, "c1", "172.17.0.4")
    assert len({a["mac"] for a in report["answers"]}) == 2
    assert "one stack on two interfaces" in report["notes"][0]


@pytest.mark.parametrize(("exclude", "there"), [("c2", [("c1", "eth0"), ("host", C1_PORT), ("host", C2_PORT)]), ("host", [("c1", "eth0")])])
@once
def test_a_station_out_of_sight(lab: Lab, exclude: str, there: list[tuple[str, str]]) -> None:
    report = arping(lab, "--exclude", exclude, "c1", "172.17.0.3")
    assert (report["verdict"], report["agreement"]) == ("reachable", "confirmed")
    assert [answer["mac"] for answer in report["answers"]] == [C2]
    assert tapped(report["path"]["request"]) == there
    assert tapped(report["path"]["reply"]) == there[::-1]
    silent = arping(lab, "--exclude", exclude, "c1", "172.17.0.77", "-W", "50ms")
    assert (silent["verdict"], silent["agreement"]) == ("unreachable", "observed-only")


@once
def test_the_text_is_what_arping_says_and_the_way_of_the_frame(lab: Lab) -> None:
    done = ask(lab, "arping", "c1", "c2", "--captures", "none")
    assert done.code == 0, done.told
    assert f"172.17.0.3  {C2}" in done.stdout
    assert "unicast" in done.stdout
    assert "reply came back over the same 5 hops" in done.stdout
