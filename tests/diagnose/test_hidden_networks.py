"""A network that rules translate is not for others to know: where they do not get its packets, no route of others is at fault."""

from __future__ import annotations

import pytest
from literal_rules import iptables
from msgspec.structs import replace
from networks import MAC, RULES, edited, lo, local, tutorial, veth, via
from test_beside import chosen, kernel

from netprobe.model import FoundPeer, InterfaceAddress, Namespace, Ruleset, Snapshot


def with_a_way_out(ruleset: Ruleset) -> Snapshot:
    """The tutorial's network, whose internet is a router that translates what leaves for a provider: answers to red go there again."""
    internet = tutorial()["internet"]
    own = tuple(each for each in internet.routes if None in each.gateways)
    snapshot = edited(
        tutorial(),
        "internet",
        links=(*internet.links, replace(veth(9, "eth1", MAC.format(7, 9), 2, 7), carrier=True)),
        addresses=(*internet.addresses, InterfaceAddress(9, "198.51.100.2", 24)),
        routes=(*local("198.51.100.2"), *own, kernel("198.51.100.0/24", 9), via("0.0.0.0/0", "198.51.100.1", 9)),
        sysctls={"net.ipv4.ip_forward": "1"},
        ruleset=nat("-A POSTROUTING -o eth1 -j MASQUERADE"),
    )
    loopback, known = lo("9.9.9.9")
    link = veth(2, "eth0", MAC.format(12, 2), 9, 0)
    ways = (*local("198.51.100.1", "9.9.9.9"), kernel("198.51.100.0/24", 2))
    given = (*known, InterfaceAddress(2, "198.51.100.1", 24))
    forwards = {"net.ipv4.ip_forward": "1"}
    provider = Namespace("provider", links=(loopback, link), addresses=given, routes=ways, rules=RULES, sysctls=forwards)
    peers = (*snapshot.peers, FoundPeer("internet", 7, "provider"), FoundPeer("provider", 0, "internet"))
    snapshot = replace(snapshot, peers=peers).with_namespace(provider)
    return edited(snapshot, "host", ruleset=ruleset)


def nat(*rules: str) -> Ruleset:
    return iptables("\n".join(("*nat", ":POSTROUTING ACCEPT [0:0]", *rules, "COMMIT")))


def asleep(ruleset: Ruleset) -> Ruleset:
    return replace(ruleset, tables=tuple(replace(each, dormant=True) for each in ruleset.tables))


MASQUERADE = "-A POSTROUTING -s 10.0.0.0/16 -o eth0 -j MASQUERADE"


@pytest.mark.parametrize(
    ("ruleset", "code", "namespace"),
    [
        (nat(MASQUERADE.replace("eth0", "eth5")), "nat-wrong-match", "host"),
        (nat(MASQUERADE.replace("eth0", "eth0 -p udp")), "nat-wrong-match", "host"),
        (asleep(nat(MASQUERADE)), "nat-wrong-match", "host"),
        # nothing translates this network, or not for this destination: it is meant to be known
        (nat(), "reply-wrong-path", "internet"),
        (nat("-A POSTROUTING -d 9.0.0.0/8 -j RETURN", MASQUERADE), "reply-wrong-path", "internet"),
        (nat(MASQUERADE.replace("10.0", "172.17")), "reply-wrong-path", "internet"),
    ],
)
def test_the_rule_for_a_network_does_not_get_its_packets(ruleset: Ruleset, code: str, namespace: str) -> None:
    stop = chosen(with_a_way_out(ruleset), "red", "9.9.9.9")
    assert (stop.code, stop.place.namespace) == (code, namespace)
