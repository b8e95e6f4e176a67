"""A probe in a real lab: what every tap sees, in order, whatever happens to it on the way."""

from __future__ import annotations

import errno
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import observing
import pytest

from netprobe.lab.lab import Lab, Program
from netprobe.linux.sensors import frame_sender, observe
from netprobe.linux.sensors.taps import MOST, room
from netprobe.model import Leg, Observation, Watch

pytestmark = pytest.mark.lab

RED, C1 = ("red", "10.0.0.2"), ("c1", "172.17.0.2")
INTERNET = ("8.8.8.8", None)
THERE = [
    ("red", "eth0", "out"), ("host", "veth0", "in"), ("host", "br0", "in"), ("host", "eth0", "out"), ("internet", "eth0", "in"),
]  # fmt: skip
BACK = [
    ("internet", "eth0", "out"), ("host", "eth0", "in"), ("host", "br0", "out"), ("host", "veth0", "out"), ("red", "eth0", "in"),
]  # fmt: skip


def seen(observations: Sequence[Observation], leg: Leg, sequence: int = 0) -> list[tuple[str, str | None, str | None]]:
    """Where a leg of the probe itself was seen, first fragments only."""
    return [
        (o.namespace, o.interface, o.bound)
        for o in observations
        if (o.kind, o.leg, o.sequence, o.error) == ("seen", leg, sequence, None) and not o.text.startswith("fragment")
    ]


def kinds(observations: Sequence[Observation], kind: str) -> list[Observation]:
    return [o for o in observations if o.kind == kind]


def probe(lab: Lab, protocol: str, source: Sequence[str], destination: Sequence[Any], **options: Any) -> tuple[Observation, ...]:
    got: tuple[Observation, ...] = lab.call(observing.send_as, options, protocol, source, destination)
    return got


@pytest.mark.parametrize(
    ("protocol", "source", "destination"),
    [
        ("icmp", RED, INTERNET), ("icmpv6", ("red", "fd00:10::2"), ("2001:4860:4860::8888", None)),
        ("tcp", RED, ("8.8.8.8", 80)), ("tcp", ("red", "fd00:10::2"), ("2001:4860:4860::8888", 80)),
        ("udp", RED, ("8.8.8.8", 53)), ("udp", ("red", "fd00:10::2"), ("2001:4860:4860::8888", 53)),
    ],
)  # fmt: skip
def test_all_sightings_in_order(lab: Lab, protocol: str, source: Sequence[str], destination: Sequence[Any]) -> None:
    got = probe(lab, protocol, source, destination, count=2, interval_ns=1_000_000)
    for sequence in (0, 1):
        assert seen(got, Leg.REQUEST, sequence) == THERE
        assert seen(got, Leg.REPLY, sequence) == BACK
    assert [o.sequence for o in kinds(got, "answered")] == [0, 1]
    assert [o.sequence for o in kinds(got, "sent")] == [0, 1]
    assert [o.stamp_ns for o in got] == sorted(o.stamp_ns for o in got)
    assert got[0].time_ns == 0


def test_translations_and_ttl_are_seen(lab: Lab) -> None:
    got = probe(lab, "udp", RED, ("8.8.8.8", 53))
    flows = [o.flow for o in got if o.kind == "seen" and o.leg is Leg.REQUEST]
    assert [(f.src, f.dst, f.dport, f.ttl) for f in flows if f] == [
        ("10.0.0.2", "8.8.8.8", 53, 64), ("10.0.0.2", "8.8.8.8", 53, 64), ("10.0.0.2", "8.8.8.8", 53, 64),
        ("203.0.113.2", "8.8.8.8", 53, 63), ("203.0.113.2", "8.8.8.8", 53, 63),
    ]  # fmt: skip


