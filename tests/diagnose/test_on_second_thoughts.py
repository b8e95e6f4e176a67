"""What is not where one looks first: the table, the set, the source or the device behind the thing that refuses."""

from __future__ import annotations

from typing import Any

import networks
import pytest
from literal_rules import DROP, iptables, nft_table, payload, test
from msgspec.structs import replace
from networks import edited, relinked, tutorial
from test_beside import chosen, kernel, lines

from netprobe.diagnose.repair import choice
from netprobe.model import (
    Bridge,
    Endpoint,
    InterfaceAddress,
    Link,
    LinkRef,
    Namespace,
    Neighbour,
    PolicyRule,
    Protocol,
    Route,
    Snapshot,
    Socket,
    Stop,
)
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction


def nat(*rules: str) -> str:
    return "\n".join(("*nat", ":PREROUTING ACCEPT [0:0]", ":POSTROUTING ACCEPT [0:0]", *rules, "COMMIT"))


def about(stop: Stop) -> tuple[str, str | None, list[str]]:
    return stop.code, stop.place.namespace, lines(stop)


# ---- sources


def test_a_pool_lacks_the_one_address_that_this_packet_gets() -> None:
    host = tutorial()["host"]
    own = (InterfaceAddress(4, "203.0.113.10", 24), InterfaceAddress(4, "203.0.113.12", 24))
    local = networks.local("203.0.113.10", "203.0.113.12")
    rules = iptables(nat("-A POSTROUTING -o eth0 -j SNAT --to-source 203.0.113.10-203.0.113.12"))
    snapshot = edited(tutorial(), "host", addresses=(*host.addresses, *own), routes=(*local, *host.routes), ruleset=rules)
    assert about(chosen(snapshot, "red", "8.8.8.8")) == ("addr-missing", "host", ["ip address add 203.0.113.11/24 dev eth0"])


def test_the_first_address_is_not_the_one_that_the_route_out_asks_for() -> None:
    """MASQUERADE takes the first; the provider lets the other one pass, by which the host itself sends."""
    host = tutorial()["host"]
    addresses = tuple(InterfaceAddress(4, "203.0.113.66", 24) if each.address == "203.0.113.2" else each for each in host.addresses)
    addresses += (InterfaceAddress(4, "203.0.113.2", 24, flags=("secondary",)),)
    routes = tuple(replace(each, source="203.0.113.2") if each.is_default else each for each in host.routes)
    rules = iptables(nat("-A POSTROUTING -o eth0 -j MASQUERADE"))
    snapshot = edited(tutorial(), "host", addresses=addresses, routes=(*networks.local("203.0.113.66"), *routes), ruleset=rules)
    guarded = edited(
        snapshot, "internet", ruleset=iptables("*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -s 203.0.113.66/32 -j DROP\nCOMMIT")
    )
    fix = ["iptables -t nat -I POSTROUTING -s 10.0.0.0/16 -o eth0 -j SNAT --to-source 203.0.113.2"]
    assert about(chosen(guarded, "red", "8.8.8.8")) == ("nat-wrong-address", "host", fix)


def of_ipv6(preferred: str) -> Snapshot:
    """red and the internet on one segment of IPv6: red has a lasting and a temporary address, of which the far end knows the first."""
    spaces = []
    for name, number in (("red", 2), ("there", 5)):
        eth0 = networks.veth(2, "eth0", networks.MAC.format(7, number), 2, 0)
        own = (*networks.lo()[1], InterfaceAddress(2, f"fd00:20::{number}", 64))
        ways = (*networks.local(f"fd00:20::{number}"), kernel("fd00:20::/64", 2))
        sysctls = {"net.ipv6.conf.eth0.use_tempaddr": preferred} if name == "red" else {}
        spaces.append(Namespace(name, links=(networks.lo()[0], eth0), addresses=own, routes=ways, rules=networks.RULES, sysctls=sysctls))
    red, there = spaces
    red = replace(red, addresses=(*red.addresses, InterfaceAddress(2, "fd00:20::aaaa", 64, flags=("temporary",))),
                  routes=(*red.routes, *networks.local("fd00:20::aaaa")))  # fmt: skip
    accepts = "-A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 135 -j ACCEPT\n-A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 136 -j ACCEPT"
    rules = iptables(f"*filter\n:INPUT DROP [0:0]\n{accepts}\n-A INPUT -s fd00:20::2/128 -j ACCEPT\nCOMMIT", family="ip6")
    peers = tuple(networks.FoundPeer(name, 0, other) for name, other in (("red", "there"), ("there", "red")))
    return Snapshot({"red": red, "there": replace(there, ruleset=rules)}, peers)


