"""A tap on live interfaces: the kernel takes the filter and it decides as the machine of the unit tests does."""

from __future__ import annotations

import pytest
import tapping
from bpf_machine import accepts
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw
from test_filter import AROUND, BESIDE, STRANGE

from netprobe.lab.lab import Lab
from netprobe.linux.sensors.tap import AT_ONCE
from netprobe.model import Protocol
from netprobe.wire.dissect import ETHERNET, RAW_IP, dissect
from netprobe.wire.filter import side_filter, tap_filter
from netprobe.wire.mark import Mark

pytestmark = pytest.mark.lab

RED, VETH0 = "02:00:0a:00:00:02", "02:00:0a:00:00:01"
STRANGER = "02:00:00:00:00:99"


def a_mark(protocol: Protocol = Protocol.ICMP) -> Mark:
    return Mark(protocol, bytes.fromhex("c0ffee00ab1e"), 3, isn=77, source_ports=(40000,), port=53)


def echo(mark: Mark, sequence: int = 0) -> IP:
    return IP(src="10.0.0.2", dst="192.0.2.9", ttl=1) / ICMP(type=0, id=1, seq=sequence) / Raw(mark.payload(sequence))


def ether(packet: object, dst: str = VETH0) -> bytes:
    return bytes(Ether(src=RED, dst=dst) / packet)


def test_only_what_belongs_to_the_probe_is_caught(lab: Lab) -> None:
    mark = a_mark()
    ours = ether(echo(mark))
    frames = [
        ours,
        ether(IP(src="10.0.0.2", dst="192.0.2.9") / ICMP(type=0, id=1, seq=1) / Raw(b"somebody else's payload")),
        ether(IP(src="10.0.0.2", dst="192.0.2.9") / TCP(sport=1, dport=2)),
        ether(IP(src="10.0.0.2", dst="192.0.2.9") / UDP(sport=1, dport=4789) / VXLAN(vni=1) / Ether(src=RED, dst=VETH0) / echo(mark, 1)),
    ]
    caught = lab.call(tapping.inject, mark, "red", frames, "host")
    from_red = b"\x02\x00\x0a\x00\x00\x02\x08\x00"  # not the errors that come back, nor the neighbours' ARP
    assert [frame for name, _, frame, _, _ in caught if name == "veth0" and frame[6:14] == from_red] == [ours, frames[3]]


@pytest.mark.parametrize("count", [AT_ONCE - 1, AT_ONCE, 2 * AT_ONCE + 3])
def test_more_than_come_at_once_come_in_order(lab: Lab, count: int) -> None:
    """Of many sizes: nothing of one is left in the place of the next, which has fewer bytes."""
    mark = a_mark()
    frames = [
        bytes(Ether(src=RED, dst=VETH0) / echo(mark, number % 2) / Raw(bytes([number]) * (900 - 20 * number))) for number in range(count)
    ]
    caught = lab.call(tapping.inject, mark, "red", frames, "red")
    assert [(data, length) for name, _, data, length, _ in caught if name == "eth0" and data[6:12] == frames[0][6:12]] == [
        (frame, len(frame)) for frame in frames
    ]


@pytest.mark.parametrize(
    ("protocol", "packet"),
    [
        (Protocol.TCP, IP(src="10.0.0.2", dst="192.0.2.9", ttl=1) / TCP(sport=1, dport=2, flags="S", seq=78)),
        (Protocol.TCP, IP(src="10.0.0.2", dst="192.0.2.9", ttl=1) / TCP(sport=2, dport=1, flags="SA", seq=5, ack=80)),
        (Protocol.UDP, IP(src="10.0.0.2", dst="192.0.2.9", ttl=1) / UDP(sport=53, dport=40000) / Raw(b"answer")),
        (Protocol.ARP, None),
    ],
)
def test_the_kernel_decides_as_the_filter_says(lab: Lab, protocol: Protocol, packet: IP | None) -> None:
    arp = bytes(Ether(src=RED, dst=VETH0) / ARP(op=2, hwsrc=RED, psrc="10.0.0.2", pdst="10.0.0.77"))
    frame = ether(packet) if packet is not None else arp
    caught = lab.call(tapping.inject, a_mark(protocol), "red", [frame], "host")
    assert ("veth0", frame[:42]) in [(name, data[:42]) for name, _, data, _, _ in caught]


