"""What somebody mistyped, and what is beside it as it should be."""

from __future__ import annotations

from typing import Any

import pytest
from literal_rules import iptables, nft_table
from msgspec.structs import replace
from networks import edited, probe, relinked, tutorial, with_link_locals
from test_repair_whole import after, ask, chosen, healthy, said

from netprobe.model import Probe, Protocol, Snapshot, Socket


def test_a_bridge_that_hands_nothing_on_was_no_gateway_where_a_router_is_of_its_network() -> None:
    """c2 was the gateway and got another address: c1, or c2, is to be told, and not a switch made a router."""
    lines = ("host: ip address del 172.17.0.1/16 dev docker0", "c2: ip address del 172.17.0.3/16 dev eth0")
    more = ("c2: ip address add 172.17.0.9/16 dev eth0", "c2: ip address add 192.0.2.9/32 dev lo")
    network = after(tutorial(), *lines, *more)
    network = edited(network, "c2", sysctls={"net.ipv4.ip_forward": "1"})
    alone = tuple(each for each in network["host"].addresses if each.index == 1)
    network = edited(network, "host", sysctls={"net.ipv4.ip_forward": "0"}, addresses=alone, routes=())
    found = chosen(network, ask("c1", "192.0.2.9"))
    assert said(found)[0].partition(":")[0] in ("c1", "c2")


def test_a_route_to_another_router_starts_no_program() -> None:
    """The packet is with who has its destination; by another way it would be lost before."""
    lines = ("host: ip address add 192.0.2.9/32 dev lo", "c1: ip route add 192.0.2.0/24 via 172.17.0.1 dev eth0")
    network = after(tutorial(), *lines, "c2: ip route add 192.0.2.0/24 via 172.17.0.9 dev eth0")
    network = edited(network, "host", sockets=(Socket("tcp", "0.0.0.0", 80, "listen"),))
    asked = probe("c1", "192.0.2.9", Protocol.TCP, source_port=40000)
    found = chosen(network, replace(asked, destination=replace(asked.destination, port=22)))
    assert found.stop.code == "port-closed"


def test_the_local_route_of_a_tunnels_end_is_given_back_whatever_travels_in_it() -> None:
    """IPv6 in a tunnel over IPv4."""
    ends = ("node1: ip address add fd77::1/64 dev flannel.1", "node2: ip address add fd77::2/64 dev flannel.1")
    known = (
        "node1: ip neigh add fd77::2 lladdr 02:00:00:00:42:02 dev flannel.1 nud permanent",
        "node2: ip neigh add fd77::1 lladdr 02:00:00:00:42:01 dev flannel.1 nud permanent",
    )
    network = after(healthy("forwarding-entry-missing"), *ends, *known)
    found = chosen(after(network, "node1: ip route del local 192.168.50.1 dev u0 table local"), ask("node2", "fd77::1"))
    words = "ip route replace local 192.168.50.1/32 dev u0 table local proto kernel scope host src 192.168.50.1"
    assert said(found) == [f"node1: {words}"]


def test_a_map_of_addresses_leads_to_no_chain() -> None:
    """A chain that nothing names is lost beside it as well."""
    came: dict[str, Any] = {"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "br0"}}
    of_them: dict[str, Any] = {"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": "icmp"}}
    verdicts = {"vmap": {"key": {"meta": {"key": "l4proto"}}, "data": {"set": [["icmp", {"drop": None}]]}}}
    ruleset = nft_table(
        {"map": {"name": "backs", "handle": 1, "type": "mark", "map": "ipv4_addr", "elem": [[1, "10.1.0.2"]]}},
        {"chain": {"name": "f", "handle": 2, "type": "filter", "hook": "forward", "prio": 0, "policy": "drop"}},
        {"chain": {"name": "led", "handle": 3}},
        {"chain": {"name": "lost", "handle": 4}},
        {"rule": {"chain": "f", "handle": 11, "expr": [came, {"jump": {"target": "led"}}]}},
        {"rule": {"chain": "f", "handle": 12, "expr": [{"accept": None}]}},
        {"rule": {"chain": "led", "handle": 13, "expr": [verdicts]}},
        {"rule": {"chain": "lost", "handle": 14, "expr": [of_them, {"accept": None}]}},
    )
    found = chosen(edited(tutorial(), "host", ruleset=ruleset), ask("red", "8.8.8.8"))
    assert said(found)[0].endswith("jump lost")


