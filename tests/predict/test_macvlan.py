"""Two macvlans on one parent: who reaches whom, by mode, and by what the switch behind the parent sends back."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from networks import MAC, RULES, edited, lo, local, probe, relinked, via

from netprobe.diagnose.apply import mend
from netprobe.model import Bridge, BridgePort, Cause, FoundMacvlans, FoundPeer, InterfaceAddress, Link, LinkRef, Namespace, Snapshot
from netprobe.predict.predict import Prediction, predict

# drivers/net/macvlan.c, macvlan_queue_xmit and macvlan_handle_frame: a frame of a VEPA goes out, and comes in again where it is sent back;
# a private one is kept from its siblings even then.


def station(name: str, number: int, mode: str) -> Namespace:
    loopback, own = lo()
    link = Link(2, "eth0", "macvlan", MAC.format(5, number), link=LinkRef(4, 0), macvlan_mode=mode)
    address = f"10.5.0.{number}"
    return Namespace(name, links=(loopback, link), addresses=(*own, InterfaceAddress(2, address, 24)),
                     routes=(*local(address), via("10.5.0.0/24", None, 2)), rules=RULES)  # fmt: skip


def two(mode: str, hairpin: bool) -> Snapshot:
    """a and b on uplink of the switch, which is plugged into a port of the switch's own bridge."""
    bridge = Link(2, "br0", "bridge", MAC.format(6, 2), bridge=Bridge())
    inner = Link(3, "inner", "veth", MAC.format(6, 3), link=LinkRef(4), master=2, port=BridgePort(hairpin=hairpin))
    uplink = Link(4, "uplink", "veth", MAC.format(6, 4), link=LinkRef(3))
    switch = Namespace("switch", links=(lo()[0], bridge, inner, uplink), rules=RULES)
    spaces = (station("a", 1, mode), station("b", 2, mode), switch)
    peers = tuple(FoundPeer(name, 0, "switch") for name in ("a", "b"))
    return Snapshot({n.name: n for n in spaces}, peers, macvlans=(FoundMacvlans("switch", 4, ("a", "b")),))


@pytest.mark.parametrize(
    ("mode", "hairpin", "code"),
    [
        ("bridge", False, None), ("vepa", True, None), ("vepa", False, "macvlan-mode-isolated"),
        ("private", True, "macvlan-mode-isolated"), ("private", False, "macvlan-mode-isolated"),
    ],
)  # fmt: skip
def test_siblings(mode: str, hairpin: bool, code: str | None) -> None:
    outcome = predict(two(mode, hairpin), probe("a", "10.5.0.2"), ask=False)
    assert isinstance(outcome, Prediction)
    assert (outcome.stop.code if outcome.stop else None) == code
    crossed = ("switch", "inner", "in") in [(hop.namespace, hop.interface, hop.bound) for hop in outcome.request.hops]
    assert crossed is (mode == "vepa" and hairpin)


def with_its_host() -> Snapshot:
    """Container a, and its host, which has an address on the parent itself."""
    uplink = Link(4, "uplink", "veth", MAC.format(6, 4), link=LinkRef(3, 1))
    addresses = (*lo()[1], InterfaceAddress(4, "10.5.0.100", 24))
    routes = (*local("10.5.0.100"), via("10.5.0.0/24", None, 4))
    host = Namespace("host", links=(lo()[0], uplink), addresses=addresses, routes=routes, rules=RULES)
    lan = Namespace("lan", links=(lo()[0], Link(3, "port", "veth", MAC.format(6, 5), link=LinkRef(4, 0))), rules=RULES)
    peers = (FoundPeer("a", 0, "host"), FoundPeer("host", 1, "lan"), FoundPeer("lan", 0, "host"))
    spaces = {n.name: n for n in (station("a", 1, "bridge"), host, lan)}
    return Snapshot(spaces, peers, macvlans=(FoundMacvlans("host", 4, ("a",)),))


@pytest.mark.parametrize(("asker", "asked"), [("host", "10.5.0.1"), ("a", "10.5.0.100")])
def test_a_host_gets_a_sibling_of_its_container(asker: str, asked: str) -> None:
    """Whoever asks: the host's own macvlan, and the way to the container by it."""
    outcome = predict(with_its_host(), probe(asker, asked), ask=False)
    assert isinstance(outcome, Prediction)
    assert outcome.stop is not None
    assert outcome.stop.code == "macvlan-parent-isolated"
    assert [f"{each.namespace}: {' '.join(each.words)}" for each in outcome.stop.commands] == [
        "host: ip link add shim link uplink type macvlan mode bridge",
        "host: ip link set dev shim up",
        "host: ip route add 10.5.0.1 dev shim src 10.5.0.100",
    ]


def of_sources(*heard: str) -> Snapshot:
    """Container a, whose macvlan takes frames of these stations alone, and lan beyond the parent, which has an address."""
    snapshot = relinked(with_its_host(), "a", "eth0", macvlan_mode="source", macvlan_sources=heard)
    port, address = snapshot["lan"].links[1], InterfaceAddress(3, "10.5.0.200", 24)
    routes = (*local("10.5.0.200"), via("10.5.0.0/24", None, 3))
    return edited(snapshot, "lan", links=(lo()[0], port), addresses=(*lo()[1], address), routes=routes)


