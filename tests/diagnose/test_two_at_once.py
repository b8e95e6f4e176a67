"""Two objects of a working network are changed, each of which alone breaks it: the first answer names one of them, and what stands behind
it is the other.
"""

from __future__ import annotations

import pytest
from diagnose.test_outlook import read
from diagnose.test_repair_whole import after, ask, chosen, healthy, lost, said
from msgspec.structs import replace
from predict.networks import edited, probe, tutorial, with_link_locals

from netprobe.causes.catalogue import explain
from netprobe.diagnose.blockers import look, with_outlook
from netprobe.diagnose.repair import choice
from netprobe.diagnose.repair.candidates import addresses, policy_rules
from netprobe.diagnose.repair.repair import Loss, Merit
from netprobe.diagnose.repair.several import Searches
from netprobe.diagnose.report import diagnose
from netprobe.model import Chain, FindBare, Neighbour, Probe, Protocol, ReadNamespace, Ruleset, Snapshot, Socket, Table
from netprobe.model.lookup import exchanged, where
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction

OF_IPV6 = (
    "host: sysctl -w net.ipv6.conf.all.forwarding=1",
    "host: ip address add fd00:203::2/64 dev eth0",
    "internet: ip address add fd00:203::1/64 dev eth0",
    "internet: ip address add 2001:db8::1/128 dev lo",
    "internet: ip -6 route add default via fd00:203::2 dev eth0",
    "host: ip -6 route add default via fd00:203::1 dev eth0",
)


def named(network: Snapshot, source: str, address: str, port: int | None = None) -> list[list[str]]:
    """What is said, carried out, and asked again, until it passes."""
    asked = ask(source, address) if port is None else probe(source, address, Protocol.TCP, source_port=40000)
    asked = replace(asked, destination=replace(asked.destination, port=port))
    found = list[list[str]]()
    while fails(network, asked):
        found.append(said(chosen(network, asked)))
        network = after(network, *found[-1])
    return found


def fails(network: Snapshot, asked: Probe) -> bool:
    found = predict(network, asked, ask=False)
    assert isinstance(found, Prediction)
    return found.stop is not None


def test_an_address_of_another_interface_went_not_along() -> None:
    """A router's way out is off, and its bridge has lost its address: with the one the other comes not back."""
    network = after(tutorial(), "host: ip link set dev eth0 down", "host: ip address del 172.17.0.1/16 dev docker0")
    found = named(network, "c1", "8.8.8.8")
    assert sorted(found[:2]) == [
        ["host: ip address add 172.17.0.1/16 dev docker0"],
        ["host: ip link set dev eth0 up", "host: ip route add default via 203.0.113.1"],
    ]


def test_with_a_port_of_a_bridge_nothing_went_along() -> None:
    """Its station sends from an address too many, to which no route ever led; the bridge is the one of whose networks most of its are."""
    network = after(
        with_link_locals(tutorial()),
        *OF_IPV6,
        "host: ip address add fd00:10::1/64 dev br0",
        "host: ip address add fd00:172:17::1/64 dev docker0",
        "c1: ip address add fd00:10::7002/64 dev eth0",
        "c1: ip address add fd00:172:17::2/64 dev eth0",
        "c1: ip -6 route add default via fd00:172:17::1 dev eth0",
    )
    port = next(link.name for link in network["host"].links if link.far_end and network["host"].ports(network["host"].link_named("docker0"))
                and link.master == network["host"].link_named("docker0").index)  # fmt: skip
    network = after(network, f"host: ip link set dev {port} netns internet")
    found = named(network, "c1", "2001:db8::1")
    assert found[0] == [
        f"internet: ip link set dev {port} netns host",
        f"host: ip link set dev {port} master docker0",
        f"host: ip link set dev {port} up",
    ]
    assert found[1:] == [["c1: ip address del fd00:10::7002/64 dev eth0"]]