def test_a_temporary_address_that_the_far_end_does_not_know() -> None:
    fix = ["sysctl -w net.ipv6.conf.eth0.use_tempaddr=1"]
    assert about(chosen(of_ipv6("2"), "red", "fd00:20::5")) == ("route-wrong-src", "red", fix)


@pytest.mark.parametrize(("length", "of_a_service"), [(128, True), (64, False)])
def test_an_address_of_a_service_is_no_source(length: int, of_a_service: bool) -> None:
    """Who announces it to a network is known there by its own address."""
    network = of_ipv6("0")
    red = network["red"]
    own = (*(each for each in red.addresses if each.address != "fd00:20::aaaa"), InterfaceAddress(2, "fd00:20::4", length))
    red = replace(red, addresses=own, routes=(*red.routes, *networks.local("fd00:20::4")))
    found = chosen(Snapshot({**network.namespaces, "red": red}, network.peers), "red", "fd00:20::5")
    fix = ["ip address change fd00:20::4/128 dev eth0 preferred_lft 0 valid_lft forever"]
    assert (about(found) == ("route-wrong-src", "red", fix)) is of_a_service


@pytest.mark.parametrize(("preferred", "source"), [("2", "fd00:20::aaaa"), ("1", "fd00:20::2"), ("0", "fd00:20::2")])
def test_a_temporary_address_is_the_source_where_it_is_preferred(preferred: str, source: str) -> None:
    found = networks.probe("red", "fd00:20::5", Protocol.ICMPV6)
    outcome = predict(of_ipv6(preferred), found, ask=False)
    assert getattr(outcome, "probe", found).source.address == source


# ---- a loopback


def test_an_address_of_a_loopback_with_the_length_of_a_network_makes_all_of_it_the_servers_own() -> None:
    """As on a real server of LVS: what the server answers to its clients comes back to itself."""
    c2 = tutorial()["c2"]
    own = InterfaceAddress(1, "172.17.0.20", 24)
    swallowed = Route("172.17.0.0/24", "local", 255, (networks.Nexthop(1),), scope="host", protocol="kernel")
    server = edited(tutorial(), "c2", addresses=(*c2.addresses, own), routes=(swallowed, *c2.routes))
    snapshot = edited(server, "c1", routes=(*server["c1"].routes, networks.via("172.17.0.20/32", "172.17.0.3", 2)))
    stop = chosen(snapshot, "c1", "172.17.0.20")
    assert about(stop) == ("martian-source", "c2", ["ip address add 172.17.0.20/32 dev lo", "ip address del 172.17.0.20/24 dev lo"])


def test_a_loopback_without_its_address() -> None:
    red = tutorial()["red"]
    bare = edited(tutorial(), "red", addresses=red.addresses[1:], routes=red.routes[1:])
    assert about(chosen(bare, "red", "127.0.0.1")) == ("addr-missing", "red", ["ip address add 127.0.0.1/8 dev lo"])


# ---- rules and sets


def in_a_set(kind: Any, *elements: Any) -> dict[str, Any]:
    return {"set": {"name": "known", "type": kind, "handle": 2, "flags": ["interval"], "elem": list(elements)}}


def test_a_set_of_pairs_lacks_the_port_with_the_senders_address() -> None:
    chain = {"chain": {"name": "f", "handle": 1, "type": "filter", "hook": "forward", "prio": 0, "policy": "accept"}}
    pair = {"concat": [{"meta": {"key": "iifname"}}, payload("ip", "saddr")]}
    held = in_a_set(["ifname", "ipv4_addr"], {"concat": ["vethc2", "172.17.0.3"]})
    accept = {"rule": {"chain": "f", "handle": 10, "expr": [test(pair, "@known"), {"accept": None}]}}
    drop = {"rule": {"chain": "f", "handle": 11, "expr": [test({"meta": {"key": "protocol"}}, "ip"), DROP]}}
    ports = edited(tutorial(), "host", ruleset=nft_table(chain, held, accept, drop, family="bridge"))
    fix = ['nft add element bridge t known { "vethc1" . 172.17.0.2 }']
    assert about(chosen(ports, "c1", "172.17.0.3")) == ("filtered-by-rule", "host", fix)


