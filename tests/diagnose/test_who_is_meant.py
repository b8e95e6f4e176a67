"""Several ends that do not fit each other: the one that fewer of the others name is the one that is wrong."""

from __future__ import annotations

import pytest
from diagnose.test_rather_two import ruled
from diagnose.test_repair_whole import after, ask, chosen, healthy, said
from diagnose.test_two_at_once import named
from diagnose.test_two_by_two import offices
from msgspec.structs import replace
from predict.networks import edited, probe

from netprobe.model import Protocol, Snapshot
from netprobe.model.lookup import where


def routed_overlay() -> Snapshot:
    """Two nodes, each with pods and a tunnel to the other one that has no network of its own."""
    return healthy("tunnel-neighbour-missing")


def of_one_version() -> Snapshot:
    """Two offices in which nobody has heard of anybody, nor of IPv6."""
    network = offices()
    for name, there in network.namespaces.items():
        routes, addresses = where(there.routes, version=4), where(there.addresses, version=4)
        network = edited(network, name, routes=routes, addresses=addresses, neighbours=())
    return network


def test_an_end_of_a_tunnel_has_the_address_to_which_the_other_end_sends() -> None:
    network = after(routed_overlay(), "node2: ip address del 10.244.2.0/32 dev flannel.1")
    found = chosen(network, ask("pod1", "10.244.2.2"))
    assert (found.stop.code, found.stop.place.namespace, found.stop.place.interface) == ("addr-missing", "node2", "flannel.1")
    assert said(found)[0] == "node2: ip address add 10.244.2.0/32 dev flannel.1"
    assert said(found)[-1] == "node2: ip route add 10.244.1.0/24 via 10.244.1.0 dev flannel.1 onlink"


def test_an_end_of_a_tunnel_has_the_address_that_is_on_another_interface() -> None:
    """What led by the tunnel went with it: the route, and who is there."""
    network = after(
        routed_overlay(),
        "node1: ip address del 10.244.1.0/32 dev flannel.1",
        "node1: ip address add 10.244.1.0/32 dev vpod",
    )
    known = [each for each in network["node1"].neighbours if each.address != "10.244.2.0"]
    found = chosen(edited(network, "node1", neighbours=(*known,)), ask("pod1", "10.244.2.2"))
    assert found.stop.code == "addr-missing"
    assert said(found) == [
        "node1: ip address del 10.244.1.0/32 dev vpod",
        "node1: ip address add 10.244.1.0/32 dev flannel.1",
        "node1: ip neigh replace 10.244.2.0 lladdr 02:00:00:00:42:02 dev flannel.1 nud permanent",
        "node1: ip route add 10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink",
    ]


def test_a_gateway_that_one_alone_sends_to_and_nobody_has() -> None:
    """The router beside it has the number that it has on its other side: it is not the one to get another address."""
    network = after(of_one_version(), "pc: ip route replace default via 10.1.0.3 dev eth0")
    found = chosen(network, ask("server", "10.1.0.10"))
    assert said(found) == ["pc: ip route replace default via 10.1.0.1 dev eth0"]
    second = {other.stop.code: other.reason for other in found.others}
    assert second["addr-missing"] == "fewer of the others name its addresses"


def test_the_address_that_the_router_has_on_no_side_is_mistyped() -> None:
    """Whoever is nearer: the others have it as their gateway, and the router's other sides end so."""
    network = after(of_one_version(), "r1: ip address add 10.1.0.65/24 dev lan", "r1: ip address del 10.1.0.1/24 dev lan")
    assert said(chosen(network, ask("pc", "10.2.0.10")))[0] == "r1: ip address add 10.1.0.1/24 dev lan"


def test_a_router_with_a_network_on_each_side_but_one() -> None:
    """Nothing leads by that side: its address was not meant to be a host's."""
    network = after(
        offices(),
        "r2: ip address del 10.9.0.2/30 dev wan",
        "r2: ip address add 10.9.0.2/32 dev wan",
    )
    found = chosen(network, ask("server", "10.1.0.10"))
    assert (found.stop.code, found.stop.place.namespace, found.stop.place.interface) == ("addr-wrong-prefix", "r2", "wan")


@pytest.mark.parametrize("forwarding", ["1", "0"])
def test_who_forwards_at_the_other_end_of_a_cable_is_the_gateway_though_he_has_lost_his_other_side(forwarding: str) -> None:
    network = after(offices(), "pc: ip route del default via 10.1.0.1 dev eth0", "r1: ip link del dev wan")
    settings = {**network["r1"].sysctls, "net.ipv4.ip_forward": forwarding, "net.ipv4.conf.lan.forwarding": forwarding}
    network = edited(network, "r1", sysctls=settings)
    first = said(chosen(network, ask("pc", "10.2.0.10")))[0]
    assert (first == "pc: ip route add default via 10.1.0.1") is (forwarding == "1")


def test_a_pc_in_which_a_router_s_end_lies_is_no_router() -> None:
    """It would have the address that the server sends to for the world; and no route of its own goes for another one."""
    network = after(
        offices(),
        "r2: ip route del default via 10.9.0.1 dev wan",
        "r2: ip route add 10.1.0.0/24 via 10.9.0.1",
        "server: ip address add 10.1.0.113/24 dev eth0",
        "r2: ip link set dev lan netns pc",
    )
    found = chosen(network, ask("pc", "10.2.0.10"))
    assert (found.stop.code, found.stop.place.namespace) == ("link-missing", "r2")
    assert said(found)[0] == "pc: ip link set dev lan netns r2"


