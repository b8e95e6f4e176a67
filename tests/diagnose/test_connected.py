"""What belongs to an interface by how it is connected: its network's route, the address that its router has at all such ends."""

from __future__ import annotations

import networks
import pytest
from msgspec.structs import replace
from networks import edited, probe, relinked, tutorial
from test_beside import WEB, chosen, kernel, lines, with_pod
from test_repair import changed, lost_in

from netprobe.diagnose.repair import choice
from netprobe.diagnose.repair.candidates import kernel_routes
from netprobe.diagnose.repair.repair import Loss
from netprobe.model import Bridge, Endpoint, FoundPeer, InterfaceAddress, Link, LinkRef, Protocol, Snapshot, Socket
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction


def without_prefix_route() -> Snapshot:
    """c2's address was added with noprefixroute, and it has no default route either."""
    snapshot = tutorial()
    c2 = snapshot["c2"]
    plain = tuple(replace(a, flags=("noprefixroute",)) if a.address == "172.17.0.3" else a for a in c2.addresses)
    kept = tuple(route for route in c2.routes if route.type != "unicast")
    return edited(snapshot, "c2", addresses=plain, routes=kept)


def test_nobody_added_the_route_of_an_address_that_was_to_have_none() -> None:
    cause = chosen(without_prefix_route(), "c1", "172.17.0.3")
    assert (cause.code, cause.place.namespace) == ("no-route", "c2")
    assert lines(cause) == ["ip route replace 172.17.0.0/16 dev eth0 proto kernel scope link src 172.17.0.3"]


def test_of_very_many_routes_those_of_single_addresses_are_not_read() -> None:
    """What was not read is not gone: of a station with ten thousand addresses no route is said to be."""
    lost = lost_in(without_prefix_route(), "c1", "172.17.0.3")
    assert lost.stop is not None
    c2 = without_prefix_route()["c2"]
    more = (InterfaceAddress(2, "10.9.9.9", 32), InterfaceAddress(2, "10.8.8.8", 24))  # nor those of networks that nothing is for
    many = edited(without_prefix_route(), "c2", routes=(), routed=(), addresses=(*c2.addresses, *more))
    found = [each.stop for each in kernel_routes.candidates(Loss.of(many, lost, lost.stop)) if each.stop.place.namespace == "c2"]
    assert [stop.thing.id for stop in found] == ["172.17.0.0/16 dev eth0"]


def test_the_way_by_a_gateway_there_comes_back_with_the_network() -> None:
    """No kernel takes a gateway of which it has no network, so it went with that."""
    cause = chosen(without_prefix_route(), "c2", "8.8.8.8")
    assert lines(cause) == [
        "ip route replace 172.17.0.0/16 dev eth0 proto kernel scope link src 172.17.0.3",
        "ip route add default via 172.17.0.1",
    ]


@pytest.mark.parametrize(("peer", "code"), [("172.17.0.9", "addr-wrong-prefix"), ("172.17.0.1", "no-route")])
def test_an_address_that_has_nobody_for_its_peer_is_of_the_network_of_those_beside(peer: str, code: str) -> None:
    """One that has its gateway for that, as some providers give it, has lost its route."""
    c2 = without_prefix_route()["c2"]
    own = tuple(replace(a, prefixlen=32, peer=peer, flags=()) if a.address == "172.17.0.3" else a for a in c2.addresses)
    snapshot = edited(tutorial(), "c2", addresses=own, routes=(*c2.routes, kernel(f"{peer}/32", 2)))
    cause = chosen(snapshot, "c2", "8.8.8.8")
    assert (cause.code, cause.place.namespace) == (code, "c2")
    assert lines(cause)[-1].startswith("ip route add default via 172.17.0.1")


