"""A container that was given the first address of its IPv6 network: what is for it is for any router there."""

from __future__ import annotations

from msgspec.structs import replace
from predict.networks import RULES, edited, lo, probe, veth

from netprobe.diagnose.repair import choice
from netprobe.model import FoundPeer, InterfaceAddress, Namespace, Nexthop, Route, Snapshot
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction


def node(name: str, address: str, mac: str, *routes: Route, forwarding: str = "0") -> Namespace:
    """A namespace with one interface of fd00:10::/64."""
    loopback, own = lo()
    local = Route(f"{address}/128", "local", 255, (Nexthop(2),))
    network = Route("fd00:10::/64", nexthops=(Nexthop(2),), metric=256, protocol="kernel")
    return Namespace(name, links=(loopback, veth(2, "eth0", mac, 2, 0)), addresses=(*own, InterfaceAddress(2, address, 64)),
                     routes=(local, network, *routes), rules=RULES, sysctls={"net.ipv6.conf.all.forwarding": forwarding})  # fmt: skip


def network(address: str = "fd00:10::") -> Snapshot:
    """red, on a cable with a router that has 2001:db8::8 itself."""
    default = Route("::/0", nexthops=(Nexthop(2, "fd00:10::1"),), metric=1024)
    anycast = Route("fd00:10::/128", "anycast", 255, (Nexthop(2),))
    world = Route("2001:db8::8/128", "local", 255, (Nexthop(1),))
    red = node("red", address, "02:00:00:00:00:01", default)
    router = node("router", "fd00:10::1", "02:00:00:00:00:02", anycast, world, forwarding="1")
    router = replace(router, addresses=(*router.addresses, InterfaceAddress(1, "2001:db8::8", 128)))
    return Snapshot({"red": red, "router": router}, (FoundPeer("red", 0, "router"), FoundPeer("router", 0, "red")))


def asked(snapshot: Snapshot) -> Prediction:
    found = predict(snapshot, probe("red", "2001:db8::8"), ask=False)
    assert isinstance(found, Prediction)
    return found


def test_with_another_address_it_is_answered() -> None:
    assert asked(network("fd00:10::2")).passes


def test_with_the_first_one_the_router_takes_the_answer_for_itself() -> None:
    snapshot = edited(network(), "router", rules=RULES)
    lost = asked(snapshot)
    assert lost.stop is not None
    stop = choice.choose(snapshot, lost, lost.stop).stop
    assert (stop.code, stop.place.namespace, stop.thing.id) == ("addr-duplicate", "red", "fd00:10::/64 dev eth0")
    assert [" ".join(each.words) for each in stop.commands][:2] == [
        "ip -6 address add RIGHT-ADDRESS/64 dev eth0",
        "ip address del fd00:10::/64 dev eth0",
    ]