@pytest.mark.parametrize(
    ("lost", "off"),
    [("192.0.2.5/30 dev core", "eth0"), ("198.51.100.1/24 dev eth0", "core")],
)
def test_a_rule_that_has_led_to_a_router_is_not_what_is_wrong(lost: str, off: str) -> None:
    """Without it packets would go by the other uplink, and what the router lacks stays away."""
    network = after(healthy("strict-rp-filter-for-all"), f"fibre: ip address del {lost}", f"fibre: ip link set dev {off} arp off")
    assert said(chosen(network, ask("pc", "8.8.8.8")))[0] == f"fibre: ip address add {lost}"


def in_a_table(*routes: str) -> Snapshot:
    """Two offices whose routes to each other are in a table to which no rule leads."""
    network = after(offices(), "r1: ip route del 10.2.0.0/24 via 10.9.0.2 dev wan")
    return after(network, *(f"r1: ip route add {route} dev wan table 100" for route in routes))


def test_a_table_of_several_routes_has_lost_its_rule() -> None:
    network = in_a_table("10.2.0.0/24 via 10.9.0.2", "10.9.0.0/30")
    assert said(chosen(network, ask("pc", "10.2.0.10"))) == ["r1: ip rule add from 10.1.0.10 lookup 100"]


def test_an_answer_has_the_table_that_leads_to_the_very_network() -> None:
    """Daemons keep routes to others' networks in a table of their own; the default leads elsewhere."""
    network = after(
        offices(),
        "r2: ip route del default via 10.9.0.1 dev wan",
        "r2: ip route add default via 10.2.0.10 dev lan",
        "r2: ip route add 10.1.0.0/24 via 10.9.0.1 dev wan table 100",
    )
    assert said(chosen(network, ask("pc", "10.2.0.10"))) == ["r2: ip rule add from 10.2.0.10 lookup 100"]


def test_a_table_of_one_route_got_it_by_mistake() -> None:
    network = in_a_table("10.2.0.0/24 via 10.9.0.2")
    assert chosen(network, ask("pc", "10.2.0.10")).stop.code == "no-route"


@pytest.mark.parametrize(("asked", "code"), [("10.1.0.1", "port-closed"), ("10.9.0.1", "dnat-missing")])
def test_what_is_published_for_another_side_is_not_what_is_asked_for_on_this(asked: str, code: str) -> None:
    """By the inner address a program of the router itself is meant; by the outer one, what others get there."""
    published = "-A PREROUTING -i wan -p tcp -m tcp --dport 22 -j DNAT --to-destination 10.1.0.10"
    network = edited(ruled(offices(), "r1", "nat", ":PREROUTING ACCEPT [0:0]", published), "r1", sockets=())
    knocking = probe("pc", asked, Protocol.TCP, source_port=40000)
    knocking = replace(knocking, destination=replace(knocking.destination, port=22))
    assert chosen(network, knocking).stop.code == code


def test_that_another_who_has_the_address_answers_is_a_detour() -> None:
    """With the router's address on the bridge its route to the first one is gone: the second one would answer, and nobody else."""
    network = after(
        of_one_version(),
        "server: ip address add 192.0.2.53/32 dev lo",
        "server: sysctl -w net.ipv4.icmp_echo_ignore_all=1",
        "r1: ip address add 192.0.2.53/32 dev lo",
        "r2: ip route add 192.0.2.53/32 via 10.2.0.10 dev lan",
        "r2: ip link add br9 type bridge",
        "r2: ip link set br9 up",
        "r2: ip link set lan master br9",
    )
    found = chosen(network, ask("r2", "192.0.2.53"))
    assert (found.stop.code, said(found)) == ("port-wrong-bridge", ["r2: ip link set dev lan nomaster"])


def test_nobody_is_given_the_address_that_he_asks_others_for() -> None:
    network = after(
        healthy("macvlan-private"),
        "router: ip address del 192.168.1.1/24 dev eth0",
        "router: ip address add 192.170.1.1/24 dev eth0",
        "tv: ip address del 192.168.1.52/24 dev eth0",
    )
    assert "router: ip address add 192.168.1.52/24 dev eth0" not in said(chosen(network, ask("router", "192.168.1.52")))


def test_a_router_that_has_the_network_on_its_other_side_and_does_not_forward_yet() -> None:
    """Both are wrong: that it is not led to, and that it would hand nothing on."""
    network = after(of_one_version(), "r2: sysctl -w net.ipv4.ip_forward=0", "r1: ip route del 10.2.0.0/24 via 10.9.0.2 dev wan")
    assert named(network, "pc", "10.2.0.10") == [
        ["r1: ip route add default via 10.9.0.2"],
        ["r2: sysctl -w net.ipv4.ip_forward=1"],
    ]


def test_a_station_without_a_network_has_a_route_to_its_gateway() -> None:
    """Who answers for that has no such address, nor needs it."""
    network = after(
        healthy("proxy-arp-off"),
        *(f"{pod}: ip route del default via 169.254.1.1 dev eth0" for pod in ("pod1", "pod2")),
        "pod1: ip route add unreachable default",
    )
    assert named(network, "pod1", "10.65.0.3") == [
        ["pod1: ip route del unreachable default", "pod1: ip route add default via 169.254.1.1"],
        ["pod2: ip route add default via 169.254.1.1"],
    ]


@pytest.mark.parametrize("interface", ["cali1", "cali2"])
def test_a_proxy_answers_by_its_policy_rules(interface: str) -> None:
    """What comes from one pod is refused: nobody answers it for its gateway then, or the packet dies (arp_process)."""
    network = after(
        healthy("proxy-arp-off"),
        "host: ip route add prohibit default table 78",
        f"host: ip rule add pref 100 iif {interface} lookup 78",
    )
    assert said(chosen(network, ask("pod1", "10.65.0.3"))) == [f"host: ip rule del pref 100 from all iif {interface} lookup 78"]
