"""A way that is missing, where several routers may be meant: the one with which the probe passes is."""

from __future__ import annotations

import pytest
from predict.networks import edited, tutorial
from test_repair_whole import after, ask, chosen, said

from netprobe.model import Ruleset, Snapshot
from netprobe.rules.read.iptables_save import read_save


def on_two_networks(dropped: str) -> Snapshot:
    """red is on the networks of br0 (its own prefix is /32) and docker0, without a default route; host drops what comes from one."""
    rules = read_save(f"*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -i {dropped} -j DROP\nCOMMIT\n", "iptables", "ip")
    return after(
        edited(tutorial(), "host", ruleset=Ruleset(tables=rules)),
        "host: ip link add vethx type veth peer name eth1 netns red",
        "host: ip link set dev vethx master docker0",
        "host: ip link set dev vethx up",
        "red: ip link set dev eth1 up",
        "red: ip address add 172.17.0.9/16 dev eth1",
        "red: ip route del default",
    )


@pytest.mark.parametrize(("dropped", "gateway"), [("docker0", "10.0.0.1 dev eth0 onlink"), ("br0", "172.17.0.1")])
def test_the_router_that_lets_it_pass(dropped: str, gateway: str) -> None:
    found = chosen(on_two_networks(dropped), ask("red", "203.0.113.1"))
    assert found.stop.code == "no-route"
    assert said(found) == [f"red: ip route add default via {gateway}"]
