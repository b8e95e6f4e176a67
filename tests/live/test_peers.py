"""Side by side with tools that people trust: tcpdump, ping, arping, conntrack and a socket say what the report says."""

from __future__ import annotations

import re
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from asking import Done, arping, ask, once, trace
from dumps import TCPDUMP, Dump, dumping, of_the_probe

from netprobe.lab.lab import Lab
from netprobe.lab.tutorial import C1_PORT, C2_PORT
from netprobe.render.pcapng import Capture, Frame, read

pytestmark = pytest.mark.lab

TO_THE_INTERNET = [("red", "eth0"), ("host", "veth0"), ("host", "br0"), ("host", "eth0"), ("internet", "eth0")]
BETWEEN_CONTAINERS = [("c1", "eth0"), ("host", C1_PORT), ("host", C2_PORT), ("c2", "eth0"), ("host", "docker0")]
needs_tcpdump = pytest.mark.skipif(TCPDUMP is None, reason="tcpdump is not installed")
needs_ping = pytest.mark.skipif(shutil.which("ping") is None, reason="ping is not installed")


def by_interface(capture: Capture) -> dict[tuple[str, str], list[Frame]]:
    found: dict[tuple[str, str], list[Frame]] = {}
    for frame in of_the_probe(capture):
        namespace, _, interface = capture.interfaces[frame.interface].name.partition("/")
        found.setdefault((namespace, interface), []).append(frame)
    return found


def assert_same_frames(file: Path, dumps: dict[tuple[str, str], Dump], stamped: bool) -> None:
    """The capture holds what every tcpdump saw: the same bytes in the same order, and when the frames are `stamped` by the kernel,
    the same stamps. Where they are not, each who looks reads the clock for himself."""
    captured = by_interface(read(file.read_bytes()))
    for place, dump in dumps.items():
        theirs = dump.frames()
        mine = captured.get(place, [])
        assert [frame.data.hex() for frame in mine] == [frame.data.hex() for frame in theirs], place
        apart = [abs(ours.time_ns - other.stamp_ns) for ours, other in zip(mine, theirs, strict=True)]
        assert max(apart, default=0) <= (0 if stamped else 100_000_000), place
    assert captured.keys() <= dumps.keys()


@needs_tcpdump
@pytest.mark.parametrize(
    ("question", "interfaces", "expression"),
    [
        (["trace", "red", "8.8.8.8", "-c", "2", "-i", "2ms"], TO_THE_INTERNET, "icmp"),
        (["trace", "red", "8.8.8.8:80"], TO_THE_INTERNET, "tcp port 80"),
        (["trace", "red", "8.8.8.8:4000/udp"], TO_THE_INTERNET, "udp port 4000 or icmp"),
        (["trace", "red", "2001:4860:4860::8888", "-s", "3000", "--no-df"], TO_THE_INTERNET, "ip6 host 2001:4860:4860::8888"),
        (["trace", "c1", "c2"], BETWEEN_CONTAINERS, "icmp"),
        (["arping", "c1", "c2", "-c", "2", "-i", "2ms"], BETWEEN_CONTAINERS, "arp"),
    ],
    ids=["icmp", "tcp", "refused udp", "ipv6 fragments", "bridge", "arp"],
)
def test_tcpdump_sees_the_frames_of_the_capture(lab: Lab, question: list[str], interfaces: list[tuple[str, str]], expression: str) -> None:
    file = Path(lab.folder, "side-by-side.pcapng")
    settle_neighbours(lab, question)
    with dumping(lab, interfaces, expression) as dumps:
        done = ask(lab, *question, "-w", str(file), "-o", "json")
        assert_same_frames(file, dumps, stamped="8.8.8.8:80" not in question)  # TCP has a time of its own in the field for the stamp
    assert_counted(done, file)


def settle_neighbours(lab: Lab, question: list[str]) -> None:
    """The neighbours are asked for now, not in the middle of what is compared; entries in use are confirmed a little later."""
    ask(lab, *question, "--captures", "none")


def assert_counted(done: Done, file: Path) -> None:
    """As many frames for each interface in the capture as sightings in the JSON."""
    capture = read(file.read_bytes())
    counted = Counter(capture.interfaces[frame.interface].name for frame in capture.frames)
    assert counted == Counter(f"{s['namespace']}/{s['interface']}" for s in done.report["sightings"])


@needs_tcpdump
@once
def test_the_round_trip_is_that_of_the_wire(lab: Lab) -> None:
    trace(lab, "red", "8.8.8.8")
    with dumping(lab, [("red", "eth0")], "icmp") as dumps:
        report = trace(lab, "red", "8.8.8.8", "-c", "3", "-i", "2ms")
        stamps = [frame.stamp_ns for frame in dumps["red", "eth0"].frames()]
    assert report["rtt_ns"] == [back - there for there, back in zip(stamps[::2], stamps[1::2], strict=True)]


def pinged(lab: Lab, *arguments: str, namespace: str = "red") -> str:
    """What ping prints, in any case."""
    return lab.run(["ping", "-n", *arguments], namespace=namespace, environment={"LC_ALL": "C"}).stdout


