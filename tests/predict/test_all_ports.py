"""A source translation that has too few ports gets all of them, in its own place."""

from __future__ import annotations

import pytest

from netprobe.model import Object
from netprobe.predict.fixes import with_all_ports

IPV4 = ("iptables", "nat", "POSTROUTING", "2")
IPV6 = ("ip6tables", "nat", "POSTROUTING", "1")


@pytest.mark.parametrize(
    ("words", "rule", "fix"),
    [
        (IPV4, "-o eth0 -p tcp -j MASQUERADE --to-ports 40000-40010", "iptables -t nat -R POSTROUTING 2 -o eth0 -p tcp -j MASQUERADE"),
        (IPV4, "-p udp -j SNAT --to-source 192.0.2.1:7-9", "iptables -t nat -R POSTROUTING 2 -p udp -j SNAT --to-source 192.0.2.1"),
        (IPV6, "-p udp -j SNAT --to-source [fd00::1]:7-9", "ip6tables -t nat -R POSTROUTING 1 -p udp -j SNAT --to-source fd00::1"),
        (("nft", "ip", "nat", "post", "4"), "-j MASQUERADE --to-ports 7", None),
        (None, "-j MASQUERADE --to-ports 7", None),
    ],
)  # fmt: skip
def test_the_rule_without_its_range(words: tuple[str, ...] | None, rule: str, fix: str | None) -> None:
    found = with_all_ports(Object("nat-rule", "a rule", f"-A POSTROUTING {rule}", words=words))
    assert [" ".join(command.words) for command in found] == ([fix] if fix is not None else [])