def test_what_stops_it_is_taken_away_though_it_is_lost_nearer_then() -> None:
    """An entry leads to a station's neighbour; the station itself would not answer."""
    bridge, station = tutorial()["host"].link_named("br0"), tutorial()["c1"].link_named("eth0")
    assert bridge is not None
    assert station is not None
    entry = Neighbour(bridge.index, "10.0.0.2", station.mac, "permanent")
    network = edited(after(tutorial(), "red: ip link set dev eth0 arp off"), "host", neighbours=(entry,))
    network = edited(network, "red", neighbours=(Neighbour(2, "10.0.0.1", bridge.mac, "permanent"),))
    assert named(network, "host", "10.0.0.2") == [
        ["host: ip neigh del 10.0.0.2 dev br0"],
        ["red: ip link set dev eth0 arp on"],
    ]


def test_whom_it_knew_without_arp_it_asks_for_with_it() -> None:
    network = after(tutorial(), "red: ip link set dev eth0 arp off")
    own = network["red"].link_named("eth0")
    assert own is not None
    entry = Neighbour(own.index, "10.0.0.1", own.mac, "noarp")
    network = edited(network, "red", neighbours=(entry, replace(entry, address="10.0.0.7", state="permanent")))
    left = after(network, "red: ip link set dev eth0 arp on")["red"].neighbours
    assert [each.address for each in left] == ["10.0.0.7"]


def test_what_changes_nothing_yet_is_tried_though_something_else_would_lead_on() -> None:
    """A pod's address is on its loopback, so that it asks itself, and its node's underlay is off: without it, it would have none."""
    network = after(
        healthy("pod-out-of-the-far-bridge"),
        "pod2: ip address del 10.42.0.2/24 dev eth0",
        "pod2: ip address add 10.42.0.2/24 dev lo",
        "node2: ip link set dev u0 down",
    )
    for name, own in (("pod1", "10.42.0.1"), ("pod2", "10.42.0.2")):
        network = edited(network, name, sockets=(Socket("tcp", own, 80, "listen"),))
    assert named(network, "pod2", "10.42.0.1", 80) == [
        ["node2: ip link set dev u0 up"],
        ["pod2: ip address del 10.42.0.2/24 dev lo", "pod2: ip address add 10.42.0.2/24 dev eth0"],
    ]


@pytest.mark.parametrize(("way", "address", "rest"), [("10.0.0.1", "8.8.8.8", " onlink"), ("fd00:10::1", "2001:db8::1", " metric 1024")])
def test_a_route_out_of_the_loopback_leads_nowhere(way: str, address: str, rest: str) -> None:
    """IPv4 discards what comes in there, IPv6 refuses to send it: no sysctl would help, and the interface is the other one."""
    lines = ("host: ip address add fd00:10::1/64 dev br0", "red: ip address add fd00:10::2/64 dev eth0")
    six = "-6 " if ":" in way else ""
    network = after(with_link_locals(tutorial()), *OF_IPV6, *lines, f"red: ip {six}route replace default via {way} dev lo onlink")
    network = after(network, "host: sysctl -w net.ipv4.ip_forward=0", "host: sysctl -w net.ipv6.conf.all.forwarding=0")
    found, stop = lost(network, ask("red", address))
    assert (stop.code, [hop.stage.value for hop in found.hops]) == ("route-via-dead-device", [] if six else ["transmit", "receive"])
    first, second = named(network, "red", address)
    assert first == [f"red: ip {six}route replace default via {way} dev eth0{rest}"]
    assert "forward" in second[0]


def test_a_station_gets_of_its_siblings_routes_what_it_lacks() -> None:
    """The router knows no way to the far end either."""
    network = after(healthy("proxy-arp-off"), "pod1: ip route del default via 169.254.1.1 dev eth0")
    network = after(network, "host: sysctl -w net.ipv4.ip_forward=0")
    assert ["pod1: ip route add default via 169.254.1.1"] in named(network, "pod1", "10.65.0.3")


