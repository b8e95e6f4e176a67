"""A station or a gateway that is right beside, on a segment to which the routes do not lead; and what is like it."""

from __future__ import annotations

import shlex

import literal_rules
import networks
import pytest
from literal_rules import iptables, nft_table
from msgspec.structs import replace
from networks import edited, tutorial
from test_repair import lost_in

from netprobe.diagnose.apply import mend
from netprobe.diagnose.repair import choice
from netprobe.diagnose.resent import resent
from netprobe.model import (
    Endpoint,
    FoundPeer,
    InterfaceAddress,
    Namespace,
    Neighbour,
    Nexthop,
    PolicyRule,
    Protocol,
    Route,
    Snapshot,
    Socket,
    Stop,
)
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction


def kernel(dst: str, index: int) -> Route:
    return Route(dst, nexthops=(Nexthop(index),), protocol="kernel", scope="link")


def with_pod(*routes: Route, own: tuple[InterfaceAddress, ...] = (), length: int = 32) -> Snapshot:
    """The tutorial's network with a pod 10.244.1.5 at the host's interface cali1, 8, and these routes and addresses of the host."""
    snapshot = tutorial()
    loopback, addresses = networks.lo()
    eth0 = networks.veth(2, "eth0", networks.MAC.format(5, 1), 8, 0)
    gateway = own[0].address if own else "169.254.1.1"
    ways = (*networks.local("10.244.1.5"), networks.via("0.0.0.0/0", gateway, 2))
    given = (*addresses, InterfaceAddress(2, "10.244.1.5", length))
    pod = Namespace("pod", links=(loopback, eth0), addresses=given, routes=ways, rules=networks.RULES)
    host = snapshot["host"]
    cali1 = networks.veth(8, "cali1", networks.MAC.format(9, 8), 2, 5)
    known = networks.local(*(each.address for each in own))
    host = replace(host, links=(*host.links, cali1), routes=(*host.routes, *known, *routes), addresses=(*host.addresses, *own),
                   sysctls={**host.sysctls, "net.ipv4.conf.cali1.proxy_arp": "1"})  # fmt: skip
    peers = (*snapshot.peers, FoundPeer("host", 5, "pod"), FoundPeer("pod", 0, "host"))
    return Snapshot({**snapshot.namespaces, "pod": pod, "host": host}, peers)


def chosen(snapshot: Snapshot, source: str, dst: str) -> Stop:
    lost = lost_in(snapshot, source, dst)
    assert lost.stop is not None
    return choice.choose(snapshot, lost, lost.stop).stop


def lines(stop: Stop) -> list[str]:
    return [" ".join(command.words) for command in stop.commands]


def test_a_block_of_pods_is_refused_because_the_pods_own_route_is_gone() -> None:
    """To delete the blackhole route of the block would send the packet into the world."""
    cause = chosen(with_pod(Route("10.244.1.0/26", "blackhole")), "host", "10.244.1.5")
    assert (cause.code, cause.place.namespace, cause.place.interface) == ("no-route", "host", "cali1")
    assert lines(cause) == ["ip route replace 10.244.1.5/32 dev cali1"]


def test_two_interfaces_of_one_network_that_no_bridge_joins() -> None:
    """The first of two equal routes takes the packets of both."""
    twice = (InterfaceAddress(8, "10.244.1.1", 24),)
    pod = with_pod(kernel("10.244.1.0/24", 5), kernel("10.244.1.0/24", 8), own=twice, length=24)
    cause = chosen(pod, "host", "10.244.1.5")
    assert (cause.code, cause.object.id if cause.object else None) == ("route-overlap", "10.244.1.0/24 dev docker0")
    assert lines(cause) == ["ip route replace 10.244.1.5/32 dev cali1"]


def test_a_route_that_somebody_wrote_goes_before_another_one_is_added() -> None:
    own = (InterfaceAddress(8, "10.244.1.1", 24),)
    pod = with_pod(kernel("10.244.1.0/24", 8), Route("10.244.1.4/31", nexthops=(Nexthop(5),)), own=own, length=24)
    assert lines(chosen(pod, "host", "10.244.1.5")) == ["ip route del 10.244.1.4/31 dev docker0"]


