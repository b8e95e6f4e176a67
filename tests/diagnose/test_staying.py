"""A rule that keeps a bridge's network apart, and takes what stays on the bridge for another's."""

from __future__ import annotations

import pytest
from literal_rules import iptables
from msgspec.structs import replace
from networks import edited, local, tutorial, veth, via
from test_beside import chosen, lines, lost_in

from netprobe.diagnose.repair.candidates import staying
from netprobe.diagnose.repair.repair import Loss
from netprobe.model import InterfaceAddress, Snapshot

APART = "*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD {} -j DROP\nCOMMIT"


def handed_to_iptables(rule: str) -> Snapshot:
    """c2 has an address of another network as well, to which c1 leads straight; bridged frames pass the host's rules."""
    c1, c2, host = (tutorial()[name] for name in ("c1", "c2", "host"))
    there = edited(
        tutorial(), "c2", addresses=(*c2.addresses, InterfaceAddress(2, "10.9.0.3", 32)), routes=(*c2.routes, *local("10.9.0.3"))
    )
    there = edited(there, "c1", routes=(*c1.routes, via("10.9.0.3/32", None, 2, scope="link")))
    handed = {**host.sysctls, "net.bridge.bridge-nf-call-iptables": "1"}
    return edited(there, "host", sysctls=handed, ruleset=iptables(APART.format(rule)))


@pytest.mark.parametrize(
    ("rule", "fix"),
    [
        ("! -d 172.17.0.0/16 -i docker0", "iptables -R FORWARD 1 ! -d 172.17.0.0/16 ! -o docker0 -i docker0 -j DROP"),
        ("! -d 172.17.0.0/16 -i docker0 -o docker0", "iptables -D FORWARD ! -d 172.17.0.0/16 -i docker0 -o docker0 -j DROP"),
        ("! -d 10.0.0.0/16 -i docker0", "iptables -D FORWARD ! -d 10.0.0.0/16 -i docker0 -j DROP"),  # for none of the bridge's
    ],
)
def test_what_stays_on_the_bridge_is_left_alone(rule: str, fix: str) -> None:
    assert lines(chosen(handed_to_iptables(rule), "c1", "10.9.0.3")) == [fix]


def test_the_rule_is_told_why_it_is_worded_anew() -> None:
    """It is the very rule that refuses: its own words say only that it does."""
    why = "iptables filter FORWARD 1 of host refuses what stays on docker0 as well"
    apart, meant = (
        chosen(handed_to_iptables(rule), "c1", "10.9.0.3") for rule in ("! -d 172.17.0.0/16 -i docker0", "! -d 10.0.0.0/16 -i docker0")
    )
    assert (why in apart.proof, why in meant.proof) == (True, False), "the other one is deleted"


def test_who_sends_with_the_address_of_another_interface_is_told_so() -> None:
    """The rule may well refuse that; the route that gives the source was made so by hand."""
    there = handed_to_iptables("! -s 172.17.0.0/16 -o docker0")
    c1 = there["c1"]
    addresses = (*c1.addresses, InterfaceAddress(3, "10.7.0.2", 24))
    odd = tuple(replace(r, source="10.7.0.2") if r.dst == "172.17.0.0/16" else r for r in c1.routes)
    beside = veth(3, "eth1", "02:00:00:00:07:02", 9, 9)
    there = edited(there, "c1", links=(*c1.links, beside), addresses=addresses, routes=(*odd, *local("10.7.0.2")))
    lost = lost_in(there, "c1", "172.17.0.3")
    assert lost.stop is not None
    assert not [*staying.candidates(Loss.of(there, lost, lost.stop))]
    assert chosen(there, "c1", "172.17.0.3").code == "route-wrong-src"


def test_what_leaves_the_bridge_is_kept_apart() -> None:
    assert not any("! -o" in line for line in lines(chosen(handed_to_iptables("! -d 172.17.0.0/16 -i docker0"), "c1", "8.8.8.8")))
