"""Which sources a namespace takes for its own, and which marks its answers take."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from networks import edited, host, probe, tutorial

from netprobe.linux.tables.fib import questions
from netprobe.model import AskedRoute, Flow, InterfaceAddress, Leg, Nexthop, PolicyRule, Protocol, Route, RouteAnswer, RouteQuery, Snapshot
from netprobe.predict import fib, routing, rp_filter
from netprobe.predict.predict import Prediction, _reflected, predict
from netprobe.predict.view import Ground, Packet

WHOLE = Route("172.17.0.0/16", "local", fib.LOCAL, (Nexthop(1),), scope="host", protocol="kernel")


def on_loopback(**more: object) -> Snapshot:
    """172.17.0.1/16 is on lo of host, so that its table local covers the whole network."""
    kernels = tuple(replace(route, protocol="kernel") if route.type == "local" else route for route in host().routes)
    return edited(tutorial(), "host", routes=(*kernels, WHOLE), **more)


@pytest.mark.parametrize(
    ("src", "more", "refused"),
    [
        ("172.17.0.9", {}, False),  # the quick look: only what an interface has
        ("172.17.0.1", {}, True),
        ("172.17.0.9", {"sysctls": {"net.ipv4.conf.docker0.rp_filter": "2"}}, True),  # the whole look
        ("172.17.0.9", {"rules": (*host().rules, PolicyRule(100, 4, table=254, mark=7))}, True),
        ("172.17.0.1", {"sysctls": {"net.ipv4.conf.all.accept_local": "1"}}, False),
    ],
)
def test_a_source_from_outside_that_is_the_namespaces_own(src: str, more: dict[str, object], refused: bool) -> None:
    snapshot = on_loopback(**more)
    docker0 = snapshot["host"].link_named("docker0")
    assert docker0 is not None
    packet = Packet(Flow(src, "8.8.8.8", Protocol.ICMP), Leg.REQUEST)
    stop = rp_filter.check(Ground(snapshot, ask=False), "host", docker0, src, "8.8.8.8", packet)
    assert (stop is not None and stop.code == "martian-source") is refused


@pytest.mark.parametrize(("valid", "mark", "refused"), [("1", 7, True), ("0", 7, False), ("1", 0, False)])
def test_a_mark_by_which_all_is_taken_for_own_is_for_the_source_as_well(valid: str, mark: int, refused: bool) -> None:
    """A transparent proxy's: `ip route add local default dev lo table 100`; src_valid_mark is read whatever rp_filter is."""
    own = replace(WHOLE, dst="0.0.0.0/0", table=100, protocol="boot")
    rules = (PolicyRule(10, 4, table=100, mark=7), *host().rules)
    sysctls = {"net.ipv4.conf.all.src_valid_mark": valid}
    snapshot = edited(tutorial(), "host", routes=(*host().routes, own), rules=rules, sysctls=sysctls)
    docker0 = snapshot["host"].link_named("docker0")
    assert docker0 is not None
    packet = Packet(Flow("172.17.0.9", "8.8.8.8", Protocol.ICMP), Leg.REQUEST, mark=mark)
    stop = rp_filter.check(Ground(snapshot, ask=False), "host", docker0, "172.17.0.9", "8.8.8.8", packet)
    assert (stop is not None and stop.code == "martian-source") is refused


@pytest.mark.parametrize(
    ("level", "bare", "refused"),
    [("2", False, False), ("2", True, True), ("1", False, True), ("0", True, False)],
)
def test_a_loose_filter_is_a_strict_one_where_the_interface_has_no_address(level: str, bare: bool, refused: bool) -> None:
    kept = tuple(a for a in host().addresses if not bare or a.address != "172.17.0.1")
    snapshot = edited(tutorial(), "host", addresses=kept, sysctls={"net.ipv4.conf.all.rp_filter": level})
    docker0 = snapshot["host"].link_named("docker0")
    assert docker0 is not None
    packet = Packet(Flow("8.8.8.8", "203.0.113.2", Protocol.ICMP), Leg.REPLY)
    stop = rp_filter.check(Ground(snapshot, ask=False), "host", docker0, "8.8.8.8", "203.0.113.2", packet)
    assert (stop is not None and stop.code == "rp-filter") is refused
    if stop is not None:  # 2 would not help
        assert stop.commands[0].words[-1].endswith(".rp_filter=0" if bare else ".rp_filter=2")


