"""Who reaches whom in a network of 50 with faults in it: exactly the pairs that a fault touches fail, each group under its cause."""

from __future__ import annotations

import csv
import io
import json
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from asking import ask, ask_program, once, until
from junitparser import JUnitXml
from open_labs import open_lab

from netprobe.lab import crowds
from netprobe.lab.lab import Lab

pytestmark = [pytest.mark.lab, once]

WEB, DB = range(31, 41), range(41, 51)
MEMBERS = [f"s{n}" for n in range(1, 51)]

SECOND_BRIDGE = """
ip link add br1 type bridge forward_delay 0
ip addr add 10.10.255.254/16 dev br1
ip link set br1 up
sysctl -qw net.ipv4.ip_forward=1
for n in $(seq 41 50); do
  ip link set p$n master br1
  ip -n s$n addr flush dev eth0
  ip -n s$n addr add 10.10.0.$n/16 dev eth0
  ip -n s$n route add default via 10.10.255.254
done
while bridge link | grep -q 'state disabled'; do sleep 0.05; done
"""

FAULTS = {
    "a dead link": ("ip link set p7 down", "ip link show p7", "state DOWN"),
    "a wrong neighbour": (
        "ip -n s9 neigh replace 10.9.0.10 lladdr 02:00:00:00:99:99 nud permanent dev eth0",
        "ip -n s9 neigh show 10.9.0.10",
        "02:00:00:00:99:99 PERMANENT",
    ),
    "a rule between two groups": (
        "iptables -A FORWARD -s 10.10.0.0/16 -d 10.9.0.36/30 -j DROP",
        "iptables -S FORWARD",
        "-A FORWARD -s 10.10.0.0/16 -d 10.9.0.36/30 -j DROP",
    ),
    "an isolated pair": (
        "bridge link set dev p4 isolated on; bridge link set dev p5 isolated on",
        "bridge -d link show dev p5",
        "isolated on",
    ),
    "a doubled MAC": (
        "ip -n s21 link set eth0 address 02:00:00:00:00:14",
        "ip -n s21 link show eth0",
        "02:00:00:00:00:14",
    ),
}


def both(first: int, second: int) -> set[tuple[str, str]]:
    return {(f"s{first}", f"s{second}"), (f"s{second}", f"s{first}")}


LISTENER = """
import selectors, socket
ready = selectors.DefaultSelector()
for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    sock = socket.socket(socket.AF_INET, kind)
    sock.bind(("", 7070))
    if kind == socket.SOCK_STREAM:
        sock.listen()
    ready.register(sock, selectors.EVENT_READ, kind)
print("ready", flush=True)
while True:
    for key, _ in ready.select():
        if key.data == socket.SOCK_STREAM:
            key.fileobj.accept()
        else:
            data, whom = key.fileobj.recvfrom(2048)
            key.fileobj.sendto(b"yes", whom)
"""


TRUTH: dict[str, set[tuple[str, str]]] = {
    "link-admin-down": {pair for n in range(1, 51) if n != 7 for pair in both(7, n)},
    "neigh-wrong-entry": both(9, 10),
    "filtered-by-rule": {pair for n in range(36, 40) for m in DB for pair in both(n, m)},
    "port-isolated": both(4, 5),
    "mac-duplicate": both(20, 21),
}
"""The pairs that each fault touches, by the code of its cause."""


@pytest.fixture(scope="module")
def fifty(privilege: str) -> Iterator[Lab]:
    """Two segments of 40 and 10 stations with a router between them."""
    with open_lab(privilege, crowds.EMPTY) as lab:
        crowds.fill(lab, crowds.stations(50) + SECOND_BRIDGE)
        yield lab


@pytest.fixture(scope="module")
def broken(privilege: str) -> Iterator[Lab]:
    """Another one, once all is well in it, with the faults, each of which is read back."""
    with open_lab(privilege, crowds.EMPTY) as lab:
        crowds.fill(lab, crowds.stations(50) + SECOND_BRIDGE)
        assert ask_program(lab, "matrix", *MEMBERS, "-o", "json").code == 0
        for name, (command, look, shows) in FAULTS.items():
            lab.run(["sh", "-ec", command], check=True)
            assert shows in lab.run(["sh", "-c", look]).stdout, name
        yield lab


