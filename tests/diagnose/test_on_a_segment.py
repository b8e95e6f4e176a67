"""On one segment: who announces itself as a router, which of two interfaces answers, where a cable's end or an entry belongs."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from networks import edited, port, tutorial, via
from test_beside import chosen, kernel, lines
from test_dispatched import dropping
from test_routes_of_programs import over, via_loopback

from netprobe.diagnose.repair.candidates import bridges, moved
from netprobe.model import FdbEntry, InterfaceAddress, Link, LinkRef, Snapshot


def test_who_has_heard_a_router_is_to_hear_it_again() -> None:
    """The default route that comes then is no command's."""
    snapshot, key = with_ipv6(), "net.ipv6.conf.eth0"
    c1 = snapshot["c1"]
    deaf = {f"{key}.accept_ra": "1", f"{key}.forwarding": "1", "net.ipv6.conf.all.forwarding": "1"}
    own = (*c1.addresses, InterfaceAddress(2, "fd00:17::2", 64, flags=("dynamic",)))
    routes = (*c1.routes, kernel("fd00:17::/64", 2), *via_loopback("fd00:17::2", 128))
    cause = chosen(edited(snapshot, "c1", addresses=own, routes=routes, sysctls={**c1.sysctls, **deaf}), "c1", "2001:db8::8")
    assert (cause.code, lines(cause)) == ("ra-not-accepted", [f"sysctl -w {key}.accept_ra=2"])


@pytest.mark.parametrize(
    ("protocol", "says"),
    [
        ("boot", "ip -6 route add default via fd00:17::1 dev eth0"),
        ("ra", "sysctl -w net.ipv6.conf.eth0.accept_ra=2"),
    ],
)
def test_where_a_station_beside_was_given_its_default_route_no_router_announces_itself(protocol: str, says: str) -> None:
    snapshot, key = with_ipv6(), "net.ipv6.conf.eth0"
    deaf = {f"{key}.accept_ra": "1", f"{key}.forwarding": "1", "net.ipv6.conf.all.forwarding": "1"}
    for name in ("c1", "c2"):
        there, own = snapshot[name], f"fd00:17::{name}"
        routes = (*there.routes, kernel("fd00:17::/64", 2), *via_loopback(own, 128))
        addresses = (*there.addresses, InterfaceAddress(2, own, 64))
        snapshot = edited(snapshot, name, addresses=addresses, routes=routes, sysctls={**there.sysctls, **deaf})
    led = via("::/0", "fd00:17::1", 2, protocol=protocol)
    snapshot = edited(snapshot, "c2", routes=(*snapshot["c2"].routes, led))
    assert says in lines(chosen(snapshot, "c1", "2001:db8::8"))


def with_ipv6() -> Snapshot:
    """The host is a router of IPv6 beside c1, and has 2001:db8::8 itself."""
    host = tutorial()["host"]
    own = (*host.addresses, InterfaceAddress(5, "fd00:17::1", 64), InterfaceAddress(1, "2001:db8::8", 128))
    routes = (*host.routes, kernel("fd00:17::/64", 5), *via_loopback("2001:db8::8", 128), *via_loopback("fd00:17::1", 128))
    return edited(tutorial(), "host", addresses=own, routes=routes, sysctls={**host.sysctls, "net.ipv6.conf.all.forwarding": "1"})


def test_of_two_interfaces_on_a_segment_the_last_one_answers_first_and_is_to_keep_silent() -> None:
    """Host has a second interface on docker0's own segment, behind c2's cable, and lets the port in by the first alone."""
    c2 = tutorial()["c2"]
    lo, eth0 = c2.links
    links = (lo, eth0, Link(3, "eth1", "veth", "02:00:00:00:04:09", link=LinkRef(8, 0)))
    host = tutorial()["host"]
    ports = (*host.links, port(8, "vethc3", 3, 4, 5))
    snapshot = edited(tutorial(), "host", links=ports)
    rules = dropping("INPUT", "-A INPUT -i eth0 -j ACCEPT")
    cause = chosen(edited(snapshot, "c2", links=links, ruleset=rules), "c1", "172.17.0.3")
    assert (cause.code, lines(cause)) == (
        "addr-duplicate",
        ["sysctl -w net.ipv4.conf.eth1.arp_ignore=1", "ip neigh flush to 172.17.0.3 dev eth0"],
    )


@pytest.mark.parametrize(
    ("protocol", "answers", "is_loose"),
    [("kernel", "0", True), ("static", "0", False), ("kernel", "1", False)],  # the last one: for the station behind it, as for a pod
)
def test_an_end_by_which_somebody_leads_was_not_moved_away(protocol: str, answers: str, is_loose: bool) -> None:
    host = tutorial()["host"]
    bare = tuple(each for each in host.addresses if each.index != 4)
    routes = (*(each for each in host.routes if not {*each.indexes} & {4}), replace(via("192.0.2.0/24", None, 4), protocol=protocol))
    sysctls = {**host.sysctls, "net.ipv4.conf.eth0.proxy_arp": answers}
    snapshot = edited(tutorial(), "host", addresses=bare, routes=routes, sysctls=sysctls)
    ends = [(name, snapshot[name].link_named("eth0")) for name in ("host", "internet")]
    loss = over(edited(snapshot, "red", routes=()))
    assert moved._is_loose(loss, *ends) is is_loose  # type: ignore[arg-type]


@pytest.mark.parametrize(("of", "is_astray"), [("c1", True), ("internet", False)])
def test_an_entry_leads_into_a_tunnel_where_its_station_is_here(of: str, is_astray: bool) -> None:
    host = tutorial()["host"]
    tunnel = Link(9, "vx0", "vxlan", "02:00:00:00:00:09", master=5)
    eth0 = tutorial()[of].link_named("eth0")
    assert eth0 is not None
    entry = FdbEntry(9, eth0.mac, 5, state="static")
    snapshot = edited(tutorial(), "host", links=(*host.links, tunnel), fdb=(entry,))
    loss = over(edited(snapshot, "red", routes=()))
    assert bridges._leads_astray(loss, snapshot["host"], entry, tunnel) is is_astray