@pytest.mark.parametrize(("size", "frames"), [(0, 42), (7, 49), (8, 50), (1472, 1514)])
@pytest.mark.parametrize("protocol", ["icmp", "udp"])
def test_payloads_of_any_size(lab: Lab, protocol: str, size: int, frames: int) -> None:
    interval = 40_000_000 if protocol == "udp" and size < 8 else 1_000_000  # without a token: an answer before the next question
    got = probe(lab, protocol, RED, ("8.8.8.8", 53), size=size, count=2, interval_ns=interval)
    assert [seen(got, Leg.REQUEST, n) for n in (0, 1)] == [THERE, THERE]
    assert [o.sequence for o in kinds(got, "answered")] == [0, 1]
    assert {o.wire_length for o in got if o.kind == "seen" and o.leg} == {frames}


@pytest.mark.parametrize(
    ("protocol", "source", "destination"),
    [("icmp", RED, INTERNET), ("icmpv6", ("red", "fd00:10::2"), ("2001:4860:4860::8888", None)), ("udp", RED, ("8.8.8.8", 53))],
)
def test_every_fragment_is_seen_as_it_was(lab: Lab, protocol: str, source: Sequence[str], destination: Sequence[Any]) -> None:
    got = probe(lab, protocol, source, destination, size=3000, df=False)
    assert seen(got, Leg.REQUEST) == THERE
    assert seen(got, Leg.REPLY) == BACK
    for leg, places in ((Leg.REQUEST, THERE), (Leg.REPLY, BACK)):
        for place in places:
            here = [o for o in got if o.kind == "seen" and o.leg is leg and (o.namespace, o.interface, o.bound) == place]
            assert len(here) == 3
            assert len({(o.flow.src, o.flow.dst, o.flow.ttl, o.flow.src_mac) for o in here if o.flow}) == 1


def test_a_closed_udp_port_answers_with_an_error(lab: Lab) -> None:
    got = probe(lab, "udp", RED, ("8.8.8.8", 4000), timeout_ns=200_000_000)
    assert not kinds(got, "answered")
    errors = [(o.namespace, o.interface, o.error.sender, o.error.type, o.error.code) for o in got if o.error and o.kind == "seen"]
    assert errors[0] == ("internet", "eth0", "8.8.8.8", 3, 3)
    assert errors[-1] == ("red", "eth0", "8.8.8.8", 3, 3)
    heard = kinds(got, "refused")
    assert [(str(o.source), o.sequence, o.error.sender) for o in heard if o.error] == [("icmp", 0, "8.8.8.8")]


def test_a_closed_tcp_port_answers_with_a_reset(lab: Lab) -> None:
    got = probe(lab, "tcp", RED, ("8.8.8.8", 81))
    assert [o.text for o in kinds(got, "answered")] == ["refused"]
    assert {o.text for o in got if o.leg is Leg.REPLY and o.kind == "seen"} == {"RST ACK"}


def test_an_open_tcp_port_is_left_as_it_was(lab: Lab) -> None:
    got = probe(lab, "tcp", RED, ("8.8.8.8", 80), count=5, interval_ns=1_000_000)
    assert [o.text for o in kinds(got, "answered")] == [""] * 5
    assert [o.text for o in got if o.namespace == "red" and o.kind == "seen" and o.sequence == 0 and o.flow and o.flow.sport] == [
        "SYN", "SYN ACK", "RST",
    ]  # fmt: skip
    half_open = lab.run(["ss", "-Htan", "state", "syn-recv", "state", "established"], namespace="internet", check=True).stdout
    assert half_open == ""


def test_a_ttl_that_runs_out_is_reported_by_who_dropped_it(lab: Lab) -> None:
    got = probe(lab, "icmp", RED, INTERNET, ttl=1, timeout_ns=200_000_000)
    assert seen(got, Leg.REQUEST) == THERE[:3]
    assert {(o.error.sender, o.error.type, o.error.code) for o in got if o.error} == {("10.0.0.1", 11, 0)}