def neighbours(lab: Lab) -> str:
    """All neighbour entries of the lab that are not permanent."""
    look = "for n in $(ip netns list | cut -d' ' -f1); do ip -n $n -4 neigh | sed \"s/^/$n /\"; done; ip -4 neigh"
    lines = lab.run(["sh", "-c", look], check=True).stdout.splitlines()
    return "\n".join(line for line in lines if "PERMANENT" not in line)


def failing(report: dict[str, Any]) -> dict[str, set[tuple[str, str]]]:
    """The pairs that fail, by the code of the cause of their group."""
    found: dict[str, set[tuple[str, str]]] = {}
    for pair in report["pairs"]:
        if pair["verdict"] != "reachable":
            cause = report["groups"][pair["group"]]["cause"]
            found.setdefault(cause["code"] if cause else "none", set()).add((pair["source"], pair["destination"]))
    return found


def test_each_fault_has_its_pairs(broken: Lab) -> None:
    done = ask_program(broken, "matrix", *MEMBERS, "-o", "json")
    assert done.code == 1, done.told
    report = done.report
    assert len(report["pairs"]) == 50 * 49
    assert failing(report) == TRUTH
    assert sorted(group["pairs"] for group in report["groups"]) == sorted(map(len, TRUTH.values()))
    assert neighbours(broken) == ""


def test_a_group_is_one_line_with_its_fix(broken: Lab) -> None:
    done = ask_program(broken, "matrix", *MEMBERS)
    assert done.code == 1, done.told
    told = done.stdout
    assert told.startswith("2,266 of 2,450 pairs reachable   50 endpoints by ICMP")
    assert "98 pairs: p7 in host is down [link-admin-down]\n    s7 and s1, s2, s3, s4 and 45 others, both ways\n" in told
    assert "ip link set dev p7 up" in told
    assert "2 pairs: p4 and p5 are both isolated ports of br0 [port-isolated]\n    s4 and s5, both ways\n" in told
    assert "80 pairs: iptables filter FORWARD 1 drops the packet [filtered-by-rule]" in told


def test_arp_asks_on_one_network_only(broken: Lab) -> None:
    done = ask_program(broken, "matrix", *MEMBERS, "-p", "arp", "-o", "json")
    assert done.code == 1, done.told
    networks = {f"s{n}": n in DB for n in range(1, 51)}
    assert {networks[pair["source"]] is networks[pair["destination"]] for pair in done.report["pairs"]} == {True}
    assert len(done.report["pairs"]) == 40 * 39 + 10 * 9
    found = failing(done.report)
    dead = {pair for n in range(1, 41) if n != 7 for pair in both(7, n)}
    assert found["link-admin-down"] == dead
    assert found["port-isolated"] == both(4, 5)
    # a permanent neighbour entry does not keep ARP from being answered
    assert both(9, 10) & set().union(*found.values()) <= both(9, 10)
    assert neighbours(broken) == ""


@pytest.mark.parametrize("output", ["csv", "junit", "markdown"])
def test_the_formats_have_all_pairs(fifty: Lab, output: str) -> None:
    done = ask_program(fifty, "matrix", "s1", "s2", "s3", "-o", output)
    assert done.code == 0, done.told
    if output == "csv":
        rows = list(csv.DictReader(io.StringIO(done.stdout)))
        assert {(row["source"], row["destination"], row["verdict"]) for row in rows} == {
            (f"s{i}", f"s{j}", "reachable") for i in range(1, 4) for j in range(1, 4) if i != j
        }
        assert all(int(row["rtt_ns"]) > 0 for row in rows)
    elif output == "junit":
        [suite] = JUnitXml.fromstring(done.stdout.encode())
        assert (suite.tests, suite.failures, suite.errors) == (6, 0, 0)
    else:
        assert done.stdout.startswith("### netprobe matrix: 6 of 6 pairs reachable\n")


