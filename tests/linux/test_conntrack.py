"""Tracked connections of one flow, from a live table, next to what conntrack(8) says."""

from __future__ import annotations

import shutil
import socket
import struct

import pytest
import tracking
from decoding import attribute, record
from msgspec.structs import replace

from netprobe.lab.lab import Lab
from netprobe.linux.messages.conntrack import Connection
from netprobe.linux.record import lean, whole
from netprobe.linux.tables.conntrack import decode
from netprobe.model import Blind, Flow, Protocol

pytestmark = pytest.mark.lab

UDP = Flow("10.0.0.2", "8.8.8.8", Protocol.UDP, dport=53)
TCP = Flow("10.0.0.2", "8.8.8.8", Protocol.TCP, dport=80)
ICMP = Flow("10.0.0.2", "8.8.8.8", Protocol.ICMP)
ICMPV6 = Flow("fd00:10::2", "2001:4860:4860::8888", Protocol.ICMPV6)
RED, RED6 = ("red", "10.0.0.2"), ("red", "fd00:10::2")


@pytest.mark.parametrize(
    ("flow", "probe", "translated"),
    [
        (UDP, ("udp", RED, ("8.8.8.8", 53)), "203.0.113.2"), (TCP, ("tcp", RED, ("8.8.8.8", 80)), "203.0.113.2"),
        (ICMP, ("icmp", RED, ("8.8.8.8", None)), "203.0.113.2"),
        (ICMPV6, ("icmpv6", RED6, ("2001:4860:4860::8888", None)), "fd00:203::2"),
    ],
)  # fmt: skip
def test_a_flow_is_found_from_both_sides_of_a_translation(fresh_lab: Lab, flow: Flow, probe: tuple[object, ...], translated: str) -> None:
    (entry,) = fresh_lab.call(tracking.after_a_probe, flow, *probe)
    assert (entry.protocol, entry.original[:2], entry.reply[:2]) == (flow.protocol.value, (flow.src, flow.dst), (flow.dst, translated))
    assert {"confirmed", "src_nat", "seen_reply"} <= set(entry.status)
    port = entry.original[2]
    whole = replace(flow, icmp_id=port) if flow.protocol in (Protocol.ICMP, Protocol.ICMPV6) else replace(flow, sport=port)
    for asked in (flow, whole, replace(flow, src=translated), replace(whole, src=translated)):
        got = fresh_lab.call(tracking.after_probes, asked)
        assert [found.original for found in got] == [entry.original], asked


def test_tcp_has_a_state(fresh_lab: Lab) -> None:
    (entry,) = fresh_lab.call(tracking.after_a_probe, TCP, "tcp", RED, ("8.8.8.8", 80))
    assert entry.state == "close"  # the sender's kernel resets what the probe began


@pytest.mark.parametrize("flow", [UDP, ICMPV6, replace(TCP, sport=1), Flow("10.0.0.2", "10.0.0.3", Protocol.ARP)])
def test_what_is_not_there_is_not_found(fresh_lab: Lab, flow: Flow) -> None:
    assert fresh_lab.call(tracking.after_a_probe, flow, "icmp", RED, ("8.8.8.8", None)) == ()


@pytest.mark.skipif(shutil.which("conntrack") is None, reason="conntrack is not installed")
def test_the_same_as_conntrack_lists(fresh_lab: Lab) -> None:
    probes = [("udp", RED, ("8.8.8.8", 53))] * 3 + [("udp", ("c1", "172.17.0.2"), ("8.8.8.8", 53))]
    got = fresh_lab.call(tracking.after_probes, UDP, *probes)
    listed = fresh_lab.run(["conntrack", "-L", "-p", "udp", "--orig-src", "10.0.0.2"], check=True).stdout
    ports = {int(line.split("sport=")[1].split()[0]) for line in listed.splitlines()}
    assert {entry.original[2] for entry in got} == ports
    assert len(got) == 3


def test_without_the_privilege_it_is_a_blind_spot(lab: Lab) -> None:
    got = lab.call(tracking.without_privilege, UDP)
    assert got == Blind("connection tracking", "reading the table needs CAP_NET_ADMIN")


@pytest.mark.parametrize("payload", [b"\x02\0\0\0", b"\x02\0\0\0\x08\0\x01\x80\0\0\0\0", bytes(range(64))])
def test_an_entry_that_cannot_be_read_is_passed_over(payload: bytes) -> None:
    assert decode(record("connection", payload)) is None


@pytest.mark.parametrize(
    ("whole", "sides", "zones"),
    [(7, (None, None), (7, 7)), (None, (7, None), (7, 0)), (None, (None, 7), (0, 7)), (None, (None, None), (0, 0))],
)
def test_a_zone_of_one_direction_stands_in_its_tuple(
    whole: int | None, sides: tuple[int | None, int | None], zones: tuple[int, int]
) -> None:
    """As Linux 6.18 lists what `CT --zone`, `--zone-orig` and `--zone-reply` made."""

    def zone(kind: int, number: int | None) -> bytes:
        return attribute(kind, struct.pack(">H", number)) if number is not None else b""

    def side(src: str, dst: str, number: int | None) -> bytes:
        ends = attribute(1, socket.inet_aton(src)) + attribute(2, socket.inet_aton(dst))
        ping = attribute(1, b"\x01") + attribute(4, struct.pack(">H", 99))
        return attribute(1, ends) + attribute(2, ping) + zone(3, number)

    there, back = side("10.0.0.1", "10.0.0.2", sides[0]), side("10.0.0.2", "10.0.0.1", sides[1])
    entry = decode(record("connection", b"\x02\0\0\0" + attribute(1, there) + attribute(2, back) + zone(18, whole)))
    assert entry is not None
    assert (entry.zone, entry.zone_of_replies) == zones


def test_an_entry_that_is_read_by_hand_is_the_one_that_pyroute2_reads() -> None:
    """IPv4 with states of TCP, IPv6 with a zone in one direction, and one that says nothing."""
    ends = (
        (("CTA_IP_V4_SRC", "10.0.0.2"), ("CTA_IP_V4_DST", "8.8.8.8")),
        (("CTA_IP_V6_SRC", "2001:db8::1"), ("CTA_IP_V6_DST", "2001:db8::2")),
    )
    ports = [("CTA_PROTO_NUM", 6), ("CTA_PROTO_SRC_PORT", 40000), ("CTA_PROTO_DST_PORT", 443)]
    for addresses, more in ((ends[0], []), (ends[1], [("CTA_TUPLE_ZONE", 7)])):
        side = {"attrs": [("CTA_TUPLE_IP", {"attrs": [*addresses]}), ("CTA_TUPLE_PROTO", {"attrs": ports}), *more]}
        state = {"attrs": [("CTA_PROTOINFO_TCP", {"attrs": [("CTA_PROTOINFO_TCP_STATE", 3)]})]}
        said = [("CTA_TUPLE_ORIG", side), ("CTA_TUPLE_REPLY", side), ("CTA_STATUS", 0x1A), ("CTA_PROTOINFO", state), ("CTA_MARK", 5)]
        for attributes in (said, said[:2], said[2:], []):
            made = Connection()
            made.update({"nfgen_family": 2})
            made["header"].update(type=256, flags=0)
            made["attrs"] = [list(each) for each in attributes]
            made.encode()
            message = bytes(made.data)
            assert decode(lean(Connection, message)) == decode(whole(Connection, message))
            assert (decode(lean(Connection, message)) is None) == (attributes not in (said, said[:2]))
