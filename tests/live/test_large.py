"""Large machines: the answer is right where there are hundreds of what has nothing to do with the probe, or is on its way."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from unittest.mock import patch

import pytest
from asking import arping, ask, ask_program, once, reported, run, trace

from netprobe.lab import crowds
from netprobe.lab.lab import Lab
from netprobe.linux.names import peers
from netprobe.linux.netlink import Netlink
from netprobe.linux.tables import fib
from netprobe.model import Route

pytestmark = [pytest.mark.lab, pytest.mark.slow, once]
# When these worlds end the kernel takes so much apart under one lock that a question of another test is not answered in time.
HOLDS_UP_OTHERS = pytest.mark.thorough


@pytest.fixture
def many_stations(make_lab: Callable[..., Lab]) -> Lab:
    """300 stations on one bridge that has learned nothing yet."""
    lab = make_lab(crowds.EMPTY)
    crowds.fill(lab, crowds.stations(300))
    return lab


def test_a_segment_of_300_stations(many_stations: Lab) -> None:
    lab = many_stations
    cold = arping(lab, "s1", "s300")
    assert cold["answers"], cold
    assert (cold["verdict"], cold["answers"][0]["mac"]) == ("reachable", "02:00:00:00:01:2c")
    for _ in ("cold", "warm"):  # as text: all the ports on which a flood was seen are no message's size
        done = ask_program(lab, "trace", "--captures", "none", "s7", "s250")
        assert (done.code, "DISAGREE" in done.stdout) == (0, False), done.told
        assert "reply came back" in done.stdout


def test_an_address_that_none_of_300_stations_has(many_stations: Lab) -> None:
    report = reported(ask(many_stations, "why", "-o", "json", "s1", "10.9.250.1"))
    assert (report["verdict"], report["causes"][0]["code"]) == ("unreachable", "neigh-no-answer")


def test_a_station_among_300_that_is_a_proxy_or_has_more_addresses(many_stations: Lab) -> None:
    lab = many_stations
    lab.run(["ip", "-n", "s123", "address", "add", "10.9.250.7/32", "dev", "lo"], check=True)
    lab.run(["ip", "-n", "s200", "route", "add", "local", "10.9.251.0/24", "dev", "lo"], check=True)
    lab.run(["ip", "-n", "s201", "neigh", "add", "proxy", "10.9.252.1", "dev", "eth0"], check=True)
    lab.run(["ip", "-n", "s201", "link", "add", "beyond", "type", "veth", "peer", "name", "more"], check=True)
    lab.run(["ip", "-n", "s201", "link", "set", "more", "up"], check=True)
    lab.run(["ip", "-n", "s201", "link", "set", "beyond", "up"], check=True)
    lab.run(["ip", "-n", "s201", "route", "add", "10.9.252.1/32", "dev", "beyond"], check=True)
    lab.run(["sysctl", "-qw", "net.ipv4.ip_forward=1"], "s201", check=True)
    for address, station in (("10.9.250.7", 123), ("10.9.251.9", 200), ("10.9.252.1", 201)):
        # a proxy waits up to a second (proxy_delay)
        answer = arping(lab, "s1", address, "-W", "3s")["answers"][0]
        assert answer["mac"] == f"02:00:00:00:00:{station:02x}", address


@HOLDS_UP_OTHERS
def test_100_bridges_in_a_row(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(crowds.EMPTY)
    crowds.fill(lab, crowds.bridges(100))
    done = ask_program(lab, "trace", "--captures", "none", "s1", "s2")
    assert done.code == 0, done.told
    assert "reply came back over the same 203 hops" in done.stdout


@pytest.mark.parametrize("tool", ["iptables", "nft"])
def test_the_service_among_1000_whose_end_nobody_serves(make_lab: Callable[..., Lab], tool: str) -> None:
    lab = make_lab(crowds.EMPTY)
    crowds.fill(lab, crowds.pair())
    crowds.fill(lab, crowds.MANY[f"services, {tool}"](1000))
    report = reported(ask(lab, "why", "-o", "json", "a", "10.96.0.0:80"))
    assert (report["verdict"], report["causes"][0]["code"]) == ("unreachable", "dnat-dead-target")


@pytest.mark.parametrize("tool", ["iptables", pytest.param("nft", marks=pytest.mark.thorough)])
def test_one_service_of_10000(make_lab: Callable[..., Lab], tool: str) -> None:
    lab = make_lab(crowds.EMPTY)
    crowds.fill(lab, crowds.pair())
    crowds.fill(lab, crowds.MANY[f"services, {tool}"](10_000))
    lab.run(["ip", "route", "add", "10.96.0.0/16", "dev", "lo"], check=True)
    report = reported(ask(lab, "why", "-o", "json", "a", "10.96.0.0:80"))
    assert (report["verdict"], report["causes"][0]["code"]) == ("unreachable", "dnat-dead-target")
    assert report["blind"] == []
    serve = "import socket; socket.create_server(('', 8080)).accept()"
    lab.start([sys.executable, "-c", serve], namespace="b")
    lab.run(["sh", "-c", "until ss -Hlnt sport = :8080 | grep -q .; do sleep 0.05; done"], "b", check=True)
    assert trace(lab, "a", "10.96.0.0:80")["agreement"] == "confirmed"


@HOLDS_UP_OTHERS
def test_50000_routes_beside_the_way(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(crowds.EMPTY)
    crowds.fill(lab, crowds.pair())
    crowds.fill(lab, crowds.routes(50_000))
    assert trace(lab, "a", "b")["agreement"] == "confirmed"


def read_of_few() -> tuple[set[Route], bool]:
    """The routes that the kernel made of addresses, and those to an address that a hand made; and whether all are read."""
    with Netlink() as netlink:
        routes, are_all = fib.read_routes(netlink)
    return {route for route in routes if route.version == 4 and (route.protocol == "kernel" or route.type == "local")}, are_all


@pytest.mark.thorough
@pytest.mark.parametrize("more", [
    "true",
    "ip address add 10.70.0.1 peer 10.71.0.0/16 dev va",
    "ip address add 10.72.0.1/24 dev va noprefixroute",
    "ip address add 10.8.1.9/25 dev va; ip route add 10.8.1.0/32 dev vb",
    "ip address add 10.73.0.1/24 dev va; ip link add v9 type veth peer name v8; ip address add 10.74.0.1/24 dev v9",
    "ip rule add from 10.3.0.0/16 lookup 77; ip route add 10.99.0.0/16 dev va table 77; ip route add 10.8.1.0/24 dev vb table 77",
    "ip route add local 10.98.0.0/16 dev lo",
])  # fmt: skip
def test_of_very_many_routes_those_to_networks_on_a_link_are_read_as_of_few(make_lab: Callable[..., Lab], more: str) -> None:
    lab = make_lab(crowds.EMPTY)
    crowds.fill(lab, crowds.pair())
    lab.run(["sh", "-ec", more], check=True)
    few, are_all = lab.call(read_of_few)
    assert are_all
    crowds.fill(lab, crowds.routes(3000))
    assert lab.call(read_of_few) == (few, False)


BESIDE = {"interfaces": 1000, "addresses": 5000, "policy rules": 3000, "neighbours": 900, "forwarding entries": 20_000}


@HOLDS_UP_OTHERS
@pytest.mark.parametrize("what", list(BESIDE))
def test_what_has_nothing_to_do_with_the_probe(make_lab: Callable[..., Lab], what: str) -> None:
    lab = make_lab(crowds.EMPTY)
    crowds.fill(lab, crowds.pair())
    crowds.fill(lab, crowds.MANY[what](BESIDE[what]))
    assert trace(lab, "a", "b")["agreement"] == "confirmed"


def test_a_small_set_beside_one_of_100000(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(crowds.EMPTY)
    crowds.fill(lab, crowds.pair())
    crowds.fill(lab, crowds.set_elements(100_000))
    report = reported(ask(lab, "why", "-o", "json", "a", "b"))
    assert (report["verdict"], report["causes"][0]["code"], report["blind"]) == ("unreachable", "filtered-by-rule", [])
    lab.run(["nft", "add", "element", "ip", "t", "many", "{", "10.8.1.2", "}"], check=True)
    assert reported(ask(lab, "why", "-o", "json", "a", "b"))["verdict"] == "reachable"


@HOLDS_UP_OTHERS
def test_100_routers_in_a_row(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(crowds.EMPTY)
    crowds.fill(lab, crowds.routers(100))
    done = ask_program(lab, "trace", "--captures", "none", "r0", "10.7.255.1")
    assert done.code == 0, done.told
    assert "reply came back over the same 300 hops" in done.stdout


def looked_at(*argv: str) -> tuple[int, int]:
    """The exit code of a command line, and how many namespaces were opened for who is at whose other end."""
    opened: list[int] = []
    whole = peers.open_each
    with patch.object(peers, "open_each", lambda batch: opened.append(len(batch)) or whole(batch)):
        return run(argv)[0], sum(opened)


def test_the_next_of_a_row_is_among_the_first_that_are_looked_at(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(crowds.EMPTY)
    crowds.fill(lab, crowds.routers(16))
    code, opened = lab.call(looked_at, "why", "r0", "10.7.255.1")
    assert code == 0
    assert opened <= 3 * 16  # it was 12 for each


# What a run took of memory at most, in MiB, and how many of its packets were answered.
PEAK = """
import json, resource, sys
import netprobe
with netprobe.open() as opened:
    report = opened.trace("a", "b", count=int(sys.argv[1]), interval="1ms")
print(json.dumps([resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10, report.received, report.sent]))
"""


@HOLDS_UP_OTHERS
def test_thousands_of_packets_take_no_more_memory_than_a_few(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(crowds.EMPTY)
    crowds.fill(lab, crowds.pair())
    few, many = (json.loads(lab.run([sys.executable, "-c", PEAK, count], check=True).stdout) for count in ("300", "5000"))
    assert (few[1:], many[1:]) == ([300, 300], [5000, 5000])
    assert many[0] < few[0] + 12
