import pytest
import sample_reports as sample
from msgspec.structs import replace

from netprobe.model import Change, Endpoint, Flow, Hop, IcmpError, Object, Protocol, Stage
from netprobe.render import words

FLOW = Flow("10.0.0.2", "8.8.8.8", Protocol.UDP, sport=40000, dport=53)


def at(stage, **more):
    return Hop(1, "host", "eth0", stage, FLOW, **more)


def test_every_stage_and_protocol_has_a_word():
    assert all(words.step(at(stage)) for stage in Stage)
    assert all(words.protocol(replace(sample.PROBE, protocol=protocol)) for protocol in Protocol)


@pytest.mark.parametrize(
    ("by", "step"),
    [("MASQUERADE", "MASQUERADE"), ("SNAT", "SNAT"), ("conntrack", "un-NAT"), ("", "NAT"), ("iptables nat POSTROUTING 1", "NAT")],
)
def test_a_translation_names_the_step(by, step):
    assert words.step(at(Stage.POSTROUTING, changes=(Change("src", "10.0.0.2", "172.16.0.2", by),))) == step


def test_a_ttl_that_counts_down_is_no_translation():
    hop = at(Stage.FORWARD, changes=(Change("ttl", "64", "63", "forward"),))
    assert words.step(hop) == "forward"
    assert words.happened(hop) == "forwarded; ttl 63"


def test_ports_of_a_bridge_are_known_by_their_neighbours_or_their_object():
    bridge, port = at(Stage.BRIDGE_FORWARD), Object("bridge-port", "eth0")
    into, out = at(Stage.RECEIVE, bound="in"), at(Stage.TRANSMIT, bound="out")
    assert words.step(into, None, bridge) == "bridge port in"
    assert words.step(into, bridge, None) == "receive"
    assert words.step(out, bridge, None) == "bridge port out"
    assert words.step(out, None, bridge) == "host to bridge"
    assert words.step(out, None, None) == "send"
    assert words.step(replace(into, object=port)) == "bridge port in"
    assert words.step(into, None, replace(bridge, namespace="red")) == "receive"


def test_bridge_hooks_at_a_port_are_the_port():
    assert words.step(at(Stage.BRIDGE_PREROUTING, bound="in")) == "bridge port in"
    assert words.step(at(Stage.BRIDGE_POSTROUTING, bound="out")) == "bridge port out"
    assert words.step(at(Stage.BRIDGE_PREROUTING)) == "bridge prerouting"


@pytest.mark.parametrize(
    ("hop", "said"),
    [
        (at(Stage.TRANSMIT), "handed to the wire"),
        (at(Stage.TRANSMIT, note="to 10.0.0.1"), "to 10.0.0.1"),
        (at(Stage.ROUTE, object=Object("route", "default via 10.0.0.1 dev eth0")), "default via 10.0.0.1 dev eth0"),
        (at(Stage.PREROUTING, changes=(Change("dst", "10.0.0.1", "172.17.0.2", "DNAT"), Change("dport", "8080", "80", "DNAT")),
            object=Object("nat-rule", "iptables nat DOCKER 2"), note="published port"),
         "destination 10.0.0.1 → 172.17.0.2, destination port 8080 → 80 by iptables nat DOCKER 2; published port"),
    ],
)  # fmt: skip
def test_what_happened(hop, said):
    assert words.happened(hop) == said


@pytest.mark.parametrize(
    ("ns", "said"),
    [(0, "0 µs"), (499, "0 µs"), (214_400, "214 µs"), (999_499, "999 µs"), (999_500, "1 ms"), (1_354_000, "1.35 ms"), (44_000_000, "44 ms"),
     (999_600_000, "1 s"), (2_500_000_000, "2.5 s"), (1_200_000_000_000, "1200 s")],
)  # fmt: skip
def test_durations(ns, said):
    assert words.duration(ns) == said


@pytest.mark.parametrize(
    ("sent", "received", "said"),
    [
        (30, 17, "30 sent, 17 answered, 43 % lost"),
        (3, 0, "3 sent, 0 answered, 100 % lost"),
        (5, 5, "5 sent, 5 answered, 0 % lost"),
        (1000, 999, "1000 sent, 999 answered, 0.1 % lost"),
        (1000, 1, "1000 sent, 1 answered, 99.9 % lost"),
        (0, 0, "0 sent, 0 answered, 0 % lost"),
    ],
)
def test_losses_never_round_to_all_or_nothing(sent, received, said):
    assert words.loss(sent, received) == said


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (IcmpError("10.0.0.1", 3, 3), "10.0.0.1: port unreachable (ICMP type 3 code 3)"),
        (IcmpError("10.0.0.1", 3, 4, 1400), "10.0.0.1: fragmentation needed, MTU 1400 (ICMP type 3 code 4)"),
        (IcmpError("10.0.0.1", 11, 0), "10.0.0.1: time to live exceeded (ICMP type 11 code 0)"),
        (IcmpError("10.0.0.1", 3, 99), "10.0.0.1: destination unreachable (ICMP type 3 code 99)"),
        (IcmpError("10.0.0.1", 99, 0), "10.0.0.1: error (ICMP type 99 code 0)"),
        (IcmpError("fd00::1", 1, 4), "fd00::1: port unreachable (ICMPv6 type 1 code 4)"),
        (IcmpError("fd00::1", 2, 0, 1280), "fd00::1: packet too big, MTU 1280 (ICMPv6 type 2 code 0)"),
        (IcmpError("fd00::1", 3, 0), "fd00::1: hop limit exceeded (ICMPv6 type 3 code 0)"),
    ],
)
def test_icmp_errors(error, said):
    assert words.icmp_error(error) == said


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (Endpoint("red", "red", "eth0", "10.0.0.2"), "red (10.0.0.2)"),
        (Endpoint("8.8.8.8", None, None, "8.8.8.8"), "8.8.8.8"),
        (Endpoint("[2001:db8::1]:443", None, None, "2001:db8::1", 443), "[2001:db8::1]:443"),
        (Endpoint("c1@10.0.0.2", "c1", None, "10.0.0.2"), "c1@10.0.0.2"),
        (Endpoint("red", "red"), "red"),
    ],
)
def test_endpoints(end, said):
    assert words.endpoint(end) == said


def test_flows_show_ports_and_tunnels():
    outer = Flow("fd00::1", "fd00::2", Protocol.UDP, sport=5555, dport=4789)
    assert words.flow(replace(FLOW, outer=outer)) == "10.0.0.2:40000 → 8.8.8.8:53 [in [fd00::1]:5555 → [fd00::2]:4789]"
