"""What its kind says of an object: a daemon's route for a block, a rule for an address of before, a port behind which all are reflected."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from networks import MAC, RULES, edited, lo, local, port, tutorial, veth, via
from test_beside import chosen, lines
from test_dispatched import dropping

from netprobe.model import Bridge, FoundPeer, InterfaceAddress, Link, LinkRef, Namespace, Route, Snapshot


def with_block(protocol: str, *more: Route) -> Snapshot:
    """The host refuses 8.8.0.0/16, and knows internet as its default gateway."""
    host = tutorial()["host"]
    return edited(tutorial(), "host", routes=(*host.routes, Route("8.8.0.0/16", "blackhole", protocol=protocol), *more))


def test_what_a_daemon_keeps_for_the_rest_of_a_block_stays() -> None:
    cause = chosen(with_block("bird", via("8.8.4.0/24", "203.0.113.1", 4)), "red", "8.8.8.8")
    assert lines(cause) == ["ip route add 8.8.8.8/32 via 203.0.113.1 dev eth0"]


@pytest.mark.parametrize(
    ("protocol", "others"), [("boot", ["8.8.4.0/24"]), ("static", ["8.8.4.0/24"]), ("bird", []), ("bird", ["8.0.0.0/8"])]
)
def test_what_a_person_wrote_or_what_has_no_part_is_taken_away(protocol: str, others: list[str]) -> None:
    cause = chosen(with_block(protocol, *(via(each, "203.0.113.1", 4) for each in others)), "red", "8.8.8.8")
    assert lines(cause) == ["ip route del blackhole 8.8.0.0/16"]


@pytest.mark.parametrize(
    ("named", "fix"),
    [
        ("172.17.0.9", "iptables -R WEB 1 -s 10.0.0.0/16 -d 172.17.0.2/32 -j ACCEPT"),  # nobody's
        ("172.17.0.3", "iptables -A WEB -s 10.0.0.0/16 -d 172.17.0.2/32 -j ACCEPT"),  # c2's: one more
    ],
)
def test_a_rule_for_an_address_that_nobody_on_the_segment_has_is_for_who_is_asked(named: str, fix: str) -> None:
    established = "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
    rules = dropping("FORWARD", established, "-A FORWARD -j WEB", f"-A WEB -s 10.0.0.0/16 -d {named}/32 -j ACCEPT")
    cause = chosen(edited(tutorial(), "host", ruleset=rules), "red", "172.17.0.2")
    assert lines(cause)[0] == fix


def on_a_switch(*modes: str) -> Snapshot:
    """A switch, whose port p1 is the cable of eth1 of `far`, on which there are macvlans of these modes."""
    loopback, own = lo()
    bridge = Link(2, "br0", "bridge", MAC.format(7, 2), bridge=Bridge())
    switch = Namespace("switch", links=(loopback, bridge, port(3, "p1", 2, 1, 2)), addresses=own, rules=RULES)
    parent = veth(2, "eth1", MAC.format(8, 2), 3, 0)
    far = Namespace("far", links=(loopback, parent), addresses=own, rules=RULES)
    spaces, peers = {"switch": switch, "far": far}, [FoundPeer("switch", 1, "far"), FoundPeer("far", 0, "switch")]
    for number, mode in enumerate(modes, 1):
        name, address = f"m{number}", f"192.168.100.{number}"
        link = Link(2, "eth0", "macvlan", MAC.format(10, number), link=LinkRef(2, 0), macvlan_mode=mode)
        routes = (*local(address), replace(via("192.168.100.0/24", None, 2), protocol="kernel", scope="link"))
        addresses = (*own, InterfaceAddress(2, address, 24))
        spaces[name] = Namespace(name, links=(loopback, link), addresses=addresses, routes=routes, rules=RULES)
        peers += [FoundPeer(name, 0, "far"), FoundPeer("far", number + 4, name)]
    return Snapshot(spaces, tuple(peers))


@pytest.mark.parametrize(
    ("modes", "code"),
    [(("vepa",) * 2, "port-not-forwarding"), (("vepa", "bridge"), "macvlan-mode-isolated"), (("private",) * 2, "macvlan-mode-isolated")],
)
def test_a_switch_reflects_for_macvlans_that_all_count_on_it(modes: tuple[str, ...], code: str) -> None:
    cause = chosen(on_a_switch(*modes), "m1", "192.168.100.2")
    assert cause.code == code
    assert (lines(cause) == ["bridge link set dev p1 hairpin on"]) == (code == "port-not-forwarding")