def test_entries_that_were_there_stay(fifty: Lab) -> None:
    fifty.run(["ip", "netns", "exec", "s1", "ping", "-c1", "10.9.0.2"], check=True)
    before = neighbours(fifty)
    assert "s1 10.9.0.2" in before
    assert "s2 10.9.0.1" in before
    assert ask_program(fifty, "matrix", "s1", "s2", "s3").code == 0
    kept = {line.split()[:2][1] for line in neighbours(fifty).splitlines()}
    assert kept == {line.split()[:2][1] for line in before.splitlines()}
    fifty.run(["sh", "-c", "ip -n s1 neigh flush all; ip -n s2 neigh flush all"], check=True)


def test_ports_answer_or_are_closed(fifty: Lab) -> None:
    listener = fifty.start(["python3", "-c", LISTENER], "s2")
    listener.until("ready")
    for protocol in ("tcp", "udp"):
        done = ask_program(fifty, "matrix", "s1", "s2", "-p", protocol, "-P", "7070", "-o", "json")
        assert done.code == 1, done.told
        verdicts = {(pair["source"], pair["destination"]): pair["verdict"] for pair in done.report["pairs"]}
        assert verdicts == {("s1", "s2"): "reachable", ("s2", "s1"): "unreachable"}
        assert [group["cause"]["code"] for group in done.report["groups"]] == ["port-closed"]
    listener.stop()


@pytest.mark.parametrize(("limit", "code"), [("-Sn 64", 0), ("-n 64", 3)])
def test_descriptors_are_raised_as_far_as_they_may_be(fifty: Lab, limit: str, code: int) -> None:
    done = fifty.run(["bash", "-c", f'ulimit {limit}; exec netprobe "$@"', "netprobe", "-q", "matrix", *MEMBERS])
    assert done.returncode == code, done.stdout + done.stderr
    assert ("2,450 of 2,450" in done.stdout) is (code == 0)
    assert ("Too many open files" in done.stderr) is (code == 3)


def test_ctrl_c_gives_what_there_is(fifty: Lab) -> None:
    """Everything is lost, so that the second round waits for long."""
    fifty.run(["iptables", "-I", "FORWARD", "-j", "DROP"], check=True)
    before = neighbours(fifty)
    try:
        program = fifty.start(["bash", "-c", 'exec netprobe "$@"', "netprobe", "matrix", *MEMBERS, "-W", "30s", "-o", "json"])
        until(lambda: neighbours(fifty) != before or not program.running(), "nothing was sent")
        fifty.run(["sleep", "1.5"])
        program.kill(signal.SIGINT)
        assert program.wait() == 130, program.errors()
    finally:
        fifty.run(["iptables", "-D", "FORWARD", "-j", "DROP"], check=True)
    report = json.loads(program.output())
    assert report["complete"] is False
    assert {pair["verdict"] for pair in report["pairs"]} == {"reachable"}
    assert 0 < len(report["pairs"]) < 50 * 49
    assert neighbours(fifty) == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "no endpoints are given"),
        (["s1"], "a matrix needs two endpoints at least"),
        (["s1", "s99"], "there is no namespace or container s99"),
        (["s1", "10.9.0.2"], "10.9.0.2 is no place to send from"),
        (["s1", "s2:80"], "the port of a matrix is one for all"),
        (["s1", "s2", "-p", "tcp"], "TCP needs a port"),
        (["s1", "s2", "-p", "icmp", "-P", "80"], "ICMP has no ports"),
        (["s1", "s2", "-4", "-6"], "-4 and -6 contradict each other"),
        (["s1", "s2", "-6"], "s1: it has no IPv6 address"),
        (["--group", "web"], "web is no group"),
        (["--network", "front"], "front is no network of an engine"),
    ],
)
def test_a_wrong_question_is_told(fifty: Lab, arguments: list[str], says: str) -> None:
    done = ask(fifty, "matrix", *arguments)
    assert (done.code, done.stdout) == (2, "")
    assert says in done.stderr
