"""The same network on either side of a namespace: who asks from the one is answered into the other."""

from __future__ import annotations

from predict.networks import tutorial
from test_repair_whole import after, ask, chosen, said

from netprobe.model import Snapshot

INNER = (  # docker in docker: c1 has a network of containers of its own, as its asker's is
    "c1: ip link add docker1 type veth peer name eth1 netns c2", "c1: ip link set dev docker1 up", "c2: ip link set dev eth1 up",
    "c1: ip address add 10.0.0.1/24 dev docker1", "c2: ip address add 10.0.0.9/24 dev eth1",
)  # fmt: skip


def overlapping() -> Snapshot:
    return after(tutorial(), *INNER)


def test_who_asks_gets_a_route_of_his_own_where_others_live_in_his_network() -> None:
    found = chosen(overlapping(), ask("red", "172.17.0.2"))
    assert (found.stop.code, found.stop.place.namespace) == ("reply-wrong-path", "c1")
    assert found.stop.object is not None
    assert found.stop.object.id == "10.0.0.0/24 dev docker1"
    assert said(found) == ["c1: ip route add 10.0.0.2 via 172.17.0.1 dev eth0"]