@pytest.mark.parametrize("six", [False, True])
def test_a_packet_too_large_to_leave_is_refused(lab: Lab, six: bool) -> None:
    source, destination = (("red", "fd00:10::2"), "2001:4860:4860::8888") if six else (RED, "8.8.8.8")
    got = probe(lab, "icmpv6" if six else "icmp", source, (destination, None), size=3000, df=True, count=2, timeout_ns=50_000_000)
    assert [(o.kind, o.sequence, o.text) for o in got] == [("refused", 0, "EMSGSIZE"), ("refused", 1, "EMSGSIZE")]


@pytest.mark.parametrize(
    ("source", "destination", "code"),
    [(("red", "10.9.9.9"), "8.8.8.8", "EADDRNOTAVAIL"), (("red", ""), "255.255.255.255", "EACCES")],
)
def test_what_the_kernel_refuses_has_its_name(lab: Lab, source: Sequence[str], destination: str, code: str) -> None:
    got = probe(lab, "icmp", source, (destination, None), timeout_ns=50_000_000)
    assert [(o.kind, o.text) for o in got] == [("refused", code)]


def test_without_a_route_the_packet_is_refused(fresh_lab: Lab) -> None:
    fresh_lab.inject("no-default-route")
    got = probe(fresh_lab, "icmp", ("red", "10.0.0.2"), INTERNET, timeout_ns=50_000_000)
    assert [(o.kind, o.text) for o in got] == [("refused", "ENETUNREACH")]


@pytest.mark.skipif(shutil.which("nft") is None, reason="nft is not installed")
def test_a_drop_in_output_is_refused(fresh_lab: Lab) -> None:
    rules = "add table ip t\nadd chain ip t c { type filter hook output priority 0; }\nadd rule ip t c icmp type echo-request drop\n"
    fresh_lab.run(["nft", "-f", "-"], namespace="red", text=rules, check=True)
    got = probe(fresh_lab, "icmp", RED, INTERNET, timeout_ns=50_000_000)
    assert [(o.kind, o.text) for o in got] == [("refused", "EPERM")]


@pytest.mark.skipif(shutil.which("nft") is None, reason="nft is not installed")
def test_an_answer_dropped_in_input_is_seen_but_no_answer(fresh_lab: Lab) -> None:
    rules = "add table ip t\nadd chain ip t c { type filter hook input priority 0; }\nadd rule ip t c icmp type echo-reply drop\n"
    fresh_lab.run(["nft", "-f", "-"], namespace="red", text=rules, check=True)
    got = probe(fresh_lab, "icmp", RED, INTERNET, timeout_ns=100_000_000)
    assert seen(got, Leg.REPLY) == BACK
    assert not kinds(got, "answered")


@pytest.mark.skipif(shutil.which("nft") is None, reason="nft is not installed")
@pytest.mark.parametrize(("protocol", "port"), [("icmp", None), ("udp", 53), ("tcp", 80)])
def test_mark_and_user_are_seen_by_rules(fresh_lab: Lab, privilege: str, protocol: str, port: int | None) -> None:
    rules = """add table ip t
add chain ip t c { type filter hook output priority 0; }
add rule ip t c meta mark 0x2a counter comment "mark"
add rule ip t c meta skuid 4321 counter comment "user"
"""
    fresh_lab.run(["nft", "-f", "-"], namespace="red", text=rules, check=True)
    uid = 4321 if privilege == "root" else 0  # the rootless lab knows one user only
    probe(fresh_lab, protocol, RED, ("8.8.8.8", port), mark=42, uid=uid)
    listed = fresh_lab.run(["nft", "list", "table", "ip", "t"], namespace="red", check=True).stdout
    counted = {word: line for line in listed.splitlines() for word in ("mark", "user") if f'comment "{word}"' in line}
    assert "packets 1 " in counted["mark"]
    assert ("packets 1 " if uid else "packets 0 ") in counted["user"]


def test_a_source_that_is_not_given_is_the_kernels_choice(lab: Lab) -> None:
    got = probe(lab, "icmp", ("red", ""), INTERNET)
    assert {o.flow.src for o in kinds(got, "sent") if o.flow} == {"10.0.0.2"}
    assert len(kinds(got, "answered")) == 1


