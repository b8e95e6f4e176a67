"""A rule that gives what leaves by one uplink the address of the other one."""

from __future__ import annotations

import pytest
from networks import edited
from test_beside import chosen, lines, two_uplinks
from test_policy_siblings import translating


@pytest.mark.parametrize("out", ["-o eth0 ", ""])
def test_the_address_of_the_way_out_is_meant(out: str) -> None:
    """The provider believes no address that it did not give away. A rule for all ways out may mean another one."""
    ruleset = translating(f"-A POSTROUTING {out}-s 10.0.0.0/16 -j SNAT --to-source 198.51.100.2")
    cause = chosen(edited(two_uplinks(), "host", ruleset=ruleset), "red", "8.8.8.8")
    told = f"iptables -t nat -R POSTROUTING 1 {out}-s 10.0.0.0/16 -j SNAT --to-source 203.0.113.2"
    assert (cause.code == "nat-wrong-address", told in lines(cause)) == (bool(out), bool(out))


def test_the_address_of_the_way_out_is_right() -> None:
    ruleset = translating("-A POSTROUTING -o eth0 -s 10.0.0.0/16 -j SNAT --to-source 203.0.113.9")
    assert "203.0.113.2" not in "".join(lines(chosen(edited(two_uplinks(), "host", ruleset=ruleset), "red", "8.8.8.8")))