def test_a_macvlan_of_mode_source_hears_those_that_it_was_told() -> None:
    their = MAC.format(6, 5)
    outcome = predict(of_sources(their), probe("a", "10.5.0.200"), ask=False)
    assert isinstance(outcome, Prediction)
    assert outcome.stop is None
    snapshot = of_sources(MAC.format(6, 9))
    outcome = predict(snapshot, probe("a", "10.5.0.200"), ask=False)
    assert isinstance(outcome, Prediction)
    stop = outcome.stop
    assert stop is not None
    assert (stop.code, stop.place.namespace) == ("mac-not-allowed", "a")
    mended = mend(snapshot, Cause(stop.code, stop.place, "", commands=stop.commands))
    assert mended is not None
    assert mended["a"].links[1].macvlan_sources == (MAC.format(6, 9), their)


def test_a_macvlan_behind_a_port_that_does_not_forward() -> None:
    """The owner stands on what the port leads to, in a namespace of its own, and others hear the question: the port is why it does not."""
    snapshot = two("bridge", hairpin=False)
    loopback, bridge, inner, uplink = snapshot["switch"].links
    other = Link(5, "other", "veth", MAC.format(6, 5), link=LinkRef(2, 2), master=2, port=BridgePort())
    heard = Namespace("heard", links=(loopback, Link(2, "eth0", "veth", MAC.format(7, 2), link=LinkRef(5, 0))), rules=RULES)
    snapshot = edited(
        replace(snapshot, namespaces={**snapshot.namespaces, "heard": heard}, peers=(*snapshot.peers, FoundPeer("switch", 2, "heard"))),
        "switch",
        links=(loopback, bridge, replace(inner, port=BridgePort(state="listening")), uplink, other),
        addresses=(*lo()[1], InterfaceAddress(2, "10.5.0.9", 24)),
        routes=(*local("10.5.0.9"), via("10.5.0.0/24", None, 2)),
    )
    outcome = predict(snapshot, probe("switch", "10.5.0.2"), ask=False)
    assert isinstance(outcome, Prediction)
    assert outcome.stop is not None
    assert (outcome.stop.code, outcome.stop.place.interface) == ("port-not-forwarding", "inner")


def below_a_bridge(mode: str) -> Snapshot:
    """A VM at a bridge in a pod, whose other port is a macvlan of the host's uplink, as KubeVirt makes it; and a station of the LAN."""
    mv = Link(2, "eth0", "macvlan", MAC.format(5, 1), link=LinkRef(4, 0), macvlan_mode=mode, master=3, port=BridgePort())
    inner = Link(4, "tap0", "veth", MAC.format(5, 4), link=LinkRef(2, 1), master=3, port=BridgePort())
    pod = Namespace("pod", links=(lo()[0], mv, Link(3, "k6t", "bridge", MAC.format(5, 3), bridge=Bridge()), inner), rules=RULES)
    spaces = [pod]
    for name, number, far, nsid in (("vm", 50, 4, 0), ("rem", 110, 4, 0)):
        eth0 = Link(2, "eth0", "veth", MAC.format(7, number), link=LinkRef(far, nsid))
        address = f"10.5.0.{number}"
        spaces.append(Namespace(name, links=(lo()[0], eth0), addresses=(*lo()[1], InterfaceAddress(2, address, 24)),
                                routes=(*local(address), via("10.5.0.0/24", None, 2)), rules=RULES))  # fmt: skip
    uplink = Link(4, "eth1", "veth", MAC.format(6, 4), link=LinkRef(2, 1))
    spaces.append(Namespace("host", links=(lo()[0], uplink), rules=RULES))
    peers = [
        FoundPeer("pod", 0, "host"),
        FoundPeer("pod", 1, "vm"),
        FoundPeer("vm", 0, "pod"),
        FoundPeer("host", 1, "rem"),
        FoundPeer("rem", 0, "host"),
    ]
    return Snapshot({n.name: n for n in spaces}, tuple(peers), macvlans=(FoundMacvlans("host", 4, ("pod",)),))


def test_a_macvlan_that_is_the_port_of_a_bridge_hears_nothing_for_those_behind_it() -> None:
    outcome = predict(below_a_bridge("bridge"), probe("vm", "10.5.0.110"), ask=False)
    assert isinstance(outcome, Prediction)
    assert outcome.stop is not None
    assert (outcome.stop.code, outcome.stop.place.namespace, outcome.stop.place.interface) == ("mac-not-allowed", "pod", "eth0")
    made = " ".join(outcome.stop.commands[1].words)
    assert made == "ip link add eth0-all link eth1 type macvlan mode passthru", "it cannot be set on one that is there"


def test_all_frames_are_those_of_a_macvlan_in_mode_passthru() -> None:
    outcome = predict(below_a_bridge("passthru"), probe("vm", "10.5.0.110"), ask=False)
    assert isinstance(outcome, Prediction)
    assert outcome.passes


@pytest.mark.parametrize("mode", ["vepa", "private"])
def test_the_one_of_two_siblings_that_hears_none_is_named_whoever_asks(mode: str) -> None:
    snapshot = edited(two("bridge", hairpin=False), "b", links=two(mode, hairpin=False)["b"].links)
    for source, goal in (("a", "10.5.0.2"), ("b", "10.5.0.1")):
        outcome = predict(snapshot, probe(source, goal), ask=False)
        assert isinstance(outcome, Prediction)
        assert outcome.stop is not None
        assert (outcome.stop.code, outcome.stop.place.namespace) == ("macvlan-mode-isolated", "b")
