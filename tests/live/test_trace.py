"""`netprobe trace` in the tutorial's network: every hop, both ways, over every protocol and with every option of the probe."""

from __future__ import annotations

from typing import Any

import pytest
from asking import BACK, THERE, ask, once, places, trace

from netprobe.lab.lab import Lab
from netprobe.lab.tutorial import C1_PORT, C2_PORT

pytestmark = pytest.mark.lab

RED, BR0, HOST_ETH0, INTERNET = "02:00:0a:00:00:02", "02:00:0a:00:00:01", "02:00:cb:00:71:02", "02:00:cb:00:71:01"
TO_IPV6 = "2001:4860:4860::8888"


def tapped(way: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The hops at which a tap can see the packet."""
    return [hop for hop in way if hop["bound"] is not None]


def changes(way: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """What is translated on a way: field, before, after."""
    return [(change["field"], change["from"], change["to"]) for hop in way for change in hop["changes"]]


def assert_complete(report: dict[str, Any]) -> None:
    """Both ways were predicted, every place with a tap saw the packet, and nothing else did."""
    assert (report["verdict"], report["agreement"], report["causes"]) == ("reachable", "confirmed", [])
    for way in (report["path"]["request"], report["path"]["reply"]):
        assert way
        assert [hop["n"] for hop in way] == list(range(1, len(way) + 1))
        assert all(hop["predicted"] for hop in way)
        assert {hop["observed"] for hop in tapped(way)} == {True}
        assert {hop["observed"] for hop in way if hop["bound"] is None} <= {None}
        assert {hop["interface"] is None for hop in tapped(way)} == {False}
        times = [hop["time_ns"] for hop in tapped(way)]
        assert times == sorted(times)
    assert report["path"]["request"][0]["time_ns"] > 0
    assert report["rtt_ns"][0] > 0


@pytest.mark.parametrize("target", ["8.8.8.8", "8.8.8.8:53/udp", "8.8.8.8:80", TO_IPV6, f"[{TO_IPV6}]:53/udp", f"[{TO_IPV6}]:80"])
def test_red_to_the_internet(lab: Lab, target: str) -> None:
    report = trace(lab, "red", target)
    assert_complete(report)
    assert places(report["path"]["request"]) == THERE
    assert places(report["path"]["reply"]) == BACK
    inner, outer = ("fd00:10::2", "fd00:203::2") if TO_IPV6 in target else ("10.0.0.2", "203.0.113.2")
    assert changes(report["path"]["request"]) == [("src", inner, outer)]
    assert changes(report["path"]["reply"]) == [("dst", outer, inner)]
    translation = report["path"]["request"][4]
    assert translation["changes"][0]["by"] == "MASQUERADE"
    assert translation["object"]["kind"] == "nat-rule"


@pytest.mark.parametrize("target", ["8.8.8.8", TO_IPV6])
def test_each_hop_is_shown_as_it_was_seen(lab: Lab, target: str) -> None:
    report = trace(lab, "red", target)
    seen = [(hop["flow"]["src_mac"], hop["flow"]["dst_mac"], hop["flow"]["ttl"]) for hop in tapped(report["path"]["request"])]
    assert seen == [(RED, BR0, 64)] * 3 + [(HOST_ETH0, INTERNET, 63)] * 2
    back = [(hop["flow"]["src_mac"], hop["flow"]["dst_mac"], hop["flow"]["ttl"]) for hop in tapped(report["path"]["reply"])]
    assert back == [(INTERNET, HOST_ETH0, 64)] * 2 + [(BR0, RED, 63)] * 3
    ends = [(hop["flow"]["src"], hop["flow"]["dst"]) for hop in tapped(report["path"]["request"])]
    inner, outer = ("fd00:10::2", "fd00:203::2") if ":" in target else ("10.0.0.2", "203.0.113.2")
    assert ends == [(inner, target)] * 3 + [(outer, target)] * 2


@once
def test_the_text_says_it_in_the_words_of_the_field(lab: Lab) -> None:
    done = ask(lab, "trace", "red", "8.8.8.8", "--captures", "none")
    assert done.code == 0, done.told
    rows = [line.split() for line in done.stdout.splitlines() if line[:1] in ("✓", "⇄")]
    assert [row[2] for row in rows] == [
        "red/eth0", "host/veth0", "host/br0", "host", "host", "host/eth0", "internet/eth0", "internet/eth0",
    ]  # fmt: skip
    assert "MASQUERADE" in rows[4]
    assert "source 10.0.0.2 → 203.0.113.2" in done.stdout
    assert "reply came back over the same 8 hops, un-NATed at hop 5" in done.stdout


@pytest.mark.parametrize(
    ("source", "target", "there"),
    [
        ("c1", "c2", [("c1", "eth0"), ("host", C1_PORT), ("host", C2_PORT), ("c2", "eth0")]),
        ("c1", "c2:80", [("c1", "eth0"), ("host", C1_PORT), ("host", C2_PORT), ("c2", "eth0")]),
        ("c1", "fd00:172:17::3", [("c1", "eth0"), ("host", C1_PORT), ("host", C2_PORT), ("c2", "eth0")]),
        (
            "red",
            "172.17.0.2",
            [("red", "eth0"), ("host", "veth0"), ("host", "br0"), ("host", "docker0"), ("host", C1_PORT), ("c1", "eth0")],
        ),
        ("red", "10.0.0.1", [("red", "eth0"), ("host", "veth0"), ("host", "br0")]),
        ("host", "red", [("host", "br0"), ("host", "veth0"), ("red", "eth0")]),
        ("host", "8.8.8.8", [("host", "eth0"), ("internet", "eth0")]),
        ("red", "red", [("red", "lo"), ("red", "lo")]),
        ("red", "localhost", [("red", "lo"), ("red", "lo")]),
        ("internet", "host", [("internet", "eth0"), ("host", "eth0")]),
    ],
)
@once
def test_other_ways_of_the_lab(lab: Lab, source: str, target: str, there: list[tuple[str, str]]) -> None:
    report = trace(lab, source, target)
    assert_complete(report)
    assert [(hop["namespace"], hop["interface"]) for hop in tapped(report["path"]["request"])] == there
    assert [(hop["namespace"], hop["interface"]) for hop in tapped(report["path"]["reply"])] == (there if "lo" in there[0] else there[::-1])


@pytest.mark.parametrize("protocol", ["icmp", "tcp"])
def test_many_probes_of_one_run(lab: Lab, protocol: str) -> None:
    report = trace(lab, "red", "8.8.8.8" if protocol == "icmp" else "8.8.8.8:80", "-c", "5", "-i", "2ms")
    assert_complete(report)
    assert (report["sent"], report["received"], len(report["rtt_ns"])) == (5, 5, 5)
    for sequence in range(5):
        mine = [s for s in report["sightings"] if s["sequence"] == sequence and s["hop"] is not None]
        assert len([s for s in mine if s["leg"] == "reply"]) == 5


@pytest.mark.parametrize("size", [0, 1400, 1472])
@pytest.mark.parametrize("target", ["8.8.8.8", "8.8.8.8:53/udp"])
@once
def test_payloads_as_ping_counts_them(lab: Lab, size: int, target: str) -> None:
    report = trace(lab, "red", target, "-s", str(size))
    assert_complete(report)
    assert {hop["flow"]["length"] for hop in tapped(report["path"]["request"])} == {size + 28}


@pytest.mark.parametrize("target", ["8.8.8.8", TO_IPV6, "8.8.8.8:53/udp"])
def test_a_packet_in_three_fragments(lab: Lab, target: str) -> None:
    report = trace(lab, "red", target, "-s", "3000", "--no-df")
    assert_complete(report)
    for leg, way in (("request", THERE), ("reply", BACK)):
        for namespace, interface, _ in (place for place in way if place[1] and place[2] != "deliver"):
            here = [s for s in report["sightings"] if (s["leg"], s["namespace"], s["interface"]) == (leg, namespace, interface)]
            assert len([s for s in here if s["text"].startswith("fragment at")]) == 2
            assert len(here) == 3


def test_a_packet_that_must_not_be_fragmented(lab: Lab) -> None:
    report = trace(lab, "red", "8.8.8.8", "-s", "3000", "--df")
    assert (report["verdict"], report["direction"], report["causes"][0]["code"]) == ("unreachable", "request", "mtu-exceeded")
    assert report["causes"][0]["place"]["namespace"] == "red"
    assert trace(lab, "red", "8.8.8.8", "-s", "1472", "--df")["verdict"] == "reachable"


@pytest.mark.parametrize(("target", "sender", "kind"), [("8.8.8.8", "10.0.0.1", 11), (TO_IPV6, "fd00:10::1", 3)])
@once
def test_a_time_to_live_that_runs_out(lab: Lab, target: str, sender: str, kind: int) -> None:
    report = trace(lab, "red", target, "--ttl", "1")
    assert (report["verdict"], report["direction"], report["causes"][0]["code"]) == ("unreachable", "request", "ttl-expired")
    assert report["errors"] == [{"sender": sender, "type": kind, "code": 0, "mtu": None}]
    done = ask(lab, "trace", "red", target, "--ttl", "1", "--captures", "none")
    assert f"error from {sender}: " in done.stdout
    assert trace(lab, "red", target, "--ttl", "2")["verdict"] == "reachable"


def test_closed_ports_are_refused_by_the_far_end(lab: Lab) -> None:
    for target, errors in (("8.8.8.8:81", 0), ("8.8.8.8:4000/udp", 1)):
        report = trace(lab, "red", target)
        assert (report["verdict"], report["causes"][0]["code"]) == ("unreachable", "port-closed")
        assert report["causes"][0]["place"]["namespace"] == "internet"
        assert {hop["observed"] for hop in tapped(report["path"]["request"])} == {True}
        assert len(report["errors"]) == errors


def test_an_open_port_keeps_no_half_open_connection(lab: Lab) -> None:
    trace(lab, "red", "8.8.8.8:80", "-c", "3", "-i", "1ms")
    trace(lab, "c1", "c2:80")
    for namespace in ("internet", "c2", "red", "c1"):
        assert lab.run(["ss", "-Htan", "exclude", "listening", "exclude", "time-wait"], namespace=namespace, check=True).stdout == ""


@once
def test_ports_addresses_and_interfaces_as_given(lab: Lab) -> None:
    report = trace(lab, "red", "8.8.8.8:53/udp", "--source-port", "45678")
    assert {hop["flow"]["sport"] for hop in tapped(report["path"]["request"])[:3]} == {45678}
    report = trace(lab, "host@172.17.0.1", "10.0.0.2")
    assert report["verdict"] == "reachable"
    assert changes(report["path"]["request"]) == [("src", "172.17.0.1", "10.0.0.1")]
    report = trace(lab, "host", "172.17.0.2", "--source-address", "203.0.113.2")
    assert report["path"]["request"][0]["flow"]["src"] == "203.0.113.2"
    assert trace(lab, "red/eth0", "8.8.8.8")["path"]["request"][0]["interface"] == "eth0"


@once
def test_an_address_that_the_source_does_not_have(lab: Lab) -> None:
    report = trace(lab, "red", "8.8.8.8", "--source-address", "10.0.0.77")
    assert (report["verdict"], report["direction"], report["causes"][0]["code"]) == ("unreachable", "request", "addr-missing")
    assert report["causes"][0]["summary"] == "10.0.0.77 is not an address of red; it has 10.0.0.2"


@once
def test_a_mark_takes_another_route(fresh_lab: Lab) -> None:
    for command in ("ip rule add fwmark 7 lookup 100", "ip route add blackhole default table 100"):
        fresh_lab.run(command.split(), namespace="red", check=True)
    for mark in ("6", "0xffffffff"):
        assert trace(fresh_lab, "red", "8.8.8.8", "--mark", mark)["verdict"] == "reachable"
    report = trace(fresh_lab, "red", "8.8.8.8", "--mark", "7")
    assert (report["verdict"], report["direction"], report["causes"][0]["place"]["namespace"]) == ("unreachable", "request", "red")
    assert "fwmark 0x7" in report["causes"][0]["object"]["text"]


def test_a_user_takes_another_route(fresh_lab: Lab, privilege: str) -> None:
    uid = "4321" if privilege == "root" else "0"  # the rootless lab has a single user
    fresh_lab.run(f"ip rule add uidrange {uid}-{uid} prohibit".split(), namespace="red", check=True)
    report = trace(fresh_lab, "red", "8.8.8.8", "--uid", uid)
    assert (report["verdict"], report["direction"], report["causes"][0]["place"]["namespace"]) == ("unreachable", "request", "red")
    assert "uidrange" in report["causes"][0]["object"]["text"]
    if privilege == "root":
        assert trace(fresh_lab, "red", "8.8.8.8")["verdict"] == "reachable"


def test_a_host_name_is_looked_up_by_the_source(lab: Lab) -> None:
    """A process in red has a hosts file of its own; nobody else's is asked."""
    script = 'echo "8.8.8.8 far.example" >/run/hosts && mount --bind /run/hosts /etc/hosts && echo ready && exec sleep 100'
    process = lab.start(["unshare", "-m", "sh", "-ec", script], namespace="red")
    try:
        process.until("ready")
        report = trace(lab, f"pid:{process.pid}", "far.example")
        assert report["probe"]["destination"]["address"] == "8.8.8.8"
        assert report["probe"]["destination"]["host_name"] == "far.example"
        assert_complete(report)
        assert places(report["path"]["request"]) == THERE
    finally:
        process.stop()


@pytest.mark.parametrize("target", ["8.8.8.8", "8.8.8.8:80", "8.8.8.8:53/udp", TO_IPV6])
@once
def test_a_destination_that_nobody_can_look_into(lab: Lab, target: str) -> None:
    report = trace(lab, "--exclude", "internet", "red", target)
    assert report["verdict"] == "reachable"
    assert places(report["path"]["request"]) == [*THERE[:6], ("host", "eth0", "exit")]
    assert {hop["observed"] for hop in tapped(report["path"]["request"])} == {True}
    assert "internet" not in {sighting["namespace"] for sighting in report["sightings"]}
    done = ask(lab, "trace", "--exclude", "internet", "red", target, "--captures", "none")
    assert "exit through eth0" in done.stdout


@once
def test_a_silent_destination_that_nobody_can_look_into(lab: Lab) -> None:
    report = trace(lab, "--exclude", "internet", "red", "9.9.9.9", "-W", "100ms")
    assert (report["verdict"], places(report["path"]["request"])[-1]) == ("unreachable", ("host", "eth0", "exit"))
    assert (report["direction"], report["agreement"]) == (None, "observed-only")  # nobody predicts what is out of sight
    for target in ("8.8.8.8:81", "8.8.8.8:4000/udp", f"[{TO_IPV6}]:4000/udp"):
        report = trace(lab, "--exclude", "internet", "red", target)
        assert (report["verdict"], report["causes"][0]["code"]) == ("unreachable", "port-closed")
        assert report["causes"][0]["place"] == {"namespace": "host", "interface": "eth0", "stage": "exit"}