def test_a_way_that_leads_on_is_not_gone_around() -> None:
    """A node's tunnel knows no end for the other node any more; the other node has lost the way back, and is beside it on the underlay."""
    network = after(
        healthy("tunnel-neighbour-missing"),
        "node1: bridge fdb del 02:00:00:00:42:02 dev flannel.1 dst 192.168.50.2",
        "node1: ip xfrm policy add dst 10.244.1.0 dir in action block",
    )
    first, second = named(network, "node1", "10.244.2.2")
    assert first == ["node1: bridge fdb append 02:00:00:00:42:02 dev flannel.1 dst 192.168.50.2"]
    assert second[0].startswith("node1: ip xfrm policy delete")


@pytest.mark.parametrize(("gateway", "merit"), [("203.0.113.1", Merit.GOES_AROUND), ("203.0.113.99", Merit.UNDOES)])
def test_a_policy_rule_whose_table_leads_on_is_meant(gateway: str, merit: Merit) -> None:
    lines = ("host: ip rule add pref 100 from all lookup 100", f"host: ip route add default via {gateway} dev eth0 table 100 onlink")
    network = after(tutorial(), *lines, "host: ip link set dev eth0 arp off")
    prediction, stop = lost(network, ask("red", "8.8.8.8"))
    found = policy_rules.candidates(Loss.of(network, prediction, stop))
    assert [each.merit for each in found if each.stop.thing.id.startswith("100:")] == [merit]


def test_a_gateway_of_a_network_on_which_nobody_here_is_leads_nowhere() -> None:
    """Whoever has the address, and knows the way: it is none of a neighbour."""
    lines = ("internet: ip address add 198.51.100.9/24 dev lo", "host: ip route add 8.8.8.0/24 via 198.51.100.9 dev docker0 onlink")
    assert named(after(tutorial(), *lines), "red", "8.8.8.8")[0] == ["host: ip route del 8.8.8.0/24 via 198.51.100.9 dev docker0"]


def test_a_policy_rule_whose_table_leads_to_who_is_stuck_is_not() -> None:
    """The packet came to the gateway; that it has a way in its table does not say that this leads anywhere."""
    network = after(
        tutorial(),
        "host: ip rule add pref 100 from all lookup 100",
        "host: ip route add default via 203.0.113.1 dev eth0 table 100",
        "internet: sysctl -w net.ipv4.ip_forward=1",
        "internet: ip address del 8.8.8.8/32 dev lo",
        "internet: ip route add default via 203.0.113.77 dev eth0",
    )
    prediction, stop = lost(network, ask("red", "8.8.8.8"))
    found = policy_rules.candidates(Loss.of(network, prediction, stop))
    assert [each.merit for each in found if each.stop.thing.id.startswith("100:")] == [Merit.UNDOES]


def test_a_station_is_no_gateway_to_itself() -> None:
    """A router's address covers nobody any more: its prefix is wrong, and no route to all the world leads by the one who asked."""
    network = healthy("far-office-no-way-back")
    network = after(network, "r1: ip address add 10.1.0.1/32 dev lan", "r1: ip address del 10.1.0.1/24 dev lan")
    assert named(network, "pc", "10.2.0.10") == [["r1: ip address add 10.1.0.1/24 dev lan", "r1: ip address del 10.1.0.1/32 dev lan"]]


def test_what_stays_unanswered_keeps_nothing_else_from_being_asked() -> None:
    """That nobody without an interface was found is nothing that a snapshot holds: who is behind the far router is asked all the same."""
    network = healthy("far-office-no-way-back")
    network = after(network, "server: ip route replace default via 10.2.0.6 dev eth0", "r1: sysctl -w net.ipv4.ip_forward=0")
    near = replace(network, namespaces={name: each for name, each in network.namespaces.items() if name != "pc"})
    outcome, _ = lost(near, ask("server", "10.1.0.10"))
    wanted = choice.lacking(near, outcome)
    assert FindBare("server") in wanted
    assert choice.lacking(near, outcome, asked=wanted) == (ReadNamespace("pc"),)


