"""Tables of routes: one that no rule leads to any more, one that lacks a network of those that it has copies of; link-local gateways."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from networks import RULES, edited, local, probe, tutorial, via
from test_beside import chosen, kernel, lines, two_uplinks

from netprobe.diagnose.repair import choice
from netprobe.model import InterfaceAddress, Nexthop, PolicyRule, Route, Ruleset, Snapshot
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction
from netprobe.rules.read.iptables_save import read_save

SPOOFED = "*raw\n:PREROUTING ACCEPT\n:OUTPUT ACCEPT\n-A PREROUTING ! -s 203.0.113.0/24 -i eth0 -j DROP\nCOMMIT"


def own_uplink(*rules: PolicyRule) -> Snapshot:
    """Two uplinks, the first of which lets only the host's own address pass."""
    ruleset = Ruleset(tables=tuple(read_save(SPOOFED, "iptables", "ip")), queues=())
    return edited(two_uplinks(*rules, strict=False), "internet", ruleset=ruleset)


def test_a_table_to_which_no_rule_leads_gets_one() -> None:
    """The rule of a pod that has an uplink of its own was taken away."""
    rule = PolicyRule(1000, 4, table=200, src="10.0.0.2/32")
    whole = predict(own_uplink(rule), probe(), ask=False)
    assert isinstance(whole, Prediction)
    assert whole.passes
    cause = chosen(own_uplink(), "red", "8.8.8.8")
    assert (cause.code, cause.place.namespace) == ("rule-wrong-table", "host")
    assert lines(cause) == ["ip rule add from 10.0.0.2 lookup 200"]


def test_a_table_gets_the_kind_of_rule_that_its_siblings_have() -> None:
    """So that nothing else is led there."""
    sibling = PolicyRule(1000, 4, table=300, dst="10.96.0.0/16", protocol=17)
    cause = chosen(own_uplink(sibling), "red", "8.8.8.8")
    assert lines(cause) == ["ip rule add to 8.8.8.8 ipproto icmp lookup 200"]


LOCKED = "*filter\n:INPUT ACCEPT\n:OUTPUT ACCEPT\n-A OUTPUT -o eth0 ! -d 203.0.113.0/24 -j DROP\nCOMMIT"


def test_what_the_machine_sends_itself_takes_its_source_by_the_table() -> None:
    """All that a laptop sends is to leave by its tunnel; with the source of the other interface nobody would answer."""
    ruleset = Ruleset(tables=tuple(read_save(LOCKED, "iptables", "ip")), queues=())
    networks_first = PolicyRule(32000, 4, table=254, suppress_prefixlen=0)
    strangers = Ruleset(
        tables=tuple(read_save(SPOOFED.replace("203.0.113", "198.51.100").replace("eth0", "eth1"), "iptables", "ip")), queues=()
    )
    rules = tuple(sorted((*RULES, networks_first), key=lambda rule: (rule.version, rule.priority)))
    snapshot = edited(edited(two_uplinks(strict=False), "host", ruleset=ruleset, rules=rules), "internet", ruleset=strangers)
    found = predict(snapshot, probe("host", "8.8.8.8"), ask=False)
    assert isinstance(found, Prediction)
    assert found.stop is not None
    cause = choice.choose(snapshot, found, found.stop).stop
    assert (cause.code, lines(cause)) == ("rule-wrong-table", ["ip rule add pref 32765 iif lo lookup 200"])


def test_a_table_to_which_other_rules_lead_is_left_to_them() -> None:
    other = PolicyRule(1000, 4, table=200, src="192.0.2.0/24")
    assert lines(chosen(own_uplink(other), "red", "8.8.8.8")) == ["iptables -t raw -D PREROUTING ! -s 203.0.113.0/24 -i eth0 -j DROP"]


def with_a_table(*copies: str) -> Snapshot:
    """What the host sends from its address on br0 uses table 100, which has these of the networks beside it."""
    snapshot = tutorial()
    host = snapshot["host"]
    beside = {
        link.name: kernel(dst, link.index)
        for link, dst in ((host.link_named("br0"), "10.0.0.0/16"), (host.link_named("docker0"), "172.17.0.0/16"))
    }
    others = tuple(each for each in host.routes if each.dst not in ("10.0.0.0/16", "172.17.0.0/16"))
    table = (via("0.0.0.0/0", "203.0.113.1", 4, table=100), *(replace(beside[each], table=100, protocol="boot") for each in copies))
    rules = tuple(sorted((*RULES, PolicyRule(1000, 4, table=100, src="10.0.0.1/32")), key=lambda rule: rule.priority))
    return edited(snapshot, "host", routes=(*others, *beside.values(), *table), rules=rules)


def test_a_table_with_copies_of_the_networks_beside_gets_the_one_that_it_lacks() -> None:
    cause = chosen(with_a_table("docker0"), "red", "10.0.0.1")
    assert (cause.code, cause.place.namespace) == ("no-route", "host")
    assert lines(cause) == ["ip route add 10.0.0.0/16 dev br0 table 100"]