def test_the_default_route_leads_to_the_gateway_of_the_other_network() -> None:
    """c1 is on both networks; the host lets only red's out, and c1's gateway there does lead on."""
    snapshot = tutorial()
    host, red = snapshot["host"], snapshot["red"]
    port = networks.port(8, "vethc1b", 3, 3, 2)
    drops = iptables("-A FORWARD -i docker0 -o eth0 -j DROP\n-A FORWARD -i eth0 -o docker0 -j DROP")
    snapshot = edited(snapshot, "host", links=(*host.links, port), ruleset=drops)
    eth1 = networks.veth(3, "eth1", networks.MAC.format(4, 9), 8, 0)
    c1 = snapshot["c1"]
    routes = (*c1.routes, *networks.local("10.0.0.3"), kernel("10.0.0.0/16", 3))
    snapshot = edited(
        snapshot, "c1", links=(*c1.links, eth1), addresses=(*c1.addresses, InterfaceAddress(3, "10.0.0.3", 16)), routes=routes
    )
    snapshot = edited(snapshot, "red", routes=red.routes)
    cause = chosen(snapshot, "c1", "8.8.8.8")
    assert (cause.code, cause.place.namespace) == ("route-wrong-nexthop", "c1")
    assert lines(cause) == ["ip route replace default via 10.0.0.1 dev eth1"]
    assert cause.text.endswith("the packet does not arrive; by 10.0.0.1 it does")  # its gateway leads somewhere, and is refused there
    after = mend(snapshot, cause)
    assert after is not None
    outcome = predict(after, resent(lost_in(snapshot, "c1", "8.8.8.8").probe, snapshot, after), ask=False)
    assert isinstance(outcome, Prediction)
    assert outcome.probe.source.address == "10.0.0.3", "it leaves by the other interface, and so from its address"
    assert outcome.passes


def test_a_route_of_the_table_local_that_somebody_wrote_swallows_a_network() -> None:
    """Its addresses are the host's own then: who comes from there is a martian."""
    host = tutorial()["host"]
    swallowed = Route("10.0.0.0/24", "local", 255, (Nexthop(1),), scope="host", protocol="static")
    cause = chosen(edited(tutorial(), "host", routes=(*host.routes, swallowed)), "red", "8.8.8.8")
    assert (cause.code, cause.object.id if cause.object else None) == ("martian-source", "local 10.0.0.0/24 dev lo")
    assert lines(cause) == ["ip route del local 10.0.0.0/24 dev lo"]


EXEMPT = """*nat
:POSTROUTING ACCEPT [0:0]
:MASQ - [0:0]
-A POSTROUTING -s 10.0.0.0/16 -j MASQ
-A MASQ -d 10.0.0.0/8 -j RETURN
{rule}
-A MASQ -j MASQUERADE
COMMIT"""


@pytest.mark.parametrize("rule", ["-A MASQ -d 8.0.0.0/7 -j RETURN", "-A MASQ -p icmp -j ACCEPT"])
def test_the_rule_that_exempts_a_packet_from_its_translation_is_named(rule: str) -> None:
    routes = tuple(route for route in tutorial()["internet"].routes if route.dst != "10.0.0.0/16")
    snapshot = edited(edited(tutorial(), "internet", routes=routes), "host", ruleset=iptables(EXEMPT.format(rule=rule)))
    cause = chosen(snapshot, "red", "8.8.8.8")
    assert (cause.code, cause.place.namespace) == ("nat-wrong-match", "host")
    assert lines(cause) == [f"iptables -t nat -D {rule.removeprefix('-A ')}"]