@needs_ping
@pytest.mark.parametrize("target", ["8.8.8.8", "2001:4860:4860::8888"])
@once
def test_ping_has_the_same_answers(lab: Lab, target: str) -> None:
    said = pinged(lab, "-c", "3", "-i", "0.01", target)
    report = trace(lab, "red", target, "-c", "3", "-i", "10ms")
    assert "3 received" in said
    assert (report["sent"], report["received"]) == (3, 3)
    ttls = set(map(int, re.findall(r"ttl=(\d+)", said)))
    arrived = next(hop for hop in report["path"]["reply"] if hop["namespace"] == "red" and hop["bound"] == "in")
    assert ttls == {arrived["flow"]["ttl"]}
    sizes = set(map(int, re.findall(r"^(\d+) bytes from", said, re.MULTILINE)))
    assert sizes == {arrived["flow"]["length"] - (40 if ":" in target else 20)}
    fastest = min(map(float, re.findall(r"time=([\d.]+) ms", said))) * 1e6
    assert fastest / 50 < min(report["rtt_ns"]) < fastest * 50  # the same unit; how long it takes is the machine's affair


@needs_ping
@once
def test_ping_has_the_same_errors(lab: Lab) -> None:
    said = pinged(lab, "-c", "1", "-t", "1", "-W", "1", "8.8.8.8")
    report = trace(lab, "red", "8.8.8.8", "--ttl", "1")
    assert f"From {report['errors'][0]['sender']} icmp_seq=1 Time to live exceeded" in said
    done = lab.run(["ping", "-n", "-c", "1", "-W", "1", "-M", "do", "-s", "1473", "8.8.8.8"], namespace="red", environment={"LC_ALL": "C"})
    assert "mtu=1500" in done.stdout + done.stderr or "mtu 1500" in done.stdout + done.stderr
    report = trace(lab, "red", "8.8.8.8", "--df", "-s", "1473")
    assert "MTU 1500" in report["causes"][0]["summary"]


@needs_ping
@once
def test_ping_loses_as_many(fresh_lab: Lab) -> None:
    """Every second echo request is dropped on the way: two of four for ping, and two of four for netprobe."""
    rule = """add table ip t
add chain ip t c { type filter hook prerouting priority -300; }
add rule ip t c icmp type echo-request numgen inc mod 2 1 drop
"""
    fresh_lab.run(["nft", "-f", "-"], text=rule, check=True)
    assert "2 received" in pinged(fresh_lab, "-c", "4", "-i", "0.01", "-W", "0.3", "8.8.8.8")
    report = trace(fresh_lab, "red", "8.8.8.8", "-c", "4", "-i", "10ms", "-W", "300ms")
    assert (report["verdict"], report["sent"], report["received"]) == ("intermittent", 4, 2)


@pytest.mark.skipif(shutil.which("arping") is None, reason="arping is not installed")
@once
def test_arping_has_the_same_answers(lab: Lab) -> None:
    said = lab.run(["arping", "-c", "2", "-I", "eth0", "172.17.0.3"], namespace="c1", check=True).stdout
    report = arping(lab, "c1", "c2", "-c", "2", "-i", "10ms")
    macs = [mac.lower() for mac in re.findall(r"\[([0-9A-Fa-f:]{17})\]|from ([0-9a-f:]{17}) \(", said) for mac in mac if mac]
    assert macs == [answer["mac"] for answer in report["answers"]]
    silent = lab.run(["arping", "-c", "1", "-w", "1", "-I", "eth0", "172.17.0.77"], namespace="c1")
    assert silent.returncode == 1
    assert arping(lab, "c1", "172.17.0.77", "-W", "200ms")["received"] == 0


@pytest.mark.skipif(shutil.which("conntrack") is None, reason="conntrack is not installed")
@pytest.mark.parametrize(("target", "protocol"), [("8.8.8.8:53/udp", "udp"), ("8.8.8.8:80", "tcp"), ("8.8.8.8", "icmp")])
@once
def test_conntrack_has_the_same_translation(lab: Lab, target: str, protocol: str) -> None:
    report = trace(lab, "red", target)
    first, last = (hop["flow"] for hop in (report["path"]["request"][0], report["path"]["request"][6]))
    listed = lab.run(["conntrack", "-L", "-p", protocol], check=True).stdout
    words = [f"src={first['src']} dst={first['dst']}", f"src={last['dst']} dst={last['src']}"]
    ports = [f"sport={first['sport']} dport={first['dport']}", f"sport={last['dport']} dport={last['sport']}"]
    wanted = [*words, *(ports if protocol != "icmp" else [f"id={first['icmp_id']}", f"id={last['icmp_id']}"])]
    assert any(all(word in line for word in wanted) for line in listed.splitlines()), listed


CONNECT = """
import socket, sys
for host, port in (("8.8.8.8", 80), ("8.8.8.8", 81)):
    try:
        socket.create_connection((host, port), 5).close()
        print(port, "open")
    except ConnectionRefusedError:
        print(port, "refused")
"""


@once
def test_a_socket_has_the_same_luck(lab: Lab) -> None:
    said = lab.run([sys.executable, "-c", CONNECT], namespace="red", check=True).stdout
    assert said == "80 open\n81 refused\n"

    def words(report: dict[str, Any]) -> str:
        return "open" if report["verdict"] == "reachable" else {"port-closed": "refused"}[report["causes"][0]["code"]]

    assert words(trace(lab, "red", "8.8.8.8:80")) == "open"
    assert words(trace(lab, "red", "8.8.8.8:81")) == "refused"
