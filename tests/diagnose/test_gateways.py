"""A way that is missing, where several routers may be meant: the one with which the probe passes is."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from predict.networks import edited, probe, tutorial, with_link_locals
from test_repair_whole import after, ask, chosen, healthy, said

from netprobe.causes.catalogue import explain
from netprobe.diagnose.blockers import look, with_outlook
from netprobe.diagnose.repair import routers
from netprobe.diagnose.repair.candidates import siblings
from netprobe.diagnose.repair.repair import Loss, Merit
from netprobe.diagnose.report import diagnose
from netprobe.model import Nexthop, Protocol, Route, Ruleset, Snapshot
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction
from netprobe.rules.read.iptables_save import read_save


def on_two_networks(dropped: str) -> Snapshot:
    """red is on the networks of br0 (its own prefix is /32) and docker0, without a default route; host drops what comes from one."""
    rules = read_save(f"*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -i {dropped} -j DROP\nCOMMIT\n", "iptables", "ip")
    return after(
        edited(tutorial(), "host", ruleset=Ruleset(tables=rules)),
        "host: ip link add vethx type veth peer name eth1 netns red",
        "host: ip link set dev vethx master docker0",
        "host: ip link set dev vethx up",
        "red: ip link set dev eth1 up",
        "red: ip address add 172.17.0.9/16 dev eth1",
        "red: ip route del default",
    )


@pytest.mark.parametrize(("dropped", "gateway"), [("docker0", "10.0.0.1 dev eth0 onlink"), ("br0", "172.17.0.1")])
def test_the_router_that_lets_it_pass(dropped: str, gateway: str) -> None:
    found = chosen(on_two_networks(dropped), ask("red", "203.0.113.1"))
    assert found.stop.code == "no-route"
    assert said(found) == [f"red: ip route add default via {gateway}"]


def by_an_object(snapshot: Snapshot, dst: str, via: str) -> Snapshot:
    """host sends to `dst` by nexthop object 5, and that is `via`."""
    index = next(link.index for link in snapshot["host"].links if link.name == "eth0")
    others = tuple(route for route in snapshot["host"].routes if route.dst != dst)
    return edited(snapshot, "host", routes=(*others, Route(dst, nexthops=(Nexthop(index, via),), nhid=5)))


def test_a_nexthop_object_is_put_right_where_it_is() -> None:
    """Its routes have no gateway of their own: they follow."""
    found = chosen(by_an_object(tutorial(), "0.0.0.0/0", "203.0.113.9"), ask("red", "8.8.8.8"))
    assert (found.stop.code, found.stop.object and found.stop.object.text) == ("route-wrong-nexthop", "default nhid 5")
    assert said(found) == ["host: ip nexthop replace id 5 via 203.0.113.1 dev eth0"]


def test_a_route_by_an_object_is_named_by_it() -> None:
    """ip-route(8) finds none by the gateway that its object has."""
    found = chosen(by_an_object(tutorial(), "8.8.8.0/24", "203.0.113.9"), ask("red", "8.8.8.8"))
    assert said(found) == ["host: ip route del 8.8.8.0/24 nhid 5"]


@pytest.mark.parametrize(("other", "own"), [("10.99.0.1/24", "10.99.0.9/24"), ("10.0.0.254/32", "10.0.0.9/16")])
def test_a_gateway_that_is_beside_is_not_exchanged_for_another_address_for_a_wrong_entry(other: str, own: str) -> None:
    """Another station on the wire uses it by that one, of a foreign network or of its own."""
    snapshot = after(
        tutorial(),
        f"host: ip address add {other} dev br0",
        "red: ip address add 10.0.0.3/16 dev eth0",
        "red: ip neigh replace 10.0.0.1 dev eth0 lladdr 02:7c:00:00:00:63 nud permanent",
        "host: ip link add vethx type veth peer name eth1 netns c1",
        "host: ip link set dev vethx master br0",
        "host: ip link set dev vethx up",
        "c1: ip link set dev eth1 up",
        f"c1: ip address add {own} dev eth1",
        f"c1: ip route replace default via {other.partition('/')[0]} dev eth1",
    )
    found = chosen(snapshot, ask("red", "8.8.8.8"))
    assert (found.stop.code, said(found)) == ("neigh-wrong-entry", ["red: ip neigh del 10.0.0.1 dev eth0"])


@pytest.mark.parametrize("forwards", ["1", "0"])
def test_who_asks_for_the_gateway_of_a_segment_whose_router_has_another_address(forwards: str) -> None:
    snapshot = after(tutorial(), "host: ip address del 203.0.113.2/24 dev eth0", "host: ip address add 203.0.113.5/24 dev eth0")
    sysctls = {**snapshot["host"].sysctls, "net.ipv4.ip_forward": forwards}
    found = chosen(edited(snapshot, "host", sysctls=sysctls), probe("internet", "203.0.113.2", Protocol.ARP))
    fix = ["host: ip address add 203.0.113.2/24 dev eth0"]
    assert (found.stop.code, said(found)) == (("addr-missing", fix) if forwards == "1" else ("neigh-no-answer", said(found)))


def test_an_address_of_a_network_stays_where_its_stations_are() -> None:
    """On two interfaces the kernel would not know behind which they are."""
    snapshot = after(
        tutorial(),
        "host: ip link add vethx type veth peer name eth1 netns c1",
        "host: ip link set dev vethx up",
        "host: ip address add 10.88.0.1/24 dev vethx",
        "c1: ip link set dev eth1 up",
        "c1: ip address add 10.88.0.9/24 dev eth1",
        "internet: ip route replace 10.0.0.0/16 via 10.88.0.1 dev eth0 onlink",
    )
    sysctls = {**snapshot["host"].sysctls, "net.ipv4.conf.all.arp_ignore": "1"}
    lost = predict(edited(snapshot, "host", sysctls=sysctls), ask("red", "203.0.113.1"), ask=False)
    assert isinstance(lost, Prediction)
    assert lost.stop is not None
    loss = Loss.of(edited(snapshot, "host", sysctls=sysctls), lost, lost.stop)
    [given] = [each for each in siblings.candidates(loss) if "10.88.0.1" in each.stop.text]
    assert given.merit is Merit.GOES_AROUND


def test_a_router_that_sends_it_on_by_another_one_beside_stands_behind_that_one() -> None:
    """It would tell who asks to go there at once (ip_rt_send_redirect)."""
    network = edited(tutorial(), "c1", routes=tutorial()["c1"].routes[:-1])
    network = edited(network, "c2", sysctls={"net.ipv4.ip_forward": "1"})
    network = replace(network, namespaces={"c2": network["c2"], **network.namespaces})  # it is met first
    lost = predict(network, ask("c1", "10.0.0.2"), ask=False)
    assert isinstance(lost, Prediction)
    assert lost.stop is not None
    found = routers.routers_for(Loss.of(network, lost, lost.stop), "c1", "10.0.0.2")
    assert next(found).via == "172.17.0.1"


@pytest.mark.parametrize(
    ("source", "route", "out", "right"),
    [("pc", "198.51.100.0/24 via 192.0.2.5", "eth0", "eth1"), ("host", "203.0.113.0/24 via 192.0.2.1", "eth1", "eth0")],
)
def test_a_gateway_is_on_the_interface_whose_network_it_is_of(source: str, route: str, out: str, right: str) -> None:
    """Without the policy rule that led the question there, the answer would take another way; that rule is as it was meant."""
    network = after(healthy("strict-rp-filter-and-marks"), f"internet: ip route replace {route} dev {out} onlink")
    assert said(chosen(network, ask(source, "8.8.8.8"))) == [f"internet: ip route replace {route} dev {right}"]


def test_a_router_that_nobody_has_announced_anything_to_lacks_a_route() -> None:
    """Its only one of IPv6 that somebody wrote is gone; the router beside knows the way."""
    network = after(with_link_locals(healthy("far-office-no-way-back")), "r2: ip -6 route del fd00:1::/64 via fd00:9::1")
    assert said(chosen(network, ask("server", "fd00:1::10"))) == ["r2: ip -6 route add fd00:1::/64 via fd00:9::1 dev wan"]


def test_it_lacks_the_route_also_behind_an_interface_without_arp() -> None:
    """That comes first: its advertisement does not come to who asks."""
    gone = "r2: ip -6 route del fd00:1::/64 via fd00:9::1"
    network = after(with_link_locals(healthy("far-office-no-way-back")), gone, "r2: ip link set dev lan arp off")
    asked = ask("server", "fd00:1::10")
    lost = predict(network, asked, ask=False)
    assert isinstance(lost, Prediction)
    report = diagnose("why", asked, network, lost, None, frozenset(), explain)
    found = (*report.causes[:1], *with_outlook(report, look(report, network, explain)).blockers)
    assert [" ".join(map(str, each.commands[0].words)) for each in found] == [
        "ip link set dev lan arp on",
        "ip -6 route add fd00:1::/64 via fd00:9::1 dev wan",
    ]


def test_who_hands_on_nothing_is_the_gateway_of_nobody() -> None:
    """red's way out went with its interface; the container beside it, which asks, is on another network as well, and read first."""
    asker, tutored = "c1", tutorial()
    snapshot = after(
        replace(tutored, namespaces={asker: tutored[asker], **tutored.namespaces}),
        "red: ip address add 10.0.0.3/16 dev eth0",
        "host: ip link add vethx type veth peer name eth1 netns c1",
        "host: ip link set dev vethx master br0",
        "host: ip link set dev vethx up",
        "c1: ip link set dev eth1 up",
        "c1: ip address add 10.0.0.9/16 dev eth1",
        "red: ip link set dev eth0 down",
    )
    assert said(chosen(snapshot, ask(asker, "10.0.0.3"))) == [
        "red: ip link set dev eth0 up",
        "red: ip route add default via 10.0.0.1",
    ]