def test_who_is_on_a_segment_is_on_it_whatever_a_filter_lets_pass() -> None:
    """A bridge has lost its address, and a rule keeps all frames from it: nobody hears the question there."""
    drops = Chain("INPUT", hook="input", policy="drop", type="filter")
    network = edited(tutorial(), "host", ruleset=Ruleset(tables=(Table("ebtables", "bridge", "filter", (drops,)),)))
    network = after(network, "host: ip address del 172.17.0.1/16 dev docker0")
    found = chosen(network, ask("c1", "8.8.8.8"))
    assert said(found) == ["host: ip address add 172.17.0.1/16 dev docker0"]
    behind = chosen(after(network, *said(found)), ask("c1", "8.8.8.8"))
    assert (behind.stop.code, behind.stop.place.namespace) == ("policy-drop", "host")


def test_an_address_by_mistake_asks_for_no_proxy_and_no_translation() -> None:
    """The network of who asked is another's, and beside it the server has an address of the segment's own network."""
    network = after(healthy("strict-rp-filter-of-the-server"), "server: ip address add 10.1.1.122/24 dev eth0")
    assert named(network, "pc", "192.0.2.80") == [["server: ip address del 10.1.1.122/24 dev eth0"]]


@pytest.mark.parametrize(
    ("also", "fix"),
    [
        ((), "c1: ip route del 10.0.0.0/16 dev eth0"),
        (("c2: ip route add 10.0.0.0/16 dev eth0",), "host: sysctl -w net.ipv4.conf.docker0.proxy_arp=1"),  # as all here have it
        (("c1: ip route del default",), "host: sysctl -w net.ipv4.conf.docker0.proxy_arp=1"),  # there is no other way
    ],
)
def test_a_far_network_is_taken_for_neighbours_by_mistake_where_a_gateway_would_get_it(also: tuple[str, ...], fix: str) -> None:
    network = after(tutorial(), "c1: ip route add 10.0.0.0/16 dev eth0", *also)
    assert said(chosen(network, ask("c1", "10.0.0.2"))) == [fix]


def test_the_other_ip_version_tells_who_the_gateway_is() -> None:
    """Its router has 203.0.113.2, to which answers of IPv4 go, and fd00:203::2: nobody lacks fd00:203::6."""
    network = after(
        with_link_locals(tutorial()), *OF_IPV6,
        "red: ip address add fd00:10::2/64 dev eth0",
        "host: ip address add fd00:10::1/64 dev br0",
        "red: ip -6 route add default via fd00:10::1 dev eth0",
        "red: sysctl -w net.ipv6.conf.eth0.hop_limit=1",
        "internet: ip route add default via 203.0.113.2 dev eth0",
        "internet: ip -6 route del default via fd00:203::2 dev eth0",
        "internet: ip -6 route add default via fd00:203::6 dev eth0",
    )  # fmt: skip
    assert named(network, "red", "2001:db8::1") == [
        ["red: sysctl -w net.ipv6.conf.eth0.hop_limit=64"],
        ["internet: ip -6 route replace default via fd00:203::2 dev eth0 metric 1024"],
    ]


def test_a_router_leads_to_a_pod_as_to_a_host_though_its_sibling_is_not_there() -> None:
    network = after(healthy("proxy-arp-off"), "host: sysctl -w net.ipv6.conf.all.forwarding=1")
    for n, length in ((1, 128), (2, 48)):
        network = after(
            network,
            f"host: sysctl -w net.ipv6.conf.cali{n}.proxy_ndp=1",
            f"host: ip -6 neigh add proxy fd00:65::ff dev cali{n}",
            f"host: ip -6 route add fd00:65::{n}/128 dev cali{n}",
            f"pod{n}: ip address add fd00:65::{n}/{length} dev eth0",
            f"pod{n}: ip -6 route add fd00:65::ff/128 dev eth0",
            f"pod{n}: ip -6 route add default via fd00:65::ff dev eth0",
        )
    network = after(network, "host: ip link add br9 type bridge", "host: ip link set dev br9 up", "host: ip link set dev cali1 master br9")
    assert named(network, "pod2", "fd00:65::1") == [
        ["pod2: ip address del fd00:65::2/48 dev eth0", "pod2: ip address add fd00:65::2/128 dev eth0"],
        ["host: ip link set dev cali1 nomaster"],
    ]