def test_a_set_of_stations_has_the_mac_that_the_sender_had_before() -> None:
    """It is the set that marks who may pass, and not that of the places to which all may."""
    mark = {"chain": {"name": "p", "handle": 1, "type": "filter", "hook": "prerouting", "prio": -150, "policy": "accept"}}
    chain = {"chain": {"name": "f", "handle": 2, "type": "filter", "hook": "forward", "prio": -1, "policy": "accept"}}
    stations = {"set": {"name": "auth", "type": "ether_addr", "handle": 3, "elem": ["0a:00:00:00:00:99", networks.MAC.format(4, 1)]}}
    places = {"set": {"name": "walled", "type": "ipv4_addr", "handle": 4, "elem": ["203.0.113.1"]}}
    marked = {"mangle": {"key": {"meta": {"key": "mark"}}, "value": 3}}
    known = {"rule": {"chain": "p", "handle": 9, "expr": [test(payload("ether", "saddr"), "@auth"), marked]}}
    passes = {"rule": {"chain": "f", "handle": 10, "expr": [test({"meta": {"key": "mark"}}, 3), {"accept": None}]}}
    free = {"rule": {"chain": "f", "handle": 11, "expr": [test(payload("ip", "daddr"), "@walled"), {"accept": None}]}}
    drop = {"rule": {"chain": "f", "handle": 12, "expr": [test({"meta": {"key": "iifname"}}, "br0"), DROP]}}
    snapshot = edited(tutorial(), "host", ruleset=nft_table(mark, chain, stations, places, known, passes, free, drop))
    fix = [f"nft add element inet t auth {{ {networks.MAC.format(1, 2)} }}"]
    assert about(chosen(snapshot, "red", "8.8.8.8")) == ("filtered-by-rule", "host", fix)


def test_a_bridge_has_not_the_mac_of_its_uplink_which_alone_may_pass() -> None:
    host = tutorial()["host"]
    wan = Link(9, "wan", "bridge", "8a:00:00:00:00:09", bridge=Bridge())
    snapshot = relinked(tutorial(), "host", "eth0", master=9, port=networks.BridgePort())
    links = (*snapshot["host"].links, wan)
    addresses = tuple(replace(each, index=9) if each.index == 4 else each for each in host.addresses)
    routes = tuple(
        replace(each, nexthops=tuple(replace(leg, index=9) if leg.index == 4 else leg for leg in each.nexthops)) for each in host.routes
    )
    snapshot = edited(snapshot, "host", links=links, addresses=addresses, routes=routes)
    chain = {"chain": {"name": "in", "handle": 1, "type": "filter", "hook": "ingress", "dev": "eth0", "prio": 0, "policy": "accept"}}
    guard = {"rule": {"chain": "in", "handle": 7, "expr": [test(payload("ether", "saddr"), networks.MAC.format(2, 4), "!="), DROP]}}
    guarded = edited(snapshot, "internet", ruleset=nft_table(chain, guard, family="netdev"))
    fix = [f"ip link set dev wan address {networks.MAC.format(2, 4)}"]
    assert about(chosen(guarded, "red", "8.8.8.8")) == ("mac-not-allowed", "host", fix)


def test_what_is_published_for_another_interface_and_not_let_in_either() -> None:
    """To let it in would lead to a port on which nobody listens."""
    rules = nat("-A PREROUTING -i eth0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80")
    both = iptables(f"{rules}\n*filter\n:INPUT DROP [0:0]\n:FORWARD ACCEPT [0:0]\nCOMMIT")
    other = edited(tutorial(), "host", ruleset=both, sockets=(Socket("tcp", "0.0.0.0", 22, "listen"),))
    server = edited(other, "c1", sockets=(Socket("tcp", "0.0.0.0", 80, "listen"),))
    asked = networks.probe("red", "203.0.113.2", Protocol.TCP)
    asked = replace(asked, destination=Endpoint("203.0.113.2", address="203.0.113.2", port=8080), icmp_id=None, source_port=40000)
    lost = predict(server, asked, ask=False)
    assert isinstance(lost, Prediction)
    assert lost.stop is not None
    stop = choice.choose(server, lost, lost.stop).stop
    fix = "iptables -t nat -A PREROUTING -p tcp -d 203.0.113.2 --dport 8080 -j DNAT --to-destination 172.17.0.2:80"
    assert about(stop) == ("dnat-missing", "host", [fix])


