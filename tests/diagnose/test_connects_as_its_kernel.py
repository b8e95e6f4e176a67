"""A connection as its own kernel would make it: ECN flags and a small MSS, which old or wary firewalls drop (RFC 3168, 6.1.1.1)."""

from __future__ import annotations

import pytest
from literal_rules import iptables
from msgspec.structs import replace
from networks import edited, probe, tutorial

from netprobe.diagnose.repair import choice
from netprobe.model import Endpoint, Probe, Protocol, Snapshot, Socket
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction
from netprobe.wire.craft import Recipe, craft
from netprobe.wire.mark import Mark

KEY = "net.ipv4.tcp_ecn"
DROPS = (
    "*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -m ecn --ecn-tcp-ece -j DROP\nCOMMIT"
)


def asked(value: str) -> tuple[Snapshot, Prediction]:
    """What is predicted of a connection from red, which has this setting, to c1, which drops what asks for ECN."""
    there = edited(tutorial(), "c1", ruleset=iptables(DROPS), sockets=(Socket("tcp", "0.0.0.0", 80, "listen"),))
    snapshot = edited(there, "red", sysctls={KEY: value})
    bare = replace(probe("red", "172.17.0.2", Protocol.TCP), icmp_id=None, source_port=40000)
    to: Probe = replace(bare, destination=Endpoint("172.17.0.2", address="172.17.0.2", port=80))
    found = predict(snapshot, to, ask=False)
    assert isinstance(found, Prediction)
    return snapshot, found


def test_it_is_dropped_and_the_setting_is_the_cause() -> None:
    snapshot, found = asked("1")
    assert found.stop is not None
    assert (found.probe.ecn, found.stop.code) == (True, "filtered-by-rule")
    stop = choice.choose(snapshot, found, found.stop).stop
    assert (stop.object.id if stop.object else None, stop.place.namespace) == (KEY, "red")
    assert [" ".join(command.words) for command in stop.commands] == [f"sysctl -w {KEY}=2"]


@pytest.mark.parametrize("value", ["0", "2"])
def test_a_connection_that_does_not_ask_for_it_passes(value: str) -> None:
    _, found = asked(value)
    assert (found.probe.ecn, found.stop) == (False, None)


@pytest.mark.parametrize(("ecn", "flags"), [(True, 0xC2), (False, 0x02)])
def test_what_is_sent_asks_as_well(ecn: bool, flags: int) -> None:
    [segment] = craft(Recipe(Mark(Protocol.TCP, b"abcdef", source_ports=(40000,), port=80), "10.0.0.2", "10.0.0.3", ecn=ecn))
    assert segment[13] == flags


SMALL = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -m tcpmss --mss 1:500 -j DROP\nCOMMIT"


@pytest.mark.parametrize(("told", "code"), [(400, "filtered-by-rule"), (None, None), (1000, None)])
def test_short_segments_that_a_route_asks_for_are_refused_as_an_attack(told: int | None, code: str | None) -> None:
    c2 = tutorial()["c2"]
    routes = tuple(replace(each, advmss=told) if each.is_default else each for each in c2.routes)
    there = edited(tutorial(), "red", ruleset=iptables(SMALL), sockets=(Socket("tcp", "0.0.0.0", 80, "listen"),))
    snapshot = edited(there, "c2", routes=routes)
    bare = replace(probe("c2", "10.0.0.2", Protocol.TCP), icmp_id=None, source_port=40000)
    found = predict(snapshot, replace(bare, destination=Endpoint("10.0.0.2", address="10.0.0.2", port=80)), ask=False)
    assert isinstance(found, Prediction)
    assert (found.probe.mss, found.stop and found.stop.code) == (told, code)
    if found.stop is not None:
        stop = choice.choose(snapshot, found, found.stop).stop
        assert [" ".join(command.words) for command in stop.commands] == ["ip route replace default via 172.17.0.1 dev eth0"]


@pytest.mark.parametrize(("mss", "octets"), [(400, b"\x02\x04\x01\x90"), (None, b"\x02\x04\x05\xb4")])
def test_what_is_sent_tells_it(mss: int | None, octets: bytes) -> None:
    [segment] = craft(Recipe(Mark(Protocol.TCP, b"abcdef", source_ports=(40000,), port=80), "10.0.0.2", "10.0.0.3", mss=mss))
    assert segment[20:24] == octets
