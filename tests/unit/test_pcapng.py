"""The capture: what we write is what we read, what others write is read too, and other programs read ours."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from netprobe.errors import WrongQuestion
from netprobe.model import (
    Change,
    Endpoint,
    Flow,
    Hop,
    IcmpError,
    Leg,
    Observation,
    Paths,
    Probe,
    Protocol,
    Report,
    Run,
    Sighting,
    Snapshot,
    Source,
    Stage,
    Verdict,
)
from netprobe.render.pcapng import Capture, Frame, InterfaceBlock, capture, read, write

ECHO = bytes.fromhex("020000000002020000000001080045000054000040004001000008080808010203040800" + "00" * 62)
START = 1_763_899_200_123_456_789

texts = st.text(st.characters(codec="utf-8"), max_size=30)
bounds = st.sampled_from(["in", "out", "other", None])
interfaces = st.builds(InterfaceBlock, texts, st.sampled_from([1, 101]), texts)


@st.composite
def captures(draw: st.DrawFn) -> Capture:
    taps = draw(st.lists(interfaces, min_size=1, max_size=4))
    frames = st.builds(
        lambda i, time, data, more, bound, comment: Frame(i, time, data, len(data) + more, bound, comment),
        st.integers(0, len(taps) - 1), st.integers(0, 2**63), st.binary(max_size=80), st.integers(0, 9), bounds, texts,
    )  # fmt: skip
    run = st.one_of(st.none(), st.binary(max_size=200))
    return Capture(tuple(taps), tuple(draw(st.lists(frames, max_size=5))), *(draw(texts) for _ in range(4)), draw(run))


@given(captures())
def test_what_is_written_is_read(given_capture: Capture) -> None:
    assert read(write(given_capture)) == given_capture


def test_a_run_larger_than_one_option_is_kept_whole() -> None:
    run = bytes(range(256)) * 4000
    noise = b"".join(struct.pack("<I", n * 2654435761 % 2**32) for n in range(60_000))
    assert read(write(Capture(run=run + noise))).run == run + noise


@given(st.binary(max_size=300), st.integers(0, 400))
def test_damage_is_an_error_with_a_name(noise: bytes, at: int) -> None:
    """Any bytes written over a capture give a capture or a WrongQuestion, nothing else."""
    data = bytearray(write(Capture((InterfaceBlock("red/eth0"),), (Frame(0, START, ECHO, 98, "in", "a comment"),), run=b"{}")))
    at = min(at, len(data))
    data[at : at + len(noise)] = noise
    with suppress(WrongQuestion):
        read(bytes(data))


@pytest.mark.parametrize("length", [0, 4, 11, 27, 60, 100])
def test_a_file_that_is_cut_off_is_refused(length: int) -> None:
    whole = write(Capture((InterfaceBlock("red/eth0"),), (Frame(0, START, ECHO, 98),)))
    with pytest.raises(WrongQuestion):
        read(whole[:length])


def test_a_pcap_file_is_refused_with_advice() -> None:
    with pytest.raises(WrongQuestion, match="not a pcapng file") as caught:
        read(bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000"))
    assert "editcap" in caught.value.hint


def test_a_run_that_would_fill_the_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netprobe.render.pcapng_blocks.LARGEST_RUN", 1000)
    with pytest.raises(WrongQuestion, match="larger"):
        read(write(Capture(run=b"0" * 1001)))


def block(order: str, kind: int, body: bytes) -> bytes:
    length = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + length + body + length


def foreign(order: str, resolution: bytes | None, stamp: int) -> bytes:
    """A capture as another program might write it: any byte order, another resolution, unknown blocks, a second section."""
    section = block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))
    option = struct.pack(order + "HH", 9, 1) + resolution + b"\0\0\0" if resolution else b""
    tap = block(order, 1, struct.pack(order + "HHI", 101, 0, 0) + option)
    packet = block(order, 6, struct.pack(order + "IIIII", 0, stamp >> 32, stamp & 0xFFFFFFFF, 3, 60) + b"abc\0")
    simple = block(order, 3, struct.pack(order + "I", 4) + b"wxyz")
    return section + tap + block(order, 5, b"\0" * 12) + packet + block(order, 0x8000_0001, b"") + simple


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("resolution", "stamp", "ns"),
    [(None, 1_000_001, 1_000_001_000), (b"\x09", 7, 7), (b"\x03", 5, 5_000_000), (b"\x81", 3, 1_500_000_000)],
)
def test_captures_of_other_programs(order: str, resolution: bytes | None, stamp: int, ns: int) -> None:
    got = read(foreign(order, resolution, stamp) + foreign(order, resolution, stamp))
    assert [(f.interface, f.time_ns, f.data, f.wire_length) for f in got.frames] == [
        (0, ns, b"abc", 60), (0, 0, b"wxyz", 4), (1, ns, b"abc", 60), (1, 0, b"wxyz", 4),
    ]  # fmt: skip
    assert got.run is None
    assert got.interfaces[0].link_type == 101


def a_sighting(time: int, namespace: str, interface: str, bound: str, flow: Flow, **more: Any) -> Observation:
    fields = {"leg": Leg.REQUEST, "frame": ECHO, "wire_length": 98, **more}
    return Observation(Source.TAP, "seen", namespace, time, interface, bound, flow=flow, stamp_ns=START + time, **fields)


def a_run() -> Run:
    """Two frames of a request, around a MASQUERADE; a neighbour's frame; an ICMP error."""
    inside = Flow("10.0.0.2", "8.8.8.8", Protocol.ICMP, icmp_type=8, ttl=64)
    outside = Flow("192.0.2.1", "8.8.8.8", Protocol.ICMP, icmp_type=8, ttl=63)
    asked = Flow("192.0.2.1", "192.0.2.9", Protocol.ARP, icmp_type=1)
    seen = [
        a_sighting(1_001, "red", "eth0", "out", inside),
        a_sighting(2_000, "host\x1b[31m", "br\udcff", "in", asked, leg=None),
        a_sighting(3_000, "host", "eth0", "out", outside),
        a_sighting(
            4_000, "host", "tun0", "in", outside, error=IcmpError("192.0.2.9", 3, 1), frame=ECHO[14:], wire_length=84, link_type=101
        ),
        Observation(Source.SOCKET, "answered", "red", 5_000, stamp_ns=START + 5_000),
    ]
    masquerade = Hop(2, "host", None, Stage.POSTROUTING, outside, changes=(Change("src", "10.0.0.2", "192.0.2.1", "MASQUERADE"),))
    first = Hop(1, "red", "eth0", Stage.TRANSMIT, inside, bound="out")
    hops = (first, masquerade, Hop(3, "host", "eth0", Stage.TRANSMIT, outside, bound="out"))
    numbers = (1, None, 3, None)
    sightings = tuple(
        Sighting(o.namespace, o.interface or "", o.bound or "", o.leg, 0, o.time_ns, o.flow, n) for o, n in zip(seen, numbers, strict=False)
    )
    probe = Probe(Protocol.ICMP, "00" * 8, Endpoint("red", "red", address="10.0.0.2"), Endpoint("8.8.8.8", address="8.8.8.8"))
    report = Report("trace", probe, Verdict.UNREACHABLE, "8.8.8.8 is not reachable", path=Paths(request=hops), sightings=sightings)
    return Run(report, Snapshot(), tuple(seen), START)


