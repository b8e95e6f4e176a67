"""The ICMP error that says that a packet is too long, and the rule that ate it on its way back."""

from __future__ import annotations

import pytest
from literal_rules import iptables
from msgspec.structs import replace
from networks import edited, probe, tutorial

from netprobe.diagnose.evidence import Case
from netprobe.diagnose.too_long import unreported
from netprobe.model import Flow, IcmpError, Leg, Observation, Place, Protocol, Source, Stage, Stop
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction

STOP = Stop("mtu-exceeded", Place("internet", "eth1", Stage.FORWARD), "too long")
ROUTER = "172.16.5.2"
NAT = """*nat
:POSTROUTING ACCEPT [0:0]
-A POSTROUTING -s 10.0.0.0/16 -o eth0 -j MASQUERADE
COMMIT
"""


def told(rules: str, bound: str = "in") -> str:
    """What is said where the error of a router beyond was last seen at the host, which has these rules and translates red."""
    snapshot = edited(tutorial(), "host", ruleset=iptables(NAT + rules))
    found = predict(snapshot, probe(df=True), ask=False)
    assert isinstance(found, Prediction)
    flow = Flow(ROUTER, "203.0.113.2", Protocol.ICMP, icmp_type=3, icmp_code=4)
    seen = Observation(Source.TAP, "seen", "host", 9, "eth0", bound, flow=flow, error=IcmpError(ROUTER, 3, 4, 1300))
    case = Case(snapshot, found.probe, found, (seen,), found.request.hops, ())
    said = unreported(case, STOP)
    assert said.code == "mtu-blackhole"
    return said.text


ACCEPTING = """*filter
:FORWARD DROP [0:0]
-A FORWARD -i br0 -j ACCEPT
-A FORWARD -i eth0 -m conntrack --ctstate {states} -j ACCEPT
COMMIT"""
BOGONS = """*mangle
:PREROUTING ACCEPT [0:0]
-A PREROUTING -i eth0 -s 172.16.0.0/12 -j DROP
COMMIT"""
TO_RED = """*filter
:FORWARD ACCEPT [0:0]
-A FORWARD -d 10.0.0.2/32 -p icmp -m icmp --icmp-type 3/4 -j DROP
COMMIT"""


@pytest.mark.parametrize(
    ("rules", "by"),
    [
        (ACCEPTING.format(states="ESTABLISHED"), "iptables filter FORWARD policy"),
        (ACCEPTING.format(states="RELATED,ESTABLISHED"), None),
        (BOGONS, "iptables mangle PREROUTING 1"),
        (TO_RED, "iptables filter FORWARD 1"),
    ],
)
def test_the_rule_that_ate_the_error_is_told(rules: str, by: str | None) -> None:
    assert told(rules).endswith(f"host/eth0; {by} of host drops it" if by else "it was last seen at host/eth0")


def test_what_has_left_was_eaten_elsewhere() -> None:
    assert told(BOGONS, "out").endswith("it was last seen at host/eth0")


@pytest.mark.parametrize(("heard", "code"), [("internet", "mtu-exceeded"), ("red", "mtu-blackhole")])
def test_of_an_answer_that_is_too_long_it_is_told_who_answers(heard: str, code: str) -> None:
    snapshot = edited(tutorial(), "host", ruleset=iptables(NAT))
    found = predict(snapshot, probe(df=True), ask=False)
    assert isinstance(found, Prediction)
    assert found.reply is not None
    flow = Flow("203.0.113.2", "203.0.113.1", Protocol.ICMP, icmp_type=3, icmp_code=4)
    seen = Observation(Source.TAP, "seen", heard, 9, "eth0", "in", flow=flow, error=IcmpError("203.0.113.2", 3, 4, 1300))
    case = Case(snapshot, found.probe, found, (seen,), found.request.hops, found.reply.hops, leg=Leg.REPLY)
    assert unreported(case, replace(STOP, place=Place("host", "br0", Stage.FORWARD))).code == code