def test_a_probe_to_itself_stays_on_lo(lab: Lab) -> None:
    got = probe(lab, "icmp", RED, ("10.0.0.2", None))
    assert seen(got, Leg.REQUEST) == [("red", "lo", "out"), ("red", "lo", "in")]
    assert seen(got, Leg.REPLY) == [("red", "lo", "out"), ("red", "lo", "in")]


def test_frames_for_another_station_are_in_on_a_bridge_port(lab: Lab) -> None:
    got = probe(lab, "icmp", C1, ("172.17.0.3", None))
    assert {o.bound for o in got if o.kind == "seen"} == {"in", "out"}
    assert len(kinds(got, "answered")) == 1


def test_ports_and_user_given_are_used(lab: Lab) -> None:
    got = probe(lab, "udp", RED, ("8.8.8.8", 53), source_port=45678)
    assert {o.flow.sport for o in kinds(got, "sent") if o.flow} == {45678}
    assert len(kinds(got, "answered")) == 1


def test_a_namespace_that_is_not_there_is_a_blind_spot(lab: Lab) -> None:
    got = lab.call(_with_a_stranger)
    assert [(o.namespace, o.text) for o in kinds(got, "blind")] == [("nowhere", "the namespace is not open")]
    assert len(kinds(got, "answered")) == 1


def _with_a_stranger() -> tuple[Observation, ...]:
    from netprobe.linux.sensors.observe import observe
    from netprobe.model import Watch

    made = observing.a_probe("icmp", RED, INTERNET)
    with observing.handles() as opened:
        return observe(Watch(made, (*observing.TUTORIAL, "nowhere")), opened, observing.all_answered(made))


@pytest.mark.thorough
def test_a_further_sensor_is_called_at_each_moment(lab: Lab) -> None:
    moments, told = lab.call(observing.with_a_further_sensor, "icmp", RED, INTERNET)
    assert moments == ["arm icmp", "listen", "read", "clear", "finish", "close"]
    assert told == ["counter red: three were dropped"]


def test_an_interface_that_goes_down_meanwhile(fresh_lab: Lab) -> None:
    options = {"count": 5, "interval_ns": 20_000_000, "timeout_ns": 300_000_000}
    down = ["ip", "link", "set", "eth0", "down"]
    got = fresh_lab.call(observing.while_running, down, "internet", options, "icmp", RED, INTERNET)
    assert len(kinds(got, "sent")) == 5


def test_an_interface_that_vanishes_meanwhile(fresh_lab: Lab) -> None:
    options = {"count": 3, "interval_ns": 20_000_000, "timeout_ns": 300_000_000}
    gone = ["ip", "link", "del", "eth0"]
    got = fresh_lab.call(observing.while_running, gone, "red", options, "icmp", RED, INTERNET)
    assert got[0].kind == "sent"


def test_nothing_stays_open(lab: Lab) -> None:
    for arguments in (("icmp", RED, INTERNET), ("tcp", RED, ("8.8.8.8", 80)), ("arp", C1, ("172.17.0.3", None))):
        before, after, left = lab.call(observing.leaves, *arguments)
        assert before == after
        assert left == []


def test_nothing_stays_open_after_an_interrupt(lab: Lab) -> None:
    before, after, name = lab.call(observing.leaves_after_an_exception)
    assert name == "Interrupted"
    assert before == after


def test_a_flood_on_the_same_way_hides_nothing(lab: Lab) -> None:
    flood = lab.start(["ping", "-q", "-f", "-c", "20000", "-s", "56", "8.8.8.8"], namespace="red")
    counts = lab.call(observing.many, 20)
    still = flood.running()
    flood.stop(2)
    assert counts == [10] * 20
    assert still, "the flood had ended before the last probe"


