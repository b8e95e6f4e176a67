"""A service's address that a router leads to a machine which has lost it."""

from __future__ import annotations

import pytest
from literal_rules import iptables
from networks import edited, tutorial, via
from test_published import cause, fix
from test_published_to import web

from netprobe.model import Snapshot

VIP = "198.51.100.50"
PUBLISHED = """*nat
:PREROUTING ACCEPT [0:0]
-A PREROUTING -p tcp -m addrtype --dst-type LOCAL -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
COMMIT"""


def network(length: int = 32, *, port: int = 8080) -> Snapshot:
    """internet leads a network to the host, which publishes a port of c1, or listens on another one; its own way is by internet."""
    far = (*tutorial()["internet"].routes, via(f"198.51.100.{50 if length == 32 else 0}/{length}", "203.0.113.2", 2))
    snapshot = edited(edited(tutorial(), "internet", routes=far), "c1", sockets=(web(80),))
    return edited(snapshot, "host", sockets=(web(port),) if port != 8080 else (), ruleset=iptables(PUBLISHED))


@pytest.mark.parametrize("port", [8080, 22])
def test_an_address_of_a_service_that_is_gone_from_where_a_router_leads_it(port: int) -> None:
    said = cause(network(port=port), "internet", VIP, port)
    assert (said.code, said.place.namespace, said.thing.id) == ("addr-missing", "host", f"{VIP}/32 dev lo")
    assert fix(said) == [f"ip address add {VIP}/32 dev lo"]


@pytest.mark.parametrize(("length", "port"), [(24, 8080), (32, 443)])
def test_a_network_or_a_port_for_which_nobody_waits_tells_nothing(length: int, port: int) -> None:
    assert cause(network(length), "internet", VIP, port).code == "route-loop"
