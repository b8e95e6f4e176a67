"""Two objects at once of which one was repaired by what the other had only suffered from, or by what nobody had changed."""

from __future__ import annotations

from diagnose.test_rather_two import ruled
from diagnose.test_repair_whole import after, ask, chosen, healthy, said
from diagnose.test_two_at_once import OF_IPV6, named
from diagnose.test_two_by_two import square
from msgspec.structs import replace
from predict.networks import edited, probe, relinked, tutorial, with_link_locals

from netprobe.causes.catalogue import explain
from netprobe.diagnose.blockers import look, with_outlook
from netprobe.diagnose.report import diagnose
from netprobe.model import FdbEntry, Neighbour, PolicyRule, Protocol, Ruleset, Snapshot, Socket
from netprobe.model.lookup import where, without
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction
from netprobe.rules.read.iptables_save import read_save


def test_a_loopback_has_no_network_of_others() -> None:
    """The route to it comes with an address, which is what somebody has added."""
    network = after(with_link_locals(tutorial()), *OF_IPV6, "host: ip address add 2001:db8::7/64 dev lo")
    assert named(network, "host", "2001:db8::1") == [["host: ip address del 2001:db8::7/64 dev lo"]]


def test_a_loopback_has_no_network_of_the_other_end_of_a_tunnel() -> None:
    """What the tunnel sends comes back to itself, and a bridge does not send it out by the port it came from."""
    network = after(healthy("tunnel-port-filtered"), "node1: ip address add 192.168.50.4/24 dev lo")
    assert said(chosen(network, ask("pod1", "10.42.0.2"))) == [
        "node1: ip address add 192.168.50.4/32 dev lo",
        "node1: ip address del 192.168.50.4/24 dev lo",
    ]


def test_an_address_too_many_beside_one_with_a_host_prefix_goes() -> None:
    """The router leads to the other one; with a host prefix this one would stay what the station sends from."""
    network = after(healthy("proxy-arp-off"), "pod1: ip address add 10.65.0.7/24 dev eth0")
    assert said(chosen(network, ask("pod1", "10.65.0.3"))) == ["pod1: ip address del 10.65.0.7/24 dev eth0"]


def test_a_throw_route_on_the_way_of_a_tunnel() -> None:
    """The tunnel's own packets find no way."""
    network = after(healthy("pod-out-of-the-far-bridge"), "node1: ip route add throw 192.168.50.0/25")
    assert named(network, "pod2", "10.42.0.1") == [["node1: ip route del throw 192.168.50.0/25"]]


def test_a_table_of_a_sender_that_is_empty_gets_the_router_beside_its_address() -> None:
    """The answer goes by main, and a router there would not have it from so far."""
    network = healthy("answer-by-the-wrong-provider")
    rule = PolicyRule(1000, 4, table=100, src="198.51.100.2/32")
    host = network["host"]
    routes = where(host.routes, table=100)
    assert [each.gateways for each in routes] == [["198.51.100.1"]]
    network = edited(network, "host", rules=(host.rules[0], rule, *host.rules[1:]), routes=without(host.routes, routes[0]))
    network = after(network, "cable: sysctl -w net.ipv4.conf.eth0.rp_filter=1", "host: ip route del 192.0.2.4/30 via 198.51.100.1 dev eth1")
    found = chosen(network, ask("internet", "198.51.100.2"))
    assert said(found) == ["host: ip route add default via 198.51.100.1 dev eth1 table 100"]


def test_a_route_to_a_station_that_nobody_is_is_not_what_went_with_an_interface() -> None:
    """Another router has a mistyped address: that is wrong as well, and no route by the interface was there."""
    network = after(
        edited(square(), "server", neighbours=()),
        "r2: ip address del 172.16.2.1/24 dev dmz",
        "r2: ip address add 174.16.2.1/24 dev dmz",
        "server: ip link set dev eth0 down",
    )
    assert named(network, "pc", "192.0.2.80") == [
        ["server: ip link set dev eth0 up"],
        ["r2: ip address add 172.16.2.1/24 dev dmz", "r2: ip address del 174.16.2.1/24 dev dmz"],
    ]