COMMENTS = [
    "request; hop 1, transmit, red/eth0 out",
    "not the probe: its neighbours being found; host\\x1b[31m/br\\xff in",
    "request; hop 3, transmit, host/eth0 out; source 10.0.0.2 → 192.0.2.1 (MASQUERADE); TTL 64 → 63",
    "ICMP error from 192.0.2.9 about the request; host/tun0 in",
]


def test_a_run_becomes_a_capture() -> None:
    got = read(capture(a_run(), "netprobe trace red 8.8.8.8", b'{"saved": 1}', hardware="x86_64"))
    assert [i.name for i in got.interfaces] == ["red/eth0", "host\\x1b[31m/br\\xff", "host/eth0", "host/tun0"]
    assert [i.link_type for i in got.interfaces] == [1, 1, 1, 101]
    assert [f.comment for f in got.frames] == COMMENTS
    assert [f.time_ns - START for f in got.frames] == [1_001, 2_000, 3_000, 4_000]
    assert [f.bound for f in got.frames] == ["out", "in", "out", "in"]
    assert got.comment == "netprobe trace red 8.8.8.8\nunreachable: 8.8.8.8 is not reachable"
    assert (got.run, got.system, got.hardware) == (b'{"saved": 1}', "Linux", "x86_64")


def test_a_capture_of_several_probes_numbers_them() -> None:
    run = a_run()
    many = replace(run, report=replace(run.report, probe=replace(run.report.probe, count=3)))
    assert read(capture(many, "", b"")).frames[0].comment.startswith("request 1; hop 1")


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_tshark_reads_it_without_complaint(tmp_path: Path) -> None:
    file = tmp_path / "run.pcapng"
    file.write_bytes(capture(a_run(), "netprobe trace red 8.8.8.8", json.dumps(list(range(50_000))).encode()))
    fields = ["frame.time_epoch", "frame.interface_name", "frame.comment", "frame.packet_flags_direction", "frame.len"]
    options = [part for field in fields for part in ("-e", field)]
    done = subprocess.run(["tshark", "-r", str(file), "-T", "fields", *options], capture_output=True, text=True, timeout=60, check=True)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    seconds, rest = divmod(START, 10**9)
    assert [row[0] for row in rows] == [f"{seconds}.{rest + later:09d}" for later in (1_001, 2_000, 3_000, 4_000)]
    assert [row[1] for row in rows] == ["red/eth0", "host\\x1b[31m/br\\xff", "host/eth0", "host/tun0"]
    assert [row[2] for row in rows] == COMMENTS
    assert [int(row[3], 0) for row in rows] == [2, 1, 2, 1]
    assert [row[4] for row in rows] == ["98", "98", "98", "84"]
    assert not [line for line in done.stderr.splitlines() if "Running as user" not in line]


@pytest.mark.filterwarnings("ignore:Field type should not be:DeprecationWarning")  # its own use of itself
def test_python_pcapng_reads_it(tmp_path: Path) -> None:
    scanner = pytest.importorskip("pcapng").FileScanner
    file = tmp_path / "run.pcapng"
    file.write_bytes(capture(a_run(), "netprobe trace red 8.8.8.8", b"x" * 100_000))
    with file.open("rb") as opened:
        blocks = list(scanner(opened))
    packets = [block for block in blocks if type(block).__name__ == "EnhancedPacket"]
    assert [packet.options["opt_comment"] for packet in packets] == COMMENTS
    assert packets[0].interface.options["if_name"] == "red/eth0"
