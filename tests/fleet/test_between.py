"""Faults between hosts, each broken for real, named at its host, and mended by what is said to paste (hosts are namespaces of a lab)."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from fleet.beyond import bridged, published, routed
from fleet.pretend import answer
from msgspec.structs import replace
from open_labs import open_lab

from netprobe.codec import run_to_json
from netprobe.engine import replay
from netprobe.lab import fleet
from netprobe.lab.lab import Lab
from netprobe.model import Report, Run, Verdict
from netprobe.saved import load

pytestmark = pytest.mark.lab
ALL = "00:00:00:00:00:00"


class Broken(NamedTuple):
    """What is done, in which namespaces, and what is then to be said. `foreseen`: `why` says the same without a packet."""

    steps: tuple[str, ...]
    code: str
    where: str
    object: str
    direction: str = "request"
    warm: bool = True
    size: int = 56
    mends: bool = True
    foreseen: bool = True
    daily: bool = False


def drop(chain: str) -> str:
    return f"iptables -w -A {chain} -p udp --dport 4789 -j DROP"


OTHER_VNI = (
    "h2:host ip link del vxlan100",
    "h2:host ip link add vxlan100 type vxlan id 101 local 192.168.77.12 dstport 4789",
    "h2:host ip link set vxlan100 master br0 up mtu 1450",
    f"h2:host bridge fdb append {ALL} dev vxlan100 dst 192.168.77.11",
)
NO_ENTRY = f"h1:host bridge fdb del {ALL} dev vxlan100 dst 192.168.77.12"
BROKEN = {
    "4789 filtered where it comes in": Broken((f"h2:host {drop('INPUT')}",), "filtered-by-rule", "h2:host", "iptables filter INPUT 1"),
    "4789 filtered where it leaves": Broken((f"h1:host {drop('OUTPUT')}",), "filtered-by-rule", "h1:host", "iptables filter OUTPUT 1"),
    "4789 filtered on the way back": Broken((f"h2:host {drop('OUTPUT')}",), "filtered-by-rule", "h2:host", "iptables filter OUTPUT 1",
                                            "reply"),
    "forwarding entry": Broken((NO_ENTRY,), "vxlan-fdb-missing", "h1:host", f"{ALL} dev vxlan100", warm=False),
    "VNI": Broken(OTHER_VNI, "vxlan-vni-mismatch", "h1:host", "vxlan100"),
    "remote": Broken((NO_ENTRY, f"h1:host bridge fdb append {ALL} dev vxlan100 dst 192.168.77.99"), "vxlan-remote-wrong", "h1:host",
                     f"{ALL} dev vxlan100 dst 192.168.77.99", warm=False, foreseen=False),
    "MTU of the underlay": Broken(("h2:host ip link set eth0 mtu 1400",), "mtu-l2-mismatch", "h2:host", "eth0", size=1400),
    "route of the underlay": Broken(("h1:host ip route add 192.168.77.12/32 via 192.168.77.99",), "route-overlap", "h1:host",
                                    "192.168.77.12/32 via 192.168.77.99 dev eth0", foreseen=False),
    "no route in the underlay": Broken(("h1:host ip route del 192.168.77.0/24",), "no-route", "h1:host", "192.168.77.0/24 dev eth0"),
    "asymmetric return": Broken(("h2:host ip route add 192.168.77.11/32 via 192.168.77.99",), "route-overlap", "h2:host",
                                "192.168.77.11/32 via 192.168.77.99 dev eth0", "reply", foreseen=False),
    "source address": Broken(("h1:host ip link set vxlan100 type vxlan local 192.168.77.99",), "addr-missing", "h1:host", "vxlan100"),
    "translated where it leaves": Broken(
        ("h1:host iptables -w -t nat -A POSTROUTING -o eth0 -p udp --dport 4789 -j SNAT --to-source 192.168.77.99",),
        "nat-wrong-address", "h1:host", "iptables nat POSTROUTING 1", "reply", foreseen=False),
    "translated where it comes in": Broken(
        ("h2:host iptables -w -t nat -A PREROUTING -i eth0 -p udp --dport 4789 -j DNAT --to-destination 192.168.77.99",),
        "dnat-dead-target", "h2:host", "iptables nat PREROUTING 1"),
    "MTU of the underlay where it leaves": Broken(("h1:host ip link set eth0 mtu 1400",), "mtu-exceeded", "h1:host", "eth0", size=1400),
    "address that a tunnel ends at": Broken(
        ("h2:host ip addr del 192.168.77.12/24 dev eth0", "h2:host ip addr add 192.168.77.112/24 dev eth0"),
        "addr-missing", "h2:host", "192.168.77.12/24 dev eth0"),
    "far bridge": Broken(("h2:host ip link set vxlan100 nomaster",), "port-not-in-bridge", "h2:host", "vxlan100"),
    "far bridge off": Broken(("h2:host ip link set br0 down",), "link-admin-down", "h2:host", "br0"),
    "far tunnel off": Broken(("h2:host ip link set vxlan100 down",), "link-admin-down", "h2:host", "vxlan100"),
    "far container": Broken(("h2:blue iptables -w -A INPUT -p icmp -j DROP",), "filtered-by-rule", "h2:blue", "iptables filter INPUT 1"),
    "far container off": Broken(("h2:blue ip link set eth0 down",), "link-admin-down", "h2:blue", "eth0"),
    "entry by hand": Broken(("h1:host ip neigh replace 192.168.77.12 lladdr 02:00:00:00:00:99 dev eth0 nud permanent",),
                            "neigh-wrong-entry", "h1:host", "192.168.77.12 dev eth0 lladdr 02:00:00:00:00:99"),
    "entry that was learned": Broken(("h1:host ip neigh replace 192.168.77.12 lladdr 02:00:00:00:00:99 dev eth0 nud reachable",),
                                     "neigh-wrong-entry", "h1:host", "192.168.77.12 dev eth0 lladdr 02:00:00:00:00:99", foreseen=False),
    "cut between the hosts": Broken(("wire ip link set h2 nomaster",), "lost-between-hosts", "h1:host", "h1:host/eth0 - h2:host/eth0",
                                    mends=False, foreseen=False, daily=True),
    "cut between the hosts, cold": Broken(("wire ip link set h2 nomaster",), "lost-between-hosts", "h1:host",
                                          "h1:host/eth0 - h2:host/eth0", warm=False, mends=False, foreseen=False),
    "too long between the hosts": Broken(("wire ip link set h2 mtu 1400",), "lost-between-hosts", "h1:host", "h1:host/eth0 - h2:host/eth0",
                                         size=1400, mends=False, foreseen=False),
}  # fmt: skip


@pytest.fixture
def lab() -> Iterator[Lab]:
    with open_lab("root", fleet.topology(3)) as opened:
        yield opened


def does(lab: Lab, *steps: str) -> None:
    for step in steps:
        namespace, *words = shlex.split(step)
        lab.run(words, namespace=namespace)


def answers(lab: Lab, size: int) -> bool:
    """Whether the destination answers a real ping; the first one may have to find its neighbours."""
    ping = ["ping", "-c", "2", "-i", "0.2", "-W", "1", "-M", "do", "-s", str(size), "10.88.2.2"]
    return lab.run(ping, namespace="h1:red", check=False).returncode == 0


BRIDGED = {
    "far port": Broken(("h2:host ip link set v-red nomaster",), "port-not-in-bridge", "h2:host", "v-red"),
    "far bridge": Broken(("h2:host nft add table bridge t", "h2:host nft add chain bridge t c '{ type filter hook forward priority 0 ; }'",
                          "h2:host nft add rule bridge t c ip protocol icmp drop"), "filtered-by-rule", "h2:host",
                         "nft bridge t c handle 2"),
    "cut": Broken(("wire ip link set h2 nomaster",), "lost-between-hosts", "h1:host", "h1:host/eth0 - h2:host/eth0", foreseen=False),
}  # fmt: skip


@pytest.mark.thorough
@pytest.mark.parametrize("name", BRIDGED)
def test_containers_of_one_segment(name: str) -> None:
    """Uplinks that are ports of bridges: what is asked on one host is heard in the containers of the other."""
    broken = BRIDGED[name]
    with open_lab("root", bridged()) as lab:
        comes_up(lab, "192.168.77.22")
        good = answer(lab, "h1:red", "h2:red").report
        assert good.verdict is Verdict.REACHABLE
        assert [hop.namespace for hop in good.path.request if "over the network between the hosts" in hop.note] == ["h2:host"]
        does(lab, *broken.steps)
        for command in ("why", "trace") if broken.foreseen else ("trace",):
            report = answer(lab, "h1:red", "h2:red", command=command, send=command != "why", timeout_ns=400_000_000).report
            cause = report.causes[0]
            assert (cause.code, cause.place.namespace, cause.object and cause.object.id) == (broken.code, broken.where, broken.object)


def test_a_saved_run_of_hosts_is_diagnosed_again() -> None:
    """The network between the hosts takes no UDP to port 4789: without a kernel, from what was recorded."""
    report, run = load(str(Path(__file__).with_name("recordings") / "lost-between-hosts.pcapng"))
    assert run is not None
    assert run.snapshot.homes == ("h1:host", "h2:host")
    again = replay(run).report
    assert told(again) == told(report)
    [cause] = again.causes
    assert (cause.code, cause.place.namespace, cause.object and cause.object.id) == (
        "lost-between-hosts", "h1:host", "h1:host/eth0 - h2:host/eth0",
    )  # fmt: skip
    assert "192.168.77.11 to 192.168.77.12 UDP port 4789" in str(cause.object)
    told_of = run_to_json(run).decode()
    assert not [path for path in ("/home", "/root", "/work", "/tmp", "/usr/") if path in told_of]


def shifted(run: Run, by_ns: int) -> Run:
    """The run as if the clock of h2 were so far ahead: the same sightings, in the order of what the clocks say."""
    moved = [
        replace(each, time_ns=each.time_ns + by_ns, stamp_ns=each.stamp_ns + by_ns) if each.namespace.startswith("h2:") else each
        for each in run.observations
    ]
    return replace(run, observations=tuple(sorted(moved, key=lambda each: each.stamp_ns)))


def told(report: Report) -> tuple[object, ...]:
    """What a report says but for the times."""
    way = [(hop.n, hop.namespace, hop.interface, hop.observed) for hops in (report.path.request, report.path.reply) for hop in hops]
    return report.verdict, report.agreement, report.rtt_ns, [(each.code, each.place) for each in report.causes], way


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("command", ["trace", "arping"])
def test_no_clock_says_what_came_first(lab: Lab, command: str, cut: bool) -> None:
    """The clock of a host may be five seconds off, or a microsecond: the way is known by its places."""
    if cut:
        does(lab, "wire ip link set h2 nomaster")
    run = answer(lab, "h1:red", "h2:blue", command=command, protocol="arp" if command == "arping" else None, timeout_ns=400_000_000)
    assert (run.report.verdict is Verdict.REACHABLE) is not cut
    for by_ns in (-5_000_000_000, -2_000, 0, 2_000, 5_000_000_000):
        assert told(replay(shifted(run, by_ns)).report) == told(replay(run).report)


def comes_up(lab: Lab, address: str) -> None:
    """A cable that was just plugged in may carry nothing yet, up to a second (linkwatch of the kernel)."""
    ping = ["ping", "-c", "1", "-W", "1", address]
    assert any(lab.run(ping, namespace="h1:red", check=False).returncode == 0 for _ in range(5))


def said(lab: Lab, command: str, size: int) -> Report:
    return answer(lab, "h1:red", "h2:blue", command=command, send=command != "why", size=size, timeout_ns=400_000_000).report


@pytest.mark.parametrize(
    "name", [pytest.param(each, marks=[] if broken.daily else [pytest.mark.thorough]) for each, broken in BROKEN.items()]
)
def test_it_is_named_at_its_host_and_mended(lab: Lab, name: str) -> None:
    broken = BROKEN[name]
    if broken.warm:
        assert answers(lab, broken.size)
    does(lab, *broken.steps)
    found = [said(lab, command, broken.size) for command in ("why", "trace")]
    assert not answers(lab, broken.size)
    for report in found if broken.foreseen else found[1:]:
        assert report.verdict is Verdict.UNREACHABLE
        cause = report.causes[0]
        assert (cause.code, cause.place.namespace, cause.object and cause.object.id) == (broken.code, broken.where, broken.object)
        assert str(report.direction) == broken.direction
    if not broken.foreseen:
        assert not found[0].causes, "a guess"
    if broken.mends:
        for line in found[1].causes[0].fix:
            lab.run(["sh", "-c", line])
        assert answers(lab, broken.size)


PORT = "192.168.77.12:8080"
PUBLISHED = {
    "the wrong container": Broken(
        ("h2:host iptables -w -t nat -R PREROUTING 1 -p tcp --dport 8080 -j DNAT --to-destination 172.18.0.9:80",),
        "dnat-dead-target", "h2:host", "iptables nat PREROUTING 1"),
    "nothing forwarded": Broken(("h2:host sysctl -w net.ipv4.ip_forward=0",), "forwarding-off", "h2:host", "net.ipv4.ip_forward"),
    "filtered where it is forwarded": Broken(("h2:host iptables -w -A FORWARD -d 172.18.0.2 -j DROP",), "filtered-by-rule", "h2:host",
                                             "iptables filter FORWARD 1"),
    "no way back": Broken(("h2:red ip route del default",), "no-route", "h2:red", "192.168.77.11", "reply"),
    "no translation": Broken(("h1:host iptables -w -t nat -F POSTROUTING",), "nat-missing", "h1:host", "iptables nat POSTROUTING", "reply"),
    "no port": Broken(("h2:host iptables -w -t nat -D PREROUTING 1",), "port-closed", "h2:host", f"tcp {PORT}", mends=False),
    "another prefix": Broken(("h1:host ip addr del 192.168.77.11/24 dev eth0", "h1:host ip addr add 192.168.77.11/30 dev eth0"),
                             "addr-wrong-prefix", "h1:host", "192.168.77.11/30 dev eth0"),
    "cut": Broken(("wire ip link set h2 nomaster",), "lost-between-hosts", "h1:host", "h1:host/eth0 - h2:host/eth0", mends=False,
                  foreseen=False),
}  # fmt: skip


@pytest.mark.thorough
@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_port(name: str) -> None:
    broken = PUBLISHED[name]
    connects = [sys.executable, "-c", "import socket; socket.create_connection(('192.168.77.12', 8080), 1.5)"]
    with open_lab("root", published()) as lab:

        def works() -> bool:
            return lab.run(connects, namespace="h1:red", check=False).returncode == 0

        comes_up(lab, "192.168.77.12")
        assert works()
        assert answer(lab, "h1:red", PORT, protocol="tcp").report.verdict is Verdict.REACHABLE
        does(lab, *broken.steps)
        found = [
            answer(lab, "h1:red", PORT, command=command, send=command != "why", protocol="tcp", timeout_ns=400_000_000).report
            for command in ("why", "trace")
        ]
        assert not works()
        for report in found if broken.foreseen else found[1:]:
            cause = report.causes[0]
            assert (cause.code, cause.place.namespace, cause.object and cause.object.id) == (broken.code, broken.where, broken.object)
            assert str(report.direction) == broken.direction
        for line in found[1].causes[0].fix if broken.mends else ():
            lab.run(["sh", "-c", line])
        assert works() is broken.mends


ROUTED = {
    "gateway": Broken(("h1:host ip route replace default via 10.1.0.9",), "neigh-no-answer", "h1:host", "10.1.0.9 dev eth0"),
    "no gateway": Broken(("h1:host ip route del default",), "no-route", "h1:host", "10.2.0.11"),
    "no way back": Broken(("h2:host ip route del default",), "no-route", "h2:host", "10.1.0.11", "reply"),
    "filtered": Broken((f"h2:host {drop('INPUT')}",), "filtered-by-rule", "h2:host", "iptables filter INPUT 1"),
    "a router that is off": Broken(("wire sysctl -w net.ipv4.ip_forward=0",), "lost-between-hosts", "h1:host",
                                   "h1:host/eth0 - h2:host/eth0"),
}  # fmt: skip


@pytest.mark.thorough
@pytest.mark.parametrize("name", ROUTED)
def test_an_underlay_that_is_routed_by_who_nobody_sees(name: str) -> None:
    broken = ROUTED[name]
    with open_lab("root", routed()) as lab:
        comes_up(lab, "10.88.2.1")
        assert answer(lab, "h1:red", "h2:red").report.verdict is Verdict.REACHABLE
        does(lab, *broken.steps)
        report = answer(lab, "h1:red", "h2:red", timeout_ns=1_000_000_000).report
        cause = report.causes[0]
        assert (cause.code, cause.place.namespace, cause.object and cause.object.id) == (broken.code, broken.where, broken.object)
        assert str(report.direction) == broken.direction


def test_a_way_that_is_free(lab: Lab) -> None:
    """Cold and warm, by prediction and on the wire, each hop in its host, and on one machine's own terms."""
    for command in ("why", "trace", "why"):
        report = said(lab, command, 56)
        assert report.verdict is Verdict.REACHABLE
        assert report.causes == ()
        names = [hop.namespace for hop in report.path.request]
        assert list(dict.fromkeys(names)) == ["h1:red", "h1:host", "h2:host", "h2:blue"]
        [over] = [hop for hop in report.path.request if "over the network between the hosts" in hop.note]
        assert (over.namespace, over.interface, over.bound) == ("h2:host", "eth0", "in")
        assert over.flow.outer is not None
        assert (over.flow.outer.src, over.flow.outer.dst) == ("192.168.77.11", "192.168.77.12")
    assert [hop.observed for hop in said(lab, "trace", 56).path.request if hop.bound] == [True] * 8


def test_a_host_that_cannot_be_asked(lab: Lab) -> None:
    """One beside the way is a blind spot; without the one on the way nobody knows."""
    beside = answer(lab, "h1:red", "h2:blue", {"h3": "it does not answer"}).report
    assert beside.verdict is Verdict.REACHABLE
    assert [(blind.what, blind.why) for blind in beside.blind] == [("host h3", "it does not answer")]
    on_the_way = answer(lab, "h1:red", "10.88.2.2", {"h2": "it does not answer"}, command="why", send=False).report
    assert on_the_way.verdict is Verdict.UNDETERMINED
    assert "h2: it does not answer" in on_the_way.summary
