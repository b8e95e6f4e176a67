"""A service with two endpoints of which one is nobody's, as kube-proxy leaves it: asked on the wire."""

from __future__ import annotations

from typing import Any

import pytest
from asking import ask, once, reported, trace

from netprobe.lab.lab import Lab

pytestmark = [pytest.mark.lab, once, pytest.mark.thorough]

SERVICE, PROBES = "10.96.0.10:80", 12
LIVING, DEAD = "172.17.0.3", "172.17.0.77"
IPTABLES = """*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:SVC - [0:0]
-A PREROUTING -d 10.96.0.10/32 -p tcp --dport 80 -j SVC
-A SVC -p tcp -m statistic --mode nth --every 2 --packet 0 -j DNAT --to-destination {}:80
-A SVC -p tcp -j DNAT --to-destination {}:80
-A POSTROUTING -d 172.17.0.0/16 -j MASQUERADE
COMMIT
"""
NFT = """table ip nat {{
  chain post {{ type nat hook postrouting priority 100; ip daddr 172.17.0.0/16 masquerade; }}
  chain pre {{ type nat hook prerouting priority -100;
    ip daddr 10.96.0.10 tcp dport 80 dnat to numgen inc mod 2 map {{ 0 : {}, 1 : {} }}; }}
}}
"""


@pytest.mark.parametrize(("load", "rules"), [("iptables-restore", IPTABLES), ("nft -f -", NFT)], ids=["iptables", "nft"])
@pytest.mark.parametrize("order", [(LIVING, DEAD), (DEAD, LIVING)], ids=["second", "first"])
def test_the_end_that_is_nobodys(fresh_lab: Lab, load: str, rules: str, order: tuple[str, str]) -> None:
    for command in ("nft flush ruleset", "sysctl -qw net.ipv4.ip_forward=1"):
        fresh_lab.run(command.split(), "host", check=True)
    fresh_lab.run(load.split(), "host", text=rules.format(*order), check=True)
    several: dict[str, Any] = trace(fresh_lab, "red", SERVICE, "-c", str(PROBES))
    assert (several["verdict"], several["agreement"], several["received"]) == ("intermittent", "confirmed", PROBES // 2)
    foretold = reported(ask(fresh_lab, "why", "red", SERVICE, "-o", "json"))
    assert (foretold["verdict"], foretold["agreement"]) == ("intermittent", "predicted-only")
    for report in (several, foretold):
        assert report["causes"][0]["code"] == "dnat-dead-target"
        assert DEAD in report["causes"][0]["summary"]
    endings = {(one["verdict"], one["agreement"]) for one in (trace(fresh_lab, "red", SERVICE) for _ in range(4))}
    assert endings == {("reachable", "confirmed"), ("unreachable", "confirmed")}
