"""Packets that a container of the same bridge forges: they are no answers, and nothing is concluded from them."""

from __future__ import annotations

import shutil
import signal
import socket
import struct

import flood as flooding
import observing
import pytest
from asking import ask, ask_program, once
from test_load import flood_with

from netprobe.lab.lab import Lab
from netprobe.lab.services import signalled
from netprobe.model import Leg, Observation

pytestmark = pytest.mark.lab

C1, C2, C1_MAC = "172.17.0.2", "172.17.0.3", bytes.fromhex("0242ac110002")
PORT, ID = 40001, 0x7E57
RATE = 500  # packets a second, which come 64 at a time
OFTEN = 20_000  # so that some lie in the socket before anything is sent


def packet(protocol: int, source: str, destination: str, body: bytes) -> bytes:
    """An IPv4 packet, whole."""
    ends = socket.inet_aton(source) + socket.inet_aton(destination)
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, protocol, 0) + ends
    return head[:10] + struct.pack(">H", flooding.checksum(head)) + head[12:] + body


def to_c1(packet: bytes) -> bytes:
    return C1_MAC + flooding.SOURCE_MAC + b"\x08\0" + packet


def datagram(source: str, sport: int = 53) -> bytes:
    """A datagram to the probe's port; without a checksum, which UDP allows."""
    return to_c1(packet(17, source, C1, struct.pack(">HHHH", sport, PORT, 8 + 5, 0) + b"hello"))


def unreachable(quoted: bytes) -> bytes:
    """An ICMP error in the name of the router."""
    body = struct.pack(">BBHI", 3, 1, 0, 0) + quoted
    return to_c1(packet(1, "172.17.0.1", C1, body[:2] + struct.pack(">H", flooding.checksum(body)) + body[4:]))


def echo(payload: bytes) -> bytes:
    """The echo request of a probe whose id was guessed."""
    return packet(1, C1, "8.8.8.8", struct.pack(">BBHHH", 8, 0, 0, ID, 1) + payload)


QUESTION = ("trace", "-o", "json", "--captures", "none", "-p", "udp", "--source-port", str(PORT), "c1", "8.8.8.8:53")


@once
@pytest.mark.parametrize("forged", [datagram(C2), datagram(C2, 9), datagram("8.8.8.8", 54)])
def test_datagrams_of_another_source_are_no_answer(lab: Lab, forged: bytes) -> None:
    flood = flood_with(lab, [forged], OFTEN, "c2")
    done = ask_program(lab, *QUESTION)
    assert flood.stop() == 0, flood.errors()
    report = done.report
    assert (done.code, report["verdict"], report["agreement"], report["causes"]) == (0, "reachable", "confirmed", [])
    assert [rtt for rtt in report["rtt_ns"] if rtt < 10_000] == [], "no network is that fast"
    assert False not in [hop["observed"] for leg in ("request", "reply") for hop in report["path"][leg]]


@once
def test_while_the_service_is_silent_nobody_answers_in_its_place(fresh_lab: Lab) -> None:
    """The service hangs, and a datagram of a neighbour is not its answer from a wrong address."""
    fresh_lab.call(signalled, "internet", "udp", 53, signal.SIGSTOP)
    flood = flood_with(fresh_lab, [datagram(C2)], RATE, "c2")
    report = ask_program(fresh_lab, *QUESTION).report
    assert flood.stop() == 0, flood.errors()
    fresh_lab.call(signalled, "internet", "udp", 53, signal.SIGCONT)
    assert report["verdict"] != "reachable"
    assert "reply-wrong-source" not in [cause["code"] for cause in report["causes"]]
    assert [note for note in report["notes"] if C2 in note] == [
        f"{C2} sent datagrams to the probe's port that did not come from the destination"
    ]


def forged_errors() -> list[bytes]:
    """Errors about a probe of which the id is known: cut behind its header, and with a made up token."""
    return [unreachable(echo(b"")), unreachable(echo(b"netprobe" * 7)), unreachable(packet(1, C1, "8.8.4.4", echo(b"")[20:]))]


@once
def test_errors_with_a_guessed_id_say_nothing(lab: Lab) -> None:
    flood = flood_with(lab, forged_errors(), RATE, "c2")
    got: tuple[Observation, ...] = lab.call(
        observing.send_as, {"icmp_id": ID, "count": 5, "interval_ns": 100_000_000}, "icmp", ("c1", C1), ("8.8.8.8", None)
    )
    assert flood.stop() == 0, flood.errors()
    assert [o for o in got if o.error is not None] == []
    assert [o.sequence for o in got if o.kind == "answered"] == [0, 1, 2, 3, 4]
    assert {o.bound for o in got if o.leg is Leg.REQUEST and o.kind == "seen"} == {"in", "out"}


@once
@pytest.mark.skipif(shutil.which("nft") is None, reason="nft is not installed")
def test_a_loss_is_not_explained_by_a_forged_error(fresh_lab: Lab) -> None:
    rules = "add table ip t\nadd chain ip t c { type filter hook forward priority 0; }\nadd rule ip t c icmp type echo-request drop\n"
    fresh_lab.run(["nft", "-f", "-"], text=rules, check=True)
    flood = flood_with(fresh_lab, forged_errors(), RATE, "c2")
    report = ask(fresh_lab, "trace", "-o", "json", "--captures", "none", "c1", "8.8.8.8").report
    assert flood.stop() == 0, flood.errors()
    assert (report["verdict"], report["causes"][0]["code"], report["errors"]) == ("unreachable", "filtered-by-rule", [])
