"""What somebody mistyped, and what is beside it as it should be."""

from __future__ import annotations

from msgspec.structs import replace
from networks import edited, probe, tutorial
from test_repair_whole import after, chosen

from netprobe.model import Protocol, Socket


def test_a_route_to_another_router_starts_no_program() -> None:
    """The packet is with who has its destination; by another way it would be lost before."""
    lines = ("host: ip address add 192.0.2.9/32 dev lo", "c1: ip route add 192.0.2.0/24 via 172.17.0.1 dev eth0")
    network = after(tutorial(), *lines, "c2: ip route add 192.0.2.0/24 via 172.17.0.9 dev eth0")
    network = edited(network, "host", sockets=(Socket("tcp", "0.0.0.0", 80, "listen"),))
    asked = probe("c1", "192.0.2.9", Protocol.TCP, source_port=40000)
    found = chosen(network, replace(asked, destination=replace(asked.destination, port=22)))
    assert found.stop.code == "port-closed"
