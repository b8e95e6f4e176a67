"""Policy rules with one thing in the place of another, and those that come too late."""

from __future__ import annotations

from typing import Any

import pytest
from literal_rules import iptables
from networks import edited, local, tutorial, via
from test_beside import chosen, lines
from test_mistyped import of_tcp
from test_policy_siblings import by_table, sorted_rules
from test_repair_whole import ask, lost

from netprobe.diagnose.repair import choice
from netprobe.diagnose.repair.candidates import values
from netprobe.diagnose.repair.repair import Loss
from netprobe.model import InterfaceAddress, PolicyRule, Socket

MARKING = "*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -i br0 -j MARK --set-xmark 0x1/0xff\nCOMMIT\n"


def rule(priority: int = 300, table: int = 220, mask: int = 0, **fields: Any) -> PolicyRule:
    return PolicyRule(priority, 4, table=table, mask=mask, **fields)


@pytest.mark.parametrize(
    ("rules", "old", "new"),
    [
        ((rule(32800, iif="br0"),), "32800 from all iif br0 lookup 220", "32765 from all iif br0 lookup 220"),
        (
            (rule(32800, iif="br0"), rule(100, iif="docker0")),
            "32800 from all iif br0 lookup 220",
            "101 from all iif br0 lookup 220",  # as the other one
        ),
        ((rule(mark=0x10, mask=0xFF),), "300 from all fwmark 0x10/0xff lookup 220", "300 from all fwmark 0x1/0xff lookup 220"),
        ((rule(mark=0x2, mask=0x1),), "300 from all fwmark 0x2/0x1 lookup 220", "300 from all fwmark 0x1/0x1 lookup 220"),
        (
            (rule(mark=0x100, mask=0xF00), rule(400, 7, mark=0x2, mask=0xFF)),
            "300 from all fwmark 0x100/0xf00 lookup 220",
            "300 from all fwmark 0x1/0xff lookup 220",
        ),
        (
            (rule(300, 7, iif="br0"), rule(301, 7, iif="docker0"), rule(302, src="203.0.113.9/32")),
            "300 from all iif br0 lookup 7",
            "300 from all iif br0 lookup 220",
        ),
        (
            (rule(src="10.0.0.0/24", iif="docker0"),),
            "300 from 10.0.0.0/24 iif docker0 lookup 220",
            "300 from 10.0.0.0/24 iif br0 lookup 220",
        ),
        ((rule(iif="br0", protocol=17),), "300 from all iif br0 ipproto udp lookup 220", "300 from all iif br0 lookup 220"),
        (
            (rule(iif="br0", uids=(1000, 60000)), rule(400, iif="docker0")),  # what is forwarded counts as root's
            "300 from all iif br0 uidrange 1000-60000 lookup 220",
            "300 from all iif br0 lookup 220",
        ),
        (
            (rule(mark=0x1, mask=0xFF, sports=(1, 1023)), rule(400, iif="docker0")),  # of no other kind, and for what is marked
            "300 from all fwmark 0x1/0xff sport 1-1023 lookup 220",
            "300 from all fwmark 0x1/0xff lookup 220",
        ),
        (
            (rule(iif="br0", tos=16), rule(400, iif="docker0")),
            "300 from all tos 0x10 iif br0 lookup 220",
            "300 from all iif br0 lookup 220",
        ),
        (
            (rule(iif="br0", protocol=6, dports=(1, 21)), rule(400, iif="docker0")),
            "300 from all iif br0 ipproto tcp dport 1-21 lookup 220",
            "300 from all iif br0 lookup 220",
        ),
        (
            # the others of its table ask otherwise, another table's do as it does
            (rule(iif="br0", dst="8.8.0.0/16", protocol=17), rule(400, iif="docker0"), rule(500, 7, iif="docker0", dst="9.9.0.0/16")),
            "300 from all to 8.8.0.0/16 iif br0 ipproto udp lookup 220",
            "300 from all to 8.8.0.0/16 iif br0 lookup 220",
        ),
        (
            (rule(iif="br0", suppress_prefixlen=0),),
            "300 from all iif br0 lookup 220 suppress_prefixlength 0",
            "300 from all iif br0 lookup 220",
        ),
        (
            (rule(iif="br0", inverted=True), rule(400, iif="docker0")),
            "300 not from all iif br0 lookup 220",
            "300 from all iif br0 lookup 220",  # what the host sends itself went by it as well
        ),
        (
            (rule(dst="10.0.0.0/24"), rule(400, src="172.17.0.0/16")),
            "300 from all to 10.0.0.0/24 lookup 220",
            "300 from 10.0.0.0/24 lookup 220",
        ),
        ((rule(oif="br0"),), "300 from all oif br0 lookup 220", "300 from all iif br0 lookup 220"),
        ((rule(oif="br0"), rule(400, iif="docker0")), "300 from all oif br0 lookup 220", "300 from all iif br0 lookup 220"),
    ],
)
def test_a_rule_is_made_as_it_was_meant(rules: tuple[PolicyRule, ...], old: str, new: str) -> None:
    """Table 220 has the way out, 7 leads back, main refuses; what comes from red is marked with 1."""
    network = by_table(*sorted_rules(*rules))
    astray = via("0.0.0.0/0", "172.17.0.9", 3, table=7)
    network = edited(network, "host", routes=(*network["host"].routes, astray), ruleset=iptables(MARKING))
    cause = chosen(network, "red", "8.8.8.8")
    assert lines(cause) == [f"ip rule del pref {old}", f"ip rule add pref {new}"]