def test_a_dormant_table_translates_nothing() -> None:
    chain = {"chain": {"name": "post", "handle": 1, "type": "nat", "hook": "postrouting", "prio": 100, "policy": "accept"}}
    rule = {"rule": {"chain": "post", "handle": 2, "expr": [{"masquerade": None}]}}
    ruleset = nft_table(chain, rule, family="ip", name="nat2")
    routes = tuple(route for route in tutorial()["internet"].routes if route.dst != "10.0.0.0/16")
    snapshot = edited(edited(tutorial(), "internet", routes=routes), "host", ruleset=ruleset)
    outcome = predict(snapshot, networks.probe(), ask=False)
    assert isinstance(outcome, Prediction)
    assert outcome.passes
    asleep = replace(ruleset, tables=(replace(ruleset.tables[0], dormant=True),))
    cause = chosen(edited(snapshot, "host", ruleset=asleep), "red", "8.8.8.8")
    assert (cause.code, cause.place.namespace) == ("nat-wrong-match", "host")
    assert lines(cause) == ["nft add table ip nat2"]


def two_uplinks(*rules: PolicyRule, strict: bool = True) -> Snapshot:
    """The tutorial's host with a second wire to internet, eth1, whose address has a table of its own, 200."""
    snapshot = tutorial()
    host, internet = snapshot["host"], snapshot["internet"]
    eth1 = networks.veth(8, "eth1", networks.MAC.format(2, 8), 3, 2)
    far = networks.veth(3, "eth1", networks.MAC.format(3, 3), 8, 0)
    second = Route("0.0.0.0/0", nexthops=(Nexthop(8, "198.51.100.1"),), table=200)
    routes = (*host.routes, *networks.local("198.51.100.2"), kernel("198.51.100.0/24", 8), second)
    snapshot = edited(snapshot, "host", links=(*host.links, eth1), rules=(*networks.RULES, *rules), routes=routes,
                      addresses=(*host.addresses, InterfaceAddress(8, "198.51.100.2", 24)))  # fmt: skip
    more = (*networks.local("198.51.100.1"), replace(kernel("198.51.100.0/24", 3), source="8.8.8.8"))
    sysctls = {"net.ipv4.conf.eth0.rp_filter": "1"} if strict else {}
    return edited(snapshot, "internet", links=(*internet.links, far), routes=(*internet.routes, *more), sysctls=sysctls,
                  addresses=(*internet.addresses, InterfaceAddress(3, "198.51.100.1", 24)))  # fmt: skip


def test_an_answer_leaves_by_the_table_that_is_there_for_it() -> None:
    """The other provider rightly believes no foreign source; what is missing is the rule that gives the answer to its table."""
    asked = networks.probe("internet", "198.51.100.2")
    lost = predict(two_uplinks(), asked, ask=False)
    assert isinstance(lost, Prediction)
    assert lost.stop is not None
    assert lost.stop.code == "rp-filter"
    cause = choice.choose(two_uplinks(), lost, lost.stop).stop
    assert (cause.code, cause.place.namespace) == ("reply-wrong-path", "host")
    assert lines(cause) == ["ip rule add from 198.51.100.2 lookup 200"]


NAT = {"chain": {"name": "pre", "handle": 1, "type": "nat", "hook": "prerouting", "prio": -100, "policy": "accept"}}
WEB = Socket("tcp", "0.0.0.0", 80, "listen")


def published(dnat: dict[str, object], *more: dict[str, object], text: str) -> Snapshot:
    """Port 8080 of the host leads to red, where the server is, by an nft rule of this text."""
    rule = {"rule": {"chain": "pre", "handle": 7, "expr": [literal_rules.test(literal_rules.payload("tcp", "dport"), 80), {"dnat": dnat}]}}
    ruleset = nft_table(NAT, *more, rule, family="ip", name="pf")
    [table] = ruleset.tables
    chains = tuple(replace(c, rules=tuple(replace(r, text=text) for r in c.rules)) for c in table.chains)
    whole = edited(tutorial(), "host", sockets=(), ruleset=replace(ruleset, tables=(replace(table, chains=chains),)))
    return edited(whole, "red", sockets=(WEB,))


MAP: dict[str, object] = {"map": {"key": {"payload": {"protocol": "tcp", "field": "dport"}}, "data": "@ports"}}
PORTS: dict[str, object] = {
    "map": {"name": "ports", "type": "inet_service", "map": "ipv4_addr", "elem": [[80, "10.0.0.77"], [81, "10.0.0.78"]]}
}
TO_77 = "tcp dport 80 dnat to 10.0.0.77"


