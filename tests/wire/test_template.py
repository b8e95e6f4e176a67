"""Patched packets are byte for byte what scapy makes anew, for every field that is written over."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

from netprobe.model import MSS, Protocol
from netprobe.wire.craft import craft
from netprobe.wire.template import ArpTemplate, EchoTemplate, SynTemplate, payload

NUMBERS = st.integers(0, 0xFFFFFFFF)
V4 = st.ip_addresses(v=4).map(str)
V6 = st.ip_addresses(v=6).map(str)
MACS = st.binary(min_size=6, max_size=6).map(lambda raw: raw.hex(":"))
PORTS = st.integers(1, 0xFFFF)


@given(NUMBERS, st.integers(1, 0xFFFF), st.integers(8, 200), st.lists(NUMBERS, min_size=1, max_size=4))
def test_an_echo_request(run: int, icmp_id: int, size: int, probes: list[int]) -> None:
    template = EchoTemplate(craft, run, icmp_id, size, Protocol.ICMP)
    for probe in probes:
        template.write(probe)
        assert bytes(template.data) == bytes(ICMP(type=8, id=icmp_id, seq=1) / payload(run, probe, size))


@given(NUMBERS, st.integers(1, 0xFFFF), NUMBERS)
def test_an_echo_request_over_ipv6_but_for_the_checksum_that_the_kernel_writes(run: int, icmp_id: int, probe: int) -> None:
    template = EchoTemplate(craft, run, icmp_id, 56, Protocol.ICMPV6)
    template.write(probe)
    made = bytes(IPv6(src="::1", dst="::2") / ICMPv6EchoRequest(id=icmp_id, seq=1, data=payload(run, probe, 56)))[40:]
    assert bytes(template.data[:2] + template.data[4:]) == made[:2] + made[4:]


@pytest.mark.parametrize(("addresses", "header"), [(V4, IP), (V6, IPv6)])
def test_a_syn(addresses: st.SearchStrategy[str], header: type) -> None:
    @given(NUMBERS, addresses, PORTS, PORTS, st.lists(st.tuples(NUMBERS, addresses), min_size=1, max_size=4))
    def check(run: int, source: str, sport: int, dport: int, probes: list[tuple[int, str]]) -> None:
        template = SynTemplate(craft, run, source, sport, dport)
        for probe, target in probes:
            template.write(probe, ip_address(target).packed)
            options = [("MSS", MSS[6 if ":" in target else 4])]
            segment = TCP(sport=sport, dport=dport, seq=(run + probe) % 2**32, flags="S", window=64240, options=options)
            whole = bytes(header(src=source, dst=target) / segment)
            assert bytes(template.data) == whole[len(header()) :]

    check()


@given(NUMBERS, V4, MACS, st.lists(st.tuples(NUMBERS, V4, MACS), min_size=1, max_size=4))
def test_an_arp_question(run: int, source: str, mac: str, probes: list[tuple[int, str, str]]) -> None:
    other = ArpTemplate(craft, run, "192.0.2.1", "02:00:00:00:00:01")
    for template in (ArpTemplate(craft, run, source, mac), other.of(bytes.fromhex(mac.replace(":", "")), ip_address(source).packed)):
        check_arp(template, run, source, mac, probes)


def check_arp(template: ArpTemplate, run: int, source: str, mac: str, probes: list[tuple[int, str, str]]) -> None:
    for probe, target, its in probes:
        template.write(probe, bytes.fromhex(its.replace(":", "")), ip_address(target).packed)
        token = run.to_bytes(4, "big") + probe.to_bytes(4, "big")
        question = ARP(op=1, hwsrc=mac, psrc=source, hwdst="00:00:00:00:00:00", pdst=target)
        assert bytes(template.data) == bytes(Ether(src=mac, dst=its, type=0x0806) / question / Raw(token)).ljust(60, b"\0")


@given(NUMBERS, NUMBERS, st.integers(0, 100))
def test_a_payload_begins_with_run_and_probe(run: int, probe: int, size: int) -> None:
    made = payload(run, probe, size)
    assert len(made) == max(8, size)
    assert (int.from_bytes(made[:4], "big"), int.from_bytes(made[4:8], "big")) == (run, probe)
