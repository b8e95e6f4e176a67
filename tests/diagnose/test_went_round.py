"""A router that has lost the network of its own interface sends what is for it to who sent it: what the interface lost comes back."""

from __future__ import annotations

import pytest
from test_repair_whole import after, ask, chosen, lost, said, tutorial

from netprobe.model import Snapshot


def by_ipv6() -> Snapshot:
    """The tutorial's network in IPv6: the world knows the way to red's network, and host sends all else to the world."""
    return after(
        tutorial(),
        "internet: sysctl -w net.ipv6.conf.all.forwarding=1",
        "host: sysctl -w net.ipv6.conf.all.forwarding=1",
        "red: ip address add fd00:10::2/64 dev eth0",
        "host: ip address add fd00:10::1/64 dev br0",
        "host: ip address add fd00:203::2/64 dev eth0",
        "internet: ip address add fd00:203::1/64 dev eth0",
        "red: ip -6 route add default via fd00:10::1",
        "host: ip -6 route add default via fd00:203::1",
        "internet: ip -6 route add fd00:10::/64 via fd00:203::2",
    )


@pytest.mark.parametrize(
    ("change", "code", "fix"),
    [
        ("ip link set dev br0 down", "link-admin-down", "ip link set dev br0 up"),
        ("ip link set dev br0 mtu 1000", "ipv6-disabled", "ip link set dev br0 mtu 1280"),
    ],
)
def test_what_went_round(change: str, code: str, fix: str) -> None:
    network = after(by_ipv6(), f"host: {change}")
    assert lost(network, ask("internet", "fd00:10::2"))[1].code == "route-loop"
    found = chosen(network, ask("internet", "fd00:10::2"))
    assert (found.stop.code, said(found)) == (code, [f"host: {fix}", "host: ip address add fd00:10::1/64 dev br0"])
