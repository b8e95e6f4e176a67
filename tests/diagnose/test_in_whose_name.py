"""What answers and questions bear: the mark by which a way is chosen, the address that a station asks in the name of."""

from __future__ import annotations

import networks
import pytest
from msgspec.structs import replace
from networks import edited, tutorial
from test_beside import lines, two_uplinks

from netprobe.diagnose.repair import choice
from netprobe.model import Flow, InterfaceAddress, Leg, Namespace, PolicyRule, Probe, Protocol, Ruleset, Snapshot, Socket
from netprobe.predict.ip_ends import not_forwarding
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction
from netprobe.predict.view import Packet
from netprobe.rules.read.iptables_save import read_save


def outcome(snapshot: Snapshot, asked: Probe) -> Prediction:
    found = predict(snapshot, asked, ask=False)
    assert isinstance(found, Prediction)
    return found


def fixed(snapshot: Snapshot, asked: Probe) -> list[str]:
    """What is to be done first."""
    found = outcome(snapshot, asked)
    assert found.stop is not None
    return lines(choice.choose(snapshot, found, found.stop).stop)


def marked(**sysctls: str) -> Snapshot:
    """Two uplinks; what comes in by the second one is marked, and a rule for the mark leads to the table of that."""
    snapshot = two_uplinks(PolicyRule(500, 4, table=200, mark=2))
    text = "*mangle\n:PREROUTING ACCEPT\n:OUTPUT ACCEPT\n-A PREROUTING -i eth1 -j MARK --set-xmark 0x2/0xffffffff\nCOMMIT"
    ruleset = Ruleset(tables=tuple(read_save(text, "iptables", "ip")), queues=())
    known = {f"net.ipv4.{key}": value for key, value in sysctls.items()}
    host = snapshot["host"]
    return edited(snapshot, "host", ruleset=ruleset, sysctls={**host.sysctls, **known}, sockets=(Socket("tcp", "0.0.0.0", 80, "listen"),))


@pytest.mark.parametrize(
    ("protocol", "key"), [(Protocol.ICMP, "fwmark_reflect"), (Protocol.TCP, "tcp_fwmark_accept")], ids=["ping", "connection"]
)
def test_an_answer_gets_the_mark_of_its_question_where_marks_tell_ways_apart(protocol: Protocol, key: str) -> None:
    asked = networks.probe("internet", "198.51.100.2", protocol)
    if protocol is Protocol.TCP:
        asked = replace(asked, source_port=40000, destination=replace(asked.destination, port=80))
    assert outcome(marked(**{key: "1"}), asked).passes
    assert fixed(marked(**{key: "0"}), asked) == [f"sysctl -w net.ipv4.{key}=1"]


def test_a_source_check_looks_at_the_mark_where_marks_tell_ways_apart() -> None:
    """The way back to 8.8.8.8 is by the first uplink for what has no mark, as ARP has none: that is asked in another name."""
    asked, strict = networks.probe("internet", "198.51.100.2"), {"fwmark_reflect": "1", "conf.eth1.rp_filter": "1"}
    there = edited(marked(**strict), "internet", sysctls={"net.ipv4.conf.all.arp_announce": "2"})
    assert fixed(there, asked) == ["sysctl -w net.ipv4.conf.all.src_valid_mark=1"]


SECURED = "*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\n-A INPUT -p ARP -i veth0 --arp-ip-src ! 10.0.0.2 -j DROP\nCOMMIT"


def from_a_virtual_address(announce: str, second: tuple[str, int] | None = None) -> tuple[Snapshot, Probe]:
    """red sends from an address of its loopback; the host hears only who asks in the name of red's own."""
    snapshot = tutorial()
    red = snapshot["red"]
    more = () if second is None else (InterfaceAddress(2, *second, flags=("secondary",)),)
    given = (*red.addresses, InterfaceAddress(1, "10.9.9.9", 32), *more)
    snapshot = edited(snapshot, "red", addresses=given, routes=(*red.routes, *networks.local("10.9.9.9")),
                      sysctls={**red.sysctls, "net.ipv4.conf.eth0.arp_announce": announce})  # fmt: skip
    ruleset = Ruleset(tables=tuple(read_save(SECURED, "ebtables", "bridge")), queues=())
    back = networks.via("10.9.9.9/32", "10.0.0.2", snapshot["host"].link_named("br0").index)
    snapshot = edited(snapshot, "host", ruleset=ruleset, routes=(*snapshot["host"].routes, back))
    asked = networks.probe("red", "10.0.0.1")
    return snapshot, replace(asked, source=replace(asked.source, address="10.9.9.9"))


@pytest.mark.parametrize(
    ("announce", "second", "passes"),
    [("0", None, False), ("1", None, True), ("2", None, True), ("1", ("10.9.9.1", 24), True), ("1", ("10.9.9.1", 4), False)],
)
def test_who_asks_is_as_arp_announce_says(announce: str, second: tuple[str, int] | None, passes: bool) -> None:
    """arp_solicit: with 1 the source is named only where both are of one network of the interface (inet_addr_onlink)."""
    snapshot, asked = from_a_virtual_address(announce, second)
    assert outcome(snapshot, asked).passes is passes


def test_questions_in_the_name_of_another_interface_s_address_are_to_bear_one_of_their_own() -> None:
    assert fixed(*from_a_virtual_address("0")) == ["sysctl -w net.ipv4.conf.eth0.arp_announce=2"]


@pytest.mark.parametrize(("others", "key"), [("1", "eth1.force_forwarding"), ("0", "all.forwarding")])
def test_an_interface_that_forwards_alone_has_others_to_follow(others: str, key: str) -> None:
    """Since Linux 6.17: where one was told so, the setting that lacks is that of the other (ip6_forward)."""
    links = tuple(networks.veth(n, f"eth{n}", networks.MAC.format(1, n), 9, n) for n in (0, 1))
    router = Namespace("r", links=links, sysctls={"net.ipv6.conf.all.forwarding": "0", "net.ipv6.conf.eth0.force_forwarding": others})
    stop = not_forwarding(router, links[1], Packet(Flow("fd00::1", "fd01::1", Protocol.ICMPV6), Leg.REPLY))
    assert lines(stop) == [f"sysctl -w net.ipv6.conf.{key}=1"]


MASQUERADES = "*nat\n:POSTROUTING ACCEPT\n-A POSTROUTING -s 10.0.0.0/16 -o eth0 -j MASQUERADE\nCOMMIT"


@pytest.mark.parametrize("asked", [networks.probe(), networks.probe("host")])
def test_an_address_for_its_link_alone_is_in_nobody_s_name(asked: Probe) -> None:
    """Who masquerades, or sends, takes another interface's instead (cilium#21737); the router sends to the one with that scope."""
    network = tutorial()
    narrow = (replace(each, scope="link") if each.address == "203.0.113.2" else each for each in network["host"].addresses)
    read = Ruleset(tables=tuple(read_save(MASQUERADES, "iptables", "ip")))
    back = networks.via("172.17.0.0/16", "203.0.113.2", 2)  # and none to 10.0.0.1
    routes = (*(each for each in network["internet"].routes if each.dst != "10.0.0.0/16"), back)
    network = edited(edited(network, "host", addresses=tuple(narrow), ruleset=read), "internet", routes=routes)
    ways = ("ip route add default via 203.0.113.1 dev eth0",)
    assert fixed(network, asked)[:3] == ["ip address del 203.0.113.2/24 dev eth0", "ip address add 203.0.113.2/24 dev eth0", *ways]