def test_arp_answers_are_seen_with_their_way(lab: Lab) -> None:
    got = probe(lab, "arp", C1, ("172.17.0.3", None), count=2, interval_ns=1_000_000)
    assert [(o.sequence, o.flow.src, o.flow.src_mac) for o in kinds(got, "answered") if o.flow] == [
        (0, "172.17.0.3", "02:42:ac:11:00:03"), (1, "172.17.0.3", "02:42:ac:11:00:03"),
    ]  # fmt: skip
    assert seen(got, Leg.REPLY, 1) == [
        ("c2", "eth0", "out"), ("host", "veth9b03c7e", "in"), ("host", "veth4f1d2a6", "out"), ("c1", "eth0", "in"),
    ]  # fmt: skip
    assert seen(got, Leg.REQUEST)[0] == ("c1", "eth0", "out")


def test_neighbour_solicitations_too(lab: Lab) -> None:
    got = probe(lab, "nd", ("c1", "fd00:172:17::2"), ("fd00:172:17::3", None), count=2, interval_ns=1_000_000)
    assert [(o.sequence, o.flow.src, o.flow.src_mac) for o in kinds(got, "answered") if o.flow] == [
        (0, "fd00:172:17::3", "02:42:ac:11:00:03"), (1, "fd00:172:17::3", "02:42:ac:11:00:03"),
    ]  # fmt: skip


def test_nobody_answers_for_an_address_nobody_has(lab: Lab) -> None:
    got = probe(lab, "arp", C1, ("172.17.0.77", None), count=3, interval_ns=1_000_000, timeout_ns=100_000_000)
    assert len(kinds(got, "sent")) == 3
    assert not kinds(got, "answered")


def started(lab: Lab, protocol: str, source: Sequence[str], *others: object) -> Program:
    """A run in a process of its own. `others` are destination, port, size, count and interval."""
    arguments = [protocol, *source, *others]
    return lab.start([sys.executable, str(Path(observing.__file__)), *map(str, arguments)], namespace="host")


def answers(run: Program) -> list[list[str]]:
    assert run.wait(60) == 0, run.errors()
    return [line.split() for line in run.output().splitlines()]


def test_arp_runs_at_the_same_time_never_take_each_others_answers(lab: Lab) -> None:
    owners = {"172.17.0.3": "02:42:ac:11:00:03", "172.17.0.1": "02:42:ac:11:00:01", "172.17.0.77": ""}
    wanted = [("172.17.0.3", 40, 3_000_000), ("172.17.0.3", 25, 5_000_000), ("172.17.0.1", 30, 4_000_000), ("172.17.0.77", 30, 4_000_000)]
    runs = [started(lab, "arp", C1, address, 0, 56, count, interval) for address, count, interval in wanted]
    for run, (address, count, _) in zip(runs, wanted, strict=True):
        owner = owners[address]
        assert [(number, mac) for number, _, mac in answers(run)] == [(str(n), owner) for n in range(count if owner else 0)]


@pytest.mark.parametrize(("protocol", "port", "size"), [("icmp", 0, 56), ("icmp", 0, 0), ("udp", 53, 56), ("udp", 53, 2), ("tcp", 80, 0)])
def test_runs_at_the_same_time_see_their_own_packets_only(lab: Lab, protocol: str, port: int, size: int) -> None:
    counts = (20, 14, 9)
    interval = 40_000_000 if protocol == "udp" and size < 8 else 4_000_000  # without a token: an answer before the next question
    runs = [started(lab, protocol, RED, "8.8.8.8", port, size, count, interval) for count in counts]
    for run, count in zip(runs, counts, strict=True):
        assert [(number, frames) for number, frames, _ in answers(run)] == [(str(n), "10") for n in range(count)]