def routed(gateway: str, length: int, *ends: int) -> Snapshot:
    """A pod behind cali1, 8, whose gateway the host has at these of its interfaces; cali2, 9, is one like it."""
    snapshot = with_pod(kernel("10.244.1.5/32", 8))
    scope = "link" if ":" in gateway else "global"
    host, pod = snapshot["host"], snapshot["pod"]
    sysctls = {**host.sysctls, "net.ipv4.conf.cali1.proxy_arp": "0", "net.ipv4.conf.cali1.arp_ignore": "1"}
    cali2 = networks.veth(9, "cali2", networks.MAC.format(9, 9), 2, 6)
    own = tuple(InterfaceAddress(index, gateway, length, scope=scope) for index in ends)
    ways = (*host.routes, *networks.local(gateway)) if ends else host.routes
    snapshot = edited(snapshot, "host", links=(*host.links, cali2), addresses=(*host.addresses, *own), routes=ways, sysctls=sysctls)
    snapshot = Snapshot(snapshot.namespaces, (*snapshot.peers, FoundPeer("host", 6, None)))
    kept = tuple(route for route in pod.routes if route.dst != "0.0.0.0/0")
    return edited(snapshot, "pod", routes=(*kept, networks.via("0.0.0.0/0", gateway, 2)))


@pytest.mark.parametrize(("gateway", "length"), [("fe80::1", 64), ("169.254.0.1", 32)])
def test_a_router_has_its_address_at_the_other_cables(gateway: str, length: int) -> None:
    cause = chosen(networks.with_link_locals(routed(gateway, length, 9)), "pod", "10.0.0.1")
    assert (cause.code, cause.place.namespace, cause.place.interface) == ("addr-missing", "host", "cali1")
    assert lines(cause) == [f"ip address add {gateway}/{length} dev cali1"]


def test_a_router_that_has_it_nowhere_is_not_given_it_so() -> None:
    cause = chosen(routed("fe80::1", 64), "pod", "10.0.0.1")
    assert not any("fe80::1" in line for line in lines(cause))


def firewalled() -> Snapshot:
    """c1 is behind a bridge of its own, fw1, and a cable from there to docker0, whose end fwpr1 is loose: as Proxmox wires a guest."""
    snapshot = relinked(tutorial(), "host", "vethc1", master=20)
    bridge = Link(20, "fw1", "bridge", networks.MAC.format(2, 20), bridge=Bridge())
    near, far = networks.port(21, "fwln1", 22, -1, 20), networks.veth(22, "fwpr1", networks.MAC.format(9, 22), 21, None)
    near = replace(near, link=LinkRef(22, None))
    return edited(snapshot, "host", links=(*snapshot["host"].links, bridge, near, far))


def test_the_loose_end_of_a_cable_between_bridges_goes_to_the_bridge_of_the_stations_network() -> None:
    cause = chosen(firewalled(), "c1", "10.0.0.1")
    assert (cause.code, cause.object and cause.object.id) == ("port-not-in-bridge", "fwpr1")
    assert lines(cause) == ["ip link set dev fwpr1 master docker0"]


def test_a_deprecated_address_is_made_a_source_again_where_the_other_has_no_way_back() -> None:
    """The Internet knows the way to 2001:db8:1::/64, which is deprecated, and not to the ULA."""
    snapshot = changed(
        "internet: ip address add 2001:db8::1/64 dev eth0",
        "internet: ip -6 route add 2001:db8:1::/64 via 2001:db8::2 dev eth0",
        "host: ip address add 2001:db8::2/64 dev eth0",
        "host: ip address add 2001:db8:1::1/64 dev br0",
        "host: ip address add fd00:1::1/64 dev br0",
        "host: sysctl -w net.ipv6.conf.all.forwarding=1",
        "red: ip address add 2001:db8:1::2/64 dev eth0",
        "red: ip address add fd00:1::2/64 dev eth0",
        "red: ip -6 route add default via fd00:1::1 dev eth0",
    )
    asked = "2001:db8::1"
    assert isinstance(found := predict(snapshot, probe("red", asked, Protocol.ICMPV6), ask=False), Prediction)
    assert found.passes
    own = tuple(replace(a, flags=("deprecated",)) if a.address == "2001:db8:1::2" else a for a in snapshot["red"].addresses)
    snapshot = edited(snapshot, "red", addresses=own)
    lost = predict(snapshot, probe("red", asked, Protocol.ICMPV6), ask=False)
    assert isinstance(lost, Prediction)
    assert lost.stop is not None
    cause = choice.choose(snapshot, lost, lost.stop).stop
    assert (cause.code, cause.place.namespace) == ("route-wrong-src", "red")
    assert lines(cause) == ["ip address change 2001:db8:1::2/64 dev eth0 preferred_lft forever valid_lft forever"]