def test_what_a_tunnel_sends_is_no_answer_for_a_firewall() -> None:
    """Its packets go to the tunnel's port in both directions, and come from another one for each flow inside."""
    network = ruled(
        healthy("pod-out-of-the-far-bridge"), "node2", "filter", ":INPUT DROP [0:0]", ":FORWARD ACCEPT [0:0]", ":OUTPUT ACCEPT [0:0]"
    )
    pods = [(network[name], network[name].link_named("eth0"), own) for name, own in (("pod1", "10.42.0.1"), ("pod2", "10.42.0.2"))]
    for (pod, link, _), (_, far, address) in zip(pods, reversed(pods), strict=True):
        assert link is not None
        assert far is not None
        network = edited(network, pod.name, neighbours=(Neighbour(link.index, address, far.mac, "permanent"),))
    assert said(chosen(network, ask("pod2", "10.42.0.1"))) == ["node2: iptables -I INPUT -i u0 -p udp --dport 4789 -j ACCEPT"]


def test_whoever_takes_a_packet_for_himself_by_his_loopback_lets_it_go_on() -> None:
    """An address of a neighbour's, and a bridge that forwards nothing between the two: that is fewer hops than there were to itself."""
    network = after(edited(tutorial(), "c1", sockets=()), "c1: ip address add 172.17.0.3/32 dev lo")
    bridge = "\n".join(("*filter", ":INPUT ACCEPT", ":FORWARD ACCEPT", ":OUTPUT ACCEPT", "-A FORWARD -p IPv4 -j DROP", ""))
    network = edited(network, "host", ruleset=Ruleset(tables=tuple(read_save(bridge, "ebtables", "bridge"))))
    network = edited(network, "c2", sockets=(Socket("tcp", "0.0.0.0", 80, "listen"),))
    own, far = (network[name].link_named("eth0") for name in ("c1", "c2"))
    assert own is not None
    assert far is not None
    network = edited(network, "c1", neighbours=(Neighbour(own.index, "172.17.0.3", far.mac, "permanent"),))
    found = named(network, "c1", "172.17.0.3", 80)
    assert found[0] == ["c1: ip address del 172.17.0.3/32 dev lo"]
    assert found[1][0].startswith("host: ebtables -D FORWARD")


def test_a_bridge_whose_own_entry_another_one_stands_for() -> None:
    """Without an entry for its own MAC a bridge takes up nothing: to delete the wrong one is not enough."""
    network = tutorial()
    host, bridge = network["host"], network["host"].link_named("docker0")
    assert bridge is not None
    ports = host.ports(bridge)
    made = tuple(FdbEntry(port.index, port.mac, bridge.index, state="permanent", local=True) for port in ports)
    own = FdbEntry(bridge.index, bridge.mac, bridge.index, state="permanent", local=True)
    assert not named(edited(network, "host", fdb=(own, *made)), "c1", "172.17.0.1")
    network = edited(network, "host", fdb=(*made, FdbEntry(ports[0].index, bridge.mac, bridge.index, state="static")))
    line = f"host: bridge fdb replace {bridge.mac} dev docker0 self permanent"
    assert named(network, "c1", "172.17.0.1") == [[line]]
    network = after(network, f"host: bridge fdb del {bridge.mac} dev {ports[0].name} master")
    assert named(network, "c1", "172.17.0.1") == [[line]]


def test_a_bridge_of_which_all_entries_were_taken_away() -> None:
    """`bridge fdb flush` takes along what the kernel had made: nothing of the ports tells that the bridge's own was read."""
    network = tutorial()
    bridge = network["host"].link_named("docker0")
    assert bridge is not None
    assert bridge.bridge is not None
    network = relinked(network, "host", "docker0", bridge=replace(bridge.bridge, emptied=True))
    assert named(network, "c1", "172.17.0.1") == [[f"host: bridge fdb replace {bridge.mac} dev docker0 self permanent"]]


def test_a_router_that_does_not_forward_is_one_though_nobody_sends_to_it() -> None:
    """It knows a way on by another side: the route to it, and then that it is to forward."""
    network = after(tutorial(), "host: sysctl -w net.ipv4.ip_forward=0", "red: ip route del default via 10.0.0.1 dev eth0")
    found = named(network, "red", "8.8.8.8")
    assert found[0][0].startswith("red: ip route add default via 10.0.0.1")
    assert found[1:] == [["host: sysctl -w net.ipv4.ip_forward=1"]]


def of_ipv6() -> Snapshot:
    return healthy("nd-filtered-in-the-container")


def test_who_asks_is_not_given_the_address_that_it_asks_for() -> None:
    """Nobody has it, as its station is off, and the asker has none."""
    network = after(of_ipv6(), "c1: ip address del fd00:172:17::2/64 dev eth0", "c2: ip link set dev eth0 down")
    assert said(chosen(network, ask("c1", "fd00:172:17::3"))) == ["c1: ip address add ADDRESS/64 dev eth0"]


