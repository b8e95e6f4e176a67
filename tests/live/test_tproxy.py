"""Transparent proxies: TPROXY gives a packet to a socket of this host, whatever its destination is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
from asking import once, trace

from netprobe.lab.faults.networks import OFFICES
from netprobe.lab.lab import Lab

pytestmark = [pytest.mark.lab, once]

_PROXY = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
s.setsockopt(socket.SOL_IP, 19, int(sys.argv[2]))  # IP_TRANSPARENT
s.bind((sys.argv[1], 8080))
s.listen(5)
print("listens", flush=True)
time.sleep(600)
"""
_XT = ["iptables -t mangle -A PREROUTING -i lan -p tcp --dport 80 -j TPROXY --on-port 8080 --tproxy-mark 1"]
_NFT = [
    "nft add table ip proxy",
    "nft add chain ip proxy pre { type filter hook prerouting priority mangle; }",
    "nft add rule ip proxy pre iifname lan tcp dport 80 tproxy to :8080 meta mark set 1 accept",
]
_KEPT = ["ip rule add fwmark 1 lookup 100", "ip route add local default dev lo table 100"]


@pytest.fixture
def offices(make_lab: Any) -> Lab:
    lab: Lab = make_lab(OFFICES.topology)
    return lab


def configure(lab: Lab, *lines: str) -> None:
    for line in lines:
        lab.run(line.split(), namespace="r1", check=True)


@pytest.fixture
def listen(offices: Lab) -> Callable[..., None]:
    def start(address: str = "0.0.0.0", transparent: int = 1) -> None:
        offices.start([sys.executable, "-c", _PROXY, address, str(transparent)], namespace="r1").until("listens")

    return start


def ended(lab: Lab) -> tuple[str, str, list[str]]:
    report = trace(lab, "pc", "10.2.0.10:80")
    return report["verdict"], report["agreement"], [cause["code"] for cause in report["causes"]]


@pytest.mark.parametrize("rules", [_XT, _NFT], ids=["iptables", "nft"])
@pytest.mark.parametrize("address", ["0.0.0.0", "10.1.0.1"])
def test_the_proxy_answers_for_the_server(offices: Lab, listen: Callable[..., None], rules: list[str], address: str) -> None:
    configure(offices, *rules, *_KEPT)
    listen(address)
    assert ended(offices) == ("reachable", "confirmed", [])


@pytest.mark.parametrize(("rules", "told"), [(_XT, "xt"), (_NFT, "nft")], ids=["iptables", "nft"])
@pytest.mark.parametrize("opaque", [True, False], ids=["opaque", "absent"])
def test_a_proxy_that_is_not_there(offices: Lab, listen: Callable[..., None], rules: list[str], told: str, opaque: bool) -> None:
    """xt_TPROXY drops the packet; at nft's the rule ends, the mark is not set, and the server answers itself."""
    configure(offices, *rules, *_KEPT)
    if opaque:
        listen(transparent=0)
    if told == "xt":
        assert ended(offices) == ("unreachable", "confirmed", ["nat-redirect-dead"])
    else:
        assert ended(offices) == ("reachable", "confirmed", [])


@pytest.mark.parametrize("rules", [_XT, _NFT], ids=["iptables", "nft"])
def test_a_packet_with_a_socket_that_is_routed_on(offices: Lab, listen: Callable[..., None], rules: list[str]) -> None:
    """The policy rule is missing that keeps it here; ip_forward drops what a socket has already."""
    configure(offices, *rules)
    listen()
    assert ended(offices) == ("unreachable", "confirmed", ["rule-local-missing"])
    configure(offices, *_KEPT)
    assert ended(offices) == ("reachable", "confirmed", [])