@pytest.mark.parametrize("routes", [True, False])
def test_a_pod_has_another_address_than_the_one_that_its_router_leads_straight_to(routes: bool) -> None:
    """With its routes, which are lost on the way back, and without them, which went with the old address."""
    snapshot = with_pod(networks.via("10.244.1.9/32", None, 8), own=(InterfaceAddress(8, "169.254.1.1", 32),))
    pod = snapshot["pod"]
    ways = (*pod.routes, networks.via("169.254.1.1/32", None, 2)) if routes else networks.local("10.244.1.5")
    cause = chosen(edited(snapshot, "pod", routes=ways), "pod", "10.0.0.1")
    assert (cause.code, cause.object and cause.object.id) == ("addr-wrong-subnet", "10.244.1.5/32 dev eth0")
    assert lines(cause)[:2] == ["ip address add 10.244.1.9/32 dev eth0", "ip address del 10.244.1.5/32 dev eth0"]


def test_a_pod_to_which_its_router_leads_keeps_its_address() -> None:
    """host leads to another one as well, which the pod may have lost."""
    both = (networks.via("10.244.1.9/32", None, 8), networks.via("10.244.1.5/32", None, 8))
    snapshot = with_pod(*both, own=(InterfaceAddress(8, "169.254.1.1", 32),))
    cause = chosen(edited(snapshot, "pod", routes=networks.local("10.244.1.5")), "pod", "10.0.0.1")
    assert not any("address del" in line for line in lines(cause))


def twice(old: tuple[Socket, ...] = (), new: tuple[Socket, ...] = ()) -> Snapshot:
    """Two pods with one address, each at a cable of its own; host leads to the old one."""
    snapshot = with_pod(networks.via("10.244.1.5/32", None, 9), own=(InterfaceAddress(8, "169.254.1.1", 32),))
    pod, host = edited(snapshot, "pod", sockets=new)["pod"], snapshot["host"]
    before = replace(pod, name="old", links=(pod.links[0], networks.veth(2, "eth0", networks.MAC.format(5, 9), 9, 0)), sockets=old)
    host = replace(host, links=(*host.links, networks.veth(9, "cali0", networks.MAC.format(9, 9), 2, 6)))
    ends = (FoundPeer("host", 6, "old"), FoundPeer("old", 0, "host"))
    return Snapshot({**snapshot.namespaces, "host": host, "pod": pod, "old": before}, (*snapshot.peers, *ends))


def test_a_pod_with_the_address_of_another_one_gets_one_of_its_own() -> None:
    """Its router leads to the other one, from which a route to the cable of this one would take it (amazon-vpc-cni-k8s#3019)."""
    cause = chosen(twice(), "pod", "10.0.0.1")
    assert (cause.code, cause.place.namespace, cause.object and cause.object.id) == ("addr-duplicate", "pod", "10.244.1.5/32 dev eth0")
    own = ["ip address del 10.244.1.5/32 dev eth0", "ip address add ADDRESS/32 dev eth0", "ip route add ADDRESS/32 dev cali1"]
    assert lines(cause)[:3] == own
    assert cause.commands[2].namespace == "host"


@pytest.mark.parametrize(("old", "new", "led"), [(False, True, True), (True, True, False), (False, False, False)])
def test_a_route_to_the_cable_of_the_pod_before(old: bool, new: bool, led: bool) -> None:
    """The pod before has the address still, and no program any more; who is led to has the one that is asked for, if either has."""
    snapshot = twice((WEB,) * old, (WEB,) * new)
    asked = replace(probe("host", "10.244.1.5", Protocol.TCP), destination=Endpoint("10.244.1.5", address="10.244.1.5", port=80))
    lost = predict(snapshot, asked, ask=False)
    assert isinstance(lost, Prediction)
    if lost.stop is None:
        assert old
        return
    cause = choice.choose(snapshot, lost, lost.stop).stop
    assert (lines(cause) == ["ip route replace 10.244.1.5/32 dev cali1"]) is led
    assert (cause.code, cause.thing.id) == (("route-overlap", "10.244.1.5/32 dev cali0") if led else ("port-closed", "tcp 10.244.1.5:80"))