# ---- routes


def test_the_table_of_a_way_out_lacks_its_default_route() -> None:
    """As mwan3 leaves it behind: what is marked is looked up there, and refused else."""
    host = tutorial()["host"]
    second = Link(8, "eth1", "veth", networks.MAC.format(2, 8), link=LinkRef(3, 2))
    inet = tutorial()["internet"]
    far = networks.veth(3, "eth1", networks.MAC.format(3, 3), 8, 0)
    rules = (
        *host.rules, PolicyRule(2001, 4, table=1, mark=0x100, mask=0x3F00), PolicyRule(2002, 4, table=2, mark=0x200, mask=0x3F00),
        PolicyRule(3001, 4, "unreachable", mark=0x100, mask=0x3F00),
    )  # fmt: skip
    tables = (
        replace(kernel("203.0.113.0/24", 4), table=1), replace(kernel("10.0.0.0/16", 2), table=1),
        replace(kernel("198.51.100.0/24", 8), table=2), networks.via("0.0.0.0/0", "198.51.100.1", 8, table=2),
    )  # fmt: skip
    ways = tuple(replace(each, protocol="kernel") if each.dst == "203.0.113.0/24" else each for each in host.routes)
    marks = iptables("*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -i br0 -d 8.8.8.8/32 -j MARK --set-xmark 0x100/0x3f00\nCOMMIT")
    ours = (*host.addresses, InterfaceAddress(8, "198.51.100.2", 24))
    local = (*networks.local("198.51.100.2"), kernel("198.51.100.0/24", 8))
    snapshot = edited(
        tutorial(), "host", links=(*host.links, second), addresses=ours, routes=(*ways, *local, *tables), rules=rules, ruleset=marks
    )
    theirs = (*inet.addresses, InterfaceAddress(3, "198.51.100.1", 24))
    snapshot = edited(snapshot, "internet", links=(*inet.links, far), addresses=theirs,
                      routes=(*inet.routes, *networks.local("198.51.100.1"), kernel("198.51.100.0/24", 3)))  # fmt: skip
    fix = ["ip route add default via 203.0.113.1 dev eth0 table 1"]
    assert about(chosen(snapshot, "red", "8.8.8.8")) == ("no-route", "host", fix)


def test_a_part_of_a_wide_network_is_behind_a_router_of_another_segment() -> None:
    """c1 and c2 have all of 8.0.0.0/8 on docker0; c1's other router, on br0, leads to 8.8.0.0/16."""
    host, c1, c2 = (tutorial()[name] for name in ("host", "c1", "c2"))
    port = networks.port(8, "vethc1b", 3, 3, 2)
    snapshot = edited(tutorial(), "host", links=(*host.links, port), routes=(*host.routes, networks.via("8.8.0.0/16", "203.0.113.1", 4)))
    eth1 = networks.veth(3, "eth1", networks.MAC.format(4, 9), 8, 0)
    ours = (InterfaceAddress(2, "8.0.0.9", 8), InterfaceAddress(3, "10.0.0.3", 16))
    ways = (
        *networks.local("8.0.0.9", "10.0.0.3"),
        kernel("8.0.0.0/8", 2),
        kernel("10.0.0.0/16", 3),
        networks.via("0.0.0.0/0", "10.0.0.1", 3),
    )
    snapshot = edited(snapshot, "c1", links=(*c1.links, eth1), addresses=(*networks.lo()[1], *ours), routes=ways)
    snapshot = edited(snapshot, "c2", addresses=(*c2.addresses, InterfaceAddress(2, "8.0.0.2", 8)))
    assert about(chosen(snapshot, "c1", "8.8.8.8")) == ("no-route", "c1", ["ip route add 8.8.0.0/16 via 10.0.0.1"])