def test_a_table_with_none_is_none_of_them() -> None:
    found = predict(with_a_table(), probe("red", "10.0.0.1"), ask=False)
    assert isinstance(found, Prediction)
    assert found.stop is not None
    others = choice.choose(with_a_table(), found, found.stop)
    told = [*lines(others.stop), *(line for other in others.others for line in lines(other.stop))]
    assert "ip route add 10.0.0.0/16 dev br0 table 100" not in told


TAILSCALE = [
    PolicyRule(5210, 4, table=254, mark=0x80000, mask=0xFF0000),
    PolicyRule(5250, 4, "unreachable", mark=0x80000, mask=0xFF0000),
    PolicyRule(32800, 4, table=201),
]


@pytest.mark.parametrize(
    ("rules", "line"),
    [
        (TAILSCALE, "ip rule add pref 5249 fwmark 0x80000/0xff0000 lookup 201"),
        (TAILSCALE[1:], "ip rule del pref 5250 from all fwmark 0x80000/0xff0000 unreachable"),  # it is to be refused, or an error
    ],
)
def test_what_is_marked_is_led_to_where_all_else_finds_its_way(rules: list[PolicyRule], line: str) -> None:
    snapshot = tutorial()
    host = snapshot["host"]
    moved = tuple(replace(each, table=201) if each.is_default else each for each in host.routes)
    every = tuple(sorted((*RULES, *rules), key=lambda rule: rule.priority))
    snapshot = edited(snapshot, "host", routes=moved, rules=every)
    asked = probe("host", mark=0x80000)
    found = predict(snapshot, asked, ask=False)
    assert isinstance(found, Prediction)
    assert found.stop is not None
    assert lines(choice.choose(snapshot, found, found.stop).stop) == [line]


def here(address: str, index: int) -> tuple[Route, ...]:
    """What the kernel makes of an IPv6 address."""
    return (
        Route(f"{address}/128", "local", 255, (Nexthop(index),), protocol="kernel"),
        Route("ff00::/8", "multicast", 255, (Nexthop(index),), protocol="kernel"),
    )


@pytest.mark.parametrize(
    ("dst", "gateway", "line"),
    [
        ("8.8.8.8", via("", "fe80::dead", 4), "ip -4 route replace default via inet6 fe80::1 dev eth0"),
        ("2001:4860:4860::8888", via("", "fe80::dead", 4), "ip -6 route replace default via fe80::1 dev eth0 metric 1024"),
        ("8.8.8.8", via("", "fe80::1", 3), "ip -4 route replace default via inet6 fe80::1 dev eth0"),
        ("8.8.8.8", via("", "fe80::1", 3, nhid=7), "ip -6 nexthop replace id 7 via fe80::1 dev eth0"),
    ],
)
def test_a_link_local_gateway_that_is_nobody_s_is_the_router_s_own(dst: str, gateway: Route, line: str) -> None:
    """The router's interface was made anew, or the route is by another one; one of IPv4 may have a gateway of IPv6 as well (RFC 8950)."""
    snapshot, six = tutorial(), ":" in dst
    host, world = snapshot["host"], snapshot["internet"]
    whole = "::/0" if six else "0.0.0.0/0"
    own = (InterfaceAddress(4, "fe80::2", 64, scope="link"), InterfaceAddress(4, "fd00:203::2", 64))
    theirs = (
        InterfaceAddress(2, "fe80::1", 64, scope="link"),
        InterfaceAddress(1, dst, 128 if six else 32),
        InterfaceAddress(2, "fd00:203::1", 64),
    )
    near = (*here("fe80::2", 4), *here("fd00:203::2", 4), kernel("fe80::/64", 4), kernel("fd00:203::/64", 4))
    far = (*local("fe80::1", "fd00:203::1", dst), kernel("fe80::/64", 2), kernel("fd00:203::/64", 2))
    routes = tuple(each for each in host.routes if not each.is_default)
    snapshot = edited(
        snapshot, "host", addresses=(*host.addresses, *own), routes=(*routes, *near, replace(gateway, dst=whole, metric=1024 * six))
    )
    snapshot = edited(snapshot, "internet", addresses=(*world.addresses, *theirs), routes=(*world.routes, *far))
    cause = chosen(snapshot, "host", dst)
    assert lines(cause) == [line]
    assert (cause.code, cause.place.namespace) == ("route-wrong-nexthop", "host")


def test_a_table_to_which_no_rule_leads_is_no_stand_in_for_a_route_that_is_gone() -> None:
    snapshot = own_uplink()
    host = snapshot["host"]
    gone = tuple(each for each in host.routes if each.table != 254 or not each.is_default)
    cause = chosen(edited(snapshot, "host", routes=gone), "red", "8.8.8.8")
    assert cause.code == "no-route"