def test_what_is_plainly_off_is_switched_on_though_something_must_be_added_behind_it() -> None:
    """A cable, and behind it a station whose address is another one: neither alone would help."""
    port = next(link.name for link in of_ipv6()["host"].links if link.far_end and link.name.startswith("veth9b"))
    network = after(
        of_ipv6(),
        f"host: ip link set dev {port} down",
        "c2: ip address del fd00:172:17::3/64 dev eth0",
        "c2: ip address add fd00:172:17::37/64 dev eth0",
    )
    assert named(network, "c1", "fd00:172:17::3") == [
        [f"host: ip link set dev {port} up"],
        ["c2: ip address add fd00:172:17::3/64 dev eth0"],
    ]


def test_what_stands_behind_a_published_port_where_no_program_is() -> None:
    """Its station has no way back either, which is told at once."""
    network = edited(healthy("published-port-not-for-the-host-itself"), "c2", sockets=())
    network = replace(after(network, "c2: ip route replace default via 172.17.9.9 dev eth0 onlink"), answers=())
    asked = probe("red", "203.0.113.2", Protocol.TCP, source_port=40000)
    asked = replace(asked, destination=replace(asked.destination, port=8080))
    found = predict(network, asked, ask=False)
    assert isinstance(found, Prediction)
    report = diagnose("why", found.probe, network, found, None, frozenset(), explain)
    assert [each.code for each in report.causes[:1]] == ["dnat-dead-target"]
    assert [each.code for each in with_outlook(report, look(report, network, explain)).blockers] == ["route-wrong-nexthop"]


def local() -> Snapshot:
    """A host that is asked by itself for what it publishes."""
    return replace(healthy("published-port-not-for-the-host-itself"), answers=())


def test_a_rule_is_not_led_elsewhere_where_two_things_are_plainly_wrong_on_its_way() -> None:
    """A program of another station waits on the same port; its own is silent, and the bridge has no address."""
    network = after(local(), "c2: ip link set dev eth0 arp off", "host: ip address del 172.17.0.1/16 dev docker0")
    asked = probe("host", "203.0.113.2", Protocol.TCP, source_port=40000)
    asked = replace(asked, destination=replace(asked.destination, port=8080))
    assert said(chosen(network, asked)) == ["host: ip address add 172.17.0.1/16 dev docker0"]


def test_an_answer_goes_another_way_no_sooner_than_the_router_on_its_own_is_asked() -> None:
    """A gateway that nobody has is what is wrong, wherever on the way back."""
    network = after(square(), "r2: ip route replace 10.1.1.0/24 via 10.1.2.60 dev lan onlink")
    assert said(chosen(network, ask("pc", "192.0.2.80"))) == ["r2: ip route replace 10.1.1.0/24 via 10.1.2.10 dev lan"]


def test_nobody_is_his_own_gateway() -> None:
    """The gateway of a default route is mistyped, and nobody has it; the sender has no address."""
    network = after(
        replace(healthy("published-port-exempted-for-a-bridge"), answers=()),
        "red: ip address del 10.0.0.2/32 dev eth0",
        "red: ip route replace default via 10.0.0.52 dev eth0 onlink",
    )
    assert not any("10.0.0.52/" in line for line in said(chosen(network, ask("red", "203.0.113.2"))))


def test_what_comes_to_life_and_has_an_address_of_another_network() -> None:
    """No route by a gateway without a network went along: it has kept its own address, and that is mistyped."""
    network = after(
        tutorial(),
        "internet: ip address del 203.0.113.1/24 dev eth0",
        "internet: ip address add 203.3.113.1/24 dev eth0",
        "internet: ip link set dev eth0 down",
    )
    assert said(chosen(network, ask("internet", "203.0.113.2"))) == ["internet: ip link set dev eth0 up"]


def test_what_stops_an_answer_stands_before_a_way_around_it() -> None:
    """By the other router the server would need a route; by its own what drops the packet there can go as well."""
    network = ruled(square(), "r2", "filter", ":INPUT ACCEPT [0:0]", ":FORWARD ACCEPT [0:0]", ":OUTPUT ACCEPT [0:0]", "-A FORWARD -j DROP")
    network = after(network, "server: ip link set dev eth1 arp off")
    assert named(network, "pc", "192.0.2.80") == [["server: ip link set dev eth1 arp on"], ["r2: iptables -D FORWARD -j DROP"]]