def test_the_other_end_of_a_tunnel_tells_that_arp_is_meant() -> None:
    """The entries that somebody wrote went with it, and to write one anew is not all."""
    network = after(
        healthy("forwarding-entry-missing"),
        "node2: ip neigh del 10.244.1.0 dev flannel.1",
        "node2: ip link set dev flannel.1 arp off",
        "node1: ip route del 10.244.1.0/24 dev vpod",
        "node1: ip route add unreachable 10.244.1.0/24",
    )
    assert named(network, "pod1", "10.244.2.2")[0] == [
        "node2: ip link set dev flannel.1 arp on",
        "node2: ip neigh replace 10.244.1.0 lladdr 02:00:00:00:42:01 dev flannel.1 nud permanent",
    ]


def test_a_bridge_with_nothing_else_on_it_is_not_where_an_address_belongs() -> None:
    network = after(tutorial(), "host: ip address add 203.0.113.9/24 dev eth0")
    for name in ("red", "internet"):
        network = after(
            network, f"{name}: ip link add br9 type bridge", f"{name}: ip link set dev br9 up", f"{name}: ip link set dev eth0 master br9"
        )
    found = named(network, "red", "8.8.8.8")
    assert sorted(found) == [["internet: ip link set dev eth0 nomaster"], ["red: ip link set dev eth0 nomaster"]]


def test_the_prefix_of_a_host_that_has_no_route_is_not_meant() -> None:
    network = after(tutorial(), "red: ip route del default via 10.0.0.1")
    assert named(network, "host", "10.0.0.2")[0] == [
        "red: ip address add 10.0.0.2/16 dev eth0",
        "red: ip address del 10.0.0.2/32 dev eth0",
    ]


OF_ANOTHER = (
    "c1: ip link add d0 type dummy",
    "c1: ip link set dev d0 up",
    "c1: ip address add 192.0.2.7/32 dev d0",
    "host: ip route del 172.17.0.0/16 dev docker0",
)


def of_another() -> Snapshot:
    network = after(tutorial(), *OF_ANOTHER)
    routes = where(network["c1"].routes, dst="172.17.0.0/16")
    assert len(routes) == 1
    odd = exchanged(network["c1"].routes, routes[0], replace(routes[0], source="192.0.2.7", protocol="kernel", scope="link"))
    return edited(network, "c1", routes=odd)


def test_an_ipv4_address_stays_on_what_is_switched_off() -> None:
    """That it is not there is another thing; with an interface that lay elsewhere it went along."""
    network = after(tutorial(), "c2: ip link set dev eth0 down", "c2: ip address del 172.17.0.3/16 dev eth0")
    network = edited(network, "c2", sockets=(Socket("tcp", "172.17.0.3", 80, "listen"),))
    first, second = named(network, "red", "172.17.0.3", 80)
    assert first == ["c2: ip link set dev eth0 up"]
    assert second[0] == "c2: ip address add 172.17.0.3/16 dev eth0"


@pytest.mark.parametrize(("rule", "refused"), [("-s 172.17.0.2/32 -j DROP", 1), ("-s 172.17.0.9/32 -p udp -j DROP", 0)])
def test_a_rule_is_met_by_the_address_that_it_speaks_of(rule: str, refused: int) -> None:
    """Which one the station had, only the reader knows; that nobody has the one of the rule is no accident."""
    network = after(read(tutorial()), "c1: ip address del 172.17.0.2/16 dev eth0", f"host: iptables -I FORWARD {rule}")
    assert behind(network, ask("c1", "8.8.8.8")).count("filtered-by-rule") == refused


def behind(network: Snapshot, asked: Probe) -> list[str]:
    """The codes of what is said, and of what stands behind it."""
    network, searches = read(network), Searches()
    found = predict(network, asked, ask=False)
    assert isinstance(found, Prediction)
    report = diagnose("why", found.probe, network, found, None, frozenset(), explain, None, lambda: searches)
    outlook = look(report, network, explain, None, lambda: searches)
    return [each.code for each in (*report.causes, *with_outlook(report, outlook).blockers)]