def test_a_vlan_tag_is_put_back(lab: Lab) -> None:
    """The kernel keeps the tag beside the frame; the capture has it where it was."""
    mark = a_mark()
    frame = bytes(Ether(src=RED, dst=VETH0) / Dot1Q(vlan=7, prio=3) / echo(mark))
    for watched, interface in (("host", "veth0"), ("red", "eth0")):
        caught = lab.call(tapping.inject, mark, "red", [frame], watched)
        assert [(data, length) for name, _, data, length, _ in caught if name == interface] == [(frame, len(frame))]
    packet = dissect(frame)
    assert packet is not None
    assert packet.flow.vlan == 7


def test_two_vlan_tags(lab: Lab) -> None:
    mark = a_mark()
    frame = bytes(Ether(src=RED, dst=VETH0, type=0x88A8) / Dot1Q(vlan=9) / Dot1Q(vlan=7) / echo(mark))
    caught = lab.call(tapping.inject, mark, "red", [frame], "host")
    assert [(data, length) for name, _, data, length, _ in caught if name == "veth0"] == [(frame, len(frame))]


def test_frames_to_other_stations_and_outgoing_ones_are_told_apart(lab: Lab) -> None:
    mark = a_mark()
    frame = ether(echo(mark), dst=STRANGER)
    assert [(name, kind) for name, kind, *_ in lab.call(tapping.inject, mark, "red", [frame], "red")] == [("eth0", 4)]
    assert lab.call(tapping.inject, mark, "red", [frame], "host")[0][:2] == ("veth0", 3)


def test_a_device_without_ethernet_and_with_a_hostile_name(lab: Lab, privilege: str) -> None:
    if privilege == "rootless":
        pytest.skip("/dev/net/tun wants real root")
    mark = a_mark()
    packet = bytes(echo(mark))
    caught = [
        (name, data, length, link) for name, _, data, length, link in lab.call(tapping.through_a_tun, mark, packet) if link != ETHERNET
    ]
    assert caught == [("tun\udcff", packet, len(packet), RAW_IP)]


def test_frames_that_were_lost_are_counted(lab: Lab) -> None:
    mark = a_mark()
    caught, lost = lab.call(tapping.starve, mark, ether(echo(mark)), 50)
    assert lost > 0
    assert caught + lost >= 50


def test_a_tap_without_room_takes_no_more_until_it_is_cleared(lab: Lab) -> None:
    """Each frame is seen at veth0 and br0's port, so that some are two."""
    mark = a_mark()
    got = lab.call(tapping.flooded, mark, ether(echo(mark), dst=STRANGER), ether(echo(mark, 1), dst=STRANGER), 200, 20)
    assert (got["kept"], got["full"]) == (20, True)
    assert (got["told"], got["queued"]) == (0, False), "it is quiet, and nobody is woken"
    assert (got["again"], got["heard"] > 0) == (False, True)


@pytest.mark.parametrize("protocol", list(Protocol))
def test_the_kernel_decides_about_what_travels_beside_as_the_filter_says(lab: Lab, protocol: Protocol) -> None:
    """Frames that no stack of the lab wants, so that nothing else moves."""
    frames = [bytes(packet) for packet in (*BESIDE, *STRANGE)]
    for program in (side_filter(a_mark(protocol)), side_filter(a_mark(protocol), AROUND), tap_filter(a_mark(protocol), AROUND)):
        wanted = [frame for frame in frames if accepts(program, frame)]
        got = lab.call(tapping.decided, program, frames)
        assert [frame for frame in got if frame in frames] == wanted


@pytest.mark.parametrize(("asked", "other"), [("10.0.0.2", "127.0.0.1"), ("fd00:10::2", "::1")])
def test_a_udp_socket_of_the_kernel_hears_who_was_asked(lab: Lab, asked: str, other: str) -> None:
    senders = [(asked, 5353), (asked, 5354), (other, 5353)]
    heard = [tuple(sender) for sender in lab.call(tapping.heard_by, asked, 5353, senders)]
    assert heard == [sender for sender in senders if sender == (asked, 5353) or sender[0].startswith("127.")]


def test_the_queue_is_long(lab: Lab, privilege: str) -> None:
    room, wanted = lab.call(tapping.queue_room, a_mark())
    if privilege == "root":
        assert room == wanted
    assert room > 4096


@pytest.mark.parametrize("kernel", [(6, 18), (5, 10)])
@pytest.mark.parametrize("count", [1, 3, 60])
def test_released_sockets_are_closed(lab: Lab, count: int, kernel: tuple[int, int]) -> None:
    before, after = lab.call(tapping.released, count, kernel)
    assert before == after