@pytest.mark.parametrize("also", [rule(400, 7, mark=0x1, mask=0xFF), rule(400, 7, mark=0x1, mask=0x1)])
def test_a_mark_for_which_another_rule_asks_is_its_own(also: PolicyRule) -> None:
    network = by_table(*sorted_rules(rule(mark=0x10, mask=0xFF), also))
    astray = via("0.0.0.0/0", "172.17.0.9", 3, table=7)
    network = edited(network, "host", routes=(*network["host"].routes, astray), ruleset=iptables(MARKING))
    assert "ip rule del pref 300" not in " ".join(lines(chosen(network, "red", "8.8.8.8")))


@pytest.mark.parametrize("before", [(), (rule(350, 7, iif="br0"),)])
def test_main_is_asked_once_and_in_its_own_place(before: tuple[PolicyRule, ...]) -> None:
    """Nobody comes to the rules between."""
    network = by_table(*sorted_rules(rule(100, 254), rule(300, iif="br0"), *before))
    assert lines(chosen(network, "red", "8.8.8.8")) == ["ip rule del pref 100 from all lookup main"]


def test_what_a_tunnel_has_not_marked_goes_into_it() -> None:
    """As wg-quick makes it, which is not turned round by mistake."""
    network = by_table(*sorted_rules(rule(table=7, mark=0x5, mask=0xFFFFFFFF, inverted=True)))
    astray = via("0.0.0.0/0", "172.17.0.9", 3, table=7)
    network = edited(network, "host", routes=(*network["host"].routes, astray))
    assert not any("rule add pref 300" in line for line in lines(chosen(network, "red", "8.8.8.8")))


def test_two_rules_for_the_same_are_none() -> None:
    """One for a source, turned to it from the goal, would make the other one idle."""
    network = by_table(*sorted_rules(rule(dst="10.0.0.0/24"), rule(400, 7, src="10.0.0.0/24")))
    astray = via("0.0.0.0/0", "172.17.0.9", 3, table=7)
    network = edited(network, "host", routes=(*network["host"].routes, astray))
    assert "ip rule add pref 300 from 10.0.0.0/24 lookup 220" not in lines(chosen(network, "red", "8.8.8.8"))


@pytest.mark.parametrize("named", [True, False])
def test_of_those_who_serve_for_each_other_a_rule_for_their_address_tells_who_is_meant(named: bool) -> None:
    """c1 and c2 have the address of a service; a route leads to c1, and what comes from red to c2, which alone has a program."""
    to = {"dst": "192.0.2.1/32"} if named else {}
    network = by_table(*sorted_rules(rule(300, 7, iif="br0", suppress_prefixlen=0, **to)))
    for name in ("c1", "c2"):
        there = network[name]
        own = (*there.addresses, InterfaceAddress(1, "192.0.2.1", 32))
        heard = (Socket("tcp", "192.0.2.1", 80, "listen"),) * (name == "c2")
        network = edited(network, name, addresses=own, routes=(*there.routes, *local("192.0.2.1")), sockets=heard)
    far = (via("192.0.2.1/32", "172.17.0.2", 5), via("0.0.0.0/0", "172.17.0.3", 5, table=7))
    network = edited(network, "host", routes=(*network["host"].routes, *far))
    asked = of_tcp("red", "192.0.2.1", 80)
    stop = choice.choose(network, *lost(network, asked)).stop
    assert ("ip rule add pref 300 from all to 192.0.2.1/32 iif br0 lookup 7" in lines(stop)) is named


def test_a_rule_is_never_put_in_its_own_place() -> None:
    """What the kernel said of it is asked anew then, which lets a packet take another leg."""
    to_main = (rule(300, 254, dst="8.0.0.0/8"), rule(301, 254, dst="9.0.0.0/8"))
    network = by_table(*sorted_rules(*to_main, rule(302, src="10.9.0.0/16")))
    asked = ask("red", "8.8.8.8")
    for each in values.candidates(Loss.of(network, *lost(network, asked))):
        gone, come = (command.words[4:] for command in each.stop.commands)
        assert gone != come


def test_a_rule_for_an_address_that_two_interfaces_have_is_what_is_wrong() -> None:
    """One of them has a table of its own (sonic-buildimage#26904): who is asked for by the other one answers by that."""
    host = tutorial()["host"]
    rules = sorted_rules(*host.rules, rule(32764, 5000, dst="10.20.6.16/32"), rule(32765, 5000, src="203.0.113.2/32"))
    own = via("203.0.113.2/32", None, 5, type="local", table=5000, scope="host")
    routes = (*host.routes, own, via("203.0.113.0/24", None, 5, table=5000, scope="link"))
    cause = chosen(edited(tutorial(), "host", rules=rules, routes=routes), "internet", "203.0.113.2")
    assert lines(cause) == ["ip rule del pref 32765 from 203.0.113.2/32 lookup 5000"]