@pytest.mark.parametrize(("words", "code"), [("id 7 dstport 8472", "vxlan-vni-mismatch"), ("id 1 dstport 8427", "vxlan-port-mismatch")])
def test_the_rules_of_a_far_end_know_the_port_of_a_tunnel(words: str, code: str) -> None:
    """Its policy refuses what has another one: nothing is to be let in for that."""
    near = f"node1: ip link add flannel.1 address 02:00:00:00:42:01 type vxlan {words} local 192.168.50.1 dev u0 nolearning"
    more = (
        "node1: ip link set dev flannel.1 up",
        "node1: ip address add 10.244.1.0/32 dev flannel.1",
        "node1: ip neigh replace 10.244.2.0 lladdr 02:00:00:00:42:02 dev flannel.1 nud permanent",
        "node1: bridge fdb append 02:00:00:00:42:02 dev flannel.1 dst 192.168.50.2",
        "node1: ip route add 10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink",
    )
    lines = ("-m conntrack --ctstate ESTABLISHED", "-i flannel.1", "-p udp -m udp --dport 8472")
    allowed = "\n".join(f"-A INPUT {line} -j ACCEPT" for line in lines)
    rules = iptables(f"*filter\n:INPUT DROP [0:0]\n{allowed}\nCOMMIT\n")
    network = edited(healthy("forwarding-entry-missing"), "node2", ruleset=rules)
    found = chosen(after(network, "node1: ip link del flannel.1", near, *more), ask("pod1", "10.244.2.2"))
    assert (found.stop.code, found.stop.place.namespace) == (code, "node1")


def test_what_a_tunnel_is_sent_is_let_in_by_the_port_that_was_meant() -> None:
    """8427 for 8472, which nothing listens on but the tunnel."""
    lines = ("-m conntrack --ctstate ESTABLISHED", "-i flannel.1", "-s 192.168.50.1/32 -p udp -m udp --dport 8427")
    allowed = "\n".join(f"-A INPUT {line} -j ACCEPT" for line in lines)
    rules = iptables(f"*filter\n:INPUT DROP [0:0]\n{allowed}\nCOMMIT\n")
    found = chosen(edited(healthy("forwarding-entry-missing"), "node2", ruleset=rules), ask("pod1", "10.244.2.2"))
    assert said(found) == ["node2: iptables -R INPUT 3 -s 192.168.50.1/32 -p udp -m udp --dport 8472 -j ACCEPT"]


def without_ipv6(snapshot: Snapshot, name: str, interface: str) -> Snapshot:
    """What an interface had of IPv6 is gone."""
    there, [link] = snapshot[name], [each for each in snapshot[name].links if each.name == interface]
    addresses = tuple(each for each in there.addresses if (each.version, each.index) != (6, link.index))
    routes = tuple(each for each in there.routes if each.version != 6 or link.index not in each.indexes)
    sysctls = {key: value for key, value in there.sysctls.items() if not key.startswith(f"net.ipv6.conf.{interface}.")}
    return edited(snapshot, name, addresses=addresses, routes=routes, sysctls=sysctls)


def test_a_station_beside_that_has_no_address_is_no_one_elses_fault() -> None:
    """docker0 lost IPv6 with its MTU; that c2 has no address of that network may be meant, and c1 asks for the gateway."""
    network = healthy("nd-filtered-in-the-container")
    network = without_ipv6(without_ipv6(network, "c2", "eth0"), "host", "docker0")
    found = chosen(relinked(network, "host", "docker0", mtu=140), ask("c1", "fd00:10::2"))
    assert said(found) == ["host: ip link set dev docker0 mtu 1280", "host: ip address add fd00:172:17::1/64 dev docker0"]


def test_what_a_tunnel_sends_to_one_address_of_a_node_is_not_to_go_to_another() -> None:
    """node2 refuses what comes by IPv4, and has an address of IPv6 as well."""
    ends = ("node1: ip address add fd16::1/64 dev u0", "node2: ip address add fd16::2/64 dev u0")
    rules = iptables("*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -d 192.168.50.0/24 -j DROP\nCOMMIT\n")
    network = edited(after(with_link_locals(healthy("forwarding-entry-missing")), *ends), "node2", ruleset=rules)
    for name, (_, vxlan) in [(name, *network[name].vxlans) for name in ("node1", "node2")]:
        network = relinked(network, name, "flannel.1", vxlan=replace(vxlan, local=None))
    assert said(chosen(network, ask("pod1", "10.244.2.2"))) == ["node2: iptables -D INPUT -d 192.168.50.0/24 -j DROP"]


def of_tcp(source: str, dst: str, port: int) -> Probe:
    asked = probe(source, dst, Protocol.TCP, source_port=40000)
    return replace(asked, destination=replace(asked.destination, port=port))


@pytest.mark.parametrize(("taken", "code"), [((), "dnat-missing"), ((8800,), "port-closed")])
def test_a_port_from_which_a_rule_leads_is_mistyped(taken: tuple[int, ...], code: str) -> None:
    """The other one is nobody's: what is for 8080 was to go to a proxy; where a program has that one, both may be meant."""
    rule = "-A PREROUTING -i br0 -p tcp -m tcp --dport 8800 -j REDIRECT --to-ports 3128"
    ruleset = iptables(f"*nat\n:PREROUTING ACCEPT [0:0]\n{rule}\nCOMMIT\n")
    network = edited(tutorial(), "host", ruleset=ruleset, sockets=(Socket("tcp", "0.0.0.0", 3128, "listen"),))
    network = edited(network, "c1", sockets=tuple(Socket("tcp", "0.0.0.0", port, "listen") for port in taken))
    found = chosen(network, of_tcp("red", "172.17.0.2", 8080))
    assert found.stop.code == code
    assert taken or said(found)[0].startswith("host: iptables -t nat -R PREROUTING 1 -i br0 -p tcp -m tcp --dport 8080 ")