def test_a_source_that_an_interface_has_is_one_without_the_table_local() -> None:
    bare = replace(host(), routes=tuple(route for route in host().routes if route.type != "local"))
    assert not fib.is_local(bare, "10.0.0.1")
    assert fib.has_source(bare, "10.0.0.1")
    assert not fib.has_source(replace(bare, addresses=(InterfaceAddress(1, "127.0.0.1", 8),)), "10.0.0.1")


@pytest.mark.parametrize(
    ("protocol", "accepted", "setting", "taken"),
    [
        (Protocol.ICMP, True, "net.ipv4.fwmark_reflect", True),
        (Protocol.ICMP, True, "net.ipv4.tcp_fwmark_accept", False),
        (Protocol.TCP, True, "net.ipv4.tcp_fwmark_accept", True),
        (Protocol.TCP, True, "net.ipv4.fwmark_reflect", False),
        (Protocol.TCP, False, "net.ipv4.fwmark_reflect", True),  # a reset
        (Protocol.UDP, True, "net.ipv4.fwmark_reflect", False),  # the program's own
        (Protocol.ICMP, True, "net.ipv6.fwmark_reflect", False),  # of the other IP version
    ],
)
def test_the_mark_that_an_answer_takes(protocol: Protocol, accepted: bool, setting: str, taken: bool) -> None:
    marked = Packet(Flow("10.0.0.2", "10.0.0.1", protocol), Leg.REQUEST, mark=7)
    assert _reflected(replace(host(), sysctls={setting: "1"}), marked, accepted) == (7 if taken else 0)
    assert _reflected(replace(host(), sysctls={setting: "0"}), marked, accepted) == 0


def test_a_healthy_network_with_that_address_on_its_bridge_passes() -> None:
    outcome = predict(tutorial(), probe("red", "8.8.8.8"), ask=False)
    assert isinstance(outcome, Prediction)
    assert outcome.passes


@pytest.mark.parametrize(("protocol", "asks"), [(6, True), (17, True), (1, True), (None, True), (132, False)])
def test_the_kernel_is_asked_for_the_way_of_protocols_that_it_takes(protocol: int | None, asks: bool) -> None:
    """It refuses SCTP (EOPNOTSUPP), whose way the rules and routes that were read say alone."""
    ground = Ground(tutorial())
    found = routing.decide(ground, "host", RouteQuery("10.0.0.2", "8.8.8.8", protocol=protocol, iif=2))
    assert bool(ground.unasked) is asks
    assert found.leg is not None


def test_a_question_for_a_route_names_no_protocol_that_the_kernel_refuses() -> None:
    """Which of thousands of routes it takes depends on the destination."""
    asked = [dict(questions(RouteQuery(None, "8.8.8.8", protocol=n, sport=5, dport=80))[0].attributes) for n in (6, 132)]
    assert asked == [{"RTA_DST": "8.8.8.8", "RTA_IP_PROTO": 6, "RTA_SPORT": 5, "RTA_DPORT": 80}, {"RTA_DST": "8.8.8.8"}]


@pytest.mark.parametrize(("device", "refused"), [("eth0", True), ("br0", False)])
def test_the_way_back_is_asked_for_from_where_the_packet_would_leave(device: str, refused: bool) -> None:
    """As the kernel does it (fib_validate_source, `oif`): a rule for what comes in there refuses the look, whatever comes in."""
    rule = PolicyRule(20000, 4, action="unreachable", iif=device)
    snapshot = edited(tutorial(), "host", sysctls={"net.ipv4.ip_forward": "1", "net.ipv4.conf.all.rp_filter": "1"})
    snapshot = edited(snapshot, "host", rules=(*snapshot["host"].rules, rule))
    found = predict(snapshot, probe("c1", "8.8.8.8"), ask=False)
    assert isinstance(found, Prediction)
    assert (found.stop is not None and found.stop.code == "rp-filter") is refused


def test_the_kernel_agrees_that_who_has_no_route_is_a_neighbour() -> None:
    """It tells of no gateway, and of no route that it would have found: none is made up of that."""
    query = RouteQuery(None, "192.0.2.9", oif=2)
    snapshot = edited(tutorial(), "c1", routes=())
    told = AskedRoute("c1", query, RouteAnswer(index=2, source="172.17.0.2"))
    decision = routing.decide(Ground(replace(snapshot, answers=(told,))), "c1", query)
    assert (decision.route, decision.index, decision.error) == (None, 2, None)
