"""Which address of a pool a connection gets: as a kernel (6.18) was seen to choose, and in a rule."""

from __future__ import annotations

import pytest
from literal_rules import PING, forwarded, iptables

from netprobe.rules import traverse
from netprobe.rules.spread import one_of

POOL = ("203.0.113.10", "203.0.113.12")


@pytest.mark.parametrize(
    ("pool", "src", "dst", "persistent", "chosen"),
    [
        (POOL, "10.0.0.2", "8.8.8.8", True, "203.0.113.12"),
        (POOL, "10.0.0.3", "8.8.8.8", True, "203.0.113.12"),
        (POOL, "10.0.0.2", "8.8.8.8", False, "203.0.113.11"),
        (POOL, "10.0.0.2", "8.8.4.4", False, "203.0.113.10"),
        (("203.0.112.250", "203.0.113.77"), "10.0.7.9", "8.8.4.4", True, "203.0.113.13"),
        (("fd00::10", "fd00::1f"), "fd00:10::2", "2001:db8::1", False, "fd00::18"),
    ],
)
def test_an_address_of_a_pool(pool: tuple[str, str], src: str, dst: str, persistent: bool, chosen: str) -> None:
    assert one_of(*pool, src, dst, 0, persistent) == chosen


@pytest.mark.parametrize(("pool", "flag", "source"), [("203.0.113.10-203.0.113.12", "", "203.0.113.11"),
                                                      ("203.0.113.10-203.0.113.12", " --persistent", "203.0.113.12"),
                                                      ("10.0.0.1-10.0.0.9", "", "10.0.0.2")])  # fmt: skip
def test_a_rule_with_a_pool_gives_one_of_it_for_sure(pool: str, flag: str, source: str) -> None:
    """A source that is of the pool already keeps its own."""
    rule = f"*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -o eth0 -j SNAT --to-source {pool}{flag}\nCOMMIT"
    packet = forwarded(PING)
    ruling = traverse(iptables(rule), packet.ethertype, "postrouting", packet)
    assert (ruling.packet.flow.src, ruling.doubts) == (source, ())
