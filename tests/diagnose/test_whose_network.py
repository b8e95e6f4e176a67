"""Rules that are for the packets of one network, for all but those of one, or too late: the packet's sender is of another."""

from __future__ import annotations

from literal_rules import iptables
from msgspec.structs import replace
from networks import edited, port, relinked, tutorial
from test_anycast import network as with_a_router
from test_beside import chosen, kernel, lines
from test_published import cause as of_a_port
from test_published import fix

from netprobe.model import Bridge, InterfaceAddress, Link, LinkRef, Snapshot, Socket

RANGES = """*filter
:FORWARD ACCEPT [0:0]
-A FORWARD -d 203.0.113.50/32 -j DROP
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:SERVICES - [0:0]
:FW - [0:0]
:EXT - [0:0]
-A PREROUTING -j SERVICES
-A SERVICES -d 203.0.113.50/32 -p tcp -m tcp --dport 80 -j FW
-A SERVICES ! -s 10.0.0.0/16 -d 10.96.0.1/32 -j EXT
-A FW -s 192.0.2.0/24 -j EXT{more}
-A EXT -p tcp -j DNAT --to-destination 172.17.0.2:80
COMMIT"""


def behind_ranges(more: str = "") -> Snapshot:
    listening = edited(tutorial(), "c1", sockets=(Socket("tcp", "0.0.0.0", 80, "listen"),))
    return edited(listening, "host", ruleset=iptables(RANGES.format(more=more)))


def test_who_is_of_none_of_the_networks_that_are_led_on_is_added_to_them() -> None:
    said = of_a_port(behind_ranges(), "red", "203.0.113.50", 80)
    assert (said.code, fix(said)) == ("dnat-missing", ["iptables -t nat -I FW 1 -s 10.0.0.0/16 -j EXT"])


def test_a_chain_that_does_something_else_for_others_is_no_list_of_networks() -> None:
    said = of_a_port(behind_ranges("\n-A FW -s 10.0.0.0/16 -p tcp -m tcp --dport 443 -j EXT"), "red", "203.0.113.50", 80)
    assert said.code != "dnat-missing"


EXCLUDED = """*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:WEB - [0:0]
:MARK - [0:0]
-A PREROUTING -d 10.0.0.1/32 -p tcp -m tcp --dport 80 -j WEB
-A PREROUTING ! -s 172.17.128.0/17 -d 10.96.0.1/32 -j MARK
-A WEB ! -s {spared} -j MARK
-A WEB -p tcp -j DNAT --to-destination 172.17.0.3:80
-A MARK -j MARK --set-xmark 0x4000/0x4000
-A POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A POSTROUTING -j MASQUERADE
COMMIT"""


def test_a_rule_that_spares_more_than_others_of_its_kind_spares_as_little_as_they_do() -> None:
    """C2 answers its neighbour straight."""
    routes = (kernel("172.17.0.0/16", 2), *(each for each in tutorial()["c2"].routes if each.dst != "172.17.0.0/16"))
    listening = edited(tutorial(), "c2", routes=routes, sockets=(Socket("tcp", "0.0.0.0", 80, "listen"),))
    said = of_a_port(edited(listening, "host", ruleset=iptables(EXCLUDED.format(spared="172.16.0.0/12"))), "c1", "10.0.0.1", 80)
    assert (said.code, fix(said)) == ("nat-wrong-match", ["iptables -t nat -R WEB 1 ! -s 172.17.128.0/17 -j MARK"])


def with_a_firewall_bridge(rules: str) -> Snapshot:
    """red's port is on a bridge of its own, which a cable of the host's joins to br0."""
    host, internet = tutorial()["host"], tutorial()["internet"]
    fwbr = Link(20, "fwbr0", "bridge", "02:00:00:00:20:00", arp=False, bridge=Bridge())
    ends = (port(21, "fwln0", 22, 0, 20), port(22, "fwpr0", 21, 0, 2))
    inner, outer = (replace(end, link=LinkRef(peer, None)) for end, peer in zip(ends, (22, 21), strict=True))
    sysctls = {**host.sysctls, "net.bridge.bridge-nf-call-iptables": "1"}
    snapshot = relinked(tutorial(), "host", "veth0", master=20)
    links = (*snapshot["host"].links, fwbr, inner, outer)
    snapshot = edited(snapshot, "host", links=links, sysctls=sysctls, ruleset=iptables(rules))
    return edited(snapshot, "internet", routes=tuple(each for each in internet.routes if each.dst != "10.0.0.0/16"))


MASQUERADED = """*nat
:POSTROUTING ACCEPT [0:0]
-A POSTROUTING -s 10.0.0.0/16 -o eth0 -j MASQUERADE
COMMIT"""


def test_what_was_seen_on_a_bridge_before_is_seen_in_a_zone_of_its_own() -> None:
    said = chosen(with_a_firewall_bridge(MASQUERADED), "red", "8.8.8.8")
    assert (said.code, lines(said)) == ("nat-wrong-match", ["iptables -t raw -I PREROUTING -i fwbr0 -j CT --zone 1"])


def test_the_address_of_any_router_goes_where_somebody_is_asked_for_by_it() -> None:
    """With another address the station would be no longer who is asked for."""
    network = with_a_router()
    router = replace(network["router"], sockets=())
    own = (*network["red"].addresses, InterfaceAddress(2, "fd00:10::9", 64))
    asked = edited(network, "red", sockets=(Socket("tcp", "::", 80, "listen"),), addresses=own)
    said = of_a_port(asked.with_namespace(router), "router", "fd00:10::", 80)
    assert fix(said) == ["ip -6 route del anycast fd00:10:: dev eth0 table local"]
