"""Rules and addresses that mean another interface, table or station than the one a packet meets: what is put right, and in which words."""

from __future__ import annotations

import pytest
from literal_rules import iptables, nft_forward, test
from msgspec.structs import replace
from predict.networks import edited, tutorial
from test_repair_whole import after, ask, chosen, said
from test_two_at_once import named

from netprobe.model import Ruleset, Snapshot

ACCEPT, STALE = {"accept": None}, {"meta": {"key": "iif"}}


@pytest.mark.parametrize(
    ("rule", "first"),
    [
        ("pref 32765 not fwmark 0xca6c lookup 51820", "host: ip rule add pref 32764 lookup main suppress_prefixlength 0"),
        ("pref 32765 iif br0 lookup 51820", "host: ip rule add pref 32764 lookup main suppress_prefixlength 0"),
        # of one source the rule itself is as odd
        ("pref 32765 from 10.0.0.2 lookup 51820", "host: ip rule del pref 32765 from 10.0.0.2/32 lookup 51820"),
    ],
)
def test_networks_come_before_the_default_of_another_table(rule: str, first: str) -> None:
    snapshot = after(tutorial(), "host: ip route add default via 203.0.113.1 table 51820", f"host: ip rule add {rule}")
    found = chosen(snapshot, ask("red", "172.17.0.2"))
    assert found.stop.code == "rule-wrong-table"
    assert said(found) == [first]


def test_networks_that_are_asked_for_behind_the_default_of_another_table_are_asked_for_before() -> None:
    late = "pref 32765 lookup main suppress_prefixlength 0"
    rules = ("ip rule add pref 32000 iif br0 lookup 51820", f"ip rule add {late}")
    snapshot = after(tutorial(), "host: ip route add default via 203.0.113.1 table 51820", *(f"host: {rule}" for rule in rules))
    assert said(chosen(snapshot, ask("red", "172.17.0.2"))) == [
        "host: ip rule del pref 32765 from all lookup main suppress_prefixlength 0",
        "host: ip rule add pref 31999 from all lookup main suppress_prefixlength 0",
    ]


@pytest.mark.parametrize(
    ("refused", "first"),
    [
        ("172.17.0.0/24", "host: ip route del prohibit 172.17.0.0/24 table 51820"),
        ("default", "host: ip rule del pref 32000 from all iif br0 lookup 51820"),  # what the table is for
    ],
)
def test_what_refuses_some_of_what_a_table_leads_on_is_less_than_the_rule_for_that(refused: str, first: str) -> None:
    lines = ("ip route add 8.8.8.0/24 via 203.0.113.1 table 51820", f"ip route add prohibit {refused} table 51820")
    snapshot = after(tutorial(), *(f"host: {line}" for line in (*lines, "ip rule add pref 32000 iif br0 lookup 51820")))
    assert said(chosen(snapshot, ask("red", "172.17.0.2"))) == [first]


def test_an_address_on_a_port_belongs_to_its_bridge() -> None:
    snapshot = after(tutorial(), "host: ip address del 172.17.0.1/16 dev docker0", "host: ip address add 172.17.0.1/16 dev vethc1")
    found = chosen(snapshot, ask("c1", "10.0.0.2"))
    assert (found.stop.code, found.stop.thing.text) == ("addr-missing", "172.17.0.1/16 dev vethc1")
    assert said(found) == ["host: ip address del 172.17.0.1/16 dev vethc1", "host: ip address add 172.17.0.1/16 dev docker0"]


def with_two_uplinks() -> Snapshot:
    """What the host marks leaves by eth1, for whose sender internet knows no way but eth0."""
    marking = iptables("*mangle\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -p icmp -j MARK --set-xmark 0x5/0xffffffff\nCOMMIT")
    snapshot = edited(tutorial(), "host", ruleset=marking)
    snapshot = edited(snapshot, "internet", ruleset=Ruleset(queues=()))
    return after(
        snapshot,
        "host: ip link add eth1 type veth peer name eth1 netns internet",
        "host: ip link set dev eth1 up",
        "internet: ip link set dev eth1 up",
        "host: ip address add 198.51.100.2/24 dev eth1",
        "internet: ip address add 198.51.100.1/24 dev eth1",
        "host: ip route add default via 198.51.100.1 table 100",
        "host: ip rule add pref 100 fwmark 0x5 lookup 100",
        "internet: sysctl -w net.ipv4.conf.eth1.rp_filter=1",
    )


def test_what_a_mark_leads_elsewhere_needs_the_source_of_that_way() -> None:
    found = chosen(with_two_uplinks(), ask("host", "8.8.8.8"))
    assert (found.stop.code, found.stop.place.namespace, found.stop.place.interface) == ("nat-missing", "host", "eth1")
    assert said(found) == ["host: iptables -t nat -A POSTROUTING -s 203.0.113.2 -o eth1 -j MASQUERADE"]


def test_a_route_out_of_the_loopback_is_for_the_interface_of_its_gateway_whatever_else_is_wrong_there() -> None:
    """By the other one, without its network, the same router would be found."""
    lines = ("internet: ip link set dev eth0 arp off", "host: ip route replace default via 203.0.113.1 dev lo onlink")
    network = edited(after(with_two_uplinks(), *lines), "host", rules=tutorial()["host"].rules, neighbours=())
    assert named(network, "host", "8.8.8.8") == [
        ["host: ip route replace default via 203.0.113.1 dev eth0"],
        ["internet: ip link set dev eth0 arp on"],
    ]