@pytest.mark.parametrize(
    ("snapshot", "fix"),
    [
        (published({"addr": "10.0.0.77"}, text=TO_77), ["nft replace rule ip pf pre handle 7 'tcp dport 80 dnat to 10.0.0.2'"]),
        (
            published({"addr": MAP}, PORTS, text="dnat to tcp dport map @ports"),
            ["nft delete element ip pf ports '{ 80 }'", "nft add element ip pf ports '{ 80 : 10.0.0.2 }'"],
        ),
    ],
)
def test_nft_publishes_a_port_of_an_address_that_nobody_has(snapshot: Snapshot, fix: list[str]) -> None:
    asked = replace(
        networks.probe("internet", "203.0.113.2", Protocol.TCP), destination=Endpoint("host", "host", address="203.0.113.2", port=80)
    )
    lost = predict(snapshot, asked, ask=False)
    assert isinstance(lost, Prediction)
    assert lost.stop is not None
    cause = choice.choose(snapshot, lost, lost.stop).stop
    assert (cause.code, cause.place.namespace) == ("dnat-dead-target", "host")
    assert [shlex.join(command.words) for command in cause.commands] == fix


def test_an_address_on_loopback_is_answered_for_and_taken_from_its_owner() -> None:
    """c2 bears c1's address on loopback, as behind a load balancer, and the host has learned its MAC."""
    snapshot = tutorial()
    c2 = snapshot["c2"]
    shadow = edited(
        snapshot, "c2", addresses=(*c2.addresses, InterfaceAddress(1, "172.17.0.2", 32)), routes=(*c2.routes, *networks.local("172.17.0.2"))
    )
    [eth0] = [link for link in c2.links if link.name == "eth0"]
    known = edited(shadow, "host", neighbours=(Neighbour(5, "172.17.0.2", eth0.mac, "reachable"),))
    served = edited(edited(known, "c1", sockets=(WEB,)), "c2", sockets=())
    asked = replace(networks.probe("red", "172.17.0.2", Protocol.TCP), destination=Endpoint("172.17.0.2", address="172.17.0.2", port=80))
    lost = predict(served, asked, ask=False)
    assert isinstance(lost, Prediction)
    assert lost.stop is not None
    cause = choice.choose(served, lost, lost.stop).stop
    assert (cause.code, cause.place.namespace, cause.object.id if cause.object else None) == (
        "addr-duplicate",
        "c2",
        "172.17.0.2/32 dev lo",
    )
    assert lines(cause) == ["sysctl -w net.ipv4.conf.eth0.arp_ignore=1", "ip neigh del 172.17.0.2 dev docker0"]


def test_a_way_back_that_somebody_wrote_is_mended_and_not_translated_around() -> None:
    """The far router has a route to the sender's network, by a gateway that nobody is; the host's rule is for its uplink alone."""
    ways = tuple(
        replace(route, nexthops=(Nexthop(2, "203.0.113.77"),)) if route.dst == "10.0.0.0/16" else route
        for route in tutorial()["internet"].routes
    )
    rule = iptables("*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -s 10.0.0.0/16 -o docker0 -j MASQUERADE\nCOMMIT")
    cause = chosen(edited(edited(tutorial(), "internet", routes=ways), "host", ruleset=rule), "red", "8.8.8.8")
    assert cause.place.namespace == "internet"
    assert cause.object is not None
    assert cause.object.id == "10.0.0.0/16 via 203.0.113.77 dev eth0"
    assert lines(cause) == ["ip route replace 10.0.0.0/16 via 203.0.113.2 dev eth0"]


def test_of_two_default_routes_the_better_one_leads_nowhere() -> None:
    """A second network came up with a gateway of its own, and a smaller metric: c1 is a station there, and no router."""
    before = tuple(replace(route, metric=100) if route.dst == "0.0.0.0/0" else route for route in tutorial()["host"].routes)
    wrong = networks.via("0.0.0.0/0", "172.17.0.2", 5, metric=50)
    cause = chosen(edited(tutorial(), "host", routes=(*before, wrong)), "host", "8.8.8.8")
    assert cause.place.namespace == "host"
    assert lines(cause) == ["ip route del default via 172.17.0.2 dev docker0"]