@pytest.mark.parametrize(
    ("lines", "source", "codes"),
    [
        (
            ("red: ip address del 10.0.0.2/32 dev eth0", "host: ip rule add pref 20 unreachable"),
            "10.0.0.2",
            ["addr-missing", "no-route", "rule-prohibit"],
        ),
        (
            (
                "c1: ip route del default via 172.17.0.1 dev eth0",
                "host: ip address del 172.17.0.1/16 dev docker0",
                "host: ip address add 172.17.0.1/32 dev lo",
                "host: ip rule add pref 20 unreachable",
            ),
            None,
            ["no-route", "rule-prohibit"],
        ),
    ],
)
def test_a_word_that_only_the_reader_knows_hides_nothing_behind_it(lines: tuple[str, ...], source: str | None, codes: list[str]) -> None:
    """It was tried by no candidate: the address that was asked from, without its interface; a router without an address there."""
    asked = ask("red" if source else "c1", "8.8.8.8")
    assert behind(after(tutorial(), *lines), replace(asked, source=replace(asked.source, address=source)))[: len(codes)] == codes


def test_what_stands_behind_is_met_by_the_probe_as_it_is_sent_then() -> None:
    """Its source is another one once the first thing is mended, and stays so: nobody has to know a way to the first."""
    network = read(of_another())
    found = predict(network, ask("c1", "172.17.0.1"), ask=False)
    assert isinstance(found, Prediction)
    report = diagnose("why", found.probe, network, found, None, frozenset(), explain)
    assert [each.code for each in with_outlook(report, look(report, network, explain)).blockers] == ["no-route"]


def test_a_gateway_that_is_promised_to_be_there_leads_around_the_route_to_its_network() -> None:
    """Answers go to the station's other address, which would have to be routed; and the route to its network is gone."""
    found = named(of_another(), "c1", "172.17.0.1")
    assert sorted(found) == [
        ["c1: ip route replace 172.17.0.0/16 dev eth0 proto kernel scope link src 172.17.0.2"],
        ["host: ip route replace 172.17.0.0/16 dev docker0 proto kernel scope link src 172.17.0.1"],
    ]


def test_a_tunnel_is_a_port_of_the_bridge_that_is_called_as_the_other_nodes() -> None:
    network = after(
        healthy("pod-out-of-the-far-bridge"),
        "node2: ip link add br9 type bridge",
        "node2: ip link set dev br9 up",
        "node2: ip link set dev vx0 master br9",
    )
    assert named(network, "pod1", "10.42.0.2") == [["node2: ip link set dev vx0 master br0"]]


def test_the_address_of_a_port_is_its_bridges_though_nobody_beside_has_a_network() -> None:
    """All stations have host prefixes, so that none tells of which network the bridge is."""
    network = after(
        tutorial(),
        "host: ip link add d0 type dummy",
        "host: ip link set dev d0 master br0",
        "host: ip address del 10.0.0.1/16 dev br0",
        "host: ip address add 10.0.0.1/16 dev veth0",
    )
    assert named(network, "red", "8.8.8.8")[0] == [
        "host: ip address del 10.0.0.1/16 dev veth0",
        "host: ip address add 10.0.0.1/16 dev br0",
    ]


@pytest.mark.parametrize(("others", "moved"), [((), True), (("c2: ip address add 172.17.0.1/16 dev eth0",), False)])
def test_an_address_that_somebody_has_behind_the_bridge_is_not_the_bridges(others: tuple[str, ...], moved: bool) -> None:
    network = after(
        tutorial(),
        "host: ip address del 172.17.0.1/16 dev docker0",
        "host: ip address add 172.17.0.1/16 dev vethc1",
        *others,
    )
    tried = [each.stop.text for each in addresses.candidates(Loss.of(network, *lost(network, ask("c1", "8.8.8.8"))))]
    assert any("its network is behind docker0" in text for text in tried) is moved