def test_a_translated_address_is_for_the_translator_to_answer_for() -> None:
    """It has proxy entries for others of that network already."""
    host, inet, red = (tutorial()[name] for name in ("host", "internet", "red"))
    rules = iptables("*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -o eth0 -j NETMAP --to 2001:db8:5::/64\nCOMMIT", family="ip6")
    known = Neighbour(4, "2001:db8:5::3", None, "", proxy=True)
    sysctls = {"net.ipv6.conf.all.forwarding": "1", "net.ipv6.conf.eth0.forwarding": "1", "net.ipv6.conf.br0.forwarding": "1",
               "net.ipv6.conf.eth0.proxy_ndp": "1"}  # fmt: skip
    ours = (*host.addresses, InterfaceAddress(2, "fd00:10::1", 64), InterfaceAddress(4, "fd00:203::2", 64))
    ways = (*host.routes, *networks.local("fd00:10::1", "fd00:203::2"), kernel("fd00:10::/64", 2), kernel("fd00:203::/64", 4),
            networks.via("::/0", "fd00:203::1", 4), Route("2001:db8:5::/64", nexthops=(networks.Nexthop(1),)))  # fmt: skip
    snapshot = edited(tutorial(), "host", addresses=ours, routes=ways, ruleset=rules, neighbours=(known,), sysctls=sysctls)
    six = ("fd00:203::1", "2001:db8::8")
    theirs = (*inet.addresses, InterfaceAddress(2, six[0], 64), InterfaceAddress(1, six[1], 128), InterfaceAddress(2, "2001:db8:5::1", 64))
    there = (*inet.routes, *networks.local(*six, "2001:db8:5::1"), kernel("fd00:203::/64", 2), kernel("2001:db8:5::/64", 2))
    snapshot = edited(snapshot, "internet", addresses=theirs, routes=there)
    mine = (*red.addresses, InterfaceAddress(2, "fd00:10::2", 64))
    ways = (*red.routes, *networks.local("fd00:10::2"), kernel("fd00:10::/64", 2), networks.via("::/0", "fd00:10::1", 2))
    snapshot = networks.with_link_locals(edited(snapshot, "red", addresses=mine, routes=ways))
    stop = chosen(snapshot, "red", "2001:db8::8")
    assert about(stop) == (
        "proxy-arp-off",
        "host",
        ["sysctl -w net.ipv6.conf.eth0.proxy_ndp=1", "ip -6 neigh add proxy 2001:db8:5::2 dev eth0"],
    )


# ---- who answers, and whose refusal counts


def test_the_interface_that_bears_an_address_is_the_one_to_answer_for_it() -> None:
    """As keepalived's virtual MAC: the interface below it is told to be silent, and rightly."""
    c2 = tutorial()["c2"]
    vrrp = Link(3, "vrrp", "macvlan", "00:00:5e:00:01:33", link=LinkRef(2), macvlan_mode="private")
    own = (*c2.addresses, InterfaceAddress(3, "172.17.0.20", 32))
    sysctls = {"net.ipv4.conf.eth0.arp_ignore": "1", "net.ipv4.conf.vrrp.rp_filter": "1"}
    snapshot = edited(
        tutorial(), "c2", links=(*c2.links, vrrp), addresses=own, routes=(*networks.local("172.17.0.20"), *c2.routes), sysctls=sysctls
    )
    stop = chosen(snapshot, "c1", "172.17.0.20")
    assert (stop.code, stop.place.interface, lines(stop)) == ("rp-filter", "vrrp", ["sysctl -w net.ipv4.conf.vrrp.rp_filter=2"])


def test_not_to_ask_the_firewall_of_another_host_is_no_repair() -> None:
    """c1's table has a default route to the host, whose rules refuse what c1's main table would send to c2 at once."""
    c1 = tutorial()["c1"]
    rules = (PolicyRule(50, 4, table=11), *c1.rules)
    snapshot = edited(tutorial(), "c1", rules=rules, routes=(*c1.routes, networks.via("0.0.0.0/0", "172.17.0.1", 2, table=11)))
    firewall = iptables("*filter\n:FORWARD DROP [0:0]\nCOMMIT")
    stop = chosen(edited(snapshot, "host", ruleset=firewall), "c1", "172.17.0.3")
    assert (stop.code, stop.place.namespace) == ("policy-drop", "host")