def test_a_port_that_a_rule_accepts_is_mistyped() -> None:
    lines = ("-m conntrack --ctstate ESTABLISHED", "-p tcp -m tcp --dport 433")
    accepted = "\n".join(f"-A FORWARD {line} -j ACCEPT" for line in lines)
    network = edited(tutorial(), "host", ruleset=iptables(f"*filter\n:FORWARD DROP [0:0]\n{accepted}\nCOMMIT\n"))
    network = edited(network, "c1", sockets=(Socket("tcp", "0.0.0.0", 443, "listen"),))
    found = chosen(network, of_tcp("red", "172.17.0.2", 443))
    assert said(found) == ["host: iptables -R FORWARD 2 -p tcp -m tcp --dport 443 -j ACCEPT"]


@pytest.mark.parametrize(
    ("chain", "rule", "port", "mistyped"),
    [
        ("FORWARD", "-p tcp -m tcp --dport 443", 4443, False),  # of all the world's servers
        ("FORWARD", "-p tcp -m tcp --dport 8081", 8080, False),  # where the usual port was not free
        ("FORWARD", "-p tcp -m tcp --dport 7001", 7002, False),  # of one that nobody sees
        ("FORWARD", "-d 172.17.0.2/32 -p tcp -m tcp --dport 7001", 7101, True),
        ("INPUT", "-p tcp -m tcp --dport 80", 88, False),  # of a server that does not run
        ("INPUT", "-p tcp -m tcp --dport 7001", 7101, True),
    ],
)
def test_a_port_that_may_be_of_servers_out_of_sight_is_not_mistyped(chain: str, rule: str, port: int, mistyped: bool) -> None:
    name = {"FORWARD": "host", "INPUT": "c1"}[chain]
    accepted = f"-A {chain} -m conntrack --ctstate ESTABLISHED -j ACCEPT\n-A {chain} {rule} -j ACCEPT"
    network = edited(tutorial(), "c1", sockets=(Socket("tcp", "0.0.0.0", port, "listen"),))
    network = edited(network, name, ruleset=iptables(f"*filter\n:{chain} DROP [0:0]\n{accepted}\nCOMMIT\n"))
    assert ("-R" in said(chosen(network, of_tcp("red", "172.17.0.2", port)))[0]) is mistyped


@pytest.mark.parametrize(("published", "port", "name"), [(8080, 8081, "PUBLISHED"), (8081, 8080, "PUBLISHED"), (8800, 8080, "DOCKER")])
def test_what_is_published_by_another_port_is_for_that_one(published: int, port: int, name: str) -> None:
    """Nobody listens on it, for it is led on; who asks for another one is wrong, and an engine does not mistype."""
    rules = f"-A PREROUTING -j {name}\n-A {name} -p tcp -m tcp --dport {published} -j DNAT --to-destination 172.17.0.2:80"
    ruleset = iptables(f"*nat\n:PREROUTING ACCEPT [0:0]\n:{name} - [0:0]\n{rules}\nCOMMIT\n")
    network = edited(tutorial(), "c1", sockets=(Socket("tcp", "0.0.0.0", 80, "listen"),))
    network = edited(network, "host", ruleset=ruleset, sockets=(Socket("tcp", "0.0.0.0", 22, "listen"),))
    assert chosen(network, of_tcp("internet", "203.0.113.2", port)).stop.code == "port-closed"


def test_the_address_of_a_cable_of_two_is_mistyped() -> None:
    """RFC 3021: of two addresses one is the neighbour's, and the other one is free."""
    network = after(
        tutorial(),
        "internet: ip address add 203.0.113.3/31 dev eth0",
        "internet: ip address del 203.0.113.1/24 dev eth0",
        "internet: ip route replace 10.0.0.0/16 via 203.0.113.2 dev eth0 src 203.0.113.3",
        "host: ip address del 203.0.113.2/24 dev eth0",
        "host: ip address add 203.0.133.2/31 dev eth0",
        "host: ip route replace default via 203.0.113.3 dev eth0 onlink",
    )
    found = chosen(network, ask("internet", "10.0.0.2"))
    lines = ["host: ip address add 203.0.113.2/31 dev eth0", "host: ip address del 203.0.133.2/31 dev eth0"]
    assert (found.stop.code, said(found)[:2]) == ("addr-wrong-subnet", lines)
