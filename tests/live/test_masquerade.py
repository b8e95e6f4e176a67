"""Which address a translation takes that names none (nf_nat_masquerade.c, nf_nat_redirect.c)."""

from __future__ import annotations

import pytest
from asking import once, trace

from netprobe.lab.lab import Lab

pytestmark = [pytest.mark.lab, once]

FIRST, SECOND = "203.0.113.2", "203.0.113.50"


def translated(lab: Lab, *lines: str, target: str = "8.8.8.8", source: str = "red") -> tuple[str, str, list[str]]:
    """Verdict and agreement, and what the request's source became: predicted and seen."""
    for line in lines:
        lab.run(line.split(), check=True)
    report = trace(lab, source, target)
    found = [change["to"] for hop in report["path"]["request"] for change in hop["changes"] if change["field"] in ("src", "dst")]
    return report["verdict"], report["agreement"], found


def test_the_source_that_a_route_prefers_does_not_count(fresh_lab: Lab) -> None:
    lines = (f"ip addr add {SECOND}/24 dev eth0", f"ip route replace default via 203.0.113.1 dev eth0 src {SECOND}")
    assert translated(fresh_lab, *lines) == ("reachable", "confirmed", [FIRST])


def test_an_address_of_the_next_hops_network_comes_first(fresh_lab: Lab) -> None:
    """The interface's first address is of another network, to which the destination belongs."""
    lines = ("ip addr flush dev eth0 scope global", "ip addr add 8.8.0.9/16 dev eth0 noprefixroute", f"ip addr add {FIRST}/24 dev eth0",
             "ip route replace default via 203.0.113.1 dev eth0")  # fmt: skip
    assert translated(fresh_lab, *lines) == ("reachable", "confirmed", [FIRST])


def test_an_address_of_the_link_alone_is_none(fresh_lab: Lab) -> None:
    lines = ("ip addr flush dev eth0 scope global", "ip addr add 203.0.113.9/24 dev eth0 scope link", f"ip addr add {FIRST}/32 dev eth0",
             "ip route replace default via 203.0.113.1 dev eth0")  # fmt: skip
    assert translated(fresh_lab, *lines) == ("reachable", "confirmed", [FIRST])


def test_redirect_takes_the_first_address_of_the_interface_in(fresh_lab: Lab) -> None:
    lines = (
        "ip addr flush dev br0 scope global", "ip addr add 10.7.0.1/16 dev br0", "ip addr add 10.0.0.1/16 dev br0",
        "nft add table ip r", "nft add chain ip r pre { type nat hook prerouting priority dstnat; }",
        "nft add rule ip r pre iifname br0 tcp dport 8888 redirect to :9",
    )  # fmt: skip
    report = translated(fresh_lab, *lines, target="8.8.8.8:8888")
    assert report == ("unreachable", "confirmed", ["10.7.0.1"])


def test_what_the_host_itself_sends_is_translated_at_output(fresh_lab: Lab) -> None:
    lines = ("nft add table ip o", "nft add chain ip o out { type nat hook output priority -100; }",
             "nft add rule ip o out ip daddr 192.0.2.80 dnat to 172.17.0.3")  # fmt: skip
    found = translated(fresh_lab, *lines, target="192.0.2.80", source="host")
    assert found[:2] == ("reachable", "confirmed")
    assert found[2][0] == "172.17.0.3"