def test_a_rule_means_an_interface_that_was_made_anew() -> None:
    rules = nft_forward([test(STALE, 99), ACCEPT], [test({"ct": {"key": "state"}}, "established"), ACCEPT], policy="drop")
    snapshot = edited(tutorial(), "host", ruleset=with_texts(rules, "iif 99 accept"))
    found = chosen(snapshot, ask("red", "8.8.8.8"))
    assert (found.stop.code, found.stop.thing.text) == ("policy-drop", "iif 99 accept")
    assert said(found) == ['host: nft replace rule inet t f handle 10 iifname "br0" accept']


def with_texts(ruleset: Ruleset, text: str) -> Ruleset:
    """The rules with the text of the first one, as nft prints it."""
    [table] = ruleset.tables
    [chain] = table.chains
    first, *others = chain.rules
    chain = replace(chain, rules=(replace(first, text=text), *others))
    return replace(ruleset, tables=(replace(table, chains=(chain,)),))


def test_who_is_refused_is_no_router() -> None:
    """Source validation of the host, which has no route to the network that red and another station share."""
    strict = iptables("*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -m rpfilter --invert -j DROP\nCOMMIT")
    snapshot = edited(tutorial(), "host", ruleset=strict)
    snapshot = after(
        snapshot,
        "host: ip route del default",
        "c1: ip address add 172.30.0.2/24 dev eth0",
        "c2: ip address add 172.30.0.3/24 dev eth0",
        "host: sysctl -w net.bridge.bridge-nf-call-iptables=1",
    )
    found = chosen(snapshot, ask("c1", "172.30.0.3"))
    assert found.stop.code == "rp-filter"
    assert said(found) == ["host: iptables -t raw -D PREROUTING -m rpfilter --invert -j DROP"]


def test_the_address_of_a_bridge_has_no_part_in_what_stays_on_it() -> None:
    """Source validation of a host whose bridge joins stations of another network than its own (firewalld#1235)."""
    strict = iptables("*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -m rpfilter --invert -j DROP\nCOMMIT")
    moved = [f"c{n}: ip address {what}/16 dev eth0" for n in (1, 2) for what in (f"add 172.30.0.{n + 1}", f"del 172.17.0.{n + 1}")]
    handed = "host: sysctl -w net.bridge.bridge-nf-call-iptables=1"
    snapshot = after(edited(tutorial(), "host", ruleset=strict), "host: ip route del default", *moved, handed)
    found = chosen(snapshot, ask("c1", "172.30.0.3"))
    assert said(found) == ["host: iptables -t raw -D PREROUTING -m rpfilter --invert -j DROP"]


@pytest.mark.parametrize(("kept", "given"), [("10.9.0.0/22", "10.9.0.0/22"), ("10.9.1.0/28", "10.9.1.0/24"), ("10.0.0.0/8", "10.9.1.0/24")])
def test_who_refuses_the_rest_of_a_block_was_given_all_of_it(kept: str, given: str) -> None:
    """As a customer's router does with its prefix (RFC 7084); all that is private was given to nobody."""
    snapshot = after(tutorial(), "c1: ip address add 10.9.1.1/24 dev lo", f"c1: ip route add unreachable {kept}")
    found = chosen(snapshot, ask("red", "10.9.1.1"))
    assert said(found) == [f"host: ip route add {given} via 172.17.0.2 dev docker0"]


def test_what_a_source_check_was_led_by_is_to_go() -> None:
    """A looser check would let the request in, and the answer would go astray by the same route."""
    snapshot = after(tutorial(), "host: sysctl -w net.ipv4.conf.docker0.rp_filter=1", "host: ip route add 172.17.0.0/24 dev eth0")
    found = chosen(snapshot, ask("c1", "8.8.8.8"))
    assert (found.stop.code, said(found)) == ("route-overlap", ["host: ip route del 172.17.0.0/24 dev eth0"])


def test_a_name_that_rules_speak_of_comes_back_with_the_table_that_went_with_it() -> None:
    """A packet that then takes the other uplink is refused by a source check at the far end, not for want of a route."""
    both = iptables("*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -o eth0 -j MASQUERADE\n-A POSTROUTING -o eth1 -j MASQUERADE\nCOMMIT")
    snapshot = after(
        edited(tutorial(), "host", ruleset=both),
        "host: ip link add eth1 type veth peer name eth1 netns internet",
        "host: ip link set dev eth1 up",
        "internet: ip link set dev eth1 up",
        "host: ip address add 198.51.100.2/24 dev eth1",
        "internet: ip address add 198.51.100.1/24 dev eth1",
        "host: ip rule add pref 100 from 198.51.100.2 lookup 100",
        "internet: sysctl -w net.ipv4.conf.eth0.rp_filter=1",
        "host: ip link set dev eth1 down",
        "host: ip link set dev eth1 name new9",
        "host: ip link set dev new9 up",
    )
    asked = ask("internet", "198.51.100.2")
    found = chosen(snapshot, replace(asked, source=replace(asked.source, address="8.8.8.8")))
    assert (found.stop.code, found.stop.thing.id) == ("link-missing", "new9")
    assert said(found)[-1] == "host: ip route add default via 198.51.100.1 dev eth1 table 100"


def test_the_gateway_of_ones_router_is_no_gateway_of_ones_own() -> None:
    snapshot = after(tutorial(), "red: ip route del default", "red: ip route add default via 203.0.113.1 dev eth0 onlink")
    found = chosen(snapshot, ask("red", "8.8.8.8"))
    assert (found.stop.code, said(found)) == ("route-wrong-nexthop", ["red: ip route replace default via 10.0.0.1 dev eth0 onlink"])
