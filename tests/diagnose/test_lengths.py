"""Prefix lengths that disagree with those beside: a host's prefix is often meant, and sometimes not."""

from __future__ import annotations

import pytest
from diagnose.test_rather_two import ruled
from diagnose.test_repair_whole import ask, chosen
from msgspec.structs import replace
from predict.networks import edited, tutorial

from netprobe.model import Nexthop, Protocol, Route, Snapshot
from netprobe.model.lookup import where

_ROUTER = "172.17.0.1"


def by_itself(*beside: Route, flags: tuple[str, ...] = ()) -> Snapshot:
    """c1 with a host's prefix and its router; the host forwards nothing between containers."""
    space = tutorial()["c1"]
    addresses = tuple(replace(each, prefixlen=32) if each.address == "172.17.0.2" else each for each in space.addresses)
    default = Route("0.0.0.0/0", nexthops=(Nexthop(2, _ROUTER, flags),))
    network = edited(tutorial(), "c1", addresses=addresses, routes=(*where(space.routes, type="local"), default, *beside))
    lines = (":INPUT ACCEPT [0:0]", ":FORWARD DROP [0:0]", ":OUTPUT ACCEPT [0:0]", "-A FORWARD -i docker0 -o eth0 -j ACCEPT")
    return ruled(network, "host", "filter", *lines)


TOLD = [  # what stands beside the default route, its flags, and whether the prefix was another
    ((), (), True),  # the kernel would not have taken that route
    ((), ("onlink",), False),
    ((Route("172.17.0.1/32", scope="link", nexthops=(Nexthop(2),)),), (), False),
    ((Route("172.17.0.9/32", scope="link", nexthops=(Nexthop(2),)),), (), True),
]


@pytest.mark.parametrize(("beside", "flags", "longer"), TOLD)
def test_a_router_to_whom_no_route_leads_was_in_a_network_once(beside: tuple[Route, ...], flags: tuple[str, ...], longer: bool) -> None:
    found = chosen(by_itself(*beside, flags=flags), ask("c1", "172.17.0.3"))
    assert (found.stop.code == "addr-wrong-prefix") is longer


@pytest.mark.parametrize("protocol", [Protocol.ARP, Protocol.ICMP])
def test_a_source_check_refuses_whom_a_host_s_prefix_leaves_out(protocol: Protocol) -> None:
    space = tutorial()["c2"]
    addresses = tuple(replace(each, prefixlen=32) if each.address == "172.17.0.3" else each for each in space.addresses)
    settings = {"net.ipv4.conf.all.rp_filter": "1", "net.ipv4.conf.eth0.rp_filter": "0"}
    network = edited(tutorial(), "c2", addresses=addresses, routes=where(space.routes, type="local"), sysctls=settings)
    found = chosen(network, replace(ask("c1", "172.17.0.3"), protocol=protocol))
    assert (found.stop.code, found.stop.place.namespace) == ("addr-wrong-prefix", "c2")