def test_a_second_station_that_answers_is_told_apart(fresh_lab: Lab) -> None:
    """c1's neighbour has a twin with the same address: each request has two answers."""
    for command in (
        ["ip", "netns", "add", "twin"],
        ["ip", "link", "add", "vtwin", "master", "docker0", "type", "veth", "peer", "name", "eth0", "netns", "twin"],
        ["ip", "-n", "twin", "link", "set", "eth0", "address", "02:00:00:00:00:77"],
        ["ip", "link", "set", "vtwin", "up"],
        ["ip", "-n", "twin", "addr", "add", "172.17.0.3/16", "dev", "eth0"],
        ["ip", "-n", "twin", "link", "set", "eth0", "up"],
    ):  # fmt: skip
        fresh_lab.run(command, check=True)
    got = probe(fresh_lab, "arp", C1, ("172.17.0.3", None), count=3, interval_ns=2_000_000, timeout_ns=100_000_000)
    answers = {(o.sequence, o.flow.src_mac) for o in kinds(got, "answered") if o.flow}
    assert answers == {(n, mac) for n in range(3) for mac in ("02:42:ac:11:00:03", "02:00:00:00:00:77")}


def test_a_probe_inside_vxlan_is_seen_on_the_underlay(fresh_lab: Lab) -> None:
    for namespace, own, other, inner in (("host", "2", "1", "1"), ("internet", "1", "2", "2")):
        ends = ["local", f"203.0.113.{own}", "remote", f"203.0.113.{other}"]
        for command in (
            ["link", "add", "vx0", "type", "vxlan", "id", "42", *ends, "dstport", "4789"],
            ["addr", "add", f"10.42.0.{inner}/24", "dev", "vx0"],
            ["link", "set", "vx0", "up"],
        ):
            fresh_lab.run(["ip", *command], namespace=namespace, check=True)
    got = probe(fresh_lab, "icmp", ("host", "10.42.0.1"), ("10.42.0.2", None))
    assert seen(got, Leg.REQUEST) == [
        ("host", "vx0", "out"),
        ("host", "eth0", "out"),
        ("internet", "eth0", "in"),
        ("internet", "vx0", "in"),
    ]
    outer = [o.flow.outer for o in got if o.kind == "seen" and o.leg is Leg.REQUEST and o.flow]
    around = ("203.0.113.2", "203.0.113.1", 4789)
    assert [None if flow is None else (flow.src, flow.dst, flow.dport) for flow in outer] == [None, around, around, None]
    assert len(kinds(got, "answered")) == 1


def test_a_request_that_leaves_by_every_port_of_a_bridge_fills_no_tap() -> None:
    ports = 400

    def frames(protocol: str, beside: bool, count: int = 5) -> int:
        made = observing.a_probe(protocol, C1, ("172.17.0.3", None), count=count)
        return room(Watch(made, ("c1", "host"), interfaces={"c1": 2, "host": ports}), "host", beside).frames

    assert frames("arp", beside=False) > 5 * ports + 1000, "a request, and some more"
    assert frames("icmp", beside=True) > 3 * 2 * ports, "three requests for each of two neighbours"
    assert frames("icmp", beside=False, count=100_000) <= MOST // 2, "whatever is asked for, there is an end"


@pytest.mark.parametrize("protocol", ["icmp", "tcp"])
def test_answers_for_which_the_socket_has_no_room_are_counted(lab: Lab, protocol: str) -> None:
    few, all_of_them = lab.call(observing.unheard, protocol, 1), lab.call(observing.unheard, protocol, 1 << 20)
    assert few > 0
    assert all_of_them == 0


def test_a_socket_for_which_there_is_no_memory_is_no_full_queue() -> None:
    """ENOBUFS of socket(2) and bind(2) is the kernel's lack of memory; of sendto(2) it is a queue or table of the network."""
    watch = Watch(observing.a_probe("arp", C1, ("172.17.0.3", None)), ("c1",))
    with open("/proc/self/ns/net") as own, patch.object(frame_sender, "FrameSender", side_effect=OSError(errno.ENOBUFS, "No buffer")):
        got = observe.observe(watch, {"c1": own.fileno()}, lambda *_: True)
    assert [(o.kind, o.text) for o in got] == [("refused", "ENOMEM")]
